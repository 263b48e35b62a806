"""Results of a search: the top documents per query, and the memory that a call takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Ids

__all__ = ["METRICS", "MemoryPlan", "Metric", "TopK", "take_labels"]

#: What scores measure; higher is closer under each: "l2" is minus the squared distance.
Metric = Literal["cosine", "ip", "l2"]

METRICS: tuple[Metric, ...] = ("cosine", "ip", "l2")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TopK:
    """The best documents of every query.

    Attributes
    ----------
    indices : int64 (n_queries, k)
        Row numbers of the documents, best first, ties by lower row, padded with -1.
    ids : int64 or str (n_queries, k)
        Labels of the documents, padded with -1 or ''; the indices where the index has no labels.
    scores : float32 (n_queries, k)
        Canonical scores rounded to float32, padded with -inf; unrounded as float64 where the search was asked for it.
    counts : int32 (n_queries,)
        Documents per query.
    """

    indices: npt.NDArray[np.int64]
    ids: Ids
    scores: npt.NDArray[np.float32] | npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]

    def __repr__(self) -> str:
        n_queries, k = self.indices.shape
        return f"TopK({n_queries} queries x {k}, {int(self.counts.sum())} documents)"


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a call takes.

    Attributes
    ----------
    packed_bytes, query_bytes, answer_bytes : int
        Bytes of packed documents, of query states and of the answer, held at a time beside the caller's arrays.
    queries_at_once : int
        Queries whose states are held at a time.
    passes : int
        How often the corpus is read and packed; 0 where it is kept packed.
    pruned_bytes : int
        Bytes of rotated documents at most, which are kept as well once calls are large enough for most coordinates of
        most documents to be left unread; 0 where the memory limit leaves no room for them.
    seconds : float
        Predicted from this machine's VNNI peak, measured on the spot; queries without near ties.
    """

    packed_bytes: int
    query_bytes: int
    answer_bytes: int
    queries_at_once: int
    passes: int
    pruned_bytes: int
    seconds: float

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.packed_bytes + self.query_bytes + self.answer_bytes + self.pruned_bytes


def take_labels(ids: Ids | None, indices: npt.NDArray[np.int64]) -> Ids:
    """Labels of the documents ``indices``; see :meth:`ExactIndex.label`."""
    if ids is None:
        return indices
    if ids.dtype.kind == "U":
        return np.append(ids, "")[indices]
    return np.append(ids, -1)[indices]
