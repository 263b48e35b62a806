"""Distil a teacher on batches of one topic, with pairs of all margins: TAS-Balanced.

The teacher is the demo set's own vectors, the student a quarter as wide. A batch draws its queries from one cluster; of
each query's pairs (a right and a wrong document) one is drawn so that easy and hard ones come up alike.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader

import negmine
import negmine.demo
from negmine.batches import sample_balanced_margins
from negmine.torch import TopicBatchSampler

BATCH, PAIRS, EPOCHS = 64, 20, 4


def main() -> None:
    """Train, and say how well the student's margins follow the teacher's."""
    torch.manual_seed(0)
    demo = negmine.demo.load()
    n = len(demo.queries)
    # Each query's pairs: its labeled document against the best twenty that are not right.
    negatives = negmine.mine(
        demo.query_embeddings, demo.document_embeddings, demo.positives, num_negatives=PAIRS
    ).indices
    right = np.einsum("qd,qd->q", demo.query_embeddings, demo.document_embeddings[demo.labeled])
    wrong = np.einsum("qd,qpd->qp", demo.query_embeddings, demo.document_embeddings[negatives])
    margins = (right[:, None] - wrong).astype(np.float64)

    topics = negmine.kmeans(demo.query_embeddings, n_clusters=12, seed=1)
    sampler = TopicBatchSampler(topics, batch_size=BATCH, seed=1)
    loader = DataLoader(torch.arange(n), batch_sampler=sampler)
    queries, documents = torch.from_numpy(demo.query_embeddings), torch.from_numpy(demo.document_embeddings)
    student = torch.nn.Linear(384, 96, bias=False)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        drawn = sample_balanced_margins(margins.ravel(), np.arange(n + 1) * PAIRS, seed=1, epoch=epoch)
        losses = []
        for rows in loader:
            wrong_rows = torch.from_numpy(negatives.ravel()[drawn[rows]])
            right_rows = torch.from_numpy(demo.labeled[rows])
            wanted = torch.from_numpy(margins.ravel()[drawn[rows]]).float()
            anchors = student(queries[rows])
            difference = student(documents[right_rows]) - student(documents[wrong_rows])
            loss = torch.nn.functional.mse_loss((anchors * difference).sum(dim=1), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: {len(losses)} batches of one topic, squared error of margins {np.mean(losses):.5f}")


if __name__ == "__main__":
    main()
