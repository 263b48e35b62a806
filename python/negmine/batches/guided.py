"""In-batch false negatives by the scores of a guide model (GISTEmbed; Solatorio, 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, Rows, as_int64s, as_rows, refuse_not_finite
from negmine._core.calls import ensure_fits_in_memory, resolve_num_threads
from negmine._core.options import check_choice, check_real, refuse_unknown_options
from negmine.batches.plan import Array
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.search import request
from negmine.search.exact import ExactIndex, score_pairs
from negmine.search.results import METRICS, Metric

__all__ = ["Block", "guided_mask", "guided_pairs"]

#: What is compared: queries with documents, queries with each other, or the queries' targets with documents.
Block = Literal["query-document", "query-query", "document-document"]

BLOCKS = ("query-document", "query-query", "document-document")

#: Pairs that are scored, or ranks that are searched, at once. Results never depend on it.
AT_ONCE = 1 << 21

#: Documents per row that a search asks for first; rows that have more are searched again for eight times as many.
FIRST_DEPTH = 64

#: Alternative that the message of a mask that does not fit in memory names.
_INSTEAD = "Use `guided_pairs`, which returns the same result as a sparse list."


@dataclass(frozen=True, slots=True, eq=False)
class _Guide:
    """A block of scores, and the score per row above which they do not count."""

    rows: npt.NDArray[np.generic]
    columns: npt.NDArray[np.generic]
    limits: npt.NDArray[np.float64]
    #: Column of every row that does not depend on its score, and what it is.
    own: Array
    own_counts: bool
    metric: Metric
    threads: int


@refuse_unknown_options("guided_mask")
def guided_mask(
    guide_queries: object,
    guide_documents: object,
    *,
    kind: Literal["absolute", "relative"] = "absolute",
    margin: float = 0.0,
    target: npt.ArrayLike | None = None,
    block: Block = "query-document",
    metric: Metric = "cosine",
    num_threads: int | None = None,
) -> npt.NDArray[np.bool_]:
    """Return a mask of the documents that a guide model scores above a query's target: likely false negatives.

    The guide is another model, usually a larger one, whose embeddings of the same queries and documents are given. A
    score that equals the limit counts: a second copy of the target scores exactly as the target and is not masked
    without a margin, so combine the mask with that of [`false_negative_mask`][] by ``|``.

    Parameters
    ----------
    guide_queries : array (n_queries, width)
        The guide's embeddings of the queries, of the same types as for [`ExactIndex`][].
    guide_documents : array (n_documents, width)
        The guide's embeddings of the documents: the targets, and hard negatives or documents of other ranks if any.
    kind : {"absolute", "relative"}, default "absolute"
        Whether a query whose target scores t has the limit ``t - margin`` or ``t - |t| * margin``.
    margin : float, default 0.0
        Distance of the limit below the target's score, at least 0.
    target : int64 (n_queries,), optional
        Column of every query's target among the documents. Default: that of the query's own number.
    block : {"query-document", "query-query", "document-document"}, default "query-document"
        What is compared with the limit of a row: the query with every document, the query with every query, or the
        query's target with every document.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the guide; a higher score means closer.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process. Results never depend on it.

    Returns
    -------
    bool (n_queries, n_documents or n_queries)
        True if the document, or the other query, must not count as a negative of the row's query: its canonical
        float64 score is greater than the limit. The target's own column is False under "query-document"; what is
        compared with itself, the query under "query-query" and the target under "document-document", is True.

    Raises
    ------
    NegmineValueError
        An embedding holds NaN or infinity, widths differ, a target is out of range, or the margin is below 0.
    NegmineTypeError
        An argument has a type that is not accepted.
    MemoryLimitError
        The mask would not fit in memory; [`guided_pairs`][] returns the same result as a sparse list.

    Notes
    -----
    Solatorio ("GISTEmbed: guided in-sample selection of training negatives for text embedding fine-tuning", 2024).
    Polarity is that of [`false_negative_mask`][], the opposite of a mask of what is kept. The released code masks a
    text's similarity with itself only because it is above the limit; here it is masked always.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> queries = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> documents = np.array([[0.6, 0.8], [0.8, 0.6], [1.0, 0.0]])
    >>> negmine.batches.guided_mask(queries, documents).astype(int).tolist()
    [[0, 1, 1], [1, 0, 0]]
    """
    guide = _guide(guide_queries, guide_documents, kind, margin, target, block, metric, num_threads)
    n_rows, n_columns = len(guide.rows), len(guide.columns)
    ensure_fits_in_memory(n_rows, n_columns, "guide_documents", entry=1, instead=_INSTEAD)
    mask = np.empty((n_rows, n_columns), dtype=np.bool_)
    step = max(1, AT_ONCE // max(n_columns, 1))
    for begin in range(0, n_rows, step):
        rows = guide.rows[begin : begin + step]
        all_columns = np.tile(np.arange(n_columns), len(rows))
        every = Positives(np.arange(len(rows) + 1) * n_columns, all_columns)
        scores = score_pairs(rows, guide.columns, every, metric=guide.metric, num_threads=guide.threads)
        limits = guide.limits[begin : begin + step, None]
        np.greater(scores.reshape(len(rows), n_columns), limits, out=mask[begin : begin + step])
    mask[np.arange(n_rows), guide.own] = guide.own_counts
    return mask


@refuse_unknown_options("guided_pairs")
def guided_pairs(
    guide_queries: object,
    guide_documents: object,
    *,
    kind: Literal["absolute", "relative"] = "absolute",
    margin: float = 0.0,
    target: npt.ArrayLike | None = None,
    block: Block = "query-document",
    metric: Metric = "cosine",
    num_threads: int | None = None,
) -> tuple[Array, Array]:
    """Return the result of [`guided_mask`][] as a sparse list, for whole data sets with few masked documents.

    Rows are searched in an [`ExactIndex`][], a block at a time, so that memory is that of the index and of the
    result.

    Parameters
    ----------
    guide_queries : array (n_queries, width)
        The guide's embeddings of the queries.
    guide_documents : array (n_documents, width)
        The guide's embeddings of the documents.
    kind : {"absolute", "relative"}, default "absolute"
        Whether a query whose target scores t has the limit ``t - margin`` or ``t - |t| * margin``.
    margin : float, default 0.0
        Distance of the limit below the target's score, at least 0.
    target : int64 (n_queries,), optional
        Column of every query's target among the documents. Default: that of the query's own number.
    block : {"query-document", "query-query", "document-document"}, default "query-document"
        What is compared with the limit of a row.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the guide; a higher score means closer.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process. Results never depend on it.

    Returns
    -------
    offsets : int64 (n_queries + 1,)
        The masked columns of row ``i`` are ``columns[offsets[i]:offsets[i + 1]]``.
    columns : int64 (n,)
        Masked columns, in ascending order per row.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> queries = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> documents = np.array([[0.6, 0.8], [0.8, 0.6], [1.0, 0.0]])
    >>> [part.tolist() for part in negmine.batches.guided_pairs(queries, documents)]
    [[0, 2, 3], [1, 2, 0]]
    """
    guide = _guide(guide_queries, guide_documents, kind, margin, target, block, metric, num_threads)
    n = len(guide.rows)
    if n == 0:
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64)
    index = ExactIndex(guide.columns, metric=guide.metric, num_threads=guide.threads)
    parts = list(_found(guide, index))
    if guide.own_counts:
        parts.append((np.arange(n), guide.own))
    row, column = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    order = np.lexsort((column, row))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).astype(np.int64)
    return offsets, column[order]


def _found(guide: _Guide, index: ExactIndex) -> Iterator[tuple[Array, Array]]:
    """Yield the pairs above their limits, without those of the rows' own columns."""
    waiting, depth = np.arange(len(guide.rows)), min(FIRST_DEPTH, len(index))
    while len(waiting):
        deeper = []
        step = max(1, AT_ONCE // depth)
        for begin in range(0, len(waiting), step):
            rows = waiting[begin : begin + step]
            found, scores = _search(guide, index, rows, depth)
            above = scores > guide.limits[rows, None]
            # A row whose last place is above the limit may have more.
            more = above[:, -1] & (depth < len(index))
            above[more] = False
            deeper.append(rows[more])
            yield np.repeat(rows, above.sum(axis=1)), found[above]
        waiting, depth = np.concatenate(deeper), min(8 * depth, len(index))


def _search(guide: _Guide, index: ExactIndex, rows: Array, depth: int) -> tuple[Array, npt.NDArray[np.float64]]:
    """Return the best documents of some rows, and their canonical scores, from the limit on."""
    one_each = np.arange(len(rows) + 1)
    # The limit is the score of a positive outside the corpus, and the floor is that score. Floors admit equal scores.
    rules = request.Rules(Csr(one_each, np.full(len(rows), -1)), Csr(one_each, guide.own[rows]), None, None, None)
    pool = index.candidates(
        guide.rows[rows],
        request.PoolRequest(
            rules=rules,
            given_scores=guide.limits[rows],
            absolute_floor=0.0,
            range_max=depth,
        ),
    )
    return pool.indices, pool.scores


def _guide(
    guide_queries: object,
    guide_documents: object,
    kind: object,
    margin: object,
    target: npt.ArrayLike | None,
    block: object,
    metric: object,
    num_threads: int | None,
) -> _Guide:
    """Validate the arguments, and compute the limits."""
    queries, documents = as_rows(guide_queries, "guide_queries"), as_rows(guide_documents, "guide_documents")
    way, distance = check_choice(kind, "kind", ("absolute", "relative")), check_real(margin, "margin", least=0.0)
    what = check_choice(block, "block", BLOCKS)
    measure: Metric = check_choice(metric, "metric", METRICS)  # type: ignore[assignment]
    threads = resolve_num_threads(num_threads)
    _check_widths(queries, documents)
    targets = _targets(target, queries.shape[0], documents.shape[0])
    rows, columns = queries.values(), documents.values()
    own = np.arange(len(rows), dtype=np.int64)
    scores = score_pairs(rows, columns, np.stack([own, targets], axis=1), metric=measure, num_threads=threads)
    limits = scores - distance if way == "absolute" else scores - np.abs(scores) * distance
    if what == "query-document":
        return _Guide(rows, columns, limits, targets, False, measure, threads)
    if what == "query-query":
        return _Guide(rows, rows, limits, own, True, measure, threads)
    return _Guide(columns[targets], columns, limits, targets, True, measure, threads)


def _check_widths(queries: Rows, documents: Rows) -> None:
    for rows, argument in ((queries, "guide_queries"), (documents, "guide_documents")):
        if rows.shape[1] == 0:
            raise NegmineValueError(f"`{argument}` must be at least 1 wide; got shape {rows.shape}.")
        refuse_not_finite(rows, argument)
    if queries.shape[1] != documents.shape[1]:
        raise NegmineValueError(
            f"`guide_documents` must be as wide as the queries, {queries.shape[1]}; got width {documents.shape[1]}."
        )


def _targets(target: npt.ArrayLike | None, n_queries: int, n_documents: int) -> Array:
    if target is None:
        if n_documents < n_queries:
            raise NegmineValueError(
                f"`target` must be given where there are fewer documents than queries; got {n_documents} documents for "
                f"{n_queries} queries."
            )
        return np.arange(n_queries, dtype=np.int64)
    columns = as_int64s(target, "target", n_queries)
    if ((columns < 0) | (columns >= n_documents)).any():
        row = int(((columns < 0) | (columns >= n_documents)).argmax())
        raise NegmineValueError(
            f"`target` must hold columns from 0 to {n_documents - 1}; got {columns[row]} for query {row}."
        )
    return columns
