"""One test per rule of selection: policies, draws, document limits, random negatives, and why rows are short."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from negmine import (
    CandidatePool,
    Eligibility,
    ExactIndex,
    HardNegativeMiner,
    Positives,
    SimANS,
    Softmax,
    Stride,
    Typical,
)
from negmine.errors import NegmineValueError
from negmine.mining import Reason
from negmine.mining.report import Source

GOLDEN = [
    # seed, epoch, query, document -> draw, all on stream 1
    (42, 0, 0, 0, 0x719965F2DEBB5C86),
    (42, 3, 7, 123456789, 0xF0BF7D48A7E2C207),
    (42, 3, 123456789, 7, 0x9A51F473669AB9F0),
]
BY_NUMBER = [0x0C89AC06F01D8E29, 0x5236172067D227DE, 0x51EA68A01879BE83, 0xC1CED9405EDE0965, 0x10BCAB2BED6CB3F1]


def column(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def pool_of(
    scores: Sequence[float],
    positives: Any = ((),),
    *,
    queries: Sequence[float] = (1.0,),
    query_offset: int = 0,
    exclude: Any = None,
    eligible: Any = None,
    ids: Any = None,
    **options: Any,
) -> CandidatePool:
    """Mine one pool of documents that score their own values, 99 deep unless told otherwise."""
    options.setdefault("range_max", 99)
    index = ExactIndex(column(scores), metric="ip", ids=ids)
    return HardNegativeMiner(**options).candidates(
        index, column(queries), positives, query_offset=query_offset, exclude=exclude, eligible=eligible
    )


def outside(*scores: float) -> Positives:
    """One query whose positives lie outside the corpus."""
    return Positives.from_csr([0, len(scores)], [-1] * len(scores), positive_scores=scores)


def draw(seed: int, epoch: int, query: int, document: int, extra: int = 0, stream: int = 1) -> int:
    """Draw by document, as the specification writes it in NumPy."""
    key = np.array([seed, stream], dtype=np.uint64)
    counter = np.array([extra, document, query, epoch], dtype=np.uint64)
    return int(np.random.Philox(key=key, counter=counter).random_raw())


def reasons(result: Any) -> list[Reason]:
    return [Reason(value) for value in result.reasons]


# ---- top


def test_top_takes_the_first_ranks() -> None:
    negatives = pool_of([0.25, 1.0, 0.5, 0.75]).select(2)
    assert negatives.indices.tolist() == [[1, 3]]
    assert negatives.scores.tolist() == [[1.0, 0.75]]
    assert negatives.source.tolist() == [[Source.MINED, Source.MINED]]


# ---- random


def test_the_helper_draws_the_golden_numbers() -> None:
    for seed, epoch, query, document, lane in GOLDEN:
        assert draw(seed, epoch, query, document) == lane


@pytest.mark.parametrize(
    ("seed", "epoch", "offset"), [(42, 0, 0), (42, 3, 7), (0, 2**64 - 1, 2**40), (2**64 - 1, 1, 0)]
)
def test_random_takes_the_largest_draws_and_sorts_them_by_score(seed: int, epoch: int, offset: int) -> None:
    pool = pool_of(np.linspace(1, 0, 60), query_offset=offset)
    largest = sorted(range(60), key=lambda document: -(draw(seed, epoch, offset, document) >> 12))[:10]
    negatives = pool.select(10, sampling="random", seed=seed, epoch=epoch)
    assert negatives.indices.tolist() == [sorted(largest)]


def test_random_under_each_draws_by_positive() -> None:
    pool = pool_of(np.linspace(1, 0, 60), [[5, 9]], reference="each")
    negatives = pool.select(8, sampling="random", seed=42)
    for row, positive in enumerate((5, 9)):
        documents = [document for document in range(60) if document not in (5, 9)]
        largest = sorted(documents, key=lambda document: -draw(42, 0, 0, document, extra=1 + positive))[:8]
        assert negatives.indices[row].tolist() == sorted(largest)


def test_without_each_draws_do_not_depend_on_positives() -> None:
    plain = pool_of(np.linspace(1, 0, 60)).select(60, sampling="random", seed=1)
    known = pool_of(np.linspace(1, 0, 60), [[3]]).select(60, sampling="random", seed=1)
    assert [row for row in plain.indices[0] if row != 3] == known.indices[0, :59].tolist()


def test_draws_go_by_row_and_not_by_label_or_rank() -> None:
    labeled = pool_of(np.linspace(0, 1, 60), ids=np.arange(60) * 3 + 1).select(9, sampling="random")
    plain = pool_of(np.linspace(1, 0, 60)).select(9, sampling="random")
    assert set(labeled.indices[0]) == set(plain.indices[0])


def test_every_epoch_and_seed_draws_anew() -> None:
    pool = pool_of(np.linspace(1, 0, 90))
    seen = {tuple(pool.select(5, sampling="random", epoch=e, seed=s).indices[0]) for e in range(5) for s in range(5)}
    assert len(seen) == 25


# ---- weights


def test_softmax_first_choice_has_the_softmax_law() -> None:
    pool = pool_of([2.0, 1.0, 0.0, -1.0])
    n = 2000
    first = np.bincount([pool.select(1, sampling=Softmax(1.0), epoch=e).indices[0, 0] for e in range(n)], minlength=4)
    assert_law(first, np.exp([2.0, 1.0, 0.0, -1.0]))


def test_softmax_draws_without_replacement_as_one_after_the_other_would() -> None:
    pool = pool_of([2.0, 1.0, 0.0])
    n = 2000
    pairs = [tuple(pool.select(2, sampling=Softmax(1.0), epoch=e).indices[0].tolist()) for e in range(n)]
    weights = np.exp([2.0, 1.0, 0.0])
    law = {}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        first, second, whole = weights[i], weights[j], weights.sum()
        law[i, j] = first / whole * second / (whole - first) + second / whole * first / (whole - second)
    assert_law(np.array([pairs.count(pair) for pair in law]), np.array(list(law.values())))


@pytest.mark.parametrize(
    ("b", "weights"),
    [(0.0, [0.077681, 0.573986, 0.348140, 0.000193]), (1.0, [0.006821, 0.372391, 0.613968, 0.006821])],
)
def test_golden_t8_simans(b: float, weights: list[float]) -> None:
    pool = pool_of([82.0, 80.0, 79.0, 76.0], outside(80.0))
    policy = SimANS(a=0.5, b=b, scale="raw")
    n = 2000
    first = np.bincount([pool.select(1, sampling=policy, epoch=e).indices[0, 0] for e in range(n)], minlength=4)
    assert_law(first, np.array(weights))


def assert_law(counts: np.ndarray, weights: np.ndarray) -> None:
    """Within four standard deviations of the weights' law."""
    n, law = counts.sum(), weights / weights.sum()
    assert (np.abs(counts / n - law) < 4 * np.sqrt(law * (1 - law) / n) + 1e-9).all()


