"""First half of a refresh: validate the arguments, and embed; the second half needs no encoder and no model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import torch

from negmine._core.arrays import as_numpy
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.options import check_integer
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.options import CandidateOptions
from negmine.mining.task import MiningTask
from negmine.search.exact import score_pairs
from negmine.search.results import Metric
from negmine.store.negatives_table import NegativesTable, check_step, check_width
from negmine.store.table_file import TableRows
from negmine.torch.data.outcome import refuse_running
from negmine.torch.data.refreshed import Refreshed

__all__ = ["Embedded", "Encode", "RefreshOptions", "embed", "refuse_other_types"]

#: Function of a slice of queries or documents that returns their embeddings.
Encode = Callable[[Any], "npt.NDArray[Any] | torch.Tensor"]


class RefreshOptions(CandidateOptions, total=False):
    """Options of [`negmine.torch.refresh`][]."""

    encode_documents: Encode | None
    batch_size: int
    metric: Metric
    epoch: int
    step: int
    chunk: tuple[int, int] | None
    previous_embeddings: object
    num_threads: int | None
    progress: Progress | None


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Everything that mining and publishing need, in memory of this process.

    Attributes
    ----------
    table : NegativesTable
        Table to publish to.
    task : MiningTask
        The embeddings and all rules. Rows of queries outside the range are not initialized, and never read.
    begin, end : int
        Range of queries to mine.
    step : int
        Training step of the model.
    turn : float64 (end - begin,) or None
        How far the queries turned.
    num_threads : int or None
        Number of threads that mine.
    progress : callable or None
        Called as ``progress(done, total)`` while mining.
    """

    table: NegativesTable
    task: MiningTask
    begin: int
    end: int
    step: int
    turn: npt.NDArray[np.float64] | None
    num_threads: int | None
    progress: Progress | None

    def publish(self, encode_seconds: float) -> Refreshed:
        """Mine the range of queries and publish it.

        Parameters
        ----------
        encode_seconds : float
            Wall time of embedding, for the result.

        Returns
        -------
        Refreshed
        """
        started = time.perf_counter()
        options: dict[str, Any] = {"num_threads": self.num_threads, "progress": self.progress}
        begin, end = (0, None) if self.whole else (self.begin, self.end)
        negatives = self.task.mine(self.task.source(**options), begin, end, **options)
        mined = time.perf_counter()
        before = self.table.current()
        rows = np.arange(len(before)) if self.whole else np.flatnonzero(self._is_mined(before))
        generation = self.table.publish(negatives, result_rows=None if self.whole else rows, step=self.step)
        published = time.perf_counter()
        return Refreshed(
            negatives=negatives,
            generation=generation,
            result_rows=rows,
            replaced=TableRows.of(negatives).changes_since(before.read(rows)),
            query_embeddings=self.task.queries[self.begin : self.end],
            turn=self.turn,
            encode_seconds=encode_seconds,
            mine_seconds=mined - started,
            publish_seconds=published - mined,
        )

    @property
    def whole(self) -> bool:
        """Whether all queries are mined."""
        return self.end - self.begin == self.task.n_queries

    def _is_mined(self, rows: TableRows) -> npt.NDArray[np.bool_]:
        place = rows.query_indices - self.task.query_offset
        return (place >= self.begin) & (place < self.end)


def embed(
    table: NegativesTable,
    miner: HardNegativeMiner,
    encode: Encode,
    queries: object,
    documents: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    encode_documents: Encode | None = None,
    batch_size: int = 1024,
    metric: Metric = "cosine",
    epoch: int = 0,
    step: int = -1,
    chunk: tuple[int, int] | None = None,
    previous_embeddings: object = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **rules: Unpack[CandidateOptions],
) -> Embedded:
    """Validate the arguments of [`negmine.torch.refresh`][], and embed.

    Parameters
    ----------
    table, miner, encode, queries, documents, positives : object
        As of [`negmine.torch.refresh`][], like all other arguments.
    encode_documents : callable, optional
        Function that embeds the documents.
    batch_size : int, default 1024
        Entries per call of ``encode``.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity of embeddings.
    epoch : int, default 0
        Epoch of the draws.
    step : int, default -1
        Training step of the model.
    chunk : (round, n_chunks), optional
        Range of queries to mine.
    previous_embeddings : array (n_queries, width), optional
        Embeddings of all queries under an earlier model.
    num_threads : int, optional
        Number of threads that mine.
    progress : callable, optional
        Called as ``progress(done, total)`` while mining.
    **rules : Any
        Options of [`negmine.HardNegativeMiner.candidates`][].

    Returns
    -------
    Embedded
    """
    refuse_other_types(table, miner=(miner, HardNegativeMiner))
    refuse_running(table)
    batch_size = check_integer(batch_size, "batch_size", least=1)
    resolve_num_threads(num_threads)
    check_progress(progress)
    step = check_step(step)
    n_queries, n_documents = _lengths(table, queries, documents)
    begin, end = _range_of(chunk, n_queries)
    if end - begin < n_queries:
        check_width(miner.num_negatives + miner.num_random, table.current())
    previous = None if previous_embeddings is None else as_numpy(previous_embeddings, "previous_embeddings")
    if previous is not None and len(previous) != n_queries:
        raise NegmineValueError(
            f"`previous_embeddings` must have the {n_queries} rows of the queries; got {len(previous)}."
        )
    query_embeddings = _encode(encode, queries, "encode", batch_size, begin, end)
    named = "encode" if encode_documents is None else "encode_documents"
    document_embeddings = _encode(encode_documents or encode, documents, named, batch_size, 0, n_documents)
    turn = None if previous is None else _turn(query_embeddings[begin:end], previous[begin:end])
    task = MiningTask.read(query_embeddings, document_embeddings, positives, miner, metric=metric, epoch=epoch, **rules)
    return Embedded(table, task, begin, end, step, turn, num_threads, progress)


