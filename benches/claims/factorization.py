"""Matrix factorization on ml-100k, and its measures, for the claims about recommenders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import torch
from sets import ROOT
from torch import Tensor, nn
from torch.nn.functional import embedding

import negmine


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Pairs of a user and an item for training, and one held-out item per user, -1 for a user without one."""

    users: np.ndarray
    items: np.ndarray
    held_out: np.ndarray
    n_items: int

    @property
    def seen(self) -> negmine.Positives:
        """Return the items of every user in training."""
        return negmine.Positives.from_pairs(self.users, self.items, n_queries=len(self.held_out))


def ratings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read users, items and ratings, each user's in the order of time."""
    table = pq.read_table(ROOT / "rec_ml100k" / "interactions.parquet")
    (_, users), (_, items) = (np.unique(table[name].to_numpy(), return_inverse=True) for name in ("user_id", "item_id"))
    order = np.lexsort((items, table["timestamp"].to_numpy().astype(float), users))
    return users[order], items[order], table["rating"].to_numpy().astype(float)[order]


def leave_last_out(least_rating: float = 0.0) -> tuple[Interactions, Interactions]:
    """Return the data for tuning, without the last item of each user, and for the test, with only that held out."""
    users, items, rating = ratings()
    n_users, n_items = int(users.max()) + 1, int(items.max()) + 1
    users, items = users[rating >= least_rating], items[rating >= least_rating]
    parts = []
    for _ in range(2):
        last = np.append(users[1:] != users[:-1], True)
        held_out = np.full(n_users, -1)
        held_out[users[last]] = items[last]
        users, items = users[~last], items[~last]
        parts.append(Interactions(users, items, held_out, n_items))
    return parts[1], parts[0]


class Factors(nn.Module):
    """Scores of users and items: products of factors, plus a bias per item."""

    def __init__(self, n_users: int, n_items: int, width: int, *, scale: float = 0.1, bias: float = 0.0) -> None:
        super().__init__()
        self.users = nn.Parameter(scale * torch.randn(n_users, width))
        self.items = nn.Parameter(scale * torch.randn(n_items, width))
        self.bias = nn.Parameter(torch.full((n_items,), bias))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the scores of users (B,) and items (B, n)."""
        scores = torch.einsum("bd,bnd->bn", embedding(users, self.users), embedding(items, self.items))
        return scores + embedding(items, self.bias[:, None])[..., 0]

    def decay(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the mean squared norm of the factors of pairs."""
        norms = self.users.square().sum(dim=1), self.items.square().sum(dim=1)
        means = [embedding(rows, norm[:, None]).mean() for rows, norm in zip((users, items), norms, strict=True)]
        return means[0] + means[1]

    @torch.no_grad()
    def table(self) -> np.ndarray:
        """Return the scores of all pairs."""
        return (self.users @ self.items.T + self.bias).numpy()


def best(scores: np.ndarray, seen: negmine.Positives, k: int) -> np.ndarray:
    """Return the k items of the highest scores per user, without those that were seen."""
    scores = scores.copy()
    scores[seen.queries(), seen.items] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def hit_rate(scores: np.ndarray, data: Interactions, k: int = 10, weights: np.ndarray | None = None) -> float:
    """Return the share of users whose held-out item is among the k best unseen ones; weights are per item."""
    there = data.held_out >= 0
    hits = (best(scores, data.seen, k) == data.held_out[:, None]).any(axis=1)[there]
    weight = np.ones(there.sum()) if weights is None else weights[data.held_out[there]]
    return float((weight * hits).sum() / weight.sum())


def batches(n: int, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the rows of the batches of an epoch."""
    order = negmine.batches.epoch_permutation(n, seed=seed, epoch=epoch)
    return [order[begin : begin + size] for begin in range(0, n, size)]
