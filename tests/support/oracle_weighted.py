"""Weighted random negatives by definition: clocks, number by number, and the alias table that they ring by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from oracle import Row
from oracle_draws import NUM_RANDOM, Place, log, philox, uniform

#: Rings per requested document, and further documents, before all clocks are read.
RINGS, MORE = 16, 4


def alias_table(weights: Sequence[float]) -> list[tuple[int, int]]:
    """Pair columns below the mean with items above it (Vose): a threshold of 64 bits and another item per column."""
    n, total = len(weights), sequential(weights)
    columns = [(2**64 - 1, item) for item in range(n)]
    height = [weight / total * n for weight in weights]
    small = [item for item in reversed(range(n)) if height[item] < 1.0]
    large = [item for item in reversed(range(n)) if height[item] >= 1.0]
    while small and large:
        low, high = small.pop(), large[-1]
        columns[low] = (int(height[low] * 2.0**64), high)
        height[high] -= 1.0 - height[low]
        if height[high] < 1.0:
            small.append(large.pop())
    full = max(item for item in range(n) if weights[item] > 0)
    for item in small:
        if weights[item] == 0:
            columns[item] = (0, full)
    return columns


def sequential(weights: Sequence[float]) -> float:
    """Add up from the first to the last."""
    return list(itertools.accumulate(weights, initial=0.0))[-1]


class Clocks:
    """The clocks of the documents that one result row may draw."""

    def __init__(self, row: Row, chosen: Sequence[int], place: Place, weights: Sequence[float], by_key: bool) -> None:
        self.weights = [weight / max(weights) for weight in weights]
        self.allowed = [j for j in row.candidates if j not in chosen]
        self.place = place
        self.ringing = [j for j in self.allowed if self.weights[j] > 0]
        forbidden = [self.weights[j] for j in range(len(weights)) if j not in self.allowed]
        total = sequential(self.weights)
        self.mass = total - sequential(forbidden)
        self.table: list[tuple[int, int]] | None = alias_table(self.weights)
        if by_key or self.mass < total / 8:  # the rows are listed
            self.table = None
            self.sums = list(itertools.accumulate(self.weights[j] for j in self.ringing))
            self.mass = self.sums[-1] if self.sums else 0.0

    def rate(self, document: int) -> float:
        """The weight of a document, as a part of that of all that may ring."""
        return self.weights[document] / self.mass

    def numbers(self, first: int, second: int) -> list[int]:
        """Four numbers of the row."""
        return philox(self.place.seed, NUM_RANDOM, (first, second, self.place.query, self.place.epoch))

    def document(self, x: int) -> int:
        """The document of a draw, which may be forbidden."""
        if self.table is None:
            reached = [j for j, total in zip(self.ringing, self.sums, strict=True) if total > uniform(x) * self.mass]
            return reached[0] if reached else self.ringing[-1]
        product = x * len(self.table)
        threshold, other = self.table[product >> 64]
        return product >> 64 if product % 2**64 < threshold else other

    def rings(self, n: int) -> Iterator[tuple[int, float]]:
        """Yield every document that may ring with the time of its first ring, if `n` are wanted."""
        time, t, rung = 0.0, 0, set()
        if not self.ringing:
            return
        for _ in range(RINGS * (min(n, len(self.weights)) + MORE)):
            numbers = self.numbers(1 + t, self.place.extra)
            t += 1
            time -= log(uniform(numbers[2]))
            document = self.document(numbers[1])
            while document not in self.allowed:
                document = self.document(self.numbers(1 + t, self.place.extra)[1])
                t += 1
            if document not in rung:
                rung.add(document)
                yield document, time
        waits = []
        for document in self.ringing:
            if document not in rung:
                x = self.numbers(2**64 - 1 - self.place.extra, document)[0]
                waits.append((-log(uniform(x)) / self.rate(document), document))
        for wait, document in sorted(waits):
            yield document, time + wait


def weighted_draws(
    row: Row, chosen: Sequence[int], n: int, place: Place, weights: Sequence[float], by_key: bool
) -> tuple[list[int], list[float]]:
    """The first `n` documents to ring within cap and floor, and their log-probabilities, given the other clocks."""
    if not any(weights):
        return [], []
    clocks = Clocks(row, chosen, place, weights, by_key)
    within = set(row.survivors)
    rings = [ring for ring in clocks.rings(n) if ring[0] in within]
    drawn = [document for document, _ in rings[:n]]
    if len(rings) <= n:
        return drawn, [0.0] * len(drawn)
    end = rings[n][1]
    return drawn, [math.log(-math.expm1(-clocks.rate(document) * end)) for document in drawn]
