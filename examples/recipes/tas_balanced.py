"""Distill teachers on batches of one topic, with pairs that are balanced over the teacher's margins.

Paper: Hofstätter et al., "Efficiently Teaching an Effective Dense Retriever with Balanced Topic Aware Sampling",
    SIGIR 2021.
Options: Batches of 32 queries of one cluster; one pair per query, uniform over ten margin bins; the squared error of
    the margins of the pairs, plus 0.75 times that of all other pairs in the batch.
Differs: One teacher of 384 dimensions in place of a cross encoder and ColBERT. The student keeps 64 coordinates and
    learns a linear map of the queries. 12 clusters for 566 queries; a batch draws distinct clusters. Pairs are the
    20 best negatives of the student; queries with equal margins are kept, on which the released code raises an error.
Prints: How much harder the negatives of a topic batch are than those of a random batch, and both errors per epoch.
"""

from __future__ import annotations

import numpy as np
from common import part, smaller
from query_map import QueryMap

import negmine
from negmine.batches import sample_balanced_margins, topic_plan
from negmine.torch.losses import pairwise

BATCH, PAIRS, EPOCHS = 32, 20, 6


def main() -> None:
    """Train the student on topic batches."""
    train = part(0)
    queries, documents = smaller(train.queries), smaller(train.documents)
    negatives = negmine.mine(queries, documents, train.labeled, num_negatives=PAIRS).indices
    teacher = train.queries @ train.documents.T
    own = np.arange(len(queries))
    margins = teacher[own, train.labeled][:, None] - np.take_along_axis(teacher, negatives, axis=1)

    topics = negmine.kmeans(queries, n_clusters=12, seed=1)
    plan = topic_plan(topics, batch_size=BATCH, seed=1)
    random = topic_plan(np.zeros_like(topics.labels), batch_size=BATCH, seed=1)
    for name, one in {"topic": plan, "random": random}.items():
        scores = [teacher[np.ix_(rows, train.labeled[rows])][~np.eye(BATCH, dtype=bool)] for rows in one.epoch(0)]
        print(f"in-batch negatives of {name} batches: mean score {np.mean(scores):.3f}")

    model = QueryMap(64)
    for epoch in range(EPOCHS):
        drawn = sample_balanced_margins(margins.ravel(), np.arange(len(own) + 1) * PAIRS, seed=1, epoch=epoch)
        errors = []
        for rows in plan.epoch(epoch):
            columns = np.concatenate([train.labeled[rows], negatives.ravel()[drawn[rows]]])
            scores = model.scores(queries[rows], documents[columns], temperature=1)
            right, target = scores.diagonal(), teacher[np.ix_(rows, columns)]
            target = target.diagonal()[:, None] - target
            pair = pairwise(right, scores.diagonal(BATCH), form="margin_mse", teacher=target.diagonal(BATCH))
            is_pair = np.tile(np.eye(BATCH, dtype=bool), 2)
            others = pairwise(right, scores, form="margin_mse", teacher=target, mask=is_pair)
            model.learn(pair + 0.75 * others)
            errors.append((pair.item(), others.item()))
        print("epoch {}: error of the pairs {:.4f}, of the others {:.4f}".format(epoch, *np.mean(errors, axis=0)))


if __name__ == "__main__":
    main()
