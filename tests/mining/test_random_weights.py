"""Weighted random negatives: the law against an oracle and against frequencies, every door, and bad input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compare
import negmine
import oracle
import oracle_weighted
from negmine import CandidatePool, ExactIndex, HardNegativeMiner, HardNegatives, Positives, ScoredLists, fuse
from negmine.errors import JobError, NegmineError, NegmineTypeError, NegmineValueError
from negmine.mining import Reason, Source
from negmine.sampling import Popularity
from oracle_draws import Place
from strategies import HOWS, SEEDS, problems

N = 8
SCORES = np.linspace(1.0, 0.3, N, dtype=np.float32)
WEIGHTS = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 10.0, 0.5])
MANY = 40_000
#: Weights by their kind: ordinary, with zeros, one that dwarfs the others, all 0.
KINDS = st.sampled_from(["uniform", "pareto", "zeros", "dwarf", "none"])


def weights_of(kind: str, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = np.ones(n) if kind == "uniform" else 1.0 + rng.pareto(1.0, n)
    if kind == "zeros":
        weights[rng.random(n) < 0.6] = 0.0
    if kind == "dwarf" and n:
        weights[rng.integers(n)] = 1e20
    return weights if kind != "none" else np.zeros(n)


def pool_of(
    weights: Any = WEIGHTS, n_queries: int = 1, positives: Any = None, miner: Any = None, **options: Any
) -> CandidatePool:
    """A pool of queries that score the documents by `SCORES`, without positives unless some are given."""
    index = ExactIndex(SCORES[:, None], metric="ip")
    queries = np.ones((n_queries, 1), dtype=np.float32)
    known = [[]] * n_queries if positives is None else positives
    miner = miner or HardNegativeMiner(0, num_random=1, range_max=N)
    return miner.candidates(index, queries, known, random_weights=weights, **options)


def same(one: HardNegatives, other: HardNegatives) -> None:
    for name in ("indices", "scores", "log_prob", "counts", "reasons", "source"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


# ---- the law


@given(problems(), HOWS, KINDS, st.integers(0, 3), st.integers(1, 9), SEEDS, st.integers(0, 2**64 - 1))
def test_every_row_draws_what_the_oracle_draws(
    problem: compare.Problem, how: compare.How, kind: str, n: int, num_random: int, seed: int, epoch: int
) -> None:
    weights = weights_of(kind, len(problem.corpus), seed)
    pool = compare.actual_pool(problem, how, random_weights=weights)
    negatives = pool.select(n, num_random=num_random, seed=seed, epoch=epoch, num_threads=how.threads)
    rows = compare.expected_pool(problem)
    plain = oracle.select(rows, n, seed=seed, epoch=epoch)
    assert len(negatives) == len(rows)
    for r, (row, chosen) in enumerate(zip(rows, plain, strict=True)):
        place = Place(seed, epoch, row.global_query, 1 + row.positive)
        drawn, chances = oracle_weighted.weighted_draws(
            row, chosen.mined, num_random, place, weights.tolist(), problem.eligible is not None
        )
        filled = negatives.source[r] == Source.RANDOM
        assert negatives.indices[r][filled].tolist() == drawn
        np.testing.assert_allclose(negatives.log_prob[r][filled], chances, rtol=1e-9, atol=1e-12)
        assert negatives.indices[r][negatives.source[r] == Source.MINED].tolist() == chosen.mined
        # As many as there are, and never one of weight 0.
        possible = [j for j in row.survivors if weights[j] > 0 and j not in chosen.mined]
        assert len(drawn) == min(num_random, len(possible))
        assert set(drawn) <= set(possible)


def law(allowed: list[int]) -> np.ndarray:
    weights = np.zeros(N)
    weights[allowed] = WEIGHTS[allowed]
    return weights / weights.sum()


#: Miners, the weight of document 6, the positive, and the documents that are left for random negatives. If most of the
#: weight is the positive's, the others are listed.
LIMITS: dict[str, tuple[HardNegativeMiner, float, list[int]]] = {
    "all": (HardNegativeMiner(0, num_random=2), 10.0, [0, 1, 2, 3, 4, 5, 7]),
    "listed": (HardNegativeMiner(0, num_random=2), 1e3, [0, 1, 2, 3, 4, 5, 7]),
    "mined": (HardNegativeMiner(2, num_random=2), 10.0, [2, 3, 4, 5, 7]),
    "cap": (HardNegativeMiner(0, num_random=2, max_score=0.85), 10.0, [2, 3, 4, 5, 7]),
    "floor": (HardNegativeMiner(0, num_random=2, min_score=0.55), 10.0, [0, 1, 2, 3, 4]),
}


@pytest.fixture(scope="module", params=LIMITS)
def drawn(request: pytest.FixtureRequest) -> tuple[HardNegatives, list[int]]:
    miner, heavy, allowed = LIMITS[request.param]
    positives = Positives(np.arange(MANY + 1), np.full(MANY, 6))
    weights = np.where(np.arange(N) == 6, heavy, WEIGHTS)
    pool = pool_of(weights, n_queries=MANY, positives=positives, miner=replace(miner, range_max=N))
    return miner.select(pool), allowed


def test_frequencies_are_those_of_successive_draws(drawn: tuple[HardNegatives, list[int]]) -> None:
    negatives, allowed = drawn
    weights = law(allowed)
    random = negatives.indices[:, -2:]
    expected = {
        (a, b): MANY * weights[a] * weights[b] / (1 - weights[a])
        for a, b in itertools.permutations(np.flatnonzero(weights).tolist(), 2)
    }
    found = {pair: int((random == pair).all(axis=1).sum()) for pair in expected}
    assert sum(found.values()) == MANY
    chi = sum((found[pair] - mean) ** 2 / mean for pair, mean in expected.items())
    # The 99.99 % quantiles of chi-square with 29, 19 and 11 degrees of freedom: 6, 5 and 4 documents of weight above 0.
    assert chi < {30: 66, 20: 51, 12: 38}[len(expected)]


def test_weights_of_one_over_p_are_unbiased(drawn: tuple[HardNegatives, list[int]]) -> None:
    negatives, allowed = drawn
    inverse = np.zeros((MANY, N))
    np.add.at(inverse, (np.arange(MANY)[:, None], negatives.indices[:, -2:]), np.exp(-negatives.log_prob[:, -2:]))
    possible = law(allowed) > 0
    error = inverse.std(axis=0)[possible] / np.sqrt(MANY)
    np.testing.assert_array_less(np.abs(inverse.mean(axis=0)[possible] - 1), 4.5 * error + 1e-12)
    assert not inverse[:, ~possible].any()


def test_all_of_weight_above_0_are_drawn_if_there_are_no_more() -> None:
    negatives = pool_of([0.0, 1e20, 1.0, 1e-9, 0.0, 0.0, 0.0, 0.0], positives=[[2]]).select(0, num_random=4)
    assert sorted(negatives.indices[0].tolist()) == [-1, -1, 1, 3]
    assert negatives.log_prob[0, :2].tolist() == [0.0, 0.0]
    assert np.isnan(negatives.log_prob[0, 2:]).all()
    assert Reason(negatives.reasons[0]) is Reason.RANDOM_EXHAUSTED


def test_a_cap_that_admits_only_light_documents_still_finds_all() -> None:
    n = 3000
    index = ExactIndex(np.linspace(1.0, 0.0, n, dtype=np.float32)[:, None], metric="ip")
    weights = np.where(np.arange(n) < n - 4, 1.0, 1e-12)
    miner = HardNegativeMiner(0, num_random=3, max_score=0.0011)
    negatives = miner.mine(index, np.ones((5, 1), dtype=np.float32), [[]] * 5, random_weights=weights)
    assert (negatives.indices >= n - 4).all()
    assert (negatives.counts == 3).all()
    assert (negatives.log_prob < 0).all()


# ---- what the draws depend on


def test_equal_weights_by_any_factor_draw_the_same_and_no_weights_draw_as_ever() -> None:
    pool = pool_of(n_queries=50)
    negatives = pool.select(1, num_random=3)
    same(negatives, replace(pool, random_weights=WEIGHTS * 2.0**40).select(1, num_random=3))
    uniform = pool_of(None, n_queries=50).select(1, num_random=3)
    same(uniform, replace(pool, random_weights=None).select(1, num_random=3))
    assert (uniform.indices != negatives.indices).any()


def test_threads_chunks_and_sources_draw_the_same() -> None:
    rng = np.random.default_rng(3)
    corpus, queries = (rng.standard_normal((n, 6)).astype(np.float32) for n in (300, 120))
    positives = [[int(row)] for row in rng.integers(0, 300, 120)]
    weights = rng.pareto(0.5, 300)
    options: dict[str, Any] = {"reference": "each", "relative_margin": 0.1, "seed": 7}
    miner = HardNegativeMiner(2, num_random=4, range_max=20, **options)
    index = ExactIndex(corpus)
    whole = miner.mine(index, queries, positives, random_weights=weights, epoch=2, num_threads=1)
    assert (whole.source == Source.RANDOM).any()
    same(whole, miner.mine(index, queries, positives, random_weights=weights, epoch=2, num_threads=3))
    chunks = [
        miner.mine(index, queries[i : i + 50], positives[i : i + 50], random_weights=weights, epoch=2, query_offset=i)
        for i in (0, 50, 100)
    ]
    same(whole, HardNegatives.concatenate(chunks))
    same(whole[[5, 3]], whole[[5, 3]].redraw(2))
    lists = ScoredLists(*_ranked(index, queries), n_documents=300)
    of_lists = miner.mine(lists, None, positives, random_weights=weights, epoch=2)
    np.testing.assert_array_equal(of_lists.indices, whole.indices)
    np.testing.assert_array_equal(of_lists.log_prob, whole.log_prob)


def _ranked(index: ExactIndex, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All documents of every query, best first, with scores in float64."""
    found = index.search(queries, len(index), dtype="float64")
    return found.indices, found.scores


