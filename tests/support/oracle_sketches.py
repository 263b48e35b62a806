"""The oracle of signatures and near-duplicates: one token, one bin, one pair at a time, in Python's integers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

import oracle
from oracle_draws import draw_by_number

SKETCHES = 33  # the stream
M32, M64 = 2**32 - 1, 2**64 - 1


def splitmix(x: int) -> int:
    """The finalizer of splitmix64."""
    z = (x + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def lowbias(x: int) -> int:
    """lowbias32, which mixes a minimum before it is cut to a few bits."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & M32
    x = ((x ^ (x >> 15)) * 0x846CA68B) & M32
    return x ^ (x >> 16)


def minima(tokens: Sequence[int], k: int, seed: int, *, prehashed: bool) -> list[int]:
    """All minima of a set."""
    found: list[int] = []
    for family in range(-(-k // 256)):
        taken = min(256, k - 256 * family)
        found += _family(tokens, family, taken, seed, prehashed=prehashed)
    return found


def _family(tokens: Sequence[int], family: int, taken: int, seed: int, *, prehashed: bool) -> list[int]:
    bins = max(16, 1 << (taken - 1).bit_length())
    width = bins.bit_length() - 1

    def draw(t: int) -> int:
        return draw_by_number(seed, SKETCHES, family, 0, t)

    multiplier, addend = draw(0) | 1, draw(1)
    odd = [1, *((draw(t) & M32) | 1 for t in (2, 3, 4))]
    constants = [draw(8 + j) for j in range(bins // 4)]

    def value(token: int, b: int) -> tuple[int, int]:
        y = ((token if prehashed else splitmix(token)) * multiplier + addend) & M64
        v, fields = (y ^ (y >> 32)) & M32, y >> 32
        for t in range(4):
            tie = v * odd[t] & M32
            if (fields >> (32 - (t + 1) * width)) % bins == b and tie != M32:
                return t, tie
        i, j = divmod(b, bins // 4)
        return 4, (v * ((constants[j] >> 32) | 1) + (constants[j] & M32)) & M32 ^ (i << 30)

    return [min((value(token, b) for token in tokens), default=(4, M32))[1] for b in range(taken)]


def words(tokens: Sequence[int], k: int, tau: int, b: int | None, seed: int, *, prehashed: bool) -> list[int]:
    """The signature of a set."""
    if not tokens:
        return [M64 if b is None and tau > 1 else M32 if b is None else 255 if b * tau <= 8 else 65535] * (k // tau)
    found = minima(tokens, k, seed, prehashed=prehashed)
    return [_word(found[g : g + tau], b) for g in range(0, k, tau)]


def _word(group: Sequence[int], b: int | None) -> int:
    if b is not None:
        return sum((lowbias(minimum) % 2**b) << (b * place) for place, minimum in enumerate(group))
    if len(group) == 1:
        return group[0]
    word = len(group)
    for minimum in group:
        word = splitmix(word ^ minimum)
    return word


def jaccard(a: set[object], b: set[object]) -> float:
    """The size of the intersection over that of the union; 0 for two empty sets."""
    return len(a & b) / len(a | b) if a | b else 0.0


def shingles(text: str, n: int, unit: str) -> set[object]:
    """Pieces of a text that was normalized."""
    units: Sequence[str] = text.split() if unit == "words" else text
    n = min(n, len(units))
    return {tuple(units[i : i + n]) for i in range(len(units) - n + 1)} if units else set()


def groups(n: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The first row of the group of every row, -1 where it is alone."""
    leader = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            leader[a] = leader[b] = min(leader[a], leader[b])
    return [key if leader.count(key) > 1 else -1 for key in leader]


def near(sets: Sequence[set[object]], threshold: float) -> list[tuple[int, int]]:
    """All pairs of sets that are at least so similar."""
    pairs = itertools.combinations(range(len(sets)), 2)
    return [(a, b) for a, b in pairs if jaccard(sets[a], sets[b]) >= threshold]


def spanning(n: int, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs, met in ascending order, that connect rows which were not connected yet."""
    member_of = list(range(n))
    kept = []
    for a, b in sorted(pairs):
        if member_of[a] != member_of[b]:
            kept.append((a, b))
            old, new = member_of[b], member_of[a]
            member_of = [new if other == old else other for other in member_of]
    return kept


def near_rows(rows: npt.NDArray[np.float32], threshold: float) -> tuple[list[tuple[int, int]], list[float]]:
    """The pairs that connect the groups of rows by cosine, and their similarities as they are shown."""
    scores = oracle.public_scores(oracle.all_scores(rows, rows))
    bits = [row.tobytes() for row in rows]
    first = [bits.index(one) for one in bits]
    real = [bool(row.any()) for row in rows]
    copies = [(first[b], b) for b in range(len(rows)) if first[b] != b and real[b]]
    near = scores >= np.float32(threshold)
    others = [row for row in range(len(rows)) if first[row] == row and real[row]]
    pairs = [(a, b) for i, a in enumerate(others) for b in others[i + 1 :] if near[a, b]]
    kept = sorted(copies + spanning(len(rows), pairs))
    return kept, [float(scores[a, b]) for a, b in kept]
