"""k-means against scikit-learn's, started from the same rows."""

from __future__ import annotations

import numpy as np
import pytest

import oracle_draws
from negmine import kmeans
from oracle_clusters import CLUSTER

sklearn = pytest.importorskip("sklearn.cluster")


def first_rows(n: int, k: int, seed: int) -> list[int]:
    """Find the rows that negmine starts from."""
    drawn = sorted(range(n), key=lambda row: (oracle_draws.draw_by_document(seed, CLUSTER, 0, 0, row), row))
    return sorted(drawn[:k])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_are_those_of_scikit_learn(seed: int) -> None:
    draw = np.random.default_rng(seed)
    centers = 2 * draw.standard_normal((12, 24))
    rows = (centers[draw.integers(12, size=900)] + draw.standard_normal((900, 24))).astype(np.float32)
    start = rows[first_rows(len(rows), 12, seed)]
    # It assigns once more after its last round, and this one counts that as a round.
    theirs = sklearn.KMeans(12, init=start, n_init=1, max_iter=4, tol=0.0).fit(rows.astype(np.float64))
    ours = kmeans(rows, n_clusters=12, metric="l2", max_iterations=5, seed=seed)
    assert ours.labels.tolist() == theirs.labels_.tolist()
    if ours.iterations < 5:
        assert np.isclose(ours.inertia * len(rows), theirs.inertia_, rtol=1e-6)
