"""Print digests of signatures and tables: run once per instruction set, all lines must be alike.

`python tests/support/digests_behavior.py THREADS` prints one line per width.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator

import numpy as np

import negmine
from negmine.behavior import BehaviorTable

WIDTHS = (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 128, 129, 384)


def lines(threads: int) -> Iterator[str]:
    """Signatures, sums and answers of every width."""
    for width in WIDTHS:
        rng = np.random.default_rng(width)
        rows = (rng.standard_normal((1300, width)) * rng.choice([1e-30, 1.0, 1e15], (1300, 1))).astype(np.float32)
        candidates = rng.standard_normal((40, width)).astype(np.float32)
        hasher = negmine.SimHash(m=51 if width % 2 else 48, dim=width, seed=width)
        table = BehaviorTable.build(hasher, rows, offsets=[0, 1100, 1300], num_threads=threads)
        table.remove(rows[:50], offsets=[0, 50], users=[0], num_threads=threads)
        parts = [hasher.signatures(rows, num_threads=threads), table.sums, table.counts]
        for normalize in ("l2", "mean", "sum", "ratio"):
            for per_user in (2, 20):
                offsets = [0, per_user, 2 * per_user]
                parts.append(
                    table.query(
                        candidates[: 2 * per_user],
                        offsets=offsets,
                        normalize=normalize,  # type: ignore[arg-type]
                        skip_empty=width % 3 == 0,
                        num_threads=threads,
                    )
                )
        digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
        yield f"{width} {digest[:16]}"


if __name__ == "__main__":
    for line in lines(int(sys.argv[1])):
        print(line)