def test_a_cold_softmax_is_top_and_weights_too_small_for_exp_stay_in_order() -> None:
    pool = pool_of([1.0, 0.5, 0.25])
    assert pool.select(2, sampling=Softmax(1e-4)).indices.tolist() == [[0, 1]]
    assert pool.select(3, sampling=Softmax(1e-4)).counts.tolist() == [3]


@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-300])
def test_the_coldest_softmax_is_top(temperature: float) -> None:
    pool = pool_of([1.0, 0.5, 0.25, -1.0])
    for n in (1, 2, 3, 4):
        for epoch in range(5):
            found = pool.select(n, sampling=Softmax(temperature), epoch=epoch)
            assert found.indices.tolist() == pool.select(n).indices.tolist()
    assert reasons(pool.select(5, sampling=Softmax(temperature))) == [Reason.CORPUS_EXHAUSTED]
    # Equal scores have equal weights, and the best ones are drawn.
    ties = pool_of([1.0, 1.0, 0.5])
    assert {ties.select(1, sampling=Softmax(temperature), epoch=epoch).indices[0, 0] for epoch in range(40)} == {0, 1}
    assert ties.select(3, sampling=Softmax(temperature)).indices.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("scale", ["std", "raw"])
def test_the_sharpest_simans_takes_what_is_closest_to_the_reference(scale: Any) -> None:
    pool = pool_of([82.0, 80.0, 79.0, 76.0], outside(79.75))
    for n, closest in ((1, [1]), (2, [1, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])):
        for epoch in range(5):
            found = pool.select(n, sampling=SimANS(a=1e308, scale=scale), epoch=epoch)
            assert found.indices.tolist() == [closest]
    shifted = pool.select(1, sampling=SimANS(a=1e308, b=4.0, scale=scale))
    assert shifted.indices.tolist() == [[3]]


