"""Signatures are the oracle's, word by word, and their agreement follows the laws that are promised."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle_sketches
from negmine import MinHash

ISAS = negmine.build_info()["available_isas"]

#: Around every cut of the evaluation, beside sizes between.
SIZES = (0, 1, 2, 5, 20, 39, 40, 41, 63, 64, 65, 100, 300, 511, 512, 513, 700, 1023, 1024, 1025, 2000)


def tokens(n: int, seed: int = 0) -> npt.NDArray[np.uint64]:
    return np.random.default_rng([n, seed]).integers(0, 2**64, n, dtype=np.uint64)


def csr(*sets: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    return np.cumsum([0, *map(len, sets)], dtype=np.int64), np.concatenate(sets)


# ---- the definition


@given(
    k=st.sampled_from([1, 7, 16, 24, 64, 128, 200, 256, 300]),
    n=st.integers(0, 70),
    seed=st.integers(0, 2**64 - 1),
    prehashed=st.booleans(),
)
def test_signatures_are_the_oracles(k: int, n: int, seed: int, prehashed: bool) -> None:
    own = tokens(n, seed % 100)
    got = MinHash(k, seed=seed).signatures(csr(own), prehashed=prehashed, num_threads=1)[0]
    assert got.tolist() == oracle_sketches.words(own.tolist(), k, 1, None, seed, prehashed=prehashed)


@pytest.mark.parametrize("n", SIZES)
def test_every_size_is_the_oracles(n: int) -> None:
    for k in (16, 128):
        expected = oracle_sketches.words(tokens(n).tolist(), k, 1, None, 3, prehashed=True)
        assert MinHash(k, seed=3).signatures(csr(tokens(n)), prehashed=True)[0].tolist() == expected


@pytest.mark.parametrize(
    ("k", "tau", "b"), [(24, 3, None), (128, 2, None), (32, 2, 4), (32, 1, 1), (16, 1, 8), (30, 2, 8), (16, 1, 16)]
)
def test_words_of_several_minima_and_of_few_bits(k: int, tau: int, b: int | None) -> None:
    minhash = MinHash(k, hashes_per_word=tau, bits_per_hash=b, seed=9)
    sets = [tokens(n) for n in (0, 1, 30, 600)]
    got = minhash.signatures(csr(*sets), prehashed=True)
    expected = [oracle_sketches.words(one.tolist(), k, tau, b, 9, prehashed=True) for one in sets]
    assert got.dtype == minhash.dtype
    assert got.tolist() == expected


@given(st.lists(st.integers(-5, 5), max_size=8), st.randoms(use_true_random=False))
def test_order_and_repeats_change_nothing(own: list[int], random: object) -> None:
    longer = own * 3
    random.shuffle(longer)  # type: ignore[attr-defined]
    first, second, third = MinHash(32).signatures([own, longer, set(own)])
    assert first.tolist() == second.tolist() == third.tolist()


SCRIPT = """
import hashlib, sys, numpy as np
from negmine import MinHash
rng = np.random.default_rng(1)
sizes = [*range(70), 200, 511, 512, 513, 1023, 1024, 1025, 3000, 20000]
offsets = np.cumsum([0, *sizes], dtype=np.int64)
tokens = rng.integers(0, 2**64, offsets[-1], dtype=np.uint64)
for k, tau, b in ((16, 1, None), (128, 1, None), (256, 2, None), (300, 1, None), (64, 1, 4), (64, 2, 8)):
    for prehashed in (False, True):
        minhash = MinHash(k, hashes_per_word=tau, bits_per_hash=b)
        words = minhash.signatures((offsets, tokens), prehashed=prehashed, num_threads=int(sys.argv[1]))
        print(k, tau, b, hashlib.sha256(words.tobytes()).hexdigest())
"""


def test_the_same_bits_on_every_isa_and_for_any_number_of_threads() -> None:
    said = set()
    for isa in ISAS:
        for threads in ("1", "3"):
            environment = {**os.environ, "NEGMINE_ISA": isa}
            command = [sys.executable, "-c", SCRIPT, threads]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True)
            said.add(done.stdout)
    assert len(said) == 1


# ---- the laws


def pair(a: int, b: int, shared: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Two sets of sizes `a` and `b` that share so many."""
    union = tokens(a + b - shared, 7)
    return csr(union[:a], union[a - shared :])


