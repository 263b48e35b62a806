"""``negmine cluster`` in processes of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from negmine import Clusters, balanced_clusters, kmeans

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("typer")
pytest.importorskip("rich")

from commands import negmine, spoken  # noqa: E402 (after the skips)

ROWS = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    return path


def test_balanced_labels_as_npy(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.npy"
    said = spoken("cluster", file, "--cluster-size", 8, "--seed", 3, "--out", out)
    expected = balanced_clusters(ROWS, cluster_size=8, seed=3)
    assert (np.load(out) == expected.labels).all()
    assert said["digest"] == expected.digest
    assert (said["smallest"], said["largest"], said["n_clusters"]) == (7, 8, 7)
    assert said["inertia"] == expected.inertia


def test_kmeans_of_a_table_as_parquet_with_its_ids(tmp_path: Path) -> None:
    ids = [f"row {i}" for i in range(len(ROWS))]
    table = pa.table({"name": ids, "vector": pa.FixedSizeListArray.from_arrays(ROWS.ravel(), 8)})
    pq.write_table(table, tmp_path / "rows.parquet")
    options = ("--method", "kmeans", "--metric", "l2", "--n-clusters", 5, "--max-iterations", 3, "--id-name", "name")
    said = negmine("cluster", tmp_path / "rows.parquet", *options, "--out", tmp_path / "clusters.parquet").stdout
    found = pq.read_table(tmp_path / "clusters.parquet")
    expected = kmeans(ROWS, n_clusters=5, metric="l2", max_iterations=3)
    assert found["id"].to_pylist() == ids
    assert found["cluster"].to_pylist() == expected.labels.tolist()
    assert "50 rows in 5 clusters" in said
    assert "3 rounds" in said


def test_everything_as_npz(file: Path, tmp_path: Path) -> None:
    negmine("cluster", file, "--n-clusters", 4, "--quality", "fast", "--out", tmp_path / "clusters.npz")
    found = Clusters.load(tmp_path / "clusters.npz")
    assert found.digest == balanced_clusters(ROWS, n_clusters=4, quality="fast").digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "`--cluster-size` or `--n-clusters`, and only one, must be given; got neither"),
        (("--cluster-size", 3, "--n-clusters", 3), "must be given; got both"),
        (("--n-clusters", 3, "--metric", "l2"), "`--metric` must not be given with `--method balanced`"),
        (("--n-clusters", 3, "--method", "kmeans", "--quality", "fast"), "`--quality` must not be given"),
        (("--n-clusters", 3, "--method", "ward"), "`--method` must be one of 'balanced', 'kmeans'"),
        (("--method", "kmeans"), "`--n-clusters` must be given; got neither"),
        (("--n-clusters", 3, "--quality", "best"), "`--quality` must be one of"),
        (("--n-clusters", 3, "--seed", -1), "`--seed` must be at least 0"),
    ],
)
def test_bad_options_end_with_2(file: Path, tmp_path: Path, options: tuple[object, ...], message: str) -> None:
    assert message in negmine("cluster", file, *options, "--out", tmp_path / "out.npy", code=2).stderr


def test_too_many_clusters_end_with_1(file: Path, tmp_path: Path) -> None:
    done = negmine("cluster", file, "--n-clusters", 51, "--out", tmp_path / "out.npy", code=1)
    assert "`--n-clusters` must be at most the number of rows, 50; got 51" in done.stderr
    assert not (tmp_path / "out.npy").exists()


def test_a_place_that_is_none_ends_with_2(file: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "out.csv", tmp_path / "no" / "out.npy"):
        assert "`--out` must" in negmine("cluster", file, "--n-clusters", 5, "--out", out, code=2).stderr
