"""Exact candidate pools from a first pass other than the core's own scan.

A first pass, for example on a GPU or on another machine, computes an interval that contains the score of a (query,
document) pair, and offers the pairs that it cannot rule out. The core keeps the pairs that may still be in the result,
computes their canonical scores, and returns the same pools as [`negmine.ExactIndex.candidates`][], bit for bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_float64s, as_int64s, as_rows
from negmine._core.calls import resolve_num_threads
from negmine._core.options import refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.core_index import CoreIndex
from negmine.search.request import PoolArrays, PoolRequest

__all__ = ["Offers"]


class Offers:
    """Collector of the candidates that a first pass cannot rule out, which returns exact candidate pools.

    Every pair that may be in the result must be offered once, in any order, with an interval that contains its
    canonical score. Pairs that score below the threshold of the query need not be offered. Pairs that the rules exclude
    may be offered; they are ignored.

    Parameters
    ----------
    index : ExactIndex or ShardedIndex
        The documents.
    queries : array (n_queries, width)
        Embeddings of the queries, of the same types as for [`negmine.ExactIndex`][].
    request : PoolRequest
        Rules, caps and ranks.
    num_threads : int, optional
        Number of threads of every call. Default: that of the index.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        Arrays do not fit each other, or a type is not accepted.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> from negmine.search import Offers, PoolRequest
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> index = negmine.ExactIndex(corpus)
    >>> pool = negmine.HardNegativeMiner(2).candidates(index, corpus[:1], [[0]])
    >>> offers = Offers(index, corpus[:1], negmine.HardNegativeMiner(2).request(pool.rules))
    >>> unknown = np.full(4, np.nan)
    >>> offers.offer([0, 0, 0, 0], [0, 1, 2, 3], unknown, unknown)
    >>> offers.finish().indices.tolist()
    [[1, 2]]
    """

    @refuse_unknown_options("Offers")
    def __init__(
        self, index: CoreIndex, queries: object, request: PoolRequest, *, num_threads: int | None = None
    ) -> None:
        if not isinstance(index, CoreIndex):
            raise NegmineTypeError(f"`index` must be an ExactIndex or a ShardedIndex; got {type(index).__name__}.")
        if not isinstance(request, PoolRequest):
            raise NegmineTypeError(f"`request` must be a PoolRequest; got {type(request).__name__}.")
        self._index = index
        self._threads = index.threads(resolve_num_threads(num_threads) if num_threads is not None else None)
        self._queries = queries
        self._n_queries = as_rows(queries, "queries").shape[0]
        self._native: _native.Offers | None = _native.Offers(
            index.native, as_rows(queries, "queries"), request, self._threads
        )

    def thresholds(self) -> npt.NDArray[np.float64]:
        """Return, per query, the score below which a document cannot be in the result.

        Thresholds never decrease while documents are offered.

        Returns
        -------
        float64 (n_queries,)
            The thresholds: -inf if every document may still be in the result, +inf if no document is needed.
        """
        return self._open().thresholds()

    def offer(
        self,
        query_indices: npt.ArrayLike,
        document_indices: npt.ArrayLike,
        low: npt.ArrayLike,
        high: npt.ArrayLike,
    ) -> None:
        """Offer documents that may be in the result.

        Parameters
        ----------
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents; each pair at most once over all calls.
        low, high : float64 (n,)
            Ends of an interval that contains the canonical score; the ends are included, and NaN means unknown.

        Raises
        ------
        NegmineValueError
            A row is out of range, or arrays have different lengths.
        CorpusChangedError
            A score that had to be computed lies outside its interval: the interval is wrong, or the corpus changed.
        """
        queries = as_int64s(query_indices, "query_indices")
        n = len(queries)
        documents = as_int64s(document_indices, "document_indices", n)
        for name, rows, most in (
            ("query_indices", queries, self._n_queries),
            ("document_indices", documents, len(self._index)),
        ):
            if n and (rows.min() < 0 or rows.max() >= most):
                bad = rows.min() if rows.min() < 0 else rows.max()
                raise NegmineValueError(f"`{name}` must hold rows below {most}; got {bad}.")
        self._open().offer(queries, documents, as_float64s(low, "low", n), as_float64s(high, "high", n), self._threads)

    def finish(self) -> PoolArrays:
        """Score the pairs that may still be in the result, and return the pools; no call may follow.

        Returns
        -------
        PoolArrays
            The result of [`negmine.ExactIndex.candidates`][] under the same request.

        Raises
        ------
        CorpusChangedError
            A score lies outside its interval.
        """
        native = self._open()
        self._native = None
        return PoolArrays.of_core(native.finish(self._threads), self._index.native.zero_rows)

    def _open(self) -> _native.Offers:
        if self._native is None:
            raise NegmineValueError("`Offers` must not be used after `finish`; make new ones.")
        return self._native
