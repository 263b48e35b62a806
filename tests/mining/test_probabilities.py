"""Reported log-probabilities against how often documents are selected, over 100,000 rows that draw independently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from negmine import (
    CandidatePool,
    ExactIndex,
    HardNegativeMiner,
    HardNegatives,
    Positives,
    Quota,
    SimANS,
    Softmax,
    Stride,
    Typical,
)

ROWS = 100_000
SCORES = np.log([10.0, 4.0, 3.0, 2.0, 1.0]).astype(np.float32)
QUERIES = np.ones((ROWS, 1), dtype=np.float32)
CATEGORIES = [0, 1, 0, 1, 2]

#: Policies under which every document can be selected.
DRAWS = {
    "random": "random",
    "softmax": Softmax(1.0),
    "flat": Softmax(50.0),
    "simans": SimANS(a=1.0, scale="raw"),
    "quota": Quota((0.3, 0.3, 0.4), rounding="draw"),
}


@pytest.fixture(scope="module")
def pool() -> CandidatePool:
    positive = np.full(ROWS, float(SCORES[1]))
    positives = Positives(np.arange(ROWS + 1), np.full(ROWS, -1), scores=positive)
    index = ExactIndex(SCORES[:, None], metric="ip")
    return HardNegativeMiner(range_max=5).candidates(index, QUERIES, positives, categories=CATEGORIES)


def selected(negatives: HardNegatives) -> tuple[np.ndarray, np.ndarray]:
    """Return which documents every row selected, and the inverse of their probabilities, 0 for the others."""
    rows, columns = np.nonzero(negatives.indices >= 0)
    documents = negatives.indices[rows, columns]
    taken, inverse = (np.zeros((ROWS, len(SCORES))) for _ in range(2))
    taken[rows, documents] = 1.0
    inverse[rows, documents] = np.exp(-negatives.log_prob[rows, columns])
    return taken, inverse


def assert_mean(values: np.ndarray, expected: Any) -> None:
    """Hold the mean of every document within 4 standard errors."""
    error = values.std(axis=0) / np.sqrt(ROWS)
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - expected), 4 * error + 1e-12)


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("name", DRAWS)
def test_weights_of_one_over_p_are_unbiased(pool: CandidatePool, name: str, n: int) -> None:
    negatives = pool.select(n, sampling=DRAWS[name], seed=3)
    _, inverse = selected(negatives)
    possible = inverse.any(axis=0)
    assert possible.all() or name == "quota"
    assert_mean(inverse[:, possible], 1.0)


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("sampling", ["random", Quota((0.3, 0.3, 0.4), rounding="draw"), Quota((1, 2), strict=True)])
def test_probabilities_that_do_not_depend_on_other_draws_are_frequencies(
    pool: CandidatePool, sampling: Any, n: int
) -> None:
    negatives = pool.select(n, sampling=sampling, seed=4)
    taken, inverse = selected(negatives)
    probability = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-300), 0).max(axis=0)
    assert_mean(taken, probability)


def test_random_negatives_report_the_share_of_the_admissible_candidates(pool: CandidatePool) -> None:
    negatives = pool.select(1, num_random=2, seed=5)
    assert (negatives.log_prob[:, 0] == 0).all()
    np.testing.assert_allclose(negatives.log_prob[:, 1:], np.log(2 / 4))
    taken, _ = selected(negatives)
    assert_mean(taken[:, 1:], 0.5)


def test_caps_leave_fewer_admissible_candidates_and_floors_an_unknown_number() -> None:
    index = ExactIndex(SCORES[:, None], metric="ip")
    one = QUERIES[:1]

    def drawn(**options: Any) -> list[float]:
        miner = HardNegativeMiner(0, num_random=2, **options)
        return miner.mine(index, one, [[]]).log_prob[0].tolist()

    assert drawn() == [np.log(2 / 5)] * 2
    assert drawn(max_score=1.3) == [np.log(2 / 3)] * 2
    assert np.isnan(drawn(min_score=0.1)).all()


@pytest.mark.parametrize("sampling", ["top", Stride(), Typical(0.5), Quota((1.0, 1.0))])
def test_policies_without_draws_are_certain(pool: CandidatePool, sampling: Any) -> None:
    negatives = pool[:3].select(4, sampling=sampling)
    assert (negatives.log_prob[negatives.indices >= 0] == 0).all()
    assert np.isnan(negatives.log_prob[negatives.indices < 0]).all()


def test_a_limit_per_document_hides_the_probabilities(pool: CandidatePool) -> None:
    negatives = pool[:3].select(2, sampling=Softmax(1.0), limit_per_document=2)
    assert np.isnan(negatives.log_prob).all()


def test_a_cold_softmax_is_certain_and_a_chance_below_the_range_of_f64_stays_finite() -> None:
    index = ExactIndex(np.array([[0.0], [-1.0]], dtype=np.float32), metric="ip")
    pool = HardNegativeMiner(range_max=2).candidates(index, QUERIES[:1], [[]])
    assert pool.select(1, sampling=Softmax(5e-324)).log_prob.tolist() == [[0.0]]
    # The second document comes first with probability exp(-1 / .02); 1 - p of the first rounds to 1.
    certain = pool.select(1, sampling=Softmax(0.02), seed=0)
    assert certain.indices.tolist() == [[0]]
    assert -1e-12 < certain.log_prob[0, 0] <= 0.0
