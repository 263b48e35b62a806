"""Corrupt the triples of a small knowledge graph by entities whose texts are near that of the entity that stays.

Paper: Islam et al., "LEMON: LanguagE ModeL for Negative Sampling of Knowledge Graph Embeddings", 2022.
Options: k-means of the entities' texts into 15 clusters; entities of the 3 clusters nearest to that of the entity that
    stays; 8 corrupted triples per triple, both sides. Also laws that others use: sides by the tails per head and heads
    per tail of the relation (Bernoulli), and entities that the relation has on that side (pseudo-typed).
Differs: The clusters are those nearest to the entity's own centroid, and hold neither the entity nor a known triple.
    Embeddings have all coordinates, where the release takes two principal components.
Prints: For each law, how many triples it made, the mean cosine of the new entity with the one that stays, the share of
    them that are true but hidden (a fifth of the triples), and the share that replaces the head.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine
from negmine.sampling import TripleCorruptor, cluster_neighbors, pseudo_typed


def main() -> None:
    """Hide a fifth of the triples, and corrupt the others."""
    # Relations: is a kind of, has the kind, has the same kind as.
    pairs = demo.hypernyms, demo.hypernyms[:, ::-1], demo.siblings
    triples = np.concatenate(
        [np.insert(ends, 1, relation, axis=1) for relation, ends in enumerate(pairs)], dtype=np.int64
    )
    hidden = np.random.default_rng(0).permutation(len(triples)) < len(triples) // 5
    known, answers = triples[~hidden], set(map(tuple, triples[hidden].tolist()))
    clusters = negmine.kmeans(demo.document_embeddings, n_clusters=15, seed=0)
    near = cluster_neighbors(clusters, hops=3)

    def report(name: str, **options: object) -> None:
        corruptor = TripleCorruptor(known, n_entities=len(demo.documents), seed=0, **options)
        found = corruptor.corrupt(np.arange(len(known)), 8).triples
        row, place = np.nonzero(found[..., 0] >= 0)
        made, own = found[row, place], known[row]
        head = made[:, 0] != own[:, 0]
        new, stays = np.where(head, made[:, 0], made[:, 2]), np.where(head, own[:, 2], own[:, 0])
        cosine = np.einsum("nd,nd->n", demo.document_embeddings[new], demo.document_embeddings[stays]).mean()
        wrong = np.mean([triple in answers for triple in map(tuple, made.tolist())])
        print(f"{name:<22} {len(made)} made, cosine {cosine:.3f}, true {wrong:.5f}, heads {head.mean():.2f}")

    report("uniform")
    report("Bernoulli", side="bernoulli")
    report("pseudo-typed", sources=pseudo_typed(known))
    report("LEMON", sources=near)
    report("LEMON, replaced entity", sources=near, anchor="replaced")


if __name__ == "__main__":
    main()
