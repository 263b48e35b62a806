"""Train a retriever against a ranker, and the ranker against the retriever.

Paper: Zhang et al., "Adversarial Retriever-Ranker for Dense Text Retrieval", ICLR 2022 (AR2).
Options: Rounds of mining with the current retriever. Then the ranker learns from the positive and 15 negatives, uniform
    among the 100 best, and the retriever from the frozen ranker: half by the reward log sigmoid(positive - document),
    half by the ranker's distribution.
Differs: The ranker is a linear map of 384 coordinates in place of a cross encoder, the retriever one of 64. Both terms
    are means over the batch; the released code sums one of them, so that the mix depends on the batch. Labeled answers
    are left out of the lists, in place of passages with the answer's text, and no list is repeated to fill a row.
Prints: Per round, the loss of the retriever, how the ranker scores the mined negatives against the positive, and nDCG
    of held-out words by both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from common import part, smaller
from query_map import QueryMap
from torch.nn.functional import logsigmoid

import negmine
from negmine.batches import epoch_permutation
from negmine.torch.losses import listwise

BATCH, ROUNDS, PASSES, WEIGHT = 32, 4, 4, 0.5


def main() -> None:
    """Train both in turns: per round, one pass for the ranker and three for the retriever."""
    wide = part(0), part(1)
    small = [replace(side, queries=smaller(side.queries), documents=smaller(side.documents)) for side in wide]
    queries, labeled, n = small[0].queries, small[0].labeled, len(small[0].queries)
    index = negmine.ExactIndex(small[0].documents)
    miner = negmine.HardNegativeMiner(15, range_max=100, sampling="random", seed=1)
    retriever, ranker, losses, above = QueryMap(64), QueryMap(), [], []
    for step in range(ROUNDS * PASSES):
        if step % PASSES == 0:
            mined = miner.mine(index, retriever(queries).detach(), labeled)
        columns = np.concatenate([labeled[:, None], mined.redraw(step).indices], axis=1)
        for rows in np.array_split(epoch_permutation(n, seed=1, epoch=step), n // BATCH):
            ranked = ranker.scores(wide[0].queries[rows], wide[0].documents[columns[rows]])
            if step % PASSES == 0:
                ranker.learn(listwise(ranked, np.zeros(len(rows), dtype=int)))
                continue
            found = retriever.scores(queries[rows], small[0].documents[columns[rows]])
            rewarded, distilled = listwise(found, -logsigmoid(ranked[:, :1] - ranked)), listwise(found, teacher=ranked)
            losses.append(retriever.learn(WEIGHT * rewarded + (1 - WEIGHT) * distilled))
            above.append((ranked[:, 1:] > ranked[:, :1]).float().mean())
        if step % PASSES == PASSES - 1:
            print(
                f"round {step // PASSES}: loss {np.mean(losses):.3f}, above the positive {np.mean(above):.3f}, "
                f"nDCG {retriever.ndcg(small[1]):.4f}, of the ranker {ranker.ndcg(wide[1]):.4f}"
            )
            losses, above = [], []


if __name__ == "__main__":
    main()
