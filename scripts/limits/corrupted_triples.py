"""No known triple among a hundred million corrupted ones, on graphs of which nearly everything is known."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from negmine.sampling import Popularity, TripleCorruptor, pseudo_typed

#: Corrupted triples in all.
DRAWS = 100_000_000

N_ENTITIES, N_RELATIONS, N_NEGATIVES = 300, 20, 16


def main() -> None:
    """Corrupt the triples of a graph by every law until the draws are many enough."""
    rng = np.random.default_rng(0)
    # From one triple in a hundred to 99 in a hundred of a relation are known.
    density = np.linspace(0.01, 0.99, N_RELATIONS)
    known = rng.random((N_ENTITIES, N_RELATIONS, N_ENTITIES)) < density[None, :, None]
    triples = np.stack(np.nonzero(known), axis=1)
    weights = rng.random(N_ENTITIES) ** 8
    sources: Sequence[tuple[object, Sequence[float] | None]] = (
        ("uniform", None),
        (weights, None),
        (Popularity(), None),
        (pseudo_typed(triples), None),
        (["uniform", weights], [1, 1]),
    )
    started = time.perf_counter()
    drawn = found = 0
    seed = 0
    while drawn < DRAWS:
        source, shares = sources[seed % len(sources)]
        side = ("both", "bernoulli", "head", "tail")[seed % 4]
        options = {"sources": source, "shares": shares, "side": side, "replace": seed % 3 == 2, "seed": seed}
        corruptor = TripleCorruptor(triples, n_entities=N_ENTITIES, **options)  # type: ignore[arg-type]
        rows = rng.permutation(len(triples))[:300_000]
        corrupted = corruptor.corrupt(rows, N_NEGATIVES, epoch=seed)
        real = corrupted.triples[corrupted.triples[:, :, 0] >= 0]
        found += int(known[real[:, 0], real[:, 1], real[:, 2]].sum())
        drawn += len(real)
        seed += 1
    print(f"corrupted triples: {found} known ones in {drawn} draws, {time.perf_counter() - started:.0f} s")
    sys.exit(int(found > 0))


if __name__ == "__main__":
    main()
