"""Print digests of synthetic rows: run once per instruction set, all lines must be alike.

`python tests/support/digests_synthesis.py` prints the lines for three numbers of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from negmine.synthesis import move, oversample, shell
from negmine.synthesis.kinds import KINDS

#: Around the widths of vectors, and their tails.
WIDTHS = (2, 7, 16, 33, 129)

MOTIONS: tuple[dict[str, Any], ...] = (
    {"angle": 0.3},
    {"cosine": -0.2, "unit_norm": True},
    {"alpha": -0.4, "threshold": 0.1},
)


def digest(*arrays: np.ndarray) -> str:
    """Digest of some arrays."""
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def lines(num_threads: tuple[int, ...]) -> Iterator[str]:
    """Digests of all functions at all widths."""
    for width in WIDTHS:
        draw = np.random.default_rng(width)
        y = (draw.random(300) < 0.2).astype(int)
        X = draw.standard_normal((300, width)).astype(np.float32)
        # Apart in one coordinate, so that a cluster is mostly of the rare class.
        X[:, 0] += np.float32(width + 4) * y * (np.arange(300) % 3 > 0)
        for threads in num_threads:
            made = oversample(X, y, kind=tuple(KINDS), n_clusters=3, k=3, unit_norm=True, num_threads=threads)
            for kind, rows in made.items():
                yield f"{width} {kind} {digest(rows.X, rows.parents, rows.step)}"
            yield f"{width} shell {digest(shell(X, 0.2, 0.8, 3, num_threads=threads))}"
            for motion in MOTIONS:
                moved = move(X[:100], X[100:200], **motion, num_threads=threads)
                yield f"{width} {motion} {digest(moved.X, moved.indices)}"


if __name__ == "__main__":
    print("\n".join(lines((1, 2, 5))))
