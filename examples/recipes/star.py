"""Train on mined negatives together with random ones, which the documents of the batch provide.

Paper: Zhan et al., "Optimizing Dense Retrieval Model Training with Hard Negatives", SIGIR 2021 (STAR).
Options: One negative per query and epoch, uniform among the 200 best of the warm-up model, which are mined once.
    Positives and negatives of all rows are shared by the batch; labeled answers are masked. The loss is the mean of
    softplus(negative - positive) over all remaining pairs, with equal weights, as in the released code.
Differs: The warm-up model is the demo set's; a linear map of the queries is trained on frozen documents, in place of
    both encoders. Scores are cosines and are divided by 0.05. Six epochs of AdamW in place of LAMB.
Prints: nDCG of held-out words after training on mined negatives alone, on those of the batch alone, and on both, from
    one seed: small differences have no meaning.
"""

from __future__ import annotations

import numpy as np
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation, false_negative_mask
from negmine.torch.losses import pairwise

BATCH, EPOCHS = 64, 6


def main() -> None:
    """Train from the same start on three kinds of negatives."""
    train, test = part(0), part(1)
    miner = negmine.HardNegativeMiner(1, range_max=200, sampling="random", seed=1)
    mined = miner.mine(negmine.ExactIndex(train.documents), train.queries, train.labeled)
    positives = negmine.Positives.from_lists(train.labeled[:, None])
    print(f"before training: nDCG {QueryMap().ndcg(test):.4f}")
    for kind in ("mined alone", "batch alone", "both"):
        model, losses = QueryMap(), []
        for epoch in range(EPOCHS):
            hard = mined.redraw(epoch).indices[:, 0]
            order = epoch_permutation(len(train.queries), seed=1, epoch=epoch)
            for rows in np.array_split(order, len(order) // BATCH):
                documents = np.concatenate([train.labeled[rows], hard[rows]])
                mask = false_negative_mask(rows, documents, positives)
                if kind == "mined alone":
                    mask |= ~np.tile(np.eye(len(rows), dtype=bool), 2)
                elif kind == "batch alone":
                    mask[:, len(rows) :] = True
                scores = model.scores(train.queries[rows], train.documents[documents])
                losses.append(model.learn(pairwise(scores.diagonal(), scores, mask=mask)))
        print(f"{kind}: loss {np.mean(losses):.4f}, nDCG {model.ndcg(test):.4f}")


if __name__ == "__main__":
    main()
