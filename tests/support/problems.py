"""Mining problems made to collide: thresholds that equal scores, positives twice over, groups, labels, offsets."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import oracle
import oracle_draws
from compare import Entry, Problem
from vectors import KINDS, Rng, queries_for

METRICS: tuple[oracle.Metric, ...] = ("cosine", "ip", "l2")
REFERENCES: tuple[oracle.Reference, ...] = ("min", "max", "mean", "each")


@dataclass(frozen=True)
class Features:
    """What a problem has besides vectors and positives."""

    outside: str = "none"  # positives outside the corpus: "none", "scores", "embeddings"
    exclude: bool = False
    itself: str = "no"  # "no", "labels", "slice"
    groups: bool = False
    eligible: bool = False
    absolute: bool = False
    relative: bool = False
    highest: bool = False
    lowest: bool = False
    absolute_floor: bool = False
    relative_floor: bool = False
    reference: oracle.Reference = "min"
    ids: str = "none"  # "none", "int", "str"
    range_min: int = 0
    depth: int = 5
    query_offset: int = 0


def make_problem(
    rng: Rng, kind: str, metric: oracle.Metric, shape: tuple[int, int, int], features: Features
) -> Problem:
    """Make a problem of `shape` (queries, documents, width) out of one kind of vectors."""
    n_queries, n, width = shape
    corpus = KINDS[kind](rng, n, width)
    queries = queries_for(rng, corpus, n_queries, kind)
    offset = features.query_offset
    itself = features.itself
    if itself == "slice":
        if n == 0:
            itself = "no"
        else:
            offset = int(rng.integers(0, n))
            queries = corpus[offset : offset + n_queries]
    n_queries = len(queries)
    ids, query_ids = make_labels(
        rng, n, n_queries, "int" if itself == "labels" and features.ids == "none" else features.ids
    )
    positives = [make_entries(rng, features.outside, n, width, query, metric) for query in queries]
    scores = oracle.all_scores(queries, corpus, metric)
    return Problem(
        queries=queries,
        corpus=corpus,
        positives=positives,
        limits=make_limits(rng, features, scores, positives),
        metric=metric,
        exclude=[few(rng, n) for _ in range(n_queries)] if features.exclude else None,
        groups=rng.integers(-1, max(2, n // 3), n).tolist() if features.groups else None,
        eligible=make_ranges(rng, n, n_queries) if features.eligible else None,
        query_offset=offset,
        ids=ids,
        query_ids=query_ids if itself == "labels" else None,
        self_is_slice=itself == "slice",
    )


def few(rng: Rng, n: int) -> list[int]:
    """Up to three distinct rows, in any order."""
    return rng.permutation(n)[: rng.integers(0, 4)].tolist()


def make_entries(rng: Rng, outside: str, n: int, width: int, query: NDArray[Any], metric: oracle.Metric) -> list[Entry]:
    """Up to three rows, with repeats, and up to two positives outside the corpus, in any order."""
    entries: list[Entry] = few(rng, n)
    if entries and rng.random() < 0.2:
        entries.append(entries[0])
    for _ in range(rng.integers(0, 3) if outside != "none" else 0):
        vector = (query * np.float32(0.5)) if rng.random() < 0.5 else rng.standard_normal(width).astype(np.float32)
        entries.append(vector if outside == "embeddings" else float(oracle.pair_scores(query, vector, metric)))
    return [entries[i] for i in rng.permutation(len(entries))]


def make_limits(
    rng: Rng, features: Features, scores: NDArray[np.float64], positives: list[list[Entry]]
) -> oracle.Limits:
    """Caps and a floor that equal scores of the problem, where f64 lets a margin hit one."""
    pool = scores[np.isfinite(scores)].ravel()
    values = pool if len(pool) else np.array([0.0, 0.5])
    references = [
        scores[i, entry] for i, entries in enumerate(positives) for entry in entries if isinstance(entry, int)
    ] or [0.5]
    reference, target = float(rng.choice(references)), float(rng.choice(values))
    relative = (reference - target) / abs(reference) if reference else 0.25
    highest = float(rng.choice(values)) if features.highest else None
    lowest = float(np.quantile(values, rng.choice([0.0, 0.25, 0.5]), method="lower")) if features.lowest else None
    if highest is not None and lowest is not None:
        lowest = min(lowest, highest)  # a floor above the highest score is refused

    def floor_of(margin: float) -> float:
        # From far below the margin's own cap to above it, with scores that equal the floor in between.
        target = float(rng.choice(values))
        exact = reference - target if np.isfinite(target) else 0.0
        return float(rng.choice([exact, margin, margin + 0.25, -0.5, 0.0, 1.0]))

    absolute_floor = floor_of(reference - target) if features.absolute_floor else None
    relative_floor = floor_of(relative) / max(abs(reference), 0.25) if features.relative_floor else None
    return oracle.Limits(
        absolute_floor=absolute_floor if absolute_floor is None or np.isfinite(absolute_floor) else 0.5,
        relative_floor=relative_floor if relative_floor is None or np.isfinite(relative_floor) else 0.5,
        absolute_margin=reference - target if features.absolute else None,
        relative_margin=max(0.0, relative) if features.relative and np.isfinite(relative) else None,
        max_score=highest,
        min_score=lowest,
        reference=features.reference,
        range_min=features.range_min,
        range_max=features.range_min + features.depth,
    )


def make_ranges(rng: Rng, n: int, n_queries: int) -> oracle.Eligible:
    """Small keys, and ranges of which some are empty and some unbounded."""
    low = rng.integers(-2, 4, n_queries)
    high = low + rng.integers(-1, 5, n_queries)
    unbounded = rng.random(n_queries) < 0.3
    low, high = np.where(unbounded, -(2**63), low), np.where(unbounded, 2**63 - 1, high)
    return rng.integers(-2, 5, n).tolist(), low.tolist(), high.tolist()


def make_labels(rng: Rng, n: int, n_queries: int, kind: str) -> tuple[list[Any] | None, list[Any] | None]:
    """Distinct labels of the documents, and labels of the queries, of which some are documents."""
    if kind == "none":
        return None, None
    numbers = (rng.permutation(3 * n + 9)[: n + 6] * 7 - 5).tolist()
    numbers = [number if number != -1 else 10**9 for number in numbers]
    known, others = numbers[:n], numbers[n:]
    mine = [known[rng.integers(0, n)] if n and rng.random() < 0.7 else others[i % 6] for i in range(n_queries)]
    if kind == "int":
        return known, mine
    name = {number: string.ascii_letters[number % 52] * (number % 3 + 1) + str(number) for number in numbers}
    return [name[number] for number in known], [name[number] for number in mine]


POLICIES: tuple[oracle_draws.Policy, ...] = (
    "top",
    "random",
    oracle_draws.Softmax(0.05),
    oracle_draws.Softmax(1e-4),
    oracle_draws.Softmax(1e-320),
    oracle_draws.Softmax(100.0),
    oracle_draws.SimANS(),
    oracle_draws.SimANS(a=0.0),
    oracle_draws.SimANS(a=2.0, b=-0.1, scale="raw"),
    oracle_draws.SimANS(a=1e308, b=1e10, scale="raw"),
    oracle_draws.Stride(),
    oracle_draws.Typical(),
    oracle_draws.Typical(0.5, 0.05),
    oracle_draws.Typical(0.3, 5e-324),
    oracle_draws.Typical(1.5, 0.1),
    oracle_draws.Quota((0.5, 0.5)),
    oracle_draws.Quota((1.0, 3.0, 0.0), strict=True),
    oracle_draws.Quota((0.2, 0.0, 0.3, 0.1), rounding="draw"),
    oracle_draws.Quota((0.6, 0.4), strict=True, rounding="draw"),
)
