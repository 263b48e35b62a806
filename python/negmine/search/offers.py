"""The core's per-query states, offered to a first pass other than the core's own scan.

A first pass computes an interval that holds the score of a (query, document) pair, on a GPU or on another machine, and
offers the pairs that it cannot rule out. The states keep what may still be in the answer, score it canonically, and
return the same pools as :meth:`negmine.ExactIndex.candidates`, to the bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_float64s, as_int64s, as_rows
from negmine._core.calls import resolve_num_threads
from negmine._core.options import refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.search.request import PoolArrays, PoolRequest

__all__ = ["Offers"]


class Offers:
    """Collects the candidates that a first pass cannot rule out, and ends in exact candidate pools.

    Every pair that may be in the answer must be offered once, in any order, with an interval that holds its canonical
    score. Pairs whose score lies below the query's threshold need not be offered, and pairs that the rules exclude may
    be: they are passed over.

    Parameters
    ----------
    index : ExactIndex
        The documents.
    queries : array (n_queries, width)
        Types as for :class:`negmine.ExactIndex`.
    request : PoolRequest
        Rules, caps and ranks.
    num_threads : int, optional
        Threads of every call. Default: the index's.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        Arrays that do not fit each other, or a type that is not accepted.

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
        self, index: ExactIndex, queries: object, request: PoolRequest, *, num_threads: int | None = None
    ) -> None:
        if not isinstance(index, ExactIndex):
            raise NegmineTypeError(f"`index` must be an ExactIndex; got {type(index).__name__}.")
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
        """Return the score below which a document is of no use to each query.

        Thresholds only rise, as documents are offered.

        Returns
        -------
        float64 (n_queries,)
            -inf where every document may still be in the answer, +inf where none is needed.
        """
        return self._open().thresholds()

    def offer(
        self,
        query_indices: npt.ArrayLike,
        document_indices: npt.ArrayLike,
        low: npt.ArrayLike,
        high: npt.ArrayLike,
    ) -> None:
        """Offer documents that may be in the answer.

        Parameters
        ----------
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents; each pair at most once over all calls.
        low, high : float64 (n,)
            An interval that holds the canonical score, ends included; NaN where nothing is known.

        Raises
        ------
        NegmineValueError
            A row out of range, or arrays of different lengths.
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
        """Score what may still be in the answer, and return the pools; no call may follow.

        Returns
        -------
        PoolArrays
            As of :meth:`negmine.ExactIndex.candidates` under the same request.

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
