"""Clusters: k-means held to its oracle bit for bit, balanced clusters to what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import digests_clusters
import negmine
import oracle
import oracle_clusters
from negmine import Clusters, balanced_clusters, kmeans
from oracle import Metric
from vectors import KINDS, LAYOUTS

SEEDS = st.integers(0, 2**32 - 1)
THREADS = st.sampled_from([1, 2, 3, 8])


def make(kind: str, seed: int, n: int, width: int) -> Any:
    """Rows of a kind."""
    return KINDS[kind](np.random.default_rng(seed), n, width)


@st.composite
def shapes(draw: st.DrawFn, most: int = 60) -> tuple[int, int, int]:
    """Rows, width, clusters."""
    n = draw(st.integers(1, most))
    k = draw(st.one_of(st.sampled_from([1, 2, n - 1, n]), st.integers(1, n)).filter(lambda k: 1 <= k <= n))
    return n, draw(st.integers(1, 70)), k


@given(
    st.sampled_from(list(KINDS)),
    SEEDS,
    shapes(),
    st.sampled_from(["cosine", "l2"]),
    st.integers(1, 6),
    THREADS,
    st.sampled_from(list(LAYOUTS.values())),
)
def test_kmeans_is_the_oracles(
    kind: str, seed: int, shape: tuple[int, int, int], metric: Metric, rounds: int, threads: int, layout: Any
) -> None:
    n, width, k = shape
    rows = make(kind, seed, n, width)
    found = kmeans(
        layout(rows),
        n_clusters=k,
        metric=metric,  # type: ignore[arg-type]
        max_iterations=rounds,
        seed=seed,
        num_threads=threads,
    )
    expected = oracle_clusters.kmeans(rows, k, metric, rounds, seed)
    assert found.labels.tolist() == expected.labels
    assert found.iterations == expected.rounds
    assert (found.centroids == expected.centroids).all()
    assert_consistent(found, rows, metric)


def assert_consistent(found: Clusters, rows: Any, metric: Metric) -> None:
    """Hold what clusters say of themselves to their labels."""
    k = len(found.centroids)
    assert (np.bincount(found.labels, minlength=k) == found.sizes).all()
    assert (found.sizes > 0).all()
    assert (found.labels[found.order] == np.repeat(np.arange(k), found.sizes)).all()
    for j in range(k):
        own = found.order[found.offsets[j] : found.offsets[j + 1]]
        assert (np.diff(own) > 0).all()
    exact = oracle_clusters.inertia(rows.astype(np.float64), metric, found.labels, found.centroids)
    scale = 1.0 if metric == "cosine" else max(float((rows.astype(np.float64) ** 2).sum(axis=1).max()), 1e-300)
    assert abs(found.inertia - exact) <= 1e-9 * scale


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_later_rounds_assign_exactly_too(metric: Metric) -> None:
    """Enough rows on few axes that centroids are ruled out by leading coordinates; some rows are copies."""
    draw = np.random.default_rng(3)
    topics, axes = draw.standard_normal((300, 12)), draw.standard_normal((12, 128))
    rows = (topics[draw.integers(300, size=9000)] + 0.5 * draw.standard_normal((9000, 12))) @ axes
    rows = (rows + 0.3 * draw.standard_normal(rows.shape) + 2.0).astype(np.float32)
    rows[5000:5600] = rows[:600]
    for rounds in (3, 8):
        before, after = (
            kmeans(rows, n_clusters=400, metric=metric, max_iterations=made, seed=1)  # type: ignore[arg-type]
            for made in (rounds - 1, rounds)
        )
        some = np.r_[0:600, 5000:5600]
        scores = oracle.all_scores(rows[some].astype(np.float64), before.centroids.astype(np.float64), metric)
        assert (after.labels[some] == scores.argmax(axis=1)).all()


QUALITIES = ("fast", "default", "high")


@given(st.sampled_from(list(KINDS)), SEEDS, shapes(most=160), st.sampled_from(QUALITIES), THREADS)
def test_balanced_clusters_keep_their_promises(
    kind: str, seed: int, shape: tuple[int, int, int], quality: Any, threads: int
) -> None:
    n, width, k = shape
    rows = make(kind, seed, n, width)
    found = balanced_clusters(rows, n_clusters=k, quality=quality, seed=seed, num_threads=threads)
    assert sorted(set(found.sizes.tolist())) in ([n // k], [n // k, n // k + 1])
    assert_consistent(found, rows, "cosine")
    alone = balanced_clusters(rows, n_clusters=k, quality=quality, seed=seed, num_threads=1)
    assert alone.digest == found.digest
    if quality != "fast":
        fast = balanced_clusters(rows, n_clusters=k, quality="fast", seed=seed)
        assert found.inertia <= fast.inertia


@given(SEEDS, st.integers(1, 200), st.integers(1, 60))
def test_a_size_gives_as_few_clusters_as_hold_all_rows(seed: int, n: int, size: int) -> None:
    found = balanced_clusters(make("normal", seed, n, 5), cluster_size=size, quality="fast")
    assert len(found) == -(-n // size)
    assert found.sizes.max() <= size


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize(("n", "k", "copies"), [(300, 10, 100), (301, 7, 300), (90, 30, 89), (500, 20, 260)])
def test_more_copies_of_a_row_than_a_cluster_holds(quality: Any, n: int, k: int, copies: int) -> None:
    rows = np.random.default_rng(0).standard_normal((n, 24)).astype(np.float32)
    rows[np.random.default_rng(1).permutation(n)[:copies]] = rows[0]
    found = balanced_clusters(rows, n_clusters=k, quality=quality)
    assert set(found.sizes.tolist()) <= {n // k, n // k + 1}
    assert found.inertia <= balanced_clusters(rows, n_clusters=k, quality="fast").inertia


def test_copies_do_not_keep_the_others_from_being_refined() -> None:
    draw = np.random.default_rng(0)
    centers = draw.standard_normal((40, 24))
    rows = (centers[draw.integers(40, size=3000)] + draw.standard_normal((3000, 24))).astype(np.float32)
    rows[draw.permutation(3000)[:900]] = rows[0]
    fast, refined = (balanced_clusters(rows, n_clusters=60, quality=quality) for quality in ("fast", "default"))
    assert refined.inertia < 0.98 * fast.inertia


def test_more_time_gives_better_clusters_however_many() -> None:
    draw = np.random.default_rng(0)
    centers = draw.standard_normal((3_000, 24))
    rows = (centers[draw.integers(3_000, size=20_000)] + draw.standard_normal((20_000, 24))).astype(np.float32)
    fast, default, high = (balanced_clusters(rows, n_clusters=4_000, quality=quality) for quality in QUALITIES)
    assert high.inertia < default.inertia < 0.95 * fast.inertia


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", negmine.build_info()["available_isas"])
def test_every_isa_gives_the_same_clusters(isa: str, threads: int) -> None:
    command = [sys.executable, str(Path(digests_clusters.__file__)), str(threads)]
    environment = {**os.environ, "NEGMINE_ISA": isa}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == digests_clusters.lines(1)
