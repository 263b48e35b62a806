"""A corpus that changes after it was indexed, met in every way in which a row is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import negmine
from negmine import ExactIndex, HardNegativeMiner
from negmine.errors import CorpusChangedError

N = 600
CHANGED = 317
CHANGES = {
    "negated": lambda row: -row,
    "NaN": lambda row: np.where(np.arange(len(row)) == 3, np.nan, row),
    "infinite": lambda row: np.where(np.arange(len(row)) == 3, np.inf, row),
    "of another row": lambda row: np.roll(row, 1),
}


def rows() -> Any:
    return np.random.default_rng(3).standard_normal((N, 24)).astype(np.float32)


@pytest.fixture(params=CHANGES)
def changed(request: pytest.FixtureRequest) -> tuple[ExactIndex, Any]:
    """Index some rows, then change one; also the queries, which are copies of the rows."""
    corpus = rows()
    queries = corpus.copy()
    index = ExactIndex(corpus)
    corpus[CHANGED] = CHANGES[request.param](corpus[CHANGED])
    return index, queries


def test_a_positive_that_changed_does_not_move_its_reference(changed: tuple[ExactIndex, Any]) -> None:
    index, queries = changed
    miner = HardNegativeMiner(2, absolute_margin=0.1)
    unaffected = miner.candidates(index, queries[:5], [[row] for row in range(5)])
    assert unaffected.positive_scores.tolist() == [1.0] * 5
    with pytest.raises(CorpusChangedError, match=f"row {CHANGED} has changed"):
        miner.candidates(index, queries[CHANGED : CHANGED + 1], [[CHANGED]])
    for reference in ("max", "mean", "each"):
        other = HardNegativeMiner(2, absolute_margin=0.1, reference=reference)  # type: ignore[arg-type]
        with pytest.raises(CorpusChangedError, match=f"row {CHANGED} has changed"):
            other.candidates(index, queries[:1], [[4, CHANGED]])


def test_a_random_negative_that_changed_has_no_score(changed: tuple[ExactIndex, Any]) -> None:
    index, queries = changed
    own = np.full(1, CHANGED)
    keys = np.arange(N)
    # The query's nearest documents are excluded, so that the scan does not meet the row.
    pool = HardNegativeMiner(1, max_score=-2.0).candidates(index, queries[:1], [[]])
    assert pool.counts.tolist() == [0]
    only = negmine.Eligibility(keys, own, own)
    pool = HardNegativeMiner(1, min_score=0.99).candidates(index, queries[:1], [[]], eligible=only)
    with pytest.raises(CorpusChangedError, match=f"row {CHANGED} has changed"):
        pool.select(1, num_random=1)


def test_a_pair_with_a_document_that_changed_has_no_score(changed: tuple[ExactIndex, Any]) -> None:
    index, queries = changed
    some = np.array([0, 1])
    assert index.score_pairs(queries, some, some).tolist() == [1.0, 1.0]
    with pytest.raises(CorpusChangedError, match=f"row {CHANGED} has changed"):
        index.score_pairs(queries, np.array([0, 9]), np.array([1, CHANGED]))


@pytest.mark.parametrize("reached", [True, False])
def test_a_warm_start_that_changed_hides_no_document(*, reached: bool) -> None:
    corpus = rows()
    queries = corpus[:1].copy()
    index = ExactIndex(corpus)
    honest = HardNegativeMiner(3).candidates(index, queries, [[]])
    # Rows that look as good as the query itself: a threshold that too few documents reach.
    corpus[[CHANGED, CHANGED + 1]] = corpus[0] if reached else -corpus[0]
    warm = np.array([[0, CHANGED, CHANGED + 1]])
    if reached:
        with pytest.raises(CorpusChangedError, match=f"row ({CHANGED}|{CHANGED + 1}) has changed"):
            HardNegativeMiner(3).candidates(index, queries, [[]], warm_start=warm)
    else:
        again = HardNegativeMiner(3).candidates(index, queries, [[]], warm_start=warm)
        assert again.indices.tolist() == honest.indices.tolist()


@pytest.mark.parametrize("change", ["NaN", "infinite"])
def test_a_streamed_corpus_that_is_no_longer_finite_has_changed(change: str) -> None:
    corpus = rows()
    queries = corpus[:4].copy()
    index = ExactIndex(corpus, memory_limit=1 << 19)
    before = index.search(queries, 3)
    assert index.plan(4, 3).passes == 0
    index = ExactIndex(corpus, memory_limit=140_000)
    assert index.plan(4, 3).passes > 0
    assert index.search(queries, 3).indices.tolist() == before.indices.tolist()
    corpus[CHANGED] = CHANGES[change](corpus[CHANGED])
    with pytest.raises(CorpusChangedError, match=f"row {CHANGED} has changed"):
        index.search(queries, 3)
    with pytest.raises(CorpusChangedError, match=f"row {CHANGED} has changed"):
        index.score_pairs(queries, np.array([0]), np.array([CHANGED]))
