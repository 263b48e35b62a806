"""Drop the candidates that a guide model prefers to the labeled positive, before training.

Paper: Solatorio, "GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding Fine-tuning", 2024.
Options: The threshold of a query is the guide's score of its labeled positive, with a margin of 0 and of 0.05.
Differs: The paper masks negatives of a batch (see `gistembed_in_batch.py`); here the same rule filters mined
    candidates, so that the guide runs once. Guide and student are 384 and 64 coordinates of one model. A candidate
    that scores exactly the threshold is kept, as in the released code. Nothing is trained.
Prints: Hardness for the student and false negatives, without the guide and under two margins of the guide, and under
    the margin of the student itself.
"""

from __future__ import annotations

from common import demo, describe, larger_score, smaller

import negmine


def main() -> None:
    """Filter the pool of the student by the guide."""
    index = negmine.ExactIndex(smaller(demo.document_embeddings))
    miner = negmine.HardNegativeMiner(5, range_max=100)
    pool = miner.candidates(index, smaller(demo.query_embeddings), demo.labeled)
    guided = pool.rescore(larger_score, as_guide=True)
    describe("without the guide", pool.select(5))
    describe("guide, margin 0", guided.restrict(by="guide", absolute_margin=0.0).select(5))
    describe("guide, margin 0.05", guided.restrict(by="guide", absolute_margin=0.05).select(5))
    describe("student, margin 0", pool.restrict(absolute_margin=0.0).select(5))


if __name__ == "__main__":
    main()
