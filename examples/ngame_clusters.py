"""Train on batches of clusters that are recomputed as the model changes: NGAME (Dahiya et al., WSDM 2023).

Rows that are similar under the model share a batch, so that they are hard negatives of each other, without a search and
without a table of negatives. The clusters are small at first, and their size doubles with the curriculum. A share of
random rows in each batch provides easy negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import negmine
import negmine.demo
from negmine.batches import NgameSchedule
from negmine.torch import ClusterBatchSampler

BATCH, EPOCHS = 120, 6


@torch.no_grad()
def hardness(
    embed: Callable[[torch.Tensor], torch.Tensor],
    queries: torch.Tensor,
    documents: torch.Tensor,
    batches: Iterable[np.ndarray],
) -> float:
    """Return the mean score of the hardest in-batch negative per query."""
    hardest = []
    for rows in batches:
        scores = embed(queries[rows]) @ documents[rows].T
        hardest.append(scores.fill_diagonal_(-1.0).max(dim=1).values.mean().item())
    return float(np.mean(hardest))


def main() -> None:
    """Train, and print how hard the negatives of each epoch are."""
    torch.manual_seed(0)
    demo = negmine.demo.load()
    queries, documents = (
        torch.from_numpy(demo.query_embeddings),
        torch.from_numpy(demo.document_embeddings[demo.labeled]),
    )
    model = torch.nn.Linear(384, 384, bias=False)
    torch.nn.init.eye_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

    def embed(rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(model(rows))

    schedule = NgameSchedule(curriculum=(1, 2, 3, 4), refresh_every=1, largest_size=BATCH // 4)
    # At first, every row is its own cluster, which results in random batches.
    sampler = ClusterBatchSampler(np.arange(len(queries)), batch_size=BATCH, random_fraction=0.2, seed=1)
    random = sampler.plan
    loader = DataLoader(TensorDataset(queries, documents), batch_sampler=sampler)
    for epoch in range(EPOCHS):
        if schedule.refresh(epoch):
            with torch.no_grad():
                embedded = embed(queries).numpy()
            n_clusters = schedule.n_clusters(epoch, len(queries))
            sampler.refresh(negmine.balanced_clusters(embedded, n_clusters=n_clusters, seed=epoch))
        sampler.set_epoch(epoch)
        scored = [hardness(embed, queries, documents, plan.epoch(epoch)) for plan in (sampler.plan, random)]
        losses = []
        for anchors, positives in loader:
            scores = embed(anchors) @ positives.T
            loss = torch.nn.functional.cross_entropy(20 * scores, torch.arange(len(scores)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(
            f"epoch {epoch}: clusters of {schedule.cluster_size(epoch):2}, hardest negative of a batch scores "
            f"{scored[0]:.3f}, of a random batch {scored[1]:.3f}; loss {np.mean(losses):.3f}"
        )


if __name__ == "__main__":
    main()
