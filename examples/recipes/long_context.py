"""Order retrieved passages so that the best are at both ends of a long context.

Paper: Jin et al., "Long-Context LLMs Meet RAG: Overcoming Challenges for Long Inputs in RAG", ICLR 2025.
Options: Odd ranks ascending, then even ranks descending. The context has 10 passages: the labeled answer at a random
    rank, and mined distractors of two strengths; a budget of words drops distractors of the middle ranks.
Differs: No code is public, and we took the order from public notes on the paper. No language model reads the contexts,
    so that the paper's findings about answers are not measured. All correct answers are left out of the distractors.
Prints: The mean score of the distractors per position, and the words of the contexts with and without a budget.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine
from negmine.context import pack_context

SIZE, BUDGET = 10, 80


def main() -> None:
    """Pack a context per query from two strengths of distractors."""
    index = negmine.ExactIndex(demo.document_embeddings)
    pool = negmine.HardNegativeMiner(SIZE, range_max=100).candidates(index, demo.query_embeddings, demo.positives)
    words = np.array([len(text.split()) for text in demo.documents])
    for name, sampling in {"best": "top", "random of the 100 best": "random"}.items():
        distractors = np.sort(pool.select(SIZE, sampling=sampling).indices, axis=1)
        at, full, cut = np.zeros((len(distractors), SIZE)), [], []
        for query, rows in enumerate(distractors):
            score = demo.document_embeddings[rows] @ demo.query_embeddings[query]
            ranked = rows[np.argsort(-score, kind="stable")]
            gold = int(demo.labeled[query])
            packed = pack_context(gold, ranked, SIZE, seed=1, query=query)
            at[query] = demo.document_embeddings[packed.indices] @ demo.query_embeddings[query]
            at[query, packed.is_gold] = np.nan
            full.append(words[packed.indices].sum())
            short = pack_context(gold, ranked, SIZE, budget=BUDGET, lengths=words, seed=1, query=query)
            cut.append(words[short.indices].sum())
        print(f"{name}: mean score per position", " ".join(f"{score:.3f}" for score in np.nanmean(at, axis=0)))
        print(f"{name}: longest context {max(full)} words, with a budget {max(cut)}")


if __name__ == "__main__":
    main()