def test_epochs_and_seeds_draw_anew() -> None:
    negatives = pool_of(n_queries=100).select(1, num_random=2, seed=1)
    for other in (negatives.redraw(1), negatives.pool.select(1, num_random=2, seed=2)):  # type: ignore[union-attr]
        assert (other.indices != negatives.indices).any()
        assert (other.indices[:, 0] == negatives.indices[:, 0]).all()
    same(negatives, negatives.redraw(1).redraw(0))


def test_popularity_counts_the_queries_of_a_document() -> None:
    positives = [[1, 2], [1], [3, 1], []]
    given = Popularity(0.75).weights(Positives.from_lists(positives), N)
    expected = pool_of(given, 4, positives)
    assert expected.random_weights is not None
    for weights in ("popularity", Popularity()):
        pool = pool_of(weights, 4, positives)
        np.testing.assert_array_equal(pool.random_weights, given)
        same(pool.select(0, num_random=2), expected.select(0, num_random=2))
    assert expected.select(0, num_random=3).counts.tolist() == [1, 2, 1, 3]


# ---- doors


def test_weights_stay_with_the_pool(tmp_path: Path) -> None:
    index, queries = ExactIndex(SCORES[:, None], metric="ip"), np.ones((30, 1), dtype=np.float32)
    pool = pool_of(n_queries=30)
    expected = pool.select(1, num_random=2, seed=4)
    pool.save(tmp_path / "pool.npz")
    loaded = CandidatePool.load(tmp_path / "pool.npz").attach(index, queries)
    same(loaded.select(1, num_random=2, seed=4), expected)
    joined = CandidatePool.concatenate([pool[:10], pool[10:]])
    same(joined.select(1, num_random=2, seed=4), expected)
    np.testing.assert_array_equal(fuse([pool, pool]).random_weights, WEIGHTS)
    expected.save(tmp_path / "negatives.npz")
    negatives = HardNegatives.load(tmp_path / "negatives.npz", pool=loaded)
    same(negatives.redraw(3), expected.redraw(3))


