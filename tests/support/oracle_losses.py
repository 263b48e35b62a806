"""The losses of `negmine.torch.losses` in plain Python: loops over rows, in float64.

Each function returns its terms, a loss and a weight each, in a list; `reduced` makes the result from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any

Rows = Sequence[Sequence[float]]
#: Losses with their weights.
Terms = list[tuple[float, float]]


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def log_sum(scores: Sequence[float]) -> float:
    highest = max(scores)
    return highest + math.log(sum(math.exp(score - highest) for score in scores))


def reduced(terms: Terms, reduction: str, total: float | None = None) -> float:
    """Sum weight times loss, and divide by the number of terms or by the sum of their weights."""
    value = sum(loss * weight for loss, weight in terms)
    if reduction == "sum" or not terms:
        return value
    divisor = float(len(terms)) if reduction == "mean" else total
    divisor = sum(weight for _, weight in terms) if divisor is None else divisor
    return value / divisor if divisor else 0.0


def slow_pairwise(
    positive: Sequence[float],
    negative: Rows,
    *,
    form: str,
    margin: float,
    mask: Any,
    weights: Any,
    hardest: int | None,
    teacher: Any,
) -> Terms:
    terms = []
    for i, row in enumerate(negative):
        columns = [j for j in range(len(row)) if not mask[i][j]]
        if hardest is not None:
            columns = sorted(columns, key=lambda j: (-row[j], j))[:hardest]
        for j in columns:
            gap = row[j] - positive[i] + margin
            loss = {
                "logistic": lambda gap=gap: softplus(gap),
                "hinge": lambda gap=gap: max(0.0, gap),
                "margin_mse": lambda i=i, j=j: (positive[i] - negative[i][j] - teacher[i][j]) ** 2,
            }[form]()
            terms.append((loss, weights[i][j]))
    return terms


def slow_listwise(
    scores: Rows,
    target: Any,
    *,
    mask: Any,
    weights: Sequence[float],
    bias: Any,
    teacher: Any,
    temperature: float,
) -> tuple[Terms, float]:
    """Return the terms, and the mass of the target that was dropped."""
    terms, dropped = [], 0.0
    for i, row in enumerate(scores):
        columns = [j for j in range(len(row)) if not mask[i][j]]
        mass: dict[int, float] = {}
        if teacher is not None and columns:
            normalizer = log_sum([teacher[i][j] for j in columns])
            mass = {j: math.exp(teacher[i][j] - normalizer) for j in columns}
        elif teacher is None and isinstance(target[i], int):
            if target[i] >= 0:
                mass = {target[i]: 1.0}
                columns = sorted({*columns, target[i]})
        elif teacher is None:
            mass = {j: target[i][j] for j in columns if target[i][j] != 0}
            dropped += sum(target[i][j] for j in range(len(row)) if mask[i][j])
        if not mass:
            continue
        logits = {j: row[j] / temperature + bias[i][j] for j in columns}
        normalizer = log_sum(list(logits.values()))
        terms.append((-sum(m * (logits[j] - normalizer) for j, m in mass.items()), weights[i]))
    return terms, dropped


def slow_lambda_mrr(scores: Rows, labels: Any, *, cut: int, mask: Any, weights: Sequence[float]) -> Terms:
    terms = []
    for i, row in enumerate(scores):
        gain = [1 / rank if rank <= cut else 0.0 for rank in range(1, len(row) + 1)]
        columns = [j for j in range(len(row)) if not mask[i][j]]
        losses = [
            abs(gain[a] - gain[b]) * softplus(row[b] - row[a])
            for a in columns
            for b in columns
            if labels[i][a] and not labels[i][b]
        ]
        if losses:
            terms.append((sum(losses) / len(losses), weights[i]))
    return terms


def slow_preference(
    chosen: Any, rejected: Sequence[float], *, kind: str, beta: float, alpha: float, mask: Any, weights: Sequence[float]
) -> Terms:
    terms = []
    for i, ratio in enumerate(rejected):
        if kind == "d2o":
            kept = [value for value, masked in zip(chosen[i], mask[i], strict=True) if not masked]
            if kept:
                terms.append((softplus(alpha * ratio - beta * sum(kept) / len(kept)), weights[i]))
        elif not mask[i]:
            loss = 2 / beta * softplus(beta * ratio) if kind == "npo" else softplus(beta * (ratio - chosen[i]))
            terms.append((loss, weights[i]))
    return terms


def slow_pointwise(
    scores: Sequence[float],
    flips: Sequence[float],
    labels: Sequence[bool],
    *,
    form: str,
    mask: Sequence[bool],
    weights: Sequence[float],
) -> Terms:
    terms = []
    with localcontext(prec=60):
        for x, y, positive, masked, weight in zip(scores, flips, labels, mask, weights, strict=True):
            relevant, kept = (1 / (1 + Decimal(-z).exp()) for z in (x, -y))
            likelihood = relevant * kept if positive else 1 - relevant * kept
            if not masked:
                terms.append((float(1 - likelihood if form == "linear" else -likelihood.ln()), weight))
    return terms


def slow_bank(
    queries: Rows, bank: Rows, target: Sequence[int], *, mask: Any, weights: Sequence[float], temperature: float
) -> Terms:
    scores = [[sum(x * y for x, y in zip(query, row, strict=True)) for row in bank] for query in queries]
    nothing = [[0.0] * len(bank) for _ in queries]
    return slow_listwise(
        scores, list(target), mask=mask, weights=weights, bias=nothing, teacher=None, temperature=temperature
    )[0]