def test_a_reference_far_beyond_the_scores_fills_the_row_in_rank_order() -> None:
    pool = pool_of([82.0, 80.0, 79.0, 76.0], outside(1e300))
    for scale in ("std", "raw"):
        assert pool.select(3, sampling=SimANS(scale=scale)).indices.tolist() == [[0, 1, 2]]


def test_ambiguous_with_std_is_free_of_the_unit_of_the_scores() -> None:
    scores = np.array([8.0, 6.0, 5.0, 1.0])
    plain = [pool_of(scores, outside(7.0)).select(2, sampling=SimANS(), epoch=e).indices.tolist() for e in range(40)]
    small = pool_of(scores / 1024, outside(7.0 / 1024))
    assert plain == [small.select(2, sampling=SimANS(), epoch=e).indices.tolist() for e in range(40)]
    raw = [small.select(2, sampling=SimANS(scale="raw"), epoch=e).indices.tolist() for e in range(40)]
    assert raw != plain


@pytest.mark.parametrize("policy", [SimANS(a=0.0), SimANS(a=0.0, scale="raw", b=1e300)])
def test_ambiguous_with_a_of_zero_is_random(policy: SimANS) -> None:
    pool = pool_of(np.linspace(1, 0, 40), outside(0.5))
    assert (pool.select(6, sampling=policy).indices == pool.select(6, sampling="random").indices).all()


def test_ambiguous_on_a_pool_of_equals_is_random() -> None:
    # The mean of equal scores may be off by a rounding: the deviation is 0 all the same.
    scores = np.full(7, np.float32(0.1))
    pool = pool_of(scores, outside(1e300))
    assert (pool.select(3, sampling=SimANS()).indices == pool.select(3, sampling="random").indices).all()


def test_ambiguous_without_a_reference_serves_nobody() -> None:
    pool = pool_of([1.0, 0.5], [[], [0]], queries=[1.0, 1.0])
    for a in (0.5, 0.0):
        negatives = pool.select(1, sampling=SimANS(a=a))
        assert negatives.counts.tolist() == [0, 1]
        assert reasons(negatives) == [Reason.NO_POSITIVE, Reason.NONE]
    totals = negatives.report.totals()
    assert (totals["positives"], totals["rest"]) == (1, 3)
    assert sum(totals.values()) == 4


def test_b_shifts_in_score_units_with_the_sign_of_the_released_code() -> None:
    # score - ref + b is 0 at 79 for ref 80 and b = 1.
    policy = SimANS(a=1e6, b=1.0, scale="raw")
    assert pool_of([82.0, 80.0, 79.0, 76.0], outside(80.0)).select(1, sampling=policy).indices.tolist() == [[2]]


# ---- stride


def test_golden_t9_stride() -> None:
    pool = pool_of(np.linspace(1, 0, 10))
    picked = [pool.select(3, sampling=Stride(), epoch=epoch).indices[0].tolist() for epoch in range(4)]
    assert picked == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 3, 6]]


