"""What each kind of oversampling interpolates: seed rows, their neighbors, and how many rows they get."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_rows
from negmine._core.math import exp, ln
from negmine.clustering.clusters import Clusters
from negmine.errors import NegmineValueError
from negmine.synthesis.neighbors import Indices, NeighborGraph, nearest

__all__ = ["KINDS", "Part", "Task", "cluster_shares"]


@dataclass(eq=False, kw_only=True)
class Part:
    """Rows of a class that are drawn by one law.

    Each row takes a pair of a seed and one of its neighbors, all pairs with equal probability. If ``repeats`` are
    given, each seed is taken so many times instead, in order, with a neighbor by uniform draw.
    """

    seeds: Indices
    #: Neighbors of the seeds, (n_seeds, k).
    neighbors: Indices
    num: int
    #: Factor of the steps, which are drawn from (0, 1).
    scale: float = 1.0
    repeats: Indices | None = None
    #: Whether steps toward neighbors of other classes are halved.
    halved: bool = False


@dataclass(eq=False)
class Task:
    """One class to be oversampled.

    Attributes
    ----------
    graph : NeighborGraph
        Neighbors of all rows.
    number : int
        The class, as the graph numbers it.
    label : object
        The class, as messages name it.
    num : int
        Number of rows to be made.
    total : int
        Number of rows to be made of all classes.
    k, m : int
        Numbers of neighbors: to interpolate with, and to decide whether a row is in danger.
    seed : int
        Seed of the draws.
    clusters : callable
        Function that returns the clusters of all rows.
    """

    graph: NeighborGraph
    number: int
    label: object
    num: int
    total: int
    k: int
    m: int
    seed: int
    clusters: Callable[[], Clusters]


def smote(task: Task) -> Iterator[Part]:
    """Interpolate between every row of the class and its neighbors within the class."""
    graph, number = task.graph, task.number
    yield Part(seeds=graph.members(number), neighbors=graph.within(number), num=task.num)


def _others(task: Task) -> tuple[Indices, int]:
    """Return the number of neighbors of other classes among the ``m`` nearest of every row, and its maximum."""
    m = min(task.m, len(task.graph.X) - 1)
    return task.graph.others(task.number, m), m


def borderline1(task: Task) -> Iterator[Part]:
    """Interpolate between rows in danger and their neighbors within the class."""
    others, m = _others(task)
    danger = (2 * others >= m) & (others < m)
    seeds = task.graph.members(task.number)[danger]
    yield Part(seeds=seeds, neighbors=task.graph.within(task.number, danger), num=task.num)


def borderline2(task: Task) -> Iterator[Part]:
    """Interpolate between rows in danger and their neighbors among all rows, less far toward other classes."""
    others, m = _others(task)
    danger = (2 * others >= m) & (others < m)
    seeds = task.graph.members(task.number)[danger]
    neighbors = task.graph.among_all(task.number, task.k)[danger]
    yield Part(seeds=seeds, neighbors=neighbors, num=task.num, halved=True)


def adasyn(task: Task) -> Iterator[Part]:
    """Interpolate from every row in proportion to its share of neighbors of other classes."""
    others = task.graph.others(task.number, task.k)
    if not others.any():
        raise NegmineValueError(
            f"`kind` must not be 'adasyn' if no row of a class has a neighbor of another class; got class "
            f"{task.label!r}. Use 'smote'."
        )
    repeats = _native.share_out(task.num, others.astype(np.float64))
    used = repeats > 0
    seeds, neighbors = task.graph.members(task.number)[used], task.graph.within(task.number, used)
    yield Part(seeds=seeds, neighbors=neighbors, num=task.num, repeats=repeats[used])


def boundary(task: Task) -> Iterator[Part]:
    """Interpolate between rows in danger and their neighbors, and extrapolate from safe rows next to other classes."""
    others, m = _others(task)
    rows = task.graph.members(task.number)
    danger = (2 * others >= m) & (others < m)
    safe = (others > 0) & (2 * others < m)
    share = _native.interpolated_share(task.seed, task.number)
    shares = np.where([danger.any(), safe.any()], [share, 1.0 - share], 0.0)
    nums = _native.share_out(task.num, shares).tolist() if shares.any() else [0, 0]
    for chosen, num, scale in ((danger, nums[0], 1.0), (safe, nums[1], -0.5)):
        yield Part(seeds=rows[chosen], neighbors=task.graph.within(task.number, chosen), num=num, scale=scale)


def clustered(task: Task) -> Iterator[Part]:
    """Interpolate within clusters in which the class is frequent, most in those where it is sparse."""
    graph, clusters = task.graph, task.clusters()
    own = graph.classes[clusters.order] == task.number
    sizes = np.add.reduceat(own, clusters.offsets[:-1], dtype=np.int64)
    # The least share of the class is half of its share of all rows to be made.
    frequent = 2 * task.total * sizes >= task.num * clusters.sizes
    kept = np.flatnonzero(frequent & (sizes > task.k))
    if len(kept) == 0:
        raise NegmineValueError(
            f"`n_clusters` must give class {task.label!r} a cluster with more than {task.k} (`k`) of its rows, in "
            f"which its share is at least {task.num / task.total / 2:.3g}; got {len(clusters)} clusters without one."
        )
    groups = [rows[graph.classes[rows] == task.number] for rows in map(clusters.rows, kept.tolist())]
    offsets = np.cumsum([0, *map(len, groups)])
    members = np.concatenate(groups)
    distances = _native.mean_distances(as_rows(graph.X, "X"), offsets, members, graph.num_threads, graph.progress)
    nums = _native.share_out(task.num, cluster_shares(sizes[kept], distances)).tolist()
    for rows, num in zip(groups, nums, strict=True):
        if num:
            neighbors = nearest(graph.X, rows, rows, task.k, graph.num_threads, graph.progress)
            yield Part(seeds=rows, neighbors=neighbors, num=num)


def cluster_shares(sizes: Indices, distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the share of rows that each cluster gets: ``distance**e / size``, with ``e = .16 log_1.6(size)**1.8``.

    Parameters
    ----------
    sizes : int64 (n_clusters,)
        Rows of the class, at least 2.
    distances : float64 (n_clusters,)
        Mean distances of two of them, in any unit: they are divided by their mean.

    Returns
    -------
    float64 (n_clusters,)
        Shares, whose sum is 1.
    """
    # `fsum` does not depend on the order of additions, unlike NumPy's sums.
    mean = math.fsum(distances) / len(distances)
    relative = distances / mean if mean > 0 else np.ones_like(distances)
    logs = sparsity_logs(sizes, relative)
    weights = exp(logs - logs.max())
    return weights / math.fsum(weights)


def sparsity_logs(sizes: Indices, distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the logarithm of ``distance**e / size`` of every cluster; -inf for a distance of 0."""
    log_sizes = ln(sizes.astype(np.float64))
    exponents = 0.16 * exp(1.8 * ln(log_sizes / ln(np.array([1.6]))))
    return exponents * ln(distances) - log_sizes


#: Every kind and what it interpolates.
KINDS: dict[str, Callable[[Task], Iterator[Part]]] = {
    "smote": smote,
    "borderline1": borderline1,
    "borderline2": borderline2,
    "adasyn": adasyn,
    "kmeans": clustered,
    "boundary": boundary,
}
