"""Tables of behaviors that are sets of tokens: attention by MinHash of a few bits."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_behavior as oracle
import oracle_sketches
from negmine import MinHash, SimHash
from negmine.behavior import BehaviorTable
from negmine.errors import NegmineTypeError, NegmineValueError
from strategies import SEEDS

TOKENS = st.lists(st.integers(0, 9), max_size=6)
HASHER = MinHash(12, hashes_per_word=2, bits_per_hash=3)
SETS = [[1, 2, 3], [2, 3], [], [7], [1, 9, 4, 4]]
VALUES = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def signatures(hasher: MinHash, sets: list[list[int]]) -> np.ndarray:
    """The bucket of every set in every group."""
    found = [
        oracle_sketches.words(
            one, hasher.num_hashes, hasher.hashes_per_word, hasher.bits_per_hash, hasher.seed, prehashed=False
        )
        if one
        else [oracle.MASKED] * hasher.words
        for one in sets
    ]
    return np.array(found, dtype=np.int64).reshape(len(sets), hasher.words)


@given(
    SEEDS,
    st.lists(TOKENS, max_size=30),
    st.lists(TOKENS, min_size=1, max_size=5),
    st.sampled_from([(1, 1), (1, 8), (2, 2), (2, 4), (3, 5)]),
    st.sampled_from(["l2", "mean", "sum", "ratio"]),
    st.booleans(),
)
def test_a_query_is_attention_by_hashing(
    seed: int,
    behaviors: list[list[int]],
    candidates: list[list[int]],
    bits: tuple[int, int],
    normalize: Any,
    skip: bool,
) -> None:
    rng = np.random.default_rng(seed)
    hasher = MinHash(6 * bits[0], hashes_per_word=bits[0], bits_per_hash=bits[1], seed=seed)
    values = rng.standard_normal((len(behaviors), 5)).astype(np.float32)
    mask = rng.random(len(behaviors)) < 0.8
    table = BehaviorTable.build(hasher, behaviors, values=values, mask=mask, num_threads=1 + seed % 3)
    known = signatures(hasher, behaviors)
    known[~mask] = oracle.MASKED
    expected = oracle.attention(signatures(hasher, candidates), known, values, normalize, skip)
    got = table.query(candidates, normalize=normalize, skip_empty=skip)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=3e-6)


def test_behaviors_weigh_by_their_similarity() -> None:
    # What is pooled tells who was pooled, so that a candidate reads the weights.
    candidate = list(range(20))
    sets = [list(range(shift, shift + 20)) for shift in (0, 4, 10, 20)]
    similarity = np.array([oracle_sketches.jaccard(set(candidate), set(one)) for one in sets])
    for tau, b in ((1, 8), (2, 4), (2, 8)):
        read = [
            BehaviorTable.build(
                MinHash(256, hashes_per_word=tau, bits_per_hash=b, seed=seed), sets, values=np.eye(4)
            ).query([candidate], normalize="sum")[0]
            for seed in range(300)
        ]
        expected = (2.0**-b + (1 - 2.0**-b) * similarity) ** tau
        error = np.std(read, axis=0, ddof=1) / np.sqrt(len(read))
        # Words of several minima agree less often by at most 1/k: two bins may hold one element's minimum.
        assert (np.abs(np.mean(read, axis=0) - expected) <= 4 * error + (tau > 1) / 256 + 1e-6).all(), (tau, b)


def test_order_repeats_and_kinds_of_tokens_change_nothing() -> None:
    table = BehaviorTable.build(HASHER, SETS, values=VALUES)
    other = BehaviorTable.build(HASHER, [one[::-1] + one for one in SETS], values=VALUES)
    flat = (np.array([0, 3, 5, 5, 6, 10]), np.array([token for one in SETS for token in one]))
    for again in (other, BehaviorTable.build(HASHER, flat, values=VALUES, num_threads=3)):
        assert again.to_bytes() == table.to_bytes()
    words = BehaviorTable.build(HASHER, [["red", "cup"], ["cup"]], values=VALUES[:2])
    assert words.query([["cup", "red", "cup"]]).any()


def test_an_empty_set_is_in_no_bucket() -> None:
    for b in (1, 8):
        hasher = MinHash(16, bits_per_hash=b)
        table = BehaviorTable.build(hasher, [[], [5]], values=VALUES[:2])
        assert table.counts.sum() == 16
        assert not table.query([[]]).any()


def test_a_table_changes_and_travels() -> None:
    table = BehaviorTable.build(HASHER, SETS, values=VALUES, offsets=[0, 3, 5])
    before = table.query(SETS[:2] * 2, offsets=[0, 2, 4])
    table.append([[3, 5], [8]], values=VALUES[:2], offsets=[0, 1, 2])
    table.remove([[8]], values=VALUES[1:2], offsets=[0, 1], users=[1])
    table.remove([[5, 3]], values=VALUES[:1], offsets=[0, 1], users=[0])
    np.testing.assert_allclose(table.query(SETS[:2] * 2, offsets=[0, 2, 4]), before, atol=1e-5)
    for again in (BehaviorTable.from_bytes(table.to_bytes(), HASHER), pickle.loads(pickle.dumps(table))):
        assert again.hasher == HASHER
        assert again.to_bytes() == table.to_bytes()
    table.merge(table)
    assert table.counts.sum() == 2 * 4 * HASHER.words


def test_a_wrong_call_is_told() -> None:
    table = BehaviorTable.build(HASHER, SETS, values=VALUES)
    vectors = BehaviorTable.build(SimHash(6, 3, dim=3), VALUES)
    wrong: list[tuple[Any, str]] = [
        (
            lambda: BehaviorTable.build(MinHash(12), SETS, values=VALUES),
            "`hasher` must have `bits_per_hash`, which bounds",
        ),
        (lambda: BehaviorTable.build(HASHER, SETS), "`values` must be given where behaviors are sets; got None"),
        (lambda: BehaviorTable.build(HASHER, SETS, values=VALUES[:4]), "`values` must have 5 rows"),
        (lambda: BehaviorTable.build(HASHER, SETS, values=VALUES, mask=[True]), r"`mask` must have shape \(5,\)"),
        (lambda: table.append((np.array([0, 2]), np.array([1])), values=VALUES[:1]), "`behaviors` must start at 0"),
        (lambda: table.merge(vectors), "`other` must be of the table's hash, a MinHash; got a SimHash"),
        (lambda: BehaviorTable.from_bytes(table.to_bytes(), vectors.hasher), "hash, a SimHash; got a MinHash"),
        (
            lambda: BehaviorTable.from_bytes(table.to_bytes(), MinHash(12, hashes_per_word=2, bits_per_hash=4)),
            "hash, b=4; got b=3",
        ),
    ]
    for call, message in wrong:
        with pytest.raises(NegmineValueError, match=message):
            call()
    with pytest.raises(NegmineTypeError, match="`candidates` must hold iterables of tokens; got 1 at row 0"):
        table.query([1, 2])
