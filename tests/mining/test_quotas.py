"""Quotas by category and by source of a fused pool; the property tests of policies hold them to the oracle as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import CandidatePool, ExactIndex, HardNegativeMiner, Quota, ScoredLists, fuse
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Reason, policies

SCORES = np.linspace(1.0, 0.1, 10, dtype=np.float32)
CATEGORIES = np.array([0, 0, 0, 0, 0, 1, 1, 2, -1, 9])
ONE = np.ones((1, 1), dtype=np.float32)


def pool_of(categories: Any = CATEGORIES, n_queries: int = 1, **options: Any) -> CandidatePool:
    index = ExactIndex(SCORES[:, None], metric="ip")
    queries = np.repeat(ONE, n_queries, axis=0)
    miner = HardNegativeMiner(range_max=10)
    return miner.candidates(index, queries, [[]] * n_queries, categories=categories, **options)


def rows(pool: CandidatePool, n: int, *args: Any, **options: Any) -> list[int]:
    chosen = pool.select(n, sampling=Quota(*args, **options)).indices[0]
    return [int(row) for row in chosen if row >= 0]


def test_every_category_gets_its_number_by_rank() -> None:
    assert rows(pool_of(), 4, (0.5, 0.5)) == [0, 1, 5, 6]
    assert rows(pool_of(), 4, (1, 1, 2)) == [0, 1, 5, 7], "the missing document of category 2 is filled by rank"
    assert rows(pool_of(), 3, (0.0, 1.0)) == [0, 5, 6]


def test_halves_of_an_odd_number_go_to_the_first_category() -> None:
    assert rows(pool_of(), 3, (0.5, 0.5)) == [0, 1, 5]
    assert rows(pool_of(), 1, (0.5, 0.5)) == [0]


def test_documents_of_other_categories_only_fill() -> None:
    assert rows(pool_of(), 9, (1, 1)) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert rows(pool_of([-1] * 10), 3, (1, 1)) == [0, 1, 2]


def test_a_strict_quota_leaves_rows_short_and_says_so() -> None:
    pool = pool_of()
    negatives = pool.select(4, sampling=Quota((0.0, 0.0, 1.0), strict=True))
    assert negatives.indices.tolist() == [[7, -1, -1, -1]]
    assert Reason(negatives.reasons[0]) is Reason.QUOTA
    assert negatives.report.short == {"quota": 1}
    assert "quota" in str(negatives.report)


def test_rounding_by_draw_gives_every_category_its_share() -> None:
    pool = pool_of(n_queries=4000)
    chosen = pool.select(1, sampling=Quota((0.6, 0.4), rounding="draw")).indices[:, 0]
    assert set(chosen.tolist()) == {0, 5}
    assert abs((chosen == 5).mean() - 0.4) < 4 * np.sqrt(0.24 / 4000)
    # With 4 per row, 2.4 of the first: 2 or 3, and never 1 or 4.
    firsts = np.isin(pool.select(4, sampling=Quota((0.6, 0.4), rounding="draw")).indices, [0, 1, 2, 3, 4]).sum(axis=1)
    assert set(firsts.tolist()) == {2, 3}
    assert abs(firsts.mean() - 2.4) < 4 * np.sqrt(0.24 / 4000)


def test_draws_depend_on_seed_and_epoch() -> None:
    pool = pool_of(n_queries=200)
    quota = Quota((0.5, 0.5), rounding="draw")
    first = pool.select(1, sampling=quota)
    np.testing.assert_array_equal(first.indices, pool.select(1, sampling=quota).indices)
    for other in (pool.select(1, sampling=quota, epoch=1), pool.select(1, sampling=quota, seed=1), first.redraw(2)):
        assert (other.indices != first.indices).any()


def test_under_a_limit_a_refused_pick_is_replaced_by_the_next_of_the_order() -> None:
    pool = pool_of(n_queries=2)
    chosen = pool.select(2, sampling=Quota((1, 1)), limit_per_document=1).indices.tolist()
    assert chosen == [[0, 5], [1, 2]]


def test_sources_of_a_fused_pool_are_the_pools_of_the_best_rank() -> None:
    first = ScoredLists(np.array([[0, 1, 2, 3]]), np.array([[4.0, 3.0, 2.0, 1.0]]), n_documents=8)
    second = ScoredLists(np.array([[3, 4, 5, 0]]), np.array([[4.0, 3.0, 2.0, 1.0]]), n_documents=8)
    miner = HardNegativeMiner(range_max=4)
    fused = fuse([miner.candidates(lists, None, [[]]) for lists in (first, second)])
    assert fused.indices.tolist() == [[0, 3, 1, 4, 2, 5]]

    def chosen(n: int, *shares: float) -> list[int]:
        return sorted(fused.select(n, sampling=Quota(shares, by="source")).indices[0].tolist())

    assert chosen(4, 1, 1) == [0, 1, 3, 4]
    assert chosen(3, 0, 1) == [3, 4, 5]
    assert chosen(2, 1, 0) == [0, 1]


def test_categories_stay_with_the_pool(tmp_path: Path) -> None:
    pool = pool_of(n_queries=3)
    pool.save(tmp_path / "pool.npz")
    expected = [0, 5]
    rescored = pool.rescore(lambda queries, documents: -documents.astype(np.float64))
    for other in (CandidatePool.load(tmp_path / "pool.npz"), pool[1:], rescored, pool.restrict(min_score=0.2)):
        assert rows(other, 2, (1, 1)) == expected
    assert rows(CandidatePool.concatenate([pool[:1], pool[1:]]), 2, (1, 1)) == expected
    assert rows(fuse([pool, pool]), 2, (1, 1)) == expected


def test_all_doors_take_categories(tmp_path: Path) -> None:
    corpus = np.stack([SCORES, np.sqrt(1 - SCORES**2)], axis=1)
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    options: dict[str, Any] = {"num_negatives": 2, "sampling": Quota((1, 1)), "categories": CATEGORIES}
    mined = negmine.mine(queries, corpus, [[]], **options)
    assert mined.indices.tolist() == [[0, 5]]
    result = negmine.mine_to(tmp_path / "job", queries, corpus, [[]], **options)
    assert next(result.rows().batches()).negatives.indices.tolist() == [0, 5]
    with pytest.raises(negmine.errors.JobError, match="categories"):
        negmine.mine_to(tmp_path / "job", queries, corpus, [[]], **options | {"categories": CATEGORIES[::-1]})


@pytest.mark.parametrize(
    "quota", [Quota((0.5, 0.5)), Quota([1, 2, 0], "source", True, "draw"), Quota(np.array([1.0, 3.0]), strict=True)]
)
def test_every_form_of_a_quota_is_the_same_quota(quota: Quota) -> None:
    assert policies.from_json(policies.to_json(quota)) == quota
    shares = ",".join(map(str, quota.shares))
    text = f"quota:{shares}:{quota.by}:{str(quota.strict).lower()}:{quota.rounding}"
    assert policies.from_text(text) == quota


def other_categories() -> None:
    CandidatePool.concatenate([pool_of()[:1], pool_of(CATEGORIES[::-1])[:1]])


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "negative": (lambda: Quota((1, -1)), NegmineValueError, "`shares` must be at least 0"),
    "nan": (lambda: Quota((1, float("nan"))), NegmineValueError, "`shares`"),
    "zero": (lambda: Quota((0, 0)), NegmineValueError, "`shares` must hold a number above 0; got (0.0, 0.0)."),
    "empty": (lambda: Quota(()), NegmineValueError, "`shares` must hold a number above 0; got ()."),
    "number": (lambda: Quota(0.5), NegmineTypeError, "`shares` must be a list of numbers; got 0.5."),  # type: ignore[arg-type]
    "text": (lambda: Quota("ab"), NegmineTypeError, "`shares` must be a list of numbers; got 'ab'."),  # type: ignore[arg-type]
    "by": (lambda: Quota((1,), "teacher"), NegmineValueError, "`by` must be"),  # type: ignore[arg-type]
    "strict": (lambda: Quota((1,), strict=2), NegmineTypeError, "`strict`"),  # type: ignore[arg-type]
    "rounding": (lambda: Quota((1,), rounding="up"), NegmineValueError, "`rounding` must be"),  # type: ignore[arg-type]
    "no categories": (lambda: pool_of(None).select(1, sampling=Quota((1,))), NegmineValueError, "`categories`"),
    "not fused": (lambda: pool_of().select(1, sampling=Quota((1,), "source")), NegmineValueError, "`fuse`"),
    "length": (lambda: pool_of([0, 1]), NegmineValueError, "`categories`"),
    "type": (lambda: pool_of(["a"] * 10), NegmineTypeError, "`categories`"),
    "limit": (
        lambda: HardNegativeMiner(sampling=Quota((1,), strict=True), limit_per_document=1),
        NegmineValueError,
        "`limit_per_document` must be None with a strict Quota; got 1.",
    ),
    "limit of select": (
        lambda: pool_of().select(1, sampling=Quota((1,), strict=True), limit_per_document=1),
        NegmineValueError,
        "`limit_per_document` must be None with a strict Quota; got 1.",
    ),
    "joined": (other_categories, NegmineValueError, "`categories`"),
    "command line": (lambda: policies.from_text("quota:a,b"), NegmineValueError, "must have a number for shares"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_quotas_are_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
