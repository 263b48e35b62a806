"""InfoNCE with masked false negatives, in plain Python."""

from __future__ import annotations

import math

import negmine


def slow_loss(
    columns: list[list[list[float]]], ids: list[list[int]], positives: negmine.Positives, scale: float
) -> float:
    """Sum InfoNCE row by row: columns[c][i] is an embedding, ids[i][c] its id; column 0 holds the queries."""

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    n = len(ids)
    known = positives.offsets.tolist(), positives.items.tolist()
    losses = []
    for i in range(n):
        query, own = ids[i][0], ids[i][1]
        relevant = set(known[1][known[0][query] : known[0][query + 1]]) if query >= 0 else set()
        target = math.exp(scale * cosine(columns[0][i], columns[1][i]))
        total = target
        for column in range(1, len(columns)):
            for j in range(n):
                document = ids[j][column]
                if (i, 1) == (j, column) or query < 0 or document < 0 or document in relevant or document == own:
                    continue
                total += math.exp(scale * cosine(columns[0][i], columns[column][j]))
        losses.append(math.log(total) - math.log(target))
    return sum(losses) / n
