"""Train with in-batch negatives that contain no false negatives.

A query of the demo set has two to five positive documents, with one row each. Two rows of the same query in a batch are
false negatives of each other. Shuffled batches contain many of them; planned batches contain none and still use every
row.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import negmine.demo
from negmine.torch import NoDuplicateBatchSampler

BATCH, EPOCHS = 128, 3


def false_negatives(anchors: np.ndarray, batches: Iterable[list[int] | np.ndarray]) -> float:
    """Return the mean number of rows per batch whose query another row of the batch has."""
    return float(np.mean([len(batch) - len(np.unique(anchors[batch])) for batch in batches]))


def main() -> None:
    """Train, and print the number of false negatives in the batches."""
    torch.manual_seed(0)
    demo = negmine.demo.load()
    anchors = np.repeat(np.arange(len(demo.queries)), [len(demo.positives[i]) for i in range(len(demo.queries))])
    positives = np.concatenate([demo.positives[i] for i in range(len(demo.queries))])
    sampler = NoDuplicateBatchSampler(anchors, positives, batch_size=BATCH, seed=1)
    shuffled = np.random.default_rng(1).permutation(len(anchors))[: len(sampler) * BATCH // 2 * 2]
    print(
        f"false negatives in a shuffled batch: {false_negatives(anchors, np.array_split(shuffled, len(sampler))):.1f}"
    )
    print(f"in a planned batch: {false_negatives(anchors, list(sampler)):.1f}, with {len(sampler)} batches per epoch")

    rows = TensorDataset(
        torch.from_numpy(demo.query_embeddings[anchors]), torch.from_numpy(demo.document_embeddings[positives])
    )
    loader = DataLoader(rows, batch_sampler=sampler)
    model = torch.nn.Linear(384, 384, bias=False)
    torch.nn.init.eye_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        losses = []
        for queries, documents in loader:
            scores = torch.nn.functional.normalize(model(queries)) @ documents.T
            loss = torch.nn.functional.cross_entropy(20 * scores, torch.arange(len(scores)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}")


if __name__ == "__main__":
    main()
