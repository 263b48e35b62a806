"""Mine with a teacher, and leave out what the teacher scores almost as high as the positive.

Paper: Moreira et al., "NV-Retriever: Improving text embedding models with effective hard-negative mining", 2024.
Options: Four negatives per query, by rank. The rules are a fixed cap (`max_score`), a distance to the positive
    (`absolute_margin`) and a share of its score (`relative_margin`), compared with a shifted window (`range_min`).
Differs: The teacher is the 384-dimensional model of the demo set, and nothing is trained. The margin of 0.05 is the
    one that the documentation of sentence-transformers recommends; the other values are ours. Equal scores are kept.
    The share is taken of the score's magnitude, so that it has a meaning for scores below 0.
Prints: Hardness and false negatives of every rule, the queries that the last margin leaves short of negatives, and the
    positives that rank below 100 candidates, whose labels may be wrong. Here, a window has fewer false negatives than
    a margin of the same hardness, which does not say which of them trains better.
"""

from __future__ import annotations

from common import demo, describe

import negmine

RULES = {
    "no rule": {},
    "range_min=10": {"range_min": 10},
    "max_score=0.5": {"max_score": 0.5},
    "absolute_margin=0.05": {"absolute_margin": 0.05},
    "relative_margin=0.05": {"relative_margin": 0.05},
}


def main() -> None:
    """Apply every rule to the same queries."""
    index = negmine.ExactIndex(demo.document_embeddings)
    for name, options in RULES.items():
        miner = negmine.HardNegativeMiner(4, range_max=100, **options)
        negatives = miner.mine(index, demo.query_embeddings, demo.labeled)
        describe(name, negatives)
    short, low = (negatives.counts < 4).sum(), len(negatives.label_issues().low_positives)
    print(f"{short} queries have fewer than four negatives; {low} positives rank so low that they may be wrong")


if __name__ == "__main__":
    main()