def refuse_other_types(table: object, **others: tuple[object, type]) -> None:
    """Refuse arguments of other types.

    Parameters
    ----------
    table : object
        Must be a [`NegativesTable`][].
    **others : (object, type)
        Further arguments by name, with their types.
    """
    for name, (value, wanted) in {"table": (table, NegativesTable), **others}.items():
        if not isinstance(value, wanted):
            raise NegmineTypeError(f"`{name}` must be a {wanted.__name__}; got {type(value).__name__}.")


def _lengths(table: NegativesTable, queries: object, documents: object) -> tuple[int, int]:
    """Return the lengths of both; refuse those that the table would refuse, before anything is embedded."""
    n_queries = int(table.current().query_indices.max(initial=-1)) + 1
    lengths = []
    for name, entries in {"queries": queries, "documents": documents}.items():
        if not isinstance(entries, Sized) or isinstance(entries, Mapping):
            raise NegmineTypeError(f"`{name}` must be a sequence, an array or a tensor; got {type(entries).__name__}.")
        if len(entries) == 0:
            raise NegmineValueError(f"`{name}` must have entries to embed; got none.")
        if name == "queries" and len(entries) < n_queries:
            raise NegmineValueError(f"`queries` must be the {n_queries} of the table or more; got {len(entries)}.")
        if name == "documents" and len(entries) != table.n_documents:
            raise NegmineValueError(f"`documents` must be the {table.n_documents} of the table; got {len(entries)}.")
        lengths.append(len(entries))
    return lengths[0], lengths[1]


def _range_of(chunk: object, n_queries: int) -> tuple[int, int]:
    """Return the range of queries of a chunk."""
    if chunk is None:
        return 0, n_queries
    if not isinstance(chunk, tuple | list) or len(chunk) != 2:
        raise NegmineTypeError(f"`chunk` must be None or (round, n_chunks); got {chunk!r}.")
    number = check_integer(chunk[0], "chunk[0]", least=0, most=2**63 - 1)
    n_chunks = check_integer(chunk[1], "chunk[1]", least=1, most=n_queries)
    number %= n_chunks
    return n_queries * number // n_chunks, n_queries * (number + 1) // n_chunks


def _turn(after: npt.NDArray[Any], before: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return 1 - cosine of every row to that of before."""
    if after.shape[1] != before.shape[1]:
        raise NegmineValueError(
            f"`previous_embeddings` must be as wide as those of `encode`, {after.shape[1]}; got {before.shape[1]}."
        )
    pairs = np.repeat(np.arange(len(after))[:, None], 2, axis=1)
    turn: npt.NDArray[np.float64] = 1.0 - score_pairs(after, before, pairs)
    return turn


def _encode(
    encode: Encode,
    entries: Any,  # noqa: ANN401
    argument: str,
    batch_size: int,
    first: int,
    last: int,
) -> npt.NDArray[Any]:
    """Embed a range of entries, into memory of this process with a row for every entry."""
    if not callable(encode):
        raise NegmineTypeError(f"`{argument}` must be callable; got {type(encode).__name__}.")
    embeddings = np.empty((0, 0))
    for begin in range(first, last, batch_size):
        end = min(begin + batch_size, last)
        with torch.no_grad():
            found = encode(entries[begin:end])
        part = as_numpy(found.cpu() if isinstance(found, torch.Tensor) else found, argument)
        if begin == first:
            embeddings = np.empty((len(entries), part.shape[1]), dtype=part.dtype)
        if part.shape != (end - begin, embeddings.shape[1]):
            raise NegmineValueError(
                f"`{argument}` must give one row of {embeddings.shape[1]} numbers per entry; got shape "
                f"{part.shape} for the {end - begin} entries from {begin} on."
            )
        if part.dtype != embeddings.dtype:
            raise NegmineValueError(
                f"`{argument}` must give one dtype; got {part.dtype.name} for the entries from {begin} on, after "
                f"{embeddings.dtype.name}."
            )
        finite = np.isfinite(part).all(axis=1)
        if not finite.all():
            row = begin + int(np.argmin(finite))
            raise NegmineValueError(f"`{argument}` must give finite numbers; got NaN or infinity for entry {row}.")
        embeddings[begin:end] = part
    return embeddings
