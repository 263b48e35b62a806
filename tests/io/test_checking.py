"""The check of training rows counts what brute force counts, and names the line of every malformed value."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import errors, io
from negmine.io import training_tables
from oracle_checks import Line, faults
from training import problem

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

DOCUMENT = st.sampled_from("abcdef")
ROW = st.tuples(st.sampled_from("qrs"), st.lists(DOCUMENT, min_size=1, max_size=3), st.lists(DOCUMENT, max_size=4))
ROWS = st.lists(ROW, min_size=1, max_size=12)
#: Names of formats, and whether their labels may be integers.
FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list", "ids", "id-list", "flagembedding", "tevatron")


def lines_of(form: str, rows: Any, *, integers: bool, scores: bool) -> tuple[list[dict[str, Any]], list[Line]]:
    """Rows of a format, and what they mean."""
    made, meant = [], []

    def value(text: str) -> Any:
        return ord(text) if integers else text

    def passages(texts: list[str]) -> list[dict[str, str]]:
        return [{"docid": f"id of {text}", "title": "", "text": text} for text in texts]

    for query, positives, negatives in rows:
        one = value(query), value(positives[0])
        found = [value(text) for text in negatives]
        filled = [*found, *[value("z")] * 4][:3]
        match form:
            case "triplet":
                for negative in found:
                    line = {"anchor": one[0], "positive": one[1], "negative": negative}
                    made.append(line | ({"scores": [1.0, 0.5]} if scores else {}))
                    meant.append(Line(one[0], [one[1]], [negative], one, count_positives=False))
            case "n-tuple" | "ids":
                names = (
                    ("anchor", "positive", "negative")
                    if form == "n-tuple"
                    else ("query_id", "positive_id", "negative_id")
                )
                line = {names[0]: one[0], names[1]: one[1]}
                made.append(line | {f"{names[2]}_{i + 1}": negative for i, negative in enumerate(filled)})
                meant.append(Line(one[0], [one[1]], filled))
            case "labeled-pair":
                for label, documents in ((1, [one[1]]), (0, found)):
                    for document in documents:
                        made.append({"q": one[0], "d": document, **({"score": 0.5} if scores else {"label": label})})
                        unknown = scores or not label
                        meant.append(Line(one[0], [] if unknown else [document], [document] if unknown else [], one[0]))
            case "labeled-list" | "id-list":
                names = ("anchor", "positive") if form == "labeled-list" else ("query_id", "document_ids")
                last = {"scores": [1.0, *[0] * len(found)]} if scores else {"labels": [1, *[0] * len(found)]}
                made.append({names[0]: one[0], names[1]: [one[1], *found], **last})
                meant.append(Line(one[0], [one[1]], found))
            case "flagembedding":
                every = [value(text) for text in positives]
                last = {"pos_scores": [1.0] * len(every), "neg_scores": [0] * len(found)} if scores else {}
                made.append({"query": one[0], "pos": every, "neg": found, **last})
                meant.append(Line(one[0], every, found))
            case "tevatron":
                made.append(
                    {
                        "query_id": query,
                        "query": query,
                        "positive_passages": passages(positives),
                        "negative_passages": passages(negatives),
                    }
                )
                meant.append(Line(query, positives, negatives))
    return made, meant


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(text)
    return path


@given(
    st.sampled_from(FORMATS),
    ROWS,
    st.booleans(),
    st.booleans(),
    st.sampled_from([".jsonl", ".jsonl.gz", ".parquet"]),
    st.sampled_from([1, 60, 1 << 25]),
)
def test_faults_are_those_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    rows: Any,
    integers: bool,
    scores: bool,
    suffix: str,
    characters: int,
) -> None:
    made, meant = lines_of(form, rows, integers=integers and form != "tevatron", scores=scores)
    path = tmp_path_factory.mktemp("rows") / f"a{suffix}"
    if suffix == ".parquet" and any(not value for row in made for value in row.values() if isinstance(value, list)):
        suffix = ".jsonl"  # Arrow gives a column of empty lists no type
        path = path.with_suffix(suffix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_tables, "CHARACTERS", characters)
        patch.setattr(training_tables, "ROWS", max(1, characters // 20))
        found = io.check_training_rows(write(path, made)) if made else None
    if found is None:
        return
    first = 0 if suffix == ".parquet" else 1
    assert found.format == form
    assert found.n_rows == len(made)
    assert found.n_positives == sum(len(line.positives) for line in meant)
    assert found.n_negatives == sum(len(line.negatives) for line in meant)
    for name, (n, row) in faults(meant).items():
        assert getattr(found, f"n_{name}") == n, name
        assert found.first.get(name) == (None if row is None else row + first), name
    assert found.n_empty == 0
    assert found.is_sound == (not (found.n_repeated_positives or found.n_repeated_negatives or found.n_own_positives))
    assert "\n" not in repr(found)
    assert repr(found).startswith(f"TrainingRowsCheck({form}, ")


@pytest.mark.parametrize("labels", [True, False])
def test_every_file_that_we_write_is_sound(tmp_path: Path, *, labels: bool) -> None:
    made = problem(n_queries=6, labels=labels)
    sides = {"queries": made.queries, "documents": made.documents}
    for form in FORMATS:
        for scores in (True, False):
            for suffix in (".jsonl",) if form in ("flagembedding", "tevatron") else (".jsonl", ".parquet"):
                path = tmp_path / f"{form}{scores}{suffix}"
                texts = {} if form in ("ids", "id-list") else sides
                written = io.write_training_rows(made.mined, path, format=form, scores=scores, **texts)
                found = io.check_training_rows(path)
                assert (found.format, found.n_rows, found.n_own_positives) == (form, written.n_rows, 0)
                assert found.is_sound or form == "labeled-pair"


def test_mined_negatives_are_checked_from_every_file(tmp_path: Path) -> None:
    made = problem(n_queries=6)
    io.write_negatives(made.mined, tmp_path / "a.parquet")
    made.negatives.save(tmp_path / "a.npz", pool=True)
    (tmp_path / "job").mkdir()
    io.write_negatives(made.mined, tmp_path / "job" / "result.parquet")
    n_positives = sum(map(len, made.lists))
    for path in (tmp_path / "a.parquet", tmp_path / "a.npz", tmp_path / "a.pool.npz", tmp_path / "job"):
        found = io.check_training_rows(path)
        assert found.format == "mined negatives"
        assert (found.n_rows, found.n_positives) == (len(made.negatives), n_positives)
        assert found.n_negatives >= made.negatives.counts.sum()
        assert found.is_sound
    (tmp_path / "a.pool.npz").unlink()
    assert io.check_training_rows(tmp_path / "a.npz").n_positives == 0


def test_empty_texts_are_counted(tmp_path: Path) -> None:
    rows = [{"query": text, "pos": ["a"], "neg": [other, "c"]} for text, other in ((" ", "b"), ("q", ""), ("q2", "d"))]
    found = io.check_training_rows(write(tmp_path / "a.jsonl", rows))
    assert (found.n_empty, found.first["empty"], found.is_sound) == (2, 1, False)
    assert found.shares["empty"] == 2 / 3


def test_shares_are_of_what_they_count(tmp_path: Path) -> None:
    rows = [{"query": "q", "pos": ["a", "a"], "neg": ["a", "b", "b", "c"]}, {"query": "r", "pos": ["b"], "neg": ["d"]}]
    found = io.check_training_rows(write(tmp_path / "a.jsonl", rows))
    assert found.shares == {
        "repeated_positives": 1 / 3,
        "repeated_negatives": 1 / 5,
        "own_positives": 1 / 5,
        "other_positives": 2 / 5,
        "empty": 0.0,
    }
    assert found.first == {"repeated_positives": 1, "repeated_negatives": 1, "own_positives": 1, "other_positives": 1}


# ---- malformed files

GOOD: dict[str, dict[str, Any]] = {
    "triplet": {"anchor": "q", "positive": "a", "negative": "b"},
    "n-tuple": {"anchor": "q", "positive": "a", "negative_1": "b", "negative_2": "c"},
    "labeled-pair": {"anchor": "q", "positive": "a", "label": 1},
    "labeled-list": {"anchor": "q", "positive": ["a", "b"], "labels": [1, 0]},
    "ids": {"query_id": "q", "positive_id": "a", "negative_id_1": "b"},
    "id-list": {"query_id": "q", "document_ids": ["a", "b"], "scores": [0.5, 0.25]},
    "flagembedding": {"query": "q", "pos": ["a"], "neg": ["b"], "pos_scores": [0.5], "neg_scores": [0.25]},
    "tevatron": {
        "query_id": "q",
        "query": "q",
        "positive_passages": [{"docid": "1", "title": "", "text": "a"}],
        "negative_passages": [{"docid": "2", "title": "", "text": "b"}],
    },
}


def broken_values(value: Any) -> list[Any]:
    """Values of other types than a good one."""
    match value:
        case str():
            return [None, 3, 1.5, True, [value], {"text": value}]
        case int():
            return [None, "1", 0.5, [1]]
        case [str(), *_]:
            return [None, value[0], [3], [None], [[value[0]]], {"0": value[0]}]
        case [int() | float(), *_]:
            return [None, value[0], ["0.5", "a"], [None] * len(value), [*value, value[0]]]
        case [dict(), *_]:
            return [None, value[0], "text", [value[0]["text"]], [{"docid": "1"}], [{"docid": "1", "text": 5}]]
    raise AssertionError(value)


@pytest.mark.parametrize("form", GOOD)
def test_a_wrong_value_is_refused_with_its_line(tmp_path: Path, form: str) -> None:
    good = {name: value for name, value in GOOD[form].items() if form != "tevatron" or name != "query_id"}
    n = 0
    for name, value in good.items():
        for bad in [*broken_values(value), "missing"]:
            line = {**good, name: bad}
            if bad == "missing" and not isinstance(value, str):
                del line[name]
            elif bad == "missing":
                line.pop(name)
            path = write(tmp_path / "a.jsonl", [good, good, line, good])
            with pytest.raises(errors.NegmineError, match="`path` must ") as caught:
                io.check_training_rows(path)
            assert f"line 3 of {path}" in str(caught.value)
            assert repr(name) in str(caught.value)
            n += 1
    assert n >= 10


@pytest.mark.parametrize("form", GOOD)
@pytest.mark.parametrize("line", ["{", "[1]", "3", '"text"', '{"query": }', "nothing", "{} {}"])
def test_a_line_that_is_no_object_is_refused_with_its_number(tmp_path: Path, form: str, line: str) -> None:
    path = tmp_path / "a.jsonl"
    for number in (1, 2, 3):
        lines = [json.dumps(GOOD[form])] * 3
        lines[number - 1] = line
        path.write_text("\n\n".join(lines))  # blank lines count
        with pytest.raises(errors.NegmineValueError, match="must hold one JSON object per line") as caught:
            io.check_training_rows(path)
        assert f"line {2 * number - 1} of {path}" in str(caught.value)


@pytest.mark.parametrize("form", GOOD)
def test_a_missing_column_is_named(tmp_path: Path, form: str) -> None:
    # Without its second negative or its labels, a row is of another format; scores are optional.
    needed = [name for name in GOOD[form] if name not in ("negative_2", "label", "labels", "scores")]
    needed = [name for name in needed if not name.endswith("_scores") and (form, name) != ("tevatron", "query_id")]
    for suffix in (".jsonl", ".parquet"):
        for name in needed:
            line = {key: value for key, value in GOOD[form].items() if key != name}
            path = write(tmp_path / f"a{suffix}", [line, line])
            with pytest.raises(errors.NegmineValueError, match="`path` must h") as caught:
                io.check_training_rows(path)
            assert str(path) in str(caught.value)


@pytest.mark.parametrize("form", GOOD)
def test_a_column_of_another_type_is_named(tmp_path: Path, form: str) -> None:
    for name, value in GOOD[form].items():
        if form == "tevatron" and name == "query_id":
            continue
        for kind in (pa.float32(), pa.bool_(), pa.date32(), pa.list_(pa.date32()), pa.struct([("a", pa.int64())])):
            if kind == pa.float32() and name == "score":
                continue
            table = pa.Table.from_pylist([GOOD[form]] * 2)
            place = table.column_names.index(name)
            pq.write_table(table.set_column(place, name, pa.nulls(2, kind)), tmp_path / "a.parquet")
            with pytest.raises(errors.NegmineTypeError, match=f"in every row of {name!r}"):
                io.check_training_rows(tmp_path / "a.parquet")
        assert value


def test_pos_as_a_string_is_refused(tmp_path: Path) -> None:
    # FlagEmbedding would split it into its characters.
    good = {"query": "q", "pos": ["a"], "neg": ["b"]}
    path = write(tmp_path / "a.jsonl", [good] * 4 + [{**good, "pos": "a cat"}])
    with pytest.raises(errors.NegmineTypeError) as caught:
        io.check_training_rows(path)
    assert str(caught.value) == (
        f"`path` must hold a list of strings or of integers under 'pos'; line 5 of {path} has the string 'a cat'."
    )


def test_nulls_in_tables_are_refused(tmp_path: Path) -> None:
    table = pa.table({"anchor": ["q", None], "positive": ["a", "b"], "negative": ["c", "d"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(errors.NegmineValueError, match="must hold no nulls"):
        io.check_training_rows(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"", "`path` must end in .parquet, .jsonl, .jsonl.gz or .npz"),
        ("a.parquet", b"text", "must be a Parquet file that can be read"),
        ("a.npz", b"text", "`path` must be"),
        ("a.jsonl.gz", b"text", "`path` must be a readable file"),
        ("a.jsonl", b"\xff\n", "`path` must be UTF-8; line 1"),
        ("a.jsonl", b'{"a": 1}\n', "the keys in line 1 of"),
        ("a.jsonl", b'{"anchor": "q", "positive": "a", "negative": "\\ud800"}\n', "`path` must hold one JSON object"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes, part: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.NegmineValueError) as caught:
        io.check_training_rows(tmp_path / name)
    assert part in str(caught.value)


def test_a_damaged_file_of_ours_is_refused(tmp_path: Path) -> None:
    made = problem()
    path = tmp_path / "a.parquet"
    io.write_training_rows(made.mined, path, format="triplet")
    table = pq.read_table(path)
    pq.write_table(table, path)
    with pytest.raises(errors.NegmineValueError, match="has no checksums of its row groups"):
        io.check_training_rows(path)


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n")
    found = io.check_training_rows(tmp_path / "a.jsonl")
    assert (found.format, found.n_rows, found.is_sound) == ("no rows", 0, True)
