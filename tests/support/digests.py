"""Print digests of a fixed battery of problems: run once per instruction set, all lines must be alike.

`python tests/support/digests.py THREADS` prints one line per problem.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import compare
import oracle_draws
from compare import How, Problem
from problems import METRICS, Features, make_problem
from vectors import KINDS

#: Around every vector width of every instruction set, and its tails.
WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 127, 128, 129, 384)
FEATURES = Features(exclude=True, groups=True, absolute=True, lowest=True, depth=12)
POLICIES: tuple[oracle_draws.Policy, ...] = ("random", oracle_draws.Softmax(0.05), oracle_draws.SimANS())


def battery() -> Iterator[tuple[str, Problem]]:
    """Every kind of vectors under every metric, and every width."""
    for i, kind in enumerate(KINDS):
        for j, metric in enumerate(METRICS):
            rng = np.random.default_rng([i, j])
            yield f"{kind} {metric}", make_problem(rng, kind, metric, (9, 300, 40 + 13 * j), FEATURES)
    for i, width in enumerate(WIDTHS):
        rng = np.random.default_rng([99, width])
        metric, kind = METRICS[i % 3], ("normal", "near", "grid")[i // 3 % 3]
        yield f"width {width} {metric}", make_problem(rng, kind, metric, (5, 130, width), FEATURES)


def digest(problem: Problem, how: How) -> str:
    """One number for a pool and three choices from it."""
    pool = compare.actual_pool(problem, how)
    parts = [compare.digest_pool(pool)]
    for policy in POLICIES:
        negatives = pool.select(4, sampling=compare.product_policy(policy), num_random=2, seed=1, epoch=3)
        parts.append(compare.digest_negatives(negatives))
    return " ".join(part[:16] for part in parts)


def main(threads: int) -> None:
    """Print the digests."""
    for name, problem in battery():
        print(name, digest(problem, How(threads=threads)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
