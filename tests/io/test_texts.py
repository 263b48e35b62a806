"""Texts come back from files as they were written, copies among them are found, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import errors, io, mine

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

# ---- texts

strings = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@given(
    st.lists(st.tuples(strings.filter(bool), strings, strings), min_size=1, max_size=8, unique_by=lambda row: row[0])
)
def test_jsonl_and_parquet_give_texts_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    rows = [row for row in rows if row[0] == row[0].rstrip("\0")]  # NumPy strings end before their last NULs
    folder = tmp_path_factory.mktemp("texts")
    lines = [{"_id": label, "title": title, "text": text, "metadata": {"x": [1]}} for label, title, text in rows]
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([{**line, "metadata": 1} for line in lines]), folder / "a.parquet")
    for name in ("a.jsonl", "a.parquet") if rows else ():
        found = io.read_texts(folder / name)
        assert found.ids.tolist() == [row[0] for row in rows]
        assert found.texts.to_pylist() == [row[2] for row in rows]
        assert (found.titles.to_pylist() if found.titles else [""] * len(rows)) == [row[1] for row in rows]


def test_texts_that_look_like_something_else_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"_id": "007", "text": "2012-01-01"}\n{"_id": "8", "text": "12"}\n')
    found = io.read_texts(tmp_path / "a.jsonl")
    assert found.ids.tolist() == ["007", "8"]
    assert found.texts.to_pylist() == ["2012-01-01", "12"]
    assert found.titles is None


def test_labels_may_be_integers_or_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 7, "text": "a"}\n{"id": 3, "text": "b"}\n')
    assert io.read_texts(tmp_path / "a.jsonl").ids.tolist() == [7, 3]
    (tmp_path / "b.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    assert io.read_texts(tmp_path / "b.jsonl").ids.tolist() == [0, 1]
    (tmp_path / "c.jsonl").write_text("")
    assert len(io.read_texts(tmp_path / "c.jsonl")) == 0


def test_a_line_longer_than_a_block_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negmine.io.jsonl.BLOCK_BYTES", 1024)
    (tmp_path / "a.jsonl").write_text(json.dumps({"_id": "1", "text": "x" * 100_000}) + "\n")
    assert len(io.read_texts(tmp_path / "a.jsonl").texts[0].as_py()) == 100_000


@pytest.mark.parametrize(
    ("text", "options", "error", "parts"),
    [
        ('{"_id": "1", "text"', {}, errors.NegmineValueError, ["one JSON object per line"]),
        ("[1]\n", {}, errors.NegmineValueError, ["one JSON object per line"]),
        ('{"_id": "1"}\n', {}, errors.NegmineValueError, ["no 'text'"]),
        ('{"_id": "1", "text": "a"}\n{"_id": "2"}\n', {}, errors.NegmineValueError, ["'text'", "has a null at row 1"]),
        ('{"_id": "1", "text": "a"}\n{"text": "b"}\n', {}, errors.NegmineValueError, ["label every row", "row 1"]),
        ('{"_id": "1", "text": "a"}\n{"_id": "1", "text": "b"}\n', {}, errors.NegmineValueError, ["unique", "'1'"]),
        ('{"_id": "1", "text": "a"}\n', {"id_name": "x"}, errors.NegmineValueError, ["no 'x'"]),
        ('{"_id": "1", "text": 3}\n', {}, errors.NegmineTypeError, ["must hold strings"]),
        ('{"_id": "1", "text": "a"}\n{"_id": 2, "text": "b"}\n', {}, errors.NegmineTypeError, ["all strings"]),
        ('{"_id": "1", "text": ["a"]}\n', {}, errors.NegmineTypeError, ["strings under 'text'; line 1"]),
        (b'{"_id": "1", "text": "\xff\xfe"}\n', {}, errors.NegmineValueError, ["UTF-8"]),
    ],
)
def test_bad_jsonl(tmp_path: Path, text: Any, options: dict[str, str], error: type, parts: list[str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error) as caught:
        io.read_texts(path, **options)
    for part in parts:
        assert part in str(caught.value)


def test_same_texts_are_found_by_nothing_but_normal_form_and_ends() -> None:
    texts = ["caf\u00e9", " cafe\u0301\n", "Caf\u00e9", "a  b", "a b", "", " "]
    groups = io.same_text_groups(io.Texts.from_lists(texts))
    assert groups.tolist() == [0, 0, -1, -1, -1, 5, 5]
    titled = io.Texts.from_lists(["x", "x", "x"], titles=["a", "b", "a "])
    assert io.same_text_groups(titled).tolist() == [0, -1, 0]
    joined = io.Texts.from_lists(["x", "", "z"], titles=["a", "b", ""]).joined()
    assert joined.to_pylist() == ["a x", "b", "z"]


@given(st.lists(st.sampled_from(["a", "b", " a", "a\u0301", "\u00e1", ""]), max_size=12))
def test_same_texts_against_a_plain_search(texts: list[str]) -> None:
    import unicodedata

    normal = [unicodedata.normalize("NFC", text).strip() for text in texts]
    wanted = [normal.index(text) if normal.count(text) > 1 else -1 for text in normal]
    assert io.same_text_groups(io.Texts.from_lists(texts)).tolist() == wanted


def test_a_copy_of_a_positive_is_no_negative() -> None:
    corpus = np.array([[1, 0], [1, 0.1], [1, 0.2]], dtype=np.float32)
    groups = io.same_text_groups(io.Texts.from_lists(["a cat", "a cat ", "a dog"]))
    assert mine(corpus[:1], corpus, [[0]], num_negatives=2, groups=groups).indices.tolist() == [[2, -1]]
