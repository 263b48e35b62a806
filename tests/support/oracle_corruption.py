"""Corrupted triples by definition: allowed entities, laws of successive draws, and uniform draws number by number."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

Triple = tuple[int, int, int]


def allowed_entities(triple: Triple, known: set[Triple], n: int) -> tuple[list[int], list[int]]:
    """List the heads, and the tails, that give no known triple."""
    head, relation, tail = triple
    heads = [e for e in range(n) if (e, relation, tail) not in known]
    return heads, [e for e in range(n) if (head, relation, e) not in known]


def head_share(side: str, relation: int, known: set[Triple]) -> float:
    """Compute the probability that a draw replaces the head."""
    if side != "bernoulli":
        return {"both": 0.5, "head": 1.0, "tail": 0.0}[side]
    own = [(h, t) for h, r, t in known if r == relation]
    tph = len(own) / len({h for h, _ in own})
    hpt = len(own) / len({t for _, t in own})
    return tph / (tph + hpt)


def side_weights(
    side: int,
    triple: Triple,
    known: set[Triple],
    sources: Any,
    shares: Any,
    anchor: str,
    lists: list[list[int]],
    n: int,
    typed: list[Triple],
) -> np.ndarray:
    """Compute the mixed probability of every entity of one side; all 0 if no source has one."""
    column, other = (0, 2) if side == 0 else (2, 0)

    def rates(source: Any) -> np.ndarray:
        if isinstance(source, str) and source == "uniform":
            weights = np.ones(n)
        elif isinstance(source, str) and source == "typed":
            weights = np.isin(np.arange(n), [t[column] for t in typed if t[1] == triple[1]]).astype(float)
        elif isinstance(source, str) or hasattr(source, "exponent"):
            exponent = 0.75 if isinstance(source, str) else source.exponent
            counts = np.bincount([t[column] for t in known], minlength=n).astype(float)
            weights = np.array([1.0 if exponent == 0 else c**exponent if c else 0.0 for c in counts])
        elif isinstance(source[0], list):
            own = triple[other] if anchor == "kept" else triple[column]
            weights = np.isin(np.arange(n), lists[own]).astype(float)
        else:
            weights = np.array(source)
        weights = np.where(np.isin(np.arange(n), allowed_entities(triple, known, n)[side]), weights, 0.0)
        return weights / weights.sum() if weights.any() else weights

    given = sources if shares is not None else [sources]
    parts = [rates(source) for source in given]
    total = sum(share for share, part in zip(shares or [1.0], parts, strict=True) if part.any())
    if not total:
        return np.zeros(n)
    return sum(share / total * part for share, part in zip(shares or [1.0], parts, strict=True))


def law_of_draws(weights: list[np.ndarray], share: float, n: int) -> dict[frozenset[tuple[int, int]], float]:
    """Compute the probability of every set of (side, entity) that n successive draws without replacement give."""

    @cache
    def law(taken: frozenset[tuple[int, int]]) -> dict[frozenset[tuple[int, int]], float]:
        if len(taken) == n:
            return {taken: 1.0}
        left = [
            {e: w[e] for e in np.flatnonzero(w).tolist() if (side, e) not in taken} for side, w in enumerate(weights)
        ]
        coins = [share if left[0] else 0.0, 1 - share if left[1] else 0.0]
        if share < 1 and share > 0 and sum(coins) > 0:
            coins = [coin / sum(coins) for coin in coins]
        if not sum(coins):
            return {taken: 1.0}
        found: dict[frozenset[tuple[int, int]], float] = {}
        for side, coin in enumerate(coins):
            for entity, weight in left[side].items():
                p = coin * weight / sum(left[side].values())
                for chosen, rest in law(taken | {(side, entity)}).items() if p else ():
                    found[chosen] = found.get(chosen, 0.0) + p * rest
        return found

    return law(frozenset())


def expected_counts(law: dict[frozenset[tuple[int, int]], float]) -> dict[tuple[int, int], float]:
    """Compute the probability that each (side, entity) is drawn."""
    found: dict[tuple[int, int], float] = {}
    for chosen, p in law.items():
        for entry in chosen:
            found[entry] = found.get(entry, 0.0) + p
    return found


def corrupted_uniformly(
    triple: Triple, known: set[Triple], n_entities: int, share: float, n: int, seed: int, row: int, epoch: int
) -> list[tuple[Triple, float]]:
    """Draw uniformly as the definition says, with NumPy's Philox; with the logarithm of the expected number."""

    def number(lane: int, t: int) -> int:
        counter = np.array([t // 4, lane, row, epoch], dtype=np.uint64)
        return int(np.random.Philox(key=np.array([seed, 6], dtype=np.uint64), counter=counter).random_raw(4)[t % 4])

    allowed = allowed_entities(triple, known, n_entities)
    counts = [len(allowed[0]) if share > 0 else 0, len(allowed[1]) if share < 1 else 0]
    if counts[0] == 0 or counts[1] == 0:
        share = float(counts[0] > 0)
    if share == 0.5:  # fair coins are bits
        coins = sum(number(2, t // 64) >> (63 - t % 64) & 1 for t in range(n))
    else:
        coins = sum(((number(2, t) >> 12) + 0.5) * 2.0**-52 < share for t in range(n))
    total = min(n, sum(counts))
    heads = min(max(coins, total - counts[1]), counts[0])
    mean = sum(
        math.comb(n, k) * share**k * (1 - share) ** (n - k) * min(max(k, total - counts[1]), counts[0])
        for k in range(n + 1)
    )
    found: list[tuple[Triple, float]] = []
    for side, k in enumerate((heads, total - heads)):
        # Floyd's algorithm.
        ranks: set[int] = set(range(counts[side])) if k == counts[side] else set()
        for t, last in enumerate(range(counts[side] - k, counts[side]) if k < counts[side] else ()):
            rank = number(side, t) * (last + 1) >> 64
            ranks.add(last if rank in ranks else rank)
        log_q = math.log((mean, total - mean)[side] / counts[side]) if k else 0.0
        for rank in sorted(ranks):
            entity = allowed[side][rank]
            found.append(((entity, *triple[1:]) if side == 0 else (*triple[:2], entity), log_q))
    return found
