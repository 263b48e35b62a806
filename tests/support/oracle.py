"""A brute-force miner that reads in a minute: what every answer of negmine is compared with, bit for bit.

It scores every pair, looks at every document, and shares no line with the engine: it imports NumPy and nothing of
negmine. Three steps, as in the product: `candidates` (rules, caps, floor, rank window) gives one `Row` per result row,
`select` (policy, draws, document limit) gives one `Chosen` per row, and `search` is the plain top-k. Draws and policies
are in `oracle_draws`. Inputs are plain lists and are trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oracle_draws import NUM_RANDOM, Place, Policy, Quota, SimANS, draw_by_number, log_probs, order, sequential_sum

Metric = Literal["ip", "cosine", "l2"]
Reference = Literal["min", "max", "mean", "each"]
Positive = int | float  # an int is a row of the corpus, a float the score of a positive that is not in it
Eligible = tuple[Sequence[int], Sequence[int], Sequence[int]]  # a key per document; low and high per query
FloatArray = NDArray[np.float64]
INFINITY = math.inf
LANES = 16
RULES = ("candidate", "positive", "excluded", "self", "group", "ineligible", "unlisted")
CAPS = ("above_max_score", "above_absolute", "above_relative")


# ---- canonical scores


def lane_sums(a: FloatArray, b: FloatArray, metric: Metric) -> FloatArray:
    """Sum the last axis in 16 lanes: lane l takes l, l + 16, ...; then l + 8, + 4, + 2, + 1 are added."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    lanes = np.zeros((*shape[:-1], LANES))
    for start in range(0, shape[-1], LANES):
        x, y = a[..., start : start + LANES], b[..., start : start + LANES]
        term = (x - y) * (x - y) if metric == "l2" else x * y
        lanes[..., : term.shape[-1]] += term
    half = LANES // 2
    while half:
        lanes[..., :half] += lanes[..., half : 2 * half]
        half //= 2
    return lanes[..., 0].copy()


def pair_scores(queries: ArrayLike, documents: ArrayLike, metric: Metric = "cosine") -> FloatArray:
    """Canonical f64 scores of broadcast pairs of rows; inputs are rounded to f32 first."""
    q = np.asarray(queries, dtype=np.float32).astype(np.float64)
    d = np.asarray(documents, dtype=np.float32).astype(np.float64)
    sums = lane_sums(q, d, metric)
    if metric == "l2":
        return 0.0 - sums
    if metric == "ip":
        return sums
    norms = lane_sums(q, q, "ip") * lane_sums(d, d, "ip")
    zero = norms == 0.0
    return np.clip(np.where(zero, 0.0, sums / np.sqrt(np.where(zero, 1.0, norms))), -1.0, 1.0)


def all_scores(queries: ArrayLike, corpus: ArrayLike, metric: Metric = "cosine") -> FloatArray:
    """Canonical f64 scores [n queries, N documents], one query at a time."""
    q, d = np.asarray(queries, dtype=np.float32), np.asarray(corpus, dtype=np.float32)
    scores = np.empty((len(q), len(d)))
    for i in range(len(q)):
        scores[i] = pair_scores(q[i], d, metric)
    return scores


