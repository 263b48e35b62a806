"""Pools of several retrievers fused into one."""

from __future__ import annotations

import itertools
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
from compare import How, Problem, reason_names, same
from negmine import CandidatePool, fuse
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Reason
from oracle_pools import PoolRow
from pools import LINES, as_rows, assert_adds_up, assert_equal_pools, known_scores, line_pool, lists, teacher
from strategies import problems

METHODS = ["rrf", "sum", "min", "max"]


def retrievers(problem: Problem, number: int) -> list[CandidatePool]:
    """Pools of the same queries that hold other documents in another order."""
    pool = compare.actual_pool(problem, How())
    found = [pool]
    for shift in range(1, number):
        other = pool.rescore(lambda q, d, shift=shift: teacher(q + shift, d))
        found.append(other.restrict(max_score=0.5 - shift / 8))
    return found


# ---- against the oracle


@given(
    problems(),
    st.sampled_from(METHODS),
    st.integers(1, 4),
    st.sampled_from([0.0, 1.0, 60.0]),
    st.one_of(st.none(), st.integers(1, 4)),
    st.sampled_from([None, 0.0, -0.75]),
    st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0]), min_size=4, max_size=4),
)
def test_fuse(
    problem: Problem, method: Any, number: int, k: float, depth: int | None, missing: float | None, weights: list[float]
) -> None:
    pools = retrievers(problem, number)
    options: dict[str, Any] = {"depth": depth}
    if method == "rrf":
        options["k"] = k
    if method in ("rrf", "sum"):
        options["weights"] = weights[:number]
    if method in ("sum", "min"):
        options["missing"] = missing
    found = fuse(pools, method=method, **options)

    sides: list[list[PoolRow]] = [as_rows(pool) for pool in pools]
    rows = [oracle_pools.fused(row, method, **options) for row in zip(*sides, strict=True)]
    width = max((len(row) for row in rows), default=0)
    same(found.indices, compare.ragged([[d for d, _ in row] for row in rows], width, -1, np.int64), np.int64, "indices")
    scores = [[score for _, score in row] for row in rows]
    same(found.scores, compare.ragged(scores, width, -np.inf, np.float64), np.float64, "scores")
    same(found.counts, [len(row) for row in rows], np.int32, "counts")

    # Where each document comes from.
    assert found.sources is not None
    for p, r in itertools.product(range(number), range(len(rows))):
        side = sides[p][r]
        places = [side.documents.index(d) if d in side.documents[:depth] else -1 for d, _ in rows[r]]
        assert found.sources.ranks[p, r, : len(places)].tolist() == [place + 1 for place in places]
        expected = [side.scores[place] if place >= 0 else np.nan for place in places]
        assert np.array_equal(found.sources.scores[p, r, : len(places)], expected, equal_nan=True)
        assert (found.sources.ranks[p, r, len(places) :] == 0).all()
        assert np.isnan(found.sources.scores[p, r, len(places) :]).all()

    # References come from the fused scores of the positives.
    sets = [known_scores(pool, pool.positive_scores) for pool in pools]
    positives: list[list[float | None]] = []
    for query, known in enumerate(lists(pools[0])):
        values = [[scores[query][place] for scores in sets] for place in range(len(known))]
        positives.append([fused_positive(method, several, options.get("weights")) for several in values])
    kind = "each" if pools[0].each else "min"
    references = [oracle_pools.reference(row, positives, kind) for row in sides[0]]
    same(found.reference_scores, [np.nan if one is None else one for one in references], np.float64, "references")

    # The report: lines of the rules stay, what no row holds is unlisted.
    for line in LINES:
        same(found.report.lines[line], pools[0].report.lines[line], np.int64, line)
    assert not any(found.report.lines[line].any() for line in found.report.lines if line.startswith("above"))
    assert not found.report.lines["restricted"].any()
    unscanned = np.isnan(pools[0].cap_scores)
    total = sum(found.report.lines.values(), np.zeros(len(found), dtype=np.int64)) + found.counts
    assert (total == np.where(unscanned, 0, found.report.n_documents)).all()
    assert_adds_up(found)
    for r, reason in enumerate(reason_names(found.reasons)):
        full = any(side[r].full or (depth is not None and len(side[r].documents) > depth) for side in sides)
        assert (reason in ("", "rank_window")) == full
        assert (reason == "") == (full and len(rows[r]) == width)


