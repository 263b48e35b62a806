"""Some result rows of pools and negatives, and the rows of several of them one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, as_array, as_int64s
from negmine._core.labels import Ids, PartialLabels, Strings, concatenate, first_difference, take_ids
from negmine.data.eligibility import Eligibility
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.references import positive_places
from negmine.mining.rejected import Rejected
from negmine.mining.report import Reason, Report
from negmine.mining.sources import PoolSources
from negmine.search.request import Rules

if TYPE_CHECKING:
    from negmine.mining.negatives import HardNegatives
    from negmine.mining.pool import CandidatePool

__all__ = ["join_negatives", "join_pools", "read_rows", "take_negatives", "take_pool"]

T = TypeVar("T")

#: Fields of a pool and of negatives that have an entry per result row.
_POOL_ROWS = (
    "indices",
    "scores",
    "counts",
    "reasons",
    "reference_scores",
    "query_indices",
    "positive_indices",
    "cap_scores",
    "floor_scores",
    "guide_scores",
)
_REJECTED = ("indices", "scores", "rules")
_NEGATIVES_ROWS = (
    "indices",
    "scores",
    "counts",
    "reasons",
    "source",
    "above_reference",
    "log_prob",
    "reference_scores",
    "query_indices",
    "positive_indices",
)


def read_rows(rows: object, n: int) -> npt.NDArray[np.int64]:
    """Validate what selects result rows.

    Parameters
    ----------
    rows : slice, bool (n,) or int64 (any,)
        A range of rows, a mask, or row numbers in any order.
    n : int
        Number of result rows.

    Returns
    -------
    int64 (any,)
        Row numbers.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        The value is none of these, or a row does not exist.
    """
    if isinstance(rows, slice):
        return np.arange(n, dtype=np.int64)[rows]
    if isinstance(rows, str | bytes | tuple) or not (isinstance(rows, Iterable) or hasattr(rows, "__array__")):
        raise NegmineTypeError(f"`rows` must be a slice, a mask or a list of rows; got {rows!r}.")
    array = as_array(rows, "rows")
    if array.dtype == np.bool_:
        if array.shape != (n,):
            raise NegmineValueError(f"`rows` must have shape ({n},) as a mask; got shape {array.shape}.")
        return np.flatnonzero(array)
    numbers = as_int64s(array, "rows")
    outside = (numbers < 0) | (numbers >= n)
    if outside.any():
        raise NegmineValueError(f"`rows` must hold result rows below {n}; got {numbers[outside][0]}.")
    return numbers


def take_pool(pool: CandidatePool, rows: npt.NDArray[np.int64]) -> CandidatePool:
    """Return a pool of some result rows; see [`CandidatePool.__getitem__`][].

    Parameters
    ----------
    pool : CandidatePool
        The pool.
    rows : int64 (n,)
        Result rows to keep, in this order.

    Returns
    -------
    CandidatePool
    """
    arrays = {name: array[rows] for name in _POOL_ROWS if (array := getattr(pool, name)) is not None}
    sources = None if pool.sources is None else PoolSources(pool.sources.ranks[:, rows], pool.sources.scores[:, rows])
    unscanned = np.isnan(pool.cap_scores)
    rejected = None if pool.rejected is None else pool.rejected.take(rows)
    kept = replace(
        pool, **arrays, sources=sources, rejected=rejected, report=pool.report.take(rows, arrays["reasons"], unscanned)
    )
    if pool.each:
        _check_places(kept, _places(pool)[rows])
    return kept


def take_negatives(negatives: HardNegatives, rows: npt.NDArray[np.int64]) -> HardNegatives:
    """Return some result rows of negatives; see [`HardNegatives.__getitem__`][].

    Parameters
    ----------
    negatives : HardNegatives
        The negatives.
    rows : int64 (n,)
        Result rows to keep, in this order.

    Returns
    -------
    HardNegatives
    """
    arrays = {name: getattr(negatives, name)[rows] for name in _NEGATIVES_ROWS}
    pool = None if negatives.pool is None else take_pool(negatives.pool, rows)
    report = negatives.report.take(rows, arrays["reasons"], _unscanned(negatives))
    return replace(negatives, **arrays, report=report, pool=pool)


def _unscanned(negatives: HardNegatives) -> npt.NDArray[np.bool_]:
    """Return which rows were not scanned for lack of a reference; without a pool, their entries say so."""
    if negatives.pool is not None:
        return np.isnan(negatives.pool.cap_scores)
    counted = np.any(list(negatives.report.lines.values()), axis=0)
    why = np.isin(negatives.reasons, (Reason.NO_POSITIVE, Reason.NO_REFERENCE, Reason.RANDOM_EXHAUSTED))
    found = why & (negatives.counts == 0) & np.isnan(negatives.reference_scores) & ~counted
    return found if negatives.report.n_unscanned else np.zeros(len(negatives), dtype=np.bool_)


def _places(pool: CandidatePool) -> npt.NDArray[np.int64]:
    """Return the place of every result row's positive among those of the call, under "each"."""
    return positive_places(pool.rules.positives, pool.query_indices - pool.query_offset, pool.positive_indices)


