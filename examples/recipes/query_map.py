"""Shared by the recipes that train: a linear map of the queries, its scores and its nDCG."""

from __future__ import annotations

import numpy as np
import torch
from common import Part
from torch.nn import functional

import negmine


class QueryMap(torch.nn.Linear):
    """A linear map of queries that starts as the identity, of the first of several inputs; documents are frozen."""

    def __init__(self, width: int = 384, n_inputs: int = 1) -> None:
        super().__init__(n_inputs * width, width, bias=False)
        torch.nn.init.eye_(self.weight)
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=3e-4)

    def forward(self, queries: np.ndarray) -> torch.Tensor:
        """Return mapped queries of length 1."""
        return functional.normalize(super().forward(torch.from_numpy(queries)))

    def scores(self, queries: np.ndarray, documents: np.ndarray, temperature: float = 0.05) -> torch.Tensor:
        """Return cosines over a temperature, with documents for all queries (n, d) or for each (q, n, d)."""
        rows = functional.normalize(torch.from_numpy(documents), dim=-1)
        return torch.einsum("qd,nd->qn" if rows.ndim == 2 else "qd,qnd->qn", self(queries), rows) / temperature

    def learn(self, loss: torch.Tensor) -> float:
        """Take a step, and return the loss."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def ndcg(self, test: Part) -> float:
        """Return nDCG@10 with all answers as relevant."""
        with torch.no_grad():
            found = negmine.ExactIndex(test.documents).search(self(test.queries), 10).indices
        discount = 1 / np.log2(np.arange(2, 12))
        pairs = list(zip(found, test.answers, strict=True))
        return float(np.mean([np.isin(row, own) @ discount / discount[: len(own)].sum() for row, own in pairs]))
