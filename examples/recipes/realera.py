"""Find false negatives in the neighborhood of a positive: the documents nearest to random vectors around it.

Paper: Liu et al., "RealEra: Semantic-level Concept Erasure via Neighbor-Concept Mining", 2024.
Options: 32 vectors around each labeled answer, at cosines of at least 0.9, 0.6 and 0.3 with it; the five nearest
    documents of each. A mined negative that is among them for 8 vectors is suspected.
Differs: RealEra perturbs the embedding of a concept that a diffusion model must forget, and erases the neighbors as
    well; here neighbors are documents, and they are suspected of being answers too. Its bounds are not public.
    Perturbations of a given size that are rejected unless their cosine fits are replaced by vectors that always fit.
    On 3,000 documents, the neighborhood is hardly more than the nearest neighbors, which are printed as well.
Prints: The share of hidden answers among all mined negatives, among the suspected ones, and among those that are
    nearest neighbors of the labeled answer, with the part of all hidden answers that each finds.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine
from negmine.synthesis import shell

NUM_POINTS, K, VOTES = 32, 5, 8


def main() -> None:
    """Mine negatives, and look for hidden answers among them."""
    embeddings, labeled = demo.document_embeddings, demo.labeled
    index = negmine.ExactIndex(embeddings)
    mined = negmine.HardNegativeMiner(10).mine(index, demo.query_embeddings, labeled)
    rows, places = np.nonzero(mined.source)
    queries, documents = mined.query_indices[rows], mined.indices[rows, places]
    pairs = zip(queries.tolist(), documents.tolist(), strict=True)
    hidden = np.array([document in demo.positives[query] for query, document in pairs])
    print(f"{len(hidden)} mined negatives, hidden answers {hidden.mean():.4f}")

    def report(name: str, neighbors: np.ndarray, votes: int) -> None:
        suspected = (neighbors[queries] == documents[:, None]).sum(axis=1) >= votes
        found, distinct = hidden[suspected], np.mean([len(set(row)) for row in neighbors.tolist()])
        print(
            f"{name:<24} {suspected.sum():>5} suspected, hidden answers {found.mean():.4f}, "
            f"{found.sum() / hidden.sum():.2f} of all; {distinct:.1f} neighbors"
        )

    anchors = embeddings[labeled]
    for low in (0.9, 0.6, 0.3):
        points = shell(anchors, low, 1.0, NUM_POINTS, seed=0).reshape(-1, embeddings.shape[1])
        exclude = [[row] for row in np.repeat(labeled, NUM_POINTS).tolist()]
        neighbors = index.search(points, K, exclude=exclude).indices
        report(f"shell from cosine {low}", neighbors.reshape(len(labeled), -1), VOTES)
    report("nearest neighbors", index.search(anchors, K, exclude=[[row] for row in labeled.tolist()]).indices, 1)


if __name__ == "__main__":
    main()
