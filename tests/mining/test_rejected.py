"""Rejected documents are the best ones that any rule takes out of the whole corpus, with that rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle
import oracle_rejected
from compare import How, Problem, actual_pool, expected_pool, ragged, same
from negmine import CandidatePool, ExactIndex, HardNegativeMiner, ScoredLists, errors
from negmine.mining import Rejection
from negmine.mining import rejected as rejected_module
from strategies import HOWS, SEEDS, problems


def expected(problem: Problem, rows: list[oracle.Row], n: int) -> list[list[tuple[int, float, int]]]:
    rules = oracle.Rules(problem.exclude, problem.self_rows, problem.groups, problem.eligible)
    known: list[list[oracle.Positive]] = [
        [entry if isinstance(entry, int) else 0.0 for entry in entries] for entries in problem.positives
    ]
    return oracle_rejected.rejected(rows, rules, problem.limits, known, n)


def assert_rejected(pool: CandidatePool, wanted: list[list[tuple[int, float, int]]], n: int) -> None:
    found = pool.rejected
    assert found is not None
    same(found.indices, ragged([[one[0] for one in row] for row in wanted], n, -1, np.int64), np.int64, "indices")
    same(found.scores, ragged([[one[1] for one in row] for row in wanted], n, -np.inf, float), float, "scores")
    same(found.rules, ragged([[one[2] for one in row] for row in wanted], n, 0, np.uint8), np.uint8, "rules")
    assert found.counts.tolist() == [len(row) for row in wanted]


@given(problems(), HOWS, st.integers(1, 12), st.sampled_from([1, 7, 1 << 20]))
def test_rejected_documents_are_those_of_brute_force(problem: Problem, how: How, n: int, pairs: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejected_module, "PAIRS_AT_ONCE", pairs)
        pool = actual_pool(problem, how, keep_rejected=n)
    assert_rejected(pool, expected(problem, expected_pool(problem), n), n)


@given(problems(), HOWS, st.integers(1, 12))
def test_everything_else_of_the_pool_is_as_without(problem: Problem, how: How, n: int) -> None:
    one, other = actual_pool(problem, how, keep_rejected=n), actual_pool(problem, how)
    assert other.rejected is None
    for name in ("indices", "scores", "counts", "reasons", "cap_scores", "positive_scores"):
        same(getattr(one, name), getattr(other, name), getattr(other, name).dtype, name)
    assert one.report == other.report


@given(problems(), st.integers(0, 2**16))
def test_the_report_counts_the_rejected_documents(problem: Problem, seed: int) -> None:
    n = max(len(problem.corpus), 1)
    pool = actual_pool(problem, How(), keep_rejected=n)
    assert pool.rejected is not None
    lines = ("excluded", "self", "group", "ineligible")
    lines += ("above_max_score", "above_absolute_margin", "above_relative_margin")
    for number, line in enumerate(lines, start=1):
        assert (pool.rejected.rules == number).sum(axis=1).tolist() == pool.report.lines[line].tolist()
        assert Rejection(number).name.lower() == line


@given(SEEDS, st.integers(1, 5))
def test_lists_have_the_rejected_documents_that_they_score(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    n_documents, n_queries = 12, 4
    lists = [
        {int(d): float(rng.integers(-2, 3)) for d in rng.permutation(n_documents)[: rng.integers(0, 10)]}
        for _ in range(n_queries)
    ]
    positives = [[int(d) for d in rng.permutation(n_documents)[: rng.integers(0, 3)]] for _ in range(n_queries)]
    exclude = [[int(d) for d in rng.permutation(n_documents)[:2]] for _ in range(n_queries)]
    groups = rng.integers(-1, 4, n_documents).tolist()
    eligible = (rng.integers(0, 3, n_documents).tolist(), [0, 1, 2, 1], [1, 1, 0, 2])
    limits = oracle.Limits(max_score=1.0, absolute_margin=1.0, range_max=3)
    rules = oracle.Rules(exclude, None, groups, eligible)
    rows = oracle.candidates_of_lists(lists, n_documents, positives, limits, rules=rules)
    source = ScoredLists.from_lists(
        [list(one) for one in lists], [list(one.values()) for one in lists], n_documents=n_documents
    )
    pool = HardNegativeMiner(3, max_score=1.0, absolute_margin=1.0).candidates(
        source,
        None,
        positives,
        exclude=exclude,
        groups=groups,
        eligible=negmine.Eligibility(*(np.array(values) for values in eligible)),
        keep_rejected=n,
    )
    assert_rejected(pool, oracle_rejected.rejected(rows, rules, limits, positives, n), n)


def small(**options: Any) -> CandidatePool:
    corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1], [-1, 0]], dtype=np.float32)
    miner = HardNegativeMiner(2, **({"relative_margin": 0.2} | options))
    index = ExactIndex(corpus, ids=[f"d{row}" for row in range(5)])
    return miner.candidates(index, corpus[:2], [[0], [1]], exclude=[[4], []], keep_rejected=3)


def test_labels_and_rules_are_readable() -> None:
    found = small().rejected
    assert found is not None
    assert found.ids[0].tolist() == ["d1", "d4", ""]
    assert [Rejection(rule).name for rule in found.rules[0]] == ["ABOVE_RELATIVE_MARGIN", "EXCLUDED", "PADDING"]
    assert repr(found).startswith("Rejected(2 rows x 3, ")


def test_slices_and_concatenation_keep_them() -> None:
    pool = small()
    assert pool.rejected is not None
    joined = CandidatePool.concatenate([pool[:1], pool[1:]]).rejected
    assert joined is not None
    for name in ("indices", "scores", "rules"):
        assert np.array_equal(getattr(joined, name), getattr(pool.rejected, name))
    assert pool[[1]].rejected.indices.tolist() == pool.rejected.indices[1:].tolist()
    assert pool.restrict(max_score=0.5).rejected is pool.rejected
    assert pool.rescore(lambda queries, documents: documents / 10).rejected is None
    assert negmine.fuse([pool, pool]).rejected is None
    corpus = np.eye(5, 2, dtype=np.float32)
    other = HardNegativeMiner(2).candidates(ExactIndex(corpus, ids=[f"d{row}" for row in range(5)]), corpus[:1], [[0]])
    with pytest.raises(errors.NegmineValueError, match="must have equal `keep_rejected`; got 3 and 0"):
        CandidatePool.concatenate([pool, other])


def test_files_keep_them(tmp_path: Path) -> None:
    pool = small()
    assert pool.rejected is not None
    pool.save(tmp_path / "pool.npz")
    loaded = CandidatePool.load(tmp_path / "pool.npz").rejected
    assert loaded is not None
    for name in ("indices", "scores", "rules", "ids", "counts"):
        assert np.array_equal(getattr(loaded, name), getattr(pool.rejected, name))


def test_one_call_keeps_them_too() -> None:
    corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    negatives = negmine.mine(corpus[:1], corpus, [0], num_negatives=1, relative_margin=0.2, keep_rejected=1)
    assert negatives.pool is not None
    assert negatives.pool.rejected is not None
    assert negatives.pool.rejected.indices.tolist() == [[1]]


@pytest.mark.parametrize(
    ("value", "error"), [(-1, errors.NegmineValueError), (1.5, errors.NegmineTypeError), ("3", errors.NegmineTypeError)]
)
def test_a_bad_number_is_refused(value: Any, error: type) -> None:
    corpus = np.eye(3, dtype=np.float32)
    for call in (
        lambda: HardNegativeMiner(1).candidates(ExactIndex(corpus), corpus, [0, 1, 2], keep_rejected=value),
        lambda: negmine.mine(corpus, corpus, [0, 1, 2], num_negatives=1, keep_rejected=value),
    ):
        with pytest.raises(error, match="`keep_rejected` must be"):
            call()