def _check_places(pool: CandidatePool, places: npt.NDArray[np.int64]) -> None:
    """Refuse rows that no longer say which positive of their query is theirs.

    Rows of positives outside the corpus, which are all -1, are distinguished by their order.
    """
    if not np.array_equal(_places(pool), places):
        raise NegmineValueError(
            "`rows` must hold a (query, positive) pair once, and all pairs of a query with several positives outside "
            "the corpus in their order; got other rows. `dataclasses.replace(negatives, pool=None)` has no such rule."
        )


# ---- concatenation


def _read_parts(parts: object, kind: type[T], argument: str) -> list[T]:
    if isinstance(parts, kind) or not isinstance(parts, Iterable):
        raise NegmineTypeError(f"`{argument}` must be a list of {kind.__name__}; got {type(parts).__name__}.")
    read = list(parts)
    for part in read:
        if not isinstance(part, kind):
            raise NegmineTypeError(f"`{argument}` must hold {kind.__name__}; got {type(part).__name__}.")
    if not read:
        raise NegmineValueError(f"`{argument}` must hold at least one {kind.__name__}; got none.")
    return read


def _refuse_differences(values: dict[str, list[Any]], argument: str) -> None:
    """Refuse parts that differ in what must be equal."""
    for name, column in values.items():
        for value in column[1:]:
            if value != column[0]:
                raise NegmineValueError(f"`{argument}` must have equal `{name}`; got {column[0]} and {value}.")


def join_pools(kind: type[CandidatePool], pools: object) -> CandidatePool:
    """Return the rows of several pools, one after the other; see [`CandidatePool.concatenate`][].

    Parameters
    ----------
    kind : type
        Class of the pools.
    pools : iterable of CandidatePool
        The pools.

    Returns
    -------
    CandidatePool
    """
    parts = _read_parts(pools, kind, "pools")
    first = parts[0]
    _refuse_differences(
        {
            "each": [pool.each for pool in parts],
            "n_documents": [pool.report.n_documents for pool in parts],
            "width": [pool.indices.shape[1] for pool in parts],
            "guide_scores": ["none" if pool.guide_scores is None else "scores" for pool in parts],
            "sources": [0 if pool.sources is None else len(pool.sources.ranks) for pool in parts],
            "keep_rejected": [0 if pool.rejected is None else pool.rejected.indices.shape[1] for pool in parts],
        },
        "pools",
    )
    _refuse_other_labels([pool.document_ids for pool in parts], "document_ids", "pools")
    _refuse_other_arrays([pool.categories for pool in parts], "categories")
    _refuse_other_arrays([pool.random_weights for pool in parts], "random_weights")
    calls, call_of = [first], [0]
    for pool in parts[1:]:
        if not _same_call(calls[-1], pool):
            end = calls[-1].query_offset + len(calls[-1].rules.positives.offsets) - 1
            if pool.query_offset != end:
                raise NegmineValueError(
                    "`pools` must be of one call, or of calls whose queries follow each other, so `query_offset` must "
                    f"be {end} here; got {pool.query_offset}."
                )
            calls.append(pool)
        call_of.append(len(calls) - 1)
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(pool, name) for pool in parts])
        for name in _POOL_ROWS
        if getattr(first, name) is not None
    }
    of_positives = ("positive_scores",) if first.guide_positive_scores is None else _OF_POSITIVES
    arrays |= {name: np.concatenate([getattr(call, name) for call in calls]) for name in of_positives}
    sources = [pool.sources for pool in parts if pool.sources is not None]
    if sources:
        arrays["sources"] = PoolSources(
            np.concatenate([one.ranks for one in sources], axis=1),
            np.concatenate([one.scores for one in sources], axis=1),
        )
    rejected = [pool.rejected for pool in parts if pool.rejected is not None]
    if rejected:
        columns = {name: np.concatenate([getattr(one, name) for one in rejected]) for name in _REJECTED}
        arrays["rejected"] = Rejected(**columns, document_ids=first.document_ids)
    joined = replace(
        first,
        **arrays,
        rules=first.rules if len(calls) == 1 else _join_rules([call.rules for call in calls]),
        query_ids=_join_labels([call.query_ids for call in calls]),
        report=Report.join([pool.report for pool in parts], [call_of.index(i) for i in range(len(calls))]),
        origin=first.origin if all(pool.origin is first.origin for pool in parts) else None,
        skipped=first.skipped if all(pool.skipped == first.skipped for pool in parts) else None,
    )
    if first.each:
        begins = np.cumsum([0, *(len(call.rules.positives.items) for call in calls)])
        places = [_places(pool) for pool in parts]
        shifted = [np.where(at < 0, at, at + begins[i]) for at, i in zip(places, call_of, strict=True)]
        _check_places(joined, np.concatenate(shifted))
    return joined


