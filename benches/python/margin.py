"""What a margin costs: mining with ``relative_margin`` against search alone, as a curve over the positive's rank.

    python benches/python/margin.py [--threads N]

Documents that lie between a cap and their bound must be scored again, so the cost rises with the positive's rank.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from search import real

import negmine

RANKS = (1, 3, 10, 30, 100, 1_000, 10_000, 25_000)


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    queries, corpus = real()
    index = negmine.ExactIndex(corpus, num_threads=arguments.threads)
    ranked = np.argsort(-(queries @ corpus.T), axis=1, kind="stable")
    offsets = np.arange(len(queries) + 1)
    miner = negmine.HardNegativeMiner(10, relative_margin=0.05)
    plain = negmine.HardNegativeMiner(10)
    print("| positive's rank | mining / search alone | scored again per query | above the cap per query |")
    print("| ---: | ---: | ---: | ---: |")
    for rank in RANKS:
        positives = negmine.Positives.from_csr(offsets, np.ascontiguousarray(ranked[:, rank - 1]))
        none = negmine.Positives.from_csr(np.zeros(len(queries) + 1, dtype=np.int64), [])
        ratios = []
        for _ in range(arguments.rounds):
            begin = time.perf_counter()
            plain.candidates(index, queries, none)
            middle = time.perf_counter()
            pool = miner.candidates(index, queries, positives)
            ratios.append((time.perf_counter() - middle) / (middle - begin))
        again = pool.report.diagnostics["rescored"] / len(queries)
        above = pool.report.totals()["above_relative_margin"] / len(queries)
        print(f"| {rank} | {median(ratios):.2f} | {again:.0f} | {above:.0f} |", flush=True)


if __name__ == "__main__":
    main()
