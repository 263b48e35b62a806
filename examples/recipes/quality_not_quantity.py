"""Train on mixtures of two sources, with the shares kept in every batch and the number of pairs fixed.

Paper: Nguyen et al., "Quality Not Quantity: On the Interaction between Dataset Design and Robustness of CLIP",
    NeurIPS 2022.
Options: Pairs of both sources stand in one batch, so that they are negatives of each other. Shares of the first source
    are 1, 0.75, 0.5, 0.25 and 0; the number of steps is the same for all.
Differs: Words and definitions in place of images and texts. The second source is made up: the other half of the
    words, with answers that belong to other words. A linear map of the queries is trained on frozen documents.
    Shares are exact in every epoch, in place of draws. nDCG of held-out words in place of robustness to other data.
Prints: The rows per source in the first batches, and nDCG of held-out words for every mixture.
"""

from __future__ import annotations

import numpy as np
from common import part
from query_map import QueryMap

from negmine.batches import mixture_plan
from negmine.torch.losses import listwise

BATCH, EPOCHS = 64, 6


def main() -> None:
    """Train once per mixture."""
    train, test = part(0), part(1)
    half = len(train.queries) // 2
    labeled = train.labeled.copy()
    labeled[half:] = np.random.default_rng(0).permutation(labeled[half:])
    print(f"before training: nDCG {QueryMap().ndcg(test):.4f}")
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        plan = mixture_plan(
            [half, len(labeled) - half], batch_size=BATCH, weights=[share, 1 - share], within_batch=True, seed=1
        )
        model = QueryMap()
        for epoch in range(EPOCHS):
            for rows in plan.epoch(epoch):
                scores = model.scores(train.queries[rows], train.documents[labeled[rows]])
                model.learn(listwise(scores, np.arange(len(rows))))
        first = [int((rows < half).sum()) for rows in plan.epoch(0)[:3]]
        print(f"share {share:.2f}: rows of the first source {first} of {BATCH}, nDCG {model.ndcg(test):.4f}")


if __name__ == "__main__":
    main()
