"""Lists, pandas Series and Arrow arrays in the place of NumPy arrays: they work, or the error says what to pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import Eligibility, Positives, SimHash
from negmine.batches import NgameSchedule, class_balanced_plan, cluster_plan, no_duplicate_plan, topic_plan
from negmine.behavior import BehaviorTable
from negmine.errors import NegmineTypeError

CORPUS = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
TEXTS = list("abcdefgh")
HASHER = SimHash(dim=4)


def containers(entries: list[Any]) -> dict[str, Any]:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    turned = list(range(len(entries)))[::-1]
    return {
        "tuple": tuple(entries),
        "array": np.array(entries),
        "objects": np.array(entries, dtype=object),
        "Series": pandas.Series(entries, index=turned),
        "Series of objects": pandas.Series(entries, index=turned, dtype=object),
        "Index": pandas.Index(entries),
        "Arrow": arrow.array(entries),
        "chunks": arrow.chunked_array([entries[:2], entries[2:]]),
    }


CALLS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "labels of documents": (lambda v: negmine.ExactIndex(CORPUS, ids=v).search(CORPUS[:2], 2).ids, TEXTS),
    "numbers of documents": (lambda v: negmine.ExactIndex(CORPUS, ids=v).search(CORPUS[:2], 2).ids, [*range(10, 18)]),
    "pairs": (lambda v: Positives.from_pairs(v, v, n_queries=8).items, [3, 1, 2]),
    "items": (lambda v: Positives.from_csr([0, 3], v).items, [1, 2, 3]),
    "labels of pairs": (lambda v: Positives.from_pairs(v, v, query_ids=TEXTS, document_ids=TEXTS).items, ["c", "a"]),
    "lists by label": (lambda v: Positives.from_dict({"a": v}, query_ids=v, document_ids=v).items, TEXTS),
    "keys": (lambda v: Eligibility.equal(v, [1, 2]).terms[0].keys, [1, 2, 1]),
    "classes": (lambda v: class_balanced_plan(v, batch_size=2, per_class=1).epoch(0), list("aabb")),
    "clusters": (lambda v: cluster_plan(v, batch_size=2).epoch(0), [0, 1, 0, 1]),
    "topics": (lambda v: topic_plan(v, batch_size=2).epoch(0), [0, 1, 0, 1]),
    "anchors": (lambda v: no_duplicate_plan(v, v, batch_size=2).epoch(0), TEXTS),
    "curriculum": (lambda v: NgameSchedule(curriculum=v).cluster_size(2), [1, 2, 3]),
    "mask": (lambda v: HASHER.signatures(CORPUS, mask=v), [True, False] * 4),
    "center": (lambda v: SimHash(dim=4, center=v).signatures(CORPUS), [0.5, 1.0, -1.0, 2.0]),
    "offsets": (lambda v: BehaviorTable.build(HASHER, CORPUS, offsets=v).counts, [0, 5, 8]),
    "users": (lambda v: BehaviorTable.build(HASHER, CORPUS).query(CORPUS, users=v, offsets=[0, 4, 8]), [0, 0]),
    "texts": (lambda v: negmine.near_duplicates(v, threshold=0.5).groups, ["a cat sat", "dogs", "a cat sat"]),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_container_is_read_as_the_list_of_its_entries(name: str) -> None:
    call, entries = CALLS[name]
    expected = call(entries)
    for kind, container in containers(entries).items():
        np.testing.assert_array_equal(call(container), expected, err_msg=kind)


EMBEDDINGS: dict[str, Callable[[Any], Any]] = {
    "corpus": lambda v: negmine.ExactIndex(v),
    "behaviors": lambda v: BehaviorTable.build(SimHash(dim=2), v),
    "x": lambda v: SimHash(dim=2).signatures(v),
}


@pytest.mark.parametrize("argument", EMBEDDINGS)
def test_rows_that_are_no_matrix_are_refused_with_the_way_to_one(argument: str) -> None:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    objects = np.empty(3, dtype=object)
    objects[:] = rows
    call = EMBEDDINGS[argument]
    for container, way, made in (
        (rows, "`numpy.asarray(...)` of it", np.asarray(rows)),
        (tuple(rows), "`numpy.asarray(...)` of it", np.asarray(rows)),
        (pandas.Series(rows), "`numpy.stack(...)` of it", np.stack(pandas.Series(rows))),
        (pandas.DataFrame(rows), "its `.to_numpy()`", pandas.DataFrame(rows).to_numpy()),
        (objects, "`numpy.stack(...)` of its rows", np.stack(objects)),
    ):
        with pytest.raises(NegmineTypeError) as caught:
            call(container)
        assert str(caught.value).startswith(f"`{argument}` must ")
        assert str(caught.value).endswith(f"Pass {way}.")
        call(made)
    with pytest.raises(NegmineTypeError, match=r"`pyarrow.list_\(value_type, width\)`"):
        call(arrow.array(rows))
    call(arrow.array(rows).cast(arrow.list_(arrow.float64(), 2)))


def test_texts_in_the_place_of_sets_are_refused_with_the_way_to_sets() -> None:
    texts = ["a cat sat", "dogs"]
    for container in (texts, *containers(texts).values()):
        with pytest.raises(
            NegmineTypeError, match=r"got .* at row 0. Split texts into tokens, or leave it to `near_dup"
        ):
            negmine.MinHash(16).signatures(container)
    sets = [text.split() for text in texts]
    expected = negmine.MinHash(16).signatures(sets)
    arrow = pytest.importorskip("pyarrow")
    np.testing.assert_array_equal(negmine.MinHash(16).signatures(arrow.array(sets)), expected)
