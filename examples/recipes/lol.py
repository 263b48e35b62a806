"""Revise a query by feedback, such that more feedback does not cost more than less.

Paper: Zhu et al., "LoL: A Comparative Regularization Loss over Query Reformulation Losses for Pseudo-Relevance
    Feedback", SIGIR 2022.
Options: Per query, two revisions with different numbers (0 to 5) of the same feedback documents, in random order from
    the five best of the first pass. Cross entropy over all documents that are among the 20 best of a query, plus the
    labeled ones; plus what the revision with more feedback loses more than the other, with weight 1 as released.
Differs: A linear map of the query and the mean of its feedback, in place of an encoder of their texts; documents are
    frozen, as in the paper. Cosines are divided by 0.05, because the scores of the paper's encoder are dot products.
Prints: With and without the comparison, for held-out queries: the loss by the number of feedback documents, and how
    much a loss with more feedback exceeds one with less.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.torch.losses import listwise, pairwise

BATCH, EPOCHS, SIZES = 32, 6, 6


def main() -> None:
    """Train without and with the comparison."""
    parts = part(0), part(1)
    found = [negmine.ExactIndex(data.documents).search(data.queries, 20).indices for data in parts]
    banks = [np.union1d(best, data.labeled) for best, data in zip(found, parts, strict=True)]

    def losses_of(side: int, rows: np.ndarray, feedback: np.ndarray, sizes: np.ndarray) -> torch.Tensor:
        data, bank = parts[side], banks[side]
        share = (np.arange(SIZES - 1) < sizes[:, None]) / np.maximum(sizes, 1)[:, None]
        mean = np.einsum("qk,qkd->qd", share.astype(np.float32), data.documents[feedback])
        scores = model.scores(np.concatenate([data.queries[rows], mean], axis=1), data.documents[bank])
        return listwise(scores, np.searchsorted(bank, data.labeled[rows]), reduction="none")

    for weight in (0.0, 1.0):
        model, rng = QueryMap(n_inputs=2), np.random.default_rng(0)
        for epoch in range(EPOCHS):
            order = epoch_permutation(len(found[0]), seed=1, epoch=epoch)
            for rows in np.array_split(order, len(order) // BATCH):
                feedback = rng.permuted(found[0][rows, :5], axis=1)
                sizes = np.sort(rng.permuted(np.tile(np.arange(SIZES), (len(rows), 1)), axis=1)[:, :2], axis=1)
                fewer, more = (losses_of(0, rows, feedback, sizes[:, i]) for i in (0, 1))
                model.learn((fewer + more).mean() / 2 + weight * pairwise(fewer, more, form="hinge"))
        n = len(found[1])
        with torch.no_grad():
            by = [losses_of(1, np.arange(n), found[1][:, :5], np.full(n, size)) for size in range(SIZES)]
            excess = np.mean([pairwise(*sizes, form="hinge") for sizes in combinations(by, 2)])
        print(f"weight {weight:.0f}: loss", *(f"{loss.mean():.3f}" for loss in by), f"excess {excess:.4f}")


if __name__ == "__main__":
    main()
