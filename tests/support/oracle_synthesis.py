"""Oversampling, written to be read: one row at a time, in exact fractions where numbers of rows are decided."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import oracle_draws as draws
from oracle_selection import share_out

OVERSAMPLE = 9  # the stream

Row = tuple[int, int, list[float]]


@dataclass
class Problem:
    """What is to be oversampled: rows, their classes from 0, and how many rows each class needs."""

    rows: list[list[float]]
    classes: list[int]
    needed: dict[int, int]
    k: int
    m: int
    seed: int
    #: Number of steps of a row.
    width: int
    #: Cluster of every row, for k-means.
    clusters: list[int]

    def members(self, number: int) -> list[int]:
        return [row for row, own in enumerate(self.classes) if own == number]

    def distance(self, a: int, b: int) -> float:
        return sum((x - y) ** 2 for x, y in zip(self.rows[a], self.rows[b], strict=True))

    def nearest(self, row: int, among: list[int], k: int) -> list[int]:
        others = [other for other in among if other != row]
        return sorted(others, key=lambda other: (self.distance(row, other), other))[:k]

    def others(self, row: int, k: int) -> tuple[int, int]:
        """Count neighbors of other classes, and all of them."""
        found = self.nearest(row, list(range(len(self.rows))), k)
        return sum(self.classes[other] != self.classes[row] for other in found), len(found)


def number(problem: Problem, of_class: int, t: int) -> int:
    return draws.draw_by_number(problem.seed, OVERSAMPLE, 0, of_class, t)


def steps(problem: Problem, of_class: int, place: int) -> list[float]:
    """Draw the steps of the row at a place of its class: the middle of one of 2^23 equal parts of (0, 1)."""
    first = place * (1 + problem.width) + 1
    return [((number(problem, of_class, first + t) >> 41) + 0.5) / 2**23 for t in range(problem.width)]


def choice(problem: Problem, of_class: int, place: int, choices: int) -> int:
    return number(problem, of_class, place * (1 + problem.width)) * choices >> 64


def pairs(problem: Problem, of_class: int, first: int, n: int, neighbors: dict[int, list[int]]) -> list[Row]:
    """Draw rows from all pairs of a seed and a neighbor."""
    seeds = sorted(neighbors)
    found = []
    for place in range(first, first + n):
        width = len(neighbors[seeds[0]])
        pair = choice(problem, of_class, place, width * len(seeds))
        seed = seeds[pair // width]
        found.append((seed, neighbors[seed][pair % width], steps(problem, of_class, place)))
    return found


def interpolated_share(problem: Problem, of_class: int) -> float:
    """Draw from Beta(10, 10): the median of 19 uniform numbers."""
    drawn = [draws.draw_by_number(problem.seed, OVERSAMPLE, 0, of_class, t, extra=1) for t in range(19)]
    return draws.uniform(sorted(drawn)[9])


def rows_of(kind: str, problem: Problem, of_class: int) -> list[Row]:
    """Make the rows of one class: seed, neighbor, and steps."""
    n, k = problem.needed[of_class], problem.k
    members = problem.members(of_class)
    everything = list(range(len(problem.rows)))
    own = {row: problem.nearest(row, members, k) for row in members}
    if kind == "smote":
        return pairs(problem, of_class, 0, n, own)
    if kind == "adasyn":
        counts = [problem.others(row, k)[0] for row in members]
        found: list[Row] = []
        for row, times in zip(members, share_out(n, counts, [0] * len(counts), 0, [n] * len(counts)), strict=True):
            for _ in range(times):
                column = choice(problem, of_class, len(found), len(own[row]))
                found.append((row, own[row][column], steps(problem, of_class, len(found))))
        return found
    if kind == "kmeans":
        return within_clusters(problem, of_class)
    tested = {row: problem.others(row, problem.m) for row in members}
    danger = [row for row, (others, m) in tested.items() if m / 2 <= others < m]
    safe = [row for row, (others, m) in tested.items() if 0 < others < m / 2]
    if kind == "borderline1":
        return pairs(problem, of_class, 0, n, {row: own[row] for row in danger}) if danger else []
    if kind == "borderline2":
        among = {row: problem.nearest(row, everything, k) for row in danger}
        drawn = pairs(problem, of_class, 0, n, among) if danger else []
        return [
            (seed, other, [step * (0.5 if problem.classes[other] != of_class else 1.0) for step in gaps])
            for seed, other, gaps in drawn
        ]
    share = Fraction(interpolated_share(problem, of_class))
    between = n if not safe else 0 if not danger else math.floor(n * share + Fraction(1, 2))
    if not danger and not safe:
        return []
    inside = pairs(problem, of_class, 0, between, {row: own[row] for row in danger}) if between else []
    beyond = pairs(problem, of_class, between, n - between, {row: own[row] for row in safe}) if n > between else []
    return inside + [(seed, other, [-step / 2 for step in gaps]) for seed, other, gaps in beyond]


def within_clusters(problem: Problem, of_class: int) -> list[Row]:
    """Make rows in the clusters where the class is frequent."""
    n, total = problem.needed[of_class], sum(problem.needed.values())
    groups = []
    for cluster in range(max(problem.clusters) + 1):
        rows = [row for row, found in enumerate(problem.clusters) if found == cluster]
        own = [row for row in rows if problem.classes[row] == of_class]
        if len(own) > problem.k and Fraction(len(own), len(rows)) >= Fraction(n, 2 * total):
            groups.append(own)
    if not groups:
        raise ValueError(of_class)
    away = []
    for own in groups:
        distances = [math.sqrt(problem.distance(a, b)) for a in own for b in own if a < b]
        away.append(sum(distances) / len(distances))
    mean = sum(away) / len(away)
    weights = [sparsity(len(own), a / mean if mean else 1.0) for own, a in zip(groups, away, strict=True)]
    found: list[Row] = []
    for own, part in zip(groups, whole_numbers(n, weights), strict=True):
        neighbors = {row: problem.nearest(row, own, problem.k) for row in own}
        found += pairs(problem, of_class, len(found), part, neighbors)
    return found


def whole_numbers(n: int, weights: list[float]) -> list[int]:
    return draws.whole_numbers(n, tuple(weights))


def sparsity(n: int, distance: float) -> float:
    """Return the weight of a cluster of n rows of the class."""
    return distance ** (0.16 * math.log(n, 1.6) ** 1.8) / n


def oversample(kind: str, problem: Problem) -> list[tuple[int, Row]]:
    """Make all rows, each with its class."""
    return [(number, row) for number in sorted(problem.needed) for row in rows_of(kind, problem, number)]


def interpolated(problem: Problem, row: Row) -> list[float]:
    """Place a row on the line of its parents, or in their box."""
    seed, other, gaps = row
    a, b = np.float64(problem.rows[seed]), np.float64(problem.rows[other])
    return np.float32(a + np.float64(gaps) * (b - a)).tolist()
