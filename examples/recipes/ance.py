"""Mine again after every epoch with the model of that moment.

Paper: Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval", ICLR 2021.
Options: 20 negatives per query, uniform among the 200 best of the current model without the labeled answer. Each is a
    pair with the positive, whose loss is softplus(negative - positive).
Differs: Mining takes place between epochs in place of a second process, so that negatives do not lag behind. A linear
    map of the queries is trained on frozen documents; cosines are divided by 0.05. A scan takes its first thresholds
    from the candidates of the last epoch, which does not change its result.
Prints: Per epoch, the share of candidates that are new since the last epoch, the mean score of the negatives, and nDCG
    of held-out words; at the end, the scores under the last model of its own candidates and of the first ones.
"""

from __future__ import annotations

import numpy as np
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.torch.losses import pairwise

BATCH, EPOCHS = 64, 6


def main() -> None:
    """Train, and follow the candidates."""
    train, test = part(0), part(1)
    index = negmine.ExactIndex(train.documents)
    miner = negmine.HardNegativeMiner(20, range_max=200, sampling="random", seed=1)
    model, pools = QueryMap(), []
    for epoch in range(EPOCHS):
        queries = model(train.queries).detach()
        before = pools[-1] if pools else None
        pools.append(miner.candidates(index, queries, train.labeled, warm_start=before))
        negatives = miner.select(pools[-1], epoch=epoch)
        shared = [np.isin(*rows).mean() for rows in zip(pools[-1].indices, pools[epoch - 1].indices, strict=True)]
        order = epoch_permutation(len(queries), seed=1, epoch=epoch)
        for rows in np.array_split(order, len(order) // BATCH):
            columns = np.concatenate([train.labeled[rows, None], negatives.indices[rows]], axis=1)
            scores = model.scores(train.queries[rows], train.documents[columns])
            model.learn(pairwise(scores[:, 0], scores[:, 1:]))
        print(
            f"epoch {epoch}: {1 - np.mean(shared):.3f} new candidates, mean score {negatives.scores.mean():.4f}, "
            f"nDCG {model.ndcg(test):.4f}"
        )
    # What mining again finds: the best candidates of the last model are harder for it than those of the first epoch.
    again = miner.candidates(index, model(train.queries).detach(), train.labeled, warm_start=pools[-1])
    first = model.scores(train.queries, train.documents[pools[0].indices], temperature=1).mean()
    print(f"candidates under the last model: mined again {again.scores.mean():.4f}, of the first epoch {first:.4f}")


if __name__ == "__main__":
    main()
