"""Mask the negatives of a batch that a guide model prefers to the labeled positive.

Paper: Solatorio, "GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding Fine-tuning", 2024.
Options: InfoNCE over the positives and one mined negative of every row, and over the other queries of the batch. What
    the guide scores above the row's positive is masked, with a margin of 0 as in the released code.
Differs: The guide has 384 coordinates, and the student 64 and a linear map of the queries, on frozen documents, so
    that documents are not compared with each other. The temperature is 0.05. A query is masked against itself.
Prints: The share of hidden answers among the masked and among the other negatives, and how the loss changes.
"""

from __future__ import annotations

import numpy as np
import torch
from common import part, smaller
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation, guided_mask
from negmine.torch.losses import listwise

BATCH, EPOCHS = 64, 6


def main() -> None:
    """Train the student under the mask of the guide."""
    train = part(0)
    queries, documents = smaller(train.queries), smaller(train.documents)
    mined = negmine.mine(queries, documents, train.labeled, num_negatives=1).indices[:, 0]
    model, answers = QueryMap(64), {True: [], False: []}
    for epoch in range(EPOCHS):
        losses = []
        for rows in np.array_split(epoch_permutation(len(queries), seed=1, epoch=epoch), len(queries) // BATCH):
            columns = np.concatenate([train.labeled[rows], mined[rows]])
            guides = train.queries[rows], train.documents[columns]
            masked = [guided_mask(*guides), guided_mask(*guides, block="query-query")]
            others = model(queries[rows])
            scores = torch.cat([model.scores(queries[rows], documents[columns]), others @ others.T / 0.05], dim=1)
            loss = listwise(scores, np.arange(len(rows)), mask=np.concatenate(masked, axis=1))
            losses.append(model.learn(loss))
            is_answer = np.array([np.isin(columns, train.answers[row]) for row in rows])
            for is_masked, found in answers.items():
                found.append(is_answer[(masked[0] == is_masked) & (columns != train.labeled[rows][:, None])])
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}")
    for is_masked, found in answers.items():
        shares = np.concatenate(found)
        print(f"{'masked' if is_masked else 'others'}: {len(shares)} pairs, hidden answers {shares.mean():.5f}")


if __name__ == "__main__":
    main()
