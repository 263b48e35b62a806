"""Draw a negative of the wrong modality or of the wrong content, with equal chance.

Paper: Lin et al., "MM-Embed: Universal Multimodal Retrieval with Multimodal LLMs", ICLR 2025.
Options: One negative per query from the 50 best candidates: with equal chance one of the wrong modality that ranks
    above the positive, or one of the right modality from the end of the list.
Differs: No mining code is public. The depth of 50 and the end from rank 45 on are those of a public reimplementation;
    we did not verify them. The modalities are made up: half of the documents are "images", and an extra coordinate
    moves texts closer to all queries. A query with only one kind of candidates takes that kind. Nothing is trained.
Prints: How many first results have the wrong modality, and the shares of both kinds among the negatives.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine


def main() -> None:
    """Make up modalities, mine, and draw for three epochs."""
    is_image = np.random.default_rng(0).random(len(demo.documents)) < 0.5
    wanted = is_image[demo.labeled]
    gap = np.where(is_image, 0.0, 0.4).astype(np.float32)[:, None]
    documents = np.concatenate([demo.document_embeddings, gap], axis=1)
    queries = np.concatenate([demo.query_embeddings, np.full((len(wanted), 1), 0.4, np.float32)], axis=1)

    miner = negmine.HardNegativeMiner(1, range_max=50)
    pool = miner.candidates(negmine.ExactIndex(documents), queries, demo.labeled)
    first = is_image[pool.indices[:, 0]] != wanted
    images, texts = first[wanted].mean(), first[~wanted].mean()
    print(f"first results of the wrong modality: {images:.3f} for images, {texts:.3f} for texts")

    # The guide is 1 for the right modality and 0 for the wrong one.
    guided = pool.rescore(lambda query, document: (is_image[document] == wanted[query]).astype(float), as_guide=True)
    wrong_modality = guided.restrict(absolute_floor=0.0).restrict(by="guide", max_score=0.0)
    wrong_content = guided.restrict(range_min=45).restrict(by="guide", min_score=1.0)
    both = (wrong_modality.counts > 0) & (wrong_content.counts > 0)
    merged = negmine.fuse([wrong_modality, wrong_content], method="max")
    policy = negmine.Quota((0.5, 0.5), by="source", rounding="draw")
    for epoch in range(3):
        negatives = merged.select(1, sampling=policy, epoch=epoch)
        is_wrong = is_image[negatives.indices[:, 0]] != wanted
        print(
            f"epoch {epoch}: {negatives.counts.sum()} negatives, wrong modality {is_wrong[both].mean():.3f} "
            f"of the {both.sum()} queries with both kinds"
        )


if __name__ == "__main__":
    main()
