"""Which documents of a batch must not count as a query's negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, as_int64s
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.options import refuse_unknown_options
from negmine.batches.plan import Array
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Rules", "false_negative_mask", "false_negative_pairs"]

_INSTEAD = "`false_negative_pairs` says the same in little."


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """A batch and the rules of its queries: what the core takes, all of it as long as the batch."""

    queries: Array
    documents: Array
    positives: Csr
    exclude: Csr | None
    groups: tuple[Array, Array] | None
    eligible: tuple[Array, Array, Array] | None


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
    """Find the documents of a batch that must not count as negatives, by their ids.

    A document that another row brought into the batch may be a query's positive too; without a mask it is trained away
    as a negative. Hand over the rows of the gathered batches where scores are gathered over ranks.

    Parameters
    ----------
    query_indices : int64 (n_queries,)
        Rows of the batch's queries, as ``positives`` numbers them; -1 is none, all of whose documents are masked.
    document_indices : int64 (n_documents,)
        Rows of the batch's documents; -1 is none, masked for all queries. A row may stand more than once.
    positives : Positives
        Positives of all queries of the data.
    exclude : Positives, optional
        More documents that are never negatives, of all queries: the query's own document, lower grades.
    groups : int64 (n,), optional
        Group of every document of the data, such as those of one text; documents of a group with a positive are masked.
        -1 is no group.
    eligible : Eligibility, optional
        Keys of all documents and ranges of all queries: a document outside the range, as one from after the query's
        date, is masked.

    Returns
    -------
    bool (n_queries, n_documents)
        True: must not count as a negative. A query's own positives are among them; put the target's column back.

    Raises
    ------
    NegmineTypeError
        An argument of a type that is not accepted.
    NegmineValueError
        Rows out of range, lists of another number of queries.
    MemoryLimitError
        A mask that this machine has no memory for; :func:`false_negative_pairs` says the same in little.

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
    """Find the same as :func:`false_negative_mask`, as lists: a large batch has few documents to mask.

    Parameters
    ----------
    query_indices, document_indices, positives, exclude, groups, eligible
        As in :func:`false_negative_mask`.

    Returns
    -------
    offsets : int64 (n_queries + 1,)
    columns : int64 (n,)
        The masked documents of query ``i`` are ``document_indices[columns[offsets[i]:offsets[i + 1]]]``, in
        ascending order of columns.

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
    eligible: object,
) -> Rules:
    """Cut what is told of the data down to what the batch needs."""
    lists = Positives.read(positives, "positives")
    queries = _rows(query_indices, "query_indices", len(lists))
    if eligible is not None and not isinstance(eligible, Eligibility):
        raise NegmineTypeError(f"`eligible` must be an Eligibility; got {type(eligible).__name__}.")
    known = None if groups is None else as_int64s(groups, "groups")
    total = None if known is None else len(known)
    if eligible is not None:
        if total is not None and len(eligible.keys) != total:
            raise NegmineValueError(
                f"`eligible` must have a key for each of {total} documents, as `groups` has one; "
                f"got {len(eligible.keys)}."
            )
        if len(eligible.lowest) != len(lists):
            raise NegmineValueError(
                f"`eligible` must have a range for each of {len(lists)} queries; got {len(eligible.lowest)}."
            )
        total = len(eligible.keys)
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
    ranges = None
    if eligible is not None:
        ranges = (
            _taken(eligible.keys, documents),
            _taken(eligible.lowest, queries),
            _taken(eligible.highest, queries),
        )
    return Rules(queries, documents, own, others, pair, ranges)


def _rows(value: object, argument: str, total: int | None) -> Array:
    rows = as_int64s(value, argument)
    if len(rows) and (rows.min() < -1 or (total is not None and rows.max() >= total)):
        bad = rows.min() if rows.min() < -1 else rows.max()
        rule = "at least -1" if total is None else f"from -1 to {total - 1}"
        raise NegmineValueError(f"`{argument}` must hold rows {rule}; got {bad}.")
    return rows


def _taken(values: Array, rows: Array) -> Array:
    """Values of rows, -1 where there is no row."""
    return np.where(rows < 0, -1, values[rows]) if len(values) else np.full(len(rows), -1, dtype=np.int64)


def _gathered(lists: Positives, queries: Array) -> Csr:
    """Lists of some queries, one after the other; none where there is no query."""
    safe = np.maximum(queries, 0) if len(lists) else np.zeros(0, dtype=np.int64)
    begins = lists.offsets[safe]
    lengths = np.where(queries < 0, 0, lists.offsets[safe + 1] - begins) if len(safe) else np.zeros(len(queries), int)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if len(safe) == 0:
        return Csr(offsets, np.empty(0, dtype=np.int64))
    places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
    return Csr(offsets, lists.items[places])
