"""The oracle against cases small enough to be done by hand, and against the golden values of the specification."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

import oracle
import oracle_draws
from oracle import Limits, Rules
from oracle_draws import Place, SimANS, Softmax, Stride

QUERY = [[1.0]]
DEEP = Limits(range_max=100)


def line(*scores: float) -> list[list[float]]:
    """Build a corpus of width 1 whose inner products with the query 1.0 are the given scores."""
    return [[score] for score in scores]


def mine(
    scores: Sequence[float],
    positives: Sequence[oracle.Positive] = (),
    limits: Limits = DEEP,
    rules: Rules | None = None,
) -> oracle.Row:
    """Run the first stage for one query."""
    (row,) = oracle.candidates(QUERY, line(*scores), [positives], limits, metric="ip", rules=rules)
    return row


# ---- canonical scores


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 40, 100])
def test_lane_sums_are_the_sixteen_lane_loop(metric: oracle.Metric, width: int) -> None:
    rng = np.random.default_rng(width)
    a, b = (rng.standard_normal((2, width)) * 10.0 ** rng.integers(-9, 9, (2, width))).astype(np.float32).astype(float)
    lanes = [0.0] * 16
    for j in range(width):
        lanes[j % 16] += a[j] * b[j] if metric == "ip" else (a[j] - b[j]) * (a[j] - b[j])
    for half in (8, 4, 2, 1):
        lanes = [lanes[lane] + lanes[lane + half] for lane in range(half)]
    assert oracle.lane_sums(a, b, metric) == lanes[0]


def test_lanes_decide_the_last_bit() -> None:
    # One lane adds 2^60, -2^60 and 1 in this order: 1 survives, and in the other order it is lost.
    row = np.zeros((1, 33))
    row[0, [0, 16, 32]] = 2.0**60, -(2.0**60), 1.0
    assert oracle.pair_scores(row, np.ones((1, 33)), "ip")[0] == 1.0
    row[0, [0, 16, 32]] = 2.0**60, 1.0, -(2.0**60)
    assert oracle.pair_scores(row, np.ones((1, 33)), "ip")[0] == 0.0


def test_cosine_of_zero_rows_is_plus_zero_and_l2_of_equal_rows_too() -> None:
    zero = oracle.pair_scores([[0.0, 0.0]], [[1.0, -2.0]], "cosine")[0]
    equal = oracle.pair_scores([[3.0, 4.0]], [[3.0, 4.0]], "l2")[0]
    for score in (zero, equal):
        assert score == 0.0
        assert not np.signbit(score)
    assert oracle.pair_scores([[3.0, 4.0]], [[0.0, 0.0]], "l2")[0] == -25.0
    assert oracle.pair_scores([[3.0, 4.0]], [[-6.0, -8.0]])[0] == -1.0


def test_cosine_is_clamped() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(-(2**20), 2**20, (500, 24)) * 2.0 ** rng.integers(-20, 0, (500, 24))  # three times it is exact
    norms = [oracle.lane_sums(x, x, "ip") for x in (rows, 3 * rows)]
    assert (oracle.lane_sums(rows, 3 * rows, "ip") / np.sqrt(norms[0] * norms[1])).max() > 1.0
    assert oracle.pair_scores(rows, 3 * rows).max() == 1.0
    assert oracle.pair_scores(rows, -3 * rows).min() == -1.0


def test_public_scores_saturate_and_have_no_negative_zero() -> None:
    largest = np.finfo(np.float32).max
    shown = oracle.public_scores([1e300, -1e300, -0.0, -1e-300, 0.1, float(largest) * (1 + 2.0**-26)])
    assert shown.tolist() == [largest, -largest, 0.0, 0.0, np.float32(0.1), largest]
    assert not np.signbit(shown[2:4]).any()


# ---- rules, caps, floor, window


def test_a_document_counts_under_the_first_rule_that_bars_it() -> None:
    rules = Rules(exclude=[[0, 1]], self_rows=[2], groups=[7, 7, 7, 7, -1, -1], eligible=([0, 0, 0, 0, 0, 5], [1], [9]))
    row = mine([1, 1, 1, 1, 1, 1], [0], rules=rules)
    assert row.pool == [5]
    assert [row.counts[name] for name in oracle.RULES[1:]] == [1, 1, 1, 1, 1]


def test_group_of_no_group_bars_nobody() -> None:
    assert mine([3, 2, 1], [0], rules=Rules(groups=[-1, -1, 4])).pool == [1, 2]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(absolute_margin=0.05, range_max=9), [4, 5]),
        (Limits(relative_margin=0.05, range_max=9), [3, 4, 5]),
        (Limits(max_score=0.7, range_max=9), [5]),
    ],
)
def test_golden_t7_filters(limits: Limits, kept: list[int]) -> None:
    scores = np.array([0.95, 0.80, 0.77, 0.76, 0.74, 0.50])
    row = oracle.make_row(0, 0, -1, 0.80, scores, np.zeros(6, dtype=np.int8), limits)
    assert row.pool == kept


def test_caps_and_floor_keep_equality() -> None:
    row = mine([1.0, 0.75, 0.5, 0.25], [0], Limits(absolute_margin=0.25, min_score=0.5, range_max=9))
    assert row.pool == [1, 2]
    assert (row.capped, row.below_floor) == (0, 1)


def test_relative_margin_of_a_negative_reference_lies_below_it() -> None:
    assert mine([-1.0, -1.25, -1.5], [0], Limits(relative_margin=0.5, range_max=9)).pool == [2]


def test_the_tightest_cap_counts_and_ties_go_to_the_first() -> None:
    tied = Limits(max_score=0.5, absolute_margin=0.5, relative_margin=0.5, range_max=9)
    row = mine([1.0, 0.75, 0.5], [0], tied)
    assert [row.counts[name] for name in oracle.CAPS] == [1, 0, 0]
    row = mine([1.0, 0.75, 0.5], [0], Limits(absolute_margin=0.5, relative_margin=0.5, range_max=9))
    assert [row.counts[name] for name in oracle.CAPS] == [0, 1, 0]
    row = mine([1.0, 0.75, 0.5], [0], Limits(max_score=0.9, absolute_margin=0.1, relative_margin=0.5, range_max=9))
    assert [row.counts[name] for name in oracle.CAPS] == [0, 0, 1]


def test_above_the_cap_counts_there_though_below_the_floor() -> None:
    row = mine([1.0, 0.75, 0.25], [0], Limits(max_score=0.5, min_score=0.8, range_max=9))
    assert (row.capped, row.below_floor) == (1, 1)


@pytest.mark.parametrize(("kind", "reference"), [("min", 0.25), ("max", 1.0), ("mean", 0.5625)])
def test_references(kind: oracle.Reference, reference: float) -> None:
    row = mine([1.0, 0.25, 0.5, 0.5], [2, 1, 0, 2, 3], Limits(reference=kind, range_max=9))
    assert row.reference == reference


def test_reference_each_gives_a_row_per_positive_and_excludes_them_all() -> None:
    limits = Limits(absolute_margin=0.0, reference="each", range_max=9)
    rows = oracle.candidates([[1.0], [1.0]], line(1.0, 0.5, 0.75, 0.25), [[1, 0], []], limits, metric="ip")
    assert [(row.query, row.positive, row.pool, row.reason) for row in rows] == [
        (0, 0, [2, 3], "corpus_exhausted"),
        (0, 1, [3], "above_cap"),
        (1, -1, [], "no_positive"),
    ]
    assert sum(rows[2].counts.values()) == 0


def test_a_positive_outside_the_corpus_gives_a_reference_and_bars_nobody() -> None:
    row = mine([1.0, 0.5], [0.75], Limits(absolute_margin=0.0, range_max=9))
    assert (row.reference, row.pool, row.counts["positive"]) == (0.75, [1], 0)


def test_without_positives_only_a_margin_needs_a_reference() -> None:
    assert mine([1.0, 0.5], [], Limits(max_score=0.75, range_max=9)).pool == [1]
    assert mine([1.0], [], Limits(relative_margin=0.0)).reason == "no_positive"


def test_window_counts_survivors_and_ties_go_by_row() -> None:
    row = mine([0.5, 1.0, 0.75, 0.75, 0.5, 0.5], [], Limits(max_score=0.8, range_min=1, range_max=4))
    assert row.pool == [3, 0, 4]
    assert row.reason == ""


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_score=0.5, min_score=0.5), "above_cap"),
        (Limits(max_score=1.0, min_score=0.5), "below_floor"),
        (Limits(max_score=1.0), "corpus_exhausted"),
        (Limits(range_max=3), ""),
    ],
)
def test_pool_reasons_in_their_order(limits: Limits, reason: str) -> None:
    assert mine([1.0, 0.5, 0.25], [], limits).reason == reason


# ---- draws


@pytest.mark.parametrize(
    ("seed", "stream", "epoch", "query", "document", "lane"),
    [
        (0, 0, 0, 0, 0, 0x02F4BA6408E4D89B),
        (42, 1, 0, 0, 0, 0x719965F2DEBB5C86),
        (42, 1, 3, 7, 123456789, 0xF0BF7D48A7E2C207),
        (42, 1, 3, 123456789, 7, 0x9A51F473669AB9F0),
        (2**64 - 1, 2, 2**32 - 1, 2**63 - 1, 2**63 - 1, 0x2531A1EBC0C2831A),
    ],
)
def test_golden_draws_by_document(seed: int, stream: int, epoch: int, query: int, document: int, lane: int) -> None:
    assert oracle_draws.draw_by_document(seed, stream, epoch, query, document) == lane


def test_golden_draws_of_each_and_by_number() -> None:
    assert oracle_draws.draw_by_document(42, 1, 0, 7, 123, extra=1 + 5) == 0x64C72C73957F9EDD
    assert [oracle_draws.draw_by_number(42, 2, 0, 7, t) for t in range(5)] == [
        0x0C89AC06F01D8E29,
        0x5236172067D227DE,
        0x51EA68A01879BE83,
        0xC1CED9405EDE0965,
        0x10BCAB2BED6CB3F1,
    ]


def test_uniform_stays_inside_the_open_interval() -> None:
    assert oracle_draws.uniform(0) == 2.0**-53
    assert oracle_draws.uniform(2**64 - 1) == 1.0 - 2.0**-53


def test_log_has_the_bits_of_libm() -> None:
    # Computed with the crate libm 0.2.16, without its architecture feature; 102,000 further draws agreed too.
    golden = {
        2.0**-53: 0xC0425E4F7B2737FA,
        1 / 3: 0xBFF193EA7AAD030B,
        0.5: 0xBFE62E42FEFA39EF,
        0.999: 0xBF5064670D979B73,
        1 - 2.0**-53: 0xBCA0000000000000,
        36.7: 0x400CD27C9E8E3110,
        7.25: 0x3FFFB22E98A1C24E,
    }
    for x, bits in golden.items():
        assert int(np.float64(oracle_draws.log(x)).view(np.uint64)) == bits
        assert math.isclose(oracle_draws.log(x), math.log(x), rel_tol=3e-16)


# ---- policies


def order(
    policy: oracle_draws.Policy, scores: list[float], n: int = 3, ref: float = math.nan, epoch: int = 0
) -> list[int]:
    """Order a pool of documents 0, 1, ... with the given scores."""
    return oracle_draws.order(policy, n, list(range(len(scores))), scores, ref, Place(42, epoch, 7, 0))


@pytest.mark.parametrize(
    ("b", "weights"),
    [(0.0, [0.077681, 0.573986, 0.348140, 0.000193]), (1.0, [0.006821, 0.372391, 0.613968, 0.006821])],
)
def test_golden_t8_simans(b: float, weights: list[float]) -> None:
    logs = oracle_draws.log_weights(SimANS(a=0.5, b=b, scale="raw"), [82.0, 80.0, 79.0, 76.0], 80.0)
    unnormalized = np.exp(logs)
    np.testing.assert_allclose(unnormalized / unnormalized.sum(), weights, atol=5e-7)


def test_golden_t9_stride() -> None:
    picked = [order(Stride(), [0.0] * 10, n=3, epoch=epoch)[:3] for epoch in range(4)]
    assert picked == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 3, 6]]


def test_stride_with_more_wanted_than_there_are_takes_all() -> None:
    assert order(Stride(), [3.0, 2.0], n=5, epoch=3) == [0, 1]


def test_ambiguous_with_std_is_free_of_the_scale_of_the_scores() -> None:
    scores = [8.0, 6.0, 5.0, 1.0]
    small = [score / 1024 for score in scores]
    weights = oracle_draws.log_weights(SimANS(), scores, 7.0)
    assert weights == oracle_draws.log_weights(SimANS(), small, 7.0 / 1024)
    variance = np.var(scores)
    np.testing.assert_allclose(weights, [-0.5 * (s - 7.0) ** 2 / variance for s in scores], rtol=1e-14)


def test_ambiguous_equal_weights_and_missing_reference() -> None:
    assert oracle_draws.log_weights(SimANS(), [2.0, 2.0], 9.0) == [0.0, 0.0]
    assert oracle_draws.log_weights(SimANS(a=0.0, scale="raw"), [1e300, -1e300], -1e300) == [0.0, 0.0]
    assert order(SimANS(a=0.0), [2.0, 1.0], ref=math.nan) == []


def test_log_weights_below_the_range_follow_by_distance() -> None:
    assert order(Softmax(1e-320), [1.0, 1.0, 0.5, 0.25]) in ([0, 1, 2, 3], [1, 0, 2, 3])
    assert order(SimANS(scale="raw"), [1e200, 0.0], ref=0.0) == [1, 0]
    assert order(SimANS(a=1e308, b=1e308), [2.0, 1.0, 0.0], ref=-1e308) == [0, 1, 2]
    assert order(SimANS(a=1e308), [3.0, 2.0, 1.0], ref=1.2) == [2, 1, 0]
    # exp(-5000) is 0 in f64, but the weight is not: the order is complete.
    assert order(Softmax(1e-4), [1.0, 0.5]) == [0, 1]


def test_random_is_the_order_of_the_raw_draws() -> None:
    draws = [oracle_draws.draw_by_document(42, 1, 0, 7, document) for document in range(20)]
    assert order("random", [0.0] * 20) == sorted(range(20), key=lambda document: -draws[document])


def test_softmax_first_choice_has_the_softmax_law() -> None:
    scores = [2.0, 1.0, 0.0, -1.0]
    n = 3000
    first = np.bincount([order(Softmax(1.0), scores, epoch=epoch)[0] for epoch in range(n)], minlength=4) / n
    law = np.exp(scores) / np.exp(scores).sum()
    assert (np.abs(first - law) < 4 * np.sqrt(law * (1 - law) / n)).all()


# ---- selection


def two_rows(limits: Limits, scores: Sequence[float] = (1.0, 0.75, 0.5, 0.25)) -> list[oracle.Row]:
    """Build two queries over one corpus; the second scores every document half as high."""
    return oracle.candidates([[1.0], [0.5]], line(*scores), [[], []], limits, metric="ip")


def test_document_limit_prefers_the_better_score_and_then_the_lower_row() -> None:
    pool = two_rows(Limits(range_max=4))
    first, second = oracle.select(pool, 2, limit_per_document=1)
    assert (first.rows, second.rows) == ([0, 1], [2, 3])
    equal = oracle.candidates([[1.0], [1.0]], line(1.0, 0.5), [[], []], Limits(range_max=2), metric="ip")
    first, second = oracle.select(equal, 1, limit_per_document=1)
    assert (first.rows, second.rows) == ([0], [1])
    first, second = oracle.select(equal, 2, limit_per_document=1)
    assert (first.rows, second.rows, first.reason, second.reason) == ([0, 1], [], "", "document_limit")


def test_deferred_acceptance_is_stable_and_row_optimal() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        scores = rng.integers(0, 3, (3, 4)).astype(float)
        preferences = [rng.permutation(4)[: rng.integers(1, 5)].tolist() for _ in range(3)]
        found = oracle.deferred_acceptance(preferences, list(scores), 1, 1)
        stable = [m for m in assignments(preferences) if is_stable(m, preferences, scores)]
        mine = tuple(held[0] if held else -1 for held in found)
        assert mine in stable
        for other in stable:
            for row in range(3):
                assert place_of(mine[row], preferences[row]) <= place_of(other[row], preferences[row])


def place_of(document: int, preference: list[int]) -> int:
    """Say how far down its order a row got; unserved is last."""
    return preference.index(document) if document >= 0 else len(preference)


def assignments(preferences: list[list[int]]) -> list[tuple[int, ...]]:
    """List every way to give each row one document or none, no document twice."""
    ways = itertools.product(*[[-1, *preference] for preference in preferences])
    return [way for way in ways if len({d for d in way if d >= 0}) == sum(d >= 0 for d in way)]


def is_stable(way: tuple[int, ...], preferences: list[list[int]], scores: np.ndarray) -> bool:
    """Check that no row and document would both rather have each other."""
    for row, preference in enumerate(preferences):
        for document in preference[: place_of(way[row], preference)]:
            holder = way.index(document) if document in way else None
            if holder is None or (-scores[row, document], row) < (-scores[holder, document], holder):
                return False
    return True


def test_random_negatives_pass_over_the_chosen_the_capped_and_the_floor() -> None:
    limits = Limits(max_score=0.9, min_score=0.2, range_max=1)
    (row, _) = pool = two_rows(limits, [1.0, 0.75, 0.5, 0.25, 0.125])
    first, _ = oracle.select(pool, 1, num_random=2, seed=42)
    assert first.mined == [1]
    draws = [(oracle_draws.draw_by_number(42, 2, 0, 0, t) * 5) >> 64 for t in range(128)]
    wanted = list(dict.fromkeys(document for document in draws if document in (2, 3)))
    assert first.random == wanted
    assert first.scores.tolist() == [0.75, *row.scores[wanted]]
    starved, _ = oracle.select(pool, 1, num_random=3, seed=42)
    assert (len(starved.random), starved.reason) == (2, "random_exhausted")


def test_reasons_of_selection_in_their_order() -> None:
    full = two_rows(Limits(range_max=2))
    assert oracle.select(full, 3)[0].reason == "rank_window"
    assert oracle.select(full, 3, Softmax(1e-320))[0].reason == "rank_window"
    wide = two_rows(Limits(range_max=9))
    assert oracle.select(wide, 2, Softmax(1e-320))[0].reason == ""
    assert oracle.select(wide, 5)[0].reason == "corpus_exhausted"
    assert oracle.select(wide, 2, SimANS())[0].reason == "no_positive"


def test_chosen_are_sorted_by_score_whatever_the_order() -> None:
    pool = two_rows(Limits(range_max=4), [0.25, 0.5, 0.75, 0.75])
    for seed in range(10):
        chosen = oracle.select(pool, 3, "random", seed=seed)[0]
        assert chosen.rows == sorted(chosen.rows, key=lambda row: (-pool[0].scores[row], row))


def test_draws_follow_the_global_row() -> None:
    queries, corpus = [[1.0], [0.5], [0.25]], line(*[1.0] * 30)
    limits = Limits(range_max=30)
    whole = oracle.select(
        oracle.candidates(queries, corpus, [[], [], []], limits, metric="ip"), 5, "random", num_random=2
    )
    part = oracle.candidates(queries[1:], corpus, [[], []], limits, metric="ip", query_offset=1)
    cut = oracle.select(part, 5, "random", num_random=2)
    assert [chosen.rows for chosen in cut] == [chosen.rows for chosen in whole[1:]]


# ---- the rest


def test_sweep_censors_full_lists_with_too_few_survivors() -> None:
    rows = oracle.candidates(QUERY, line(1.0, 0.75, 0.5, 0.25), [[0.875]], Limits(range_max=2), metric="ip")
    swept = [oracle.sweep(rows, Limits(absolute_margin=m, range_max=2), depth=3)[0] for m in (0.0, 0.25, 0.5)]
    assert [(row.listed, row.rejected, row.censored) for row in swept] == [(3, 1, False), (3, 2, True), (3, 3, True)]
    assert not oracle.sweep(rows, Limits(absolute_margin=0.5, range_max=2), depth=5)[0].censored


def test_suspects_score_above_their_reference() -> None:
    pool = oracle.candidates(QUERY, line(0.5, 0.75, 0.5), [[0]], Limits(range_max=5), metric="ip")
    assert oracle.label_issues(pool, oracle.select(pool, 2)) == [(0, 1)]


def test_search_pads() -> None:
    rows, scores, counts = oracle.search(QUERY, line(0.5, 1.0, 1.0), 4, metric="ip", exclude=[[2]])
    assert rows.tolist() == [[1, 0, -1, -1]]
    assert scores.tolist() == [[1.0, 0.5, -np.inf, -np.inf]]
    assert counts.tolist() == [2]
    rows, _, counts = oracle.search(QUERY, np.empty((0, 1)), 0, metric="ip")
    assert (rows.shape, counts.tolist()) == ((1, 0), [0])
