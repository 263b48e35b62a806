"""Candidate pools from the proposals of an approximate index, widened until they are full.

The index proposes documents of a query. Their canonical scores are computed, and the core applies rules, caps, floors
and ranks to them, as to the lists of another system. If a result row is not full because the proposals end, the query
is searched again for more documents, up to a budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, CsrLike, Rows, count_zero_rows
from negmine._core.calls import Progress
from negmine.search.request import PoolArrays, PoolRequest, Rules

__all__ = ["Proposer", "pool_of_proposals"]

#: (query, document) pairs that a thread proposes between two checks for an interrupt, before any widening: as the time
#: of a search grows with the length of its list, some tenth of a second. hnswlib uses one thread for few queries.
PAIRS_AT_ONCE = 1 << 15

#: Options of a request that reject documents by their scores.
_LIMITS = ("max_score", "absolute_margin", "relative_margin", "min_score", "absolute_floor", "relative_floor")

#: `Reason.LIST_EXHAUSTED`, whose numbers are part of the file formats.
_LIST_EXHAUSTED = 9


@dataclass(frozen=True, slots=True)
class Proposer:
    """What an approximate index does for a pool.

    Attributes
    ----------
    n_documents, n_live, n_zero : int
        Number of documents, of those that are not deleted, and of those of norm zero.
    count_zeros : bool
        Whether queries of norm zero are counted.
    first, most : int
        Documents per query that the first search returns at least, and that the last search returns.
    propose : callable
        Called as ``propose(queries, k)`` with the embeddings of some queries; returns rows of documents per query,
        nearest first. For ``k`` of at least ``n_live`` it returns all documents that are not deleted.
    score : callable
        Called as ``score(queries, pairs)``; returns canonical scores in CSR order.
    """

    n_documents: int
    n_live: int
    n_zero: int
    count_zeros: bool
    first: int
    most: int
    propose: Callable[[Rows, int], Csr]
    score: Callable[[Rows, CsrLike], npt.NDArray[np.float64]]


def pool_of_proposals(
    proposer: Proposer,
    queries: Rows,
    request: PoolRequest,
    num_threads: int,
    progress: Progress | None,
    approximation: str,
) -> PoolArrays:
    """Return the candidate pools of queries.

    Parameters
    ----------
    proposer : Proposer
        The index.
    queries : Rows
        Embeddings of the queries.
    request : PoolRequest
        Rules, caps and ranks; a warm start is ignored.
    num_threads : int
        Number of threads.
    progress : callable or None
        Called as ``progress(done, total)`` with numbers of queries.
    approximation : str
        What is known about the recall of the index.

    Returns
    -------
    PoolArrays
        ``counters`` has the proposed pairs, and the queries that were searched more than once.
    """
    n = queries.shape[0]
    at_once = max(1, PAIRS_AT_ONCE * num_threads // max(_first(proposer, request), 1))
    parts: list[PoolArrays] = []
    for begin in range(0, max(n, 1), at_once):
        end = min(begin + at_once, n)
        parts.append(_chunk(proposer, queries.slice(begin, end), request.slice(begin, end), num_threads))
        if progress is not None:
            progress(end, n)
    joined = PoolArrays.join(parts, [at_once] * len(parts))
    return replace(joined, zero_documents=proposer.n_zero, approximation=approximation)


def _chunk(proposer: Proposer, queries: Rows, request: PoolRequest, num_threads: int) -> PoolArrays:
    """Return the pools of a few queries. What is proposed for a query does not depend on the other queries."""
    zero_queries = count_zero_rows(queries) if proposer.count_zeros else 0
    request = replace(request, given_scores=_positive_scores(proposer, queries, request), warm_start=None)
    first, named = _first(proposer, request), _n_named(request.rules)
    k = first
    if first < proposer.n_live and not _rejects_unnamed(request):
        # Every document that the search returns takes time, also of the same list of candidates.
        k = min(first, request.range_max + int(named.max(initial=0)))
    longest = proposer.propose(queries, k)
    # Scoring the whole list of every query would take longer than the rest of the call.
    lists = longest if k == proposer.n_live else _shortened(longest, request.range_max + named)
    is_cut = len(lists.items) < len(longest.items)
    scores, n_proposed, widened = proposer.score(queries, lists), len(lists.items), set[int]()
    while True:
        found = _native.list_candidates(lists, scores, proposer.n_documents, request, num_threads, None)
        short = np.unique(found["query_indices"][found["reasons"] == _LIST_EXHAUSTED])
        if not len(short) or (not is_cut and k >= min(proposer.most, proposer.n_live)):
            break
        some = _take(queries, short)
        if is_cut:
            more, is_cut = _take_lists(longest, short), False
        else:
            k = first if k < first else min(2 * k, proposer.most, proposer.n_live)
            more = proposer.propose(some, k)
            widened.update(short.tolist())
        lists, scores = _replaced(lists, scores, short, more, proposer.score(some, more))
        n_proposed += len(more.items)
    found["zero_queries"] = zero_queries
    found["counters"] = {"proposed": n_proposed, "widened_queries": len(widened)}
    return PoolArrays.of_core(found, 0)


def _first(proposer: Proposer, request: PoolRequest) -> int:
    """Return the number of documents per query of the first search."""
    return min(max(request.range_max, proposer.first), proposer.n_live)


def _n_named(rules: Rules) -> npt.NDArray[np.int64]:
    """Return the number of documents that rules name for every query."""
    named = np.diff(rules.positives.offsets) + (rules.self_rows is not None)
    return named if rules.exclude is None else named + np.diff(rules.exclude.offsets)


def _rejects_unnamed(request: PoolRequest) -> bool:
    """Return whether a document may be rejected that no list of the rules names."""
    rules, limits = request.rules, (getattr(request, name) for name in _LIMITS)
    return rules.groups is not None or rules.eligible is not None or any(limit is not None for limit in limits)


def _shortened(lists: Csr, most: npt.NDArray[np.int64]) -> Csr:
    """Return the first documents of every list: as many as ranks are asked for and rules may reject by name."""
    lengths = np.diff(lists.offsets)
    if (lengths <= most).all():
        return lists
    return _entries(lists, lists.offsets[:-1], np.minimum(lengths, most))


def _take_lists(lists: Csr, which: npt.NDArray[np.int64]) -> Csr:
    return _entries(lists, lists.offsets[which], np.diff(lists.offsets)[which])


def _entries(lists: Csr, begins: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Csr:
    """Return lists that begin and end elsewhere in the entries."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
    return Csr(offsets, lists.items[places])


