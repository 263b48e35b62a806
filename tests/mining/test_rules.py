"""One test per rule of candidates, caps, floor and window, each of which would fail if the rule were otherwise.

Documents are numbers on a line: with inner products and the query 1.0, a document's score is its value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import negmine
import oracle
from negmine import CandidatePool, Eligibility, ExactIndex, HardNegativeMiner, Positives
from negmine.errors import NegmineValueError
from negmine.mining import Reason

LARGEST = float(np.finfo(np.float64).max)
RULES = {"exclude", "exclude_self", "query_ids", "groups", "eligible", "query_offset"}


def column(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def pool_of(
    scores: Sequence[float],
    positives: Positives | Sequence[Sequence[int]] = ((),),
    *,
    queries: Sequence[float] = (1.0,),
    ids: Any = None,
    **options: Any,
) -> CandidatePool:
    """Mine one pool, 99 deep unless told otherwise."""
    rules = {name: options.pop(name) for name in RULES & options.keys()}
    if "range_max" not in options:
        options["range_max"] = 99
    index = ExactIndex(column(scores), metric="ip", ids=ids)
    return HardNegativeMiner(**options).candidates(index, column(queries), positives, **rules)


def found(pool: CandidatePool, row: int = 0) -> list[int]:
    return pool.indices[row, : pool.counts[row]].tolist()


def lines(pool: CandidatePool) -> dict[str, int]:
    return {name: count for name, count in pool.report.totals().items() if count}


def outside(*scores: float, rows: Sequence[int] = ()) -> Positives:
    """Positives of one query: some outside the corpus with the given scores, then rows."""
    items = [-1] * len(scores) + sorted(rows)
    return Positives.from_csr([0, len(items)], items, positive_scores=[*scores, *[math.nan] * len(rows)])


# ---- order, padding, labels


def test_ties_go_by_lower_row_over_the_whole_corpus() -> None:
    scores = np.tile([0.5, 0.75], 4000)
    pool = pool_of(scores, range_max=4010)
    assert found(pool) == list(range(1, 8000, 2)) + list(range(0, 20, 2))


def test_rows_are_padded_with_minus_one_and_scores_with_minus_infinity() -> None:
    pool = pool_of([1.0, 0.5], [[0]], range_max=3)
    assert pool.indices.tolist() == [[1, -1, -1]]
    assert pool.scores.tolist() == [[0.5, -math.inf, -math.inf]]
    assert (pool.indices.dtype, pool.scores.dtype, pool.counts.dtype) == (np.int64, np.float64, np.int32)
    assert pool.counts.tolist() == [1]


@pytest.mark.parametrize(("ids", "expected"), [([7, -5, 9], [9, -5, -1]), (["a", "bb", "c"], ["c", "bb", ""])])
def test_labels_stand_beside_rows_and_are_padded(ids: list[Any], expected: list[Any]) -> None:
    pool = pool_of([1.0, 0.5, 0.75], [[0]], ids=ids, range_max=3)
    assert pool.indices.tolist() == [[2, 1, -1]]
    assert pool.ids.tolist() == [expected]
    negatives = pool.select(3)
    assert negatives.ids.tolist() == [expected]


def test_without_labels_the_rows_are_the_labels() -> None:
    assert pool_of([1.0, 0.5], range_max=3).ids.tolist() == [[0, 1, -1]]


# ---- scores


def test_the_pool_holds_float64_and_the_negatives_float32() -> None:
    queries, corpus = np.array([[1.0, 2.0**-20]], np.float32), np.array([[0.5, 2.0**-20]], np.float32)
    pool = HardNegativeMiner(1).candidates(ExactIndex(corpus, metric="ip"), queries, [[]])
    assert pool.scores[0, 0] == 0.5 + 2.0**-40
    negatives = pool.select(1)
    assert negatives.scores.dtype == np.float32
    assert negatives.scores[0, 0] == 0.5


def test_caps_compare_float64() -> None:
    queries, corpus = np.array([[1.0, 2.0**-20]], np.float32), np.array([[0.5, 2.0**-20]], np.float32)
    index = ExactIndex(corpus, metric="ip")
    assert HardNegativeMiner(1, max_score=0.5).candidates(index, queries, [[]]).counts.tolist() == [0]
    assert HardNegativeMiner(1, max_score=0.5 + 2.0**-40).candidates(index, queries, [[]]).counts.tolist() == [1]
    assert HardNegativeMiner(1, min_score=0.5 + 2.0**-39).candidates(index, queries, [[]]).counts.tolist() == [0]


def test_public_scores_saturate_so_that_minus_infinity_is_padding_alone() -> None:
    rows = np.array([[3e38], [-3e38]], dtype=np.float32)
    negatives = negmine.mine(rows[:1], rows, [[]], num_negatives=3, metric="ip")
    largest = float(np.finfo(np.float32).max)
    assert negatives.scores.tolist() == [[largest, -largest, -math.inf]]


def test_public_scores_are_never_minus_zero() -> None:
    tiny = np.float32(2.0**-149)
    rows = np.array([[-tiny], [0.0], [-0.0]], dtype=np.float32)
    found = ExactIndex(rows, metric="ip").search(np.array([[tiny]]), 3)
    assert found.indices.tolist() == [[1, 2, 0]]
    assert not np.signbit(found.scores).any()


def test_a_cap_of_one_takes_out_no_scaled_copy_and_a_floor_of_minus_one_no_opposite() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.integers(-(2**20), 2**20, (500, 24)) * 2.0 ** rng.integers(-20, 0, (500, 24))).astype(np.float32)
    scores = negmine.score_pairs(rows, 3 * rows, np.stack([np.arange(500)] * 2, axis=1))
    assert scores.max() == 1.0
    for sign, options in ((1.0, {"max_score": 1.0}), (-1.0, {"min_score": -1.0})):
        found = HardNegativeMiner(500, **options).candidates(ExactIndex(sign * 3 * rows), rows, [[]] * 500)
        assert (found.counts == 500).all()


def test_a_zero_row_scores_zero_on_either_side_and_is_counted() -> None:
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-0.0, 0.0]], dtype=np.float32)
    pool = HardNegativeMiner(4).candidates(ExactIndex(rows), rows[:2], [[], []])
    assert pool.indices.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2]]
    assert pool.scores.tolist() == [[0.0] * 4, [1.0, 0.0, 0.0, -1.0]]
    assert (pool.report.zero_documents, pool.report.zero_queries) == (2, 1)


def test_l2_is_minus_the_squared_distance_and_zero_for_equal_rows() -> None:
    rows = np.array([[1000.0625, 3.0], [1000.0, 3.0], [1000.0, 5.0]], dtype=np.float32)
    found = ExactIndex(rows, metric="l2").search(rows[1:2], 3)
    assert found.indices.tolist() == [[1, 0, 2]]
    assert found.scores.tolist() == [[0.0, -(2.0**-8), -4.0]]


@pytest.mark.parametrize(("order", "score"), [([60, -60, 0], 1.0), ([60, 0, -60], 0.0)])
def test_the_order_within_a_lane_decides_the_last_bit(order: list[int], score: float) -> None:
    row = np.zeros((1, 33), dtype=np.float32)
    row[0, [0, 16, 32]] = [math.copysign(2.0 ** abs(power), power) if power else 1.0 for power in order]
    assert negmine.score_pairs(row, np.ones((1, 33), np.float32), [[0, 0]], metric="ip").tolist() == [score]


def test_lanes_are_added_in_halves() -> None:
    # Lanes 0 and 8 cancel first; lane by lane from the left, the 1 of lane 4 would be lost.
    row = np.zeros((1, 16), dtype=np.float32)
    row[0, [0, 4, 8]] = 2.0**60, 1.0, -(2.0**60)
    assert negmine.score_pairs(row, np.ones((1, 16), np.float32), [[0, 0]], metric="ip").tolist() == [1.0]


# ---- who is a candidate


def test_positives_and_excluded_rows_are_no_candidates() -> None:
    pool = pool_of([1.0, 0.75, 0.5, 0.25], [[1]], exclude=[[2, 0]])
    assert found(pool) == [3]
    assert lines(pool) == {"positives": 1, "excluded": 2, "rest": 1}


def test_a_document_counts_under_the_first_rule_it_falls_under() -> None:
    pool = pool_of(
        [1.0] * 6,
        [[0]],
        exclude=[[0, 1]],
        exclude_self=True,
        ids=[10, 11, 12, 13, 14, 15],
        query_ids=[12],
        groups=[7, 7, 7, 7, -1, -1],
        eligible=Eligibility.equal([0, 0, 0, 0, 0, 5], [5]),
    )
    assert found(pool) == [5]
    assert lines(pool) == {"positives": 1, "excluded": 1, "self": 1, "group": 1, "ineligible": 1, "rest": 1}


def test_exclude_self_by_labels_finds_the_document_wherever_it_stands() -> None:
    pool = pool_of([1.0, 0.5], [[], []], queries=[1.0, 1.0], ids=["x", "y"], exclude_self=True, query_ids=["y", "z"])
    assert (found(pool, 0), found(pool, 1)) == ([0], [0, 1])


def test_exclude_self_by_memory_counts_from_query_offset() -> None:
    corpus = column([1.0, 2.0, 3.0])
    index, miner = ExactIndex(corpus, metric="ip"), HardNegativeMiner(3)
    pool = miner.candidates(index, corpus[1:], [[], []], exclude_self=True, query_offset=1)
    assert pool.indices.tolist() == [[2, 0, -1], [1, 0, -1]]
    assert miner.candidates(index, corpus, [[], [], []]).counts.tolist() == [3, 3, 3]
    for queries, offset in ((corpus[1:], 0), (corpus[1:].copy(), 1), (corpus[::2], 0), (corpus[1:], 2)):
        with pytest.raises(NegmineValueError, match="exclude_self"):
            miner.candidates(index, queries, [[], []], exclude_self=True, query_offset=offset)


def test_a_copied_corpus_still_knows_its_own_rows() -> None:
    corpus = column([1.0, 2.0, 3.0]).astype(">f4")
    pool = HardNegativeMiner(2).candidates(ExactIndex(corpus, metric="ip"), corpus, [[]] * 3, exclude_self=True)
    assert pool.indices.tolist() == [[2, 1], [2, 0], [1, 0]]


def test_groups_of_positives_bar_their_members_and_minus_one_bars_nobody() -> None:
    assert found(pool_of([4, 3, 2, 1], [[0]], groups=[5, 5, -1, 6])) == [2, 3]
    pool = pool_of([4, 3, 2, 1], [[0]], groups=[-1, -1, -1, 6])
    assert found(pool) == [1, 2, 3]
    assert lines(pool) == {"positives": 1, "rest": 3}


def test_only_positives_bar_groups() -> None:
    pool = pool_of([4, 3, 2, 1], [[]], exclude=[[0]], groups=[5, 5, 5, 5])
    assert found(pool) == [1, 2, 3]
    assert found(pool_of([4, 3], outside(0.5), groups=[5, 5])) == [0, 1]


def test_eligibility_is_inclusive_on_both_ends_and_empty_ranges_admit_nobody() -> None:
    keys = [10, 11, 12, 13]
    eligible = Eligibility(keys, [11, 12, 13], [12, 12, 12])  # type: ignore[arg-type]
    pool = pool_of([4, 3, 2, 1], [[], [], []], queries=[1.0] * 3, eligible=eligible)
    assert [found(pool, i) for i in range(3)] == [[1, 2], [2], []]
    assert pool.report.lines["ineligible"].tolist() == [2, 3, 4]


def test_filters_work_inside_the_search() -> None:
    # Five of 20,000 documents are left, all at the far end of the ranking: all five come back.
    scores = np.linspace(1.0, 0.0, 20_000)
    keys = np.zeros(20_000, dtype=np.int64)
    keys[-5:] = 1
    assert found(pool_of(scores, eligible=Eligibility.equal(keys, [1]), range_max=5)) == [
        19995,
        19996,
        19997,
        19998,
        19999,
    ]
    pool = pool_of(scores, outside(float(np.float32(scores[-5]))), absolute_margin=0.0, range_max=5)
    assert found(pool) == [19995, 19996, 19997, 19998, 19999]
    assert lines(pool) == {"above_absolute_margin": 19_995, "rest": 5}


# ---- references


@pytest.mark.parametrize(("reference", "value"), [("min", 0.25), ("max", 1.0), ("mean", 0.5625)])
def test_references(reference: Any, value: float) -> None:
    pool = pool_of([1.0, 0.25, 0.5, 0.5], [[2, 1, 0, 3]], reference=reference)
    assert pool.reference_scores.tolist() == [value]


def test_the_reference_is_the_lowest_positive_unless_told_otherwise() -> None:
    assert pool_of([1.0, 0.25], [[0, 1]]).reference_scores.tolist() == [0.25]


def test_the_mean_adds_one_after_the_other_in_csr_order_and_divides_once() -> None:
    # Outside positives come first: 1e16 - 1e16 + 1. Pairwise, compensated or reversed sums give others.
    pool = pool_of([1.0], outside(1e16, -1e16, rows=[0]), reference="mean")
    assert pool.reference_scores.tolist() == [1.0 / 3.0]
    pool = pool_of([1.0], outside(1.0, 1e16, -1e16), reference="mean")
    assert pool.reference_scores.tolist() == [0.0]
    # Dividing every term would give another last bit.
    values = (0.1, 0.7, 0.6)
    assert (0.1 + 0.7 + 0.6) / 3 != 0.1 / 3 + 0.7 / 3 + 0.6 / 3
    assert pool_of([1.0], outside(*values), reference="mean").reference_scores.tolist() == [(0.1 + 0.7 + 0.6) / 3]


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ((1.7e308, 1.7e308), 1.7e308),
        ((-1.7e308, -1.7e308, -1.7e308), -1.7e308),
        ((1.7e308, 1.7e308, -1.7e308, -1.7e308), 0.0),
        ((1.0e308, 1.5e308), 1.25e308),
        ((LARGEST,) * 1000, LARGEST),
        ((-LARGEST,) * 1000, -LARGEST),
    ],
)
def test_a_mean_whose_sum_overflows_is_the_mean_all_the_same(values: tuple[float, ...], mean: float) -> None:
    pool = pool_of([1.0, 2.0], outside(*values), reference="mean", absolute_margin=0.0)
    assert pool.reference_scores.tolist() == [mean]
    assert oracle.reference_of("mean", list(values)) == mean
    assert found(pool) == ([1, 0] if mean > 2.0 else [])


def test_a_repeated_positive_counts_once() -> None:
    pool = pool_of([1.0, 0.5], [[0, 1, 0]], reference="mean")
    assert pool.reference_scores.tolist() == [0.75]
    assert pool.report.duplicate_pairs == 1
    assert pool.report.lines["positives"].tolist() == [2]


def test_positives_outside_the_corpus_repeat_and_bar_nobody() -> None:
    pool = pool_of([1.0, 0.5], outside(0.75, 0.75), absolute_margin=0.0)
    assert pool.positive_scores.tolist() == [0.75, 0.75]
    assert found(pool) == [1]
    assert lines(pool) == {"above_absolute_margin": 1, "rest": 1}


def test_vectors_of_positives_outside_the_corpus_are_scored() -> None:
    known = Positives.from_lists([[0, -1], [-1]], positive_embeddings=column([0.75, 0.25]))
    pool = pool_of([1.0, 0.5], known, queries=[1.0, 2.0], reference="each", absolute_margin=0.0)
    assert pool.positive_scores.tolist() == [0.75, 1.0, 0.5]
    assert pool.positive_indices.tolist() == [-1, 0, -1]
    assert [found(pool, i) for i in range(3)] == [[1], [1], []]


def test_without_positives_the_reference_is_nan() -> None:
    pool = pool_of([1.0, 0.5], [[]])
    assert np.isnan(pool.reference_scores).all()
    assert found(pool) == [0, 1]


@pytest.mark.parametrize("margin", [{"absolute_margin": -9.0}, {"relative_margin": 0.0}])
@pytest.mark.parametrize("reference", ["min", "max", "mean", "each"])
def test_a_margin_without_positives_serves_nobody_and_adds_to_one_line(
    margin: dict[str, float], reference: Any
) -> None:
    pool = pool_of([1.0, 0.5], [[], [0]], queries=[1.0, 1.0], reference=reference, exclude=[[0], []], **margin)
    assert pool.counts[0] == 0
    assert Reason(pool.reasons[0]) is Reason.NO_POSITIVE
    assert all(pool.report.lines[line][0] == 0 for line in pool.report.lines)
    assert pool.report.n_unscanned == 1
    assert pool.report.short["no_positive"] == 1
    assert sum(pool.report.totals().values()) == 2


def test_max_score_needs_no_positive() -> None:
    assert found(pool_of([1.0, 0.5], [[]], max_score=0.5)) == [1]


def test_each_makes_a_row_per_positive_and_keeps_the_others_out() -> None:
    pool = pool_of(
        [1.0, 0.5, 0.75, 0.25], [[1, 0], []], queries=[1.0, 1.0], reference="each", absolute_margin=0.0, query_offset=7
    )
    assert pool.query_indices.tolist() == [7, 7, 8]
    assert pool.positive_indices.tolist() == [0, 1, -1]
    assert [found(pool, i) for i in range(3)] == [[2, 3], [3], []]
    assert pool.reference_scores[:2].tolist() == [1.0, 0.5]
    assert pool.positive_scores.tolist() == [1.0, 0.5]
    assert pool.report.lines["positives"].tolist() == [2, 2, 0]
    plain = pool_of([1.0, 0.5], [[], [0]], queries=[1.0, 1.0], reference="each")
    assert (plain.query_indices.tolist(), plain.positive_indices.tolist()) == ([0, 1], [-1, 0])


def test_one_scan_of_a_query_serves_all_its_positives() -> None:
    rng = np.random.default_rng(4)
    index, queries = ExactIndex(rng.standard_normal((300, 5))), rng.standard_normal((4, 5))
    positives = [[query, query + 10, query + 20] for query in range(4)]
    for reference, n_rows in (("min", 4), ("each", 12)):
        pool = HardNegativeMiner(3, reference=reference, absolute_margin=0.1).candidates(index, queries, positives)  # type: ignore[arg-type]
        assert len(pool) == n_rows
        assert pool.report.diagnostics["scanned"] == 4 * 300


# ---- caps and floor


def test_equality_is_kept_on_both_sides() -> None:
    pool = pool_of([1.0, 0.75, 0.5, 0.25], [[0]], absolute_margin=0.25, min_score=0.5)
    assert found(pool) == [1, 2]
    assert lines(pool) == {"positives": 1, "rest": 3}
    assert found(pool_of([1.0, 0.75, 0.5], [[0]], relative_margin=0.5)) == [2]
    assert found(pool_of([1.0, 0.75, 0.5], max_score=0.75)) == [1, 2]


def test_a_negative_absolute_margin_admits_documents_above_the_positive() -> None:
    assert found(pool_of([0.5, 0.75, 1.0], [[0]], absolute_margin=-0.25)) == [1]


def test_the_relative_margin_of_a_negative_reference_lies_below_it() -> None:
    assert found(pool_of([-1.0, -1.25, -1.5], [[0]], relative_margin=0.5)) == [2]


def test_margins_are_taken_off_the_reference() -> None:
    # 0.125 + 0.02 <= 0.145, yet 0.145 - 0.02 < 0.125.
    assert 0.125 + 0.02 <= 0.145
    assert pool_of([0.125], outside(0.145), absolute_margin=0.02).counts.tolist() == [0]
    # ref * (1 - m) differs too, either way.
    for score, margin, reference, count in (
        (0.859375, 0.15, 1.0110294117647058, 1),
        (0.09375, 0.1, 0.10416666666666666, 0),
    ):
        assert (score <= reference * (1 - margin)) != bool(count)
        assert pool_of([score], outside(reference), relative_margin=margin).counts.tolist() == [count]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"max_score": 0.5, "absolute_margin": 0.5, "relative_margin": 0.5}, "above_max_score"),
        ({"absolute_margin": 0.5, "relative_margin": 0.5}, "above_absolute_margin"),
        ({"max_score": 0.9, "absolute_margin": 0.1, "relative_margin": 0.5}, "above_relative_margin"),
        ({"max_score": 0.9, "absolute_margin": 0.5, "relative_margin": 0.1}, "above_absolute_margin"),
        ({"max_score": 0.5, "absolute_margin": 0.25, "relative_margin": 0.25}, "above_max_score"),
    ],
)
def test_the_tightest_cap_counts_and_ties_go_to_the_first(options: dict[str, float], line: str) -> None:
    pool = pool_of([1.0, 0.75, 0.5], [[0]], **options)
    assert found(pool) == [2]
    assert lines(pool) == {"positives": 1, line: 1, "rest": 1}
    assert pool.cap_scores.tolist() == [0.5]


def test_above_the_cap_counts_there_though_below_the_floor() -> None:
    pool = pool_of([1.0, 0.75, 0.25], [[0]], relative_margin=0.5, min_score=0.8)
    assert lines(pool) == {"positives": 1, "above_relative_margin": 1, "rest": 1}
    assert pool.counts.tolist() == [0]


def test_options_that_no_row_can_meet_are_refused() -> None:
    with pytest.raises(
        NegmineValueError, match=r"`min_score` must be at most `max_score`.*min_score=0.8, max_score=0.5"
    ):
        HardNegativeMiner(min_score=0.8, max_score=0.5)
    corpus = column([1.0, 0.5, 0.25])
    narrow = HardNegativeMiner(3, range_min=1, range_max=3)
    for mine in (narrow.mine, lambda *given: negmine.mine(given[1], corpus, given[2], num_negatives=3, range_max=2)):
        with pytest.raises(NegmineValueError, match="`range_max` must leave `num_negatives`=3 ranks"):
            mine(ExactIndex(corpus, metric="ip"), column([1.0]), [[0]])


def test_every_document_falls_under_exactly_one_line() -> None:
    pool = pool_of([1.0, 0.9, 0.75, 0.5, 0.25], [[0]], max_score=0.8, min_score=0.5, exclude=[[1]], range_max=1)
    assert lines(pool) == {"positives": 1, "excluded": 1, "rest": 3}
    assert sum(pool.report.totals().values()) == 5


def test_candidates_above_the_cap_are_all_counted_though_the_pool_is_full() -> None:
    pool = pool_of(np.linspace(0.0, 1.0, 5001), max_score=0.5, range_max=3)
    assert lines(pool) == {"above_max_score": 2500, "rest": 2501}
    assert pool.reasons.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "kept"),
    [({"absolute_margin": 0.05}, [4, 5]), ({"relative_margin": 0.05}, [3, 4, 5]), ({"max_score": 0.7}, [5])],
)
def test_golden_t7_filters(options: dict[str, float], kept: list[int]) -> None:
    assert found(pool_of([0.95, 0.80, 0.77, 0.76, 0.74, 0.50], outside(0.80), **options)) == kept


# ---- rank window


def test_range_min_counts_survivors_and_not_raw_ranks() -> None:
    pool = pool_of([0.5, 1.0, 0.75, 0.75, 0.5, 0.5], max_score=0.8, range_min=1, range_max=4)
    assert found(pool) == [3, 0, 4]
    assert pool.reasons.tolist() == [0]


def test_range_max_is_counted_from_rank_zero() -> None:
    assert pool_of([1.0] * 9, range_min=4, range_max=6).indices.shape == (1, 2)


@pytest.mark.parametrize(
    ("options", "window"),
    [
        ({}, (0, 7)),
        ({"range_min": 3}, (3, 10)),
        ({"sampling": "random"}, (0, 100)),
        ({"sampling": negmine.Stride(), "range_min": 3}, (3, 103)),
        ({"limit_per_document": 2}, (0, 100)),
        ({"range_max": 4, "sampling": "random", "range_min": 1}, (1, 4)),
    ],
)
def test_the_window_when_range_max_is_not_given(options: dict[str, Any], window: tuple[int, int]) -> None:
    assert HardNegativeMiner(7, **options).window == window
    pool = HardNegativeMiner(7, **options).candidates(ExactIndex(column([1.0] * 200)), column([1.0]), [[]])
    assert pool.indices.shape == (1, window[1] - window[0])
    assert pool.indices[0, 0] == window[0]


def test_more_than_a_hundred_negatives_deepen_the_pool() -> None:
    assert HardNegativeMiner(150, sampling="random", range_min=2).window == (2, 152)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"range_max": 2}, Reason.NONE),
        ({"max_score": 0.5, "min_score": 0.5, "range_max": 2}, Reason.ABOVE_CAP),
        ({"max_score": 1.0, "min_score": 0.5, "range_max": 3}, Reason.BELOW_FLOOR),
        ({"max_score": 1.0, "range_max": 4}, Reason.CORPUS_EXHAUSTED),
        ({"range_min": 3, "range_max": 4}, Reason.CORPUS_EXHAUSTED),
        ({"range_min": 2, "range_max": 4, "max_score": 0.5}, Reason.ABOVE_CAP),
    ],
)
def test_why_a_pool_is_not_full(options: dict[str, Any], reason: Reason) -> None:
    pool = pool_of([1.0, 0.5, 0.25], **options)
    assert Reason(pool.reasons[0]) is reason
    assert pool.report.short == ({} if reason is Reason.NONE else {reason.name.lower(): 1})


# ---- chunks


def test_query_offset_moves_rows_and_draws_together() -> None:
    corpus, queries = column(np.linspace(1, 0, 50)), column([1.0, 0.5, 0.25])
    index = ExactIndex(corpus, metric="ip")
    miner = HardNegativeMiner(5, sampling="random", num_random=2)
    whole = miner.mine(index, queries, [[]] * 3, epoch=4)
    part = miner.mine(index, queries[1:], [[]] * 2, epoch=4, query_offset=1)
    assert (part.indices == whole.indices[1:]).all()
    assert part.query_indices.tolist() == [1, 2]
    assert (miner.mine(index, queries[1:], [[]] * 2, epoch=4).indices != whole.indices[1:]).any()


@pytest.mark.parametrize("offset", [0, 5])
def test_a_warm_start_spares_work_and_changes_nothing(offset: int) -> None:
    rng = np.random.default_rng(6)
    index, queries = ExactIndex(rng.standard_normal((4000, 32))), rng.standard_normal((8, 32))
    miner, positives = HardNegativeMiner(10), [[query] for query in range(8)]
    cold = miner.candidates(index, queries, positives, query_offset=offset)
    for warm_start in (cold, cold.select(10), cold.indices, cold.indices[:, ::-1]):
        warm = miner.candidates(index, queries, positives, query_offset=offset, warm_start=warm_start)
        assert (warm.indices == cold.indices).all()
        assert warm.report.diagnostics["survivors"] < cold.report.diagnostics["survivors"] / 4


def test_no_queries_and_no_documents() -> None:
    empty = np.empty((0, 1), dtype=np.float32)
    pool = HardNegativeMiner(2).candidates(ExactIndex(empty), column([1.0]), [[]])
    assert pool.indices.tolist() == [[-1, -1]]
    assert Reason(pool.reasons[0]) is Reason.CORPUS_EXHAUSTED
    pool = HardNegativeMiner(2).candidates(ExactIndex(column([1.0])), empty, [])
    assert pool.indices.shape == (0, 2)
    assert pool.select(2, num_random=1).indices.shape == (0, 3)
    assert len(pool.select(1, limit_per_document=1)) == 0


# ---- the one call


def test_mine_is_index_miner_and_choice_in_one() -> None:
    rng = np.random.default_rng(3)
    corpus, queries = rng.standard_normal((80, 6)), rng.standard_normal((5, 6))
    positives = [[i] for i in range(5)]
    once = negmine.mine(
        queries,
        corpus,
        positives,
        num_negatives=4,
        metric="l2",
        document_ids=np.arange(80) + 1000,
        sampling="random",
        absolute_margin=0.5,
        groups=np.arange(80) // 2,
        exclude=[[9]] * 5,
        query_offset=3,
        epoch=2,
        seed=9,
        num_random=1,
        num_threads=2,
    )
    index = ExactIndex(corpus, metric="l2", ids=np.arange(80) + 1000)
    miner = HardNegativeMiner(4, sampling="random", absolute_margin=0.5, seed=9, num_random=1)
    steps = miner.candidates(
        index, queries, positives, groups=np.arange(80) // 2, exclude=[[9]] * 5, query_offset=3
    ).select(4, sampling="random", seed=9, epoch=2, num_random=1)
    for name in ("indices", "ids", "scores", "counts", "reasons", "source", "query_indices"):
        assert (getattr(once, name) == getattr(steps, name)).all(), name
    assert once.report == steps.report
    assert once.ids[0, 0] == once.indices[0, 0] + 1000
