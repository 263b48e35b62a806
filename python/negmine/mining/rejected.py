"""The best documents that rules and caps rejected, each with the rule: what margins cost, and what to relabel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, check_field
from negmine._core.calls import Progress, ensure_fits_in_memory
from negmine._core.labels import Ids, LabelArray, Labeled, PartialLabels
from negmine.errors import NegmineValueError
from negmine.search.request import PoolRequest, Rules

if TYPE_CHECKING:
    from negmine.mining.miner import HardNegativeMiner
    from negmine.mining.pool import CandidatePool
    from negmine.search.protocol import CandidateSource

__all__ = ["Rejected", "Rejection", "find_rejected"]

#: Pairs of excluded documents and queries that are scored at once.
PAIRS_AT_ONCE = 1 << 20

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


class Rejection(IntEnum):
    """Rule that rejected a document; the first rule that applies is used."""

    PADDING = 0
    EXCLUDED = 1
    SELF = 2
    GROUP = 3
    INELIGIBLE = 4
    ABOVE_MAX_SCORE = 5
    ABOVE_ABSOLUTE_MARGIN = 6
    ABOVE_RELATIVE_MARGIN = 7


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rejected(Labeled):
    """The best rejected documents per result row, by (score descending, row ascending).

    A document is rejected if a candidate rule takes it out or if it scores above the cap. Positives are not rejected,
    and neither are documents below the floor or outside the rank window.

    Attributes
    ----------
    indices : int64 (n_rows, n)
        Row numbers of the documents, padded with -1.
    scores : float64 (n_rows, n)
        Canonical scores, padded with -inf.
    rules : uint8 (n_rows, n)
        The rule that rejected each document, as a [`Rejection`][].
    document_ids : int64 (n_documents,), Strings or None
        Labels of all documents.
    """

    indices: Int64s
    scores: Float64s
    rules: npt.NDArray[np.uint8]
    document_ids: Ids | PartialLabels | None = None
    _ids: LabelArray | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        indices = check_field(self.indices, "rejected_indices", np.int64, (None, None))
        scores = check_field(self.scores, "rejected_scores", np.float64, indices.shape)
        rules = check_field(self.rules, "rejected_rules", np.uint8, indices.shape)
        if rules.size and rules.max() > max(Rejection):
            raise NegmineValueError(f"`rejected_rules` must be at most {max(Rejection)}; got {rules.max()}.")
        if not np.array_equal(indices < 0, rules == Rejection.PADDING):
            raise NegmineValueError("`rejected_rules` must name a rule for every document; got padding elsewhere.")
        for name, array in (("indices", indices), ("scores", scores), ("rules", rules)):
            object.__setattr__(self, name, array)

    @property
    def counts(self) -> npt.NDArray[np.int32]:
        """Number of documents per result row: int32 (n_rows,)."""
        return np.asarray((self.indices >= 0).sum(axis=1), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Rejected({len(self)} rows x {self.indices.shape[1]}, {int(self.counts.sum())} documents)"

    def take(self, rows: Int64s) -> Rejected:
        """Return the documents of some result rows.

        Parameters
        ----------
        rows : int64 (n,)
            Result rows, in any order.

        Returns
        -------
        Rejected
        """
        return Rejected(self.indices[rows], self.scores[rows], self.rules[rows], self.document_ids)


def find_rejected(
    pool: CandidatePool,
    miner: HardNegativeMiner,
    n: int,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Rejected:
    """Find the ``n`` best rejected documents of every result row of a pool.

    Parameters
    ----------
    pool : CandidatePool
        Pool of a scan, with its source.
    miner : HardNegativeMiner
        The miner, whose caps rejected documents.
    n : int
        Documents per result row.
    num_threads : int, optional
        Number of threads. Default: that of the source.
    progress : callable, optional
        Called as ``progress(done, total)``, for every search with its own total.

    Returns
    -------
    Rejected
    """
    assert pool.origin is not None  # the pool of a scan
    ensure_fits_in_memory(len(pool), n, "keep_rejected", entry=17)
    search = _Search(pool.origin.source, pool.origin.queries, pool.rules, n, num_threads, progress)
    # Rows without a reference were not scanned, so no rule rejected their documents.
    scanned = np.flatnonzero(~np.isnan(pool.cap_scores))
    queries = pool.query_indices - pool.query_offset
    found = _Found.joined([_Found.joined(list(search.barred())), *search.ineligible()])
    kept = found.best(n).of_rows(queries, scanned)
    if (pool.cap_scores < np.inf).any():
        capped = search.candidates().of_rows(queries, scanned)
        above = capped.scores > pool.cap_scores[capped.rows]
        capped = _Found(capped.rows[above], capped.documents[above], capped.scores[above], capped.rules[above])
        kept = _Found.joined([kept, capped.with_rules(_tightest(miner, pool.reference_scores[capped.rows]))])
    return kept.padded(len(pool), n, pool.document_ids)


def _tightest(miner: HardNegativeMiner, references: Float64s) -> npt.NDArray[np.uint8]:
    """Return the rule of the lowest cap; of equal ones the first."""
    caps = []
    if miner.max_score is not None:
        caps.append((Rejection.ABOVE_MAX_SCORE, np.full(len(references), float(miner.max_score))))
    if miner.absolute_margin is not None:
        caps.append((Rejection.ABOVE_ABSOLUTE_MARGIN, references - float(miner.absolute_margin)))
    if miner.relative_margin is not None:
        relative = references - np.abs(references) * float(miner.relative_margin)
        caps.append((Rejection.ABOVE_RELATIVE_MARGIN, relative))
    rules = np.array([rule for rule, _ in caps], dtype=np.uint8)
    tightest: npt.NDArray[np.uint8] = rules[np.argmin([cap for _, cap in caps], axis=0)]
    return tightest


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Documents of rows, which are queries or result rows, with scores and rules."""

    rows: Int64s
    documents: Int64s
    scores: Float64s
    rules: npt.NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: list[_Found]) -> _Found:
        """Return all documents of several parts."""
        empty = np.empty(0, dtype=np.int64)
        parts = [cls(empty, empty, empty.astype(np.float64), empty.astype(np.uint8)), *parts]
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.documents for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.rules for part in parts]),
        )

    def with_rules(self, rules: npt.NDArray[np.uint8]) -> _Found:
        """Return the same documents with other rules."""
        return _Found(self.rows, self.documents, self.scores, rules)

    def at(self, places: Int64s) -> _Found:
        """Return some of the documents."""
        return _Found(self.rows[places], self.documents[places], self.scores[places], self.rules[places])

    def ranked(self) -> tuple[_Found, Int64s]:
        """Return the documents by (row, score descending, document), and the rank of each within its row."""
        found = self.at(np.lexsort((self.documents, -self.scores, self.rows)))
        return found, np.arange(len(found.rows)) - np.searchsorted(found.rows, found.rows)

    def best(self, n: int) -> _Found:
        """Return the best documents of every row, each once, under its first rule."""
        found = self.at(np.lexsort((self.rules, self.documents, self.rows)))
        repeated = (found.rows[1:] == found.rows[:-1]) & (found.documents[1:] == found.documents[:-1])
        found = found.at(np.flatnonzero(np.concatenate([np.ones(min(len(found.rows), 1), dtype=bool), ~repeated])))
        found, ranks = found.ranked()
        return found.at(np.flatnonzero(ranks < n))

    def of_rows(self, queries: Int64s, rows: Int64s) -> _Found:
        """Return the documents of queries, ordered by query, as those of result rows."""
        found = self.at(np.argsort(self.rows, kind="stable"))
        begins = np.searchsorted(found.rows, queries[rows])
        counts = np.searchsorted(found.rows, queries[rows], side="right") - begins
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        taken = found.at(np.repeat(begins, counts) + within)
        return _Found(np.repeat(rows, counts), taken.documents, taken.scores, taken.rules)

    def padded(self, n_rows: int, n: int, document_ids: Ids | None) -> Rejected:
        """Return the best documents of every result row as arrays."""
        found, ranks = self.ranked()
        place = ranks < n
        at = found.rows[place], ranks[place]
        indices = np.full((n_rows, n), -1, dtype=np.int64)
        scores = np.full((n_rows, n), -np.inf)
        rules = np.zeros((n_rows, n), dtype=np.uint8)
        indices[at], scores[at], rules[at] = found.documents[place], found.scores[place], found.rules[place]
        return Rejected(indices, scores, rules, document_ids)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Searches for the documents that the rules of a call take out, and for its candidates without caps."""

    source: CandidateSource
    queries: object
    rules: Rules
    n: int
    num_threads: int | None
    progress: Progress | None

    def candidates(self) -> _Found:
        """Find the best candidates of every query; those above a cap are the first of them."""
        return self._best(self.rules, Rejection.PADDING)

    def ineligible(self) -> Iterator[_Found]:
        """Find the best documents that each part of the eligibility does not admit."""
        parts = [] if self.rules.eligible is None else self.rules.eligible.complements()
        for part in parts:
            rules = Rules(self.rules.positives, exclude=None, self_rows=None, groups=None, eligible=part)
            yield self._best(rules, Rejection.INELIGIBLE)

    def barred(self) -> Iterator[_Found]:
        """Score the documents that are excluded, the query itself or in a group of a positive; yield the best."""
        groups = None if self.rules.groups is None else _Groups.read(self.rules.groups)
        positives, n_queries = self.rules.positives, len(self.rules.positives.offsets) - 1
        sizes = np.zeros(n_queries, dtype=np.int64)
        if self.rules.exclude is not None:
            sizes += np.diff(self.rules.exclude.offsets)
        if groups is not None:
            sizes += groups.sizes(positives)
        if self.rules.self_rows is not None:
            sizes += 1
        ends = np.cumsum(sizes)
        begin = 0
        while begin < n_queries:
            done = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + PAIRS_AT_ONCE, side="right")))
            if ends[end - 1] > done:
                yield self._scored(begin, end, groups)
            begin = end

    def _scored(self, begin: int, end: int, groups: _Groups | None) -> _Found:
        """Score the barred documents of the queries in [begin, end)."""
        pairs: list[tuple[Int64s, Int64s, Rejection]] = []
        if self.rules.exclude is not None:
            pairs.append((*_pairs(self.rules.exclude, begin, end), Rejection.EXCLUDED))
        if self.rules.self_rows is not None:
            known = begin + np.flatnonzero(self.rules.self_rows[begin:end] >= 0)
            pairs.append((known, self.rules.self_rows[known], Rejection.SELF))
        if groups is not None:
            pairs.append((*groups.pairs(self.rules.positives, begin, end), Rejection.GROUP))
        rows = np.concatenate([query for query, _, _ in pairs])
        documents = np.concatenate([document for _, document, _ in pairs])
        rules = np.concatenate([np.full(len(query), rule, dtype=np.uint8) for query, _, rule in pairs])
        n = np.int64(len(self.source))
        own_rows, own = _pairs(self.rules.positives, begin, end)
        kept = ~np.isin(rows * n + documents, own_rows[own >= 0] * n + own[own >= 0])
        rows, documents, rules = rows[kept], documents[kept], rules[kept]
        scores = self.source.score_pairs(self.queries, rows, documents)
        # A source of lists does not know every score.
        known = np.flatnonzero(~np.isnan(scores))
        return _Found(rows, documents, scores, rules).at(known).best(self.n)

    def _best(self, rules: Rules, rule: Rejection) -> _Found:
        """Find the best documents that pass some rules, without caps."""
        positives = rules.positives
        inside = positives.items >= 0
        offsets = np.concatenate([[0], np.cumsum(inside)])[positives.offsets].astype(np.int64)
        request = PoolRequest(
            rules=Rules(
                Csr(offsets, positives.items[inside]), rules.exclude, rules.self_rows, rules.groups, rules.eligible
            ),
            range_max=self.n,
        )
        found = self.source.candidates(self.queries, request, num_threads=self.num_threads, progress=self.progress)
        row, column = np.nonzero(found.indices >= 0)
        return _Found(
            found.query_indices[row],
            found.indices[row, column],
            found.scores[row, column],
            np.full(len(row), rule, dtype=np.uint8),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Members of every group."""

    of_document: Int64s
    order: Int64s
    sorted: Int64s

    @classmethod
    def read(cls, groups: Int64s) -> _Groups:
        order = np.argsort(groups, kind="stable")
        return cls(groups, order, groups[order])

    def _barred(self, positives: Csr, begin: int, end: int) -> tuple[Int64s, Int64s]:
        """Return the (query, group) pairs of the positives, each once."""
        rows, documents = _pairs(positives, begin, end)
        rows, documents = rows[documents >= 0], documents[documents >= 0]
        pairs = np.column_stack([rows, self.of_document[documents]])
        pairs = np.unique(pairs[pairs[:, 1] >= 0], axis=0)
        return pairs[:, 0], pairs[:, 1]

    def _ranges(self, groups: Int64s) -> tuple[Int64s, Int64s]:
        begins = np.searchsorted(self.sorted, groups)
        return begins, np.searchsorted(self.sorted, groups, side="right") - begins

    def sizes(self, positives: Csr) -> Int64s:
        """Return the number of documents in groups of the positives, per query."""
        n = len(positives.offsets) - 1
        rows, groups = self._barred(positives, 0, n)
        return np.bincount(rows, weights=self._ranges(groups)[1], minlength=n).astype(np.int64)

    def pairs(self, positives: Csr, begin: int, end: int) -> tuple[Int64s, Int64s]:
        """Return the (query, document) pairs of documents in groups of the positives."""
        rows, groups = self._barred(positives, begin, end)
        begins, counts = self._ranges(groups)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(rows, counts), self.order[np.repeat(begins, counts) + within]


def _pairs(lists: Csr, begin: int, end: int) -> tuple[Int64s, Int64s]:
    """Return the (query, document) pairs of the lists in [begin, end)."""
    rows = np.repeat(np.arange(begin, end), np.diff(lists.offsets[begin : end + 1]))
    return rows, lists.items[lists.offsets[begin] : lists.offsets[end]]