def test_stride_goes_round_when_a_comb_runs_out() -> None:
    # Ten documents, step 5, offset 4: ranks 4 and 9, then the comb one further on, 0 and 5.
    assert pool_of(np.linspace(1, 0, 11)).select(2, sampling=Stride(), epoch=4).indices.tolist() == [[4, 9]]
    assert pool_of(np.linspace(1, 0, 9)).select(2, sampling=Stride(), epoch=3).indices.tolist() == [[3, 7]]
    assert pool_of(np.linspace(1, 0, 3)).select(2, sampling=Stride(), epoch=7).indices.tolist() == [[0, 1]]
    assert pool_of([3.0, 2.0]).select(5, sampling=Stride(), epoch=3).indices.tolist() == [[0, 1, -1, -1, -1]]


# ---- the policy sees the pool and nothing else


@pytest.mark.parametrize("sampling", ["random", Softmax(1.0), Stride()])
def test_no_policy_looks_beyond_the_pool(sampling: Any) -> None:
    pool = pool_of(np.linspace(1, 0, 50), range_min=5, range_max=12)
    for epoch in range(20):
        negatives = pool.select(3, sampling=sampling, epoch=epoch)
        assert set(negatives.indices[0]) <= set(range(5, 12))
    assert reasons(pool.select(9, sampling=sampling)) == [Reason.RANK_WINDOW]


def test_select_is_a_pure_function() -> None:
    pool = pool_of(np.linspace(1, 0, 50))
    before = pool.indices.copy(), pool.scores.copy()
    first = pool.select(4, sampling="random", num_random=2, seed=3, epoch=8)
    pool.select(4, sampling=Softmax(0.1), seed=4)
    again = pool.select(4, sampling="random", num_random=2, seed=3, epoch=8)
    assert (first.indices == again.indices).all()
    assert (pool.indices == before[0]).all()
    assert (pool.scores == before[1]).all()


# ---- random negatives


def test_random_negatives_stand_behind_the_mined_ones_in_the_order_drawn() -> None:
    pool = pool_of(np.linspace(1, 0, 1000), query_offset=7, range_max=3)
    negatives = pool.select(3, num_random=5, seed=42)
    drawn = [(x * 1000) >> 64 for x in BY_NUMBER]
    assert negatives.indices.tolist() == [[0, 1, 2, *drawn]]
    assert negatives.source.tolist() == [[Source.MINED] * 3 + [Source.RANDOM] * 5]
    assert negatives.scores[0, 3:].tolist() == np.linspace(1, 0, 1000)[drawn].astype(np.float32).tolist()
    assert negatives.counts.tolist() == [8]


def test_random_negatives_are_numbered_among_candidates_in_row_order() -> None:
    keys = np.arange(1000) % 2
    pool = pool_of(
        np.linspace(1, 0, 1000),
        [[1]],
        exclude=[[3]],
        eligible=Eligibility.equal(keys, [1]),
        query_offset=7,
        range_max=2,
    )
    candidates = [row for row in range(1000) if row % 2 == 1 and row not in (1, 3)]
    drawn = [candidates[(x * len(candidates)) >> 64] for x in BY_NUMBER]
    assert drawn[1] == drawn[2]  # a repeat, which is passed over
    assert pool.select(2, num_random=4, seed=42).indices.tolist() == [[5, 7, *dict.fromkeys(drawn)]]


def test_random_negatives_keep_to_cap_and_floor_and_pass_over_the_chosen() -> None:
    pool = pool_of([1.0, 0.75, 0.5, 0.25, 0.125], max_score=0.9, min_score=0.2, range_max=1)
    for epoch in range(10):
        negatives = pool.select(1, num_random=2, epoch=epoch)
        assert negatives.indices[0, 0] == 1
        assert set(negatives.indices[0, 1:]) == {2, 3}


