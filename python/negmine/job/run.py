"""Run a mining job: mine one tile after the other, and write each before the next one starts."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import files
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.extras import require
from negmine._core.options import check_flag, refuse_unknown_options
from negmine.data import fingerprint
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import JobError, NegmineError, NegmineWarning
from negmine.io.negatives import MinedRows
from negmine.io.records import to_table
from negmine.job import inputs, result
from negmine.job.folder import JobFolder
from negmine.job.manifest import Manifest
from negmine.job.parts import read_part, write_part
from negmine.job.result import JobResult
from negmine.mining.miner import MINER_OPTIONS, HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import MinerOptions
from negmine.mining.random_weights import RandomWeights
from negmine.mining.records import Lists, Records
from negmine.mining.task import MiningTask, read_miner
from negmine.search.results import Metric

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["mine_to"]

#: Default number of queries per tile: an interruption costs at most this much work.
TILE_QUERIES = 8192


@refuse_unknown_options("mine_to", MINER_OPTIONS)
def mine_to(
    folder: object,
    queries: object,
    corpus: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    miner: HardNegativeMiner | None = None,
    metric: Metric = "cosine",
    document_ids: npt.ArrayLike | None = None,
    query_ids: npt.ArrayLike | None = None,
    exclude: Positives | Iterable[Iterable[int]] | None = None,
    exclude_self: bool = False,
    groups: npt.ArrayLike | None = None,
    eligible: Eligibility | None = None,
    categories: npt.ArrayLike | None = None,
    random_weights: RandomWeights | None = None,
    epoch: int = 0,
    tile_queries: int | None = None,
    shard: tuple[int, int] | None = None,
    resume: bool = False,
    memory_limit: int | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[MinerOptions],
) -> JobResult:
    """Mine hard negatives into a folder, tile by tile, so that a killed job can continue where it stopped.

    Parameters
    ----------
    folder : path
        New or empty folder, or that of the same job.
    queries : array (n_queries, width)
        Embeddings of the queries, of the same types as for [`ExactIndex`][].
    corpus : array (n_documents, width)
        Embeddings of the documents, likewise.
    positives : Positives, one list of document rows per query, or int64 (n_queries,)
        Known relevant documents; one row number per query if every query has exactly one.
    miner : HardNegativeMiner, optional
        Options of the mining. Default: ``HardNegativeMiner(**options)``. ``limit_per_document`` is refused, because it
        depends on all queries at once, and a tile has only some.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer.
    document_ids : int64 or str (n_documents,), optional
        Unique labels of the documents.
    query_ids : int64 or str (n_queries,), optional
        Labels of the queries, for the result and for ``exclude_self``.
    exclude : Positives or one list of document rows per query, optional
        Further documents that are never negatives.
    exclude_self : bool, default False
        Whether the document that is the query itself is excluded, as for [`HardNegativeMiner.candidates`][].
    groups : int64 (n_documents,), optional
        Groups of documents: those that share a group with a positive are not candidates; -1 means no group.
    eligible : Eligibility, optional
        One key per document and one range of keys per query.
    categories : int64 (n_documents,), optional
        Category of each document, for a [`Quota`][].
    random_weights : float64 (n_documents,), "popularity" or Popularity, optional
        Weight of each document among random negatives, as for [`HardNegativeMiner.candidates`][].
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    tile_queries : int, optional
        Queries per tile. Default: the value in the manifest if a job is resumed, else 8192.
    shard : tuple of int, optional
        ``(i, n)``: mine only part ``i`` of ``n`` (counted from 0) of the tiles. All other arguments are still those of
        the whole set; [`merge`][] joins the shards. Default: all tiles.
    resume : bool, default False
        Whether to continue a job that was started. A new or empty folder is accepted in both cases.
    memory_limit : int, optional
        Bytes of working memory in addition to the caller's arrays, as for [`ExactIndex`][]. Default: no limit.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.
    progress : callable, optional
        Called as ``progress(done, total)``, in queries of this job.
    **options : Any
        Options of [`HardNegativeMiner`][], if ``miner`` is not given.

    Returns
    -------
    JobResult
        If the job was already finished, ``was_finished`` is true and the call did nothing.

    Raises
    ------
    JobError
        The folder holds no job but other files, another process writes to it, it holds an unfinished job and ``resume``
        is false, its job was started with other inputs (the message names what changed), or one of its files is corrupt
        (the message names it). If a part is corrupt, its tile is mined again, with a warning.
    NegmineValueError, NegmineTypeError
        An argument is invalid or unknown; the folder stays as it was.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> folder = tempfile.mkdtemp()
    >>> result = mine_to(folder, corpus[:1], corpus, [[0]], num_negatives=2)
    >>> next(result.rows().batches()).negatives.indices.tolist()
    [1, 2]
    >>> mine_to(folder, corpus[:1], corpus, [[0]], num_negatives=2).was_finished
    True
    """
    require("pyarrow", "io", "a job")
    task = MiningTask.read(
        queries,
        corpus,
        positives,
        read_miner(miner, options),
        metric=metric,
        document_ids=document_ids,
        query_ids=query_ids,
        exclude=exclude,
        exclude_self=exclude_self,
        groups=groups,
        eligible=eligible,
        categories=categories,
        random_weights=random_weights,
        epoch=epoch,
    )
    inputs.refuse_limit(task.miner)
    check_flag(resume, "resume")
    tile = None if tile_queries is None else inputs.check_tile(tile_queries, task.miner)
    part = None if shard is None else inputs.check_shard(shard)
    threads = resolve_num_threads(num_threads)
    check_progress(progress)
    job = JobFolder(files.as_path(folder, "folder"))
    job.refuse_other_folders()
    call = _Call(job, task, tile, part, resume, threads, progress)
    done = call.finished()  # without the lock: the folder may lie on a read-only medium
    if done is not None:
        return done
    made = job.make()
    with job.lock():
        done = call.finished()  # by another process, until the lock was free
        if done is not None:
            return done
        job.refuse_other_folders()
        found = job.read_manifest()
        try:
            manifest = call.begin(found)
            n_mined = _mine_tiles(job, manifest, task, memory_limit, threads, progress)
            report = result.finish(job, manifest, _parts(job, manifest, task))
        except NegmineError:
            if found is None and not job.has_parts():
                job.undo(made)  # this call started the job, and an argument is invalid
            raise
        return result.result(job, manifest, report, n_mined, was_finished=False)


@dataclass
class _Call:
    """Arguments of a call, compared with the content of its folder."""

    job: JobFolder
    task: MiningTask
    tile_queries: int | None
    shard: tuple[int, int] | None
    resume: bool
    num_threads: int
    progress: Progress | None

    @cached_property
    def digests(self) -> dict[str, Any]:
        """Digests of the inputs."""
        return inputs.digests(self.task, self.num_threads)

    def finished(self) -> JobResult | None:
        """Return the result of a finished job, which must have the inputs of this call; None if it is not finished."""
        found = self.job.read_manifest()
        report = None if found is None else self.job.read_report(found)
        if found is None or report is None:
            return None
        self._refuse_changes(found)
        self.job.check_result(report)
        if self.job.has_leftovers():
            # The result is valid with them too, so a read-only medium and a lock of another process are not errors.
            with contextlib.suppress(JobError), self.job.lock():
                self.job.clean(finished=True)
        if self.progress is not None:
            total = sum(_sizes(found).values())
            self.progress(total, total)
        return result.result(self.job, found, report, 0, was_finished=True)

    def begin(self, found: Manifest | None) -> Manifest:
        """Return the manifest of the folder, which must have the inputs of this call, or write a new one."""
        if found is None:
            version = str(_native.build_info()["version"])
            size = self.tile_queries or TILE_QUERIES
            manifest = Manifest(version, self.digests, self.task.n_queries, size, self.shard)
            self.job.write_manifest(manifest)
            return manifest
        if not self.resume:
            raise JobError(
                f"`resume` must be True to go on with an unfinished job; got False, and {self.job.path} holds one with "
                f"{sum(self.job.part_path(tile).exists() for tile in found.tiles)} of {len(found.tiles)} tiles."
            )
        self._refuse_changes(found)
        return found

    def _refuse_changes(self, found: Manifest) -> None:
        changed = fingerprint.differences(found.inputs, self.digests)
        if self.tile_queries is not None and self.tile_queries != found.tile_queries:
            changed.append(f"`tile_queries` was {found.tile_queries} and is {self.tile_queries}")
        if self.shard != found.shard:
            changed.append(f"`shard` was {found.shard} and is {self.shard}")
        if changed:
            raise JobError(
                f"`folder` must hold a job of these inputs; in the one in {self.job.path} {', '.join(changed)}."
            )


def _sizes(manifest: Manifest) -> dict[int, int]:
    """Return the number of queries of every tile of the job."""
    return {tile: end - begin for tile in manifest.tiles for begin, end in [manifest.queries(tile)]}


def _mine_tiles(
    job: JobFolder,
    manifest: Manifest,
    task: MiningTask,
    memory_limit: int | None,
    num_threads: int,
    progress: Progress | None,
) -> int:
    """Mine the tiles that have no part yet, and return their number."""
    job.clean(finished=False)
    job.make_parts()
    missing = []
    for tile in manifest.tiles:
        if not _is_part(job, manifest, tile):
            missing.append(tile)  # noqa: PERF401 (a loop, so that the warning has a fixed stack depth)
    sizes = _sizes(manifest)
    total, done = sum(sizes.values()), sum(sizes.values()) - sum(sizes[tile] for tile in missing)
    report = progress or (lambda _done, _total: None)
    if not missing:
        report(total, total)
        return 0
    source = task.source(
        num_threads=num_threads, memory_limit=memory_limit, progress=lambda _done, _total: report(done, total)
    )
    for tile in missing:
        begin, end = manifest.queries(tile)

        def within(part: int, whole: int, done: int = done, size: int = sizes[tile]) -> None:
            # The last query of a tile counts as done when the tile is written.
            report(done + min(size * part // max(whole, 1), size - 1), total)

        report(done, total)
        negatives = task.mine(source, begin, end, num_threads=num_threads, progress=within)
        _write_part(job, manifest, tile, negatives, task)
        done += sizes[tile]
    report(done, total)
    return len(missing)


def _write_part(job: JobFolder, manifest: Manifest, tile: int, negatives: HardNegatives, task: MiningTask) -> None:
    begin, end = manifest.queries(tile)
    source = MinedRows.from_negatives(
        negatives,
        positives=task.rules.positives.slice(begin, end),
    )
    table = require("pyarrow", "io", "a job").concat_tables([to_table(batch, {}) for batch in source.batches()])
    said = negatives.report
    report = {
        "n_rows": said.n_rows,
        "n_negatives": int(negatives.counts.sum()),
        "n_unscanned": said.n_unscanned,
        "zero_documents": said.zero_documents,
        "zero_queries": said.zero_queries,
        "duplicate_pairs": task.rules.positives.duplicates,
        "unknown_judgments": task.rules.positives.unknown_judgments,
        "documents": said.totals(),
        "short": dict(said.short),
    }
    write_part(job, manifest, tile, table, report)


def _is_part(job: JobFolder, manifest: Manifest, tile: int) -> bool:
    """Return whether the part of a tile is valid; a corrupt part, or one of another job, is mined again."""
    try:
        read_part(job, manifest, tile)
    except FileNotFoundError:
        return False
    except JobError as error:
        warnings.warn(f"The tile of {job.part_path(tile)} is mined again: {error}", NegmineWarning, stacklevel=5)
        return False
    return True


def _parts(job: JobFolder, manifest: Manifest, task: MiningTask) -> Iterator[result.Part]:
    """Yield the tables and reports of the tiles in order; an empty table if there is no tile."""
    for tile in manifest.tiles:
        yield read_part(job, manifest, tile)
    if not manifest.tiles:
        yield _empty(task), None


def _empty(task: MiningTask) -> pa.Table:
    """Make the table of a job without queries."""
    rows, offsets = np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    reals, codes = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.uint8)
    ids, query_ids = (rows if labels is None else labels[:0] for labels in (task.document_ids, task.query_ids))
    positives = Lists(offsets, rows, ids, reals)
    negatives = Lists(offsets, rows, ids, reals.astype(np.float32))
    return to_table(Records(rows, query_ids, reals, codes, positives, negatives, codes), {})
