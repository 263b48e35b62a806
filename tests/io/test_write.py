"""Writers lose nothing, say where it comes from, leave nothing half-written, and give trainers the rows they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import ExactIndex, HardNegativeMiner, HardNegatives, Positives, errors, io
from negmine.io import row_groups
from negmine.mining import Reason
from negmine.mining.formats import FORMATS, IDS_ONLY, NESTED
from training import WIDTH, plain_rows, problem

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def assert_same(found: io.Records, wanted: io.Records) -> None:
    for name in ("query_indices", "query_ids", "reference_scores", "reasons", "sources"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    np.testing.assert_array_equal(found.rejections, wanted.rejections)
    assert (found.rejected is None) == (wanted.rejected is None)
    for side in ("positives", "negatives") if wanted.rejected is None else ("positives", "negatives", "rejected"):
        for name in ("offsets", "indices", "ids", "scores"):
            one, other = getattr(getattr(found, side), name), getattr(getattr(wanted, side), name)
            np.testing.assert_array_equal(one, other, err_msg=f"{side}.{name}")
            assert type(one) is type(other)
            assert np.asarray(one).dtype == np.asarray(other).dtype


# ---- the table


@given(
    st.integers(0, 2**32),
    st.integers(0, 6),
    st.booleans(),
    st.sampled_from(["min", "each"]),
    st.sampled_from([{}, {"num_random": 2}, {"sampling": "random"}, {"max_score": -2.0}]),
)
def test_parquet_gives_all_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, labels: bool, reference: Any, options: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("mined") / "a.parquet"
    made = problem(n_queries=n, labels=labels, seed=seed, reference=reference, **options)
    assert io.write_negatives(made.mined, path).n_rows == len(made.negatives)
    found = io.read_negatives(path)
    assert len(found) == len(made.negatives)
    assert found.provenance == made.mined.provenance
    for one, other in zip(found.batches(), made.mined.batches(), strict=True):
        assert_same(one, other)
    before = path.read_bytes()
    io.write_negatives(found, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("n_queries", [0, 5])
def test_parquet_gives_rejected_documents_back(tmp_path: Path, n_queries: int) -> None:
    made = problem(n_queries=n_queries, keep_rejected=2)
    path = tmp_path / "a.parquet"
    io.write_negatives(made.mined, path)
    before = path.read_bytes()
    for one, other in zip(io.read_negatives(path).batches(), made.mined.batches(), strict=True):
        assert_same(one, other)
    io.write_negatives(io.read_negatives(path), path)
    assert path.read_bytes() == before
    for line in pq.read_table(path).to_pylist():
        rejected = made.negatives.pool.rejected
        count = rejected.counts[line["query_index"]]
        assert line["rejected_ids"] == rejected.ids[line["query_index"], :count].tolist()
        assert set(line["rejected_rules"]) <= {"above_absolute_margin"}
    table = pq.read_table(path)
    row_groups.write_tables(path, [table.drop_columns(["rejected_ids"])])
    with pytest.raises(errors.NegmineValueError, match="has no 'rejected_ids'"):
        list(io.read_negatives(path).batches())


def test_many_batches_give_all_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negmine.io.negatives.BATCH_ROWS", 2)
    made = problem()
    io.write_negatives(made.mined, tmp_path / "a.parquet")
    assert pq.read_metadata(tmp_path / "a.parquet").num_row_groups == 3
    for one, other in zip(io.read_negatives(tmp_path / "a.parquet").batches(), made.mined.batches(), strict=True):
        assert_same(one, other)


def test_many_long_labels_stay_one_piece(tmp_path: Path) -> None:
    # pyarrow cuts NumPy strings into chunks beyond some 16 MB.
    n = 300
    labels = [f"{row:05d}" + "x" * 20_000 for row in range(n)]
    corpus = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    negatives = HardNegativeMiner(4).mine(ExactIndex(corpus, ids=labels), corpus, [[row] for row in range(n)])
    mined = io.MinedRows.from_negatives(negatives, query_ids=labels)
    io.write_negatives(mined, tmp_path / "a.parquet")
    assert_same(next(io.read_negatives(tmp_path / "a.parquet").batches()), next(mined.batches()))
    assert io.write_training_rows(mined, tmp_path / "b.parquet", format="labeled-list").n_rows == n


def test_the_table_says_what_the_arrays_say(tmp_path: Path) -> None:
    made = problem(num_random=1)
    io.write_negatives(made.mined, tmp_path / "a.parquet")
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    for row, line in enumerate(rows):
        count = made.negatives.counts[row]
        assert line["query_index"] == row
        assert line["query_id"] == f"q{row}"
        assert line["positive_indices"] == made.lists[row]
        assert line["positive_ids"] == [f"d{positive}" for positive in made.lists[row]]
        assert line["negative_indices"] == made.negatives.indices[row, :count].tolist()
        assert line["negative_ids"] == made.negatives.ids[row, :count].tolist()
        assert line["negative_scores"] == made.negatives.scores[row, :count].tolist()
        assert set(line["negative_sources"]) <= {"mined", "random"}
        reason = Reason(made.negatives.reasons[row])
        assert line["reason"] == (None if reason == Reason.NONE else reason.name.lower())
    assert rows[-1]["reference_score"] is None
    assert [score for line in rows for score in line["positive_scores"]] == made.negatives.positive_scores.tolist()


def test_the_schema_says_where_it_comes_from(tmp_path: Path) -> None:
    io.write_negatives(problem().mined, tmp_path / "a.parquet")
    said = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"negmine"])
    assert said["metric"] == "cosine"
    assert said["options"]["absolute_margin"] == 0.1
    assert said["options"]["num_negatives"] == WIDTH
    assert said["n_documents"] == 9
    assert said["negmine"]


def test_negatives_without_their_pool_need_what_it_knew(tmp_path: Path) -> None:
    made = problem()
    made.negatives.save(tmp_path / "a.npz")
    loaded = HardNegatives.load(tmp_path / "a.npz")
    with pytest.raises(errors.NegmineValueError, match="`positives` must be given"):
        io.write_negatives(loaded, tmp_path / "a.parquet")
    positives = Positives.from_lists(made.lists)
    with pytest.raises(errors.NegmineValueError, match="`document_ids` must be given"):
        io.MinedRows.from_negatives(loaded, positives=positives)
    again = io.MinedRows.from_negatives(
        loaded, positives=positives, document_ids=made.documents.ids, query_ids=made.queries.ids
    )
    assert_same(next(again.batches()), next(made.mined.batches()))


def test_labels_that_come_late_are_those_of_positives_and_negatives() -> None:
    made = problem(labels=False)
    names = [f"late {row}" for row in range(made.negatives.report.n_documents)]
    rows = next(io.MinedRows.from_negatives(made.negatives, document_ids=names).batches())
    for lists in (rows.positives, rows.negatives):
        assert len(lists.indices) > 0
        assert lists.ids.tolist() == [names[row] for row in lists.indices]


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"negatives": [1]}, errors.NegmineTypeError, "`negatives` must be HardNegatives; got list"),
        ({"positives": Positives.from_lists([[0]])}, errors.NegmineValueError, "`positives` must be those"),
        ({"query_ids": ["a"]}, errors.NegmineValueError, "`query_ids` must label all queries, up to row 4"),
        ({"document_ids": ["a"]}, errors.NegmineValueError, "`document_ids` must have shape (9,)"),
    ],
)
def test_bad_sources(change: dict[str, Any], error: type, part: str) -> None:
    with pytest.raises(error) as caught:
        io.MinedRows.from_negatives(**({"negatives": problem().negatives} | change))
    assert part in str(caught.value)


def test_other_files_are_no_mined_negatives(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(errors.NegmineValueError, match="does not say that it is one"):
        io.read_negatives(tmp_path / "a.parquet")
    io.write_training_rows(problem().mined, tmp_path / "b.parquet", format="triplet")
    with pytest.raises(errors.NegmineValueError, match="does not say that it is one"):
        io.read_negatives(tmp_path / "b.parquet")
    with pytest.raises(errors.NegmineValueError, match=r"`path` must end in \.parquet"):
        io.write_negatives(problem().mined, tmp_path / "a.csv")
    with pytest.raises(errors.NegmineValueError, match="`path` must lie in a folder that exists"):
        io.write_negatives(problem().mined, tmp_path / "none" / "a.parquet")


def test_mined_negatives_that_lack_something_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    io.write_negatives(problem().mined, path)
    whole = pq.read_table(path)
    words = pa.array(["tired"] * len(whole))
    reason = whole.schema.get_field_index("reason")
    scores = whole.schema.get_field_index("negative_scores")
    ids = whole.schema.get_field_index("negative_ids")
    queries = whole.schema.get_field_index("query_index")
    short = pa.array([row[1:] for row in whole["negative_ids"].to_pylist()], whole.schema.field(ids).type)
    for changed, part in (
        (whole.drop_columns(["negative_scores"]), "has no 'negative_scores'"),
        (whole.append_column("reason", words), "has 2 'reason'"),
        (whole.set_column(reason, "reason", words), "has 'tired'"),
        (whole.set_column(scores, "negative_scores", whole["positive_scores"]), "list<element: float>"),
        (whole.set_column(ids, whole.schema.field(ids), short), "as long as those in 'negative_indices'"),
        (
            whole.set_column(queries, "query_index", pa.nulls(len(whole), pa.int64())),
            "no nulls in column 'query_index'",
        ),
        (whole.replace_schema_metadata({b"negmine": b"{"}), "does not say that it is one"),
        (whole.replace_schema_metadata({b"negmine": b"[1]"}), "does not say that it is one"),
    ):
        row_groups.write_tables(path, [changed])
        with pytest.raises(errors.NegmineValueError, match="`path` must ") as caught:
            list(io.read_negatives(path).batches())
        assert part in str(caught.value)
    first = json.loads(whole.schema.metadata[b"negmine"])
    del first["version"]
    row_groups.write_tables(path, [whole.replace_schema_metadata({b"negmine": json.dumps(first)})])
    with pytest.raises(errors.NegmineValueError, match="of version 3; got 'mined negatives' of version 1"):
        io.read_negatives(path)
    pq.write_table(whole, path)
    with pytest.raises(errors.NegmineValueError, match="has no checksums of its row groups"):
        io.read_negatives(path)


def test_an_error_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem()
    for name, write in (
        ("a.parquet", lambda path: io.write_negatives(made.mined, path)),
        ("a.jsonl", lambda path: io.write_training_rows(made.mined, path, format="triplet")),
    ):
        path = tmp_path / name
        write(path)
        before = path.read_bytes()
        first = next(made.mined.batches())

        def broken(first: io.Records = first) -> Any:
            yield first
            raise KeyboardInterrupt

        monkeypatch.setattr(io.MinedRows, "batches", lambda _: broken())
        with pytest.raises(KeyboardInterrupt):
            write(path)
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


# ---- training rows


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


TEXTS_AND_SUFFIXES = [
    (form, texts, suffix)
    for form in FORMATS
    for texts in (True, False)
    for suffix in (".parquet", ".jsonl")
    if form not in NESTED or (texts and suffix == ".jsonl")
    if form not in IDS_ONLY or not texts
]


@pytest.mark.parametrize(("form", "texts", "suffix"), TEXTS_AND_SUFFIXES)
@pytest.mark.parametrize("scores", [True, False])
@pytest.mark.parametrize("step", [2, 4096])
def test_training_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Any, suffix: str, step: int, *, scores: bool, texts: bool
) -> None:
    monkeypatch.setattr("negmine.mining.formats.STEP", step)
    for seed in range(5):
        made = problem(n_queries=6, seed=seed)
        path = tmp_path / f"a{seed}{suffix}"
        sides = {"queries": made.queries, "documents": made.documents} if texts else {}
        written = io.write_training_rows(made.mined, path, format=form, scores=scores, **sides)
        wanted = plain_rows(made, form, scores=scores, texts=texts)
        assert read_rows(path) == wanted
        assert written.n_rows == len(wanted)
        used = {line.get("anchor") or line.get("query") or line["query_id"] for line in wanted}
        assert written.n_dropped == 6 - len(used)


def test_training_rows_of_a_file_are_those_of_memory(tmp_path: Path) -> None:
    made = problem()
    io.write_negatives(made.mined, tmp_path / "mined.parquet")
    for source, name in ((made.mined, "a"), (tmp_path / "mined.parquet", "b"), (str(tmp_path / "mined.parquet"), "c")):
        io.write_training_rows(source, tmp_path / f"{name}.parquet", format="labeled-list", scores=True)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "c.parquet").read_bytes()


def test_each_positive_gets_its_own_negatives(tmp_path: Path) -> None:
    made = problem(reference="each", absolute_margin=0.3)
    io.write_training_rows(made.mined, tmp_path / "a.parquet", format="labeled-list")
    found = [(line["anchor"], line["positive"]) for line in read_rows(tmp_path / "a.parquet")]
    wanted = []
    for row in range(len(made.negatives)):
        positive, count = made.negatives.positive_indices[row], made.negatives.counts[row]
        if positive >= 0 and count:
            documents = [f"d{positive}", *made.negatives.ids[row, :count].tolist()]
            wanted.append((f"q{made.negatives.query_indices[row]}", documents))
    assert found == wanted


def test_texts_of_other_sets_are_refused(tmp_path: Path) -> None:
    made = problem()
    shuffled = io.Texts(made.documents.ids[::-1], made.documents.texts, None)
    short = made.documents.take(np.arange(3))
    for documents, part in (
        (shuffled, "`documents` must be the texts of what was mined"),
        (short, "a text for every row"),
    ):
        with pytest.raises(errors.NegmineValueError) as caught:
            io.write_training_rows(made.mined, tmp_path / "a.parquet", format="triplet", documents=documents)
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"format": "pairs"}, errors.NegmineValueError, "`format` must be one of 'triplet'"),
        ({"path": "a.csv"}, errors.NegmineValueError, "`path` must end in .parquet or .jsonl"),
        ({"format": "tevatron"}, errors.NegmineValueError, "`path` must end in .jsonl for 'tevatron'"),
        ({"format": "tevatron", "path": "a.jsonl"}, errors.NegmineValueError, "`queries` must hold texts"),
        (
            {"format": "ids", "queries": io.Texts.from_lists(["a"])},
            errors.NegmineValueError,
            "`queries` must be None for",
        ),
        ({"documents": ["a"]}, errors.NegmineTypeError, "`documents` must be Texts; got list"),
        ({"anchor_name": "negative"}, errors.NegmineValueError, "`anchor_name` must differ"),
        ({"format": "n-tuple", "positive_name": "negative_3"}, errors.NegmineValueError, "`positive_name` must differ"),
        ({"positive_name": "anchor"}, errors.NegmineValueError, "`positive_name` must differ from `anchor_name`"),
        ({"anchor_name": 3}, errors.NegmineTypeError, "`anchor_name` must be a string; got 3"),
    ],
)
def test_bad_options_of_training_rows(tmp_path: Path, change: dict[str, Any], error: type, part: str) -> None:
    options = {"format": "triplet", "path": "a.parquet"} | change
    with pytest.raises(error) as caught:
        io.write_training_rows(problem().mined, tmp_path / options.pop("path"), **options)
    assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_positive_outside_the_corpus_has_no_text(tmp_path: Path) -> None:
    corpus = np.eye(4, dtype=np.float32)
    positives = Positives.from_lists([[0], [-1]], positive_scores=[0.0, 0.5])
    negatives = HardNegativeMiner(2).mine(ExactIndex(corpus), corpus[:2], positives)
    io.write_negatives(negatives, tmp_path / "a.parquet")
    assert next(io.read_negatives(tmp_path / "a.parquet").batches()).positives.indices.tolist() == [0, -1]
    with pytest.raises(errors.NegmineValueError, match="the query of row 1 has one outside it"):
        io.write_training_rows(negatives, tmp_path / "b.parquet", format="triplet")


def test_texts_are_made_of_strings() -> None:
    with pytest.raises(errors.NegmineTypeError, match="`texts` must be a list of strings; got the string 'abc'"):
        io.Texts.from_lists("abc")
    with pytest.raises(errors.NegmineTypeError, match="`texts` must hold strings; got 3 at row 1"):
        io.Texts.from_lists(["a", 3])  # type: ignore[list-item]
    with pytest.raises(errors.NegmineValueError, match="`titles` must have length 1; got 2"):
        io.Texts.from_lists(["a"], titles=["a", "b"])