def test_random_negatives_need_not_come_from_the_pool() -> None:
    pool = pool_of(np.linspace(1, 0, 500), range_max=2)
    assert (pool.select(2, num_random=20).indices[0, 2:] >= 2).all()


def test_too_few_candidates_exhaust_the_draws() -> None:
    negatives = pool_of([1.0, 0.75, 0.5]).select(2, num_random=3)
    assert negatives.indices.tolist() == [[0, 1, 2, -1, -1]]
    assert negatives.scores[0, 3:].tolist() == [-math.inf] * 2
    assert negatives.source.tolist() == [[1, 1, 2, 0, 0]]
    assert reasons(negatives) == [Reason.RANDOM_EXHAUSTED]
    assert negatives.counts.tolist() == [3]


def test_draws_are_given_up_after_64_per_document() -> None:
    # One admitted document among 5,000: 64 draws mostly miss it, however many epochs there are.
    pool = pool_of([1.0] * 4999 + [0.0], max_score=0.0, range_max=1)
    served = sum(int(pool.select(1, num_random=1, epoch=epoch).counts[0]) for epoch in range(50))
    assert served == 50  # the only survivor is mined already
    pool = pool_of([1.0] * 4998 + [0.0, 0.0], max_score=0.0, range_max=1)
    served = sum(int(pool.select(1, num_random=1, epoch=epoch).counts[0]) - 1 for epoch in range(200))
    assert 0 < served < 20


def test_the_64th_draw_of_a_document_counts_and_the_65th_does_not() -> None:
    # Of 64 candidates only the last is admitted (the first is mined); draws of an epoch are numbered from 0.
    pool = pool_of([0.0] * 2 + [1.0] * 61 + [0.0], max_score=0.0, range_max=2)
    key = np.array([0, 2], dtype=np.uint64)
    seen = {}
    for epoch in range(3000):
        counter = np.array([0, 0, 0, epoch], dtype=np.uint64)
        numbers = np.random.Philox(key=key, counter=counter).random_raw(66)
        hits = np.flatnonzero([(int(x) * 64) >> 64 == 63 for x in numbers])
        seen.setdefault(int(hits[0]) if len(hits) else -1, epoch)
    for first, served in ((0, 3), (62, 3), (63, 3), (64, 2), (65, 2)):
        assert pool.select(2, num_random=1, epoch=seen[first]).counts.tolist() == [served], first


def test_a_short_mined_part_is_the_reason_and_random_ones_close_up() -> None:
    pool = pool_of([1.0, 0.75, 0.5, 0.25], max_score=0.8, range_max=1)
    negatives = pool.select(2, num_random=1)
    assert negatives.indices[0, 0] == 1
    assert negatives.indices[0, 1] in (2, 3)
    assert negatives.indices[0, 2] == -1
    assert negatives.source.tolist() == [[1, 2, 0]]
    assert reasons(negatives) == [Reason.RANK_WINDOW]


def test_random_negatives_are_exempt_from_the_document_limit() -> None:
    pool = pool_of([1.0, 0.5], [[], [], []], queries=[1.0] * 3)
    negatives = pool.select(1, limit_per_document=1, num_random=1)
    assert negatives.indices[:2].tolist() == [[0, 1], [1, 0]]
    assert negatives.source.tolist() == [[1, 2], [1, 2], [2, 0]]
    assert negatives.indices[2, 0] in (0, 1)


def test_each_result_row_draws_its_own_random_negatives() -> None:
    pool = pool_of(np.linspace(1, 0, 500), [[3, 4]], reference="each", range_max=1)
    negatives = pool.select(1, num_random=6)
    assert (negatives.indices[0, 1:] != negatives.indices[1, 1:]).any()
    assert not {3, 4} & set(negatives.indices.ravel().tolist())


# ---- document limits


