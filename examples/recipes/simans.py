"""Draw negatives whose scores are near that of the positive: neither the hardest nor easy ones.

Paper: Zhou et al., "SimANS: Simple Ambiguous Negatives Sampling for Dense Text Retrieval", EMNLP 2022 (industry).
Options: 15 negatives per query and epoch, without repetition, from the 100 best candidates, with weights
    exp(-a (score - score of the positive + b)^2), a = 0.5 and b = 0; b has the sign of the released code.
Differs: `a` refers to scores divided by their standard deviation per query, because these are cosines and the released
    values are for dot products. The draw is exact; the released code draws with repetition until enough differ.
    A row whose list is short returns fewer negatives instead of repeated ones. Nothing is trained.
Prints: False negatives and hardness of the top, of ambiguous and of uniform negatives; the share that the
    next epoch keeps.
"""

from __future__ import annotations

import numpy as np
from common import demo, describe

import negmine

POLICIES = {"top": "top", "ambiguous": negmine.SimANS(a=0.5, b=0.0), "uniform": "random"}


def main() -> None:
    """Select from one pool by three policies, and draw again for a second epoch."""
    index = negmine.ExactIndex(demo.document_embeddings)
    pool = negmine.HardNegativeMiner(15, range_max=100).candidates(index, demo.query_embeddings, demo.labeled)
    distance = {}
    for name, policy in POLICIES.items():
        negatives = pool.select(15, sampling=policy)
        describe(name, negatives)
        distance[name] = np.abs(negatives.scores - negatives.reference_scores[:, None]).mean()
    print("distance to the positive:", ", ".join(f"{name} {value:.3f}" for name, value in distance.items()))

    first = pool.select(15, sampling=POLICIES["ambiguous"], seed=1)
    second = first.redraw(1)
    kept = np.mean([np.isin(a, b).mean() for a, b in zip(first.indices, second.indices, strict=True)])
    print(f"kept in the next epoch: {kept:.3f}")
    # Probabilities of the draw, for estimates over the whole pool.
    print(f"probability of a draw: from {np.exp(first.log_prob.min()):.4f} to {np.exp(first.log_prob.max()):.4f}")


if __name__ == "__main__":
    main()
