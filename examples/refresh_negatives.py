"""Train on negatives that change from epoch to epoch, with persistent data loader workers.

    python examples/refresh_negatives.py

A linear layer learns to bring words and their definitions together, on the embeddings of the demo set. Every epoch
draws different negatives from the candidate pools. Every second epoch recomputes all embeddings with the current layer
and mines again. Both publish the negatives in a table, from which the workers read; the workers are started only once.
"""

from __future__ import annotations

import tempfile
import time

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

import negmine
from negmine import demo
from negmine.torch import NegativesDataset, NegativesTable, collate, redraw
from negmine.torch.data import refresh

N_TRAIN = 1000  # of 1,200 words; the others are the test set
EPOCHS, MINE_EVERY = 4, 2
TEMPERATURE = 0.05


def loss_of(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the InfoNCE loss over the positives of the batch and each row's own negatives; padding is ignored."""
    query, positive, negatives = (
        functional.normalize(model(batch[name]), dim=-1) for name in ("query", "positive", "negatives")
    )
    own = torch.einsum("bd,bnd->bn", query, negatives).masked_fill(~batch["mask"], -torch.inf)
    scores = torch.cat([query @ positive.T, own], dim=1)
    return functional.cross_entropy(scores / TEMPERATURE, torch.arange(len(scores)))


@torch.no_grad()
def recall(model: torch.nn.Module, data: demo.DemoSet) -> float:
    """Return the share of the meanings of test words that are among the ten nearest definitions."""
    index = negmine.ExactIndex(model(torch.from_numpy(data.document_embeddings)))
    nearest = index.search(model(torch.from_numpy(data.query_embeddings[N_TRAIN:])), 10).indices
    meanings = [data.positives[N_TRAIN + i] for i in range(len(nearest))]
    found = sum(np.isin(right, rows).sum() for right, rows in zip(meanings, nearest, strict=True))
    return float(found / sum(map(len, meanings)))


def train(folder: str) -> None:
    """Train, and print the loss and the recall of each epoch."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # a layer this small is not faster with a second thread
    data = demo.load()
    queries, documents = data.query_embeddings[:N_TRAIN], data.document_embeddings
    labels = data.positives.slice(0, N_TRAIN)
    model = torch.nn.Linear(384, 384, bias=False)
    torch.nn.init.eye_(model.weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    # Each epoch draws five of the thirty nearest documents. All definitions of the word itself are positives.
    miner = negmine.HardNegativeMiner(5, range_max=30, sampling=negmine.Softmax(TEMPERATURE))
    negatives = miner.mine(negmine.ExactIndex(documents), queries, labels)
    table = NegativesTable.create(folder, negatives, step=0)
    dataset = NegativesDataset(queries, documents, table, positives=data.labeled[:N_TRAIN])
    loader = DataLoader(
        dataset, batch_size=100, shuffle=True, num_workers=2, persistent_workers=True, collate_fn=collate, timeout=60
    )

    print(f"recall at 10 before: {recall(model, data):.3f}")
    for epoch in range(EPOCHS):
        if epoch and epoch % MINE_EVERY == 0:
            how, fresh = (
                "mined",
                refresh(
                    table,
                    miner,
                    lambda rows: model(torch.from_numpy(rows)),
                    queries,
                    documents,
                    labels,
                    epoch=epoch,
                    step=epoch * len(loader),
                    warm_start=negatives,
                ),
            )
            negatives = fresh.negatives
            print(fresh)
        elif epoch:
            how, _ = "drawn", redraw(table, negatives, epoch=epoch)
        else:
            how = "mined"
        losses, generations = [], set()
        for batch in loader:
            loss = loss_of(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            generations |= set(batch["generation"].tolist())
        print(f"epoch {epoch}: {how}, generation {generations}, loss {np.mean(losses):.3f}, {recall(model, data):.3f}")
        assert generations == {epoch}, "all batches of an epoch must use the negatives that were published before it"


if __name__ == "__main__":
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        train(f"{scratch}/negatives")
    print(f"{time.perf_counter() - started:.1f} s")
