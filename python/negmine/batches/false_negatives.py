"""In-batch false negatives: documents of a batch that must not count as negatives of a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, as_int64s
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.options import refuse_unknown_options
from negmine.batches.plan import Array
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError

__all__ = ["Rules", "false_negative_mask", "false_negative_pairs"]

#: Alternative that the message of a mask that does not fit in memory names.
_INSTEAD = "Use `false_negative_pairs`, which returns the same result as a sparse list."


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A batch and the rules of its queries, as the core reads them; the arrays hold only what this batch needs."""

    queries: Array
    documents: Array
    positives: Csr
    exclude: Csr | None
    groups: tuple[Array, Array] | None
    eligible: Eligibility | None


@refuse_unknown_options("false_negative_mask")
def false_negative_mask(
    query_indices: npt.ArrayLike,
    document_indices: npt.ArrayLike,
    positives: Positives,
    *,
    exclude: Positives | None = None,
    groups: npt.ArrayLike | None = None,
    eligible: Eligibility | None = None,
) -> npt.NDArray[np.bool_]:
    """Return a mask of the documents of a batch that must not count as negatives.

    A document that another row brought into the batch may also be a positive of a query. Without a mask, training
    would treat it as a negative. If scores are gathered over ranks, pass the rows of the gathered batches.

    Parameters
    ----------
    query_indices : int64 (n_queries,)
        Rows of the batch's queries, as numbered by ``positives``; for -1, which means no query, all documents are
        masked.
    document_indices : int64 (n_documents,)
        Rows of the batch's documents; -1, which means no document, is masked for all queries. Rows may repeat.
    positives : Positives
        Positives of all queries of the data.
    exclude : Positives, optional
        Further documents that are never negatives, for all queries of the data, such as the document that is the query
        itself, or documents of lower grades.
    groups : int64 (n,), optional
        Group of every document of the data, such as the passages of one text, or -1 for no group; documents that share
        a group with a positive are masked.
    eligible : Eligibility, optional
        Keys of all documents and ranges of all queries; a document outside the range, such as one from after the date
        of the query, is masked.

    Returns
    -------
    bool (n_queries, n_documents)
        True if the document must not count as a negative of the query. This includes the positives of the query
        itself, so the column of the target must be set to False before the mask is applied.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A row is out of range, or lists are of a different number of queries.
    MemoryLimitError
        The mask would not fit in memory; [`false_negative_pairs`][] returns the same result as a sparse list.

    Examples
    --------
    >>> import negmine
    >>> positives = negmine.Positives.from_lists([[10, 11], [11], [12]])
    >>> negmine.batches.false_negative_mask([0, 1, 2], [10, 11, 12], positives).astype(int).tolist()
    [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    """
    rules = _rules(query_indices, document_indices, positives, exclude, groups, eligible)
    ensure_fits_in_memory(len(rules.queries), len(rules.documents), "document_indices", entry=1, instead=_INSTEAD)
    return _native.false_negative_mask(rules)


@refuse_unknown_options("false_negative_pairs")
def false_negative_pairs(
    query_indices: npt.ArrayLike,
    document_indices: npt.ArrayLike,
    positives: Positives,
    *,
    exclude: Positives | None = None,
    groups: npt.ArrayLike | None = None,
    eligible: Eligibility | None = None,
) -> tuple[Array, Array]:
    """Return the result of [`false_negative_mask`][] as a sparse list, for large batches with few masked documents.

    Parameters
    ----------
    query_indices : int64 (n_queries,)
        Rows of the batch's queries, or -1.
    document_indices : int64 (n_documents,)
        Rows of the batch's documents, or -1.
    positives : Positives
        Positives of all queries of the data.
    exclude : Positives, optional
        Further documents that are never negatives, for all queries of the data.
    groups : int64 (n,), optional
        Group of every document of the data, or -1.
    eligible : Eligibility, optional
        Keys of all documents and ranges of all queries.

    Returns
    -------
    offsets : int64 (n_queries + 1,)
        The masked documents of query ``i`` are ``document_indices[columns[offsets[i]:offsets[i + 1]]]``.
    columns : int64 (n,)
        Columns of the masked documents, in ascending order per query.

    Examples
    --------
    >>> import negmine
    >>> positives = negmine.Positives.from_lists([[10, 11], [11], [12]])
    >>> [part.tolist() for part in negmine.batches.false_negative_pairs([0, 1, 2], [10, 11, 12], positives)]
    [[0, 2, 3, 4], [0, 1, 1, 2]]
    """
    return _native.false_negative_pairs(_rules(query_indices, document_indices, positives, exclude, groups, eligible))


def _rules(
    query_indices: object,
    document_indices: object,
    positives: object,
    exclude: object,
    groups: object,
    eligible: Eligibility | None,
) -> Rules:
    """Validate the arguments, and select from the data what the batch needs."""
    lists = Positives.read(positives, "positives")
    queries = _rows(query_indices, "query_indices", len(lists))
    check_eligible(eligible)
    known = None if groups is None else as_int64s(groups, "groups")
    total = None if known is None else len(known)
    if eligible is not None:
        if total is not None and eligible.n_documents != total:
            raise NegmineValueError(
                f"`eligible` must have one key for each of the {total} documents of `groups`; got "
                f"{eligible.n_documents}."
            )
        if eligible.n_queries != len(lists):
            raise NegmineValueError(
                f"`eligible` must have one range for each of {len(lists)} queries; got {eligible.n_queries}."
            )
        total = eligible.n_documents
    documents = _rows(document_indices, "document_indices", total)
    others = None
    if exclude is not None:
        more = Positives.read(exclude, "exclude")
        if len(more) != len(lists):
            raise NegmineValueError(f"`exclude` must have length {len(lists)}; got {len(more)}.")
        others = _gathered(more, queries)
    own = _gathered(lists, queries)
    pair = None
    if known is not None:
        if len(own.items) and own.items.max() >= len(known):
            raise NegmineValueError(f"`positives` must hold rows below {len(known)}; got {own.items.max()}.")
        pair = (_taken(known, documents), _taken(known, own.items))
    ranges = None if eligible is None else eligible.take(documents, queries)
    return Rules(queries, documents, own, others, pair, ranges)


def _rows(value: object, argument: str, total: int | None) -> Array:
    rows = as_int64s(value, argument)
    if len(rows) and (rows.min() < -1 or (total is not None and rows.max() >= total)):
        bad = rows.min() if rows.min() < -1 else rows.max()
        rule = "at least -1" if total is None else f"from -1 to {total - 1}"
        raise NegmineValueError(f"`{argument}` must hold rows {rule}; got {bad}.")
    return rows


def _taken(values: Array, rows: Array) -> Array:
    """Return the values of rows, and -1 for row -1."""
    return np.where(rows < 0, -1, values[rows]) if len(values) else np.full(len(rows), -1, dtype=np.int64)


def _gathered(lists: Positives, queries: Array) -> Csr:
    """Return the concatenated lists of queries; the list of query -1 is empty."""
    safe = np.maximum(queries, 0) if len(lists) else np.zeros(0, dtype=np.int64)
    begins = lists.offsets[safe]
    lengths = np.where(queries < 0, 0, lists.offsets[safe + 1] - begins) if len(safe) else np.zeros(len(queries), int)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if len(safe) == 0:
        return Csr(offsets, np.empty(0, dtype=np.int64))
    places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
    return Csr(offsets, lists.items[places])
