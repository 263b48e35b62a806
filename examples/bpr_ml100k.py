"""Train matrix factorization by BPR (Rendle et al., UAI 2009) on ml-100k, with uniform and with popular negatives.

    NEGMINE_DATA=... python examples/bpr_ml100k.py [--epochs 20] [--workers 2]

Every rating is an interaction, and the last one of each user is held out. HR@10 is the share of users whose held-out
item is among the ten highest scores of unseen items; its standard error is .009. The data is a folder rec_ml100k with
interactions.parquet, which has one row per rating and the columns user_id, item_id and timestamp.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from negmine import Positives
from negmine.sampling import NegativeSampler, Popularity
from negmine.torch import InteractionsDataset, collate
from negmine.torch.losses import pairwise

SOURCES = {"uniform": "uniform", "popularity": Popularity(1.0)}


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Load users and items of training pairs, and the held-out user and item pairs."""
    table = pq.read_table(folder / "interactions.parquet")
    (_, users), (_, items) = (np.unique(table[name].to_numpy(), return_inverse=True) for name in ("user_id", "item_id"))
    order = np.lexsort((items, table["timestamp"].to_numpy().astype(float), users))
    users, items = users[order], items[order]
    last = np.append(users[1:] != users[:-1], True)
    return users[~last], items[~last], users[last], items[last]


class Model(nn.Module):
    """Matrix factorization with a bias per item."""

    def __init__(self, n_users: int, n_items: int, dim: int = 32) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.bias = nn.Embedding(n_items, 1)
        for table in (self.users, self.items, self.bias):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the scores of users (B,) and items (B, n)."""
        return (self.users(users)[:, None] * self.items(items)).sum(dim=2) + self.bias(items)[..., 0]


@torch.no_grad()
def hit_rate(model: Model, seen: Positives, users: np.ndarray, items: np.ndarray, k: int = 10) -> float:
    """Return the share of users whose item is among the k highest scores of items that they have not seen."""
    scores = model.users.weight @ model.items.weight.T + model.bias.weight[:, 0]
    scores[torch.from_numpy(seen.queries()), torch.from_numpy(seen.items)] = -torch.inf
    return float((scores[users].topk(k).indices == torch.from_numpy(items)[:, None]).any(dim=1).float().mean())


def run(folder: Path, negatives: str, epochs: int = 20, workers: int = 2, seed: int = 0) -> tuple[float, float]:
    """Train and test a model; return HR@10 and the seconds of training."""
    users, items, test_users, test_items = load(folder)
    n_users, n_items = test_users.max() + 1, max(items.max(), test_items.max()) + 1
    seen = Positives.from_pairs(users, items, n_queries=n_users)
    sampler = NegativeSampler(seen, n_documents=n_items, sources=SOURCES[negatives], seed=seed)
    dataset = InteractionsDataset(users, items, sampler, num_negatives=4)
    torch.manual_seed(seed)
    options = {"num_workers": workers, "persistent_workers": workers > 0, "collate_fn": collate}
    loader = DataLoader(dataset, batch_size=2048, shuffle=True, **options)
    model = Model(n_users, n_items)
    optimizer, begin = torch.optim.Adam(model.parameters(), lr=0.005), time.perf_counter()
    for epoch in range(epochs):
        dataset.set_epoch(epoch)
        for batch in loader:
            positive = model(batch["user"], batch["positive"][:, None])
            negative = model(batch["user"], batch["negatives"].clamp(min=0))
            norms = model.users(batch["user"]).square().sum(dim=1) + model.items(batch["positive"]).square().sum(dim=1)
            loss = pairwise(positive, negative, mask=~batch["mask"]) + 0.01 * norms.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return hit_rate(model, seen, test_users, test_items), time.perf_counter() - begin


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NEGMINE_DATA", ".")) / "rec_ml100k")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("negatives   HR@10   training s")
    for name in SOURCES:
        found = run(arguments.data, name, arguments.epochs, arguments.workers)
        print("{:<11} {:.4f}  {:>10.1f}".format(name, *found), flush=True)
