"""Canonical scores at the ends of their range."""

from __future__ import annotations

import numpy as np
import pytest

import negmine
import oracle

ROWS = np.random.default_rng(0).standard_normal((5000, 24)).astype(np.float32)
SAME = np.column_stack([np.arange(len(ROWS))] * 2)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_cosine_of_scaled_copies_lies_between_minus_one_and_one(sign: float) -> None:
    scores = negmine.score_pairs(ROWS, np.float32(3.0 * sign) * ROWS, SAME)
    assert np.abs(scores).max() == 1.0
    assert (scores == oracle.pair_scores(ROWS, np.float32(3.0 * sign) * ROWS)).all()
    # Without the clamp, rounding carries some of these pairs beyond 1.
    q, d = ROWS.astype(float), 3.0 * ROWS.astype(float)
    unclamped = oracle.lane_sums(q, d, "ip") / np.sqrt(oracle.lane_sums(q, q, "ip") * oracle.lane_sums(d, d, "ip"))
    assert (unclamped > 1.0).any()


def test_a_cap_of_one_keeps_scaled_copies() -> None:
    index = negmine.ExactIndex(np.float32(3.0) * ROWS)
    assert (index.search(ROWS, 1, max_score=1.0).indices[:, 0] == np.arange(len(ROWS))).all()


def test_a_floor_of_minus_one_keeps_opposites() -> None:
    index = negmine.ExactIndex(np.float32(-3.0) * ROWS)
    own = np.arange(len(ROWS))
    pool = negmine.HardNegativeMiner(1, min_score=-1.0).candidates(
        index, ROWS, [[]] * len(ROWS), eligible=negmine.Eligibility(own, own, own)
    )
    assert (pool.indices[:, 0] == own).all()
    assert pool.scores.min() == -1.0


def test_a_positive_that_is_a_scaled_copy_sets_a_reference_of_at_most_one() -> None:
    index = negmine.ExactIndex(np.float32(3.0) * ROWS)
    miner = negmine.HardNegativeMiner(1, absolute_margin=0.0)
    pool = miner.candidates(index, ROWS, [[row] for row in range(len(ROWS))])
    assert pool.reference_scores.max() == 1.0
    assert pool.cap_scores.max() == 1.0
