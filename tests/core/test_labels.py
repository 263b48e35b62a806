"""Strings in Arrow's layout against lists: the same rows, numbers and order, whatever the strings are."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
from negmine._core import labels
from negmine._core.labels import PartialLabels, Strings
from negmine.errors import NegmineValueError

ANY = st.lists(st.one_of(st.text(max_size=4), st.sampled_from(["", "a", "a\0", "\0a", "é", "d1", "d10"])), max_size=20)


def strings(values: list[str]) -> Strings:
    return Strings.of(values, "labels")


@given(ANY, st.data())
def test_rows_slices_and_arrays_are_those_of_a_list(values: list[str], data: st.DataObject) -> None:
    made = strings(values)
    assert (list(made), made.tolist(), len(made), made.shape) == (values, values, len(values), (len(values),))
    assert np.asarray(made).tolist() == values
    assert pickle.loads(pickle.dumps(made)) == made == strings(values)
    cut = data.draw(st.slices(len(values)))
    assert made[cut].tolist() == values[cut]
    if values:
        rows = data.draw(st.lists(st.integers(-len(values), len(values) - 1)))
        assert made[np.array(rows, dtype=np.int64)].tolist() == [values[row] for row in rows]
        assert [made[row] for row in rows] == [values[row] for row in rows]
        keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
        assert made[keep].tolist() == [value for value, kept in zip(values, keep, strict=True) if kept]


@given(ANY, ANY)
def test_labels_are_found_numbered_and_joined_as_in_a_list(values: list[str], others: list[str]) -> None:
    known, wanted = strings(values), strings(others)
    assert labels.find_labels(wanted, known).tolist() == [
        values.index(other) if other in values else -1 for other in others
    ]
    names, codes = labels.codes_of(known)
    assert list(names) == sorted(set(values))
    assert codes.tolist() == [sorted(set(values)).index(value) for value in values]
    assert list(labels.concatenate(known, wanted)) == values + others
    n = min(len(values), len(others))
    different = [row for row in range(n) if values[row] != others[row]]
    assert labels.first_difference(known[:n], wanted[:n]) == (different[0] if different else None)


@given(ANY, st.integers(0, 5))
def test_arrow_and_files_give_the_same_strings(values: list[str], cut: int) -> None:
    arrow = pytest.importorskip("pyarrow")
    made = strings(values)
    assert labels.to_arrow(made).to_pylist() == values
    for kind in (arrow.string(), arrow.large_string(), arrow.string_view()):
        column = arrow.chunked_array([arrow.array(values, kind), arrow.array(values, kind).slice(cut)])
        assert Strings.from_arrow(column).tolist() == values + values[cut:]
    assert labels.from_arrays("x", labels.to_arrays("x", made)) == made  # type: ignore[arg-type]


@given(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8, unique=True), st.data())
def test_results_pad_and_keep_the_labels_that_occur(values: list[str], data: st.DataObject) -> None:
    n = len(values)
    rows = np.array(data.draw(st.lists(st.integers(-1, n - 1), min_size=4, max_size=4))).reshape(2, 2)
    expected = [[values[row] if row >= 0 else "" for row in two] for two in rows.tolist()]
    made = strings(values)
    present = np.unique(rows[rows >= 0])
    for known in (made, PartialLabels(present, labels.take_ids(made, present))):
        assert labels.take_labels(known, rows).tolist() == expected
    numbers = np.arange(n) * 10
    taken = labels.take_labels(PartialLabels(present, numbers[present]), rows)
    assert taken.tolist() == np.where(rows >= 0, 10 * rows, -1).tolist()


@pytest.mark.parametrize(
    ("offsets", "items", "part"),
    [
        ([0, 1, 3], "aé", "UTF-8"),
        ([0, 2], "é\0", "end at the number of bytes, 3"),
        ([1, 3], "aé", "start at 0"),
    ],
)
def test_corrupt_strings_of_a_file_are_refused(offsets: list[int], items: str, part: str) -> None:
    offsets = [0, 1, 2, 3] if part == "UTF-8" else offsets
    arrays = {"x_offsets": np.array(offsets), "x_items": np.frombuffer(items.encode(), dtype=np.uint8)}
    with pytest.raises(NegmineValueError, match=part):
        labels.from_arrays("x", arrays)
    for name in arrays:
        with pytest.raises(NegmineValueError, match="`x` must be integers, or offsets and items"):
            labels.from_arrays("x", {name: arrays[name]})


def test_labels_of_other_documents_are_refused() -> None:
    with pytest.raises(NegmineValueError, match="`indices` must be of documents with labels; got 3"):
        labels.take_labels(PartialLabels(np.array([1, 2]), np.array([10, 20])), np.array([[1, 3]]))
    with pytest.raises(NegmineValueError, match="`rows` must be in ascending order"):
        PartialLabels(np.array([2, 1]), np.array([10, 20]))


def test_results_share_one_copy_of_the_labels_and_make_arrays_once() -> None:
    corpus = np.random.default_rng(0).standard_normal((50, 4), dtype=np.float32)
    index = negmine.ExactIndex(corpus, ids=[f"d{row}" for row in range(50)])
    pool = negmine.HardNegativeMiner(2).candidates(index, corpus[:3], [[0], [1], [2]])
    found = index.search(corpus[:3], 2)
    for result in (found, pool, pool.select(2)):
        assert result.document_ids is index.document_ids
        assert result.ids is result.ids
        assert result.ids.dtype == object
        assert result.ids.tolist() == [[f"d{row}" for row in rows] for rows in result.indices.tolist()]


def test_a_file_of_negatives_holds_the_labels_that_occur(tmp_path: Any) -> None:
    corpus = np.random.default_rng(0).standard_normal((50, 4), dtype=np.float32)
    negatives = negmine.mine(corpus[:2], corpus, [0, 1], num_negatives=2, document_ids=[f"d{row}" for row in range(50)])
    negatives.save(tmp_path / "a.npz")
    loaded = negmine.HardNegatives.load(tmp_path / "a.npz")
    assert loaded.ids.tolist() == negatives.ids.tolist()
    assert isinstance(loaded.document_ids, PartialLabels)
    assert len(loaded.document_ids.ids) == len(np.unique(negatives.indices))
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()
