"""Weight rows by the difficulty of their negatives, more and more while training proceeds.

Paper: Wu et al., "Towards Robust Text Retrieval with Progressive Learning", 2023 (PEG).
Options: Batches of 64 with five mined negatives per query, which all queries of the batch share. The weight of a row is
    a softmax, over the batch, of the log-sum-exp of its negatives minus its positive, within .1 to 10 and scaled to
    mean 1. Its share against equal weights grows from 0 to 1 in the first half of the training.
Differs: The paper's formula is not public; this one has only its idea, so the paper is not judged by it. A batch of
    80,000 needs `negmine.torch.losses.cached`. A linear map of the queries is trained on frozen documents. A fifth of
    the labels is replaced by random documents, to see which rows get the weight.
Prints: The mean weight of rows with a correct and with a wrong label in the last epoch, and nDCG of held-out words,
    from one seed. Here wrong labels look difficult and get most of the weight, so equal weights are better.
"""

from __future__ import annotations

import numpy as np
import torch
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation, false_negative_mask
from negmine.torch.losses import listwise
from negmine.weights import hardness

BATCH, EPOCHS = 64, 6


def main() -> None:
    """Train with equal, progressive and full weights."""
    data, test = part(0), part(1)
    rng = np.random.default_rng(0)
    wrong = rng.random(len(data.queries)) < 0.2
    labeled = np.where(wrong, rng.integers(len(data.documents), size=len(wrong)), data.labeled)
    positives = negmine.Positives.from_lists(labeled[:, None])
    miner = negmine.HardNegativeMiner(5, range_max=50, sampling="random", seed=1)
    mined = miner.mine(negmine.ExactIndex(data.documents), data.queries, labeled)
    for kind in ("equal", "progressive", "full"):
        model, weight_of = QueryMap(), np.ones(len(wrong))
        for epoch in range(EPOCHS):
            hard = mined.redraw(epoch).indices
            order = epoch_permutation(len(labeled), seed=1, epoch=epoch)
            progress = {"equal": 0.0, "progressive": min(1.0, 2 * epoch / EPOCHS), "full": 1.0}[kind]
            for rows in np.array_split(order, len(order) // BATCH):
                columns = np.concatenate([labeled[rows], hard[rows].ravel()])
                mask = false_negative_mask(rows, columns, positives)
                scores = model.scores(data.queries[rows], data.documents[columns])
                target = np.arange(len(rows))
                known = scores.detach().numpy()
                weight_of[rows] = hardness(known, mask, kind="sample", progress=progress, target=target)
                model.learn(listwise(scores, torch.from_numpy(target), mask=mask, weights=weight_of[rows]))
        means = f"correct {weight_of[~wrong].mean():.3f}, wrong {weight_of[wrong].mean():.3f}"
        print(f"{kind} weights: {means}, nDCG {model.ndcg(test):.4f}")


if __name__ == "__main__":
    main()
