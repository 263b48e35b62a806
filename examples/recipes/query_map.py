"""Shared by the recipes that train: a split of the demo set, a linear map of the queries, and nDCG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from common import demo

import negmine


@dataclass(frozen=True)
class Part:
    """Every second word with its documents; rows count from 0 in each part, and no document is in both."""

    queries: np.ndarray
    documents: np.ndarray
    labeled: np.ndarray
    answers: list[np.ndarray]


def part(side: int) -> Part:
    """Return the training part (0) or the test part (1); no answer of a test word can be mined as a negative."""
    owner = np.arange(len(demo.documents)) % 2
    for i in range(len(demo.queries)):
        owner[demo.positives[i]] = i % 2
    rows = [i for i in range(side, len(demo.queries), 2) if (owner[demo.positives[i]] == side).all()]
    place = np.cumsum(owner == side) - 1
    queries, documents = demo.query_embeddings[rows], demo.document_embeddings[owner == side]
    return Part(queries, documents, place[demo.labeled[rows]], [place[demo.positives[i]] for i in rows])


class QueryMap(torch.nn.Linear):
    """A linear map of query embeddings that starts as the identity; document embeddings are frozen."""

    def __init__(self, width: int = 384) -> None:
        super().__init__(width, width, bias=False)
        torch.nn.init.eye_(self.weight)
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=3e-4)

    def forward(self, queries: np.ndarray) -> torch.Tensor:
        """Return mapped queries of length 1."""
        return torch.nn.functional.normalize(super().forward(torch.from_numpy(queries)))

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