def test_a_document_prefers_the_better_score_and_then_the_lower_row() -> None:
    pool = pool_of([1.0, 0.75, 0.5, 0.25], [[], []], queries=[0.5, 1.0])
    assert pool.select(2, limit_per_document=1).indices.tolist() == [[2, 3], [0, 1]]
    equal = pool_of([1.0, 0.5], [[], []], queries=[1.0, 1.0])
    assert equal.select(1, limit_per_document=1).indices.tolist() == [[0], [1]]
    short = equal.select(2, limit_per_document=1)
    assert short.indices.tolist() == [[0, 1], [-1, -1]]
    assert reasons(short) == [Reason.NONE, Reason.DOCUMENT_LIMIT]
    assert short.report.short == {"document_limit": 1}


def test_the_limit_counts_result_rows_under_each() -> None:
    pool = pool_of([1.0, 0.9, 0.5, 0.25], [[0, 1]], reference="each")
    assert pool.select(1, limit_per_document=1).indices.tolist() == [[2], [3]]


def test_rows_propose_in_their_policys_order() -> None:
    pool = pool_of(np.linspace(1, 0, 40), [[], []], queries=[1.0, 1.0])
    loose = pool.select(5, limit_per_document=2, sampling="random", seed=1, epoch=2)
    assert (loose.indices == pool.select(5, sampling="random", seed=1, epoch=2).indices).all()


def test_the_miner_applies_its_limit_and_redraws_with_it() -> None:
    corpus = column(np.linspace(1, 0, 30))
    miner = HardNegativeMiner(4, limit_per_document=1, sampling="random", num_random=1, seed=8)
    index = ExactIndex(corpus, metric="ip")
    negatives = miner.mine(index, column([1.0, 0.5, 0.25]), [[]] * 3)
    for epoch in range(4):
        again = negatives.redraw(epoch)
        mined = again.indices[again.source == Source.MINED].tolist()
        assert len(mined) == len(set(mined)) == 12
        assert (again.indices == miner.mine(index, column([1.0, 0.5, 0.25]), [[]] * 3, epoch=epoch).indices).all()
    assert (negatives.redraw(1).indices != negatives.indices).any()


# ---- why rows are short: the first that applies


@pytest.mark.parametrize(
    ("options", "choice", "reason"),
    [
        # A margin without a positive comes before everything.
        ({"absolute_margin": 0.0, "range_max": 1}, {"limit": 1}, Reason.NO_POSITIVE),
        # The limit comes before the window: the second row's pool is full and its documents are taken.
        ({"range_max": 1}, {"limit": 1}, Reason.DOCUMENT_LIMIT),
        # The window comes before what the caps took, under any policy.
        ({"range_max": 3, "max_score": 0.9}, {"sampling": Softmax(1e-320)}, Reason.RANK_WINDOW),
        ({"max_score": 0.9}, {"sampling": Softmax(1e-320)}, Reason.ABOVE_CAP),
        ({"max_score": 0.9, "min_score": 0.4}, {}, Reason.ABOVE_CAP),
        ({"min_score": 0.4}, {}, Reason.BELOW_FLOOR),
        ({}, {}, Reason.CORPUS_EXHAUSTED),
        ({}, {"n": 1, "num_random": 9}, Reason.RANDOM_EXHAUSTED),
        # What the mined part lacks comes before what the random part lacks.
        ({}, {"num_random": 9}, Reason.CORPUS_EXHAUSTED),
        ({}, {"n": 1}, Reason.NONE),
    ],
)
def test_the_first_reason_that_applies(options: dict[str, Any], choice: dict[str, Any], reason: Reason) -> None:
    pool = pool_of([1.0, 0.75, 0.5, 0.25], [[], []], queries=[1.0, 1.0], **options)
    choice = dict(choice)
    n, limit = choice.pop("n", 5), choice.pop("limit", None)
    negatives = pool.select(n, limit_per_document=limit, **choice)
    assert reasons(negatives)[1] is reason


