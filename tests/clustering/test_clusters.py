"""Clusters: the result, its file, bad input, and what batches of clusters hold."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import Clusters, balanced_clusters, kmeans
from negmine.errors import NegmineTypeError, NegmineValueError

ROWS = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8"])
def test_every_dtype_gives_the_clusters_of_its_values(dtype: str) -> None:
    rows = (ROWS * 20 + 60).astype(dtype)
    same = rows.astype(np.float32)
    assert kmeans(rows, n_clusters=5).digest == kmeans(same, n_clusters=5).digest
    assert balanced_clusters(rows, n_clusters=5).digest == balanced_clusters(same, n_clusters=5).digest


def test_a_memory_map_gives_the_same_clusters(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS.astype(np.float16))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert kmeans(mapped, n_clusters=3).digest == kmeans(np.array(mapped), n_clusters=3).digest


def test_seeds_matter() -> None:
    assert len({kmeans(ROWS, n_clusters=8, max_iterations=1, seed=seed).digest for seed in (0, 1, 2**64 - 1)}) == 3


def test_one_cluster_is_the_mean() -> None:
    found = kmeans(ROWS, n_clusters=1, metric="l2")
    assert np.allclose(found.centroids[0], ROWS.mean(axis=0))
    assert np.isclose(found.inertia, ROWS.var(axis=0).sum())
    assert found.iterations == 2  # the second changes nothing


def test_a_cluster_a_row_costs_nothing() -> None:
    assert kmeans(ROWS, n_clusters=len(ROWS), metric="l2").inertia == 0.0
    assert balanced_clusters(ROWS, cluster_size=1).inertia < 1e-12


def test_saved_and_loaded(tmp_path: pathlib.Path) -> None:
    found = balanced_clusters(ROWS, cluster_size=7)
    found.save(tmp_path / "clusters.npz")
    again = Clusters.load(tmp_path / "clusters.npz")
    assert again.digest == found.digest
    assert (again.centroids == found.centroids).all()
    assert (again.order == found.order).all()
    assert (again.inertia, again.metric, again.iterations) == (found.inertia, "cosine", found.iterations)
    assert repr(again) == repr(found)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(NegmineValueError, match="`path` must be a clusters file"):
        Clusters.load(tmp_path / "other.npz")


def test_the_rows_of_a_cluster() -> None:
    found = balanced_clusters(ROWS, n_clusters=3)
    assert found.rows(2).tolist() == np.flatnonzero(found.labels == 2).tolist()
    with pytest.raises(NegmineValueError, match="`cluster` must be at most 2; got 3"):
        found.rows(3)


BAD_CLUSTERS: list[tuple[Any, Any, type[Exception], str]] = [
    ([-1], np.zeros((1, 2)), NegmineValueError, r"`labels` must lie in \[0, 1\), .*; got -1 at row 0"),
    ([0, 2], np.zeros((2, 2)), NegmineValueError, r"`labels` must lie in \[0, 2\), .*; got 2 at row 1"),
    ([], np.zeros((0, 2)), NegmineValueError, "`labels` must have at least one row; got none"),
    ([0.5], np.zeros((1, 2)), NegmineTypeError, "`labels` must hold integers; got dtype float64"),
    ([[0]], np.zeros((1, 2)), NegmineValueError, r"`labels` must have shape \(n,\); got shape \(1, 1\)"),
    ([0], np.zeros(1), NegmineValueError, r"`centroids` must have shape \(n, width\); got shape \(1,\)"),
    ([0], None, NegmineTypeError, "`centroids` must be a NumPy array"),
]


@pytest.mark.parametrize(("labels", "centroids", "error", "message"), BAD_CLUSTERS)
def test_bad_clusters_are_named(labels: Any, centroids: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Clusters(labels, centroids, 0.0, "l2", 0)


def test_clusters_stay_as_they_are() -> None:
    labels, centroids = np.array([0, 1, 0]), np.zeros((2, 3), dtype=np.float32)
    found = Clusters(labels, centroids, 0.0, "l2", 0)
    labels[0], centroids[0] = 1, 1.0  # the caller's own stay writeable
    assert found.labels.tolist() == [0, 1, 0]
    assert not found.centroids.any()
    for array in (found.labels, found.centroids, found.order, found.offsets, found.rows(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_rows_of_zeros_have_no_direction() -> None:
    rows = ROWS.copy()
    rows[[3, 17]] = 0.0
    found = kmeans(rows, n_clusters=4)
    assert found.labels[[3, 17]].tolist() == [0, 0]
    assert np.bincount(balanced_clusters(np.zeros((9, 2), dtype=np.float32), n_clusters=4).labels).max() == 3


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (kmeans, {"n_clusters": 0}, NegmineValueError, "`n_clusters` must be at least 1; got 0"),
    (kmeans, {"n_clusters": 41}, NegmineValueError, "`n_clusters` must be at most the number of rows, 40; got 41"),
    (kmeans, {"n_clusters": 2.0}, NegmineTypeError, "`n_clusters` must be an integer; got 2.0"),
    (kmeans, {"n_clusters": 2, "metric": "ip"}, NegmineValueError, "`metric` must be one of 'cosine', 'l2'; got 'ip'"),
    (kmeans, {"n_clusters": 2, "max_iterations": 0}, NegmineValueError, "`max_iterations` must be at least 1; got 0"),
    (kmeans, {"n_clusters": 2, "seed": -1}, NegmineValueError, "`seed` must be at least 0; got -1"),
    (kmeans, {"n_clusters": 2, "rounds": 1}, NegmineTypeError, "`kmeans` has no option 'rounds'"),
    (balanced_clusters, {}, NegmineValueError, "`cluster_size` or `n_clusters` must be given, .* got neither"),
    (
        balanced_clusters,
        {"n_clusters": 2, "cluster_size": 3},
        NegmineValueError,
        "only one of them; got cluster_size=3 and n_clusters=2",
    ),
    (balanced_clusters, {"cluster_size": 0}, NegmineValueError, "`cluster_size` must be at least 1; got 0"),
    (balanced_clusters, {"n_clusters": 41}, NegmineValueError, "`n_clusters` must be at most .* 40; got 41"),
    (balanced_clusters, {"n_clusters": 2, "quality": "best"}, NegmineValueError, "`quality` must be one of"),
]


@pytest.mark.parametrize(("function", "options", "error", "message"), BAD)
def test_bad_options_are_named(function: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        function(ROWS, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("function", [kmeans, balanced_clusters])
def test_a_row_that_is_not_finite_is_named(function: Any, value: float) -> None:
    rows = ROWS.copy()
    rows[7, 2] = value
    with pytest.raises(NegmineValueError, match="`embeddings` must be finite; row 7 holds NaN or infinity at column 2"):
        function(rows, n_clusters=2)


@pytest.mark.parametrize("function", [kmeans, balanced_clusters])
def test_no_rows_have_no_clusters(function: Any) -> None:
    with pytest.raises(NegmineValueError, match="`n_clusters` must be at most the number of rows, 0; got 1"):
        function(ROWS[:0], n_clusters=1)


def test_no_rows_have_no_cluster_of_a_size() -> None:
    with pytest.raises(NegmineValueError, match="`embeddings` must have at least one row; got none"):
        balanced_clusters(ROWS[:0], cluster_size=5)


@pytest.mark.parametrize("function", [kmeans, balanced_clusters])
def test_progress_rises_and_its_error_stops_the_call(function: Any) -> None:
    rows = np.random.default_rng(0).standard_normal((40_000, 64)).astype(np.float32)
    copies = rows[:4000].copy()
    copies[:2500] = 1.0
    for data, k in ((rows, 600), (copies, 5), (rows[:3], 1), (rows[:3], 3)):
        seen: list[tuple[int, int]] = []
        function(data, n_clusters=k, progress=lambda *step, seen=seen: seen.append(step), num_threads=1)
        assert seen == sorted(seen)
        assert all(done <= total for done, total in seen)
        assert seen[-1][0] == seen[-1][1] > 0
        assert len({total for _, total in seen}) == 1

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        function(rows, n_clusters=4000, progress=stop, num_threads=1)


# ---- batches of whole clusters (NGAME)

#: Recall of a row's ten nearest inside a batch of 256 of shuffled clusters, by cluster size: value and half-width.
BANDS = {1: (0.062, 0.006), 8: (0.234, 0.03), 32: (0.372, 0.03), 128: (0.464, 0.035)}


def topics(seed: int) -> Any:
    """Draw 4,096 points around 200 topics, under noise that decides."""
    draw = np.random.default_rng(seed)
    centers = draw.standard_normal((200, 16))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    points = centers[draw.integers(200, size=4096)] + 0.7 * draw.standard_normal((4096, 16)) / 4
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def recall_in_batches(order: Any, nearest: Any) -> float:
    """Share of every row's nearest that stand in its batch."""
    batch = np.empty(len(order), dtype=np.int64)
    batch[order] = np.arange(len(order)) // 256
    return float((batch[nearest] == batch[:, None]).mean())


def test_larger_clusters_bring_nearer_rows_into_a_batch() -> None:
    recalls: dict[int, list[float]] = {size: [] for size in BANDS}
    for seed in range(2):
        points = topics(seed)
        nearest = negmine.ExactIndex(points).search(points, 11).indices
        nearest = np.array([[row for row in list_ if row != i][:10] for i, list_ in enumerate(nearest.tolist())])
        for size in BANDS:
            found = balanced_clusters(points, cluster_size=size, quality="fast", seed=seed)
            for shuffle in range(3):
                mixed = np.random.default_rng(shuffle).permutation(len(found))
                order = np.concatenate([found.rows(int(j)) for j in mixed])
                recalls[size].append(recall_in_batches(order, nearest))
    means = [float(np.mean(recalls[size])) for size in BANDS]
    assert means == sorted(means)
    for mean, (middle, half) in zip(means, BANDS.values(), strict=True):
        assert abs(mean - middle) <= half, dict(zip(BANDS, means, strict=True))
