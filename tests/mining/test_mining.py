"""Candidates, choices, redraws and document limits against the oracle, bit for bit, on small problems that collide."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compare
import negmine
import oracle
import oracle_draws
from compare import How, Problem
from strategies import HOWS, LARGE_SHAPES, LIMITED_POLICY, POLICY, problems

EPOCHS = st.sampled_from([0, 1, 2, 7, 2**63])
SEEDS = st.sampled_from([0, 42, 2**64 - 1])


@given(problems(), HOWS)
def test_candidates(problem: Problem, how: How) -> None:
    pool = compare.actual_pool(problem, how)
    compare.assert_same_pool(pool, compare.expected_pool(problem), problem)


@settings(max_examples=settings().max_examples // 5)
@given(problems(LARGE_SHAPES), HOWS)
def test_candidates_of_larger_problems(problem: Problem, how: How) -> None:
    pool = compare.actual_pool(problem, how)
    compare.assert_same_pool(pool, compare.expected_pool(problem), problem)


@given(problems(), POLICY, st.integers(1, 6), st.integers(0, 4), SEEDS, EPOCHS, st.sampled_from(compare.THREADS))
def test_select(
    problem: Problem, policy: oracle_draws.Policy, n: int, num_random: int, seed: int, epoch: int, threads: int
) -> None:
    rows = compare.expected_pool(problem)
    expected = oracle.select(rows, n, policy, num_random=num_random, seed=seed, epoch=epoch)
    actual = compare.actual_pool(problem, How()).select(
        n,
        sampling=compare.product_policy(policy),
        num_random=num_random,
        seed=seed,
        epoch=epoch,
        num_threads=threads,
    )
    compare.assert_same_choice(actual, expected, rows, problem, n)


@pytest.mark.parametrize(
    "policy",
    [
        lambda x: oracle_draws.Softmax(1.0 / x),
        lambda x: oracle_draws.SimANS(a=x, b=0.1),
        lambda x: oracle_draws.SimANS(a=x, b=-0.1, scale="raw"),
        lambda x: oracle_draws.SimANS(a=1.5, b=x),
    ],
    ids=["softmax", "std", "raw", "shift"],
)
def test_keys_agree_to_the_last_bit(policy: Callable[[float], Any]) -> None:
    # Between a parameter of 0 and a large one the first choice changes; at two neighboring numbers it does so by the
    # last bit of a key, which hangs on every operation: the draw, its logarithms, the deviation, the order of sums.
    rng = np.random.default_rng(0)
    index = negmine.ExactIndex(rng.standard_normal((20, 5)))
    positives = negmine.Positives.from_lists([[-1]], positive_scores=[0.3])
    pool = negmine.HardNegativeMiner(1, range_max=20).candidates(index, np.ones((1, 5)), positives)
    rows, scores = pool.indices[0].tolist(), pool.scores[0].tolist()

    def chosen(x: float, epoch: int) -> int:
        order = oracle_draws.order(policy(x), 1, rows, scores, 0.3, oracle_draws.Place(5, epoch, 0, 0))
        return rows[order[0]]

    n_edges = 0
    for epoch in range(100):
        low, high = 1e-3, 1e3
        if chosen(low, epoch) == chosen(high, epoch):
            continue
        while math.nextafter(low, high) < high:
            middle = low + (high - low) / 2
            if chosen(middle, epoch) == chosen(low, epoch):
                low = middle
            else:
                high = middle
        for x in (low, high):
            found = pool.select(1, sampling=compare.product_policy(policy(x)), seed=5, epoch=epoch)
            assert found.indices.tolist() == [[chosen(x, epoch)]]
        n_edges += 1
    assert n_edges > 30


#: Finite numbers of every magnitude.
ANY_SIZE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-2, 2),
    st.sampled_from([5e-324, 1e-320, 2.0**-1022, 1e-160, 1e154, 1e308, 1.7976931348623157e308]),
)
ABOVE_ZERO = ANY_SIZE.map(abs).filter(bool)
WEIGHTED = st.one_of(
    st.builds(oracle_draws.Softmax, ABOVE_ZERO),
    st.builds(oracle_draws.SimANS, ANY_SIZE.map(abs), ANY_SIZE, st.sampled_from(["std", "raw"])),
)


@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=12),
    st.integers(-140, 100),
    WEIGHTED,
    ANY_SIZE,
    st.integers(1, 8),
    EPOCHS,
)
def test_weights_of_any_size_fill_every_row(
    values: list[int], power: int, policy: oracle_draws.Policy, reference: float, n: int, epoch: int
) -> None:
    # The same policy at scores from 2^-280 to 2^205, with a reference anywhere.
    numbers = np.ldexp(np.float32(values), power).reshape(-1, 1)
    index = negmine.ExactIndex(numbers, metric="ip")
    positives = negmine.Positives.from_lists([[-1]], positive_scores=[reference])
    query = np.ldexp(np.ones((1, 1), dtype=np.float32), power)
    pool = negmine.HardNegativeMiner(1, range_max=12).candidates(index, query, positives)
    rows, scores = pool.indices[0, : len(values)].tolist(), pool.scores[0, : len(values)].tolist()
    found = pool.select(n, sampling=compare.product_policy(policy), seed=5, epoch=epoch)
    first = oracle_draws.order(policy, n, rows, scores, reference, oracle_draws.Place(5, epoch, 0, 0))[:n]
    assert found.counts.tolist() == [min(n, len(values))]
    assert found.indices[0, : found.counts[0]].tolist() == [rows[rank] for rank in sorted(first)]


@given(problems(), LIMITED_POLICY, st.integers(1, 3), st.integers(1, 4), st.integers(0, 2), EPOCHS)
def test_limit_per_document(
    problem: Problem, policy: oracle_draws.Policy, cap: int, n: int, num_random: int, epoch: int
) -> None:
    rows = compare.expected_pool(problem)
    expected = oracle.select(rows, n, policy, num_random=num_random, seed=7, epoch=epoch, limit_per_document=cap)
    pool = compare.actual_pool(problem, How())
    sampling = compare.product_policy(policy)
    actual = pool.select(n, limit_per_document=cap, sampling=sampling, num_random=num_random, seed=7, epoch=epoch)
    compare.assert_same_choice(actual, expected, rows, problem, n)
    served = [row for line, sources in zip(actual.indices, actual.source, strict=True) for row in line[sources == 1]]
    assert all(served.count(row) <= cap for row in set(served))


@given(
    problems(), LIMITED_POLICY, st.integers(1, 5), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 3)), EPOCHS
)
def test_redraw_equals_a_choice_in_that_epoch(
    problem: Problem, policy: oracle_draws.Policy, n: int, num_random: int, limit: int | None, epoch: int
) -> None:
    rows = compare.expected_pool(problem)
    miner = compare.miner_of(
        problem.limits,
        num_negatives=n,
        sampling=compare.product_policy(policy),
        num_random=num_random,
        limit_per_document=limit,
        seed=3,
    )
    index = compare.index_of(problem, How())
    queries = problem.queries
    pool = miner.candidates(index, queries, compare.positives_of(problem), **compare.rules_of(problem))
    first = miner.select(pool, epoch=1)
    for result, drawn in ((first, 1), (first.redraw(epoch), epoch), (first.redraw(epoch).redraw(1), 1)):
        expected = oracle.select(rows, n, policy, num_random=num_random, seed=3, epoch=drawn, limit_per_document=limit)
        compare.assert_same_choice(result, expected, rows, problem, n)
        assert result.epoch == drawn


@given(problems(), POLICY, HOWS, st.integers(1, 4), st.integers(0, 2), st.lists(st.integers(0, 7), max_size=3))
def test_any_cutting_of_the_queries_gives_the_same_rows(
    problem: Problem, policy: oracle_draws.Policy, how: How, n: int, num_random: int, cuts: list[int]
) -> None:
    sampling = compare.product_policy(policy)

    def chosen(part: Problem, how: How) -> negmine.HardNegatives:
        return compare.actual_pool(part, how).select(n, sampling=sampling, num_random=num_random, seed=5, epoch=2)

    whole = chosen(problem, How())
    edges = [0, *sorted(min(cut, len(problem.queries)) for cut in cuts), len(problem.queries)]
    parts = [chosen(problem.cut(*edges[i : i + 2]), how) for i in range(len(edges) - 1)]
    for name in ("indices", "ids", "scores", "counts", "reasons", "source", "query_indices", "positive_indices"):
        joined = [value for part in parts for value in getattr(part, name).tolist()]
        assert joined == getattr(whole, name).tolist(), name


@given(problems(), HOWS)
def test_two_ways_of_asking_give_one_answer(problem: Problem, how: How) -> None:
    once, again = compare.actual_pool(problem, How()), compare.actual_pool(problem, how)
    assert compare.digest_pool(once) == compare.digest_pool(again)
    assert once.report == again.report


WARM = st.sampled_from(["garbage", "itself", "stale", "each", "negatives"])


@given(problems(), HOWS, WARM, st.integers(0, 2**32))
def test_a_warm_start_changes_no_bit(problem: Problem, how: How, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_queries = len(problem.corpus), len(problem.queries)
    cold = compare.actual_pool(problem, How())
    warm: Any = cold
    if kind == "garbage":
        warm = rng.integers(-3, n + 3, (n_queries, int(rng.integers(0, 2 * n + 2))))
        warm[rng.random(warm.shape) < 0.1] = rng.choice([2**31, 2**32 + 1, 2**62, -(2**63)])
    elif kind == "stale":
        # The model has moved: other vectors, other caps, other rules.
        other = replace(problem, queries=problem.queries[::-1].copy(), self_is_slice=False, limits=oracle.Limits())
        warm = compare.actual_pool(other, How())
    elif kind == "each":
        warm = compare.actual_pool(replace(problem, limits=replace(problem.limits, reference="each")), How())
    elif kind == "negatives":
        warm = cold.select(2, sampling="random", num_random=3)
    again = compare.actual_pool(problem, how, warm_start=warm)
    assert compare.digest_pool(again) == compare.digest_pool(cold)


@given(
    problems(),
    st.lists(st.sampled_from([None, -0.3, 0.0, 0.05, 0.3, 1.0]), min_size=1, max_size=3),
    st.integers(0, 9),
    st.booleans(),
)
def test_sweep(problem: Problem, margins: list[float | None], extra: int, relative: bool) -> None:
    kind: Literal["relative", "absolute"] = "relative" if relative else "absolute"
    if relative:
        margins = [None if margin is None else abs(margin) for margin in margins]
    limits = problem.limits
    depth = limits.range_max + extra
    bare = replace(limits, absolute_margin=None, relative_margin=None, max_score=None, range_min=0, range_max=depth)
    rows = [row for row in compare.expected_pool(replace(problem, limits=bare)) if not math.isnan(row.reference)]
    n = 3
    miner = compare.miner_of(limits, num_negatives=n)
    rules = compare.rules_of(problem)
    swept = miner.sweep(
        compare.index_of(problem, How()),
        problem.queries
        if not problem.self_is_slice
        else problem.corpus[problem.query_offset :][: len(problem.queries)],
        compare.positives_of(problem),
        margins,
        kind,
        depth=depth,
        **rules,
    )
    for i, margin in enumerate(sorted(margins, key=lambda margin: -math.inf if margin is None else margin)):
        capped = replace(limits, **{f"{kind}_margin": margin})
        expected = oracle.sweep(rows, capped, depth)
        chosen = [oracle.swept_negatives(row, capped, depth, n) for row in rows]
        scores = [row.scores[document] for row, documents in zip(rows, chosen, strict=True) for document in documents]
        short = [not one.censored and len(two) < n for one, two in zip(expected, chosen, strict=True)]
        assert swept.margins[i] == (-math.inf if margin is None else margin)
        if rows:
            assert swept.negatives_per_row[i] == pytest.approx(len(scores) / len(rows), rel=1e-12)
            rejected = [one.rejected / max(one.listed, 1) for one in expected]
            assert swept.rejected[i] == pytest.approx(np.mean(rejected), rel=1e-12)
            assert swept.censored_rows[i] == pytest.approx(np.mean([one.censored for one in expected]), rel=1e-12)
            assert swept.short_rows[i] == pytest.approx(np.mean(short), rel=1e-12)
        if scores:
            assert swept.hardness[i] == pytest.approx(np.mean(scores), rel=1e-9, abs=1e-300)
            assert swept.hardness_quantiles[i] == pytest.approx(np.quantile(scores, [0.1, 0.5, 0.9]), rel=1e-9)
        else:
            assert np.isnan(swept.hardness[i])


@given(problems(), POLICY, st.integers(1, 5), st.integers(0, 3))
def test_suspects(problem: Problem, policy: oracle_draws.Policy, n: int, num_random: int) -> None:
    rows = compare.expected_pool(problem)
    expected = oracle.label_issues(rows, oracle.select(rows, n, policy, num_random=num_random))
    sampling = compare.product_policy(policy)
    negatives = compare.actual_pool(problem, How()).select(n, sampling=sampling, num_random=num_random)
    found = negatives.label_issues()
    listed = negatives.indices[found.result_rows, found.columns].tolist()
    assert sorted(zip(found.result_rows.tolist(), listed, strict=True)) == sorted(expected)
    assert (found.excess[1:] <= found.excess[:-1]).all()
    assert (found.excess >= 0).all()


@given(problems(), st.integers(0, 6), st.booleans(), st.booleans())
def test_low_positives_are_low_and_the_others_are_high_or_undecided(
    problem: Problem, rank: int, with_pool: bool, restricted: bool
) -> None:
    pool = compare.actual_pool(problem, How())
    pool = pool.restrict(max_score=0.5) if restricted else pool
    negatives = pool.select(2)
    found = (negatives if with_pool else replace(negatives, pool=None)).label_issues(rank=rank)
    above = dict(zip(found.low_positives.tolist(), found.above.tolist(), strict=True))
    undecided = set(found.undecided.tolist())
    for i, row in enumerate(compare.expected_pool(problem)):
        if math.isnan(row.reference):
            assert i not in above.keys() | undecided
            continue
        cap = min(problem.limits.caps(row.reference).values(), default=math.inf)
        true = sum(bool(row.scores[document] > min(cap, row.reference)) for document in row.candidates)
        assert i not in undecided or i not in above
        if i in above:
            assert rank < above[i] <= true
        elif i not in undecided:
            assert true <= rank


@given(problems(), LIMITED_POLICY, st.integers(1, 4), st.integers(0, 2), st.one_of(st.none(), st.integers(1, 2)))
def test_what_is_saved_comes_back(
    problem: Problem, policy: oracle_draws.Policy, n: int, num_random: int, limit: int | None
) -> None:
    pool = compare.actual_pool(problem, How())
    options: dict[str, Any] = {"sampling": compare.product_policy(policy), "num_random": num_random, "seed": 2**64 - 1}
    negatives = pool.select(n, limit_per_document=limit, **options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "negatives.npz"
        negatives.save(path, pool=True)
        loaded = negmine.HardNegatives.load(path, pool=negmine.CandidatePool.load(path.with_name("negatives.pool.npz")))
    assert compare.digest_negatives(loaded) == compare.digest_negatives(negatives)
    assert loaded.pool is not None
    assert compare.digest_pool(loaded.pool) == compare.digest_pool(pool)
    assert loaded.report == negatives.report
    assert (loaded.ids == negatives.ids).all()
    assert (loaded.above_reference == negatives.above_reference).all()
    assert pool.origin is not None
    attached = loaded.pool.attach(pool.origin.source, pool.origin.queries)
    redrawn = replace(loaded, pool=attached).redraw(3)
    assert compare.digest_negatives(redrawn) == compare.digest_negatives(negatives.redraw(3))


@given(problems())
def test_what_holds_for_every_answer(problem: Problem) -> None:
    pool = compare.actual_pool(problem, How())
    for r, (row, count) in enumerate(zip(pool.indices.tolist(), pool.counts.tolist(), strict=True)):
        found = row[:count]
        assert row[count:] == [-1] * (len(row) - count)
        assert len(set(found)) == count
        assert all(0 <= document < len(problem.corpus) for document in found)
        query = pool.query_indices[r] - problem.query_offset
        assert not set(found) & {entry for entry in problem.positives[query] if isinstance(entry, int)}
        assert (pool.scores[r, :count][1:] <= pool.scores[r, :count][:-1]).all()
