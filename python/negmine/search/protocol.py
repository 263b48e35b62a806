"""What the miner and other users of a search ask of it, as protocols.

A `Searcher` finds the top documents of queries; a `CandidateSource` gives the miner its candidate pools. `ExactIndex`
is both. :func:`negmine.testing.check_candidate_source` holds any class to the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Ids
from negmine._core.calls import Progress
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import Metric, TopK

__all__ = ["CandidateSource", "Searcher"]


@runtime_checkable
class Searcher(Protocol):
    """Finds the top documents of queries.

    Attributes
    ----------
    metric : {"cosine", "ip", "l2"}
        What the scores are; higher is closer under each.
    document_ids : int64 or str (n_documents,) or None
        Labels of the documents.
    exact : bool
        Whether the answer is exact; an approximate searcher reports its measured recall elsewhere.
    """

    metric: Metric
    document_ids: Ids | None
    exact: bool

    def __len__(self) -> int:
        """Return the number of documents."""

    def search(
        self,
        queries: object,
        k: int,
        *,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        max_score: float | None = None,
        eligible: Eligibility | None = None,
        dtype: Literal["float32", "float64"] = "float32",
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> TopK:
        """Find the top ``k`` documents of every query; with ``dtype="float64"``, scores are canonical, for merges."""


@runtime_checkable
class CandidateSource(Protocol):
    """Gives candidate pools to the miner, and scores of pairs.

    A source may have no embeddings, such as lists of another system: ``queries`` is then None, which means all of its
    lists in order, or an int64 array of list numbers.

    Attributes
    ----------
    document_ids : int64 or str (n_documents,) or None
        Labels of the documents.
    """

    document_ids: Ids | None

    def __len__(self) -> int:
        """Return the number of documents."""

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        """Return, per result row, the candidates that pass the request's rules and caps, in rank order.

        Rank order is score descending, then document row ascending. ``request.range_min`` and ``range_max`` cut the
        ranks; rows are padded with -1 and -inf, and ``counts`` says how many documents a row has.
        """

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the score of every (query, document) pair: float64 (n,), NaN where the source does not know it."""
