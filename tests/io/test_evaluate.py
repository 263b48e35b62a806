"""Mined negatives are evaluated against judgments: known positives, false negatives, and hardness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine import ExactIndex, HardNegativeMiner, Positives, errors, io
from negmine.mining.records import Lists, Records

pytest.importorskip("pyarrow")


def qrels(pairs: list[tuple[Any, Any, int]]) -> io.Qrels:
    queries, documents, grades = (list(column) for column in zip(*pairs, strict=True))
    return io.Qrels(np.array(queries), np.array(documents), np.array(grades, dtype=np.int64))


def mined(positives: list[list[int]], negatives: list[list[int]], *, labels: bool = True) -> io.MinedRows:
    """Rows as somebody else might have mined them: a negative may be a positive."""

    def lists(rows: list[list[int]], dtype: type) -> Lists:
        flat = np.array([row for of_query in rows for row in of_query], dtype=np.int64)
        ids: Any = np.array([f"d{row}" for row in flat], dtype=np.str_) if labels else flat
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return Lists(offsets, flat, ids, (1.0 / (1 + flat)).astype(dtype))

    n = len(positives)
    queries = np.arange(n, dtype=np.int64)
    records = Records(
        query_indices=queries,
        query_ids=np.array([f"q{row}" for row in queries], dtype=np.str_) if labels else queries,
        reference_scores=np.array([1.0 if of_query else np.nan for of_query in positives]),
        reasons=np.zeros(n, dtype=np.uint8),
        positives=lists(positives, np.float64),
        negatives=lists(negatives, np.float32),
        sources=np.ones(sum(map(len, negatives)), dtype=np.uint8),
    )
    return io.MinedRows(n, {"width": 5}, lambda: iter([records]))


def test_known_positives_and_false_negatives_are_counted_apart() -> None:
    judged = qrels([("q0", "d1", 1), ("q0", "d2", 1), ("q0", "d3", 0), ("q1", "d4", 1), ("q9", "d9", 1)])
    found = io.evaluate_negatives(mined([[1], [4], []], [[1, 2, 3], [5], [1]]), judged)
    assert (found.n_rows, found.n_judged_rows, found.n_negatives) == (3, 2, 5)
    assert (found.n_known, found.n_false_negatives, found.n_rows_hit) == (1, 1, 1)
    assert (found.n_judged_negatives, found.n_unjudged_rows) == (4, 1)
    assert found.n_without_judgment == 1
    assert found.false_negative_rate == found.known_rate == 1 / 4
    scores = np.array([1 / 2, 1 / 3, 1 / 4, 1 / 6]).astype(np.float32)
    assert found.hardness == pytest.approx(scores.mean())
    assert found.false_negative_hardness == pytest.approx(scores[:2].mean())
    assert found.gap == pytest.approx(1 - scores.mean())


def test_grades_decide_who_is_relevant() -> None:
    judged = qrels([("q0", "d1", 2), ("q0", "d2", 1)])
    rows = mined([[1]], [[2, 3]])
    assert [io.evaluate_negatives(rows, judged, min_grade=grade).n_false_negatives for grade in (1, 2)] == [1, 0]
    with pytest.raises(errors.NegmineValueError, match="`qrels` must judge queries that were mined"):
        io.evaluate_negatives(rows, judged, min_grade=3)


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("strings", [True, False])
def test_labels_are_read_as_the_rows_have_them(*, labels: bool, strings: bool) -> None:
    if labels:
        pairs: list[tuple[Any, Any, int]] = [("q0", "d2", 1)]
    else:
        pairs = [("0", "2", 1)] if strings else [(0, 2, 1)]
    assert io.evaluate_negatives(mined([[1]], [[2, 3]], labels=labels), qrels(pairs)).n_false_negatives == 1


def test_no_negatives_have_no_hardness() -> None:
    found = io.evaluate_negatives(mined([[1]], [[]]), qrels([("q0", "d1", 1)]))
    assert (found.hardness, found.false_negative_hardness, found.gap) == (None, None, None)
    assert (found.false_negative_rate, found.known_rate) == (None, None)


def test_judgments_of_another_corpus_are_refused() -> None:
    rows = mined([[1], [4]], [[2, 3], [5]])
    with pytest.raises(errors.NegmineValueError, match="`qrels` must judge documents that were mined") as caught:
        io.evaluate_negatives(rows, qrels([("q0", "x1", 1), ("q1", "x4", 1), ("q1", "x5", 0)]))
    assert "such as 'd2'" in str(caught.value)
    # A document of any grade, even of another query, is one of this corpus.
    for known in (("q9", "d5", 0), ("q0", "d1", 1)):
        found = io.evaluate_negatives(rows, qrels([("q0", "x1", 1), known]))
        assert (found.n_false_negatives, found.n_judged_rows, found.n_unjudged_rows) == (0, 1, 1)
        assert found.n_without_judgment == 2


@given(
    st.lists(st.lists(st.integers(0, 8), max_size=3, unique=True), min_size=1, max_size=5),
    st.lists(st.lists(st.integers(0, 8), max_size=4, unique=True), min_size=5, max_size=5),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 2)), max_size=20),
)
def test_counts_against_a_plain_loop(
    positives: list[list[int]], negatives: list[list[int]], pairs: list[tuple[int, int, int]]
) -> None:
    relevant = {(query, document) for query, document, grade in pairs if grade >= 1}
    judged = qrels([(f"q{query}", f"d{document}", grade) for query, document, grade in pairs] or [("q0", "d0", 0)])
    known = unseen = rows = 0
    for query, own in enumerate(positives):
        if not any((query, document) in relevant for document in range(10)):
            continue
        of_row = [row in own for row in negatives[query]]
        other = [row not in own and (query, row) in relevant for row in negatives[query]]
        known, unseen, rows = known + sum(of_row), unseen + sum(other), rows + any(of_row + other)
    mentioned = {document for _, document, _ in pairs}
    documents = {row for rows_of in (positives, negatives[: len(positives)]) for own in rows_of for row in own}
    if not any(query < len(positives) for query, _ in relevant) or (documents and not documents & mentioned):
        with pytest.raises(errors.NegmineValueError, match="`qrels` must judge"):
            io.evaluate_negatives(mined(positives, negatives[: len(positives)]), judged)
        return
    found = io.evaluate_negatives(mined(positives, negatives[: len(positives)]), judged)
    assert (found.n_known, found.n_false_negatives, found.n_rows_hit) == (known, unseen, rows)


def test_what_a_miner_returns_is_evaluated_directly(tmp_path: Path) -> None:
    corpus = np.eye(4, dtype=np.float32)
    negatives = HardNegativeMiner(3).mine(ExactIndex(corpus), corpus[:1], Positives.from_lists([[0]]))
    judged = qrels([("0", "0", 1), ("0", "3", 1)])
    io.write_negatives(negatives, tmp_path / "a.parquet")
    for source in (negatives, tmp_path / "a.parquet", str(tmp_path / "a.parquet")):
        found = io.evaluate_negatives(source, judged, rows_are_labels=True)
        assert (found.n_known, found.n_false_negatives) == (0, 1)


# ---- labels that are not known


CORPUS = np.eye(6, dtype=np.float32)[::-1].copy()
JUDGED = qrels([("5", "0", 1), ("5", "3", 1), ("4", "1", 1)])


@pytest.mark.parametrize("sides", [(), ("queries",), ("documents",)])
def test_row_numbers_are_not_compared_with_labels(sides: tuple[str, ...], tmp_path: Path) -> None:
    # Queries "5" and "4" have rows 0 and 1: by row numbers, the judgments of "5" and "4" would be those of no query.
    labels = {"queries": {"query_ids": ["5", "4"]}, "documents": {"ids": [str(row) for row in range(6)]}}
    index = ExactIndex(CORPUS, **labels["documents"] if "documents" in sides else {})
    rules = labels["queries"] if "queries" in sides else {}
    negatives = HardNegativeMiner(5).mine(index, CORPUS[:2], [[0], [1]], **rules)
    io.write_negatives(negatives, tmp_path / "a.parquet")
    missing = [side for side in ("queries", "documents") if side not in sides]
    assert io.read_negatives(tmp_path / "a.parquet").provenance["unlabeled"] == missing
    for source in (negatives, tmp_path / "a.parquet"):
        with pytest.raises(errors.NegmineValueError) as caught:
            io.evaluate_negatives(source, JUDGED)
        assert f"got row numbers of {' and '.join(missing)}." in str(caught.value)
    asserted = qrels([("1", "3", 1)]) if "queries" in missing else JUDGED
    found = io.evaluate_negatives(tmp_path / "a.parquet", asserted, rows_are_labels=True)
    assert found.n_false_negatives == 1


def test_labels_travel_into_the_evaluation(tmp_path: Path) -> None:
    index = ExactIndex(CORPUS, ids=[str(row) for row in range(6)])
    negatives = HardNegativeMiner(5).mine(index, CORPUS[:2], [[0], [1]], query_ids=[5, 4])
    io.write_negatives(negatives, tmp_path / "a.parquet")
    for source in (negatives, tmp_path / "a.parquet"):
        found = io.evaluate_negatives(source, JUDGED)
        assert (found.n_false_negatives, found.n_judged_rows) == (1, 2)
        with pytest.raises(errors.NegmineValueError, match="`rows_are_labels` must be False for negatives with labels"):
            io.evaluate_negatives(source, JUDGED, rows_are_labels=True)
    with pytest.raises(errors.NegmineTypeError, match="`rows_are_labels` must be True or False"):
        io.evaluate_negatives(negatives, JUDGED, rows_are_labels="yes")  # type: ignore[arg-type]
