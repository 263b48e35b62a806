"""What a margin costs: mining with ``relative_margin`` against search alone, as a curve over the positive's rank.

    python benches/python/margin.py [--threads N] [--leading N] [--quick]

Documents that lie between a cap and their bound must be scored again, so the cost rises with the positive's rank. Both
sides go the same way, which the chooser might not: at full width, and by so many leading coordinates. Times are those
of the process on the processor, so that another's work is not counted.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from engine import forced
from search import real

import negmine

RANKS = (1, 3, 10, 30, 100, 1_000, 10_000, 25_000)


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--leading", type=int, default=192)
    parser.add_argument("--quick", action="store_true", help="few rows and one round: only the counts are of use")
    arguments = parser.parse_args()
    queries, corpus = real(arguments.quick)
    rounds = 1 if arguments.quick else arguments.rounds
    index = negmine.ExactIndex(corpus, num_threads=arguments.threads)
    ways = {"full width": forced(index, 0), f"{arguments.leading} leading": forced(index, arguments.leading)}
    ranked = np.argsort(-(queries @ corpus.T), axis=1, kind="stable")
    offsets = np.arange(len(queries) + 1)
    miner = negmine.HardNegativeMiner(10, relative_margin=0.05)
    plain = negmine.HardNegativeMiner(10)
    print("| scan | positive's rank | mining / search alone | scored again per query | above the cap per query |")
    print("| --- | ---: | ---: | ---: | ---: |")
    none = negmine.Positives.from_csr(np.zeros(len(queries) + 1, dtype=np.int64), [])
    for way, pinned in ways.items():
        plain.candidates(pinned, queries, none)
        for rank in [rank for rank in RANKS if rank < len(corpus)]:
            positives = negmine.Positives.from_csr(offsets, np.ascontiguousarray(ranked[:, rank - 1]))
            ratios = []
            for _ in range(rounds):
                begin = time.process_time()
                plain.candidates(pinned, queries, none)
                middle = time.process_time()
                pool = miner.candidates(pinned, queries, positives)
                ratios.append((time.process_time() - middle) / (middle - begin))
            again = pool.report.diagnostics["rescored"] / len(queries)
            above = pool.report.totals()["above_relative_margin"] / len(queries)
            print(f"| {way} | {rank} | {median(ratios):.2f} | {again:.0f} | {above:.0f} |", flush=True)


if __name__ == "__main__":
    main()
