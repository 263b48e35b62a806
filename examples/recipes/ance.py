"""Mine a fifth of the queries again in every round, in the background, while training goes on with older negatives.

Paper: Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval", ICLR 2021.
Options: 20 negatives per query, uniform among the 200 best of the current model without the labeled answer. Each is a
    pair with the positive, whose loss is softplus(negative - positive). A round mines a fifth of the queries in turn.
Differs: A thread mines in place of a second machine. A round is a pass over all queries, with the negatives that were
    published before it, so that runs are alike. A linear map of the queries is trained on frozen documents; cosines are
    divided by 0.05.
Prints: Per round, the share of the mined negatives that are new, how far the mined queries turned, how many steps ago
    the negatives of all queries were mined, and nDCG of held-out words; at the end, the scores under the last model of
    its own candidates and of the first ones.
"""

from __future__ import annotations

import tempfile

import numpy as np
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.torch import BackgroundRefresh, NegativesTable
from negmine.torch.losses import pairwise

BATCH, ROUNDS, CHUNKS = 64, 10, 5


def main() -> None:
    """Train, and follow the negatives."""
    train, test = part(0), part(1)
    index, miner = negmine.ExactIndex(train.documents), negmine.HardNegativeMiner(20, range_max=200, sampling="random")
    model, step, data = QueryMap(), 0, (train.queries, train.documents, train.labeled)
    embeddings = model(train.queries).detach().numpy()
    first = miner.mine(index, embeddings, train.labeled)
    with tempfile.TemporaryDirectory() as folder:
        table = NegativesTable.create(folder, first, step=step)
        for number in range(ROUNDS):
            negatives, turned = table.current(), {"previous_embeddings": embeddings, "encode_documents": np.asarray}
            mining = BackgroundRefresh(table, miner, model, *data, chunk=(number, CHUNKS), step=step, **turned)
            order = epoch_permutation(len(train.queries), seed=1, epoch=number)
            for rows in np.array_split(order, len(order) // BATCH):
                columns = np.concatenate([train.labeled[rows, None], negatives.indices[rows]], axis=1)
                scores = model.scores(train.queries[rows], train.documents[columns])
                model.learn(pairwise(scores[:, 0], scores[:, 1:]))
                step += 1
            fresh, age = mining.result(), step - table.current().mined_at_step
            embeddings[fresh.result_rows] = fresh.query_embeddings
            print(f"round {number}: {fresh.replaced_fraction:.3f} new, turned {np.median(fresh.turn):.4f}, ", end="")
            print(f"mined {age.mean():.1f} steps ago, nDCG {model.ndcg(test):.4f}")
    # What mining again finds: the best candidates of the last model are harder for it than those of the first round.
    again = miner.candidates(index, model(train.queries).detach(), train.labeled)
    old = model.scores(train.queries, train.documents[first.pool.indices], temperature=1).mean()
    print(f"candidates under the last model: mined again {again.scores.mean():.4f}, of the first round {old:.4f}")


if __name__ == "__main__":
    main()
