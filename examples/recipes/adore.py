"""Search with the current queries in every step, on documents that are frozen.

Paper: Zhan et al., "Optimizing Dense Retrieval Model Training with Hard Negatives", SIGIR 2021 (ADORE).
Options: Batches of 32 queries, the 200 best documents of every query in every step, all of them in the loss. A pair of
    an answer and another document weighs as much as the reciprocal rank that a swap would change.
Differs: A linear map in place of the query encoder; cosines are divided by 0.05; one answer per query is labeled.
    Every search takes its first thresholds from the list of the query's last epoch, which does not change its result.
    Equal scores: the answer ranks before the negatives; the released code takes the order of its index.
Prints: Per epoch, the weighted loss, the share of the list that changed since the last epoch, and nDCG of held-out
    words.
"""

from __future__ import annotations

import numpy as np
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.torch.losses import lambda_mrr

BATCH, DEPTH, EPOCHS = 32, 200, 6


def main() -> None:
    """Train, with a search per step."""
    train, test = part(0), part(1)
    index = negmine.ExactIndex(train.documents)
    miner = negmine.HardNegativeMiner(DEPTH)
    last = np.full((len(train.queries), DEPTH), -1)
    model = QueryMap()
    print(f"before training: nDCG {model.ndcg(test):.4f}")
    for epoch in range(EPOCHS):
        losses, changed = [], []
        order = epoch_permutation(len(train.queries), seed=1, epoch=epoch)
        for rows in np.array_split(order, len(order) // BATCH):
            query = model(train.queries[rows]).detach()
            found = miner.mine(index, query, train.labeled[rows], warm_start=last[rows])
            changed += [1 - np.isin(*lists).mean() for lists in zip(found.indices, last[rows], strict=True)]
            last[rows] = found.indices
            columns = np.concatenate([train.labeled[rows, None], found.indices], axis=1)
            scores = model.scores(train.queries[rows], train.documents[columns])
            # The answer takes a place in the list, or the first one after it; what follows moves down.
            places = scores.detach().argsort(dim=1, descending=True, stable=True)
            losses.append(model.learn(lambda_mrr(scores.gather(1, places), places == 0, cut=DEPTH)))
        print(f"epoch {epoch}: loss {np.mean(losses):.4f}, changed {np.mean(changed):.3f}, nDCG {model.ndcg(test):.4f}")


if __name__ == "__main__":
    main()