def test_reasons_have_the_numbers_of_the_file_formats() -> None:
    assert {reason.name: int(reason) for reason in Reason} == {
        "NONE": 0,
        "NO_POSITIVE": 1,
        "DOCUMENT_LIMIT": 2,
        "RANK_WINDOW": 3,
        "ZERO_WEIGHT": 4,
        "ABOVE_CAP": 5,
        "BELOW_FLOOR": 6,
        "CORPUS_EXHAUSTED": 7,
        "RANDOM_EXHAUSTED": 8,
        "LIST_EXHAUSTED": 9,
        "NO_REFERENCE": 10,
        "RESTRICTED": 11,
        "QUOTA": 12,
    }
    assert [source.name for source in sorted(Source)] == ["PADDING", "MINED", "RANDOM"]


# ---- redraw and reports


def test_redraw_changes_the_epoch_and_nothing_else() -> None:
    pool = pool_of(np.linspace(1, 0, 50))
    negatives = pool.select(5, sampling="random", num_random=2, seed=6)
    assert (negatives.redraw(0).indices == negatives.indices).all()
    third = negatives.redraw(3)
    assert (third.indices == pool.select(5, sampling="random", num_random=2, seed=6, epoch=3).indices).all()
    assert (third.redraw(0).indices == negatives.indices).all()
    assert (third.epoch, negatives.epoch) == (3, 0)


def test_reports_compare_by_what_was_counted() -> None:
    one, two = pool_of([1.0, 0.5], [[0]]).report, pool_of([1.0, 0.5], [[0]]).report
    assert one == two
    assert one.diagnostics["seconds"] >= 0
    assert one != pool_of([1.0, 0.5], [[1]], exclude=[[0]]).report
    text = str(one)
    assert "positives" in text
    assert "1 rows x 2 documents" in text


def test_a_report_prints_what_happened() -> None:
    pool = pool_of([1.0, 0.0, 0.5], [[2, 2], [], [0]], queries=[1.0, 1.0, 0.0], absolute_margin=0.25, range_max=5)
    text = " ".join(str(pool.report).split())
    assert text == (
        "3 rows x 3 documents = 9 pairs positives 2 above absolute margin 3 rest 1 "
        "short: no positive 1 rows short: above cap 2 rows repeated positives dropped: 1"
    )


def test_softmax_of_an_empty_pool_is_empty() -> None:
    negatives = pool_of([], range_max=3).select(2, sampling=Softmax(1.0))
    assert negatives.indices.tolist() == [[-1, -1]]
    assert Reason(negatives.reasons[0]) is Reason.CORPUS_EXHAUSTED


# ---- the typical set


@pytest.mark.parametrize(
    ("mass", "expected"), [(0.19, [1]), (0.6, [0, 1, 2]), (0.9, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3, 4])]
)
def test_the_typical_set_of_the_specification(mass: float, expected: list[int]) -> None:
    pool = pool_of(np.log([0.5, 0.2, 0.15, 0.1, 0.05]))
    negatives = pool.select(5, sampling=Typical(mass))
    assert sorted(negatives.indices[0, : len(expected)].tolist()) == expected
    assert negatives.counts.tolist() == [len(expected)]
    assert reasons(negatives) == [Reason.NONE if mass == 1.0 else Reason.ZERO_WEIGHT]
    # The most typical document comes first.
    assert pool.select(1, sampling=Typical(mass)).indices.tolist() == [[1]]


def test_equal_scores_are_equally_typical() -> None:
    assert pool_of([1.0] * 4).select(4, sampling=Typical(0.5)).indices.tolist() == [[0, 1, -1, -1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Typical(0.0), "`mass` must be greater than 0"),
        (lambda: Typical(0.5, temperature=0.0), "`temperature` must be greater than 0"),
        (lambda: Typical(math.nan), "`mass` must be finite"),
    ],
)
def test_bad_typical_sets_are_refused(call: Callable[[], Typical], message: str) -> None:
    with pytest.raises(NegmineValueError, match=message):
        call()
