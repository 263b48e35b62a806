"""Rules of queries whose groups hold most documents take memory in proportion to queries and documents.

Members of groups were listed per query: 20,000 queries in groups of 20,000 documents took 1.6 GB.
"""

from __future__ import annotations

import resource
import sys

import numpy as np

import negmine

#: Bytes that mining adds to the largest resident set.
LIMIT = 200 << 20

N_DOCUMENTS, N_QUERIES, N_GROUPS = 200_000, 20_000, 10


def peak() -> int:
    """Return the largest resident set so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Mine queries whose positives share large groups."""
    corpus = np.random.default_rng(0).standard_normal((N_DOCUMENTS, 8), dtype=np.float32)
    index = negmine.ExactIndex(corpus)
    positives = [[row] for row in range(N_QUERIES)]
    miner = negmine.HardNegativeMiner(1)
    miner.candidates(index, corpus[:100], positives[:100])
    before = peak()
    miner.candidates(index, corpus[:N_QUERIES], positives, groups=np.arange(N_DOCUMENTS) % N_GROUPS)
    added = peak() - before
    print(f"rules of {N_QUERIES} queries in large groups: {added >> 20} MiB, limit {LIMIT >> 20} MiB")
    sys.exit(int(added > LIMIT))


if __name__ == "__main__":
    main()
