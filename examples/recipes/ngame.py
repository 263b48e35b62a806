"""Build batches of clusters, which are computed again as the model changes.

Paper: Dahiya et al., "NGAME: Negative Mining-aware Mini-batching for Extreme Classification", WSDM 2023.
Options: Clusters of the queries under the current model, whose size doubles at the epochs of a curriculum. The loss
    takes the ten hardest negatives of the batch, with a margin of 0.3 and softmax weights at a temperature of 0.1;
    labeled answers are masked.
Differs: Batches of 96 and six epochs, for 566 queries. Clusters act in the epoch that they are made for, and have the
    planned size; the released code uses them one epoch later, rounds their number up to a power of two, and passes a
    gradient through the weights. Balanced k-means, not bisection. A linear map of queries, on frozen documents.
Prints: Per epoch, the cluster size, the score of the hardest negative of a batch and of a random batch, and the loss.
"""

from __future__ import annotations

import numpy as np
import torch
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import NgameSchedule, cluster_plan, false_negative_mask
from negmine.torch.losses import pairwise
from negmine.weights import hardness

BATCH, EPOCHS, MARGIN, HARDEST = 96, 6, 0.3, 10


def main() -> None:
    """Train, and compare the batches with random ones."""
    train, test = part(0), part(1)
    n = len(train.queries)
    model, positives = QueryMap(), negmine.Positives.from_lists(train.labeled[:, None])
    schedule = NgameSchedule(curriculum=(1, 2, 3, 4), refresh_every=1, largest_size=BATCH // 4)
    plan = random = cluster_plan(np.arange(n), batch_size=BATCH, seed=1)

    def scores_of(rows: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        scores = model.scores(train.queries[rows], train.documents[train.labeled[rows]], temperature=1)
        return scores, false_negative_mask(rows, train.labeled[rows], positives)

    for epoch in range(EPOCHS):
        if schedule.refresh(epoch):
            embedded = model(train.queries).detach()
            clusters = negmine.balanced_clusters(embedded, n_clusters=schedule.n_clusters(epoch, n), seed=epoch)
            plan = cluster_plan(clusters, batch_size=BATCH, seed=1)
        hardest, losses = [], []
        for batches in plan, random:
            found = [np.ma.array(scores.detach(), mask=mask) for scores, mask in map(scores_of, batches.epoch(epoch))]
            hardest.append(np.mean([scores.max(axis=1).mean() for scores in found]))
        for rows in plan.epoch(epoch):
            scores, mask = scores_of(rows)
            weights = hardness(scores.detach().numpy(), mask, kind="ngame", beta=10, margin=MARGIN, hardest=HARDEST)
            options = {"form": "hinge", "margin": MARGIN, "hardest": HARDEST, "mask": mask, "weights": weights}
            losses.append(model.learn(pairwise(scores.diagonal(), scores, **options)))
        size, numbers = schedule.cluster_size(epoch), (*hardest, np.mean(losses), model.ndcg(test))
        print(f"epoch {epoch}: clusters of {size:2},", end=" ")
        print("hardest {:.3f}, in random batches {:.3f}, loss {:.4f}, nDCG {:.4f}".format(*numbers))


if __name__ == "__main__":
    main()
