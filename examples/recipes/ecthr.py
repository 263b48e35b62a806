"""Compare kinds of negatives when a query can only refer to what existed before it.

Paper: Santosh et al., "ECtHR-PCR: A Dataset for Precedent Understanding and Prior Case Retrieval in the European Court
    of Human Rights", LREC-COLING 2024.
Options: A document is a candidate if its date is before that of the query. Seven negatives per query, of three kinds:
    the best candidates, random ones of the 100 best, and random ones of all candidates.
Differs: The dates are made up, because the demo set has none: documents get random days, and a query comes after its
    labeled answer. The kinds are ours. The paper reports that negatives chosen by difficulty were not effective;
    nothing is trained here, so that this is not measured.
Prints: Negatives from after the query, with and without the rule, and the mean score of every kind.
"""

from __future__ import annotations

import numpy as np
from common import demo

import negmine

N_DAYS = 1000


def main() -> None:
    """Make up dates, and mine with and without them."""
    rng = np.random.default_rng(0)
    dates = rng.integers(0, N_DAYS, len(demo.documents))
    query_dates = dates[demo.labeled] + rng.integers(1, N_DAYS, len(demo.queries))
    earlier = negmine.Eligibility(dates, lowest=np.zeros_like(query_dates), highest=query_dates - 1)

    index = negmine.ExactIndex(demo.document_embeddings)
    miner = negmine.HardNegativeMiner(7, range_max=100)
    pools = {
        "any date": miner.candidates(index, demo.query_embeddings, demo.positives),
        "earlier": miner.candidates(index, demo.query_embeddings, demo.positives, eligible=earlier),
    }
    kinds = {
        "best": {"num_negatives": 7},
        "of the 100 best": {"num_negatives": 7, "sampling": "random"},
        "of all": {"num_negatives": 0, "num_random": 7},
    }
    for dated, pool in pools.items():
        for kind, options in kinds.items():
            negatives = pool.select(**options)
            row, place = np.nonzero(negatives.source)
            later = np.mean(dates[negatives.indices[row, place]] >= query_dates[row])
            score = negatives.scores[row, place].mean()
            short = (negatives.counts < 7).sum()
            print(f"{dated}, {kind}: mean score {score:.3f}, from after the query {later:.3f}, {short} queries short")


if __name__ == "__main__":
    main()
