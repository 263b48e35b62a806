"""Exact nearest-neighbor search over a folder of shards that may be larger than memory.

Every shard is packed once: the int8 codes and error bounds of its documents are written to a file next to it, which is
about a quarter of the size of float32 rows. A search reads packed documents, and the rows of those few that it must
score again. The results are those of one [`negmine.ExactIndex`][] over all rows, bit for bit, because the shards are
one corpus for the core and not several results that are merged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy.typing as npt

from negmine import _native
from negmine._core import files
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Ids, as_ids
from negmine._core.options import check_choice, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search import exact, shard_cache
from negmine.search.core_index import CoreIndex, check_memory_limit
from negmine.search.results import METRICS, Metric
from negmine.search.shards import RowPlace, find_place, list_shards

__all__ = ["Reads", "Shard", "ShardedIndex"]


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a corpus.

    Attributes
    ----------
    path : Path
        The shard.
    pack : Path
        File of its packed documents.
    offset : int
        Document row of its first row.
    n_rows : int
        Number of rows.
    """

    path: Path
    pack: Path
    offset: int
    n_rows: int


@dataclass(frozen=True, slots=True)
class Reads:
    """What an index has read from files since it was made; the difference of two gives what one call read.

    Attributes
    ----------
    pack_bytes : int
        Bytes of packed documents.
    row_bytes : int
        Bytes of rows of documents that were scored again, or packed.
    seconds : float
        Time in which packed documents were read. Reading overlaps with scanning, so that this is no part of the time
        that a call takes in addition.
    """

    pack_bytes: int
    row_bytes: int
    seconds: float

    @property
    def bytes_per_second(self) -> float:
        """Rate at which packed documents were read; NaN if none were."""
        return self.pack_bytes / self.seconds if self.seconds else float("nan")


