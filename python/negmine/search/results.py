"""Results of a search: the top documents per query, and the predicted memory of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, LabelArray, Labeled

__all__ = ["METRICS", "MemoryPlan", "Metric", "RecallAudit", "TopK"]

#: Similarity measure of the scores; a higher score means closer: "l2" is minus the squared distance.
Metric = Literal["cosine", "ip", "l2"]

METRICS: tuple[Metric, ...] = ("cosine", "ip", "l2")


@dataclass(frozen=True, slots=True)
class RecallAudit:
    """Measured recall of an approximate index, against the exact search.

    Attributes
    ----------
    k : int
        Documents per query.
    ef_search : int
        Length of the candidate list of the graph search.
    n_queries : int
        Number of queries that were searched.
    recall : float
        Mean over queries of the share of the ``k`` exact documents that the index found.
    standard_error : float
        Standard error of the mean; NaN for a single query.
    seconds_per_query, exact_seconds_per_query : float
        Time of the search in the index, and of the exact search after its corpus was packed.
    """

    k: int
    ef_search: int
    n_queries: int
    recall: float
    standard_error: float
    seconds_per_query: float
    exact_seconds_per_query: float

    def __str__(self) -> str:
        return f"recall@{self.k} {self.recall:.4f} measured on {self.n_queries} queries at ef_search={self.ef_search}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TopK(Labeled):
    """The top documents of every query.

    Attributes
    ----------
    indices : int64 (n_queries, k)
        Row numbers of the documents, best first, ties by lower row, padded with -1.
    scores : float32 (n_queries, k)
        Canonical scores rounded to float32, padded with -inf; not rounded if the search had ``dtype="float64"``.
    counts : int32 (n_queries,)
        Number of documents per query.
    document_ids : int64 (n_documents,), Strings or None
        Labels of all documents of the index.
    exact : bool
        Whether these are the exact top documents.
    audit : RecallAudit or None
        Recall that was measured for the index before the search; None if none was, and if the search is exact.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32] | npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]
    document_ids: Ids | None = None
    exact: bool = True
    audit: RecallAudit | None = None
    _ids: LabelArray | None = field(default=None, init=False)

    def __repr__(self) -> str:
        n_queries, k = self.indices.shape
        recall = "" if self.exact else f", approximate: {self.audit or 'recall not measured'}"
        return f"TopK({n_queries} queries x {k}, {int(self.counts.sum())} documents{recall})"


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Predicted memory and time of a call.

    Attributes
    ----------
    packed_bytes, query_bytes, answer_bytes : int
        Bytes of packed documents, of query states and of the result that are held at the same time, in addition to the
        caller's arrays.
    queries_at_once : int
        Number of queries whose states are held at the same time.
    passes : int
        Number of times that the corpus is read and packed; 0 if it is kept packed.
    pruned_bytes : int
        Maximum bytes of rotated documents. They are kept as well once calls are so large that most coordinates of most
        documents can be left unread; 0 if the memory limit has no room for them.
    seconds : float
        Predicted time for queries without near ties, computed from the measured VNNI peak of this machine; for shards,
        also from the measured rate of reading and the measured speed of earlier scans.
    read_bytes : int
        Bytes of packed documents that are read from files, in all passes; 0 for an index that reads no files. The rows
        of documents that are scored again come in addition.
    """

    packed_bytes: int
    query_bytes: int
    answer_bytes: int
    queries_at_once: int
    passes: int
    pruned_bytes: int
    seconds: float
    read_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """Sum of all bytes."""
        return self.packed_bytes + self.query_bytes + self.answer_bytes + self.pruned_bytes
