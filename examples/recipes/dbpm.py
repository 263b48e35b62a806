"""Find pairs of a query and a wrong answer by their losses over epochs, and lower their weights.

Paper: Lan et al., "Towards Enhancing Time Series Contrastive Learning: A Dynamic Bad Pair Mining Approach", ICLR 2024.
Options: Mean losses of a pair over the epochs before; pairs at least 1.5 standard deviations above the mean are faulty,
    and have weight exp(-(loss - mean)^2 / (2 sd^2)). Weights begin after two of five epochs.
Differs: Words and definitions in place of views of time series, so pairs are faulty because their answer is wrong, and
    none is noisy. The exponential in place of the density, which can exceed 1; all epochs count the same.
Prints: By epoch, the number of pairs that are found, the share of them that are planted, and the share of the planted
    ones that are found; then nDCG@10 without and with weights, and without the planted pairs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from common import part
from query_map import QueryMap

from negmine.batches import epoch_permutation
from negmine.torch.losses import listwise
from negmine.weights import ExampleMemory

BATCH, EPOCHS, WARM_UP, FAULTY = 32, 5, 2, 1.5


def main() -> None:
    """Give every fifth query the answer of another, and train in three ways."""
    train, test = part(0), part(1)
    n = len(train.queries)
    planted = np.arange(n) % 5 == 0
    labeled = train.labeled.copy()
    labeled[planted] = np.roll(labeled[planted], 1)
    train = replace(train, labeled=labeled)
    for kind in ("all pairs", "weights", "planted left out"):
        torch.manual_seed(0)
        model, memory = QueryMap(), ExampleMemory(n)
        for epoch in range(EPOCHS):
            if kind == "weights" and epoch >= WARM_UP:
                found = memory.bad_pairs(epoch=epoch, faulty=FAULTY).faulty
                precision, recall = planted[found].mean(), found[planted].mean()
                print(f"epoch {epoch}: {found.sum()} pairs, planted {precision:.3f}, of all planted {recall:.3f}")
            order = epoch_permutation(n, seed=0, epoch=epoch)
            for rows in np.array_split(order, n // BATCH):
                scores = model.scores(train.queries[rows], train.documents[train.labeled[rows]])
                losses = listwise(scores, np.arange(len(rows)), reduction="none")
                current = losses.detach().numpy().astype(np.float64)
                memory.update(rows, current, epoch=epoch)
                weights = np.ones(len(rows)) if kind != "planted left out" else 1.0 - planted[rows]
                if kind == "weights" and epoch >= WARM_UP:
                    weights = memory.weights(rows, current, epoch=epoch, faulty=FAULTY, noisy=9.0)
                model.learn((torch.from_numpy(weights).float() * losses).mean())
        print(f"{kind:<17} nDCG {model.ndcg(test):.4f}")


if __name__ == "__main__":
    main()
