"""Slices of pools and negatives, and what they become when they are put together again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import compare
import negmine
import oracle_draws
from compare import How, Problem
from negmine import CandidatePool, Eligibility, HardNegativeMiner, HardNegatives, Positives, errors, io
from negmine.data import Strings
from pools import assert_equal_pools
from strategies import POLICY, problems

DRAW = np.random.default_rng(0)
CORPUS = DRAW.standard_normal((40, 8)).astype(np.float32)
QUERIES = DRAW.standard_normal((6, 8)).astype(np.float32)
POSITIVES = [[0, 1], [2], [], [3, 4, 5], [6], [7]]
INDEX = negmine.ExactIndex(CORPUS, ids=[f"d{row}" for row in range(40)])
LABELS = [f"q{row}" for row in range(6)]


def mined(begin: int = 0, end: int = 6, *, offset: int = 0, **options: Any) -> HardNegatives:
    """Mine some of the queries, as one call of several would."""
    miner = HardNegativeMiner(3, **{"range_max": 9, "relative_margin": 0.1, "seed": 4} | options)
    rules = {
        "exclude": [[row + 10] for row in range(begin, end)],
        "groups": np.arange(40) // 2,
        "eligible": Eligibility(np.arange(40), np.zeros(end - begin, int), np.full(end - begin, 38)),
    }
    return miner.mine(
        INDEX,
        QUERIES[begin:end],
        POSITIVES[begin:end],
        query_ids=LABELS[begin:end],
        query_offset=offset + begin,
        **rules,  # type: ignore[arg-type]
    )


def assert_equal_negatives(actual: HardNegatives, expected: HardNegatives) -> None:
    assert compare.digest_negatives(actual) == compare.digest_negatives(expected)
    assert actual.report == expected.report
    assert (actual.draw, actual.epoch) == (expected.draw, expected.epoch)
    assert actual.ids.tolist() == expected.ids.tolist()
    assert actual.query_labels.tolist() == expected.query_labels.tolist()
    assert (actual.pool is None) == (expected.pool is None)
    if actual.pool is not None and expected.pool is not None:
        assert_equal_pools(actual.pool, expected.pool)


ROWS = {
    "slice": slice(1, 4),
    "steps": slice(None, None, -2),
    "nothing": slice(0, 0),
    "mask": np.array([True, False, False, True, False, True]),
    "list": [5, 0, 3],
    "int32": np.array([2, 1], dtype=np.int32),
    "empty": [],
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("reference", ["min", "each"])
def test_slices_are_rows_of_every_array(name: str, reference: Any) -> None:
    whole, pool = mined(reference=reference, num_random=1), mined(reference=reference).pool
    assert pool is not None
    rows = ROWS[name] if name != "mask" or reference == "min" else np.arange(len(whole)) % 2 == 0
    kept = np.arange(len(whole))[np.asarray(rows, dtype=np.int64) if isinstance(rows, list) else rows]
    part, part_of_pool = whole[rows], pool[rows]
    assert part.indices.tolist() == whole.indices[kept].tolist()
    assert part.query_labels.tolist() == whole.query_labels[kept].tolist()
    assert part_of_pool.query_labels.tolist() == pool.query_labels[kept].tolist()
    assert part.report.lines["positives"].tolist() == whole.report.lines["positives"][kept].tolist()
    assert part.report.n_rows == len(part) == len(kept)
    assert sum(part.report.short.values()) == (part.reasons != 0).sum()
    assert part.report.n_unscanned == (whole.query_indices[kept] == 2).sum()
    assert part.positive_scores is whole.positive_scores
    assert part.redraw(3).indices.tolist() == whole.redraw(3).indices[kept].tolist()


def tells_apart(problem: Problem) -> bool:
    """Whether no query has several positives outside the corpus with a result row each."""
    outside = [sum(not isinstance(entry, int) for entry in entries) for entries in problem.positives]
    return problem.limits.reference != "each" or max(outside, default=0) < 2


@given(problems(), POLICY, st.integers(0, 2), st.data())
def test_selecting_from_a_slice_slices_the_selection(
    problem: Problem, policy: oracle_draws.Policy, num_random: int, data: st.DataObject
) -> None:
    assume(tells_apart(problem))
    pool = compare.actual_pool(problem, How())
    rows = np.array(data.draw(st.permutations(range(len(pool)))), dtype=np.int64)
    rows = rows[: data.draw(st.integers(0, len(rows)))]
    options: dict[str, Any] = {"sampling": compare.product_policy(policy), "num_random": num_random, "epoch": 3}
    assert_equal_negatives(pool[rows].select(2, **options), pool.select(2, **options)[rows])


@given(problems(), POLICY, st.integers(0, 2), st.booleans(), st.data())
def test_slices_put_together_are_the_whole(
    problem: Problem, policy: oracle_draws.Policy, num_random: int, with_pool: bool, data: st.DataObject
) -> None:
    assume(tells_apart(problem))
    sampling = compare.product_policy(policy)
    whole = compare.actual_pool(problem, How()).select(2, sampling=sampling, num_random=num_random)
    whole = whole if with_pool else replace(whole, pool=None)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    parts = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    joined = HardNegatives.concatenate(parts)
    assert_equal_negatives(joined, whole)
    if joined.pool is not None and whole.pool is not None:
        assert joined.pool.origin is whole.pool.origin
        assert_equal_negatives(joined.redraw(5), whole.redraw(5))


@given(problems(), POLICY, st.booleans(), st.data())
def test_calls_put_together_are_one_call(
    problem: Problem, policy: oracle_draws.Policy, with_pool: bool, data: st.DataObject
) -> None:
    assume(not problem.self_is_slice)
    n = len(problem.queries)
    cuts = sorted({0, n, *data.draw(st.lists(st.integers(0, n), max_size=2))})
    sampling = compare.product_policy(policy)

    def select(part: Problem) -> HardNegatives:
        found = compare.actual_pool(part, How()).select(2, sampling=sampling)
        return found if with_pool else replace(found, pool=None)

    parts = [select(problem.cut(begin, end)) for begin, end in itertools.pairwise(cuts)]
    assume(parts)
    whole = select(problem)
    # The numbers of repeated positives are those of a call.
    joined = HardNegatives.concatenate(parts)
    assert compare.digest_negatives(joined) == compare.digest_negatives(whole)
    assert joined.report.lines.keys() == whole.report.lines.keys()
    assert joined.report.totals() == whole.report.totals()
    if joined.pool is not None and whole.pool is not None:
        assert compare.digest_pool(joined.pool) == compare.digest_pool(whole.pool)
        assert joined.redraw(2).indices.tolist() == whole.redraw(2).indices.tolist()


def test_calls_with_every_rule_put_together_are_one_call(tmp_path: Path) -> None:
    whole = mined(offset=5)
    joined = HardNegatives.concatenate([mined(0, 2, offset=5)[1:], mined(2, 5, offset=5), mined(5, 6, offset=5)])
    assert_equal_negatives(joined, whole[1:])
    joined.save(tmp_path / "a.npz", pool=True)
    loaded = HardNegatives.load(tmp_path / "a.npz", pool=CandidatePool.load(tmp_path / "a.pool.npz"))
    assert_equal_negatives(loaded, whole[1:])
    assert loaded.pool is not None
    attached = loaded.pool.attach(INDEX, QUERIES)
    assert attached.select(2, num_random=3).indices.tolist() == whole[1:].pool.select(2, num_random=3).indices.tolist()


def test_later_pools_are_sliced_and_put_together() -> None:
    pool = mined().pool
    assert pool is not None
    guided = pool.rescore(lambda queries, documents: documents / 10, as_guide=True)
    for whole in (guided, negmine.fuse([pool, guided])):
        assert_equal_pools(CandidatePool.concatenate([whole[:2], whole[2:]]), whole)
        swapped = CandidatePool.concatenate([whole[2:], whole[:2]])
        assert_equal_pools(swapped[[4, 5, 0, 1, 2, 3]], whole)


def test_a_warm_start_may_be_in_any_order() -> None:
    whole = mined()
    again = HardNegativeMiner(3).mine(INDEX, QUERIES, POSITIVES, warm_start=whole[[4, 0, 2, 5]])
    assert again.indices.tolist() == HardNegativeMiner(3).mine(INDEX, QUERIES, POSITIVES).indices.tolist()


@pytest.mark.parametrize("reference", ["min", "each"])
def test_files_of_slices_have_their_own_positives(tmp_path: Path, reference: Any) -> None:
    pytest.importorskip("pyarrow")
    whole = mined(offset=3, reference=reference)
    everything = next(io.MinedRows.from_negatives(whole).batches())
    rows = [4, 0, 3]
    io.write_negatives(whole[rows], tmp_path / "a.parquet")
    found = next(io.read_negatives(tmp_path / "a.parquet").batches())
    assert list(found.query_ids) == [everything.query_ids[row] for row in rows]
    for side in ("positives", "negatives"):
        part, lists = getattr(found, side), getattr(everything, side)
        for name in ("indices", "ids", "scores"):
            pieces = [
                np.asarray(getattr(lists, name))[lists.offsets[row] : lists.offsets[row + 1]].tolist() for row in rows
            ]
            assert np.asarray(getattr(part, name)).tolist() == list(itertools.chain(*pieces))


def test_positives_without_a_pool_begin_at_the_offset() -> None:
    pytest.importorskip("pyarrow")
    whole = replace(mined(offset=3), pool=None)
    positives = Positives.from_lists(POSITIVES)
    rows = next(io.MinedRows.from_negatives(whole[2:], positives=positives, query_offset=3).batches())
    assert rows.positives.indices.tolist() == [3, 4, 5, 6, 7]
    with pytest.raises(errors.NegmineValueError, match="`positives` must have a list for every query, 3 to 8; got 6"):
        io.MinedRows.from_negatives(whole, positives=positives)


def test_documents_keep_their_labels_without_a_pool(tmp_path: Path) -> None:
    parts = [mined(0, 3), mined(3, 6)]
    for i, part in enumerate(parts):
        part.save(tmp_path / f"{i}.npz")
    loaded = [HardNegatives.load(tmp_path / f"{i}.npz") for i in range(2)]
    for mixed in (loaded, [loaded[0], parts[1]]):
        joined = HardNegatives.concatenate(mixed)
        assert joined.ids.tolist() == mined().ids.tolist()
        assert joined.query_labels.tolist() == LABELS
        assert joined.positive_scores.tolist() == mined().positive_scores.tolist()


def outside() -> HardNegatives:
    """Mine with two positives outside the corpus, whose rows are told apart by their order."""
    positives = Positives.from_lists([[-1, -1], [0]], positive_scores=[2.0, 1.0, math.nan])
    return HardNegativeMiner(2, reference="each").mine(INDEX, QUERIES[:2], positives)


VALUE, TYPE = errors.NegmineValueError, errors.NegmineTypeError
BAD: dict[str, tuple[Callable[[], Any], type, str]] = {
    "one row": (lambda: mined()[3], TYPE, "`rows` must be a slice, a mask or a list of rows; got 3"),
    "pair": (lambda: mined()[1, 2], TYPE, "`rows` must be a slice, a mask or a list of rows; got (1, 2)"),
    "word": (lambda: mined()["a"], TYPE, "`rows` must be a slice, a mask or a list of rows; got 'a'"),
    "floats": (lambda: mined()[[0.5]], TYPE, "`rows` must hold integers"),
    "beyond": (lambda: mined()[[6]], VALUE, "`rows` must hold result rows below 6; got 6"),
    "negative": (lambda: mined().pool[[-1]], VALUE, "`rows` must hold result rows below 6; got -1"),
    "short mask": (lambda: mined()[np.ones(5, bool)], VALUE, "`rows` must have shape (6,) as a mask; got shape (5,)"),
    "outside": (lambda: outside()[[1, 2]], VALUE, "all pairs of a query with several positives outside the corpus"),
    "twice": (lambda: mined(reference="each")[[0, 0]], VALUE, "`rows` must hold a (query, positive) pair once"),
    "itself": (lambda: HardNegatives.concatenate(mined()), TYPE, "`negatives` must be a list of HardNegatives; got"),
    "others": (lambda: HardNegatives.concatenate([1]), TYPE, "`negatives` must hold HardNegatives; got int"),
    "none": (lambda: HardNegatives.concatenate([]), VALUE, "`negatives` must hold at least one HardNegatives; got non"),
    "draw": (
        lambda: join(mined(0, 3), mined(3, seed=5)),
        VALUE,
        "`negatives` must have equal `draw`; got Draw(num_neg",
    ),
    "epoch": (lambda: join(mined(0, 3), mined(3).redraw(1)), VALUE, "`negatives` must have equal `epoch`; got 0 and 1"),
    "width": (lambda: join(mined(0, 3), narrow(mined(3))), VALUE, "`negatives` must have equal `width`; got 3 and 2"),
    "gap": (lambda: join(mined(0, 2), mined(3)), VALUE, "`query_offset` must be 2 here; got 3"),
    "same queries": (
        lambda: join(*(replace(mined(), pool=None) for _ in range(2))),
        VALUE,
        "`negatives` must be of one call, or have different queries; got query row 0 twice",
    ),
    "no labels": (
        lambda: join(
            *(replace(mined(*range_), pool=None, query_ids=ids) for range_, ids in (((0, 3), None), ((3, 6), Q)))
        ),
        VALUE,
        "`negatives` must have equal `query_ids`; got labels and none",
    ),
    "pools each": (
        lambda: CandidatePool.concatenate([mined(0, 3).pool, mined(3, 6, reference="each").pool]),
        VALUE,
        "`pools` must have equal `each`; got False and True",
    ),
    "pools labels": (
        lambda: CandidatePool.concatenate([mined(0, 3).pool, replace(mined(3).pool, query_ids=np.arange(3))]),
        VALUE,
        "`query_ids` must all be strings or all be integers; got both",
    ),
    "pools documents": (
        lambda: CandidatePool.concatenate(
            [mined(0, 3).pool, replace(mined(3).pool, document_ids=Strings.of(map(str, range(40)), "ids"))]
        ),
        VALUE,
        "`pools` must have equal `document_ids`; got other labels",
    ),
    "pools rules": (
        lambda: CandidatePool.concatenate(
            [mined(0, 3).pool, replace(mined(3).pool, rules=replace(mined(3).pool.rules, groups=None))]
        ),
        VALUE,
        "`pools` must have equal `groups`; got one with and one without",
    ),
    "pools groups": (
        lambda: CandidatePool.concatenate(
            [mined(0, 3).pool, replace(mined(3).pool, rules=replace(mined(3).pool.rules, groups=np.arange(40)))]
        ),
        VALUE,
        "`pools` must have equal `groups` of the documents; got other values",
    ),
}


Q = mined(3).query_ids


def join(*parts: HardNegatives) -> HardNegatives:
    return HardNegatives.concatenate(parts)


def narrow(negatives: HardNegatives) -> HardNegatives:
    cut = {
        name: getattr(negatives, name)[:, :2] for name in ("indices", "scores", "source", "above_reference", "log_prob")
    }
    return replace(negatives, **cut, counts=np.minimum(negatives.counts, np.int32(2)))


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_and_parts(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_rows_of_positives_outside_the_corpus_stay_together() -> None:
    whole = outside()
    assert_equal_negatives(join(whole[:2], whole[2:]), whole)
    alone = replace(whole, pool=None)[[1]]
    assert alone.reference_scores.tolist() == [1.0]
