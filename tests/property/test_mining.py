"""Candidates, choices, redraws and document limits against the oracle, bit for bit, on small problems that collide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import compare
import negmine
import oracle
import oracle_draws
from compare import How, Problem
from strategies import HOWS, POLICY, problems

EPOCHS = st.sampled_from([0, 1, 2, 7, 2**63])
SEEDS = st.sampled_from([0, 42, 2**64 - 1])


@given(problems(), HOWS)
def test_candidates(problem: Problem, how: How) -> None:
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


@given(problems(), POLICY, st.integers(1, 3), st.integers(1, 4), st.integers(0, 2), EPOCHS)
def test_limit_per_document(
    problem: Problem, policy: oracle_draws.Policy, cap: int, n: int, num_random: int, epoch: int
) -> None:
    rows = compare.expected_pool(problem)
    expected = oracle.select(rows, n, policy, num_random=num_random, seed=7, epoch=epoch, limit_per_document=cap)
    pool = compare.actual_pool(problem, How())
    sampling = compare.product_policy(policy)
    actual = pool.limit_per_document(cap, n, sampling=sampling, num_random=num_random, seed=7, epoch=epoch)
    compare.assert_same_choice(actual, expected, rows, problem, n)
    served = [row for line, sources in zip(actual.rows, actual.source, strict=True) for row in line[sources == 1]]
    assert all(served.count(row) <= cap for row in set(served))


@given(problems(), POLICY, st.integers(1, 5), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 3)), EPOCHS)
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
    first = miner.mine(index, queries, compare.positives_of(problem), epoch=1, **compare.rules_of(problem))
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
    for name in ("rows", "ids", "scores", "counts", "reasons", "source", "query_rows", "positive_rows"):
        joined = [value for part in parts for value in getattr(part, name).tolist()]
        assert joined == getattr(whole, name).tolist(), name


@given(problems(), HOWS)
def test_two_ways_of_asking_give_one_answer(problem: Problem, how: How) -> None:
    once, again = compare.actual_pool(problem, How()), compare.actual_pool(problem, how)
    assert compare.digest_pool(once) == compare.digest_pool(again)
    assert once.report == again.report


@given(problems())
def test_what_holds_for_every_answer(problem: Problem) -> None:
    pool = compare.actual_pool(problem, How())
    for r, (row, count) in enumerate(zip(pool.rows.tolist(), pool.counts.tolist(), strict=True)):
        found = row[:count]
        assert row[count:] == [-1] * (len(row) - count)
        assert len(set(found)) == count
        assert all(0 <= document < len(problem.corpus) for document in found)
        query = pool.query_rows[r] - problem.query_offset
        assert not set(found) & {entry for entry in problem.positives[query] if isinstance(entry, int)}
        assert (pool.scores[r, :count][1:] <= pool.scores[r, :count][:-1]).all()
