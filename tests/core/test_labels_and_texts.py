"""Labels and texts are read once, in order, from what has one; strings that no file can hold are refused by place."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import ExactIndex, HardNegativeMiner, MinHash, Positives, errors, io
from negmine.batches import class_balanced_plan, no_duplicate_plan
from negmine.data import Qrels, Run
from negmine.mining import HardNegatives

CORPUS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
LABELS = ["a", "b", "c", "d"]


def judgments() -> Qrels:
    return Qrels(np.array(["a", "b"]), np.array(["c", "d"]), np.array([1, 1]))


def run() -> Run:
    return Run(np.array(["a", "b"]), np.array(["c", "d"]), np.array([1, 1]), np.array([0.5, 0.5]), "x")


def negatives() -> HardNegatives:
    return negmine.mine(CORPUS, CORPUS, [[0], [1], [2], [3]], num_negatives=2)


def rows_of(mined: io.MinedRows) -> list[Any]:
    records = next(mined.batches())
    return [records.query_ids.tolist(), records.negatives.ids.tolist()]


def jobs(folder: Path, **labels: Any) -> list[Any]:
    result = negmine.mine_to(folder, CORPUS, CORPUS, [[0], [1], [2], [3]], num_negatives=2, **labels)
    return rows_of(result.rows())


def lists(positives: Positives) -> list[list[int]]:
    return [positives[row].tolist() for row in range(len(positives))]


#: Every reader of labels of rows: what it makes of four labels, and the argument that errors name.
READERS: dict[str, tuple[Callable[[Any, Path], Any], str]] = {
    "ExactIndex": (lambda ids, _: ExactIndex(CORPUS, ids=ids).document_ids.tolist(), "ids"),  # type: ignore[union-attr]
    "mine": (lambda ids, _: negmine.mine(CORPUS[:1], CORPUS, [[0]], document_ids=ids).ids.tolist(), "document_ids"),
    "exclude_self": (
        lambda ids, _: (
            HardNegativeMiner(2)
            .mine(ExactIndex(CORPUS, ids=LABELS), CORPUS, [[]] * 4, exclude_self=True, query_ids=ids)
            .indices.tolist()
        ),
        "query_ids",
    ),
    "job, queries": (lambda ids, folder: jobs(folder, query_ids=ids), "query_ids"),
    "job, documents": (lambda ids, folder: jobs(folder, document_ids=ids), "document_ids"),
    "mined rows, queries": (
        lambda ids, _: rows_of(io.MinedRows.from_negatives(negatives(), query_ids=ids)),
        "query_ids",
    ),
    "mined rows, documents": (
        lambda ids, _: rows_of(io.MinedRows.from_negatives(negatives(), document_ids=ids)),
        "document_ids",
    ),
    "texts": (lambda ids, _: io.Texts.from_lists(LABELS, ids=ids).ids.tolist(), "ids"),
    "pairs, queries": (
        lambda ids, _: lists(Positives.from_pairs(["a", "d"], [1, 0], query_ids=ids)),
        "query_ids",
    ),
    "pairs, documents": (
        lambda ids, _: lists(Positives.from_pairs([0, 1], ["a", "d"], n_queries=2, document_ids=ids)),
        "document_ids",
    ),
    "pairs, values": (
        lambda ids, _: lists(Positives.from_pairs(ids, [0, 1, 2, 3], query_ids=LABELS)),
        "queries",
    ),
    "lists": (lambda ids, _: lists(Positives.from_lists([["d"], ["a"]], document_ids=ids)), "document_ids"),
    "dict, queries": (
        lambda ids, _: lists(Positives.from_dict({"d": ["a"]}, query_ids=ids, document_ids=LABELS)),
        "query_ids",
    ),
    "dict, documents": (
        lambda ids, _: lists(Positives.from_dict({"d": ["a"]}, query_ids=LABELS, document_ids=ids)),
        "document_ids",
    ),
    "grades": (
        lambda ids, _: lists(Positives.from_qrels({"d": {"a": 1}}, query_ids=ids, document_ids=LABELS)),
        "query_ids",
    ),
    "judgments, queries": (
        lambda ids, _: lists(judgments().positives(query_ids=ids, document_ids=LABELS)),
        "query_ids",
    ),
    "judgments, documents": (
        lambda ids, _: lists(judgments().positives(query_ids=LABELS, document_ids=ids, unknown="drop")),
        "document_ids",
    ),
    "judged": (lambda ids, _: judgments().judged(ids).tolist(), "query_ids"),
    "run, queries": (lambda ids, _: lists(run().lists(query_ids=ids, document_ids=LABELS)), "query_ids"),
    "run, documents": (lambda ids, _: lists(run().lists(query_ids=LABELS, document_ids=ids)), "document_ids"),
    "anchors": (
        lambda ids, _: no_duplicate_plan(ids, [1, 2, 3, 4], batch_size=2).digest,
        "anchors",
    ),
    "plan, positives": (lambda ids, _: no_duplicate_plan([1, 2, 3, 4], ids, batch_size=2).digest, "positives"),
    "classes": (
        lambda ids, _: class_balanced_plan(ids, batch_size=2, per_class=1).digest,
        "labels",
    ),
}


def ordered(kind: str) -> Iterable[str]:
    """Make one of the iterables with an order that are not sequences."""
    match kind:
        case "keys":
            return dict.fromkeys(LABELS).keys()
        case "ordered keys":
            return OrderedDict.fromkeys(LABELS).keys()
        case "values":
            return dict(enumerate(LABELS)).values()
        case "generator":
            return (label for label in LABELS)
        case "map":
            return map(str, LABELS)
        case "deque":
            return deque(LABELS)
    raise AssertionError(kind)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["keys", "ordered keys", "values", "generator", "map", "deque"])
def test_iterables_with_an_order_are_read_once(tmp_path: Path, reader: str, kind: str) -> None:
    read, _ = READERS[reader]
    assert read(ordered(kind), tmp_path / "a") == read(LABELS, tmp_path / "b")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (set(LABELS), "set"),
        (frozenset(LABELS), "frozenset"),
        (dict.fromkeys(LABELS), "dict"),
        (OrderedDict.fromkeys(LABELS), "OrderedDict"),
        ("abcd", "'abcd'"),
    ],
)
def test_what_has_no_order_is_refused_by_type(tmp_path: Path, reader: str, value: Any, name: str) -> None:
    read, argument = READERS[reader]
    with pytest.raises(errors.NegmineTypeError, match=f"`{argument}` must be a list or an array; got {name}"):
        read(value, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_lists_of_rows_have_an_order() -> None:
    for lists_of in ({(0,), (1,)}, frozenset({(0,)})):
        for read in (Positives.from_lists, lambda value: negmine.mine(CORPUS[:2], CORPUS, value)):
            with pytest.raises(errors.NegmineTypeError, match=r"must be a list or an array; got (frozen)?set"):
                read(lists_of)
    assert lists(Positives.from_lists(iter([{2, 1}, (3,)]))) == [[1, 2], [3]]
    with pytest.raises(errors.NegmineTypeError, match=r"got dict for query 'a'.*`Positives.from_qrels` takes grades"):
        Positives.from_dict({"a": {"b": 0}}, query_ids=LABELS, document_ids=LABELS)


def test_texts_and_sets_of_tokens_have_an_order() -> None:
    for value in ({"a", "b"}, {"a": 1}):
        name = type(value).__name__
        for argument, read in (
            ("texts", negmine.near_duplicates),
            ("texts", io.Texts.from_lists),
            ("titles", lambda value: io.Texts.from_lists(["a", "b"], titles=value)),
        ):
            with pytest.raises(errors.NegmineTypeError, match=f"`{argument}` must be a list or an array; got {name}"):
                read(value)  # type: ignore[operator]
    with pytest.raises(errors.NegmineTypeError, match="`sets` must be a list or an array; got dict"):
        MinHash(4).signatures({"a": [1]})
    assert io.Texts.from_lists(iter(["a", "b"]), titles=iter(["x", "y"])).joined().to_pylist() == ["x a", "y b"]


# ---- strings

#: What files of Latin-1 names and cut emoji give.
LONE = "caf\udce9"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", [list, np.array, lambda labels: np.array(labels, dtype=object)])
def test_labels_with_a_lone_surrogate_are_refused_by_row(tmp_path: Path, reader: str, form: Callable[..., Any]) -> None:
    read, argument = READERS[reader]
    with pytest.raises(errors.NegmineValueError, match=f"`{argument}` must hold Unicode text") as caught:
        read(form(["a", "b", LONE, "d"]), tmp_path / "a")
    assert "at row 2, with a lone surrogate" in str(caught.value)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("read", "argument"),
    [
        (lambda: Positives.from_lists([["a"], ["b"], [LONE]], document_ids=LABELS), "lists"),
        (
            lambda: Positives.from_dict(
                {"a": ["a"], "b": ["b", "c"], "c": ["a", LONE]}, query_ids=LABELS, document_ids=LABELS
            ),
            "mapping",
        ),
        (
            lambda: Positives.from_qrels(
                {"a": {"a": 1}, "b": {"b": 1}, "c": {LONE: 1}}, query_ids=LABELS, document_ids=LABELS
            ),
            "qrels",
        ),
        (
            lambda: no_duplicate_plan(LABELS, [["a", "b"], ["c", "d"], ["a", LONE], ["a", "b"]], batch_size=2),
            "positives",
        ),
        (lambda: negmine.near_duplicates(["a", "b", LONE]), "texts"),
        (lambda: negmine.near_duplicates(sets=[["a"], ["a", "b"], ["a", LONE]]), "sets"),
        (lambda: MinHash(4).signatures([["a", "b"], [], ["a", LONE]]), "sets"),
        (lambda: io.Texts.from_lists(["a", "b", LONE]), "texts"),
        (lambda: io.Texts.from_lists(["a", "b", "c"], titles=["a", "b", LONE]), "titles"),
    ],
)
def test_texts_and_entries_with_a_lone_surrogate_are_refused_by_row(read: Callable[[], Any], argument: str) -> None:
    with pytest.raises(errors.NegmineValueError, match=f"`{argument}` must hold Unicode text") as caught:
        read()
    assert "at row 2, with a lone surrogate" in str(caught.value)


@pytest.mark.parametrize("bad", [0, 1, 37, 99])
def test_a_surrogate_is_found_in_every_place(bad: int) -> None:
    labels = [f"{row}\u00e9\U0001f600" for row in range(100)]
    corpus = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    for array in (np.array(labels), np.array(labels).astype(">U8"), np.array([*labels, *labels])[::2]):
        unique = array if len(set(array.tolist())) == 100 else np.array(labels)
        assert len(ExactIndex(corpus, ids=unique)) == 100
        wrong = np.array([*unique[:bad].tolist(), f"{LONE[-1]}x", *unique[bad + 1 :].tolist()]).astype(unique.dtype)
        with pytest.raises(errors.NegmineValueError, match=f"`ids` must hold Unicode text.* at row {bad},"):
            ExactIndex(corpus, ids=wrong)


def test_payloads_with_a_lone_surrogate_are_refused_by_row() -> None:
    pytest.importorskip("torch")
    from negmine.torch import NegativesDataset

    texts = ["a", "b", LONE, "d"]
    nested = np.array([["a", "b"], ["c", "d"], ["e", LONE], ["f", "g"]])
    for name in ("queries", "documents"):
        for wrong in (texts, tuple(texts), np.array(texts), np.array(texts, dtype=object), nested):
            columns: dict[str, Any] = {"queries": LABELS, "documents": LABELS} | {name: wrong}
            with pytest.raises(errors.NegmineValueError, match=f"`{name}` must hold Unicode text.* at row 2,"):
                NegativesDataset(negatives=negatives(), **columns)
