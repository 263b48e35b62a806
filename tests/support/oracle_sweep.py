"""False negatives of a margin sweep, written to be read: one negative at a time, as the definitions say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Z = 1.959963984540054


@dataclass(frozen=True)
class SelectedRow:
    """The negatives of one result row: documents with their scores."""

    query: int
    reference: float
    negatives: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Known:
    """Figures of false negatives at one margin."""

    share: float
    bounds: tuple[float, float]
    n_judged: int
    represented: float
    loss_share: float
    signal: float


def false_negatives(rows: Sequence[SelectedRow], verdict: Callable[[int, int], tuple[bool, float] | None]) -> Known:
    """Estimate from the verdicts on pairs: (whether it is a false negative, probability that it was judged) or None."""
    everything = [(row, document, score) for row in rows for document, score in row.negatives]
    weight_of_pair: dict[tuple[int, int], float] = {}
    total = false = loss = false_loss = spread = 0.0
    n_judged = 0
    for row, document, score in everything:
        found = verdict(row.query, document)
        if found is None:
            continue
        relevant, p = found
        weight, pair = 1 / p, (row.query, document)
        weight_of_pair[pair] = weight_of_pair.get(pair, 0.0) + weight
        excess = 20.0 * (score - row.reference)
        w = 1 / (1 + math.exp(-excess)) if excess > -700 else 0.0
        n_judged += 1
        total += weight
        false += weight * relevant
        loss += weight * w
        false_loss += weight * w * relevant
        spread += (1 - p) / p**2
    if n_judged == 0:
        return Known(math.nan, (math.nan, math.nan), 0, math.nan, math.nan, math.nan)
    n = total**2 / sum(weight**2 for weight in weight_of_pair.values())
    represented = min(1.0, (total + 2 * math.sqrt(spread)) / len(everything))
    loss_share = false_loss / loss if loss else 0.0
    # The mean weight of a negative that is true, times the number of negatives per row.
    signal = (loss - false_loss) / total * len(everything) / len(rows)
    return Known(false / total, wilson(false / total, n), n_judged, represented, loss_share, signal)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Find the shares p at which the sample is Z standard errors, sqrt(p (1 - p) / n), away, by bisection."""

    def far(p: float) -> bool:
        return abs(share - p) > Z * math.sqrt(p * (1 - p) / n)

    ends = []
    for outside in (0.0, 1.0):
        inside = share
        for _ in range(200):
            middle = (outside + inside) / 2
            outside, inside = (middle, inside) if far(middle) else (outside, middle)
        ends.append(inside)
    return ends[0], ends[1]
