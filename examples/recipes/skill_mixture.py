"""Draw negatives of a label from its siblings, from labels of similar spelling or embedding, and from all.

Paper: Decorte et al., "Design of Negative Sampling Strategies for Distantly Supervised Skill Extraction", 2022.
Options: Shares .4 for siblings in the taxonomy and .2 each for labels of similar embedding, of similar spelling and for
    all labels; 50 neighbors, 10 negatives per query.
Differs: The paper's shares and numbers are not public. Meanings of nouns stand for skills, and a definition stands for
    the sentences of a skill. Embeddings are those of a weaker model.
Prints: For each source, the share of the draws, the mean score of its negatives, and the share that are hidden answers.
"""

from __future__ import annotations

import numpy as np
from common import demo, share_of_answers, smaller

import negmine
from negmine.sampling import NegativeSampler, embedding_neighbors, siblings, string_neighbors

NAMES = ("siblings", "embedding", "spelling", "uniform")
SHARES = (0.4, 0.2, 0.2, 0.2)


def main() -> None:
    """Draw ten negatives per query, and compare their sources."""
    n = len(demo.documents)
    words = [name.split(".")[0].replace("_", " ") for name in demo.names]
    parents = negmine.Positives.from_pairs(*demo.hypernyms.T, n_queries=n)
    embeddings = smaller(demo.document_embeddings)
    of_labels = [
        siblings(parents),
        embedding_neighbors(negmine.ExactIndex(embeddings), 50),
        string_neighbors(words, 50),
    ]
    # The sources of a query are those of its labeled answer.
    sources = [[lists[label] for label in demo.labeled.tolist()] for lists in of_labels]
    labeled = negmine.Positives.from_lists(demo.labeled[:, None])
    sampler = NegativeSampler(labeled, n_documents=n, sources=[*sources, "uniform"], shares=SHARES, seed=0)
    drawn = sampler.sample(np.arange(len(demo.queries)), 10)
    row, place = np.nonzero(drawn.indices >= 0)
    items, source = drawn.indices[row, place], drawn.source[row, place]
    scores = np.einsum("pd,pd->p", smaller(demo.query_embeddings)[row], embeddings[items])
    for number, name in enumerate(NAMES):
        of = source == number
        wrong = share_of_answers(row[of], items[of])
        print(f"{name:<10} share {of.mean():.3f}, mean score {scores[of].mean():.3f}, false negatives {wrong:.4f}")


if __name__ == "__main__":
    main()