def estimates(sets: object, seeds: int, **options: int) -> npt.NDArray[np.float64]:
    found = []
    for seed in range(seeds):
        minhash = MinHash(**options, seed=seed)
        first, second = minhash.signatures(sets, prehashed=True, num_threads=1)
        found.append(minhash.jaccard(first, second))
    return np.array(found)


#: Sizes of two sets and of what they share: J from .02 to .98, both sides of every cut, and small sets against large.
PAIRS = (
    (1, 1, 0),
    (1, 2, 1),
    (3, 3, 1),
    (5, 5, 1),
    (5, 6, 5),
    (10, 10, 7),
    (20, 20, 18),
    (50, 1, 1),
    (51, 51, 2),
    (64, 64, 40),
    (64, 65, 64),
    (65, 65, 13),
    (40, 41, 27),
    (99, 99, 98),
    (511, 512, 300),
    (512, 512, 20),
    (513, 511, 506),
    (1024, 1025, 700),
    (64, 512, 64),
    (5, 513, 5),
    (30, 1500, 30),
    (600, 6000, 600),
)


@pytest.mark.parametrize(("a", "b", "shared"), PAIRS)
def test_estimates_are_unbiased_over_seeds(a: int, b: int, shared: int) -> None:
    expected = shared / (a + b - shared)
    found = estimates(pair(a, b, shared), 1500 if a + b < 1500 else 500)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - expected) <= 4 * error + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("a", "b", "shared"), [*PAIRS, (100_000, 100_000, 66_667), (2_000, 100_000, 2_000), (100_000, 99_000, 98_900)]
)
def test_estimates_are_unbiased_over_many_seeds(a: int, b: int, shared: int) -> None:
    expected = shared / (a + b - shared)
    found = estimates(pair(a, b, shared), 30_000 if a + b < 1500 else 1_000)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - expected) <= 4 * error + 1e-12


def test_ids_that_count_up_are_hashed_well() -> None:
    for a, b, shared in ((5, 5, 3), (100, 120, 80)):
        found = []
        for seed in range(1500):
            minhash = MinHash(seed=seed)
            found.append(minhash.jaccard(*minhash.signatures([range(a), range(a - shared, a - shared + b)])))
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - shared / (a + b - shared)) <= 4 * error


@pytest.mark.parametrize(("n", "most"), [(5, 0.85), (10, 0.85), (20, 0.8), (100, 0.8)])
def test_the_spread_is_below_the_binomial(n: int, most: float) -> None:
    for shared in (n // 5, n * 3 // 5, n * 4 // 5):
        j = shared / (2 * n - shared)
        found = estimates(pair(n, n, shared), 2000)
        # The standard deviation of 2,000 estimates is itself known to about 1.6 %.
        assert found.std() / np.sqrt(j * (1 - j) / 128) < 1.05 * most


@pytest.mark.parametrize("b", [1, 2, 4, 8])
@pytest.mark.parametrize(("a", "c", "shared"), [(1, 1, 0), (10, 10, 9), (10, 10, 5), (10, 10, 2), (600, 600, 400)])
def test_words_of_few_bits_follow_their_law(b: int, a: int, c: int, shared: int) -> None:
    expected = shared / (a + c - shared)
    found = estimates(pair(a, c, shared), 500, bits_per_hash=b)
    assert abs(found.mean() - expected) <= 4 * found.std(ddof=1) / np.sqrt(len(found)) + 1e-12
    # Words of different bins are as good as independent: no seed makes two elements look alike in most of them.
    c_b = 2.0**-b + (1 - 2.0**-b) * expected
    assert found.std() * (1 - 2.0**-b) < 1.3 * np.sqrt(c_b * (1 - c_b) / 128)


@pytest.mark.parametrize("tau", [2, 4])
@pytest.mark.parametrize(("a", "c", "shared"), [(10, 10, 9), (10, 10, 5), (100, 100, 67), (600, 600, 400)])
def test_words_of_several_minima_agree_with_the_power(tau: int, a: int, c: int, shared: int) -> None:
    expected = (shared / (a + c - shared)) ** tau
    agreed = []
    for seed in range(200):
        first, second = MinHash(128, hashes_per_word=tau, seed=seed).signatures(
            pair(a, c, shared), prehashed=True, num_threads=1
        )
        agreed.append(np.mean(first == second))
    error = max(np.std(agreed, ddof=1), np.sqrt(expected * (1 - expected) * tau / 128)) / np.sqrt(len(agreed))
    assert abs(np.mean(agreed) - expected) <= 4 * error