def public_scores(scores: ArrayLike) -> NDArray[np.float32]:
    """Give what a user sees: f32, rounded to nearest, saturated to the largest finite value, never -0.0."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(np.asarray(scores, dtype=np.float64), -largest, largest).astype(np.float32) + np.float32(0.0)


def ranking(rows: Sequence[int], scores: FloatArray) -> list[int]:
    """Sort the given rows by (score descending, row ascending)."""
    return sorted(rows, key=lambda row: (-scores[row], row))


# ---- who is a candidate


@dataclass(frozen=True)
class Rules:
    """Rules 2 to 5; rule 1, the positives, is always there."""

    exclude: Sequence[Sequence[int]] | None = None  # rows per query
    self_rows: Sequence[int] | None = None  # the row that each query itself is, or -1
    groups: Sequence[int] | None = None  # one per document, -1 for none
    eligible: Eligible | None = None


def first_rule(n_documents: int, i: int, positives: Sequence[Positive], rules: Rules) -> NDArray[np.int8]:
    """Per document the number of the first rule that bars it for query i, 0 for a candidate."""
    rule = np.zeros(n_documents, dtype=np.int8)
    known = [row for row in positives if not isinstance(row, float)]
    # Written from the last rule to the first, so that the first has the last word.
    if rules.eligible is not None:
        keys, low, high = (np.asarray(values, dtype=np.int64) for values in rules.eligible)
        rule[(keys < low[i]) | (keys > high[i])] = 5
    if rules.groups is not None:
        barred = {rules.groups[row] for row in known} - {-1}
        rule[[j for j in range(n_documents) if rules.groups[j] in barred]] = 4
    if rules.self_rows is not None and rules.self_rows[i] >= 0:
        rule[rules.self_rows[i]] = 3
    if rules.exclude is not None:
        rule[list(rules.exclude[i])] = 2
    rule[known] = 1
    return rule


# ---- caps, floor and rank window


@dataclass(frozen=True)
class Limits:
    """Caps, floor and rank window of a miner."""

    absolute_margin: float | None = None
    relative_margin: float | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_floor: float | None = None
    relative_floor: float | None = None
    reference: Reference = "min"
    range_min: int = 0
    range_max: int = 5

    def caps(self, reference: float) -> dict[str, float]:
        """Return the caps that are set, in the order that breaks ties."""
        caps = {}
        if self.max_score is not None:
            caps["above_max_score"] = self.max_score
        if self.absolute_margin is not None:
            caps["above_absolute"] = reference - self.absolute_margin
        if self.relative_margin is not None:
            caps["above_relative"] = reference - abs(reference) * self.relative_margin
        return caps

    def floor(self, reference: float) -> float:
        """Return the lowest score that is kept."""
        floors = [-INFINITY]
        if self.min_score is not None:
            floors.append(self.min_score)
        if self.absolute_floor is not None:
            floors.append(reference - self.absolute_floor)
        if self.relative_floor is not None:
            floors.append(reference - abs(reference) * self.relative_floor)
        return max(floors)

    @property
    def needs_reference(self) -> bool:
        """Whether a query without positives cannot be served."""
        options = (self.absolute_margin, self.relative_margin, self.absolute_floor, self.relative_floor)
        return any(option is not None for option in options)


@dataclass(frozen=True)
class Row:
    """One result row of the first stage: a query, or a (query, positive) pair under reference="each"."""

    query: int  # row within the call
    global_query: int
    positive: int  # row of the positive under "each", else -1
    reference: float
    scores: FloatArray  # of every document
    candidates: list[int]  # rules 1 to 5 passed, in row order
    survivors: list[int]  # caps and floor passed too, in rank order
    pool: list[int]  # survivors of rank [range_min, range_max)
    width: int
    counts: dict[str, int] = field(default_factory=dict)  # the report's lines; they add up to the corpus
    no_positive: bool = False  # no reference for margins and floors
    has_positives: bool = False
    floor: float = -INFINITY

    @property
    def pool_scores(self) -> list[float]:
        """Scores of the pool's members, best first."""
        return [float(self.scores[row]) for row in self.pool]

    @property
    def capped(self) -> int:
        """Candidates above the cap."""
        return sum(self.counts[line] for line in CAPS)

    @property
    def below_floor(self) -> int:
        """What no other line counts, by subtraction: neither capped nor a survivor."""
        return len(self.candidates) - self.capped - len(self.survivors)

    @property
    def reason(self) -> str:
        """Why the pool itself is not full; empty when it is."""
        return "" if len(self.pool) == self.width else self.shortage()

    def shortage(self) -> str:
        """Name the first reason of the first stage that applies."""
        if self.no_positive:
            return "no_reference" if self.has_positives else "no_positive"
        if self.counts["unlisted"]:
            return "below_floor" if self.below_floor else "list_exhausted"
        if self.capped:
            return "above_cap"
        return "below_floor" if self.below_floor else "corpus_exhausted"


