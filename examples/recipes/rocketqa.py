"""Use only the candidates that a teacher is sure about, as negatives and as pseudo-positives.

Paper: Qu et al., "RocketQA: An Optimized Training Approach to Dense Passage Retrieval for Open-Domain Question
    Answering", NAACL 2021.
Options: The 50 best candidates per query. Negatives have a probability of relevance of at most 0.1, four per query. A
    query without a label takes its best candidate of at least 0.9 as a pseudo-positive. The band between is unused.
Differs: The teacher is a larger embedding model with a sigmoid, because the demo set has no cross encoder. Nothing is
    trained. Bounds are inclusive. Rows with too few sure negatives stay short; the released code fills them with
    documents that the teacher did not score.
Prints: False negatives before and after the teacher, and how many pseudo-positives are correct answers.
"""

from __future__ import annotations

import numpy as np
from common import demo, describe, larger_score, share_of_answers, smaller

import negmine


def probability(query_indices: np.ndarray, document_indices: np.ndarray) -> np.ndarray:
    """Return the teacher's probability of relevance: 0.1 at a cosine of 0.34, 0.9 at 0.56."""
    return 1 / (1 + np.exp((0.45 - larger_score(query_indices, document_indices)) / 0.05))


def main() -> None:
    """Denoise the negatives of labeled queries, and label the other queries."""
    queries, index = smaller(demo.query_embeddings), negmine.ExactIndex(smaller(demo.document_embeddings))
    miner = negmine.HardNegativeMiner(4, range_max=50)
    n_labeled = len(queries) // 2

    pool = miner.candidates(index, queries[:n_labeled], demo.labeled[:n_labeled])
    guided = pool.rescore(probability, as_guide=True)
    describe("the retriever's best", pool.select(4))
    describe("at most 0.1", guided.restrict(by="guide", max_score=0.1).select(4))

    # The teacher's probabilities replace the scores of the retriever, and rank the pool.
    unlabeled = miner.candidates(index, queries[n_labeled:], [[]] * n_labeled, query_offset=n_labeled)
    ranked = unlabeled.rescore(probability)
    best = ranked.restrict(min_score=0.9, range_max=1)
    rows = np.flatnonzero(best.counts)
    correct = share_of_answers(best.query_indices[rows], best.indices[rows, 0])
    first = share_of_answers(unlabeled.query_indices, unlabeled.indices[:, 0])
    print(f"pseudo-positives: {len(rows)} queries, {correct:.3f} correct; of the retriever's first, {first:.3f}")
    sure = ranked.restrict(max_score=0.1).select(4)[rows]
    describe("theirs, by the teacher", sure)


if __name__ == "__main__":
    main()
