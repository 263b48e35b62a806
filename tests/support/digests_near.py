"""Print digests of near-duplicate embeddings: run once per instruction set, all lines must be alike.

`python tests/support/digests_near.py` prints three lines per set of rows, for three numbers of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from negmine import near_duplicates
from negmine.sketches import NearDuplicates

F32 = npt.NDArray[np.float32]


def chain(n: int, seed: int) -> F32:
    """Rows around a circle in random order: near ones are similar, and all are connected."""
    angles = np.random.default_rng(seed).permutation(n) * (2 * np.pi / n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def groups_of(sizes: list[int], noise: float, seed: int) -> F32:
    """Groups of near-equal rows, in random order."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((len(sizes), 16))
    rows = np.repeat(centers, sizes, axis=0)
    rows += noise * rng.standard_normal(rows.shape)
    return rng.permutation(rows).astype(np.float32)


#: More rows than a block, which has 192, and than several.
MANY = {
    "chain": (chain(700, 0), float(np.cos(2 * np.pi / 700 * 1.5))),
    "broken chain": (chain(700, 1)[:600], float(np.cos(2 * np.pi / 700 * 1.5))),
    "long steps": (chain(500, 2), float(np.cos(2 * np.pi / 500 * 40.5))),
    "one group": (groups_of([600], 1e-3, 3), 0.95),
    "one group and others": (groups_of([450, *[1] * 120], 1e-3, 4), 0.95),
    "two groups": (groups_of([300, 300], 1e-3, 5), 0.95),
    "twenty groups": (groups_of([30] * 20, 1e-3, 6), 0.95),
    "hardly similar": (groups_of([500], 0.2, 7), 0.96),
    "hardly any": (groups_of([500], 0.2, 7), 0.99),
    "no groups": (groups_of([1] * 400, 0.0, 8), 0.9),
    "copies": (np.concatenate([groups_of([20] * 5, 0.0, 9), groups_of([100, 100], 1e-2, 9)]), 0.999),
}


def digest(found: NearDuplicates) -> str:
    """Digest of everything that was found."""
    parts = (found.groups, found.pairs, found.similarities)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def lines(num_threads: tuple[int, ...]) -> Iterator[str]:
    """Digests of all sets."""
    for name, (rows, threshold) in MANY.items():
        for threads in num_threads:
            found = near_duplicates(embeddings=rows, threshold=threshold, num_threads=threads)
            yield f"{name} {digest(found)}"


if __name__ == "__main__":
    print("\n".join(lines((1, 2, 5))))