def in_csr_order(positives: Sequence[Positive]) -> list[Positive]:
    """Positives outside the corpus (row -1) first, then the rows, sorted and without duplicates."""
    outside: list[Positive] = [entry for entry in positives if isinstance(entry, float)]
    return outside + sorted({entry for entry in positives if not isinstance(entry, float)})


def reference_of(kind: Reference, scores: list[float]) -> float:
    """Return the reference score of a query; NaN without positives."""
    if not scores or any(math.isnan(score) for score in scores):
        return math.nan
    if kind == "mean":
        total = sequential_sum(scores)
        if math.isfinite(total):
            return total / len(scores)
        small = [math.ldexp(score, -64) for score in scores]
        return math.ldexp(min(max(sequential_sum(small) / len(small), min(small)), max(small)), 64)
    return max(scores) if kind == "max" else min(scores)


def make_row(
    i: int, global_query: int, positive: int, ref: float, scores: FloatArray, rule: NDArray[np.int8], limits: Limits
) -> Row:
    """Apply caps, floor and window to the candidates of one result row."""
    width = limits.range_max - limits.range_min
    counts = dict.fromkeys((*RULES[1:], *CAPS), 0)
    if limits.needs_reference and math.isnan(ref):  # such a row adds to no line but its own
        return Row(i, global_query, positive, ref, scores, [], [], [], width, counts, no_positive=True)
    for number, line in enumerate(RULES[1:], start=1):
        counts[line] = int((rule == number).sum())
    candidates = [int(row) for row in np.flatnonzero(rule == 0)]
    caps = limits.caps(ref)
    tightest = min(caps, key=lambda line: caps[line]) if caps else ""  # `min` keeps the first of equals
    cap = caps.get(tightest, INFINITY)
    floor = limits.floor(ref)
    within = [row for row in candidates if scores[row] <= cap]
    if tightest:
        counts[tightest] = len(candidates) - len(within)
    survivors = ranking([row for row in within if floor <= scores[row]], scores)
    pool = survivors[limits.range_min : limits.range_max]
    return Row(i, global_query, positive, ref, scores, candidates, survivors, pool, width, counts, floor=floor)


def candidates(
    queries: ArrayLike,
    corpus: ArrayLike,
    positives: Sequence[Sequence[Positive]],
    limits: Limits,
    *,
    metric: Metric = "cosine",
    rules: Rules | None = None,
    query_offset: int = 0,
) -> list[Row]:
    """Run the first stage: one `Row` per query, or per (query, positive) in CSR order under reference="each"."""
    result = []
    for i, scores in enumerate(all_scores(queries, corpus, metric)):
        entries = in_csr_order(positives[i])
        known = [float(scores[entry]) if not isinstance(entry, float) else entry for entry in entries]
        rule = first_rule(len(scores), i, entries, rules or Rules())
        if limits.reference == "each":
            rows = [-1 if isinstance(entry, float) else entry for entry in entries]
            pairs = list(zip(rows, known, strict=True)) or [(-1, math.nan)]
        else:
            pairs = [(-1, reference_of(limits.reference, known))]
        for positive, ref in pairs:
            result.append(make_row(i, query_offset + i, positive, ref, scores, rule, limits))
    return result


def candidates_of_lists(
    lists: Sequence[dict[int, float]],
    n_documents: int,
    positives: Sequence[Sequence[int]],
    limits: Limits,
    *,
    given: dict[tuple[int, int], float] | None = None,
    rules: Rules | None = None,
) -> list[Row]:
    """Run the first stage on one {document: score} per query; `given` are scores of (query, positive) pairs."""
    result = []
    for i, scored in enumerate(lists):
        scores = np.array([scored.get(row, math.nan) for row in range(n_documents)])
        rule = first_rule(n_documents, i, positives[i], rules or Rules())
        rule[(rule == 0) & np.isnan(scores)] = RULES.index("unlisted")
        entries = sorted(set(positives[i]))
        known = [(given or {}).get((i, entry), scored.get(entry, math.nan)) for entry in entries]
        each = limits.reference == "each" and entries
        pairs = list(zip(entries, known, strict=True)) if each else [(-1, reference_of(limits.reference, known))]
        for positive, ref in pairs:
            row = make_row(i, i, positive, ref, scores, rule, limits)
            result.append(replace(row, has_positives=bool(entries)))
    return result


