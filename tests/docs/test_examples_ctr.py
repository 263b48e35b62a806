"""The click example runs, on ratings small enough for that."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pa = pytest.importorskip("pyarrow")

SCRIPT = Path(__file__).parents[2] / "examples" / "ctr_ml100k.py"


@pytest.fixture
def example() -> Any:
    import sys

    spec = importlib.util.spec_from_file_location("ctr_ml100k", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ctr_ml100k"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["ctr_ml100k"]


def test_every_pooling_trains(example: Any, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    n = 600
    columns = {
        "user_id": rng.integers(1, 9, n),
        "item_id": rng.integers(1, 40, n),
        "rating": rng.integers(1, 6, n),
        "timestamp": rng.integers(0, 300, n),
    }
    pq.write_table(pa.table(columns), tmp_path / "interactions.parquet")
    clicks = example.load(tmp_path, length=12)
    assert clicks.lengths.max() == 12
    # No history holds what was clicked in the same second, or later.
    order = np.lexsort((columns["item_id"], columns["user_id"], columns["timestamp"]))
    users, when = columns["user_id"][order], columns["timestamp"][order]
    clicked = columns["rating"][order] >= 4
    for row in range(0, n, 37):
        before = (users == users[row]) & clicked & (when < when[row])
        assert clicks.lengths[row] == min(12, before.sum())
        np.testing.assert_array_equal(
            np.sort(clicks.histories[row, : clicks.lengths[row]]),
            np.sort(clicks.items[np.flatnonzero(before)[-12:]]) if before.any() else [],
        )
    for pooling in example.POOLINGS:
        found = example.run(clicks, pooling, epochs=1)
        assert 0 <= found[0] <= 1


def test_auc_is_the_share_of_pairs_in_order(example: Any) -> None:
    labels, scores = np.array([0, 1, 1, 0]), np.array([0.1, 0.4, 0.2, 0.2])
    assert example.auc(labels, scores) == 3.5 / 4
