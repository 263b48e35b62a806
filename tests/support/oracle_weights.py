"""Weights of training examples, in plain Python."""

from __future__ import annotations

import math


def softmax(logits: list[float]) -> list[float]:
    highest = max(logits)
    parts = [math.exp(logit - highest) for logit in logits]
    return [part / sum(parts) for part in parts]


def log_sum(scores: list[float]) -> float:
    highest = max(scores)
    return highest + math.log(sum(math.exp(score - highest) for score in scores))


def slow_hardness(
    scores: list[list[float]],
    mask: list[list[bool]],
    kind: str,
    *,
    beta: float,
    progress: float,
    target: list[int] | None,
    margin: float = 0.0,
    hardest: int | None = None,
) -> list[list[float]]:
    """Weigh the negatives row by row; under "sample", every row has one weight."""
    own = list(range(len(scores))) if target is None and kind in ("sample", "ngame") else target
    negatives = [
        [column for column in range(len(row)) if not mask[i][column] and (own is None or column != own[i])]
        for i, row in enumerate(scores)
    ]
    if kind == "sample":
        assert own is not None
        present = [i for i, columns in enumerate(negatives) if columns]
        if not present:
            return [[0.0] for _ in scores]
        difficulty = [log_sum([scores[i][j] for j in negatives[i]]) - scores[i][own[i]] for i in present]
        shares = softmax([beta * h for h in difficulty])
        raw = [min(max((1 - progress) + progress * len(present) * share, 0.1), 10.0) for share in shares]
        weights = dict(zip(present, (w / (sum(raw) / len(raw)) for w in raw), strict=True))
        return [[weights.get(i, 0.0)] for i in range(len(scores))]
    found = [[0.0] * len(row) for row in scores]
    for i, columns in enumerate(negatives):
        chosen = columns
        if kind == "ngame":
            chosen = sorted(columns, key=lambda j: (-scores[i][j], j))[:hardest]
        if not chosen:
            continue
        logits = [beta * progress * scores[i][j] for j in chosen]
        if kind == "ngame":
            assert own is not None
            reference = scores[i][own[i]]
            violates = [scores[i][j] + margin > reference for j in chosen]
            logits = [logit if violating else 0.0 for logit, violating in zip(logits, violates, strict=True)]
        for j, weight in zip(chosen, softmax(logits), strict=True):
            found[i][j] = weight * (len(columns) if kind == "negative" else 1)
    return found
