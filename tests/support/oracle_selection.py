"""Selection and contexts, written to be read: exact fractions, one item at a time, as the definitions say."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import oracle_draws as draws

SELECT_ITEMS, PACK_CONTEXT = 4, 12  # the streams


def share_out(n: int, shares: list[int], given: list[int], minimum: int, caps: list[int]) -> list[int]:
    """Share out n: x = clip(level * share - given, least, cap), floors, then the largest remainders, ties by place."""
    least = [min(cap, max(0, minimum - before)) for cap, before in zip(caps, given, strict=True)]
    most = [cap if share else low for cap, share, low in zip(caps, shares, least, strict=True)]
    if sum(least) > n:
        raise ValueError(sum(least))
    total = min(n, sum(most))
    places = range(len(shares))

    def at(level: Fraction) -> list[Fraction]:
        return [min(max(level * shares[i] - given[i], Fraction(least[i])), Fraction(most[i])) for i in places]

    corners = sorted({Fraction(given[i] + bound[i], shares[i]) for i in places if shares[i] for bound in (least, most)})
    level = corners[0]
    for low, high in itertools.pairwise(corners):
        before, after = sum(at(low)), sum(at(high))
        if before <= total < after:
            level = low + (total - before) / (after - before) * (high - low)
        elif after <= total:
            level = high
    exact = at(level)
    numbers = [math.floor(x) for x in exact]
    for place in sorted(places, key=lambda i: (numbers[i] - exact[i], i))[: total - sum(numbers)]:
        numbers[place] += 1
    return numbers


def candidates(scores: list[float], labels: list[int], group: int) -> list[int]:
    """List the rows of a group that can be chosen."""
    return [row for row in range(len(scores)) if labels[row] == group and scores[row] > -math.inf]


def choose(
    within: str,
    rows: list[int],
    scores: list[float],
    n: int,
    temperature: float,
    replace: bool,
    group: int,
    place: draws.Place,
) -> tuple[list[int], list[float]]:
    """Choose n rows of one group; return them and the logarithms of their expected numbers."""
    if n == 0:
        return [], []
    best = max(scores[row] for row in rows)
    log_weights = {row: (scores[row] - best) / temperature for row in rows}
    weights = {row: math.exp(log_weights[row]) for row in rows}
    total = sum(weights.values())

    def number(t: int) -> int:
        return draws.draw_by_number(place.seed, SELECT_ITEMS, place.epoch, place.query, t, group + 1)

    def by_row(row: int) -> int:
        return draws.draw_by_document(place.seed, SELECT_ITEMS, place.epoch, place.query, row)

    if within == "top":
        return sorted(rows, key=lambda row: (-scores[row], row))[:n], [0.0] * n
    if within == "random":
        if replace:
            chosen = [rows[number(t) * len(rows) >> 64] for t in range(n)]
        else:
            chosen = sorted(rows, key=lambda row: (-(by_row(row) >> 12), row))[:n]
        return chosen, [math.log(n / len(rows))] * n
    if within == "softmax" and not replace:
        keys = {row: draws.gumbel_key(log_weights[row], by_row(row)) for row in rows}
        order = sorted(rows, key=lambda row: (-keys[row], row))
        if n == len(rows):
            return order, [0.0] * n
        threshold = keys[order[n]]
        return order[:n], [math.log(-math.expm1(-math.exp(log_weights[row] - threshold))) for row in order[:n]]
    expected = {row: n * weights[row] / total for row in rows} if replace else capped(weights, n)
    if within == "softmax":
        points = [n * draws.uniform(number(t)) for t in range(n)]
    else:
        points = [draws.uniform(number(0)) + t for t in range(n)]
    chosen = []
    for point in points:
        reached = 0.0
        for row in rows:
            reached += expected[row]
            if point < reached:
                chosen.append(row)
                break
    assert len(chosen) == len(points)
    return chosen, [math.log(expected[row]) for row in chosen]


def capped(weights: dict[int, float], n: int) -> dict[int, float]:
    """Find min(1, c * weight) that add up to n."""
    certain: set[int] = set()
    while True:
        factor = (n - len(certain)) / sum(weight for row, weight in weights.items() if row not in certain)
        over = {row for row, weight in weights.items() if row not in certain and factor * weight >= 1}
        if not over:
            return {row: 1.0 if row in certain else factor * weight for row, weight in weights.items()}
        certain |= over
        if len(certain) == n:
            return {row: float(row in certain) for row in weights}


def pack(
    gold: list[int],
    distractors: list[int],
    k: int,
    order: str,
    gold_position: int | None,
    budget: int | None,
    lengths: list[int],
    place: draws.Place,
) -> list[int]:
    """Put a context together: ranks, budget, order."""
    used = [row for row in distractors if row != -1][: k - len(gold)]
    n = len(gold) + len(used)
    t = iter(range(10**6))

    def below(m: int) -> int:
        return draws.draw_by_number(place.seed, PACK_CONTEXT, place.epoch, place.query, next(t)) * m >> 64

    slots: list[int | None] = [None] * n
    for j, document in enumerate(gold):
        free = [rank for rank in range(n) if slots[rank] is None]
        rank = free[below(len(free))] if gold_position is None else gold_position + j
        slots[rank] = document
    for document in used:
        slots[slots.index(None)] = document
    ranked = [document for document in slots if document is not None]
    while budget is not None and sum(lengths[document] for document in ranked) > budget:
        # Ranks are those before anything was left out; of two equally near to the middle, the later goes.
        distance = {document: abs(rank - (n - 1) / 2) for rank, document in enumerate(slots) if document in used}
        nearest = min(distance[document] for document in ranked if document in used)
        ranked.remove([document for document in ranked if distance.get(document) == nearest][-1])
    if order == "ends":
        front = [document for rank, document in enumerate(ranked) if rank % 2 == 0]
        return front + [document for rank, document in reversed(list(enumerate(ranked))) if rank % 2 == 1]
    if order == "random":
        for last in reversed(range(1, len(ranked))):
            other = below(last + 1)
            ranked[last], ranked[other] = ranked[other], ranked[last]
    return ranked
