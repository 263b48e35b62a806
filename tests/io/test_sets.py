"""Judgments, runs and whole folders: all forms say the same, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negmine import HardNegatives, Positives, errors, io, mine, mine_to

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def some_vectors(n: int = 7, width: int = 5, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, (n, width)).astype(dtype)


# ---- judgments and runs

BEIR = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t1\n"
TREC = "q1 0 d1 2\nq1\t0\td2  0\nq2 0 d1 1\n"
TABLE = {"query_id": ["q1", "q1", "q2"], "doc_id": ["d1", "d2", "d1"], "score": [2, 0, 1], "split": ["a", "a", "b"]}


def qrels_files(folder: Path) -> list[Path]:
    (folder / "beir.tsv").write_text(BEIR)
    (folder / "plain.tsv").write_text(BEIR.partition("\n")[2])
    (folder / "trec.txt").write_text(TREC)
    pq.write_table(pa.table(TABLE), folder / "a.parquet")
    return sorted(folder.iterdir())


def test_all_forms_of_qrels_say_the_same(tmp_path: Path) -> None:
    for path in qrels_files(tmp_path):
        found = io.read_qrels(path)
        assert found.query_ids.tolist() == ["q1", "q1", "q2"], path
        assert found.document_ids.tolist() == ["d1", "d2", "d1"]
        assert found.grades.tolist() == [2, 0, 1]
    assert len(io.read_qrels(tmp_path / "a.parquet", split="b")) == 1


def test_qrels_become_positives(tmp_path: Path) -> None:
    qrels_files(tmp_path)
    qrels = io.read_qrels(tmp_path / "beir.tsv")
    rows = {"query_ids": ["q2", "q1", "q3"], "document_ids": ["d1", "d2"]}
    positives = qrels.positives(**rows)
    assert isinstance(positives, Positives)
    assert [positives[row].tolist() for row in range(3)] == [[0], [0], []]
    assert positives.lower_grades()[1].tolist() == [1]
    assert [qrels.positives(**rows, min_grade=2)[row].tolist() for row in range(3)] == [[], [0], []]
    assert qrels.judged(["q3", "q1"]).tolist() == [False, True]
    with pytest.raises(errors.NegmineValueError, match="'q1', which is unknown"):
        qrels.positives(query_ids=["q2"], document_ids=["d1", "d2"])
    assert qrels.positives(query_ids=["q2"], document_ids=["d1"], unknown="drop")[0].tolist() == [0]
    with pytest.raises(errors.NegmineValueError, match="`unknown` must be one of"):
        qrels.positives(**rows, unknown="skip")


@pytest.mark.parametrize(
    ("grades", "options", "message"),
    [
        ([], {}, "No query has a positive: there are no judgments."),
        (
            [("q1", "d1", 0), ("q1", "d2", -1)],
            {},
            "of 2 judgments, the grades of 2 are below `min_grade`, 1 (the highest is 0).",
        ),
        (
            [("q1", "d1", 1), ("q1", "d2", 0)],
            {"min_grade": 2},
            "of 2 judgments, the grades of 2 are below `min_grade`, 2 (the highest is 1).",
        ),
        (
            [("q9", "d1", 1), ("q1", "d9", 0)],
            {"unknown": "drop"},
            "of 2 judgments, the labels of 2 are not among the rows.",
        ),
        (
            [("q9", "d1", 1), ("q1", "d1", 0)],
            {"unknown": "drop"},
            "of 2 judgments, the labels of 1 are not among the rows and the grades of 1 are below `min_grade`, 1",
        ),
    ],
)
def test_judgments_that_give_no_positive_warn(
    tmp_path: Path, grades: list[tuple[str, str, int]], options: dict[str, Any], message: str
) -> None:
    lines = [f"{query}\t{document}\t{grade}\n" for query, document, grade in grades]
    (tmp_path / "a.tsv").write_text(f"query-id\tcorpus-id\tscore\n{''.join(lines)}")
    qrels = io.read_qrels(tmp_path / "a.tsv")
    with pytest.warns(errors.NegmineWarning, match="No query has a positive") as caught:
        positives = qrels.positives(query_ids=["q1", "q2"], document_ids=["d1", "d2"], **options)
    assert message in str(caught[0].message)
    assert caught[0].filename == __file__
    assert len(positives.items) == 0
    mapping: dict[str, dict[str, int]] = {}
    for query, document, grade in grades:
        mapping.setdefault(query, {})[document] = grade
    if mapping and "unknown" not in options:
        with pytest.warns(errors.NegmineWarning, match="No query has a positive") as caught:
            Positives.from_qrels(mapping, query_ids=["q1", "q2"], document_ids=["d1", "d2"], **options)
        assert message in str(caught[0].message)
        assert caught[0].filename == __file__


def test_a_folder_without_a_positive_warns(tmp_path: Path) -> None:
    root = beir_folder(tmp_path, tables=False)
    (root / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.warns(errors.NegmineWarning, match="No query has a positive: there are no judgments"):
        assert len(io.read_beir(root, split="train").positives()) == 0


def test_judgments_that_are_dropped_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("q1\td1\t1\nq1\td7\t1\nq8\td1\t1\nq2\td2\t0\n")
    (tmp_path / "a.run").write_text("q1 Q0 d7 1 3.0 x\nq1 Q0 d1 2 2.0 x\nq1 Q0 d2 3 1.0 x\n")
    rows = {"query_ids": ["q1", "q2"], "document_ids": ["d1", "d2"]}
    qrels, run = io.read_qrels(tmp_path / "a.tsv"), io.read_run(tmp_path / "a.run")
    for read in (qrels.positives, qrels.lists, run.lists):
        with pytest.raises(errors.NegmineValueError, match=r"'(d7|q8)', which is unknown"):
            read(**rows)
        with pytest.raises(errors.NegmineValueError, match="`unknown` must be one of"):
            read(**rows, unknown="skip")
    positives = qrels.positives(**rows, unknown="drop")
    assert positives.unknown_judgments == 2
    judged = qrels.lists(**rows, unknown="drop")
    assert [judged[row].tolist() for row in range(2)] == [[0], [1]]
    assert judged.unknown_judgments == 2
    found = run.lists(**rows, unknown="drop")
    assert (found[0].tolist(), found.unknown_judgments) == ([0, 1], 1)
    # The depth is that of the run, whatever is dropped.
    assert run.lists(**rows, depth=2, unknown="drop")[0].tolist() == [0]
    corpus = np.eye(2, dtype=np.float32)
    negatives = mine(corpus, corpus, positives, num_negatives=1)
    assert negatives.report.unknown_judgments == 2
    assert "judgments of unknown labels dropped: 2" in str(negatives.report)
    negatives.save(tmp_path / "a.npz")
    assert HardNegatives.load(tmp_path / "a.npz").report == negatives.report
    assert mine_to(tmp_path / "job", corpus, corpus, positives, num_negatives=1).report["unknown_judgments"] == 2


def test_labels_of_qrels_read_as_rows_where_rows_are_integers(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("query-id\tcorpus-id\tscore\n0\t2\t1\n1\t0\t1\n")
    qrels = io.read_qrels(tmp_path / "a.tsv")
    positives = qrels.positives(query_ids=np.arange(2), document_ids=np.arange(3))
    assert [positives[0].tolist(), positives[1].tolist()] == [[2], [0]]
    with pytest.raises(errors.NegmineTypeError, match=r"`query_ids` are integers.*'q1'"):
        io.Qrels(np.array(["q1"]), np.array(["0"]), np.array([1])).positives(query_ids=[0], document_ids=[0])


@pytest.mark.parametrize(
    ("label", "part"), [("1_0", "'1_0'"), ("0.5", "'0.5'"), ("", "''"), (str(2**70), "must fit"), ("1e1", "'1e1'")]
)
def test_labels_that_do_not_read_as_an_integer_are_refused(label: str, part: str) -> None:
    # NumPy reads "1_0" as 10, which would be another document.
    judged = io.Qrels(np.array(["0", "0"]), np.array(["1", label]), np.array([1, 1]))
    with pytest.raises(errors.NegmineError, match="`document_ids` are int") as caught:
        judged.positives(query_ids=np.arange(1), document_ids=np.arange(20))
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", "3 fields in every line; line 2"),
        ("a.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tx\n", "'x'"),
        ("a.tsv", "query-id corpus-id\n", "3 fields"),
        ("a.txt", "q1 0 d1 1\nq1 0 d1\n", "line 2"),
        ("a.txt", "q1 0 d1 1\nq1 0 d1 high\n", "line 2"),
        ("a.csv", "q1,d1,1\n", "must end in one of"),
        # A first line with a wrong grade is no header, which would be passed over.
        ("a.tsv", "q1\td1\t1.5\nq1\td2\t1\n", "'1.5'"),
        ("a.tsv", "q1\td1\tnan\n", "'nan'"),
        ("a.tsv", f"q1\td1\t{2**70}\n", str(2**70)),
        ("a.tsv", b"query-id\tcorpus-id\tscore\nq\xff\td1\t1\n", "UTF"),
    ],
)
def test_bad_qrels(tmp_path: Path, name: str, text: Any, part: str) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(errors.NegmineValueError, match="`path`") as caught:
        io.read_qrels(tmp_path / name)
    assert part in str(caught.value)


def test_empty_qrels_are_no_judgments(tmp_path: Path) -> None:
    for text in ("", "query-id\tcorpus-id\tscore\n"):
        (tmp_path / "a.tsv").write_text(text)
        assert len(io.read_qrels(tmp_path / "a.tsv")) == 0


def test_a_run_becomes_lists(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("q1 Q0 d2 1 0.5 bm25\nq1 Q0 d1 2 0.9 bm25\nq2 Q0 d3 1 1e-3 bm25\n")
    run = io.read_run(tmp_path / "a.run")
    assert run.tag == "bm25"
    assert run.ranks.tolist() == [1, 2, 1]
    rows = {"query_ids": ["q1", "q2"], "document_ids": ["d1", "d2", "d3"]}
    assert [run.lists(**rows)[row].tolist() for row in range(2)] == [[0, 1], [2]]
    assert [run.lists(**rows, depth=1)[row].tolist() for row in range(2)] == [[0], [2]]
    (tmp_path / "b.run").write_text("q1 Q0 d2 1 0.5\n")
    with pytest.raises(errors.NegmineValueError, match="6 fields in every line; line 1"):
        io.read_run(tmp_path / "b.run")


# ---- folders


def beir_folder(root: Path, *, tables: bool) -> Path:
    documents = [{"_id": f"d{row}", "title": "t", "text": f"text {row % 3}"} for row in range(4)]
    queries = [{"_id": f"q{row}", "text": f"query {row}"} for row in range(3)]
    judged = [("q2", "d1", 1, "train"), ("q0", "d3", 1, "train"), ("q1", "d0", 1, "test")]
    if tables:
        for name, lines, label in (("corpus", documents, "doc_id"), ("queries", queries, "query_id")):
            renamed = [{label: line["_id"], **{k: v for k, v in line.items() if k != "_id"}} for line in lines]
            pq.write_table(pa.Table.from_pylist(renamed), root / f"{name}.parquet")
        columns = dict(zip(("query_id", "doc_id", "score", "split"), zip(*judged, strict=True), strict=True))
        pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), root / "qrels.parquet")
    else:
        for name, lines in (("corpus", documents), ("queries", queries)):
            (root / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        (root / "qrels").mkdir()
        for split in ("train", "test"):
            body = "".join(f"{q}\t{d}\t{g}\n" for q, d, g, of in judged if of == split)
            (root / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{body}")
    np.save(root / "corpus.tiny.npy", some_vectors(4, 2))
    np.save(root / "queries.tiny.npy", some_vectors(3, 2))
    return root


@pytest.mark.parametrize("tables", [True, False])
def test_a_folder_is_read_by_split(tmp_path: Path, *, tables: bool) -> None:
    found = io.read_beir(beir_folder(tmp_path, tables=tables), split="train")
    assert found.queries.ids.tolist() == ["q0", "q2"]
    np.testing.assert_array_equal(found.query_embeddings, some_vectors(3, 2)[[0, 2]])
    assert isinstance(found.corpus_embeddings, np.memmap)
    assert [found.positives()[row].tolist() for row in range(2)] == [[3], [1]]
    assert found.groups().tolist() == [0, -1, -1, 0]


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize(
    ("change", "options", "part"),
    [
        (None, {}, "`split` must say which to read"),
        (None, {"split": "dev"}, "'test', 'train'"),
        (None, {"split": "train", "embeddings": "big"}, "`embeddings` must be one that"),
        ("second", {"split": "train"}, "`embeddings` must say which to read"),
        ("short", {"split": "train"}, "`embeddings` must have a row per text"),
        ("half", {"split": "train"}, "`embeddings` must exist for both sides"),
        ("corpus", {"split": "train"}, "`folder` must hold corpus.jsonl"),
        ("qrels", {"split": "train"}, "`folder` must hold qrels"),
    ],
)
def test_bad_folders(tmp_path: Path, change: str | None, options: dict[str, str], part: str, *, tables: bool) -> None:
    root = beir_folder(tmp_path, tables=tables)
    match change:
        case "second":
            np.save(root / "corpus.other.npy", some_vectors(4, 2))
        case "short":
            np.save(root / "queries.tiny.npy", some_vectors(2, 2))
        case "half":
            (root / "queries.tiny.npy").unlink()
        case "corpus":
            next(root.glob("corpus.[jp]*")).unlink()
        case "qrels":
            for path in [*root.glob("qrels/*.tsv"), *root.glob("qrels.parquet")]:
                path.unlink()
    with pytest.raises(errors.NegmineValueError) as caught:
        io.read_beir(root, **options)
    assert part in str(caught.value)


def test_a_folder_without_embeddings_has_none(tmp_path: Path) -> None:
    root = beir_folder(tmp_path, tables=False)
    for path in root.glob("*.npy"):
        path.unlink()
    assert io.read_beir(root, split="test").corpus_embeddings is None
