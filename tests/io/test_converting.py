"""Converted files hold the rows that are written from memory, and training rows keep what they have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import errors, io
from negmine.mining.formats import FORMATS, IDS_ONLY
from training import Problem, plain_rows, problem

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts_of(made: Problem, form: str) -> dict[str, Any]:
    return {} if form in IDS_ONLY else {"queries": made.queries, "documents": made.documents}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("scores", [True, False])
def test_mined_negatives_get_their_texts(tmp_path: Path, form: Any, *, scores: bool) -> None:
    made = problem(n_queries=6)
    (tmp_path / "job").mkdir()
    io.write_negatives(made.mined, tmp_path / "a.parquet")
    io.write_negatives(made.mined, tmp_path / "job" / "result.parquet")
    wanted = plain_rows(made, form, scores=scores, texts=form not in IDS_ONLY)
    target = tmp_path / "rows.jsonl"
    for source in (tmp_path / "a.parquet", tmp_path / "job"):
        written = io.convert_training_rows(source, target, format=form, scores=scores, **texts_of(made, form))
        assert read_rows(target) == wanted
        assert written.n_rows == len(wanted)


def test_texts_are_found_by_label_in_any_order(tmp_path: Path) -> None:
    made = problem(n_queries=6)
    io.write_negatives(made.mined, tmp_path / "a.parquet")
    order = np.random.default_rng(0).permutation(len(made.documents))
    queries = io.Texts.from_lists(["another", *made.queries.texts.to_pylist()], ids=["other", *made.queries.ids])
    options: dict[str, Any] = {"format": "triplet", "queries": queries, "documents": made.documents.take(order)}
    io.convert_training_rows(tmp_path / "a.parquet", tmp_path / "b.jsonl", **options)
    assert read_rows(tmp_path / "b.jsonl") == plain_rows(made, "triplet", scores=False, texts=True)
    options["documents"] = made.documents.take(np.arange(2))
    with pytest.raises(errors.NegmineValueError, match="`documents` must hold a text for every label; got none for"):
        io.convert_training_rows(tmp_path / "a.parquet", tmp_path / "c.jsonl", **options)
    assert not (tmp_path / "c.jsonl").exists()


def test_negatives_without_labels_take_texts_by_row(tmp_path: Path) -> None:
    made = problem(labels=False)
    made.negatives.save(tmp_path / "a.npz", pool=True)
    options: dict[str, Any] = {"format": "triplet", "queries": made.queries, "documents": made.documents}
    io.convert_training_rows(tmp_path / "a.npz", tmp_path / "b.jsonl", **options)
    assert read_rows(tmp_path / "b.jsonl") == plain_rows(made, "triplet", scores=False, texts=True)
    (tmp_path / "a.pool.npz").unlink()
    with pytest.raises(errors.NegmineValueError, match="`source` must have its pool"):
        io.convert_training_rows(tmp_path / "a.npz", tmp_path / "c.jsonl", **options)


@pytest.mark.parametrize("source", ["flagembedding", "tevatron"])
@pytest.mark.parametrize("target", [form for form in FORMATS if form not in (*IDS_ONLY, "tevatron")])
def test_rows_with_all_documents_become_any_other_rows(tmp_path: Path, source: Any, target: Any) -> None:
    made = problem(n_queries=6, absolute_margin=None)
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    io.write_training_rows(made.mined, first, format=source, queries=made.queries, documents=made.documents)
    io.convert_training_rows(first, second, format=target)
    wanted = plain_rows(made, target, scores=False, texts=True)
    if source == "tevatron":  # whose texts are apart from their titles
        wanted = json.loads(json.dumps(wanted).replace('"t text', '"text'))
    # A query without a positive has no line that could be converted.
    wanted = [line for line in wanted if line.get("anchor") != "query 5"]
    assert read_rows(second) == wanted
    assert wanted


@pytest.mark.parametrize("form", ["ids", "id-list", "n-tuple", "triplet"])
@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_every_row_stays_a_row(tmp_path: Path, form: Any, suffix: str) -> None:
    made = problem(n_queries=6)
    path = tmp_path / f"a{suffix}"
    io.write_training_rows(made.mined, path, format=form)
    rows = read_rows(path)
    written = io.convert_training_rows(path, tmp_path / "b.jsonl", format="flagembedding")
    assert written.n_rows == len(rows) > 0
    for row, line in zip(rows, read_rows(tmp_path / "b.jsonl"), strict=True):
        query, second, *others = [value for name, value in row.items() if name not in ("labels",)]
        documents = second if isinstance(second, list) else [second, *others]
        assert line == {"query": query, "pos": documents[:1], "neg": documents[1:]}


def test_an_empty_file_gives_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    assert io.convert_training_rows(tmp_path / "a.jsonl", tmp_path / "b.jsonl", format="triplet").n_rows == 0
    assert (tmp_path / "b.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("form", "change", "part"),
    [
        ("labeled-pair", {}, "`source` must hold rows with positives and negatives"),
        ("triplet", {"format": "tevatron"}, "`format` must be one that 'triplet' has all values for; got 'tevatron'"),
        ("triplet", {"format": "ids"}, "`format` must be one that 'triplet' has all values for; got 'ids'"),
        ("triplet", {"format": "pairs"}, "`format` must be one of"),
        ("triplet", {"scores": True}, "`scores` must be False for training rows"),
        ("triplet", {"queries": io.Texts.from_lists(["a"])}, "`queries` must be None for training rows"),
        ("triplet", {"path": "b.csv"}, "`path` must end in"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, form: Any, change: dict[str, Any], part: str) -> None:
    io.write_training_rows(problem().mined, tmp_path / "a.jsonl", format=form)
    options = {"format": "flagembedding", "path": "b.jsonl"} | change
    with pytest.raises(errors.NegmineValueError) as caught:
        io.convert_training_rows(tmp_path / "a.jsonl", tmp_path / options.pop("path"), **options)
    assert part in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(errors.NegmineValueError, match=r"`source` must end in \.npz"):
        io.convert_training_rows(tmp_path / "a.csv", tmp_path / "b.jsonl", format="triplet")
