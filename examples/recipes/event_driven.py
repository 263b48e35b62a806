"""Train on coarse labels, have an annotator judge what that model mines, and train on fewer fine labels.

Paper: Yang et al., "Event-Driven Real-Time Retrieval in Web Search", 2023.
Options: Two stages and hard negatives, as the abstract says; InfoNCE at a scale of 20, as in the company's next paper.
Differs: No code is public; how labels and negatives are made is ours. The hinge of the next paper is left out. Coarse
    labels are what the starting model ranks first; a made-up annotator judges 2,000 pairs of half of the words.
Prints: False negatives before and after the judgments, and nDCG of held-out words after each stage and after both.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from common import part
from query_map import QueryMap

import negmine
from negmine.batches import epoch_permutation
from negmine.mining import Verdicts
from negmine.torch.losses import listwise


def main() -> None:
    """Train in both stages, and in each alone."""
    train, test = part(0), part(1)
    words, ids = np.arange(len(train.queries)), np.arange(len(train.documents))
    index, miner = negmine.ExactIndex(train.documents, ids=ids), negmine.HardNegativeMiner(1, range_min=3, range_max=13)

    def learn(model: QueryMap, words: np.ndarray, columns: np.ndarray) -> QueryMap:
        for order in (epoch_permutation(len(words), seed=1, epoch=epoch) for epoch in range(6)):
            for rows in np.array_split(order, len(words) // 32):
                scores = model.scores(train.queries[words[rows]], train.documents[columns[rows].T.ravel()])
                model.learn(listwise(scores, np.arange(len(rows))))
        return model

    coarse = learn(QueryMap(), words, index.search(train.queries, 1).indices)
    fine, labeled, queries = words[::2], train.labeled[::2], coarse(train.queries[::2]).detach()
    pool = miner.candidates(index, queries, labeled, query_ids=fine)
    with tempfile.TemporaryDirectory() as folder:
        verdicts, file, lines = Verdicts(Path(folder) / "journal"), Path(folder) / "pairs.jsonl", []
        verdicts.export(pool, 2000, file)
        for pair in map(json.loads, file.read_text().splitlines()):
            word = "positive" if pair["document_id"] in train.answers[pair["query_id"]] else "keep"
            lines.append(json.dumps(pair | {"judge": "made up", "verdict": word}))
        file.write_text("\n".join(lines))
        verdicts.read(file)
        judged = verdicts.apply(labeled, query_ids=fine, document_ids=ids)
    for name, mined in {"before": pool.select(1), "after": miner.mine(index, queries, judged.positives)}.items():
        wrong = [mined.indices[i, 0] in train.answers[word] for i, word in enumerate(fine)]
        print(f"false negatives {name} the judgments: {np.mean(wrong):.4f}")
    columns = np.stack([labeled, mined.indices[:, 0]], axis=1)
    print(f"nDCG after coarse labels {coarse.ndcg(test):.4f}, after fine ones", end=" ")
    print(*(f"{learn(model, fine, columns).ndcg(test):.4f}" for model in (QueryMap(), coarse)), sep=", after both ")


if __name__ == "__main__":
    main()
