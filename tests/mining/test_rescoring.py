"""Pools that a teacher scores again, or whose guide it becomes."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compare
import negmine
import oracle_pools
from compare import How, Problem, same
from negmine import CandidatePool, HardNegativeMiner
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Reason
from pools import as_rows, assert_adds_up, assert_equal_pools, assert_rows, known_scores, line_pool, lists, one, teacher
from strategies import problems

REFERENCES = st.sampled_from([None, "min", "max", "mean"])


def labeled(pool: CandidatePool) -> list[str]:
    return [f"q{row}" for row in range(len(pool.rules.positives.offsets) - 1)]


# ---- against the oracle


@given(problems(), REFERENCES, st.integers(1, 9))
def test_scores_are_replaced(problem: Problem, reference: Any, batch_size: int) -> None:
    pool = compare.actual_pool(problem, How())
    found = pool.rescore(teacher, reference=reference, batch_size=batch_size)
    rows = [oracle_pools.ranked(row, pool.query_offset, one) for row in as_rows(pool)]
    assert_rows(found, rows, pool.indices.shape[1])
    given_scores = known_scores(pool, pool.positive_scores)
    positives = oracle_pools.positive_scores(lists(pool), given_scores, pool.query_offset, one)
    flat = [np.nan if score is None else score for scores in positives for score in scores]
    same(found.positive_scores, flat, np.float64, "positive_scores")
    kind = reference or ("each" if pool.each else "min")
    references = [oracle_pools.reference(row, positives, kind) for row in rows]
    same(
        found.reference_scores,
        [np.nan if ref is None else ref for ref in references],
        np.float64,
        "reference_scores",
    )
    assert (found.floor_scores == -np.inf).all()
    unscanned = np.isnan(pool.cap_scores)
    same(found.cap_scores, np.where(unscanned, np.nan, np.inf), np.float64, "cap_scores")
    assert found.report == pool.report
    assert_adds_up(found)


@given(problems())
def test_a_guide_changes_nothing_else(problem: Problem) -> None:
    pool = compare.actual_pool(problem, How())
    guided = pool.rescore(teacher, as_guide=True)
    assert_equal_pools(replace(guided, guide_scores=None, guide_positive_scores=None), pool)
    rows = [
        replace(row, guides=tuple(one(row.query + pool.query_offset, d) for d in row.documents))
        for row in as_rows(pool)
    ]
    assert_rows(guided, rows, pool.indices.shape[1])
    # Another scorer then ranks the pool again: guide scores stay with their documents.
    ranked = guided.rescore(lambda q, d: -(d % 3))
    assert_rows(
        ranked,
        [oracle_pools.ranked(row, pool.query_offset, lambda q, d: -(d % 3)) for row in as_rows(guided)],
        pool.indices.shape[1],
    )


@given(problems(), st.integers(1, 9))
def test_the_scorer_sees_every_pair_once_in_order(problem: Problem, batch_size: int) -> None:
    pool, seen, sizes = compare.actual_pool(problem, How()), [], []

    def scorer(queries: Any, documents: Any) -> Any:
        assert queries.dtype == documents.dtype == np.int64
        seen.extend(zip(queries.tolist(), documents.tolist(), strict=True))
        sizes.append(len(queries))
        return teacher(queries, documents)

    pool.rescore(scorer, batch_size=batch_size)
    assert seen == oracle_pools.pairs(as_rows(pool), lists(pool), pool.query_offset)
    assert all(size == batch_size for size in sizes[:-1])


# ---- by hand


def test_equal_scores_are_ordered_by_row() -> None:
    pool = line_pool([[9, 3, 2, 1, 4]], [[0]])
    assert pool.indices.tolist() == [[4, 1, 2, 3, -1]]
    assert pool.rescore(lambda q, d: np.zeros(len(q))).indices.tolist() == [[1, 2, 3, 4, -1]]


def test_scores_may_be_an_array_aligned_with_the_pool() -> None:
    pool = line_pool([[9, 3, 2, 1], [3, 1, 2, 9]], [[0, 1], []])
    scores = np.array([[0.5, 0.75, np.nan, np.nan], [1, 2, 3, 4]])
    found = pool.rescore(scores)
    assert found.indices.tolist() == [[3, 2, -1, -1], [1, 2, 0, 3]]
    assert np.isnan(found.positive_scores).all()
    assert np.isnan(found.reference_scores).all()
    with_positives = pool.rescore(scores, positive_scores=[0.25, 1.0], reference="max")
    assert with_positives.reference_scores.tolist()[0] == 1.0
    guided = pool.rescore(scores, positive_scores=[0.25, np.nan], as_guide=True)
    assert guided.guide_positive_scores is not None
    assert np.array_equal(guided.guide_positive_scores, [0.25, np.nan], equal_nan=True)
    # One positive without a score makes every reference over both missing.
    assert np.isnan(pool.rescore(scores, positive_scores=[0.25, np.nan]).reference_scores[0])


def test_positives_outside_the_corpus_keep_given_scores() -> None:
    positives = negmine.Positives.from_lists([[-1, 0]], positive_scores=[0.5, np.nan])
    pool = line_pool([[9, 3, 2, 1]], positives)
    found = pool.rescore(lambda q, d: d + 10.0)
    assert found.positive_scores.tolist() == [0.5, 10.0]
    assert found.reference_scores.tolist() == [0.5]
    assert pool.rescore(lambda q, d: d + 10.0, reference="mean").reference_scores.tolist() == [5.25]


def test_a_pool_of_each_positive_keeps_its_rows_references() -> None:
    pool = line_pool([[9, 3, 2, 1, 0]], [[0, 3]], reference="each", absolute_margin=-100.0)
    found = pool.rescore(lambda q, d: d * 2.0)
    assert found.positive_indices.tolist() == [0, 3]
    assert found.reference_scores.tolist() == [0.0, 6.0]
    assert pool.rescore(lambda q, d: d * 2.0, reference="max").reference_scores.tolist() == [6.0, 6.0]


def test_a_full_row_stays_the_rank_windows() -> None:
    pool = line_pool([[9, 3, 2, 1, 0]], [[0]], range_max=2)
    assert pool.rescore(teacher).select(3).reasons.tolist() == [Reason.RANK_WINDOW]


def test_rows_without_the_positive_of_their_margin_stay_unscanned() -> None:
    pool = line_pool([[9, 3, 2], [1, 2, 3]], [[0], []], absolute_margin=1.0)
    found = pool.rescore(teacher)
    assert found.reasons.tolist()[1] == Reason.NO_POSITIVE
    assert np.isnan(found.cap_scores[1])
    assert found.cap_scores[0] == np.inf
    assert found.select(1).reasons.tolist()[1] == Reason.NO_POSITIVE


def test_random_negatives_need_scores_of_the_source() -> None:
    pool = line_pool([[9, 3, 2, 1]], [[0]])
    assert pool.rescore(teacher, as_guide=True).select(1, num_random=1).counts.tolist() == [2]
    with pytest.raises(NegmineValueError, match="got a pool that was loaded, rescored or fused"):
        pool.rescore(teacher).select(1, num_random=1)


def test_guides_survive_files_attaching_and_replacing(tmp_path: Path) -> None:
    pool = line_pool([[9, 3, 2, 1], [1, 2, 9, 4]], [[0], [2]], ids=list("abcd"))
    guided = pool.rescore(teacher, as_guide=True)
    guided.save(tmp_path / "a.npz")
    loaded = CandidatePool.load(tmp_path / "a.npz")
    assert_equal_pools(loaded, guided)
    assert pool.origin is not None
    attached = loaded.attach(pool.origin.source, pool.origin.queries)
    assert_equal_pools(attached, guided)
    assert_equal_pools(pickle.loads(pickle.dumps(replace(guided, origin=None))), guided)
    mined = attached.select(2)
    assert mined.pool is attached
    mined.save(tmp_path / "b.npz", pool=True)
    assert_equal_pools(CandidatePool.load(tmp_path / "b.pool.npz"), guided)


def test_tensors_are_scores() -> None:
    torch = pytest.importorskip("torch")
    pool = line_pool([[9, 3, 2, 1]], [[0]])
    weight = torch.ones(1, requires_grad=True)
    for dtype in (torch.float32, torch.bfloat16, torch.int64):
        found = pool.rescore(lambda q, d, dtype=dtype: (torch.from_numpy(d) * weight.detach()).to(dtype))
        assert found.scores[0, :3].tolist() == [3.0, 2.0, 1.0]
    assert pool.rescore(lambda q, d: torch.from_numpy(d) * weight).indices[0, 0] == 3


def test_what_a_scorer_does_to_its_arguments_changes_nothing() -> None:
    pool = line_pool([[9, 3, 2, 1]], [[0]])

    def scorer(queries: Any, documents: Any) -> Any:
        scores = teacher(queries, documents)
        queries[:], documents[:] = -5, -5
        return scores

    assert_equal_pools(pool.rescore(scorer), pool.rescore(teacher))


def test_progress_counts_pairs() -> None:
    pool, seen = line_pool([[9, 3, 2, 1]], [[0]]), []
    pool.rescore(teacher, batch_size=1, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 4)
    assert seen[-1] == (4, 4)


def test_an_empty_pool_needs_no_scores() -> None:
    pool = line_pool([[9.0]], [[]], exclude=[[0]])

    def never(queries: Any, documents: Any) -> Any:
        raise AssertionError

    assert pool.rescore(never).counts.tolist() == [0]
    none = HardNegativeMiner(1).candidates(negmine.ExactIndex(np.eye(2, dtype=np.float32)), np.empty((0, 2), "f4"), [])
    assert len(none.rescore(never)) == 0


@pytest.mark.parametrize("batch_size", [1, 2, 3, 1000])
def test_batches_change_nothing(batch_size: int) -> None:
    pool = line_pool([[9, 3, 2, 1], [1, 2, 9, 4]], [[0], [2]])
    assert_equal_pools(pool.rescore(teacher, batch_size=batch_size), pool.rescore(teacher))


# ---- bad scorers and arguments

POOL = line_pool([[9, 3, 2, 1], [1, 2, 9, 4]], [[0], [2]], ids=list("abcd"), query_offset=5)


def returning(value: Any) -> Any:
    return lambda queries, documents: value


def nan_at(place: int, value: float = np.nan) -> Any:
    def scorer(queries: Any, documents: Any) -> Any:
        scores = teacher(queries, documents)
        scores[place] = value
        return scores

    return scorer


def broken(queries: Any, documents: Any) -> Any:
    raise RuntimeError("out of memory")


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "NaN": (
        nan_at(2),
        {},
        NegmineValueError,
        "`scorer` must return finite scores; got nan for query row 5 and document 'c'.",
    ),
    "infinity": (nan_at(5, np.inf), {}, NegmineValueError, "got inf for query row 6 and document 'b'"),
    "labels": (nan_at(5), {"query_ids": ["x", "y"]}, NegmineValueError, "got nan for query 'y' and document 'b'"),
    "too few": (
        returning([1.0, 2.0]),
        {},
        NegmineValueError,
        "`scorer` must return one number per pair; got list of shape 2 for 8 pairs, from query row 5 and document 'a' "
        "to query row 6 and document 'd'.",
    ),
    "a column": (returning(np.ones((8, 1))), {}, NegmineValueError, "got ndarray of shape (8, 1) for 8 pairs"),
    "None": (returning(None), {}, NegmineTypeError, "`scorer` must return one number per pair; got NoneType"),
    "words": (
        returning(["x"] * 8),
        {},
        NegmineTypeError,
        "`scorer` must return one number per pair; got list of shape 8",
    ),
    "an error": (
        broken,
        {"batch_size": 1},
        NegmineValueError,
        "`scorer` must return scores; got RuntimeError('out of memory') for query row 5 and document 'a'.",
    ),
    "no scorer": (None, {}, NegmineTypeError, "`scorer` must be callable or hold numbers; got dtype object"),
    "a word": ("bm25", {}, NegmineTypeError, "`scorer` must be a list or an array; got 'bm25'"),
    "another shape": (
        np.zeros((2, 3)),
        {},
        NegmineValueError,
        "`scorer` must have the shape of the pool's indices, (2, 4)",
    ),
    "array of NaN": (
        np.full((2, 4), np.nan),
        {},
        NegmineValueError,
        "`scorer` must hold finite scores; got nan for query row 5 and document 'b'",
    ),
    "array with cache": (
        np.zeros((2, 4)),
        {"cache": "x"},
        NegmineValueError,
        "`cache` must be None if `scorer` is an array",
    ),
    "array with name": (
        np.zeros((2, 4)),
        {"name": "x"},
        NegmineValueError,
        "`name` must be None if `scorer` is an array",
    ),
    "positives": (
        teacher,
        {"positive_scores": [1, 2]},
        NegmineValueError,
        "`positive_scores` must be None if `scorer` is",
    ),
    "few positives": (
        np.zeros((2, 4)),
        {"positive_scores": [1]},
        NegmineValueError,
        "`positive_scores` must have shape (2,)",
    ),
    "infinite positives": (
        np.zeros((2, 4)),
        {"positive_scores": [1, np.inf]},
        NegmineValueError,
        "`positive_scores` must be finite or NaN; got inf at position 1",
    ),
    "reference": (
        teacher,
        {"reference": "median"},
        NegmineValueError,
        "`reference` must be one of 'min', 'max', 'mean', 'each'",
    ),
    "each": (
        teacher,
        {"reference": "each"},
        NegmineValueError,
        "`reference` must be 'min', 'max' or 'mean' for a pool",
    ),
    "reference of a guide": (
        teacher,
        {"as_guide": True, "reference": "min"},
        NegmineValueError,
        "`reference` must be None with",
    ),
    "as_guide": (teacher, {"as_guide": 1}, NegmineTypeError, "`as_guide` must be True or False; got 1"),
    "batch_size": (teacher, {"batch_size": 0}, NegmineValueError, "`batch_size` must be at least 1; got 0"),
    "progress": (teacher, {"progress": 3}, NegmineTypeError, "`progress` must be callable"),
    "query_ids": (teacher, {"query_ids": ["x"]}, NegmineValueError, "`query_ids` must have shape (2,); got shape (1,)"),
    "name alone": (teacher, {"name": "x"}, NegmineValueError, "`name` must be given together with `cache`; got 'x'"),
    "key alone": (
        teacher,
        {"cache_key": "x"},
        NegmineValueError,
        "`cache_key` must be given together with `cache`; got 'x'",
    ),
    "unknown": (teacher, {"guide": True}, NegmineTypeError, "`rescore` has no option 'guide'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_argument_rule_and_value(case: str) -> None:
    scorer, options, kind, words = BAD[case]
    with pytest.raises(kind) as caught:
        POOL.rescore(scorer, **options)
    assert words in str(caught.value)


def test_the_error_of_a_scorer_is_the_cause() -> None:
    with pytest.raises(NegmineValueError) as caught:
        POOL.rescore(broken)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_interrupt_of_a_scorer_is_an_interrupt() -> None:
    def interrupted(queries: Any, documents: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        POOL.rescore(interrupted)