class ShardedIndex(CoreIndex):
    """Exact index over shards: a folder or a list of npy, safetensors, Parquet or Lance files.

    The index takes little memory: under ``memory_limit`` it streams packed documents from files that it writes next to
    the shards. Results equal those of [`negmine.ExactIndex`][] over all rows.

    Parameters
    ----------
    shards : path or list of path
        A folder, whose shards are taken in the order of their names, or the shards in the order of their rows.
        Document rows are numbered through. Types of elements may differ between shards; widths may not, and a shard may
        be empty. A folder must hold shards of one kind, and is refused if its names sort differently by characters
        and by the numbers in them ("part-10" and "part-9").
    column : str, optional
        Column of Parquet and Lance shards, or tensor of safetensors. Default: the only one that can hold embeddings.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer.
    ids : int64 or str (n_documents,), optional
        Unique labels of all documents; results have them in ``.ids``.
    cache : path, optional
        Folder for the files that the index writes; it is made if it does not exist. Default: the folder of each
        shard.
    num_threads : int, optional
        Number of threads of every call on this index, unless the call has its own; under a memory limit, as many again
        read ahead. Default: all cores available to this process. Results never depend on it.
    memory_limit : int, optional
        Bytes of working memory, without the pages of files that the system caches. If the packed documents, about 0.27
        times the float32 bytes, take more than three quarters of it, they are streamed. Results never depend on it.
        Default: no limit, and packed documents are kept in memory.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms while shards are packed and read.

    Raises
    ------
    CorpusChangedError
        A shard changed after it was packed; the message names both files. Delete the pack if the change is intended.
    NegmineValueError
        A shard does not exist, was cut or has another width; a row holds NaN or infinity; a pack is damaged; or labels
        are not unique.
    NegmineTypeError
        A type is not accepted.
    NegmineOSError
        The system refuses to read or write a file, for example on a full disk. Packs of earlier shards are kept.
    MissingExtraError
        Parquet needs pyarrow and Lance needs pylance, which are not installed.

    Notes
    -----
    Shards are opened when the index is made and stay open: the system limits the number of open files, to two of them
    per shard. Every call compares the sizes and times of modification of all shards.

    Parquet, Lance and npy files in Fortran order have no contiguous rows. They are converted once to a file of rows in
    the cache, which takes the size of the uncompressed embeddings.

    An index is pickled by its paths, so that a worker opens the files again.

    Examples
    --------
    >>> import numpy as np, negmine, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> np.save(folder / "shard-0.npy", corpus[:3])
    >>> np.save(folder / "shard-1.npy", corpus[3:])
    >>> index = negmine.ShardedIndex(folder)
    >>> index.search(corpus[3:], k=2).indices.tolist()
    [[3, 0]]
    """

    @refuse_unknown_options("ShardedIndex")
    def __init__(
        self,
        shards: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        column: str | None = None,
        metric: Metric = "cosine",
        ids: npt.ArrayLike | None = None,
        cache: str | os.PathLike[str] | None = None,
        num_threads: int | None = None,
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        check_choice(metric, "metric", METRICS)
        if column is not None and not isinstance(column, str):
            raise NegmineTypeError(f"`column` must be a string; got {type(column).__name__}.")
        limit, threads = check_memory_limit(memory_limit), resolve_num_threads(num_threads)
        check_progress(progress)
        folder = None if cache is None else _cache_folder(cache)
        paths = [path.absolute() for path in list_shards(shards)]
        self._source = (paths, column, folder)
        self._places = [_place(path, column, folder) for path in paths]
        width = _width(self._places, paths)
        counts = [place.shape[0] for place in self._places]
        document_ids = None if ids is None else as_ids(ids, "ids", sum(counts))
        self._files = _native.RowFiles(
            [_file(path, place) for path, place in zip(paths, self._places, strict=True)], width
        )
        packs = [shard_cache.cached_path(path, column, folder, f"{metric}.negmine-pack") for path in paths]
        offsets = [0, *accumulate(counts[:-1])]
        self.shards = tuple(Shard(*parts) for parts in zip(paths, packs, offsets, counts, strict=True))
        zero_rows = self._pack(metric, width, limit, threads, progress)
        native = _native.ExactIndex.of_packs(
            self._files,
            [(str(pack), shard_cache.BODY) for pack in packs],
            zero_rows,
            metric,
            exact.TILE_ROWS,
            limit,
            threads,
            progress,
        )
        super().__init__(
            native,
            (sum(counts), width),
            metric=metric,
            document_ids=document_ids,
            num_threads=num_threads,
            memory_limit=limit,
        )
        #: Rate of reading packed documents while the index was made.
        self._rate = self.reads.bytes_per_second

    def _pack(self, metric: Metric, width: int, limit: int | None, threads: int, progress: Progress | None) -> int:
        """Pack the shards that are not packed, and return the number of documents of norm zero."""
        total, zero_rows = sum(shard.n_rows for shard in self.shards), 0
        for number, (shard, place) in enumerate(zip(self.shards, self._places, strict=True)):

            def of_all(done: int, of_shard: int, begin: int = shard.offset, n: int = shard.n_rows) -> None:
                if progress is not None:
                    progress(begin + (done * n // of_shard if of_shard else n), total)

            zero_rows += shard_cache.ensure_pack(
                self._files,
                number,
                shard.path,
                replace(place, shape=(place.shape[0], width)),
                shard.pack,
                metric,
                tile_rows=exact.TILE_ROWS,
                memory_limit=limit,
                num_threads=threads,
                progress=None if progress is None else of_all,
            )
        return zero_rows

    @property
    def reads(self) -> Reads:
        """What the index has read from files since it was made."""
        _, pack_bytes, seconds, _, _ = self._native.work
        return Reads(pack_bytes, self._files.bytes_read, seconds)

    def predict_work(self, n_queries: int, passes: int, threads: int) -> tuple[int, float]:
        """Predict what a call reads, and how long it takes, from the rates of this index so far.

        Parameters
        ----------
        n_queries : int
            Number of queries.
        passes : int
            Number of times that packed documents are read.
        threads : int
            Number of threads.

        Returns
        -------
        tuple of (int, float)
            Bytes of packed documents, and seconds. Reading and scanning overlap, so that the slower one counts. The
            rate of reading was measured when the index was made; it is that of the system's cache for files that are
            in it.
        """
        all_bytes, _, _, pairs, scan_seconds = self._native.work
        _, seconds = super().predict_work(n_queries, passes, threads)
        if passes and pairs:
            seconds = n_queries * len(self) * (scan_seconds / pairs) / threads
        n_bytes = passes * all_bytes
        return n_bytes, max(seconds, n_bytes / self._rate) if n_bytes else seconds

    def __repr__(self) -> str:
        n, width = self._shape
        return f"ShardedIndex({len(self.shards)} shards, {n} x {width}, metric={self.metric!r}, {self.nbytes} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (*self._source, self.metric, self.document_ids, self._num_threads, self.memory_limit)


def _cache_folder(value: object) -> Path:
    folder = files.as_path(value, "cache").absolute()
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise NegmineValueError(f"`cache` must have a path in UTF-8; got {str(folder)!r}.") from None
    if folder.exists() and not folder.is_dir():
        raise NegmineValueError(f"`cache` must be a folder; got {folder}, where there is {files.describe(folder)}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NegmineValueError(
            f"`cache` must be a folder that can be made; got {folder}: {error.strerror}."
        ) from error
    return folder


def _place(path: Path, column: str | None, cache: Path | None) -> RowPlace:
    found = find_place(path, column)
    if found is not None:
        return found
    return shard_cache.ensure_rows(path, column, shard_cache.cached_path(path, column, cache, "negmine-rows"))


def _file(shard: Path, place: RowPlace) -> tuple[str, int, int, str, bool, tuple[str, int, int] | None]:
    """Return what the core must know of a shard; it also compares the shards that were converted."""
    known = place.source
    source = None if known is None else (str(shard), known["bytes"], known["modified_ns"])
    return str(place.path), place.offset, place.shape[0], place.kind, place.is_big_endian, source


def _width(places: list[RowPlace], paths: list[Path]) -> int:
    """Return the width of all shards; an empty one may have any, since a table without rows has none."""
    known = [(place.shape[1], path) for place, path in zip(places, paths, strict=True) if place.shape[0]]
    for width, path in known:
        if width != known[0][0]:
            raise NegmineValueError(
                f"`shards` must have one width; {known[0][1]} has {known[0][0]} and {path} has {width}."
            )
    return known[0][0] if known else max(place.shape[1] for place in places)


def _open_again(
    shards: list[Path],
    column: str | None,
    cache: Path | None,
    metric: Metric,
    ids: Ids | None,
    num_threads: int | None,
    memory_limit: int | None,
) -> ShardedIndex:
    """Open the files of a pickled index."""
    return ShardedIndex(
        shards,
        column=column,
        metric=metric,
        ids=ids,
        cache=cache,
        num_threads=num_threads,
        memory_limit=memory_limit,
    )
