"""From the arguments of a mining call to the rules of its request."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, Ids, Rows, as_array, as_labels, as_rows, describe_kind, find_labels
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.mining.pool import CandidatePool
from negmine.search.exact import ExactIndex, score_pairs

__all__ = ["csr_of", "rows_of_warm_start", "scores_of_outside_positives", "self_rows"]


def csr_of(lists: Positives | None) -> Csr | None:
    """Lists of rows without grades, scores and embeddings."""
    return None if lists is None else Csr(lists.offsets, lists.items)


def scores_of_outside_positives(
    index: ExactIndex, queries: object, positives: Positives
) -> npt.NDArray[np.float64] | None:
    """Scores of positives outside the corpus, NaN for the others."""
    if positives.embeddings is None:
        return positives.scores
    width = as_rows(queries, "queries").shape[1]
    if positives.embeddings.shape[1] != width:
        raise NegmineValueError(
            f"`positive_embeddings` must be as wide as the queries, {width}; got width {positives.embeddings.shape[1]}."
        )
    outside = positives.items == -1
    pairs = np.stack([positives.queries()[outside], np.arange(int(outside.sum()))], axis=1)
    scores = np.full(len(positives.items), np.nan)
    scores[outside] = score_pairs(queries, positives.embeddings, pairs, metric=index.metric)
    return scores


def rows_of_warm_start(
    warm: CandidatePool | HardNegatives | npt.NDArray[np.int64] | None, n_queries: int, offset: int
) -> npt.NDArray[np.int64] | None:
    """Earlier rows per query, padded with -1; several result rows of a query are put side by side."""
    if warm is None:
        return None
    if isinstance(warm, CandidatePool | HardNegatives):
        query = warm.query_indices - offset
        known = (query >= 0) & (query < n_queries)
        query, rows = query[known], warm.indices[known]
        turn = np.arange(len(query)) - np.searchsorted(query, query)
        turns, width = int(turn.max(initial=0)) + 1, rows.shape[1]
        side_by_side = np.full((n_queries, turns, width), -1, dtype=np.int64)
        side_by_side[query, turn] = rows
        return side_by_side.reshape(n_queries, turns * width)
    array = as_array(warm, "warm_start")
    if (array.dtype.kind not in "iu" and array.size) or array.ndim != 2 or len(array) != n_queries:
        raise NegmineValueError(
            f"`warm_start` must hold rows, of shape ({n_queries}, any); got {array.dtype.name} {array.shape}."
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def self_rows(
    corpus_array: Rows, document_ids: Ids | None, query_array: Rows, query_ids: npt.ArrayLike | None, offset: int
) -> npt.NDArray[np.int64]:
    """Document row of every query itself, -1 where it is none, as ``exclude_self`` asks for it."""
    n = query_array.shape[0]
    if query_ids is not None:
        if document_ids is None:
            raise NegmineValueError(
                "`exclude_self` with `query_ids` must have labels of the documents too, the index's `ids`; got none."
            )
        wanted = as_labels(query_ids, "query_ids")
        if wanted.shape != (n,):
            raise NegmineValueError(f"`query_ids` must have shape ({n},); got shape {wanted.shape}.")
        if len(wanted) and len(document_ids) and wanted.dtype.kind != document_ids.dtype.kind:
            raise NegmineValueError(
                f"`query_ids` must be of the type of the documents' labels, {describe_kind(document_ids)}; "
                f"got {describe_kind(wanted)}."
            )
        return find_labels(wanted, document_ids)
    if _is_slice(corpus_array, query_array, offset):
        return np.arange(offset, offset + n, dtype=np.int64)
    raise NegmineValueError(
        "`exclude_self` must have `query_ids` and labels of the documents, or queries that are rows of the corpus "
        f"from row `query_offset` on; got separate queries with query_offset={offset}."
    )


def _is_slice(corpus: Rows, queries: Rows, offset: int) -> bool:
    """Whether the queries are rows ``offset`` and on of the corpus, in the same memory."""
    a, b = corpus.array, queries.array
    if corpus.kind != queries.kind or a.shape[1] != b.shape[1] or offset + len(b) > len(a):
        return False
    start = a.__array_interface__["data"][0] + offset * a.strides[0]
    # Of a single row the first stride says nothing, and neither does that of a single column. Elements that are read
    # byte by byte, as the rows of a packed record may be, have a stride of their own behind these.
    same = (len(b) == 1 or a.strides[0] == b.strides[0]) and (a.shape[1] == 1 or a.strides[1] == b.strides[1])
    return bool(len(b) == 0 or (b.__array_interface__["data"][0] == start and same))