def report(rows: Sequence[Row]) -> dict[str, int]:
    """Sum the lines of the report over result rows."""
    return {line: sum(row.counts[line] for row in rows) for line in (*RULES[1:], *CAPS)}


# ---- selection


@dataclass(frozen=True)
class Chosen:
    """One result row of the second stage: `mined` best first, then `random` in the order drawn."""

    mined: list[int]
    random: list[int]
    scores: FloatArray  # f64, mined then random
    reason: str
    log_prob: list[float]  # likewise

    @property
    def rows(self) -> list[int]:
        """All rows, as they stand in the result."""
        return self.mined + self.random


def select(
    pool: Sequence[Row],
    n: int,
    sampling: Policy = "top",
    *,
    num_random: int = 0,
    seed: int = 0,
    epoch: int = 0,
    limit_per_document: int | None = None,
) -> list[Chosen]:
    """Run the second stage; with a limit per document, what `limit_per_document` of a pool gives."""
    places = [Place(seed, epoch, row.global_query, 1 + row.positive) for row in pool]
    orders = []
    for row, place in zip(pool, places, strict=True):
        ranks = order(sampling, n, row.pool, row.pool_scores, row.reference, place)
        orders.append([row.pool[rank] for rank in ranks])
    if limit_per_document is None:
        held = [rows[:n] for rows in orders]
    else:
        held = deferred_acceptance(orders, [row.scores for row in pool], n, limit_per_document)
    result = []
    for row, place, preference, kept in zip(pool, places, orders, held, strict=True):
        mined = ranking(kept, row.scores)
        random = uniform_draws(row, mined, num_random, place) if num_random else []
        chances = inclusion(row, mined, random, n, sampling, place, limit_per_document is not None)
        reason = ""
        if len(mined) < n:
            reason = why_short(row, len(preference), len(mined), sampling)
        elif len(random) < num_random:
            reason = "random_exhausted"
        result.append(Chosen(mined, random, row.scores[mined + random], reason, chances))
    return result


def inclusion(
    row: Row, mined: list[int], random: list[int], n: int, sampling: Policy, place: Place, limited: bool
) -> list[float]:
    """Return the log-probability of every document of a row."""
    if limited:
        chances = [math.nan] * len(mined)
    else:
        by_rank = log_probs(sampling, n, row.pool, row.pool_scores, row.reference, place)
        chances = [by_rank[row.pool.index(document)] for document in mined]
    admissible = len(row.candidates) - row.capped - len(mined)
    share = math.nan if row.floor > -math.inf or not random else len(random) / admissible
    return chances + [math.log(share)] * len(random)


def why_short(row: Row, n_ordered: int, n_mined: int, sampling: Policy) -> str:
    """Name the first reason that applies to a row whose mined part is short."""
    if row.no_positive or (isinstance(sampling, SimANS) and math.isnan(row.reference)):
        return "no_reference" if row.has_positives else "no_positive"
    if n_ordered < len(row.pool) and n_mined == n_ordered:
        return "quota" if isinstance(sampling, Quota) else "zero_weight"
    if n_mined < n_ordered:
        return "document_limit"
    if len(row.pool) == row.width:
        return "rank_window"
    return row.shortage()


def uniform_draws(row: Row, chosen: Sequence[int], wanted: int, place: Place) -> list[int]:
    """Up to `wanted` distinct uniform draws from the candidates, not among the chosen and within cap and floor."""
    allowed = set(row.survivors) - set(chosen)
    drawn: list[int] = []
    for t in range(64 * wanted):
        if len(drawn) == wanted or not row.candidates:
            break
        x = draw_by_number(place.seed, NUM_RANDOM, place.epoch, place.query, t, place.extra)
        document = row.candidates[(x * len(row.candidates)) >> 64]
        if document in allowed:
            allowed.remove(document)
            drawn.append(document)
    return drawn


