"""k-means in plain NumPy, with the canonical score: what the engine's is compared with, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import oracle
from oracle import FloatArray, Metric
from oracle_draws import draw_by_document

CLUSTER = 16  # the stream


@dataclass
class Found:
    """Labels, means, and rounds that were made."""

    labels: list[int]
    centroids: NDArray[np.float32]
    rounds: int


def factors(rows: FloatArray, metric: Metric) -> FloatArray:
    """Find what brings every row to its working length."""
    if metric == "l2":
        return np.ones(len(rows))
    squared = oracle.lane_sums(rows, rows, "ip")
    return np.where(squared == 0.0, 0.0, 1.0 / np.sqrt(np.where(squared == 0.0, 1.0, squared)))


def mean(rows: FloatArray, lengths: FloatArray) -> NDArray[np.float32]:
    """Sum in row order, divide, round once."""
    total = np.zeros(rows.shape[1])
    for row, length in zip(rows, lengths, strict=True):
        total = total + row * length
    return (total / max(len(rows), 1)).astype(np.float32)


def means(rows: FloatArray, metric: Metric, labels: ArrayLike, k: int) -> NDArray[np.float32]:
    """The mean of every cluster."""
    lengths, which = factors(rows, metric), np.asarray(labels)
    return np.array([mean(rows[which == j], lengths[which == j]) for j in range(k)])


def inertia(rows: FloatArray, metric: Metric, labels: ArrayLike, centroids: NDArray[np.float32]) -> float:
    """Mean squared distance to the own centroid, by differences."""
    lengthened = rows * factors(rows, metric)[:, None]
    return float(((lengthened - centroids.astype(np.float64)[np.asarray(labels)]) ** 2).sum(axis=1).mean())


def fill_empty(labels: list[int], scores: FloatArray, k: int) -> list[int]:
    """Give every empty cluster the row that scores lowest, from a cluster that keeps another."""
    labels = list(labels)
    for empty in range(k):
        if empty in labels:
            continue
        can = [r for r, label in enumerate(labels) if labels.count(label) > 1]
        labels[min(can, key=lambda r: (scores[r], r))] = empty
    return labels


def kmeans(values: Any, k: int, metric: Metric, rounds: int, seed: int) -> Found:
    """Cluster by Lloyd's algorithm."""
    rows = np.asarray(values, dtype=np.float32).astype(np.float64)
    n = len(rows)
    drawn = sorted(range(n), key=lambda r: (draw_by_document(seed, CLUSTER, 0, 0, r), r))
    first = sorted(drawn[:k])
    lengths = factors(rows, metric)
    centroids = np.array([mean(rows[[r]], lengths[[r]]) for r in first])
    labels: list[int] = []
    made = 0
    while made < rounds:
        made += 1
        scores = oracle.all_scores(rows, centroids, metric)
        nearest = scores.argmax(axis=1)  # the first of several
        after = fill_empty(nearest.tolist(), scores[np.arange(n), nearest], k)
        same = after == labels
        labels = after
        if same:
            break
        centroids = means(rows, metric, labels, k)
    return Found(labels, means(rows, metric, labels, k), made)
