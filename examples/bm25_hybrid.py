"""Mine negatives from BM25, from embeddings, and from both.

Queries are definitions of the demo set; their answers are sibling meanings, of which one is labeled and the others are
hidden. BM25 finds definitions that share words, embeddings find those that share meaning, and fusion takes what both
rank high. Hidden siblings among the negatives are false negatives.
"""

from __future__ import annotations

import numpy as np

import negmine.demo
from negmine import io

NUM_NEGATIVES = 5


def main() -> None:
    """Mine from three sources, and print how hard and how wrong their negatives are."""
    demo = negmine.demo.load()
    siblings: dict[int, set[int]] = {}
    for a, b in demo.siblings.tolist():
        siblings.setdefault(a, set()).add(b)
        siblings.setdefault(b, set()).add(a)
    rows = np.array(sorted(row for row, own in siblings.items() if len(own) > 1))
    labeled = [[min(siblings[row])] for row in rows.tolist()]
    hidden = [siblings[row] - set(known) for row, known in zip(rows.tolist(), labeled, strict=True)]

    documents = io.Texts.from_lists(demo.documents, ids=demo.names)
    queries = documents.take(rows)
    run = io.bm25_run(queries, documents, depth=100)
    lists = negmine.ScoredLists.from_run(run, query_ids=queries.ids, document_ids=documents.ids)
    index = negmine.ExactIndex(demo.document_embeddings, ids=documents.ids)
    miner = negmine.HardNegativeMiner(NUM_NEGATIVES, range_max=100)
    itself = [[row] for row in rows.tolist()]
    pools = {
        "BM25": miner.candidates(lists, None, labeled, exclude=itself),
        "embeddings": miner.candidates(index, demo.document_embeddings[rows], labeled, exclude=itself),
    }
    pools["both"] = negmine.fuse(pools.values(), method="rrf")

    chosen = {}
    for name, pool in pools.items():
        negatives = pool.select(NUM_NEGATIVES)
        query, place = np.nonzero(negatives.source)
        pairs = np.stack([query, negatives.indices[query, place]], axis=1)
        wrong = np.mean([document in hidden[i] for i, document in pairs.tolist()])
        cosine = negmine.score_pairs(demo.document_embeddings[rows], demo.document_embeddings, pairs)
        chosen[name] = set(map(tuple, pairs.tolist()))
        print(f"{name:<10} {len(pairs):>6} negatives, cosine {cosine.mean():.3f}, false negatives {wrong:.3f}")
    shared = len(chosen["BM25"] & chosen["embeddings"]) / len(chosen["embeddings"])
    print(f"{shared:.3f} of the negatives by embeddings are also negatives by BM25")


if __name__ == "__main__":
    main()
