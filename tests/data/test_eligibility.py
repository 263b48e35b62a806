"""The forms of eligibility and their conjunctions, against lists of excluded documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
from negmine import CandidatePool, Eligibility, ExactIndex, HardNegativeMiner, ScoredLists, fuse
from negmine.data.eligibility import KeyRanges
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError

N, Q = 24, 5
RNG = np.random.default_rng(0)
CORPUS = RNG.integers(-2, 3, (N, 3)).astype(np.float32)
QUERIES = RNG.integers(-2, 3, (Q, 3)).astype(np.float32)
POSITIVES = [[0], [1, 2], [], [3], [3, 23]]
LOWEST, HIGHEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max

NUMBER = st.one_of(st.integers(-3, 6), st.sampled_from([LOWEST, LOWEST + 1, HIGHEST - 1, HIGHEST]))
KEYS = st.lists(NUMBER, min_size=N, max_size=N)
BOUNDS = st.lists(NUMBER, min_size=Q, max_size=Q)
SETS = st.lists(st.lists(NUMBER, max_size=4), min_size=Q, max_size=Q)

Form = tuple[Eligibility, list[set[int]]]


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """One form, and the documents that every query admits under it."""
    keys, kind = draw(KEYS), draw(st.sampled_from(["range", "equal", "outside", "one_of"]))
    if kind == "one_of":
        sets = draw(SETS)
        return Eligibility.one_of(keys, sets), [{j for j in range(N) if keys[j] in one} for one in sets]
    low = draw(BOUNDS)
    if kind == "equal":
        return Eligibility.equal(keys, low), [{j for j in range(N) if keys[j] == key} for key in low]
    high = draw(BOUNDS)
    inside = [{j for j in range(N) if a <= keys[j] <= b} for a, b in zip(low, high, strict=True)]
    if kind == "range":
        return Eligibility(keys, low, high), inside
    return Eligibility.outside(keys, low, high), [set(range(N)) - one for one in inside]


@st.composite
def rules(draw: st.DrawFn) -> Form:
    """One to three forms, all of which must admit."""
    parts = draw(st.lists(forms(), min_size=1, max_size=3))
    eligible, admitted = parts[0]
    for other, others in parts[1:]:
        eligible = eligible & other
        admitted = [one & two for one, two in zip(admitted, others, strict=True)]
    return eligible, admitted


def complement(admitted: list[set[int]]) -> list[list[int]]:
    return [sorted(set(range(N)) - one) for one in admitted]


@given(rules())
def test_admits_is_the_meaning(rule: Form) -> None:
    eligible, admitted = rule
    for query, expected in enumerate(admitted):
        assert set(np.flatnonzero(eligible.admits(query, np.arange(N))).tolist()) == expected


@given(rules())
def test_complements_admit_what_a_part_does_not(rule: Form) -> None:
    eligible, admitted = rule
    parts = eligible.complements()
    for query, expected in enumerate(admitted):
        outside = np.any([part.admits(query, np.arange(N)) for part in parts], axis=0)
        assert set(np.flatnonzero(outside).tolist()) == set(range(N)) - expected


@given(rules(), st.booleans(), st.integers(0, 3))
def test_mining_equals_mining_without_the_documents_that_are_left_out(rule: Form, grouped: bool, n_random: int) -> None:
    eligible, admitted = rule
    groups = np.arange(N) % 4 - 1 if grouped else None
    miner = HardNegativeMiner(3, range_max=6, num_random=n_random, sampling="random")
    index = ExactIndex(CORPUS, metric="ip")
    pool = miner.candidates(index, QUERIES, POSITIVES, eligible=eligible, groups=groups)
    # Positives may not be excluded documents of the other call, or they would be counted there.
    excluded = miner.candidates(index, QUERIES, POSITIVES, exclude=complement(admitted), groups=groups)
    np.testing.assert_array_equal(pool.indices, excluded.indices)
    np.testing.assert_array_equal(pool.scores, excluded.scores)
    np.testing.assert_array_equal(miner.select(pool).indices, miner.select(excluded).indices)
    rejected = []
    for query, one in enumerate(admitted):
        positives = set(POSITIVES[query])
        same_group = set()
        if groups is not None:
            theirs = {groups[j] for j in positives} - {-1}
            same_group = {j for j in range(N) if groups[j] in theirs}
        rejected.append(len(set(range(N)) - one - positives - same_group))
    assert pool.report.lines["ineligible"].tolist() == rejected


@given(rules())
def test_search_lists_and_masks_obey(rule: Form) -> None:
    eligible, admitted = rule
    index = ExactIndex(CORPUS, metric="ip")
    found = index.search(QUERIES, 4, eligible=eligible)
    np.testing.assert_array_equal(found.indices, index.search(QUERIES, 4, exclude=complement(admitted)).indices)
    lists = ScoredLists(np.tile(np.arange(N), (Q, 1)), np.tile(np.arange(N, 0.0, -1), (Q, 1)), n_documents=N)
    miner = HardNegativeMiner(4)
    np.testing.assert_array_equal(
        miner.mine(lists, None, POSITIVES, eligible=eligible).indices,
        miner.mine(lists, None, POSITIVES, exclude=complement(admitted)).indices,
    )
    positives = negmine.Positives.from_lists(POSITIVES)
    batch = ([2, -1, 0, 4], [5, 3, -1, 20, 1])
    mask = negmine.batches.false_negative_mask(*batch, positives, eligible=eligible)
    excluded = negmine.Positives.from_lists(complement(admitted))
    np.testing.assert_array_equal(mask, negmine.batches.false_negative_mask(*batch, positives, exclude=excluded))


@given(rules(), st.integers(0, Q))
def test_slices_and_files_keep_every_form(rule: Form, cut: int) -> None:
    eligible, _ = rule
    joined = Eligibility.join([eligible.slice(0, cut), eligible.slice(cut, Q)])
    again = Eligibility.from_arrays(eligible.arrays())
    assert again is not None
    for other in (joined, again):
        assert other.arrays().keys() == eligible.arrays().keys()
        for name, array in eligible.arrays().items():
            np.testing.assert_array_equal(other.arrays()[name], array)


def test_pools_of_every_form_are_saved_joined_and_fused(tmp_path: Path) -> None:
    keys = np.arange(N)
    eligible = Eligibility.outside(keys, [3] * Q, [9] * Q) & Eligibility.one_of(keys % 3, [[0, 2]] * Q)
    index, miner = ExactIndex(CORPUS, metric="ip"), HardNegativeMiner(2, num_random=1)
    pool = miner.candidates(index, QUERIES, POSITIVES, eligible=eligible)
    pool.save(tmp_path / "pool.npz")
    loaded = CandidatePool.load(tmp_path / "pool.npz").attach(index, QUERIES)
    np.testing.assert_array_equal(miner.select(loaded).indices, miner.select(pool).indices)
    parts = [
        miner.candidates(index, QUERIES[a:b], POSITIVES[a:b], eligible=eligible.slice(a, b), query_offset=a)
        for a, b in ((0, 2), (2, Q))
    ]
    np.testing.assert_array_equal(CandidatePool.concatenate(parts).indices, pool.indices)
    assert fuse([pool, loaded]).indices.shape[0] == Q
    with pytest.raises(NegmineValueError, match="equal `eligible`"):
        fuse([pool, miner.candidates(index, QUERIES, POSITIVES, eligible=Eligibility.equal(keys, [1] * Q))])


def test_jobs_notice_another_rule(tmp_path: Path) -> None:
    keys = np.arange(N)
    rule = Eligibility.one_of(keys, [[1, 4, 5]] * Q)
    negmine.mine_to(tmp_path / "job", QUERIES, CORPUS, POSITIVES, metric="ip", eligible=rule, tile_queries=2)
    other = rule & Eligibility.outside(keys, [4] * Q, [4] * Q)
    with pytest.raises(negmine.errors.JobError, match="eligible"):
        negmine.mine_to(tmp_path / "job", QUERIES, CORPUS, POSITIVES, metric="ip", eligible=other, tile_queries=2)


def test_edges() -> None:
    keys = [LOWEST, 0, HIGHEST]
    everything = np.arange(3)
    assert Eligibility.outside(keys, [1], [0]).admits(0, everything).all(), "an empty range leaves out none"
    assert not Eligibility.outside(keys, [LOWEST], [HIGHEST]).admits(0, everything).any()
    assert Eligibility.outside(keys, [LOWEST], [0]).admits(0, everything).tolist() == [False, False, True]
    assert not Eligibility.one_of(keys, [[]]).admits(0, everything).any(), "an empty set admits none"
    assert Eligibility.one_of(keys, [{0, HIGHEST}]).admits(0, everything).tolist() == [False, True, True]
    assert not Eligibility(keys, [1], [0]).admits(0, everything).any(), "an empty range admits none"
    assert repr(Eligibility(keys, [1], [0]) & Eligibility.equal(keys, [0])) == (
        "Eligibility(3 documents, 1 queries, 2 parts)"
    )


BAD: dict[str, tuple[Callable[[], Any], type[NegmineError], str]] = {
    "queries": (
        lambda: Eligibility.equal([1, 2], [1]) & Eligibility.equal([1, 2], [1, 2]),
        NegmineValueError,
        "`&` must join rules of equal numbers of documents and queries; got 2 and 2 documents, 1 and 2 queries.",
    ),
    "documents": (
        lambda: Eligibility.equal([1], [1]) & Eligibility.equal([1, 2], [1]),
        NegmineValueError,
        "1 and 2 doc",
    ),
    "outside": (
        lambda: Eligibility.outside([1], [1], [1, 2]),
        NegmineValueError,
        "`highest` must have length 1; got 2.",
    ),
    "outside keys": (lambda: Eligibility.outside(["a"], [1], [1]), NegmineTypeError, "`keys`"),
    "sets": (lambda: Eligibility.one_of([1], 5), NegmineTypeError, "`sets` must be a list of lists"),  # type: ignore[arg-type]
    "set": (lambda: Eligibility.one_of([1], [["a"]]), NegmineTypeError, "`sets` must hold integers"),  # type: ignore[list-item]
    "flat sets": (lambda: Eligibility.one_of([1], [1]), NegmineError, "`sets`"),  # type: ignore[list-item]
    "option": (lambda: Eligibility([1], lowst=[1], highest=[1]), NegmineTypeError, "Did you mean 'lowest'?"),  # type: ignore[call-arg]
    "offsets": (
        lambda: KeyRanges(np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([0, 2])),
        NegmineValueError,
        "`offsets` must rise from 0 to 1",
    ),
    "length": (
        lambda: negmine.mine(QUERIES, CORPUS, POSITIVES, eligible=Eligibility.one_of([1], [[1]] * Q)),
        NegmineValueError,
        "`eligible` must have 24 keys and 5 ranges; got 1 and 5.",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rules_are_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
