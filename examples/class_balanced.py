"""Train a triplet loss on class labels, with batches that hold two rows of each of their classes.

The documents of the demo set, labeled with the noun that they define, form 1,200 classes of two to five rows. A
shuffled batch rarely holds two rows of the same class, so a triplet loss would find almost no triplets in it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import negmine.demo
from negmine.torch import ClassBalancedBatchSampler

BATCH, PER_CLASS, EPOCHS = 128, 2, 3


def batch_hard(embedded: torch.Tensor, labels: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    """Return the batch-hard triplet loss: the hardest positive of each row against its hardest negative."""
    scores = embedded @ embedded.T
    same = labels[:, None] == labels
    farthest = scores.masked_fill(~same, 2.0).min(dim=1).values
    nearest = scores.masked_fill(same, -2.0).max(dim=1).values
    return torch.relu(margin + nearest - farthest).mean()


def main() -> None:
    """Train, and print the loss of each epoch."""
    torch.manual_seed(0)
    demo = negmine.demo.load()
    pairs = [(noun, row) for noun in range(len(demo.queries)) for row in demo.positives[noun]]
    labels, rows = np.array(pairs).T
    sampler = ClassBalancedBatchSampler(labels, batch_size=BATCH, per_class=PER_CLASS, seed=1)
    data = TensorDataset(torch.from_numpy(demo.document_embeddings[rows]), torch.from_numpy(labels))
    loader = DataLoader(data, batch_sampler=sampler)
    model = torch.nn.Linear(384, 384, bias=False)
    torch.nn.init.eye_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        losses, classes = [], []
        for vectors, batch_labels in loader:
            loss = batch_hard(torch.nn.functional.normalize(model(vectors)), batch_labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            classes.append(len(batch_labels.unique()))
        print(f"epoch {epoch}: {np.mean(classes):.0f} classes in a batch of {BATCH}, loss {np.mean(losses):.3f}")


if __name__ == "__main__":
    main()
