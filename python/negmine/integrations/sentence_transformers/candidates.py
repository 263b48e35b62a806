"""The search of the miner of sentence-transformers: filters as caps per query, ranks, and the window of strict mode.

All filters of a query together are one cap and one floor, so that the engine applies them inside the search, on any
scale of scores. Strict mode then drops documents that the original does not see: those outside the first documents by
raw rank. The raw rank of a survivor is its rank among survivors, plus the documents above the cap, which the report of
the search counts exactly, plus the positives that score higher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import public_scores
from negmine._core.calls import Progress
from negmine.data.positives import Positives
from negmine.integrations.sentence_transformers.arguments import Arguments, Window
from negmine.integrations.sentence_transformers.pairs import Pairs
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.pool import CandidatePool
from negmine.mining.rescoring import Scorer
from negmine.search.exact import ExactIndex
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import Metric

__all__ = ["SCALES", "Found", "Scale", "find_negatives"]

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """Scale of the scores of a model, and the metric of the engine that ranks alike.

    Attributes
    ----------
    metric : {"cosine", "ip", "l2"}
        Metric of the search.
    outward, inward : callable
        Functions from scores of the engine to those of the model, and back.
    """

    metric: Metric
    outward: Callable[[Float64s], Float64s]
    inward: Callable[[Float64s], Float64s]


def _same(scores: Float64s) -> Float64s:
    return scores


def _to_squares(scores: Float64s) -> Float64s:
    """Square a distance, keep its sign, and stay finite."""
    limit = 1e150
    held = np.clip(scores, -limit, limit)
    return held * np.abs(held)


#: Scales by the name of the model's similarity function. Minus the distance of "euclidean" is squared in the engine.
SCALES = {
    "cosine": Scale("cosine", _same, _same),
    "dot": Scale("ip", _same, _same),
    "euclidean": Scale("l2", lambda scores: 0.0 - np.sqrt(-scores), _to_squares),
}


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Negatives of every query.

    Attributes
    ----------
    indices : int64 (n_queries, num_negatives)
        Rows of the negatives, best first, padded with -1.
    scores : float32 (n_queries, num_negatives)
        Their scores, padded with -inf.
    counts : int64 (n_queries,)
        Number of negatives per query.
    positive_scores : float32 (n_pairs,)
        Scores of the pairs, in their order.
    skipped : dict of str to int
        Documents that each filter removed.
    n_candidates : int
        Documents that the filters decided on.
    """

    indices: Int64s
    scores: npt.NDArray[np.float32]
    counts: Int64s
    positive_scores: npt.NDArray[np.float32]
    skipped: dict[str, int]
    n_candidates: int


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """Cap and floor of every query, and the filter that gives the cap."""

    cap: Float64s
    floor: float
    tightest: npt.NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def of(cls, filters: dict[str, float], references: Float64s) -> _Band:
        """Combine the filters; a document at a cap or at the floor is kept."""
        caps = {}
        if "max_score" in filters:
            caps["max_score"] = np.full(len(references), filters["max_score"])
        if "absolute_margin" in filters:
            caps["absolute_margin"] = references - filters["absolute_margin"]
        if "relative_margin" in filters:
            caps["relative_margin"] = references - np.abs(references) * filters["relative_margin"]
        stacked = np.stack([*caps.values(), np.full(len(references), np.inf)])
        return cls(stacked.min(axis=0), filters.get("min_score", -np.inf), stacked.argmin(axis=0), tuple(caps))

    def count(self, above: Int64s) -> dict[str, int]:
        """Sum documents above the cap by the filter that gives it."""
        return {name: int(above[self.tightest == place].sum()) for place, name in enumerate(self.names)}


class _Capped:
    """The index with a cap per query: all positives of a query are given the cap as their score."""

    document_ids = None

    def __init__(self, index: ExactIndex, caps: Float64s) -> None:
        self._index, self._caps = index, caps

    def __len__(self) -> int:
        return len(self._index)

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        capped = replace(request, given_scores=self._caps)
        return self._index.candidates(queries, capped, num_threads=num_threads, progress=progress)

    def score_pairs(self, queries: object, query_indices: Int64s, document_indices: Int64s) -> Float64s:
        return self._index.score_pairs(queries, query_indices, document_indices)


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """Documents of queries, as flat arrays: those of the pool, and positives."""

    query: Int64s
    document: Int64s
    score: Float64s
    is_positive: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        pool: CandidatePool,
        positives: Positives,
        scores: Float64s,
        queries: npt.NDArray[np.bool_] | None = None,
    ) -> _Entries:
        """Join the documents of a pool and all positives; of some queries, if a mask is given."""
        chosen = np.ones(len(pool), dtype=bool) if queries is None else queries
        real = (pool.indices >= 0) & chosen[:, None]
        own = chosen[positives.queries()]
        query = np.broadcast_to(np.arange(len(pool))[:, None], real.shape)[real]
        return cls(
            np.concatenate([query, positives.queries()[own]]),
            np.concatenate([pool.indices[real], positives.items[own]]),
            np.concatenate([pool.scores[real], scores[own]]),
            np.arange(len(query) + int(own.sum())) >= len(query),
        )

    def take(self, keep: npt.NDArray[Any]) -> _Entries:
        return _Entries(self.query[keep], self.document[keep], self.score[keep], self.is_positive[keep])

    def ranked(self) -> tuple[_Entries, Int64s]:
        """Sort by (query, score descending, row ascending), and return the rank within the query."""
        entries = self.take(np.lexsort((self.document, -self.score, self.query)))
        return entries, np.arange(len(entries.query)) - np.searchsorted(entries.query, entries.query)

    def within(self, band: _Band) -> npt.NDArray[np.bool_]:
        kept: npt.NDArray[np.bool_] = (band.floor <= self.score) & (self.score <= band.cap[self.query])
        return kept