def deferred_acceptance(
    orders: Sequence[Sequence[int]], scores: Sequence[FloatArray], n: int, cap: int
) -> list[list[int]]:
    """Rows propose in their order until they hold n; a document keeps its best `cap` by (score, lower result row)."""
    nexts = [0] * len(orders)
    held: list[set[int]] = [set() for _ in orders]
    keepers: dict[int, list[int]] = {}
    waiting = list(range(len(orders)))
    while waiting:
        i = waiting.pop()
        while len(held[i]) < n and nexts[i] < len(orders[i]):
            document = orders[i][nexts[i]]
            nexts[i] += 1
            keepers.setdefault(document, []).append(i)
            held[i].add(document)
            if len(keepers[document]) > cap:
                refused = max(keepers[document], key=lambda row: (-scores[row][document], row))
                keepers[document].remove(refused)
                held[refused].remove(document)
                waiting.append(refused)
    return [list(documents) for documents in held]


def label_issues(pool: Sequence[Row], chosen: Sequence[Chosen]) -> list[tuple[int, int]]:
    """List (result row, document) of the negatives that score above their reference."""
    return [
        (index, document)
        for index, (row, picked) in enumerate(zip(pool, chosen, strict=True))
        for document in picked.rows
        if row.scores[document] > row.reference
    ]


# ---- sweeps and plain search


@dataclass(frozen=True)
class SweptRow:
    """One result row at one margin: how many of its listed candidates the cap rejects, and whether it can be judged."""

    listed: int
    rejected: int
    censored: bool


def sweep(uncapped: Sequence[Row], limits: Limits, depth: int) -> list[SweptRow]:
    """Judge the best `depth` candidates of a run without caps by the caps of `limits` (which hold the swept margin)."""
    result = []
    for row in uncapped:
        listed = row.survivors[:depth]
        surviving = swept_survivors(row, limits, depth)
        censored = len(listed) == depth and len(surviving) < limits.range_max
        result.append(SweptRow(len(listed), len(listed) - len(surviving), censored))
    return result


def swept_survivors(row: Row, limits: Limits, depth: int) -> list[int]:
    """List the survivors among a row's best `depth` candidates; a margin of None caps nothing."""
    cap = min(limits.caps(row.reference).values(), default=INFINITY)
    return [document for document in row.survivors[:depth] if row.scores[document] <= cap]


def swept_negatives(row: Row, limits: Limits, depth: int, n: int) -> list[int]:
    """List the negatives that "top" selects among these."""
    return swept_survivors(row, limits, depth)[limits.range_min : limits.range_max][:n]


def search(
    queries: ArrayLike,
    corpus: ArrayLike,
    k: int,
    *,
    metric: Metric = "cosine",
    exclude: Sequence[Sequence[int]] | None = None,
    max_score: float | None = None,
    eligible: Eligible | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]:
    """Plain exact search: rows padded with -1, public scores padded with -inf, counts."""
    limits = Limits(max_score=max_score, range_max=k)
    nobody: list[list[Positive]] = [[] for _ in range(len(np.asarray(queries)))]
    rules = Rules(exclude=exclude, eligible=eligible)
    found = candidates(queries, corpus, nobody, limits, metric=metric, rules=rules)
    scores = [row.scores[row.pool] for row in found]
    return padded([row.pool for row in found], scores, k)


def padded(
    rows: Sequence[Sequence[int]], scores: Sequence[FloatArray], width: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]:
    """Ragged results as the product's arrays."""
    out_rows = np.full((len(rows), width), -1, dtype=np.int64)
    out_scores = np.full((len(rows), width), -np.inf, dtype=np.float32)
    for i, (mine, values) in enumerate(zip(rows, scores, strict=True)):
        out_rows[i, : len(mine)] = mine
        out_scores[i, : len(mine)] = public_scores(values)
    return out_rows, out_scores, np.array([len(mine) for mine in rows], dtype=np.int32)
