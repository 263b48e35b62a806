"""Build batches of clusters, which are computed again as the model changes.

Paper: Dahiya et al., "NGAME: Negative Mining-aware Mini-batching for Extreme Classification", WSDM 2023.
Options: Clusters of the queries under the current model, whose size doubles at the epochs of a curriculum. The loss
    takes the ten hardest negatives of the batch, with a margin of 0.3 and softmax weights at a temperature of 0.1;
    labeled answers are masked.
Differs: Batches of 96 and a curriculum of six epochs, for 566 queries. Clusters act in the epoch that they are made
    for, and have the planned size; the released code uses them one epoch later and rounds their number up to a power
    of two. Balanced k-means in place of bisection. A linear map of the queries is trained on frozen documents.
Prints: Per epoch, the cluster size, the score of the hardest negative of a batch and of a random batch, and the loss.
"""

from __future__ import annotations

import numpy as np
import torch
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import NgameSchedule, cluster_plan, false_negative_mask

BATCH, EPOCHS = 96, 6


def main() -> None:
    """Train, and compare the batches with random ones."""
    train, test = part(0), part(1)
    n = len(train.queries)
    positives = negmine.Positives.from_lists(train.labeled[:, None])
    schedule = NgameSchedule(curriculum=(1, 2, 3, 4), refresh_every=1, largest_size=BATCH // 4)
    model = QueryMap()
    plan = random = cluster_plan(np.arange(n), batch_size=BATCH, seed=1)

    def negatives_of(rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        scores = model.scores(train.queries[rows], train.documents[train.labeled[rows]], temperature=1)
        masked = torch.from_numpy(false_negative_mask(rows, train.labeled[rows], positives))
        return scores.diagonal()[:, None], scores.masked_fill(masked, -1.0).topk(10).values

    for epoch in range(EPOCHS):
        if schedule.refresh(epoch):
            embedded = model(train.queries).detach()
            clusters = negmine.balanced_clusters(embedded, n_clusters=schedule.n_clusters(epoch, n), seed=epoch)
            plan = cluster_plan(clusters, batch_size=BATCH, seed=1)
        with torch.no_grad():
            hardest = [np.mean([negatives_of(rows)[1][:, 0].mean() for rows in p.epoch(epoch)]) for p in (plan, random)]
        losses = []
        for rows in plan.epoch(epoch):
            right, wrong = negatives_of(rows)
            violation = torch.relu(wrong - right + 0.3)
            weights = torch.softmax(wrong / 0.1 * (violation > 0), dim=1)
            losses.append(model.learn((weights * violation).mean()))
        print(
            f"epoch {epoch}: clusters of {schedule.cluster_size(epoch):2}, hardest {hardest[0]:.3f}, in random batches "
            f"{hardest[1]:.3f}, loss {np.mean(losses):.4f}, nDCG {model.ndcg(test):.4f}"
        )


if __name__ == "__main__":
    main()