def _positive_scores(proposer: Proposer, queries: Rows, request: PoolRequest) -> npt.NDArray[np.float64]:
    """Return the scores of all positives: the given ones, and the canonical scores of the others."""
    positives = request.rules.positives
    scores = np.full(len(positives.items), np.nan) if request.given_scores is None else request.given_scores.copy()
    unknown = np.isnan(scores) & (positives.items >= 0)
    if not unknown.any():
        return scores
    before = np.concatenate([[0], np.cumsum(unknown)])
    scores[unknown] = proposer.score(queries, Csr(before[positives.offsets], positives.items[unknown]))
    return scores


def _take(queries: Rows, which: npt.NDArray[np.int64]) -> Rows:
    return Rows(np.ascontiguousarray(queries.array[which]), queries.kind, queries.order)


def _replaced(
    lists: Csr,
    scores: npt.NDArray[np.float64],
    which: npt.NDArray[np.int64],
    more: Csr,
    more_scores: npt.NDArray[np.float64],
) -> tuple[Csr, npt.NDArray[np.float64]]:
    """Replace the lists of some queries."""
    lengths = np.diff(lists.offsets)
    owner, new_owner = np.repeat(np.arange(len(lengths)), lengths), np.repeat(which, np.diff(more.offsets))
    kept = ~np.isin(owner, which)
    owners = np.concatenate([owner[kept], new_owner])
    order = np.argsort(owners, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(lengths)))]).astype(np.int64)
    items = np.concatenate([lists.items[kept], more.items])[order]
    return Csr(offsets, items), np.concatenate([scores[kept], more_scores])[order]
