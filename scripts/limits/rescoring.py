"""A trivial scorer of a million pairs: what `rescore` adds to its time, with a cache; needs a release build.

A kill must repeat at most one batch, so every batch is appended to the file as soon as it is finished. A sync of the
file per batch took 13 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import negmine

#: Largest time as a multiple of the scorer's own, and in seconds on top of it.
FACTOR, SECONDS = 1.5, 2.0

N_QUERIES, N_DOCUMENTS, DEPTH, WIDTH = 10_000, 100_000, 99, 32


def main() -> None:
    """Score a pool with a function that does next to nothing, and read the scores from the file again."""
    draw = np.random.default_rng(0)
    corpus = draw.standard_normal((N_DOCUMENTS, WIDTH), dtype=np.float32)
    index = negmine.ExactIndex(corpus, ids=[f"document-{row}" for row in range(N_DOCUMENTS)])
    miner = negmine.HardNegativeMiner(5, range_max=DEPTH)
    pool = miner.candidates(index, corpus[:N_QUERIES], np.arange(N_QUERIES))
    own, pairs = 0.0, 0

    def scorer(queries: Any, documents: Any) -> Any:
        nonlocal own, pairs
        started = time.perf_counter()
        scores = (queries * 31 + documents * 17) % 1009
        own, pairs = own + time.perf_counter() - started, pairs + len(queries)
        return scores

    query_ids = [f"query-{row}" for row in range(N_QUERIES)]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        options = {"cache": Path(folder) / "scores", "name": "trivial", "query_ids": query_ids}
        for what, extra in (("without a cache", {}), ("with a new cache", options), ("from the cache", options)):
            own, pairs = 0.0, 0
            started = time.perf_counter()
            pool.rescore(scorer, **extra)
            seconds = time.perf_counter() - started
            limit = FACTOR * own + SECONDS
            failed |= seconds > limit
            print(f"rescore {what}: {seconds:.2f} s, {pairs} pairs scored in {own:.2f} s, limit {limit:.2f} s")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
