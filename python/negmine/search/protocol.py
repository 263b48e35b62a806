"""Protocols of a search: what the miner and other users require of an index.

A `Searcher` finds the top documents of queries. A `CandidateSource` provides candidate pools to the miner. `ExactIndex`
implements both exactly, and `HnswIndex` approximately. [`negmine.testing.check_candidate_source`][] checks whether a
class is a valid candidate source.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from negmine._core.calls import Progress
from negmine._core.labels import Ids
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import Metric, TopK

__all__ = ["CandidateSource", "Searcher", "check_source"]


@runtime_checkable
class Searcher(Protocol):
    """Protocol of an index that finds the top documents of queries.

    Attributes
    ----------
    metric : {"cosine", "ip", "l2"}
        Similarity measure of the scores; a higher score means closer.
    document_ids : int64 or str (n_documents,) or None
        Labels of the documents.
    exact : bool
        Whether results are exact. An approximate searcher says the recall that was measured for it in
        ``audit`` of [`TopK`][], and in ``approximation`` of [`PoolArrays`][] as a candidate source.
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
        """Find the top ``k`` documents of every query.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries.
        k : int
            Documents per query.
        exclude : Positives or one list of rows per query, optional
            Document rows per query that are never returned.
        max_score : float, optional
            Documents that score above this are not returned; an equal score is.
        eligible : Eligibility, optional
            Keys and ranges; documents outside the range of a query are not returned.
        dtype : {"float32", "float64"}, default "float32"
            Type of the scores. "float64" returns canonical scores, to merge results of several indexes.
        num_threads : int, optional
            Number of threads. Default: that of the searcher.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        TopK
        """


@runtime_checkable
class CandidateSource(Protocol):
    """Protocol of a source of candidate pools and of scores of pairs, which the miner needs.

    A source may have no embeddings, for example if it holds the result lists of another system. ``queries`` is then
    None, which means all of its lists in order, or an int64 array of list numbers.

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

        Rank order is score descending, then document row ascending. Only ranks ``[range_min, range_max)`` of the
        request are returned. Rows are padded with -1 and -inf, and ``counts`` holds the number of documents per row.

        Parameters
        ----------
        queries : array (n_queries, width), int64 (n_queries,) or None
            Embeddings of the queries; list numbers or None for a source without embeddings.
        request : PoolRequest
            Rules, caps and ranks.
        num_threads : int, optional
            Number of threads. Default: that of the source.
        progress : callable, optional
            Called as ``progress(done, total)``.

        Returns
        -------
        PoolArrays
        """

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the score of every (query, document) pair.

        Parameters
        ----------
        queries : array (n_queries, width), int64 (n_queries,) or None
            Queries, as for [`candidates`][].
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents, in any order.

        Returns
        -------
        float64 (n,)
            The scores, in the order of the pairs; NaN for a pair whose score the source does not have.
        """


def check_source(source: object) -> CandidateSource:
    """Validate a candidate source.

    Parameters
    ----------
    source : object
        The argument.

    Returns
    -------
    CandidateSource
        The argument itself.

    Raises
    ------
    NegmineTypeError
        The argument is not a `CandidateSource`.
    """
    if not isinstance(source, CandidateSource):
        raise NegmineTypeError(
            f"`source` must be an ExactIndex or another CandidateSource; got {type(source).__name__}."
        )
    return source
