"""Distill a teacher on batches of one topic with margin-balanced pairs: TAS-Balanced (Hofstätter et al., SIGIR 2021).

The teacher's scores are those of the embeddings of the demo set; the student's embeddings are a quarter as wide. The
queries of a batch come from one cluster. Per query, one pair of a positive and a negative document is drawn, so that
easy and hard pairs are drawn equally often.
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
    """Train, and print how well the margins of the student match those of the teacher."""
    torch.manual_seed(0)
    demo = negmine.demo.load()
    n = len(demo.queries)
    # The pairs of a query: its labeled document and each of the twenty hardest negatives.
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
            target = torch.from_numpy(margins.ravel()[drawn[rows]]).float()
            anchors = student(queries[rows])
            difference = student(documents[right_rows]) - student(documents[wrong_rows])
            loss = torch.nn.functional.mse_loss((anchors * difference).sum(dim=1), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: {len(losses)} batches of one topic, squared error of margins {np.mean(losses):.5f}")


if __name__ == "__main__":
    main()