def fused_positive(method: str, scores: list[float | None], weights: list[float] | None) -> float | None:
    """Fuse the scores of a positive; None where one that is needed is missing."""
    known = [score for score in scores if score is not None]
    if method == "rrf" or (len(known) < len(scores) and method != "max") or not known:
        return None
    if method in ("min", "max"):
        return (min(known) if method == "min" else max(known)) + 0.0
    assert weights is not None
    total = weights[0] * known[0]
    for weight, score in zip(weights[1:], known[1:], strict=True):
        total += weight * score
    return total + 0.0


@given(problems(), st.permutations(range(4)), st.sampled_from(["rrf", "min", "max"]))
def test_the_order_of_the_pools_changes_no_bit(problem: Problem, order: list[int], method: Any) -> None:
    pools = retrievers(problem, 4)
    one, other = fuse(pools, method=method), fuse([pools[place] for place in order], method=method)
    for name in ("indices", "scores", "counts"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


# ---- golden values and cases by hand


def with_documents(*rows: list[int], scores: list[list[float]] | None = None, n: int = 5) -> list[CandidatePool]:
    """Pools of one query and one positive, the last document, that hold the given documents in the given order."""
    pool = line_pool([[float(n - row) for row in range(n)]], [[n - 1]])
    found = []
    for number, documents in enumerate(rows):
        values = {d: float(-rank) for rank, d in enumerate(documents)}
        if scores is not None:
            values = dict(zip(documents, scores[number], strict=True))
        ranked = pool.rescore(lambda q, d, values=values: [values.get(row, -1e9) for row in d])
        found.append(ranked.restrict(min_score=-1e8))
    return found


def test_golden_reciprocal_ranks() -> None:
    found = fuse(with_documents([0, 1, 2], [2, 0, 3]))
    assert found.indices[0].tolist() == [0, 2, 1, 3]
    assert found.scores[0] == pytest.approx([0.032522, 0.032266, 0.016129, 0.015873], abs=5e-7)
    assert found.scores[0].tolist() == [1 / 62 + 1 / 61, 1 / 63 + 1 / 61, 1 / 62, 1 / 63]
    assert found.sources is not None
    assert found.sources.ranks[:, 0].tolist() == [[1, 3, 2, 0], [2, 1, 0, 3]]
    assert np.isnan(found.reference_scores).all()
    assert np.isnan(found.positive_scores).all()


@pytest.mark.parametrize(
    ("weight", "expected"), [(1.0, [0.204082, 0.428571, 0.367347]), (2.0, [0.060790, 0.446809, 0.492401])]
)
def test_golden_products_of_two_scores_are_sums_of_logarithms(weight: float, expected: list[float]) -> None:
    p, desired = [0.5, 0.3, 0.2], [0.2, 0.7, 0.9]
    pools = with_documents([0, 1, 2], [0, 1, 2], scores=[np.log(p).tolist(), np.log(desired).tolist()])
    found = fuse(pools, method="sum", weights=[1.0, weight])
    products = dict(zip(found.indices[0].tolist(), np.exp(found.scores[0]).tolist(), strict=True))
    shares = [products[row] / sum(products.values()) for row in range(3)]
    assert shares == pytest.approx(expected, abs=5e-7)


def test_ranks_in_another_order_tie_exactly() -> None:
    # 1/61 + 1/61 + 1/62 and its other orders differ in the last bit if they are added as they come.
    pools = with_documents([0, 1, 2], [1, 0, 2], [1, 0, 2], [0, 2, 1])[:3]
    swapped = with_documents([1, 0, 2], [0, 1, 2], [0, 1, 2])
    one, other = fuse(pools), fuse(swapped)
    assert one.scores[0].tolist() == other.scores[0].tolist()
    several = [fuse(with_documents(*order)).scores[0, 0] for order in itertools.permutations([[0, 1], [0, 1], [1, 0]])]
    assert len(set(several)) == 1


def test_equal_scores_are_ordered_by_row() -> None:
    found = fuse(with_documents([3, 1], [1, 3]))
    assert found.indices[0].tolist() == [1, 3]
    assert found.scores[0, 0] == found.scores[0, 1]


def test_documents_that_a_pool_lacks() -> None:
    pools = with_documents([0, 1, 2], [2, 3], scores=[[4.0, 3.0, 2.0], [5.0, 1.0]])
    total = fuse(pools, method="sum")
    assert (total.indices.tolist(), total.scores.tolist()) == ([[2]], [[7.0]])
    assert total.report.totals()["unlisted"] == 3
    filled = fuse(pools, method="sum", missing=0.5)
    assert filled.indices.tolist() == [[2, 0, 1, 3]]
    assert filled.scores.tolist() == [[7.0, 4.5, 3.5, 1.5]]
    assert fuse(pools, method="min").scores.tolist() == [[2.0]]
    assert fuse(pools, method="min", missing=1.0).scores.tolist() == [[2.0, 1.0, 1.0, 1.0]]
    assert fuse(pools, method="max").scores.tolist() == [[5.0, 4.0, 3.0, 1.0]]


def test_depth_cuts_every_row_first() -> None:
    pools = with_documents([0, 1, 2], [2, 0, 3])
    found = fuse(pools, depth=1)
    assert found.indices.tolist() == [[0, 2]]
    assert reason_names(found.reasons) == [""]
    assert found.report.totals()["unlisted"] == 2
    assert_equal_pools(fuse(pools, depth=100), fuse(pools))


def test_the_reference_is_the_least_of_the_sums() -> None:
    # Positives 3 and 4 score 1, 5 and 3, 2: the least sum is 4, the sum of the least is 3.
    pool = line_pool([[5.0, 4.0, 3.0, 2.0, 1.0]], [[3, 4]])
    known = ({3: 1.0, 4: 5.0}, {3: 3.0, 4: 2.0})
    sides = [pool.rescore(lambda q, d, s=s: [s.get(row, 0.0) for row in d.tolist()]) for s in known]
    assert fuse(sides, method="sum").reference_scores.tolist() == [4.0]
    assert fuse(sides, method="min").reference_scores.tolist() == [1.0]
    assert fuse(sides, method="max").reference_scores.tolist() == [3.0]
    assert fuse(sides, method="sum").restrict(absolute_margin=5.0).counts.tolist() == [0]


def test_a_reference_needs_every_positive_of_every_pool() -> None:
    pool = line_pool([[5.0, 4.0, 3.0]], [[0]])
    lost = pool.rescore(np.array([[1.0, 2.0, 0.0]]))
    assert np.isnan(fuse([pool, lost], method="sum").reference_scores).all()
    assert fuse([pool, lost], method="max").reference_scores.tolist() == [5.0]


def test_reasons_and_windows() -> None:
    full = line_pool([[5.0, 4.0, 3.0, 2.0], [5.0, 4.0, 3.0, 2.0]], [[0], [0, 1]], range_max=2)
    assert reason_names(full.reasons) == ["", ""]
    found = fuse([full, full.restrict(max_score=3.0)])
    assert found.counts.tolist() == [2, 2]
    assert found.select(3).reasons.tolist() == [Reason.RANK_WINDOW] * 2
    # A row that was full and then restricted may still have more behind its rank window.
    cut = full.restrict(max_score=3.0)
    assert reason_names(fuse([cut, cut]).reasons) == ["rank_window", ""]
    assert fuse([cut, cut]).select(3).reasons.tolist() == [Reason.RANK_WINDOW] * 2
    one = line_pool([[5.0, 4.0, 3.0, 2.0]], [[0]], range_max=2).restrict(max_score=3.0)
    assert reason_names(one.reasons) == ["rank_window"]
    assert reason_names(fuse([one, one]).reasons) == [""]  # as wide as the fused pool
    all_of_it = line_pool([[5.0, 4.0, 3.0, 2.0], [5.0, 4.0, 3.0, 2.0]], [[0], [0, 1]])
    found = fuse([all_of_it, all_of_it])
    assert reason_names(found.reasons) == ["corpus_exhausted"] * 2
    assert found.select(4).report.short == {"corpus_exhausted": 2}
    assert found.select(2).report.short == {}


def test_rows_that_no_pool_scanned_stay_unscanned() -> None:
    pool = line_pool([[5.0, 4.0, 3.0], [5.0, 4.0, 3.0]], [[0], []], absolute_margin=0.0)
    found = fuse([pool, pool.rescore(teacher)])
    assert found.report.n_unscanned == 1
    assert found.report.lines["unlisted"].tolist() == [0, 0]
    assert reason_names(found.reasons)[1] == "no_positive"


def test_fused_pools_survive_files_and_what_is_done_with_pools(tmp_path: Path) -> None:
    found = fuse(with_documents([0, 1, 2], [2, 0, 3]))
    found.save(tmp_path / "a.npz")
    loaded = CandidatePool.load(tmp_path / "a.npz")
    assert_equal_pools(loaded, found)
    assert loaded.sources is not None
    cut = loaded.restrict(min_score=0.016)
    assert cut.sources is not None
    assert cut.sources.ranks[:, 0].tolist() == [[1, 3, 2, 0], [2, 1, 0, 0]]
    again = loaded.rescore(lambda q, d: d)
    assert again.indices[0].tolist() == [3, 2, 1, 0]
    assert again.sources is not None
    assert again.sources.ranks[:, 0].tolist() == [[0, 3, 2, 1], [3, 1, 0, 2]]
    assert replace(loaded, query_offset=0).sources is loaded.sources
    with pytest.raises(NegmineValueError, match="`num_random` must have embeddings"):
        found.select(1, num_random=1)


def test_pools_with_labels_are_fused() -> None:
    pool = line_pool([[5.0, 4.0, 3.0]], [[0]], ids=["a", "b", "c"])
    assert fuse([pool, pool.rescore(teacher)]).ids[0].tolist() in (["b", "c"], ["c", "b"])


# ---- bad input

ONE = line_pool([[5.0, 4.0, 3.0], [5.0, 4.0, 3.0]], [[0], [1]])
NAN = float("nan")


def other(**options: Any) -> CandidatePool:
    scores = options.pop("scores", [[5.0, 4.0, 3.0], [5.0, 4.0, 3.0]])
    pool: CandidatePool = line_pool(scores, options.pop("positives", [[0], [1]]), **options)
    return pool


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "a pool": (ONE, {}, NegmineTypeError, "`pools` must be a list of CandidatePool; got CandidatePool"),
    "no list": (3, {}, NegmineTypeError, "`pools` must be a list of CandidatePool; got int"),
    "none": ([], {}, NegmineValueError, "`pools` must hold at least one pool; got none"),
    "negatives": ([ONE, ONE.select(1)], {}, NegmineTypeError, "`pools` must hold CandidatePool; got HardNegatives"),
    "method": ([ONE], {"method": "mean"}, NegmineValueError, "`method` must be one of 'rrf', 'sum', 'min', 'max'; got"),
    "few weights": (
        [ONE, ONE],
        {"weights": [1.0]},
        NegmineValueError,
        "`weights` must have length 2, one per pool; got 1",
    ),
    "negative": ([ONE], {"weights": [-1.0]}, NegmineValueError, "`weights` must be at least 0.0; got -1.0"),
    "NaN": ([ONE], {"method": "sum", "weights": [NAN]}, NegmineValueError, "`weights` must be finite; got nan"),
    "a number": ([ONE], {"weights": 1.0}, NegmineTypeError, "`weights` must be a list of numbers; got 1.0"),
    "min weights": (
        [ONE],
        {"method": "min", "weights": [1]},
        NegmineValueError,
        "`weights` must be None with method='min'",
    ),
    "max weights": (
        [ONE],
        {"method": "max", "weights": [1]},
        NegmineValueError,
        "`weights` must be None with method='max'",
    ),
    "k": ([ONE], {"k": -1}, NegmineValueError, "`k` must be at least 0.0; got -1"),
    "k of sum": ([ONE], {"method": "sum", "k": 1}, NegmineValueError, "`k` must be left out with method='sum'; got 1"),
    "depth": ([ONE], {"depth": 0}, NegmineValueError, "`depth` must be at least 1; got 0"),
    "missing": ([ONE], {"missing": 0.0}, NegmineValueError, "`missing` must be None with method='rrf'; got 0.0"),
    "missing of max": (
        [ONE],
        {"method": "max", "missing": 0.0},
        NegmineValueError,
        "`missing` must be None with method='max'",
    ),
    "missing NaN": ([ONE], {"method": "min", "missing": NAN}, NegmineValueError, "`missing` must be finite; got nan"),
    "overflow": (
        [ONE, ONE],
        {"method": "sum", "weights": [1e308, 1e308]},
        NegmineValueError,
        "`weights` must give finite scores; got inf for query row 0 and document row 1",
    ),
    "unknown": ([ONE], {"rrf_k": 1}, NegmineTypeError, "`fuse` has no option 'rrf_k'"),
    "offsets": (
        [ONE, other(query_offset=1)],
        {},
        NegmineValueError,
        "`pools` must have equal `query_offset`; got 0 and 1",
    ),
    "each": (
        [ONE, other(reference="each")],
        {},
        NegmineValueError,
        "`pools` must have equal `each`; got False and True",
    ),
    "documents": (
        [ONE, other(scores=[[1.0, 2.0, 3.0, 4.0]] * 2)],
        {},
        NegmineValueError,
        "`pools` must have equal `n_documents`; got 3 and 4",
    ),
    "queries": (
        [ONE, other(scores=[[1.0, 2.0, 3.0]], positives=[[0]])],
        {},
        NegmineValueError,
        "`pools` must have equal `query_indices`; got [0, 1] and [0]",
    ),
    "positives": (
        [ONE, other(positives=[[0], [2]])],
        {},
        NegmineValueError,
        "`pools` must have equal `positives`; got [0, 1] and [0, 2]",
    ),
    "rules": (
        [ONE, other(exclude=[[2], []])],
        {},
        NegmineValueError,
        "`pools` must have equal `exclude`; got None and [0, 1, 1]",
    ),
    "labels": (
        [ONE, other(ids=[1, 2, 3])],
        {},
        NegmineValueError,
        "`pools` must have equal `document_ids`; got labels and none",
    ),
    "other labels": (
        [other(ids=[1, 2, 3]), other(ids=[1, 4, 3])],
        {},
        NegmineValueError,
        "`pools` must have equal `document_ids`; got 2 and 4 at row 1",
    ),
    "kinds of labels": (
        [other(ids=[1, 2, 3]), other(ids=list("abc"))],
        {},
        NegmineValueError,
        "`pools` must have equal `document_ids`; got 1 and 'a' at row 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_argument_rule_and_value(case: str) -> None:
    pools, options, kind, words = BAD[case]
    with pytest.raises(kind) as caught:
        fuse(pools, **options)
    assert words in str(caught.value)


def test_groups_and_ranges_must_be_equal() -> None:
    rows = np.eye(3, dtype=np.float32)
    index, miner = negmine.ExactIndex(rows, metric="ip"), negmine.HardNegativeMiner(2)

    def pool(**rules: Any) -> CandidatePool:
        return miner.candidates(index, rows[:1], [[0]], **rules)

    ranges = negmine.Eligibility(np.arange(3), np.array([0]), np.array([2]))
    wider = negmine.Eligibility(np.arange(3), np.array([0]), np.array([3]))
    for one, two, name in (
        (pool(groups=[0, 1, 2]), pool(groups=[0, 1, 1]), "groups"),
        (pool(eligible=ranges), pool(eligible=wider), "eligible"),
        (pool(eligible=ranges), pool(), "eligible"),
        (pool(exclude_self=True), pool(), "self_rows"),
    ):
        with pytest.raises(NegmineValueError, match=f"`pools` must have equal `{name}`"):
            fuse([one, two])
        assert len(fuse([one, one])) == 1
