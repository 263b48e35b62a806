"""The table for Embedding Atlas: rows, figures and exact neighbors, against the arrays of the negatives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pq = pytest.importorskip("pyarrow.parquet")

import negmine  # noqa: E402
from negmine import inspect  # noqa: E402
from negmine.errors import NegmineValueError  # noqa: E402
from pages import document_texts, mined, query_texts  # noqa: E402

TEXTS: Any = {"queries": query_texts(), "documents": document_texts()}


def read(path: Path, negatives: negmine.HardNegatives) -> list[dict[str, Any]]:
    written = inspect.to_atlas(negatives, path / "atlas.parquet", **TEXTS)
    rows: list[dict[str, Any]] = pq.read_table(path / "atlas.parquet").to_pylist()
    assert len(rows) == written.n_rows
    return rows


def test_neighbors_are_the_documents_of_the_queries_nearest_first(tmp_path: Path) -> None:
    negatives = mined(keep_rejected=5)
    rows = read(tmp_path, negatives)
    pool = negatives.pool
    assert pool is not None
    assert pool.rejected is not None
    by_id = {row["id"]: row for row in rows}
    for i in range(len(negatives)):
        expected = dict(zip(negatives.ids[i, : negatives.counts[i]], negatives.scores[i], strict=False))
        expected |= dict(zip(pool.rejected.ids[i, : pool.rejected.counts[i]], pool.rejected.scores[i], strict=False))
        begin, end = pool.rules.positives.offsets[i : i + 2]
        labels = [f"d{item}" for item in pool.rules.positives.items[begin:end]]
        expected |= dict(zip(labels, pool.positive_scores[begin:end], strict=True))
        row = by_id[negatives.query_labels[i]]
        assert row["side"] == "query"
        found = [rows[place]["id"] for place in row["neighbors"]["ids"]]
        assert sorted(found) == sorted(expected)
        distances = row["neighbors"]["distances"]
        assert distances == sorted(distances)
        np.testing.assert_allclose(distances, [1.0 - expected[name] for name in found], atol=1e-6)
        for name, distance in zip(found, distances, strict=True):
            back = by_id[name]["neighbors"]
            queries = [rows[place]["id"] for place in back["ids"]]
            assert back["distances"][queries.index(row["id"])] == distance


def test_figures_are_those_of_the_negatives(tmp_path: Path) -> None:
    negatives = mined()
    by_id = {row["id"]: row for row in read(tmp_path, negatives)}
    margins = negatives.reference_scores[:, None] - negatives.scores
    for i in range(len(negatives)):
        row, n = by_id[negatives.query_labels[i]], int(negatives.counts[i])
        assert row["n_pairs"] == n
        if n:
            assert row["score"] == negatives.reference_scores[i]
            assert row["margin"] == pytest.approx(margins[i, :n].min())
        else:
            assert row["score"] is None
            assert row["margin"] is None
    for name in {*negatives.ids[negatives.indices >= 0].tolist()}:
        assert by_id[name]["n_pairs"] == (negatives.ids == name).sum()
        assert by_id[name]["score"] == negatives.scores[negatives.ids == name].max()
        assert by_id[name]["text"] == document_texts()[int(name[1:])]


def test_a_wrong_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NegmineValueError, match=r"`path` must end in \.parquet"):
        inspect.to_atlas(mined(), tmp_path / "atlas.csv", **TEXTS)
