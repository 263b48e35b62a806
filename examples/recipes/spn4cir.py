"""Train the query side against a bank of all documents, in place of the documents of a batch.

Paper: Feng et al., "Improving Composed Image Retrieval via Contrastive Learning with Scaling Positives and Negatives",
    ACM MM 2024 (SPN4CIR), the second stage.
Options: In-batch negatives first. Then every document is encoded once, and the loss is cross entropy over the batch and
    some uniform rows of the bank, or all of them. Nothing is masked, so the reference is a negative of its own query.
Differs: Definitions in place of images: the reference is the nearest other definition of the answer, and the word takes
    the place of the caption. One linear map of both, in place of a text encoder whose output is added to the reference.
    The first stage also goes on with the batch alone, so that all models train equally long. Temperature .05.
Prints: nDCG of held-out words after the first stage, and after the second by the number of negatives; from one seed.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch
from common import Part, part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.torch.losses import bank

BATCH, EPOCHS = 64, 3


def composed(data: Part) -> Part:
    """Put the reference of every query after its word."""
    answers = data.documents[data.labeled]
    found = negmine.ExactIndex(data.documents).search(answers, 1, exclude=data.labeled[:, None]).indices[:, 0]
    return dataclasses.replace(data, queries=np.concatenate([data.queries, data.documents[found]], axis=1))


def train(model: QueryMap, data: Part, num_extra: int, first_epoch: int) -> None:
    """Train with the answers of the batch and some uniform other rows of the bank."""
    documents = torch.nn.functional.normalize(torch.from_numpy(data.documents))
    for epoch in range(first_epoch, first_epoch + EPOCHS):
        order = epoch_permutation(len(data.queries), seed=1, epoch=epoch)
        for step, rows in enumerate(np.array_split(order, len(order) // BATCH)):
            uniform = epoch_permutation(len(documents), seed=2 + step, epoch=epoch)[:num_extra]
            columns = np.union1d(data.labeled[rows], uniform)
            target = np.searchsorted(columns, data.labeled[rows])
            model.learn(bank(model(data.queries[rows]), documents[columns], target, temperature=0.05))


def main() -> None:
    """Train the first stage, and go on with three numbers of negatives."""
    data, test, first = composed(part(0)), composed(part(1)), QueryMap(n_inputs=2)
    train(first, data, 0, first_epoch=0)
    print(f"after the first stage: nDCG {first.ndcg(test):.4f}")
    for num_extra in (0, 256, len(data.documents)):
        train(model := copy.deepcopy(first), data, num_extra, first_epoch=EPOCHS)
        print(f"batch and {num_extra} more: nDCG {model.ndcg(test):.4f}")


if __name__ == "__main__":
    main()
