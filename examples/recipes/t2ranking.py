"""Take negatives at equal steps of the ranking, shifted by one rank per epoch.

Paper: Xie et al., "T2Ranking: A large-scale Chinese Benchmark for Passage Ranking", SIGIR 2023, and its released code.
Options: A window of the 256 best candidates without positives and 63 negatives per query, as for its cross encoder, so
    that every fourth candidate is taken, and the fifth epoch repeats the first.
Differs: The list is mined by the demo set's embeddings; nothing is trained. All correct answers are passed as
    positives, in place of judgments with grades. A short list returns fewer negatives, where the released code divides
    by zero.
Prints: The first ranks of every epoch, how many negatives two epochs share, and the mean score of the negatives.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine


def main() -> None:
    """Draw five epochs from one pool."""
    index = negmine.ExactIndex(demo.document_embeddings)
    pool = negmine.HardNegativeMiner(63, range_max=256).candidates(index, demo.query_embeddings, demo.positives)
    epochs = [pool.select(63, sampling=negmine.Stride(), epoch=epoch) for epoch in range(5)]
    for epoch, negatives in enumerate(epochs):
        ranks = np.flatnonzero(np.isin(pool.indices[0], negatives.indices[0]))
        shared = np.isin(negatives.indices[0], epochs[0].indices[0]).mean()
        print(
            f"epoch {epoch}: ranks {ranks[0]} {ranks[1]} {ranks[2]} ..., mean score {negatives.scores.mean():.3f}, "
            f"share of the first epoch {shared:.2f}"
        )
    top = pool.select(63)
    print(f"the 63 best: mean score {top.scores.mean():.3f}")


if __name__ == "__main__":
    main()
