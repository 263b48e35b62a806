"""No forbidden document among a hundred million random negatives, for queries that have few documents to many."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from negmine import Positives
from negmine.sampling import NegativeSampler, Popularity

#: Draws in all.
DRAWS = 100_000_000

N_QUERIES, N_DOCUMENTS, NUM_NEGATIVES, EPOCHS = 2_000, 2_000, 100, 50


def main() -> None:
    """Draw by every law until the draws are many enough."""
    rng = np.random.default_rng(0)
    # Of all queries, the first has no positive and the last only positives.
    is_positive = rng.random((N_QUERIES, N_DOCUMENTS)) < np.linspace(0, 1, N_QUERIES)[:, None]
    is_excluded = rng.random((N_QUERIES, N_DOCUMENTS)) < 0.05
    positives, exclude = (
        Positives.from_lists([np.flatnonzero(row) for row in mask]) for mask in (is_positive, is_excluded)
    )
    groups = rng.integers(1_000, size=N_DOCUMENTS)
    in_group = np.zeros((N_QUERIES, 1_000), dtype=bool)
    queries, documents = np.nonzero(is_positive)
    in_group[queries, groups[documents]] = True
    forbidden = is_positive | is_excluded
    weights = rng.random(N_DOCUMENTS) ** 8
    laws: Sequence[tuple[object, Sequence[float] | None]] = (
        ("uniform", None),
        (weights, None),
        (Popularity(), None),
        (["uniform", weights], [1, 1]),
    )
    started = time.perf_counter()
    drawn = found = short = 0
    seed = 0
    while drawn < DRAWS:
        sources, shares = laws[seed % len(laws)]
        replace, grouped = seed % 3 == 2, seed % 5 == 4
        sampler = NegativeSampler(
            positives,
            n_documents=N_DOCUMENTS,
            sources=sources,  # type: ignore[arg-type]
            shares=shares,
            exclude=exclude,
            groups=groups if grouped else None,
            replace=replace,
            seed=seed,
        )
        bad = forbidden | in_group[:, groups] if grouped else forbidden
        allowed = (~bad).sum(axis=1)
        exist = np.where(allowed > 0, NUM_NEGATIVES, 0) if replace else np.minimum(allowed, NUM_NEGATIVES)
        for epoch in range(EPOCHS):
            sampled = sampler.sample(np.arange(N_QUERIES), NUM_NEGATIVES, epoch=epoch)
            row, place = np.nonzero(sampled.indices >= 0)
            found += int(bad[row, sampled.indices[row, place]].sum())
            short += int((sampled.counts != exist).sum()) if sources is laws[0][0] else 0
            drawn += len(row)
        seed += 1
    print(f"random negatives: {found} forbidden ones in {drawn} draws, {short} rows too short, ", end="")
    print(f"{time.perf_counter() - started:.0f} s")
    sys.exit(int(found + short > 0))


if __name__ == "__main__":
    main()
