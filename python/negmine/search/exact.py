"""Exact nearest-neighbor search under the canonical score.

The index stores int8 codes and error bounds, and refers to the caller's array for the embeddings themselves, so that a
corpus may be larger than memory and is never copied. Therefore the array must not change. Each score that is computed
again is compared with its bound, and a score outside the bound raises an error. A change so small that all scores stay
within their bounds is not detected; nor, where a memory limit or a scan by groups has documents packed again in every
call, is a change between calls that leaves the row finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import memmap
from negmine._core.arrays import as_rows
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Ids, as_ids
from negmine._core.options import check_choice, refuse_unknown_options
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.core_index import CoreIndex, check_memory_limit, score_by_query
from negmine.search.results import METRICS, Metric

__all__ = ["ExactIndex", "score_pairs"]

#: Number of documents packed at once; None for the core's own choice. Tests set it. Results never depend on it.
TILE_ROWS: int | None = None


class ExactIndex(CoreIndex):
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
        check_choice(metric, "metric", METRICS)
        self._rows = as_rows(corpus, "corpus")
        self._corpus = corpus
        document_ids = None if ids is None else as_ids(ids, "ids", self._rows.shape[0])
        limit = check_memory_limit(memory_limit)
        threads = resolve_num_threads(num_threads)
        native = _native.ExactIndex(self._rows, metric, TILE_ROWS, limit, threads, check_progress(progress))
        super().__init__(
            native,
            self._rows.shape,
            metric=metric,
            document_ids=document_ids,
            num_threads=num_threads,
            memory_limit=limit,
        )

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
        Embeddings of the queries, of the same types as for [`ExactIndex`][].
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
    return score_by_query(
        pairs, query_array.shape[0], lambda csr: _native.score_pairs(query_array, document_array, csr, *how)
    )


def _from_memmap(
    place: memmap.Layout, metric: Metric, ids: Ids | None, num_threads: int | None, memory_limit: int | None
) -> ExactIndex:
    """Map the file of a pickled index again and rebuild the index."""
    corpus = memmap.map_again(*place)
    return ExactIndex(corpus, metric=metric, ids=ids, num_threads=num_threads, memory_limit=memory_limit)
