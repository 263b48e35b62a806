"""Exact nearest-neighbor search under the canonical score.

The index stores int8 codes and error bounds, and refers to the caller's array for the embeddings themselves, so that a
corpus may be larger than memory and is never copied. Therefore the array must not change. Each score that is computed
again is compared with its bound, and a score outside the bound raises an error. A change so small that all scores stay
within their bounds is not detected; nor, where a memory limit or a scan by groups has documents packed again in every
call, is a change between calls that leaves the row finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import memmap
from negmine._core.arrays import Csr, CsrLike, as_array, as_rows, public_scores, refuse_beyond_int64
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, memory_errors, resolve_num_threads
from negmine._core.labels import Ids, as_ids
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import METRICS, MemoryPlan, Metric, TopK

__all__ = ["ExactIndex", "score_pairs"]

#: Number of documents packed at once; None for the core's own choice. Tests set it. Results never depend on it.
TILE_ROWS: int | None = None

#: Share of the VNNI peak that a whole call usually reaches, including rescoring and selection.
USUAL_SHARE = 0.7

Label = TypeVar("Label", bound=np.generic)


class ExactIndex:
    """Exact index over embeddings that stay in the caller's array.

    Parameters
    ----------
    corpus : array (n_documents, width)
        Embeddings of the documents: float32, float16, bfloat16, float64 (rounded to float32 once), int8 or uint8; NumPy
        arrays (including memory maps), CPU torch tensors or Arrow fixed-size lists; any strides. The index keeps a
        reference and reads the rows again whenever it scores them, so the array must not change. If the
        documents are kept packed, a change of a row that is scored is detected and raises an error.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer. Cosines lie in [-1, 1].
    ids : int64 or str (n_documents,), optional
        Unique labels of the documents; results have them in ``.ids``.
    num_threads : int, optional
        Number of threads of every call on this index, unless the call has its own. Default: all cores available to
        this process; 1 inside a DataLoader worker. Results never depend on it.
    memory_limit : int, optional
        Bytes of working memory in addition to the caller's arrays. The index keeps about 0.3 times the corpus's
        float32 bytes. Once calls are so large that most coordinates of most documents can be left unread, it keeps as
        much again. If this and the work of a call exceed the limit, the call streams the corpus tile by tile. A call
        that succeeds within a limit also succeeds within every higher limit. Results never depend on the limit.
        Default: no limit.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms while the index is built.

    Raises
    ------
    NegmineValueError
        An embedding holds NaN or infinity (the message names the row), the width is 0 or above 65,536, or labels are
        not unique.
    NegmineTypeError
        A type or dtype is not accepted.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.eye(3, dtype=np.float32)
    >>> negmine.ExactIndex(corpus).search(corpus[:1], k=2).indices.tolist()
    [[0, 1]]
    """

    #: Whether results are exact.
    exact = True

    @refuse_unknown_options("ExactIndex")
    def __init__(
        self,
        corpus: object,
        *,
        metric: Metric = "cosine",
        ids: npt.ArrayLike | None = None,
        num_threads: int | None = None,
        memory_limit: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.metric: Metric = check_choice(metric, "metric", METRICS)  # type: ignore[assignment]
        self._rows = as_rows(corpus, "corpus")
        self._corpus = corpus
        self._num_threads = num_threads
        self.document_ids: Ids | None = None if ids is None else as_ids(ids, "ids", self._rows.shape[0])
        self.memory_limit = (
            None if memory_limit is None else check_integer(memory_limit, "memory_limit", least=0, most=2**63 - 1)
        )
        self._native = _native.ExactIndex(
            self._rows,
            self.metric,
            TILE_ROWS,
            self.memory_limit,
            resolve_num_threads(num_threads),
            check_progress(progress),
        )

    def __len__(self) -> int:
        return self._rows.shape[0]

    @property
    def width(self) -> int:
        """Number of coordinates of an embedding."""
        return self._rows.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that the index keeps in addition to the caller's array; 0 if it streams the corpus."""
        return self._native.nbytes

    @property
    def native(self) -> _native.ExactIndex:
        """Index of the core."""
        return self._native

    @property
    def corpus(self) -> object:
        """The corpus as the caller passed it."""
        return self._corpus

    def __repr__(self) -> str:
        n, width = self._rows.shape
        order = "" if self._rows.order == "native" else f" {self._rows.order}"
        return f"ExactIndex({n} x {width}{order} {self._rows.kind}, metric={self.metric!r}, {self.nbytes} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        place = memmap.layout(self._corpus)
        if place is not None:
            return _from_memmap, (place, self.metric, self.document_ids, self._num_threads, self.memory_limit)
        raise NegmineTypeError(
            "`corpus` must be a memory map of a file for its index to be pickled; got "
            f"{type(self._corpus).__name__} in memory, which would be copied into every worker. Use numpy.memmap, or "
            "build the index where it is used; pools and negatives have `save` and `load`."
        )

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
        operations = 2.0 * n_queries * len(self) * self.width
        return MemoryPlan(
            packed,
            states,
            answer,
            at_once,
            passes,
            pruned,
            operations / (_native.vnni_gops() * 1e9 * USUAL_SHARE * threads),
        )

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
        return _score(pairs, query_array.shape[0], lambda csr: self._native.score_pairs(query_array, csr, threads))

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


@refuse_unknown_options("score_pairs")
def score_pairs(
    queries: object,
    documents: object,
    pairs: Positives | npt.ArrayLike,
    *,
    metric: Metric = "cosine",
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> npt.NDArray[np.float64]:
    """Compute the canonical scores of (query, document) pairs.

    Parameters
    ----------
    queries : array (n_queries, width)
        Embeddings of the queries, of the same types as for :class:`ExactIndex`.
    documents : array (n_documents, width)
        Embeddings of the documents, of the same types.
    pairs : int64 (n_pairs, 2) or Positives
        Rows of queries and documents, in any order; pairs may repeat.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms.

    Returns
    -------
    float64 (n_pairs,)
        The scores, in the order of the pairs. Cosines are clamped to [-1, 1].

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid or a row is out of range; the message names the argument.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [3, 4]], dtype=np.float32)
    >>> negmine.score_pairs(corpus, corpus, [[0, 0], [0, 1]]).tolist()
    [1.0, 0.6]
    """
    query_array, document_array = as_rows(queries, "queries"), as_rows(documents, "documents")
    metric_name = check_choice(metric, "metric", METRICS)
    how = (metric_name, resolve_num_threads(num_threads), check_progress(progress))
    if query_array.shape[1] != document_array.shape[1]:
        raise NegmineValueError(
            f"`documents` must be as wide as the queries, {query_array.shape[1]}; got width {document_array.shape[1]}."
        )
    return _score(pairs, query_array.shape[0], lambda csr: _native.score_pairs(query_array, document_array, csr, *how))


def _score(
    pairs: Positives | npt.ArrayLike, n_queries: int, score: Callable[[CsrLike], npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Score pairs by a function that takes a list of documents per query."""
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


def _from_memmap(
    place: memmap.Layout, metric: Metric, ids: Ids | None, num_threads: int | None, memory_limit: int | None
) -> ExactIndex:
    """Map the file of a pickled index again and rebuild the index."""
    corpus = memmap.map_again(*place)
    return ExactIndex(corpus, metric=metric, ids=ids, num_threads=num_threads, memory_limit=memory_limit)
