"""Choose the documents for which queries are generated: all clusters, typical members, few repetitions.

Paper: Chandradevan et al., "DUQGen: Effective Unsupervised Domain Adaptation of Neural Rankers by Diversifying
    Synthetic Query Generation", NAACL 2024.
Options: One document per cluster, the others in proportion to the clusters; five softmax draws by the cosine with the
    centroid; maximal marginal relevance among those drawn. Negatives are ranks 93 to 96.
Differs: 100 clusters and 150 documents, of 3,000. Quotas are largest remainders, capped by the clusters; draws are
    independent between clusters. Relevance is the cosine with the centroid, not with the document nearest to it. Its
    weight is 0.5, to show diversity; the released default of 1 has none. No language model writes queries: a
    document's own embedding stands for its query, and the document is left out by its row.
Prints: Clusters covered and mean cosine of the nearest other chosen document, against a uniform sample.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine
from negmine.selection import select

N_CLUSTERS, N_DOCUMENTS = 100, 150


def main() -> None:
    """Choose documents, compare them with a uniform sample, and mine their negatives."""
    embeddings = demo.document_embeddings
    index = negmine.ExactIndex(embeddings)
    clusters = negmine.kmeans(embeddings, n_clusters=N_CLUSTERS, seed=0)
    labels = clusters.labels
    closeness = np.einsum("nd,nd->n", embeddings, clusters.centroids[labels], dtype=np.float64)
    options = {"groups": labels, "minimum": 1}
    drawn = [select(N_DOCUMENTS, scores=closeness, within="softmax", seed=seed, **options) for seed in range(5)]
    pool = np.unique(np.concatenate([one.indices for one in drawn]))
    among = np.full(len(embeddings), -np.inf)
    among[pool] = closeness[pool]
    chosen = select(N_DOCUMENTS, scores=among, diversity=0.5, embeddings=embeddings, **options).indices
    samples = {"DUQGen": chosen, "uniform": select(N_DOCUMENTS, groups=np.zeros_like(labels), within="random").indices}
    for name, rows in samples.items():
        nearest = negmine.ExactIndex(embeddings[rows]).search(embeddings[rows], 2).scores[:, 1].mean()
        covered = len(np.unique(labels[rows]))
        print(f"{name}: {len(rows)} documents, {covered} of {N_CLUSTERS} clusters, nearest other {nearest:.3f}")
    bottom = negmine.HardNegativeMiner(4, range_min=92, range_max=100).mine(index, embeddings[chosen], chosen)
    print(f"negatives: {bottom.counts.sum()}, mean score {bottom.scores.mean():.3f}")


if __name__ == "__main__":
    main()
