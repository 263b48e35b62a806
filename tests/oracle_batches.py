"""Orders of an epoch, written to be read: one position at a time, in Python integers, keyed by NumPy's Philox."""

from __future__ import annotations

from math import isqrt

import numpy as np

WORD = 2**32


def words(seed: int, counter: list[int], n: int) -> list[int]:
    """Draw ``n`` numbers of stream 3."""
    generator = np.random.Philox(key=np.array([seed, 3], np.uint64), counter=np.array(counter, np.uint64))
    return [int(x) for x in generator.random_raw(n)]


def mix(x: int) -> int:
    """Compute lowbias32."""
    x = (x ^ x >> 16) * 0x7FEB352D % WORD
    x = (x ^ x >> 15) * 0x846CA68B % WORD
    return x ^ x >> 16


def order(n: int, seed: int, epoch: int, positions: range) -> list[int]:
    """Find the rows at these positions of an epoch."""
    if n <= 256:
        rows = list(range(n))
        draws = words(seed, [0, 1, 0, epoch], n + 4)
        for i in range(n - 1, 0, -1):
            j = draws[i] * (i + 1) >> 64
            rows[i], rows[j] = rows[j], rows[i]
        return [rows[x] for x in positions]
    a = isqrt(n - 1) + 1
    b = -(-n // a)
    keys = [half for word in words(seed, [0, 0, 0, epoch], 4) for half in (word % WORD, word >> 32)]

    def walk(x: int) -> int:
        while True:
            left, right = divmod(x, a)
            for round_, key in enumerate(keys):
                if round_ % 2 == 0:
                    left = (left + (mix(right ^ key) * b >> 32)) % b
                else:
                    right = (right + (mix(left ^ key) * a >> 32)) % a
            x = left * a + right
            if x < n:
                return x

    return [walk(x) for x in positions]


def conflicting(rows: list[int], anchors: list, positives: list, negatives: list, *, strict: bool) -> list:
    """List the pairs of these rows that may not stand together."""

    def meet(a: list, b: list) -> bool:
        return bool({x for x in a if x not in (-1, "")} & set(b))

    pairs = []
    for i, a in enumerate(rows):
        for b in rows[:i]:
            documents = [*positives[a], *negatives[a]], [*positives[b], *negatives[b]]
            same = a == b or meet([anchors[a]], [anchors[b]])
            mixed = meet(positives[a], documents[1]) or meet(positives[b], documents[0])
            if same or mixed or (strict and meet(*documents)):
                pairs.append((b, a))
    return pairs
