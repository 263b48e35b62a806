"""The BPR example runs, on interactions small enough for that."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pa = pytest.importorskip("pyarrow")

SCRIPT = Path(__file__).parents[2] / "examples" / "bpr_ml100k.py"


def test_both_kinds_of_negatives_train(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    spec = importlib.util.spec_from_file_location("bpr_ml100k", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    # Users of each half take items of the same half.
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 8)
    items = np.concatenate([rng.choice(15, 8, replace=False) + 15 * (user % 2) for user in range(40)])
    columns = {"user_id": users, "item_id": items, "timestamp": np.arange(320.0)}
    pq.write_table(pa.table(columns), tmp_path / "interactions.parquet")
    train_users, train_items, test_users, test_items = example.load(tmp_path)
    assert len(train_users) == len(train_items) == 280
    np.testing.assert_array_equal(test_users, np.arange(40))
    np.testing.assert_array_equal(np.unique(items, return_inverse=True)[1][7::8], test_items)
    for name in example.SOURCES:
        hits, _ = example.run(tmp_path, name, epochs=60, workers=0)
        # At random, 10 of 23 unseen items hit in 43 of 100 cases; the half alone makes it certain.
        assert hits > 0.8
