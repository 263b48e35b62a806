"""Clusters of real embeddings, at real size: what balance costs against k-means."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine

ROOT = Path(os.environ.get("NEGMINE_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = ROOT / "summaries_100k" / "corpus.minilm.npy"

#: Inertia at most, against ten rounds of Euclidean k-means.
BARS = {"fast": 1.14, "default": 1.02, "high": 1.005}


@pytest.mark.slow
@pytest.mark.skipif(not FILE.is_file(), reason="NEGMINE_DATA has no summaries_100k")
@pytest.mark.parametrize("k", [1024, 700])
def test_balance_costs_little(k: int) -> None:
    rows = np.load(FILE).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sample = np.arange(0, len(rows), 50)
    nearest = negmine.ExactIndex(rows).search(rows[sample], 10, exclude=[[int(i)] for i in sample]).indices

    def share(labels: Any) -> float:
        return float((labels[nearest] == labels[sample][:, None]).mean())

    free = negmine.kmeans(rows, n_clusters=k, metric="l2")
    for quality, bar in BARS.items():
        found = negmine.balanced_clusters(rows, n_clusters=k, quality=quality)  # type: ignore[arg-type]
        assert found.sizes.max() - found.sizes.min() <= 1
        assert found.inertia <= bar * free.inertia
        if quality != "fast":
            assert share(found.labels) >= 0.80 * share(free.labels)
