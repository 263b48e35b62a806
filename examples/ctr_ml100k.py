"""Predict clicks on ml-100k from long histories, and compare methods that pool a history.

    NEGMINE_DATA=... python examples/ctr_ml100k.py [--pooling sdim] [--seed 0]

A rating of 4 or more counts as a click, and the history of a user consists of the earlier clicks. The model is a small
deep interest network (DIN): the candidate, the history pooled for the candidate, their product and the user are the
input of an MLP. The first 80 % of all ratings by time are the training set, the rest is the test set. `--pooling all`
compares all methods by the AUC on the test set and the CPU seconds of training and of inference, on one thread.

The data is a folder rec_ml100k with interactions.parquet, which has one row per rating and the columns user_id,
item_id, rating and timestamp.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from negmine.torch import ETA, SDIM, TargetAttention

POOLINGS = ("mean", "short", "full", "eta", "sdim")

#: Number of behaviors in a short history, and number of behaviors that ETA retrieves.
SHORT = 10


@dataclass(frozen=True)
class Clicks:
    """Ratings sorted by time: users, items and labels (n,), and histories (n, length), padded with 0 at the end."""

    users: Tensor
    items: Tensor
    labels: Tensor
    histories: Tensor
    lengths: Tensor
    n_train: int
    n_users: int
    n_items: int


def load(folder: Path, length: int = 100) -> Clicks:
    """Load the ratings. The latest behavior of a history comes first, and item numbers start at 1."""
    columns = pq.read_table(folder / "interactions.parquet").to_pydict()
    rating, timestamp = (np.asarray(columns[name], dtype=np.float64) for name in ("rating", "timestamp"))
    (_, users), (_, items) = (
        np.unique(np.asarray(columns[name]), return_inverse=True) for name in ("user_id", "item_id")
    )
    order = np.lexsort((items, users, timestamp))
    users, items, clicked, when = users[order], items[order] + 1, (rating >= 4)[order], timestamp[order]
    histories = np.zeros((len(order), length), dtype=np.int64)
    lengths = np.zeros(len(order), dtype=np.int64)
    for user in range(users.max() + 1):
        rows = np.flatnonzero(users == user)
        of_clicks = rows[clicked[rows]]
        # Ratings of the same second are one visit, so none of them is in the history of another.
        before = np.searchsorted(when[of_clicks], when[rows])
        for row, n in zip(rows, before, strict=True):
            seen = items[of_clicks[max(0, n - length) : n]][::-1]
            histories[row, : len(seen)] = seen
            lengths[row] = len(seen)
    tensors = (torch.from_numpy(x) for x in (users, items, clicked.astype(np.float32), histories, lengths))
    return Clicks(*tensors, int(0.8 * len(order)), int(users.max()) + 1, int(items.max()) + 1)


class Model(nn.Module):
    """A small deep interest network."""

    def __init__(self, clicks: Clicks, pooling: str, dim: int = 16, seed: int = 0, scale: float | None = None) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.items = nn.Embedding(clicks.n_items, dim, padding_idx=0)
        self.users = nn.Embedding(clicks.n_users, dim)
        for table in (self.items, self.users):
            nn.init.normal_(table.weight, std=0.1)
        self.mlp = nn.Sequential(nn.Linear(4 * dim, 64), nn.ReLU(), nn.Linear(64, 1))
        self.pooling = pooling
        if pooling in ("short", "full"):
            self.pool: nn.Module = TargetAttention(dim, scale=scale)
        elif pooling == "eta":
            self.pool = ETA(dim, top_k=SHORT, seed=seed, scale=scale)
        elif pooling == "sdim":
            self.pool = SDIM(dim, seed=seed)

    def forward(self, users: Tensor, items: Tensor, histories: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of a batch."""
        if self.pooling == "short":
            histories = histories[:, :SHORT]
        candidate, behaviors = self.items(items), self.items(histories)
        mask = torch.arange(histories.shape[1]) < lengths[:, None]
        if self.pooling == "mean":
            interest = (behaviors * mask[..., None]).sum(dim=1) / lengths.clamp(min=1)[:, None]
        else:
            interest = self.pool(candidate, behaviors, mask)
        together = [candidate, interest, candidate * interest, self.users(users)]
        return self.mlp(torch.cat(together, dim=1))[:, 0]


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count one half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = labels > 0
    n, m = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def run(
    clicks: Clicks,
    pooling: str,
    seed: int = 0,
    rate: float = 3e-3,
    epochs: int = 2,
    scale: float | None = None,
) -> tuple[float, float, float]:
    """Train and test a model, and return its AUC and the CPU seconds of training and of inference.

    ``scale`` is the scale of softmax attention.
    """
    model = Model(clicks, pooling, seed=seed, scale=scale)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-5)
    order = torch.Generator().manual_seed(seed)
    begin = time.process_time()

    def logits(rows: Tensor | slice) -> Tensor:
        return model(clicks.users[rows], clicks.items[rows], clicks.histories[rows], clicks.lengths[rows])

    for _ in range(epochs):
        for rows in torch.randperm(clicks.n_train, generator=order).split(512):
            loss = nn.functional.binary_cross_entropy_with_logits(logits(rows), clicks.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    trained = time.process_time()
    with torch.no_grad():
        n = len(clicks.labels)
        scores = torch.cat([logits(slice(at, min(at + 2048, n))) for at in range(clicks.n_train, n, 2048)])
    tested = time.process_time()
    return auc(clicks.labels[clicks.n_train :].numpy(), scores.numpy()), trained - begin, tested - trained


def main() -> None:
    """Print one line of results per pooling method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pooling", choices=[*POOLINGS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NEGMINE_DATA", ".")) / "rec_ml100k")
    arguments = parser.parse_args()
    if not (arguments.data / "interactions.parquet").is_file():
        parser.error(f"--data or NEGMINE_DATA must name the folder of the ratings; {arguments.data} has none.")
    # Training steps this small are not faster with a second thread.
    torch.set_num_threads(1)
    clicks = load(arguments.data)
    print("pooling  AUC     training s  inference s")
    for pooling in POOLINGS if arguments.pooling == "all" else (arguments.pooling,):
        found = run(clicks, pooling, arguments.seed, epochs=arguments.epochs)
        print("{:<8} {:.4f}  {:>10.1f}  {:>11.2f}".format(pooling, *found), flush=True)


if __name__ == "__main__":
    main()