#: Fields of a pool that have an entry per positive.
_OF_POSITIVES = ("positive_scores", "guide_positive_scores")


def _same_call(pool: CandidatePool, other: CandidatePool) -> bool:
    """Return whether two pools hold rows of one call."""
    if pool.query_offset != other.query_offset:
        return False
    pairs: list[tuple[Any, Any]] = [(getattr(pool, name), getattr(other, name)) for name in _OF_POSITIVES]
    if pool.rules is not other.rules:
        arrays, others = _rule_arrays(pool.rules), _rule_arrays(other.rules)
        if len(arrays) != len(others):
            return False
        pairs += zip(arrays, others, strict=True)
    labels, theirs = pool.query_ids, other.query_ids
    same_labels = labels is theirs or (
        labels is not None
        and theirs is not None
        and isinstance(labels, Strings) == isinstance(theirs, Strings)
        and len(labels) == len(theirs)
        and first_difference(labels, theirs) is None
    )
    return same_labels and all(
        one is two or (one is not None and two is not None and np.array_equal(one, two, equal_nan=True))
        for one, two in pairs
    )


def _rule_arrays(rules: Rules) -> list[Any]:
    arrays: list[Any] = [rules.positives.offsets, rules.positives.items, rules.self_rows, rules.groups]
    arrays += [getattr(rules.exclude, name, None) for name in ("offsets", "items")]
    return arrays + ([] if rules.eligible is None else list(rules.eligible.arrays().values()))


def _join_rules(rules: Sequence[Rules]) -> Rules:
    """Return the rules of calls whose queries follow each other."""
    first = rules[0]
    for name in ("exclude", "self_rows", "groups", "eligible"):
        if len({getattr(one, name) is None for one in rules}) > 1:
            raise NegmineValueError(f"`pools` must have equal `{name}`; got one with and one without.")
    shared: dict[str, list[Any]] = {
        "groups": [one.groups for one in rules],
    }
    for name, arrays in shared.items():
        _refuse_other_arrays(arrays, name)
    eligible = [one.eligible for one in rules if one.eligible is not None]
    self_rows = [one.self_rows for one in rules if one.self_rows is not None]
    return Rules(
        positives=_join_lists([one.positives for one in rules]),
        exclude=None
        if first.exclude is None
        else _join_lists([one.exclude for one in rules if one.exclude is not None]),
        self_rows=np.concatenate(self_rows) if self_rows else None,
        groups=first.groups,
        eligible=Eligibility.join(eligible) if eligible else None,
    )


def _refuse_other_arrays(arrays: Sequence[npt.NDArray[Any] | None], name: str) -> None:
    """Refuse values of all documents that differ."""
    if any(array is not arrays[0] and not np.array_equal(array, arrays[0]) for array in arrays):  # type: ignore[arg-type]
        raise NegmineValueError(f"`pools` must have equal `{name}` of the documents; got other values.")


def _join_lists(lists: Sequence[Csr]) -> Csr:
    lengths = np.concatenate([np.diff(one.offsets) for one in lists])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Csr(offsets, np.concatenate([one.items for one in lists]))


