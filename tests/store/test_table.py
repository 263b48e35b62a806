"""Tables of negatives: what is read, what is refused, and readers beside a writer."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import negmine
import refreshed
from negmine.errors import NegmineOSError, NegmineTypeError, NegmineValueError
from negmine.torch import NegativesTable
from refreshed import marked, mined

NEGATIVES = mined()
FORKING = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
COLUMNS = ("query_indices", "positive_indices", "indices", "scores", "counts")


@pytest.fixture
def table(tmp_path: Path) -> NegativesTable:
    return NegativesTable.create(tmp_path / "table", NEGATIVES)


def file_of(table: NegativesTable) -> Path:
    (path,) = table.folder.iterdir()
    return path


@given(data=st.data(), n_queries=st.integers(0, 12), reference=st.sampled_from(["min", "each"]), n=st.integers(1, 5))
def test_rows_come_back_as_they_were_mined(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n_queries: int, reference: str, n: int
) -> None:
    negatives = mined(n_queries, reference=reference, num_negatives=n)
    table = NegativesTable.create(tmp_path_factory.mktemp("tables") / "table", negatives)
    assert (len(table), table.n_documents, table.generation) == (len(negatives), refreshed.N_DOCUMENTS, 0)
    indices = data.draw(st.lists(st.integers(0, len(negatives) - 1), max_size=20)) if len(negatives) else []
    batch = table.read(indices)
    for name in COLUMNS:
        expected = getattr(negatives, name)
        assert getattr(batch, name).dtype == expected.dtype
        np.testing.assert_array_equal(getattr(batch, name), expected[indices])
        np.testing.assert_array_equal(getattr(table.current(), name), expected)


def test_every_reader_sees_the_newest_generation_though_the_clock_stands_still(table: NegativesTable) -> None:
    often, seldom = NegativesTable(table.folder), NegativesTable(table.folder)
    first = often.current()
    for generation in range(1, 40):
        assert table.publish(marked(NEGATIVES, generation)) == generation
        os.utime(file_of(table), ns=(0, 0))
        assert table.generation == often.generation == generation
        assert refreshed.is_of(often.read(range(10)), generation)
        if generation % 3 == 0:
            assert seldom.read([0]).generation == generation
    np.testing.assert_array_equal(first.indices, NEGATIVES.indices)
    assert not first.indices.flags.writeable
    assert [path.name for path in table.folder.iterdir()] == ["negatives.table"]


def test_the_number_of_negatives_may_change(table: NegativesTable) -> None:
    other = pickle.loads(pickle.dumps(table))
    table.publish(mined(num_negatives=2))
    assert other.read([0, 3]).indices.shape == (2, 2)


def test_a_table_pickles_as_a_path(table: NegativesTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = NegativesTable("table")
    text = pickle.dumps(relative)
    assert len(text) < 600
    table.publish(marked(NEGATIVES, 1))
    monkeypatch.chdir("/")
    again = pickle.loads(text)
    assert (again.digest, again.generation, len(again)) == (table.digest, 1, len(NEGATIVES))


@FORKING
def test_readers_beside_a_writer_never_see_two_generations_in_a_batch(tmp_path: Path) -> None:
    folder, last = tmp_path / "table", 300
    table = NegativesTable.create(folder, marked(NEGATIVES, 0))
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    readers = [context.Process(target=refreshed.read_until, args=(folder, last, there)) for _, there in pipes]
    for reader in readers:
        reader.start()
    for _ in range(last):
        table.publish(marked(NEGATIVES, table.generation + 1))
    try:
        answers = [here.recv() if here.poll(90) else "nothing" for here, _ in pipes]
    finally:
        for reader in readers:
            reader.kill()
            reader.join()
    assert all(isinstance(answer, int) for answer in answers), answers


@FORKING
def test_writers_take_turns(table: NegativesTable) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=refreshed.publish_many, args=(table.folder, 25)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(90)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert table.generation == 50


# ---- parts, steps and older generations


@given(data=st.data(), reference=st.sampled_from(["min", "each"]), keep=st.integers(0, 3))
@settings(max_examples=30)
def test_published_parts_replace_their_rows_and_older_generations_stay(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, reference: Any, keep: int
) -> None:
    negatives = mined(12, reference=reference)
    folder = tmp_path_factory.mktemp("tables") / "table"
    table = NegativesTable.create(folder, negatives, step=0, keep_generations=keep)
    other = pickle.loads(pickle.dumps(table))
    rows = {name: getattr(negatives, name).copy() for name in COLUMNS} | {"mined_at_step": np.zeros(len(negatives))}
    history = [rows]
    for generation in range(1, data.draw(st.integers(1, 5)) + 1):
        whole = data.draw(st.booleans())
        places = data.draw(st.lists(st.integers(0, len(negatives) - 1), unique=True))
        chosen = np.arange(len(negatives)) if whole else np.array(places, dtype=np.int64)
        part = marked(negatives[chosen], generation)
        steps: Any = data.draw(st.sampled_from([-1, generation, generation + np.arange(len(chosen))]))
        assert table.publish(part, result_rows=None if whole else chosen, step=steps) == generation
        rows = {name: values.copy() for name, values in rows.items()}
        for name in ("indices", "scores", "counts"):
            rows[name][chosen] = getattr(part, name)
        rows["mined_at_step"][chosen] = steps
        history.append(rows)
        assert table.current().epoch == generation
    newest = len(history) - 1
    for reader in (table, other):
        assert reader.generations == tuple(range(max(newest - keep, 0), newest + 1))
        assert reader.keep_generations == keep
        for generation in reader.generations:
            at = reader.at(generation)
            assert at.generation == generation
            for name, values in history[generation].items():
                np.testing.assert_array_equal(getattr(at, name), values)
            assert at.read([3]).mined_at_step.tolist() == [at.mined_at_step[3]]
            changed = slow_changes(history[newest]["indices"], history[generation]["indices"])
            assert reader.current().changes_since(at).tolist() == changed
    assert len(list(folder.iterdir())) == len(table.generations)


def slow_changes(after: np.ndarray, before: np.ndarray) -> list[int]:
    def absent(rows: list[int], others: list[int]) -> int:
        return sum(row not in others for row in rows if row >= 0)

    return [max(absent(*pair), absent(*pair[::-1])) for pair in zip(after.tolist(), before.tolist(), strict=True)]


def test_steps_are_unknown_by_default(table: NegativesTable) -> None:
    assert set(table.current().mined_at_step) == {-1}
    table.publish(NEGATIVES, step=2**63 - 1)
    assert set(table.read([1, 2]).mined_at_step) == {2**63 - 1}
    table.publish(NEGATIVES)
    assert set(table.current().mined_at_step) == {-1}


def test_a_generation_that_is_not_kept_is_refused_with_those_that_are(tmp_path: Path) -> None:
    table = NegativesTable.create(tmp_path / "table", marked(NEGATIVES, 0), keep_generations=2)
    for generation in range(1, 6):
        table.publish(marked(NEGATIVES, generation))
    held = table.at(3)
    for number in (0, 2, 6):
        with pytest.raises(NegmineValueError, match=rf"`generation` must be one that .* keeps, 3, 4, 5; got {number}"):
            table.at(number)
    for wrong, error in ((-1, NegmineValueError), (0.5, NegmineTypeError), ("3", NegmineTypeError)):
        with pytest.raises(error, match="`generation` must be"):
            table.at(wrong)  # type: ignore[arg-type]
    table.publish(marked(NEGATIVES, 6))
    assert refreshed.is_of(held, 3)
    (table.folder / "negatives-4.table").write_bytes((table.folder / "negatives-5.table").read_bytes())
    with pytest.raises(NegmineValueError, match=r"`folder` must hold generation 4 in .*negatives-4.table; got 5"):
        table.at(4)
    (table.folder / "negatives-5.table").write_bytes(b"negtable")
    with pytest.raises(NegmineValueError, match=r"negatives-5\.table"):
        table.at(5)


def test_generations_of_other_rows_are_not_compared(table: NegativesTable) -> None:
    with pytest.raises(NegmineValueError, match="`before` must have the 60 result rows of these; got other `query_ind"):
        table.current().changes_since(table.read([1, 0]))


def test_a_file_system_without_links_keeps_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = NegativesTable.create(tmp_path / "table", marked(NEGATIVES, 0), keep_generations=1)

    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(NegmineOSError, match=r"not permitted.*negatives-0.table"):
        table.publish(marked(NEGATIVES, 1))
    assert (table.generations, refreshed.is_of(table.current(), 0)) == ((0,), True)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"result_rows": [0, 60]}, IndexError, r"`result_rows` must lie in \[0, 60\)"),
        ({"result_rows": [0.5, 1]}, NegmineTypeError, "`result_rows` must be a list of row numbers"),
        ({"result_rows": [1, 1]}, NegmineValueError, "`result_rows` must be all different; got 1 twice"),
        ({"result_rows": [0, 1, 2]}, NegmineValueError, "must be for the 3 result rows .*; got 2"),
        ({"result_rows": [0, 2]}, NegmineValueError, "`query_indices` of the table; got 1 at result row 1, .* has 2"),
        ({}, NegmineValueError, "must be for the 60 result rows .*; got 2"),
        ({"result_rows": [0, 1], "step": -2}, NegmineValueError, "`step` must be at least -1; got -2"),
        ({"result_rows": [0, 1], "step": [3]}, NegmineValueError, r"`step` must have shape \(2,\)"),
        ({"result_rows": [0, 1], "step": [3, -2]}, NegmineValueError, "`step` must be at least -1; got -2"),
        ({"result_rows": [0, 1], "step": 0.5}, NegmineTypeError, "`step` must be an integer; got 0.5"),
        ({"result_rows": [0, 1], "step": [0.5, 1.0]}, NegmineTypeError, "`step` must hold integers"),
        ({"result_rows": [0, 1], "width": 3}, NegmineValueError, "must have the 4 negatives per row .*; got 3"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    table: NegativesTable, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    part = mined(num_negatives=options.pop("width", 4))[:2]
    with pytest.raises(error, match=words):
        table.publish(part, **options)
    assert table.generation == 0


@pytest.mark.parametrize(
    "options", [{"keep_generations": -1}, {"keep_generations": 0.5}, {"step": -2}, {"step": [1, 2]}, {"step": "a"}]
)
def test_create_checks_its_numbers_before_it_makes_a_folder(options: dict[str, Any], tmp_path: Path) -> None:
    (name,) = options
    with pytest.raises((NegmineValueError, NegmineTypeError), match=f"`{name}` must"):
        NegativesTable.create(tmp_path / "table", NEGATIVES, **options)
    assert not (tmp_path / "table").exists()


# ---- refused


def other_documents(negatives: negmine.HardNegatives) -> negmine.HardNegatives:
    return replace(negatives, report=replace(negatives.report, n_documents=98))


def other_queries(negatives: negmine.HardNegatives) -> negmine.HardNegatives:
    return replace(negatives, query_indices=negatives.query_indices[::-1].copy())


@pytest.mark.parametrize(
    ("negatives", "words"),
    [
        (mined(59), ["negatives", "60 result rows", "got 59"]),
        (mined(reference="each"), ["negatives", "60 result rows", "got 120"]),
        (other_documents(NEGATIVES), ["negatives", "97 documents", "98"]),
        (other_queries(NEGATIVES), ["negatives", "query_indices", "got 59 at result row 0", "has 0"]),
        (NEGATIVES.pool, ["negatives", "HardNegatives", "CandidatePool"]),
    ],
)
def test_negatives_of_another_data_set_are_not_published(
    table: NegativesTable, negatives: Any, words: list[str]
) -> None:
    with pytest.raises((NegmineValueError, NegmineTypeError)) as caught:
        table.publish(negatives)
    assert all(word in str(caught.value) for word in words)
    assert table.generation == 0


def test_the_table_of_another_data_set_is_refused_by_whoever_knew_the_first(table: NegativesTable) -> None:
    pickled = pickle.dumps(table)
    shutil.rmtree(table.folder)
    with pytest.raises(NegmineValueError, match="from which it is gone"):
        table.read([0])
    NegativesTable.create(table.folder, mined(30))
    for read in (lambda: table.read([0]), lambda: pickle.loads(pickled), lambda: table.publish(NEGATIVES)):
        with pytest.raises(NegmineValueError, match=f"data set {table.digest[:12]}; .* now holds one of"):
            read()


def damage(change: Callable[[bytearray], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage(lambda content: content.pop()), "must hold a whole table"),
        (damage(lambda content: content.extend(b"\0")), "must hold a whole table"),
        (damage(lambda content: content.__delitem__(slice(100, None))), "corrupt: checksum mismatch"),
        (damage(lambda content: content.__delitem__(slice(0, None))), "is none"),
        (damage(lambda content: content.__setitem__(40, content[40] ^ 1)), "corrupt: checksum mismatch"),
        (damage(lambda content: content.__setitem__(13, 255)), "corrupt: checksum mismatch"),
        (damage(lambda content: content.__setitem__(-70, content[-70] ^ 1)), "corrupt: checksum mismatch"),
        (damage(lambda content: content.__setitem__(8, 9)), "version 3; .* of version 9"),
        (damage(lambda content: content.__setitem__(0, 0)), "is none"),
        (lambda path: path.unlink(), "`NegativesTable.create` makes one"),
    ],
)
def test_damaged_tables_are_refused(table: NegativesTable, harm: Callable[[Path], None], words: str) -> None:
    path = file_of(table)
    harm(path)
    with pytest.raises(NegmineValueError, match=words) as caught:
        NegativesTable(table.folder)
    assert str(table.folder) in str(caught.value)


def test_create_takes_a_folder_of_its_own(table: NegativesTable, tmp_path: Path) -> None:
    with pytest.raises(NegmineValueError, match="must not hold a table yet"):
        NegativesTable.create(table.folder, NEGATIVES)
    (tmp_path / "note").touch()
    with pytest.raises(NegmineValueError, match=r"must be new or empty; .* holds 'note'"):
        NegativesTable.create(tmp_path, NEGATIVES)
    with pytest.raises(NegmineValueError, match="must be a folder; got the file"):
        NegativesTable.create(tmp_path / "note", NEGATIVES)
    with pytest.raises(NegmineTypeError, match="`folder` must be a path; got int"):
        NegativesTable.create(3, NEGATIVES)  # type: ignore[arg-type]
    with pytest.raises(NegmineTypeError, match="`negatives` must be HardNegatives; got list"):
        NegativesTable.create(tmp_path / "new", [])  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("indices", [[60], [-1], [0, 1000], np.array([2**63], dtype=np.uint64)])
def test_rows_outside_the_table_are_refused(table: NegativesTable, indices: Any) -> None:
    with pytest.raises(IndexError, match=r"must lie in \[0, 60\)"):
        table.read(indices)


@pytest.mark.parametrize("indices", [[0.5], [True], ["a"], 3, [[1]]])
def test_indices_that_are_no_integers_are_refused(table: NegativesTable, indices: Any) -> None:
    with pytest.raises(NegmineTypeError, match="`indices` must be a list of row numbers"):
        table.read(indices)


def test_a_folder_that_cannot_be_written_keeps_its_table(
    table: NegativesTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        table.publish(marked(NEGATIVES, 1))
    assert table.generation == 0
    assert [path.name for path in table.folder.iterdir()] == ["negatives.table"]


@pytest.mark.parametrize("place", ["file/under", "x" * 300])
def test_a_folder_that_cannot_be_made_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NegmineValueError, match=r"`folder` must be where a table can be made; got .*Errno"):
        NegativesTable.create(tmp_path / place, NEGATIVES)


def test_a_folder_in_the_place_of_the_file_is_named(table: NegativesTable) -> None:
    file_of(table).unlink()
    (table.folder / "negatives.table").mkdir()
    with pytest.raises(NegmineValueError, match=r"`folder` must hold a table that can be read; got .*Errno"):
        NegativesTable(table.folder)
