"""What the indexes on the core's exact scan have in common: search, candidate pools and scores of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, CsrLike, as_array, as_rows, public_scores, refuse_beyond_int64
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, memory_errors, resolve_num_threads
from negmine._core.labels import Ids
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import MemoryPlan, Metric, TopK

__all__ = ["CoreIndex", "check_memory_limit", "score_by_query"]

#: Share of the VNNI peak that a whole call usually reaches, including rescoring and selection.
USUAL_SHARE = 0.7


class CoreIndex:
    """Base class of [`negmine.ExactIndex`][] and [`negmine.ShardedIndex`][].

    Parameters
    ----------
    native : _native.ExactIndex
        Index of the core.
    shape : tuple of (int, int)
        Number of documents, and width of an embedding.
    metric : {"cosine", "ip", "l2"}
        Similarity measure of the scores.
    document_ids : int64 or str (n_documents,) or None
        Labels of the documents.
    num_threads : int or None
        Number of threads of a call without its own.
    memory_limit : int or None
        Bytes of working memory.
    """

    #: Whether results are exact.
    exact = True

    def __init__(
        self,
        native: _native.ExactIndex,
        shape: tuple[int, int],
        *,
        metric: Metric,
        document_ids: Ids | None,
        num_threads: int | None,
        memory_limit: int | None,
    ) -> None:
        self._native = native
        self._shape = shape
        self.metric: Metric = metric
        self.document_ids: Ids | None = document_ids
        self._num_threads = num_threads
        self.memory_limit = memory_limit

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def width(self) -> int:
        """Number of coordinates of an embedding."""
        return self._shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that the index keeps in memory in addition to the caller's arrays; 0 if it streams the corpus."""
        return self._native.nbytes

    @property
    def native(self) -> _native.ExactIndex:
        """Index of the core."""
        return self._native

    @refuse_unknown_options("plan")
    def plan(self, n_queries: int, k: int, *, num_threads: int | None = None) -> MemoryPlan:
        """Predict the memory and time of a search or a mining call, without running it.

        Parameters
        ----------
        n_queries : int
            Number of queries, or of result rows.
        k : int
            Documents per query; for mining, ``range_max``.
        num_threads : int, optional
            Number of threads of the call. Default: that of the index.

        Returns
        -------
        MemoryPlan

        Raises
        ------
        MemoryLimitError
            The call cannot be done within ``memory_limit``; the message says how many bytes it needs.
        """
        n_queries, k = check_integer(n_queries, "n_queries", least=0), check_integer(k, "k", least=0)
        threads = self.threads(num_threads)
        packed, states, answer, at_once, passes, pruned = self._native.plan(n_queries, k, threads)
        read_bytes, seconds = self.predict_work(n_queries, passes, threads)
        return MemoryPlan(packed, states, answer, at_once, passes, pruned, seconds, read_bytes)

    def predict_work(self, n_queries: int, passes: int, threads: int) -> tuple[int, float]:
        """Predict what a call reads from files, and how long it takes.

        Parameters
        ----------
        n_queries : int
            Number of queries.
        passes : int
            Number of times that the corpus is read.
        threads : int
            Number of threads.

        Returns
        -------
        tuple of (int, float)
            Bytes and seconds.
        """
        operations = 2.0 * n_queries * len(self) * self.width
        return 0, operations / (_native.vnni_gops() * 1e9 * USUAL_SHARE * threads)

    @refuse_unknown_options("search")
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
        """Find the best ``k`` documents of every query, exactly.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        k : int
            Documents per query, at least 0; fewer are returned only if fewer exist.
        exclude : Positives or one list of rows per query, optional
            Document rows per query that are never returned.
        max_score : float, optional
            Documents that score above this are not returned; an equal score is. Default: no cap.
        eligible : Eligibility, optional
            Keys and ranges; documents outside the range of a query are not returned.
        dtype : {"float32", "float64"}, default "float32"
            Type of the scores. "float64" returns canonical scores, to merge results of several indexes.
        num_threads : int, optional
            Number of threads. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.

        Returns
        -------
        TopK

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), the width differs from that of the corpus,
            or a row is out of range.
        MemoryLimitError
            The result does not fit in memory, or the call does not fit in ``memory_limit``.
        NegmineTypeError
            A type or dtype is not accepted.
        CorpusChangedError
            The corpus has changed since the index was built.
        """
        query_array = as_rows(queries, "queries")
        k = check_integer(k, "k", least=0)
        check_choice(dtype, "dtype", ("float32", "float64"))
        enough = f"The index holds {len(self)} documents: a higher `k` only adds padding." if k > len(self) else ""
        ensure_fits_in_memory(query_array.shape[0], k, "k", instead=enough)
        cap = None if max_score is None else check_real(max_score, "max_score")
        with memory_errors("k"):
            indices, scores, counts = self._native.search(
                query_array,
                k,
                None if exclude is None else Positives.read(exclude, "exclude"),
                cap,
                check_eligible(eligible),
                self.threads(num_threads),
                check_progress(progress),
            )
            public = public_scores(scores) if dtype == "float32" else scores
            return TopK(indices, public, counts, self.document_ids)

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        """Scan the corpus once for the candidate pools that a miner requests.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        request : PoolRequest
            Rules, caps and ranks.
        num_threads : int, optional
            Number of threads. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.

        Returns
        -------
        PoolArrays

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), or arrays do not fit each other.
        CorpusChangedError
            The corpus has changed since the index was built.
        """
        with memory_errors("range_max"):
            arrays = self._native.candidates(
                as_rows(queries, "queries"), request, self.threads(num_threads), check_progress(progress)
            )
            return PoolArrays.of_core(arrays, self._native.zero_rows)

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the canonical scores of (query, document) pairs.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents, in any order.

        Returns
        -------
        float64 (n,)
            The scores, in the order of the pairs.

        Raises
        ------
        NegmineValueError
            A query holds NaN or infinity, or a row is out of range; the message names the row.
        CorpusChangedError
            A document has changed since the index was built.
        """
        query_array, threads = as_rows(queries, "queries"), self.threads(None)
        pairs = np.stack([query_indices, document_indices], axis=1)
        return score_by_query(
            pairs, query_array.shape[0], lambda csr: self._native.score_pairs(query_array, csr, threads)
        )

    def threads(self, num_threads: int | None) -> int:
        """Return the number of threads of a call.

        Parameters
        ----------
        num_threads : int or None
            The call's own number; None for that of the index, or the default if the index has none.

        Returns
        -------
        int
            At least 1.
        """
        return resolve_num_threads(self._num_threads if num_threads is None else num_threads)


def check_memory_limit(value: int | None) -> int | None:
    """Validate ``memory_limit``.

    Parameters
    ----------
    value : int or None
        Bytes, or None for no limit.

    Returns
    -------
    int or None
    """
    return None if value is None else check_integer(value, "memory_limit", least=0, most=2**63 - 1)


def score_by_query(
    pairs: Positives | npt.ArrayLike, n_queries: int, score: Callable[[CsrLike], npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Score pairs by a function that takes a list of documents per query.

    Parameters
    ----------
    pairs : Positives or int64 (n_pairs, 2)
        Rows of queries and documents, in any order; pairs may repeat.
    n_queries : int
        Number of queries.
    score : callable
        Returns the scores of a list of documents per query, in CSR order.

    Returns
    -------
    float64 (n_pairs,)
        The scores, in the order of the pairs.

    Raises
    ------
    NegmineValueError
        The pairs have another type or shape, or a row of a query is out of range.
    """
    if isinstance(pairs, Positives):
        return score(pairs)
    array = as_array(pairs, "pairs")
    if array.size == 0:
        array = array.astype(np.int64).reshape(0, 2)
    if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != 2:
        raise NegmineValueError(f"`pairs` must be integers of shape (n, 2); got {array.dtype.name} {array.shape}.")
    refuse_beyond_int64(array, "pairs")
    query = array[:, 0]
    if len(query) and (query.min() < 0 or query.max() >= n_queries):
        raise NegmineValueError(
            f"`pairs` must hold query rows below {n_queries}; "
            f"got {query.max() if query.max() >= n_queries else query.min()}."
        )
    order = np.argsort(query, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=n_queries))]).astype(np.int64)
    scores = np.empty(len(array), dtype=np.float64)
    scores[order] = score(Csr(offsets, np.ascontiguousarray(array[order, 1], dtype=np.int64)))
    return scores