def join_negatives(kind: type[HardNegatives], negatives: object) -> HardNegatives:
    """Return the rows of several negatives, one after the other; see [`HardNegatives.concatenate`][].

    Parameters
    ----------
    kind : type
        Class of the negatives.
    negatives : iterable of HardNegatives
        The negatives.

    Returns
    -------
    HardNegatives
    """
    parts = _read_parts(negatives, kind, "negatives")
    first = parts[0]
    _refuse_differences(
        {
            "draw": [part.draw for part in parts],
            "epoch": [part.epoch for part in parts],
            "n_documents": [part.report.n_documents for part in parts],
            "width": [part.indices.shape[1] for part in parts],
        },
        "negatives",
    )
    pools = [part.pool for part in parts if part.pool is not None]
    pool = join_pools(type(pools[0]), pools) if len(pools) == len(parts) else None
    # Rows of one call share the scores of its positives.
    firsts = [i for i in range(len(parts)) if i == 0 or parts[i].positive_scores is not parts[i - 1].positive_scores]
    if pool is None:
        _refuse_shared_queries(parts, firsts)
        positive_scores = _joined_once([parts[i].positive_scores for i in firsts])
    else:
        positive_scores = pool.positive_scores
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NEGATIVES_ROWS}
    report = Report.join([part.report for part in parts], firsts)
    if pool is not None:
        report = replace(pool.report, short=report.short)
    return replace(
        first,
        **arrays,
        positive_scores=positive_scores,
        report=report,
        document_ids=_join_documents(parts),
        pool=pool,
        query_ids=_join_partial([part.query_ids for part in parts], "query_ids"),
    )


def _joined_once(arrays: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _refuse_shared_queries(parts: Sequence[HardNegatives], firsts: Sequence[int]) -> None:
    """Refuse the same query row in several calls, where it would mean several queries."""
    ends = [*firsts[1:], len(parts)]
    queries = [
        np.unique(np.concatenate([part.query_indices for part in parts[begin:end]]))
        for begin, end in zip(firsts, ends, strict=True)
    ]
    rows, counts = np.unique(np.concatenate(queries), return_counts=True)
    if (counts > 1).any():
        raise NegmineValueError(
            f"`negatives` must be of one call, or have different queries; got query row {rows[counts > 1][0]} twice. "
            "`query_offset` of the mining calls keeps them apart."
        )


# ---- labels


def _refuse_other_labels(labels: Sequence[Ids | None], name: str, argument: str) -> None:
    """Refuse labels of all documents that differ."""
    first = labels[0]
    for other in labels[1:]:
        if other is first:
            continue
        if other is None or first is None:
            raise NegmineValueError(f"`{argument}` must have equal `{name}`; got labels and none.")
        if len(first) != len(other) or first_difference(first, other) is not None:
            raise NegmineValueError(f"`{argument}` must have equal `{name}`; got other labels.")


def _join_labels(labels: Sequence[Ids | None]) -> Ids | None:
    """Return the labels of the queries of several calls."""
    known = [one for one in labels if one is not None]
    if not known:
        return None
    if len(known) < len(labels):
        raise NegmineValueError("`pools` must have equal `query_ids`; got labels and none.")
    _refuse_two_types(known, "query_ids")
    return reduce(concatenate, known)


def _refuse_two_types(labels: Sequence[Ids], name: str) -> None:
    if len({isinstance(one, Strings) for one in labels}) > 1:
        raise NegmineValueError(f"`{name}` must all be strings or all be integers; got both.")


def _join_documents(parts: Sequence[HardNegatives]) -> Ids | PartialLabels | None:
    labels = [part.document_ids for part in parts]
    if not any(isinstance(one, PartialLabels) for one in labels):
        _refuse_other_labels(labels, "document_ids", "negatives")  # type: ignore[arg-type]
        return labels[0]
    partial = []
    for part, known in zip(parts, labels, strict=True):
        if known is None or isinstance(known, PartialLabels):
            partial.append(known)
        else:
            rows = np.unique(part.indices[part.indices >= 0])
            partial.append(PartialLabels(rows, take_ids(known, rows)))
    return _join_partial(partial, "document_ids")


def _join_partial(labels: Sequence[PartialLabels | None], name: str) -> PartialLabels | None:
    """Return the labels of all rows that have one in any part."""
    if all(one is labels[0] for one in labels):
        return labels[0]
    known = [one for one in labels if one is not None]
    if len(known) < len(labels):
        raise NegmineValueError(f"`negatives` must have equal `{name}`; got labels and none.")
    _refuse_two_types([one.ids for one in known], name)
    ids = reduce(concatenate, [one.ids for one in known])
    rows, firsts, places = np.unique(
        np.concatenate([one.rows for one in known]), return_index=True, return_inverse=True
    )
    joined = take_ids(ids, firsts.astype(np.int64))
    place = first_difference(take_ids(joined, places.reshape(-1)), ids)
    if place is not None:
        raise NegmineValueError(
            f"`negatives` must have equal `{name}`; got two labels of row {rows[places.reshape(-1)[place]]}."
        )
    return PartialLabels(rows, joined)
