"""Positives: every way in ends in the same sorted, duplicate-free lists."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import Eligibility, ExactIndex, HardNegativeMiner, Positives
from negmine.errors import NegmineTypeError, NegmineValueError


def lists(positives: Positives) -> list[list[int]]:
    return [positives[i].tolist() for i in range(len(positives))]


WANTED = [[0, 2], [], [1]]

WAYS: dict[str, Positives] = {
    "csr": Positives.from_csr([0, 2, 2, 3], [0, 2, 1]),
    "csr int32": Positives.from_csr(np.array([0, 2, 2, 3], "i4"), np.array([0, 2, 1], ">i2")),
    "csr strided": Positives.from_csr(np.array([0, 9, 2, 9, 2, 9, 3])[::2], np.array([1, 2, 0])[::-1]),
    "lists": Positives.from_lists([[2, 0, 2], [], [1]]),
    "tuples and arrays": Positives.from_lists(((0, 2), np.array([], int), np.array([1]))),
    "sets": Positives.from_lists(iter([{0, 2}, set(), {1}])),
    "pairs": Positives.from_pairs([2, 0, 0, 0], [1, 2, 0, 2], n_queries=3),
    "labels": Positives.from_pairs(
        ["z", "x", "x"], ["b", "c", "a"], query_ids=["x", "y", "z"], document_ids=["a", "b", "c"]
    ),
    "label lists": Positives.from_lists([["c", "a"], [], ["b"]], document_ids=["a", "b", "c"]),
    "number labels": Positives.from_lists([[30, 10], [], [20]], document_ids=[10, 20, 30]),
    "mixed labels": Positives.from_pairs([0, 0, 2], ["c", "a", "b"], n_queries=3, document_ids=["a", "b", "c"]),
    "dict": Positives.from_dict({7: ["b"], 5: ["a", "c"]}, query_ids=[5, 6, 7], document_ids=["a", "b", "c"]),
    "qrels": Positives.from_qrels(
        {5: {"c": 1, "a": 2, "b": 0}, 7: {"b": 3, "a": 0}}, query_ids=[5, 6, 7], document_ids=["a", "b", "c"]
    ),
    "object labels": Positives.from_lists(
        [np.array(["c", "a"], object), [], ["b"]], document_ids=np.array(["a", "b", "c"], object)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_gives_the_same_lists(way: str) -> None:
    positives = WAYS[way]
    assert lists(positives) == WANTED
    assert (positives.offsets.dtype, positives.items.dtype) == (np.int64, np.int64)
    assert positives.offsets.flags.c_contiguous
    assert positives.items.flags.c_contiguous
    assert positives.queries().tolist() == [0, 0, 2]


def test_repeats_are_dropped_and_counted() -> None:
    assert Positives.from_lists([[2, 0, 2, 2], [1, 1]]).duplicates == 3
    assert Positives.from_pairs([0, 0], [1, 1], n_queries=1).duplicates == 1
    assert WAYS["csr"].duplicates == 0


def test_scipy_matrices_give_their_stored_entries() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(([1, 1, 0, 1], ([0, 0, 1, 2], [2, 0, 1, 1])), shape=(3, 3))
    for form in (matrix, matrix.tocsc(), matrix.tocoo()):
        assert lists(Positives.from_scipy(form)) == WANTED
    with pytest.raises(NegmineTypeError, match="from_scipy"):
        negmine.mine(np.ones((3, 2)), np.ones((3, 2)), matrix)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok"])
def test_only_values_above_zero_of_a_sparse_matrix_are_positives(form: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[1.0, -1.0, 0.5], [-1.0, -2.0, 0.0], [0.0, 3.0, -0.5]])
    for dtype, half in ((np.float64, [2]), (np.float32, [2]), (np.int8, [])):
        matrix = sparse.coo_array(dense.astype(dtype)).asformat(form)
        assert lists(Positives.from_scipy(matrix)) == [[0, *half], [], [1]]
        assert lists(Positives.from_scipy(matrix, min_value=1)) == [[0], [], [1]]
        assert lists(Positives.from_scipy(matrix, min_value=2.5)) == [[], [], [1]]
    matrix = sparse.coo_array(dense > 0).asformat(form)
    assert lists(Positives.from_scipy(matrix)) == [[0, 2], [], [1]]


def test_entries_that_are_stored_twice_count_as_their_sum() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    rows, columns = [0, 0, 1, 1, 1, 0], [1, 1, 2, 2, 2, 0]
    for form in ("coo", "csr", "csc"):
        matrix = sparse.coo_array((np.array([1, -1, 1, 1, -1, 1], np.int8), (rows, columns)), shape=(2, 3))
        assert lists(Positives.from_scipy(matrix.asformat(form))) == [[0], [2]]
    many = sparse.coo_array((np.ones(200, np.int8), (np.zeros(200, int), np.zeros(200, int))), shape=(1, 1))
    assert lists(Positives.from_scipy(many)) == [[0]]
    assert (many.nnz, many.dtype) == (200, np.int8)


def test_what_is_no_matrix_of_numbers_is_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(NegmineValueError, match=r"`matrix` must not hold NaN; got it in row 1, column 2"):
        Positives.from_scipy(sparse.coo_array(([1.0, math.nan], ([0, 1], [0, 2])), shape=(2, 3)))
    with pytest.raises(
        NegmineValueError, match=r"`matrix` must have shape \(n_queries, n_documents\); got shape \(3,\)"
    ):
        Positives.from_scipy(sparse.coo_array(np.array([1, 0, 1])))
    with pytest.raises(NegmineTypeError, match="`matrix` must hold real numbers; got dtype complex128"):
        Positives.from_scipy(sparse.csr_array(np.array([[1j]])))
    for bad in (0, -1.0):
        with pytest.raises(NegmineValueError, match=r"`min_value` must be greater than 0\.0"):
            Positives.from_scipy(sparse.csr_array(np.eye(2)), min_value=bad)


def test_a_matrix_of_0_and_1_is_no_list_of_rows() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    for form in (matrix, matrix.astype(np.uint8)):
        with pytest.raises(NegmineValueError, match=r"`positives` must hold rows .* 0 and 1.*from_scipy"):
            negmine.mine(np.ones((3, 2)), np.ones((3, 2)), form)
        with pytest.raises(NegmineValueError, match=r"`lists` must hold rows .* 0 and 1.*from_scipy"):
            Positives.from_lists(form)
    assert lists(Positives.from_scipy(sparse.csr_array(matrix))) == [[2], [0], [1]]
    assert lists(Positives.read(matrix[:, :2], "positives")) == [[0], [0, 1], [0, 1]]
    assert len(Positives.read(matrix[:0], "positives")) == 0


def test_qrels_keep_grades_and_the_lower_ones_apart() -> None:
    qrels = {"q": {"a": 3, "b": 0, "c": 1, "d": 2}}
    positives = Positives.from_qrels(qrels, query_ids=["q"], document_ids=list("abcd"), min_grade=2)
    assert lists(positives) == [[0, 3]]
    assert positives.grades is not None
    assert positives.grades.tolist() == [3, 2]
    lower = positives.lower_grades()
    assert lists(lower) == [[1, 2]]
    assert lower.grades is not None
    assert lower.grades.tolist() == [0, 1]
    corpus = np.array([[1.0], [0.9], [0.8], [0.7]])
    pool = negmine.HardNegativeMiner(4).candidates(
        negmine.ExactIndex(corpus, metric="ip"), np.ones((1, 1)), positives, exclude=lower
    )
    assert pool.counts.tolist() == [0]


def test_grades_follow_their_entries() -> None:
    positives = Positives.from_pairs([0, 0, 0], [5, 3, 4], n_queries=1, grades=[50, 30, 40])
    assert positives.grades is not None
    assert positives.grades.tolist() == [30, 40, 50]


def test_scores_follow_their_entries_and_those_of_rows_are_not_used_by_an_index() -> None:
    positives = Positives.from_lists([[4, -1, 2, -1], [-1]], positive_scores=[9.0, 0.5, math.nan, 0.25, 0.75])
    assert positives.items.tolist() == [-1, -1, 2, 4, -1]
    assert positives.scores is not None
    np.testing.assert_array_equal(positives.scores, [0.5, 0.25, math.nan, 9.0, 0.75])
    queries, corpus = np.eye(2, 3, dtype=np.float32), np.eye(5, 3, dtype=np.float32)
    pool = HardNegativeMiner(1).candidates(ExactIndex(corpus), queries, positives)
    np.testing.assert_array_equal(pool.positive_scores, [0.5, 0.25, 0.0, 0.0, 0.75])
    with pytest.raises(NegmineValueError, match="`positive_scores` must be finite, or NaN for rows; got infinity"):
        Positives.from_lists([[4]], positive_scores=[math.inf])


def test_vectors_of_those_outside_follow_them() -> None:
    vectors = np.array([[1.0], [2.0], [3.0]])
    positives = Positives.from_pairs([1, 0, 0, 1], [-1, 3, -1, -1], n_queries=2, positive_embeddings=vectors)
    assert positives.items.tolist() == [-1, 3, -1, -1]
    assert positives.embeddings is not None
    assert positives.embeddings.ravel().tolist() == [2.0, 1.0, 3.0]


def test_an_outside_positive_among_labels_is_minus_one() -> None:
    positives = Positives.from_lists([[20, -1]], document_ids=[10, 20], positive_scores=[math.nan, 0.5])
    assert positives.items.tolist() == [-1, 1]


def test_slices_are_what_the_queries_have() -> None:
    positives = Positives.from_lists(
        [[4, -1], [], [-1, 2], [1]], positive_scores=[9, 0.5, 0.25, 9, 9], grades=[1, 2, 3, 4, 5]
    )
    part = positives.slice(2, 4)
    assert lists(part) == [[-1, 2], [1]]
    assert part.scores is not None
    assert part.grades is not None
    assert part.scores[0] == 0.25
    assert part.grades.tolist() == [3, 4, 5]
    vectors = Positives.from_lists([[-1], [3, -1], [-1]], positive_embeddings=np.array([[1.0], [2.0], [3.0]]))
    cut = vectors.slice(1, 3).embeddings
    assert cut is not None
    assert cut.ravel().tolist() == [2.0, 3.0]


def test_indexing_is_pythons() -> None:
    positives = WAYS["lists"]
    assert positives[-1].tolist() == [1]
    assert len(list(positives)) == 3  # type: ignore[call-overload]
    for index in (3, -4, np.int64(3)):
        with pytest.raises(IndexError, match=rf"`query` must be in \[-3, 3\); got {index}"):
            positives[index]
    for other in ("a", 1.0, None, [0, 1]):
        with pytest.raises(NegmineTypeError, match="`query` must be an integer or a slice; got"):
            positives[other]  # type: ignore[call-overload]


def test_a_slice_of_positives_is_that_of_their_queries() -> None:
    positives = Positives.from_lists([[4, -1], [], [-1, 2], [1]], positive_scores=[9, 0.5, 0.25, 9, 9])
    whole = lists(positives)
    for cut in (slice(None, 3), slice(1, None), slice(-2, None), slice(None), slice(3, 1), slice(2, 99)):
        part = positives[cut]
        assert isinstance(part, Positives)
        assert lists(part) == whole[cut]
    assert positives[2:].scores is not None
    with pytest.raises(NegmineValueError, match=r"`query` must be a slice of step 1; got slice\(None, None, 2\)"):
        positives[::2]
    with pytest.raises(NegmineTypeError, match="`query` must be a slice of integers"):
        positives["a":]  # type: ignore[misc]


def test_lists_may_be_arrow_arrays() -> None:
    pa = pytest.importorskip("pyarrow")
    labels = pa.array(["a", "b", "c"])
    for entries in (pa.array(["c", "a"]), pa.chunked_array([["c"], ["a"]])):
        assert lists(Positives.from_dict({"q": entries}, query_ids=["q"], document_ids=labels)) == [[0, 2]]
        assert lists(Positives.from_lists([entries], document_ids=labels)) == [[0, 2]]
    assert lists(Positives.from_lists(pa.array([[2, 0], [], [1]]))) == WANTED


def test_nobody_has_positives() -> None:
    for empty in (Positives.from_lists([]), Positives.from_csr([0], []), Positives.from_pairs([], [], n_queries=0)):
        assert len(empty) == 0
    assert lists(Positives.from_lists([[], []])) == [[], []]
    assert lists(Positives.from_dict({}, query_ids=["a", "b"], document_ids=["x"])) == [[], []]
    assert lists(Positives.from_qrels({}, query_ids=["a"], document_ids=[])) == [[]]


def test_lists_of_mining_calls_are_read_alike() -> None:
    corpus = np.eye(3)
    known: list[Any] = [
        [[0], [1], [2]],
        np.array([[0], [1], [2]]),
        Positives.from_lists([[0], [1], [2]]),
        ({0}, {1}, {2}),
    ]
    pools = [negmine.mine(corpus, corpus, lists).indices.tolist() for lists in known]
    assert all(pool == pools[0] for pool in pools)


# ---- eligibility


def test_equal_is_a_range_of_one_value() -> None:
    eligible = Eligibility.equal([1, 2, 1], [1, 2])
    (term,) = eligible.terms
    assert term.lowest.tolist() == term.highest.tolist() == [1, 2]
    assert term.keys.dtype == np.int64
    part = Eligibility(np.arange(3), np.array([0, 1]), np.array([1, 2])).slice(1, 2)
    (term,) = part.terms
    assert (term.keys.tolist(), term.lowest.tolist(), term.highest.tolist()) == ([0, 1, 2], [1], [2])


def test_keys_reach_to_the_ends_of_int64() -> None:
    low, high = -(2**63), 2**63 - 1
    eligible = Eligibility(np.array([low, 0, high]), np.array([low, high, 1]), np.array([high, high, 0]))
    found = negmine.ExactIndex(np.ones((3, 1))).search(np.ones((3, 1)), 3, eligible=eligible)
    assert found.indices.tolist() == [[0, 1, 2], [2, -1, -1], [-1, -1, -1]]