def test_all_doors_take_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corpus, queries = (rng.standard_normal((n, 4)).astype(np.float32) for n in (40, 9))
    positives = [[i % 5] for i in range(9)]
    options: dict[str, Any] = {"num_negatives": 1, "num_random": 3, "random_weights": rng.random(40)}
    mined = negmine.mine(queries, corpus, positives, **options)
    result = negmine.mine_to(tmp_path / "job", queries, corpus, positives, tile_queries=4, **options)
    found = np.concatenate([batch.negatives.indices for batch in result.rows().batches()]).reshape(9, 4)
    np.testing.assert_array_equal(found, mined.indices)
    for other in (rng.random(40), None):
        with pytest.raises(JobError, match="`random_weights`"):
            negmine.mine_to(tmp_path / "job", queries, corpus, positives, **options | {"random_weights": other})
    # Popularity is that of all queries, not of a tile.
    options["random_weights"] = "popularity"
    tiles = negmine.mine_to(tmp_path / "popular", queries, corpus, positives, tile_queries=2, **options)
    found = np.concatenate([batch.negatives.indices for batch in tiles.rows().batches()])
    indices = negmine.mine(queries, corpus, positives, **options).indices
    np.testing.assert_array_equal(found, indices[indices >= 0])


# ---- bad input


def other_weights() -> None:
    CandidatePool.concatenate([pool_of()[:1], pool_of(WEIGHTS[::-1])[:1]])


def with_weight(value: float) -> Callable[[], object]:
    return lambda: pool_of(np.where(np.arange(N) == 3, value, 1.0))


BAD: dict[str, tuple[Callable[[], object], type[NegmineError], str]] = {
    "negative": (with_weight(-1.0), NegmineValueError, "finite and at least 0; got -1.0 at row 3."),
    "nan": (with_weight(math.nan), NegmineValueError, "finite and at least 0; got nan at row 3."),
    "infinite": (with_weight(math.inf), NegmineValueError, "finite and at least 0; got inf at row 3."),
    "length": (lambda: pool_of([1.0, 2.0]), NegmineValueError, "must have shape (8,); got shape (2,)."),
    "matrix": (lambda: pool_of(np.ones((2, N))), NegmineValueError, "must have shape (8,)"),
    "type": (lambda: pool_of(["a"] * N), NegmineTypeError, "must hold numbers"),
    "name": (
        lambda: pool_of("popular"),
        NegmineValueError,
        "a Popularity, or weights of all documents; got 'popular'.",
    ),
    "field": (lambda: replace(pool_of(), random_weights=-WEIGHTS), NegmineValueError, "finite and at least 0"),
    "joined": (other_weights, NegmineValueError, "must have equal `random_weights`"),
    "one without": (lambda: fuse([pool_of(), pool_of(None)]), NegmineValueError, "must have equal `random_weights`"),
    "no source": (
        lambda: replace(pool_of(), origin=None).select(1, num_random=1),
        NegmineValueError,
        "`num_random` must have embeddings",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_weights_are_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
