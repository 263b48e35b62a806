"""``negmine inspect``: the page and the table from files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq

from commands import N_QUERIES, labeled, negmine, plain, spoken
from negmine import io
from pages import data_of, list_of


def texts(data: Path) -> list[object]:
    return ["--queries", data / "queries.jsonl", "--documents", data / "corpus.jsonl"]


@pytest.fixture(scope="module")
def mined(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, and a job."""
    folder = tmp_path_factory.mktemp("mined")
    negmine(*labeled(data), "--keep-rejected", "3", "--relative-margin", "0.2", "--out", folder / "a.parquet")
    negmine(*labeled(data), "--out", folder / "b.parquet")
    negmine(*labeled(data), "--job", folder / "job")
    return folder


def test_a_page_of_files(data: Path, mined: Path, tmp_path: Path) -> None:
    out, atlas = tmp_path / "page.html", tmp_path / "atlas.parquet"
    compared = ["--qrels", data / "all.tsv", "--against", mined / "b.parquet", "--atlas", atlas]
    said = spoken("inspect", mined / "a.parquet", *texts(data), "--out", out, *compared)
    assert said["n_rows"] == N_QUERIES
    assert said["n_bytes"] == out.stat().st_size
    assert said["n_atlas_rows"] == pq.read_metadata(atlas).num_rows
    page = data_of(out)
    (records,) = io.read_negatives(mined / "a.parquet").batches()
    assert list_of(page, "negative", 0) == list(records.negatives.ids)[: records.negatives.offsets[1]]
    assert page["hasRejected"]
    assert page["hasAgainst"]
    assert (page["positiveGrade"] == 1).all()
    assert page["options"]["relative_margin"] == 0.2
    assert np.isfinite(page["cap"]).all()
    assert "<title>a</title>" in out.read_text()


def test_a_page_of_a_job(data: Path, mined: Path, tmp_path: Path) -> None:
    done = negmine("inspect", mined / "job", *texts(data), "--out", tmp_path / "page.html", "--title", "A job")
    assert "page.html: 30 rows, 0.1 MB" in done.stdout
    assert "<h1>A job</h1>" in (tmp_path / "page.html").read_text()
    assert not data_of(tmp_path / "page.html")["hasRejected"]


def test_row_numbers_take_texts_in_their_order(data: Path, tmp_path: Path) -> None:
    negmine(*plain(data), "--out", tmp_path / "a.parquet")
    negmine("inspect", tmp_path / "a.parquet", *texts(data), "--out", tmp_path / "page.html")
    page = data_of(tmp_path / "page.html")
    assert page["documentTexts"] == [f"text {max(int(row), 1)}" for row in page["documentIds"]]


def test_what_is_refused(data: Path, mined: Path, tmp_path: Path) -> None:
    answer = mined / "a.parquet"
    (tmp_path / "there.html").touch()
    (tmp_path / "some.jsonl").write_text('{"_id": "q0", "text": "x"}\n')
    some = ["--queries", tmp_path / "some.jsonl", "--documents", data / "corpus.jsonl"]
    out = ["--out", tmp_path / "page.html"]
    for arguments, code, message in (
        ([answer, *texts(data)], 2, "`--out` must be given, or `--atlas`; got neither"),
        ([answer, *texts(data), "--out", tmp_path / "there.html"], 2, "`--force` must be given to overwrite it"),
        ([answer, *some, *out], 1, "`--queries` must hold a text for every label; got none for 'q1'"),
        ([data / "queries.jsonl", *texts(data), *out], 1, "`ANSWER` must end in .parquet or .npz"),
        ([answer, *texts(data), *out, "--against", data / "rows.tsv"], 1, "`--against` must end in .parquet"),
    ):
        refused = negmine("inspect", *arguments, code=code)
        assert message in refused.stderr, refused.stderr
    assert not (tmp_path / "page.html").exists()
