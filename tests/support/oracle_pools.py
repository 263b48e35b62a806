"""Brute-force rescoring, bands and fusion of pools, in plain Python: no line is shared with the product.

A pool is a list of `PoolRow`. Positives are lists of document rows per query, -1 for one outside the corpus; their
scores are lists of the same lengths, None for a missing score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

Scores = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class PoolRow:
    """One result row: documents in rank order with their scores, and those of a guide."""

    query: int  # row within the pool
    positive: int  # position of the row's own positive in its query's list under "each", else -1
    documents: tuple[int, ...]
    scores: tuple[float, ...]
    guides: tuple[float, ...] = ()
    full: bool = False  # the pool row was cut by its rank window
    reason: str = ""
    restricted: int = 0


def reference(row: PoolRow, scores: Scores, kind: str) -> float | None:
    """Return the score that margins refer to."""
    known = scores[row.query]
    if kind == "each":
        return known[row.positive] if row.positive >= 0 else None
    finite = [score for score in known if score is not None]
    if not known or len(finite) < len(known):
        return None
    if kind == "mean":
        total = 0.0
        for score in finite:
            total += score
        return total / len(finite)
    return min(finite) if kind == "min" else max(finite)


# ---- rescoring


def pairs(pool: Sequence[PoolRow], positives: Sequence[Sequence[int]], offset: int) -> list[tuple[int, int]]:
    """List every pair that a scorer sees: each once, by query and document, with rows of the whole data set."""
    seen = {(offset + row.query, document) for row in pool for document in row.documents}
    seen |= {(offset + query, document) for query, known in enumerate(positives) for document in known if document >= 0}
    return sorted(seen)


def ranked(row: PoolRow, offset: int, scorer: Callable[[int, int], float]) -> PoolRow:
    """Rank a row again by other scores; the guide's stay with their documents."""
    scores = [scorer(offset + row.query, document) for document in row.documents]
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], row.documents[place]))
    return replace(
        row,
        documents=tuple(row.documents[place] for place in order),
        scores=tuple(scores[place] for place in order),
        guides=tuple(row.guides[place] for place in order) if row.guides else (),
    )


def positive_scores(
    positives: Sequence[Sequence[int]], given: Scores, offset: int, scorer: Callable[[int, int], float]
) -> list[list[float | None]]:
    """Score positives in the corpus, and keep the given scores of the others."""
    return [
        [
            scorer(offset + query, document) if document >= 0 else score
            for document, score in zip(known, scores, strict=True)
        ]
        for query, (known, scores) in enumerate(zip(positives, given, strict=True))
    ]


# ---- bands


@dataclass(frozen=True)
class Band:
    """Options of a band."""

    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    absolute_floor: float | None = None
    relative_floor: float | None = None
    reference: str = "min"
    range_min: int = 0
    range_max: int | None = None


def restricted(row: PoolRow, width: int, band: Band, values: Sequence[float], scores: Scores) -> PoolRow:
    """Keep the documents whose value lies in the band, and say why the row is short."""
    ref = reference(row, scores, band.reference)
    differences = (band.absolute_margin, band.relative_margin, band.absolute_floor, band.relative_floor)
    lost = ref is None and any(value is not None for value in differences)
    r = math.nan if ref is None else ref
    caps = [math.inf if band.max_score is None else band.max_score]
    lows = [-math.inf if band.min_score is None else band.min_score]
    caps += [] if band.absolute_margin is None else [r - band.absolute_margin]
    caps += [] if band.relative_margin is None else [r - abs(r) * band.relative_margin]
    lows += [] if band.absolute_floor is None else [r - band.absolute_floor]
    lows += [] if band.relative_floor is None else [r - abs(r) * band.relative_floor]
    within = [] if lost else [place for place, value in enumerate(values) if max(lows) <= value <= min(caps)]
    end = width if band.range_max is None else band.range_max
    kept = within[band.range_min : end]
    dropped = len(row.documents) - len(kept)
    reason = row.reason
    if len(kept) == end - band.range_min:
        reason = ""
    elif lost:
        reason = row.reason if row.reason == "no_positive" else "no_reference" if scores[row.query] else "no_positive"
    elif row.full:
        reason = "rank_window"
    elif dropped:
        reason = "restricted"
    return replace(
        row,
        documents=tuple(row.documents[place] for place in kept),
        scores=tuple(row.scores[place] for place in kept),
        guides=tuple(row.guides[place] for place in kept) if row.guides else (),
        reason=reason,
        restricted=row.restricted + dropped,
    )


def as_positives(pool: Sequence[PoolRow], positives: Sequence[Sequence[int]]) -> list[list[int]]:
    """List the documents of a query's rows, without its positives."""
    found: list[set[int]] = [set() for _ in positives]
    for row in pool:
        found[row.query] |= set(row.documents)
    return [sorted(documents - set(known)) for documents, known in zip(found, positives, strict=True)]


# ---- fusion


def fused(
    rows: Sequence[PoolRow],
    method: str,
    *,
    weights: Sequence[float] | None = None,
    k: float = 60,
    depth: int | None = None,
    missing: float | None = None,
) -> list[tuple[int, float]]:
    """Fuse the same row of several pools: documents with fused scores, best first."""
    held: list[Mapping[int, tuple[int, float]]] = [
        {
            document: (rank, score)
            for rank, (document, score) in enumerate(zip(row.documents, row.scores, strict=True), start=1)
            if depth is None or rank <= depth
        }
        for row in rows
    ]
    factors = [1.0] * len(rows) if weights is None else weights
    found = []
    for document in {document for one in held for document in one}:
        score = fused_score(document, held, method, factors, k, missing)
        if score is not None:
            found.append((document, score))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def fused_score(
    document: int,
    held: Sequence[Mapping[int, tuple[int, float]]],
    method: str,
    weights: Sequence[float],
    k: float,
    missing: float | None,
) -> float | None:
    """Fuse the scores of one document; None if a pool that is needed lacks it."""
    if method == "rrf":
        terms = sorted(w / (k + one[document][0]) for w, one in zip(weights, held, strict=True) if document in one)
        total = terms[0]
        for term in terms[1:]:
            total += term
        return total
    present = [one[document][1] for one in held if document in one]
    if method == "max":
        return max(present) + 0.0
    scores = [one[document][1] if document in one else missing for one in held]
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    if method == "min":
        return min(known) + 0.0
    total = weights[0] * known[0]
    for weight, score in zip(weights[1:], known[1:], strict=True):
        total += weight * score
    return total + 0.0  # never -0.0
