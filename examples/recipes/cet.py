"""Weight negatives by how likely they were judged, where only documents of a pool were.

Paper: Cai et al., "Hard Negatives or False Negatives: Correcting Pooling Bias in Training Neural Ranking Models",
    CIKM 2022 (CET).
Options: Two models, relevance and selection, each trained on pairs by softplus(negative - positive). A negative weighs
    1 + exp(score / 10) in the loss of one model, with the score of the other: the 10 is that of the released script.
Differs: The pool is made up: the 20 best of a 64-dimensional model, which alone have labels. Selection sees only that
    model's coordinates; in the released code, both models have one form and the same data. They are linear maps of
    queries in place of cross encoders; cosines are divided by 0.05, and weights are at most 10. Ten epochs.
Prints: The labeled and the hidden answers; the mean weight of true and of false negatives in the loss of relevance;
    the share of false negatives by number and by weight.
"""

from __future__ import annotations

import numpy as np
from common import part, smaller
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.torch.losses import pairwise
from negmine.weights import ipw, selection_propensity

BATCH, EPOCHS, SCALE = 32, 10, 10.0


def main() -> None:
    """Train both models, and look at the weights."""
    train = part(0)
    queries, documents = smaller(train.queries), smaller(train.documents)
    pool = negmine.ExactIndex(documents).search(queries, 20).indices
    labels = [np.intersect1d(*rows) for rows in zip(train.answers, pool, strict=True)]
    words = np.flatnonzero([len(rows) > 0 for rows in labels])
    n_labeled, n_answers = (sum(len(rows[word]) for word in words) for rows in (labels, train.answers))
    print(f"{len(words)} words: {n_labeled} answers labeled, {n_answers - n_labeled} hidden")
    positive = np.array([labels[word][0] for word in words])
    miner = negmine.HardNegativeMiner(1, range_max=20, sampling="random", seed=1)
    mined = miner.mine(negmine.ExactIndex(train.documents), train.queries[words], [labels[word] for word in words])

    relevance, selection = QueryMap(), QueryMap(64)
    data = {relevance: (train.queries, train.documents), selection: (queries, documents)}
    weights, is_false = {relevance: [], selection: []}, []
    for epoch in range(EPOCHS):
        negative = mined.redraw(epoch).indices[:, 0]
        for rows in np.array_split(epoch_permutation(len(words), seed=1, epoch=epoch), len(words) // BATCH):
            both = np.stack([positive[rows], negative[rows]], axis=1)
            scores = {model: model.scores(q[words[rows]], d[both]) for model, (q, d) in data.items()}
            for model, other in ((relevance, selection), (selection, relevance)):
                weight = ipw(selection_propensity(scores[other][:, 1].detach().numpy(), SCALE), clip=0.1)
                model.learn(pairwise(scores[model][:, 0], scores[model][:, 1], weights=weight))
                weights[model].append(weight)
            is_false += [negative[row] in train.answers[words[row]] for row in rows]
    weight, wrong = np.concatenate(weights[relevance]), np.array(is_false)
    print(f"mean weight of true negatives {weight[~wrong].mean():.3f}, of false ones {weight[wrong].mean():.3f}")
    print(f"false negatives: {wrong.mean():.4f} by number, {weight[wrong].sum() / weight.sum():.4f} by weight")


if __name__ == "__main__":
    main()