def find_negatives(
    pairs: Pairs,
    query_embeddings: npt.NDArray[np.float32],
    corpus_embeddings: npt.NDArray[np.float32],
    scale: Scale,
    arguments: Arguments,
    scorer: Scorer | None,
    *,
    num_threads: int | None,
    memory_limit: int | None,
) -> Found:
    """Find the negatives of every query.

    Parameters
    ----------
    pairs : Pairs
        Queries, corpus and positives.
    query_embeddings : float32 (n_queries, width)
        Embeddings of the queries.
    corpus_embeddings : float32 (n_documents, width)
        Embeddings of the corpus.
    scale : Scale
        Scale of the model's scores.
    arguments : Arguments
        Filters, ranks and sampling.
    scorer : callable or None
        Cross encoder, as a scorer of rows; None if there is none, or it is not applied.
    num_threads, memory_limit : int or None
        Options of the index.

    Returns
    -------
    Found
    """
    index = ExactIndex(corpus_embeddings, metric=scale.metric, num_threads=num_threads, memory_limit=memory_limit)
    search = _Search(
        pairs, query_embeddings, index, scale, arguments, arguments.window(int(pairs.counts.max())), num_threads
    )
    positive_scores = scale.outward(
        index.score_pairs(query_embeddings, pairs.positives.queries(), pairs.positives.items)
    )
    if scorer is None:
        pool, skipped, n_candidates = search.direct(positive_scores)
    else:
        pool, positive_scores, skipped, n_candidates = search.rescored(positive_scores, scorer)
    chosen = pool.select(
        arguments.num_negatives, sampling=arguments.sampling, seed=arguments.seed, num_threads=num_threads
    )
    return Found(
        chosen.indices,
        chosen.scores,
        chosen.counts.astype(np.int64),
        public_scores(positive_scores[pairs.places]),
        skipped,
        n_candidates,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """One search: what is searched, and which ranks are kept."""

    pairs: Pairs
    queries: npt.NDArray[np.float32]
    index: ExactIndex
    scale: Scale
    arguments: Arguments
    window: Window
    num_threads: int | None

    @property
    def _end(self) -> int:
        """End of the ranks that the policy can use."""
        top = self.arguments.sampling == "top"
        return self.window.range_min + self.arguments.num_negatives if top else self.window.range_max

    def direct(self, positive_scores: Float64s) -> tuple[CandidatePool, dict[str, int], int]:
        """Apply filters inside the search; return the pool, the documents skipped, and the number of candidates."""
        positives, range_min = self.pairs.positives, self.window.range_min
        band = _Band.of(self.arguments.filters, _lowest(positives, positive_scores))
        # Counts below the floor, and ranks of positives, need the first ranks as well.
        whole = self.arguments.include_positives or np.isfinite(band.floor)
        pool = self._scan(0 if whole else range_min, self._end, band)
        lines = pool.report.lines
        above = lines["above_absolute_margin"]
        n_candidates = len(self.index) - lines["positives"] - lines["excluded"]
        skipped = band.count(above)
        if np.isfinite(band.floor):
            short = pool.counts < pool.indices.shape[1]
            skipped["min_score"] = int((n_candidates - above - pool.counts)[short].sum())
        if self.arguments.include_positives:
            entries = _Entries.of(pool, positives, positive_scores)
            over = entries.is_positive & (entries.score > band.cap[entries.query])
            hidden = above + np.bincount(entries.query[over], minlength=len(pool))
            entries, rank = entries.take(entries.within(band)).ranked()
            pool = self._kept(pool, entries, rank, self._seen(entries, rank + hidden[entries.query]))
        else:
            pool = self._unseen_dropped(pool, positive_scores, above, 0 if whole else range_min)
            if whole and range_min:
                pool = _columns_from(pool, range_min)
        return pool, skipped, int(n_candidates.sum())

    def rescored(
        self, positive_scores: Float64s, scorer: Scorer
    ) -> tuple[CandidatePool, Float64s, dict[str, int], int]:
        """Apply filters to the scores of a cross encoder; return also the positives' new scores."""
        positives, window = self.pairs.positives, self.window
        depth = window.range_max if window.n_seen is None else window.n_seen
        pool = self._scan(0, depth, None)
        before, rank = _Entries.of(pool, positives, positive_scores).ranked()
        seen = before.take(self._seen(before, rank))
        pool = self._unseen_dropped(pool, positive_scores, np.zeros(len(pool), dtype=np.int64), 0)
        pool = pool.rescore(scorer, batch_size=64 * self.arguments.batch_size)
        entries = _Entries.of(pool, positives, pool.positive_scores)
        keep = ~entries.is_positive
        if self.arguments.include_positives:
            n_documents = len(self.index)
            keep |= np.isin(entries.query * n_documents + entries.document, seen.query * n_documents + seen.document)
        entries = entries.take(keep)
        band = _Band.of(self.arguments.filters, _lowest(positives, pool.positive_scores))
        over = ~entries.is_positive & (entries.score > band.cap[entries.query])
        skipped = band.count(np.bincount(entries.query[over], minlength=len(pool)))
        if np.isfinite(band.floor):
            below = ~entries.is_positive & ~over & (entries.score < band.floor)
            skipped["min_score"] = int(below.sum())
        n_candidates = int((~entries.is_positive).sum())
        entries, rank = entries.take(entries.within(band)).ranked()
        kept = self._kept(pool, entries, rank, np.ones(len(rank), dtype=bool))
        return kept, pool.positive_scores, skipped, n_candidates

    def _scan(self, first: int, end: int, band: _Band | None) -> CandidatePool:
        """Search for the candidates of ranks ``[first, end)``, scored on the scale of the model."""
        source: Any = self.index
        options: dict[str, Any] = {}
        if band is not None and band.names:
            source = _Capped(self.index, self.scale.inward(band.cap)[self.pairs.positives.queries()])
            options["absolute_margin"] = 0.0  # the cap is the reference itself
        if band is not None and np.isfinite(band.floor):
            options["min_score"] = float(self.scale.inward(np.array(band.floor)))
        end = max(first + 1, min(end, len(self.index)))
        miner = HardNegativeMiner(1, range_min=first, range_max=end, **options)
        pool = miner.candidates(
            source,
            self.queries,
            self.pairs.positives,
            exclude=self.pairs.self_rows() if self.arguments.better else None,
            num_threads=self.num_threads,
        )
        return replace(pool, scores=self.scale.outward(pool.scores))

    def _seen(self, entries: _Entries, raw: Int64s) -> npt.NDArray[np.bool_]:
        """Return which entries are among the documents that are considered, from their raw rank."""
        return np.ones(len(raw), dtype=bool) if self.window.n_seen is None else raw < self.window.n_seen

    def _unseen_dropped(
        self, pool: CandidatePool, positive_scores: Float64s, above: Int64s, first: int
    ) -> CandidatePool:
        """Drop documents whose raw rank is too high, of a pool without positives whose ranks start at ``first``."""
        n_seen = self.window.n_seen
        if n_seen is None:
            return pool
        positives = self.pairs.positives
        risky = above + first + pool.counts + np.diff(positives.offsets) > n_seen
        if not risky.any():
            return pool
        entries, rank = _Entries.of(pool, positives, positive_scores, risky).ranked()
        raw = above[entries.query] + first + rank
        mined = (~entries.is_positive) & (raw < n_seen)
        kept = pool.counts.astype(np.int64)
        kept[risky] = np.bincount(entries.query[mined], minlength=len(pool))[risky]
        # The raw rank ascends along a row, so the end of the row is dropped.
        dropped = np.arange(pool.indices.shape[1]) >= kept[:, None]
        return replace(
            pool,
            indices=np.where(dropped, -1, pool.indices),
            scores=np.where(dropped, -np.inf, pool.scores),
            counts=kept.astype(np.int32),
        )

    def _kept(self, pool: CandidatePool, entries: _Entries, rank: Int64s, seen: npt.NDArray[np.bool_]) -> CandidatePool:
        """Return a pool of the entries of the ranks that the policy can use."""
        first = self.window.range_min
        width = max(1, min(self._end - first, int(rank.max(initial=0)) + 1 - first))
        keep = seen & (rank >= first) & (rank < first + width)
        entries, column = entries.take(keep), rank[keep] - first
        indices = np.full((len(pool), width), -1, dtype=np.int64)
        scores = np.full((len(pool), width), -np.inf)
        indices[entries.query, column] = entries.document
        scores[entries.query, column] = entries.score
        counts = (indices >= 0).sum(axis=1, dtype=np.int32)
        return replace(pool, indices=indices, scores=scores, counts=counts)


def _columns_from(pool: CandidatePool, first: int) -> CandidatePool:
    """Return a pool without its first ranks."""
    padded = np.pad(pool.indices[:, first:], ((0, 0), (0, 1)), constant_values=-1)
    scores = np.pad(pool.scores[:, first:], ((0, 0), (0, 1)), constant_values=-np.inf)
    return replace(pool, indices=padded, scores=scores, counts=np.maximum(pool.counts - first, 0).astype(np.int32))


def _lowest(positives: Positives, scores: Float64s) -> Float64s:
    """Return the lowest score of the positives of every query."""
    lowest: Float64s = np.minimum.reduceat(scores, positives.offsets[:-1])
    return lowest
