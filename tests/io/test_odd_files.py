"""Files as people have them are read alike in every format; what cannot be read is refused by file and place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import ExactIndex, Positives, errors, io

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

#: A text file of every format that is read line by line: its name, its lines, and what they say.
FORMATS: dict[str, tuple[str, list[str], Callable[[Path], object]]] = {
    "qrels under a header": (
        "a.tsv",
        ["query-id\tcorpus-id\tscore", "q1\td1\t1", "q2\td2\t0"],
        lambda path: judgments(io.read_qrels(path)),
    ),
    "qrels without a header": (
        "a.tsv",
        ["q1\td1\t1", "q2\td2\t0"],
        lambda path: judgments(io.read_qrels(path)),
    ),
    "TREC qrels": ("a.qrels", ["q1 0 d1 1", "q2 0 d2 0"], lambda path: judgments(io.read_qrels(path))),
    "a run": (
        "a.run",
        ["q1 Q0 d1 1 0.5 bm25", "q2 Q0 d2 1 0.25 bm25"],
        lambda path: run_of(io.read_run(path)),
    ),
    "texts in JSONL": (
        "a.jsonl",
        ['{"_id": "d1", "text": "one"}', '{"_id": "d2", "text": "two"}'],
        lambda path: texts_of(io.read_texts(path)),
    ),
    "texts in TSV": ("a.tsv", ["d1\tone", "d2\ttwo"], lambda path: texts_of(io.read_texts(path))),
}


def judgments(qrels: io.Qrels) -> list[tuple[str, str, int]]:
    return list(zip(qrels.query_ids.tolist(), qrels.document_ids.tolist(), qrels.grades.tolist(), strict=True))


def run_of(run: io.Run) -> list[tuple[str, str, float]]:
    return list(zip(run.query_ids.tolist(), run.document_ids.tolist(), run.scores.tolist(), strict=True))


def texts_of(texts: io.Texts) -> list[tuple[Any, str]]:
    return list(zip(texts.ids.tolist(), texts.texts.to_pylist(), strict=True))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_blank_lines_are_skipped_at_every_place(tmp_path: Path, kind: str, end: str, place: int) -> None:
    name, lines, read = FORMATS[kind]
    path = tmp_path / name
    path.write_bytes("".join(line + end for line in lines).encode())
    wanted = read(path)
    for blank in ("", " ", "\t\t"):
        gaps = [*lines[:place], blank, blank, *lines[place:]] if place >= 0 else [*lines, blank, blank]
        path.write_bytes("".join(line + end for line in gaps).encode())
        assert read(path) == wanted, repr(blank)


@pytest.mark.parametrize("kind", FORMATS)
def test_compressed_files_and_names_in_capitals_are_read(tmp_path: Path, kind: str) -> None:
    name, lines, read = FORMATS[kind]
    text = "".join(f"{line}\n" for line in lines).encode()
    (tmp_path / name).write_bytes(text)
    wanted = read(tmp_path / name)
    (tmp_path / name.upper()).write_bytes(text)
    assert read(tmp_path / name.upper()) == wanted
    for suffix in (".gz", ".GZ"):
        packed = tmp_path / f"{name}{suffix}"
        packed.write_bytes(gzip.compress(text))
        assert read(packed) == wanted
        packed.write_bytes(b"\xef\xbb\xbf" + text)
        with pytest.raises(errors.NegmineValueError, match="`path` must be a readable file"):
            read(packed)
        packed.write_bytes(gzip.compress(text * 1000)[:-9])
        with pytest.raises(errors.NegmineValueError, match="`path` must"):
            read(packed)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_line_that_is_not_utf8_is_named(tmp_path: Path, kind: str) -> None:
    name, lines, read = FORMATS[kind]
    (tmp_path / name).write_bytes("\n".join([*lines, ""]).encode() + b"\n" + lines[-1].encode() + b"\xed\xa0\xbd\n")
    with pytest.raises(errors.NegmineValueError, match=rf"`path` must be UTF-8; line {len(lines) + 2} of .*{name}"):
        read(tmp_path / name)


# ---- judgments


@pytest.mark.parametrize("header", ["corpus-id query-id score", "score corpus-id query-id", "qid x docid relevance"])
def test_columns_are_found_by_name(tmp_path: Path, header: str) -> None:
    values = {"query-id": 7, "qid": 7, "corpus-id": 1, "docid": 1, "score": 2, "relevance": 2, "x": "y"}
    names = header.split()
    path = tmp_path / "a.tsv"
    path.write_text("\t".join(names) + "\n" + "\t".join(str(values[name]) for name in names) + "\n")
    assert judgments(io.read_qrels(path)) == [("7", "1", 2)]
    pq.write_table(pa.table({name: [values[name]] for name in names}), tmp_path / "a.parquet")
    assert judgments(io.read_qrels(tmp_path / "a.parquet")) == [(7, 1, 2)]


@pytest.mark.parametrize(
    "header", ["question\tanswer\tscore", "query-id\tpassage\tscore", "a\tb\tc", "query-id\tscore", "q1\td1\thigh"]
)
def test_an_unknown_header_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.tsv").write_text(f"\n{header}\n1\t2\t1\n")
    with pytest.raises(errors.NegmineValueError, match="must have a header with 'query-id' and 'corpus-id'") as caught:
        io.read_qrels(tmp_path / "a.tsv")
    assert f"line 2 of {tmp_path / 'a.tsv'} is {header!r}" in str(caught.value)


@pytest.mark.parametrize("grade", ["1.0", "1.", "1e0", "+1"])
def test_whole_grades_are_integers_in_every_form(tmp_path: Path, grade: str) -> None:
    (tmp_path / "a.tsv").write_text(f"query-id\tcorpus-id\tscore\nq1\td1\t{grade}\nq1\td2\t0\n")
    (tmp_path / "b.tsv").write_text(f"q1\td1\t{grade}\nq1\td2\t0\n")
    (tmp_path / "c.txt").write_text(f"q1 0 d1 {grade}\nq1 0 d2 0\n")
    table = {"query_id": ["q1", "q1"], "doc_id": ["d1", "d2"]}
    pq.write_table(pa.table({**table, "score": [float(grade), 0.0]}), tmp_path / "d.parquet")
    pq.write_table(pa.table({**table, "score": pa.array([float(grade), 0.0], pa.float32())}), tmp_path / "e.parquet")
    for name in ("a.tsv", "b.tsv", "c.txt", "d.parquet", "e.parquet"):
        assert judgments(io.read_qrels(tmp_path / name)) == [("q1", "d1", 1), ("q1", "d2", 0)], name
    rows = {"query_ids": ["q1"], "document_ids": ["d1", "d2"]}
    positives = Positives.from_qrels({"q1": {"d1": float(grade), "d2": 0}}, **rows)
    assert positives[0].tolist() == [0]
    assert positives.grades is not None
    assert positives.grades.tolist() == [1]
    assert Positives.from_lists([[0, 1]], grades=[2.0, 1]).grades.tolist() == [2, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("grade", "words"),
    [("1.5", "1.5"), ("1_0", "1_0"), ("nan", "nan"), ("inf", "inf"), ("9223372036854775808", "9223372036854775808")],
)
def test_grades_that_are_not_whole_are_refused_by_place(tmp_path: Path, grade: str, words: str) -> None:
    (tmp_path / "a.tsv").write_text(f"query-id\tcorpus-id\tscore\nq1\td2\t1\nq1\td1\t{grade}\n")
    (tmp_path / "b.tsv").write_text(f"q1\td2\t1\n\nq1\td1\t{grade}\n")
    (tmp_path / "c.txt").write_text(f"q1 0 d2 1\n\nq1 0 d1 {grade}\n")
    for name in ("a.tsv", "b.tsv", "c.txt"):
        with pytest.raises(errors.NegmineValueError, match=f"`path` must hold a whole number.*line 3 of .*{name} has"):
            io.read_qrels(tmp_path / name)
    if "_" in grade:
        return
    score = [1.0, float(grade)]
    table = pa.table({"query_id": ["q1", "q1"], "doc_id": ["d1", "d2"], "score": score})
    pq.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(errors.NegmineValueError, match=r"row 1 of column 'score' of .*d.parquet"):
        io.read_qrels(tmp_path / "d.parquet")
    rows = {"query_ids": ["q1"], "document_ids": ["d1", "d2"]}
    with pytest.raises(errors.NegmineValueError, match="`qrels` must hold whole numbers") as caught:
        Positives.from_qrels({"q1": {"d1": 1.0, "d2": float(grade)}}, **rows)
    assert "for query 'q1' and document 'd2'" in str(caught.value)
    with pytest.raises(errors.NegmineValueError, match=r"`grades` must hold whole numbers.* at row 1"):
        Positives.from_lists([[0, 1]], grades=score)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q1 Q0 d1 1_0 0.5 a", "'1_0'"),
        ("q1 Q0 d1 1 1_0.5 a", "'1_0.5'"),
        ("q1 Q0 d1 1.5 0.5 a", "'1.5'"),
        ("q1 Q0 d1 1 nan a", "'nan'"),
        ("q1 Q0 d1 \u0661 0.5 a", "'\u0661'"),
    ],
)
def test_numbers_of_runs_are_plain_numbers(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "a.run").write_text(f"q1 Q0 d1 1 -inf a\nq1 Q0 d1 2.0 1e-3 a\n{line}\n")
    with pytest.raises(errors.NegmineValueError, match=r"`path` must hold a .*; line 3 of .*a.run has") as caught:
        io.read_run(tmp_path / "a.run")
    assert words in str(caught.value)


# ---- tables


def repeated(table: dict[str, Any], extra: dict[str, Any], path: Path) -> Path:
    """Write a table in which the columns of `extra` come a second time."""
    columns = [*table.items(), *extra.items()]
    names, arrays = [name for name, _ in columns], [pa.array(values) for _, values in columns]
    whole = pa.Table.from_arrays(arrays, names=names)
    if path.suffix == ".parquet":
        pq.write_table(whole, path)
    else:
        with pa.ipc.new_file(path, whole.schema) as writer:
            writer.write_table(whole)
    return path


QRELS_TABLE = {"query_id": ["q1"], "doc_id": ["d1"], "score": [1], "split": ["train"], "note": ["x"]}
TEXTS_TABLE = {"_id": ["d1"], "text": ["one"], "title": ["t"], "id": [1.5]}
EMBEDDINGS_TABLE = {"id": ["d1"], "emb": [[1.0, 2.0]], "n": [3]}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("table", "read", "used", "unused"),
    [
        (
            QRELS_TABLE,
            lambda path: io.read_qrels(path, split="train"),
            ["query_id", "doc_id", "score", "split"],
            "note",
        ),
        (TEXTS_TABLE, io.read_texts, ["_id", "text", "title"], "id"),
        (EMBEDDINGS_TABLE, lambda path: io.read_embeddings(path, name="emb", id_name="id"), ["id", "emb"], "n"),
    ],
)
def test_a_column_that_repeats_is_refused_where_it_is_in_use(
    tmp_path: Path, suffix: str, table: dict[str, Any], read: Callable[[Path], Any], used: list[str], unused: str
) -> None:
    path = tmp_path / f"a{suffix}"
    assert len(read(repeated(table, {unused: table[unused]}, path))) == 1
    for name in used:
        with pytest.raises(errors.NegmineValueError, match=f"`path` must have one column '{name}'; .*a{suffix} has 2"):
            read(repeated(table, {name: table[name]}, path))


@pytest.mark.parametrize("name", ["query-id", "corpus-id", "score"])
def test_a_repeated_name_in_a_header_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tsv").write_text(f"query-id\tcorpus-id\tscore\t{name}\nq\td\t1\t2\n")
    with pytest.raises(errors.NegmineValueError, match=f"must have one column '{name}'; line 1 of .*a.tsv has 2"):
        io.read_qrels(tmp_path / "a.tsv")
    (tmp_path / "b.tsv").write_text("id\ttext\ttext\nd\ta\tb\n")
    with pytest.raises(errors.NegmineValueError, match=r"must have one column 'text'; line 1 of .*b.tsv has 2"):
        io.read_texts(tmp_path / "b.tsv")


@pytest.mark.parametrize(
    ("splits", "words"), [([1, 2], "is int64"), (["train", None], "a null at row 1"), ([1.5, None], "is double")]
)
def test_splits_that_are_not_strings_are_refused(tmp_path: Path, splits: list[Any], words: str) -> None:
    table = pa.table({"query_id": ["q1", "q2"], "doc_id": ["d1", "d2"], "split": splits})
    pq.write_table(table, tmp_path / "qrels.parquet")
    with pytest.raises(errors.NegmineValueError, match=r"column 'split' of .*qrels.parquet") as caught:
        io.read_qrels(tmp_path / "qrels.parquet", split="train")
    assert words in str(caught.value)
    for name in ("corpus", "queries"):
        (tmp_path / f"{name}.jsonl").write_text('{"_id": "q1", "text": "a"}\n')
    with pytest.raises(errors.NegmineValueError, match=r"`folder` must .*column 'split' of .*qrels.parquet"):
        io.read_beir(tmp_path)


def test_dictionaries_of_splits_and_titles_are_read(tmp_path: Path) -> None:
    coded = pa.array(["train", "test"]).dictionary_encode()
    pq.write_table(pa.table({"query_id": ["q1", "q2"], "doc_id": ["d1", "d2"], "split": coded}), tmp_path / "a.parquet")
    assert judgments(io.read_qrels(tmp_path / "a.parquet", split="test")) == [("q2", "d2", 1)]
    titles = pa.array(["t", None]).dictionary_encode()
    pq.write_table(pa.table({"id": ["d1", "d2"], "text": ["a", "b"], "title": titles}), tmp_path / "b.parquet")
    found = io.read_texts(tmp_path / "b.parquet").titles
    assert found is not None
    assert found.to_pylist() == ["t", ""]
    pq.write_table(pa.table({"id": ["d1"], "text": ["a"], "title": pa.nulls(1)}), tmp_path / "c.parquet")
    assert io.read_texts(tmp_path / "c.parquet").joined().to_pylist() == ["a"]


def test_strings_that_are_not_utf8_are_refused_by_column_and_row(tmp_path: Path) -> None:
    offsets, data = pa.array([0, 1, 4], pa.int32()).buffers()[1], pa.py_buffer(b"a\xed\xa0\xbd")
    bad = pa.StringArray.from_buffers(2, offsets, data)
    pq.write_table(pa.table({"id": bad, "text": ["a", "b"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": ["a", "b"], "text": bad}), tmp_path / "b.parquet")
    for name, column in (("a", "id"), ("b", "text")):
        with pytest.raises(errors.NegmineValueError, match=f"must be UTF-8; column '{column}' of .* is not at row 1"):
            io.read_texts(tmp_path / f"{name}.parquet")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_tensors_of_a_fixed_shape_are_embeddings(tmp_path: Path, dtype: Any) -> None:
    wanted = np.arange(12).reshape(4, 3).astype(dtype)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(wanted.reshape(-1)), 3)
    kind = pa.fixed_shape_tensor(pa.from_numpy_dtype(dtype), [3])
    column = pa.ExtensionArray.from_storage(kind, storage)
    pq.write_table(pa.table({"id": list("abcd"), "emb": column}), tmp_path / "a.parquet", row_group_size=3)
    found = io.read_embeddings(tmp_path / "a.parquet", id_name="id")
    np.testing.assert_array_equal(found.rows, wanted)
    assert found.rows.dtype == dtype
    assert len(ExactIndex(column)) == len(ExactIndex(pa.chunked_array([column]))) == 4
    square = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2, 2]),
        pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(8, np.float32)), 4),
    )
    pq.write_table(pa.table({"emb": square}), tmp_path / "b.parquet")
    with pytest.raises(errors.NegmineTypeError, match=r"column 'emb' of .*b.parquet"):
        io.read_embeddings(tmp_path / "b.parquet", name="emb")
    with pytest.raises(errors.NegmineTypeError, match="`corpus` must be a fixed-size-list array"):
        ExactIndex(square)


# ---- texts


def test_only_keys_in_use_are_looked_at(tmp_path: Path) -> None:
    lines = [{"_id": "d1", "id": 7, "text": "x", "doc_id": [1]}, {"_id": "d2", "id": "y", "text": "z", "query_id": {}}]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert texts_of(io.read_texts(tmp_path / "a.jsonl")) == [("d1", "x"), ("d2", "z")]
    pq.write_table(pa.table({"_id": ["d1"], "id": [None], "text": ["x"], "doc_id": [[1]]}), tmp_path / "a.parquet")
    assert texts_of(io.read_texts(tmp_path / "a.parquet")) == [("d1", "x")]


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        (['{"_id": "1", "text": "a"}', "", '{"_id": "2", "text": 3}'], TypeError, "strings under 'text'; line 3"),
        (['{"_id": "1", "text": "a", "title": 3}'], TypeError, "strings under 'title'; line 1"),
        (['{"_id": "1", "text": "a"}', '{"_id": 2, "text": "b"}'], TypeError, "'_id'; line 2"),
        (['{"_id": 1, "text": "a"}', '{"_id": "2", "text": "b"}'], TypeError, "'_id'; line 2"),
        (['{"_id": 1.0, "text": "a"}'], TypeError, "'_id'; line 1"),
        (['{"_id": true, "text": "a"}'], TypeError, "'_id'; line 1"),
        ([f'{{"_id": {2**70}, "text": "a"}}'], ValueError, "int64; line 1"),
        (['{"text": "a"}', '{"id": "d2", "text": "b"}'], ValueError, "label every row or none; line 2"),
        (['{"text": "a"}', '{"_id": 2, "text": "b"}'], ValueError, "label every row or none; line 2"),
        (['{"_id": "1", "text": "a"}', "{"], ValueError, "one JSON object per line; line 2"),
        (['{"_id": "1", "text": "a"}', '"b"'], ValueError, "one JSON object per line; line 2"),
        (['{"_id": "1", "text": "\\ud83d"}'], ValueError, "lone surrogate under 'text'"),
        (['{"_id": "\\ud83d", "text": ""}'], ValueError, "lone surrogate under '_id'"),
    ],
)
def test_a_fault_in_json_lines_is_named(tmp_path: Path, lines: list[str], error: type, words: str) -> None:
    (tmp_path / "a.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(error) as caught:
        io.read_texts(tmp_path / "a.jsonl")
    assert isinstance(caught.value, errors.NegmineError)
    assert words in str(caught.value)
    assert str(tmp_path / "a.jsonl") in str(caught.value)


def test_tsv_holds_texts_with_and_without_a_header(tmp_path: Path) -> None:
    plain = '17\tthe "first\n18\t\n'
    (tmp_path / "collection.tsv").write_text(plain)
    found = io.read_texts(tmp_path / "collection.tsv")
    assert texts_of(found) == [("17", 'the "first'), ("18", "")]
    assert found.titles is None
    (tmp_path / "a.tsv").write_text("text\ttitle\tid\tx\na\tt\t17\t1\nb\t\t18\t2\n")
    found = io.read_texts(tmp_path / "a.tsv")
    assert texts_of(found) == [("17", "a"), ("18", "b")]
    assert found.joined().to_pylist() == ["t a", "b"]
    assert io.read_texts(tmp_path / "a.tsv", id_name="x").ids.tolist() == ["1", "2"]
    (tmp_path / "empty.tsv").write_text("\n")
    assert len(io.read_texts(tmp_path / "empty.tsv")) == 0


def test_long_tsv_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negmine.io.tsv.STEP", 3)
    (tmp_path / "a.tsv").write_text("".join(f"d{row}\ttext {row}\n" for row in range(10)))
    assert texts_of(io.read_texts(tmp_path / "a.tsv")) == [(f"d{row}", f"text {row}") for row in range(10)]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a\tb\tc\n", {}, "line 1 of"),
        ("id\tbody\n1\ta\n", {}, "must have a header with 'text'"),
        ("1\ta\n2\tb\tc\n", {}, "2 fields in every line; line 2"),
        ("1\ta\n1\tb\n", {}, "must be unique; got '1' more than once, in column '_id'"),
        ("id\ttext\n1\ta\n", {"id_name": "x"}, "has no 'x'"),
    ],
)
def test_bad_tsv_of_texts(tmp_path: Path, text: str, options: dict[str, str], words: str) -> None:
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(errors.NegmineValueError) as caught:
        io.read_texts(tmp_path / "a.tsv", **options)
    assert words in str(caught.value)


def test_folders_may_be_compressed(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    for name, text in (
        ("corpus.jsonl", '{"_id": "d1", "text": "a"}\n'),
        ("queries.jsonl", '{"_id": "q1", "text": "a"}\n'),
        ("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n"),
    ):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    found = io.read_beir(tmp_path)
    assert found.split == "train"
    assert found.positives()[0].tolist() == [0]
