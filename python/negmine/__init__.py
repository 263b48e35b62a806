"""Exact, certified mining of hard negatives.

``negmine.mine(queries, corpus, positives)`` is the one call; ``ExactIndex``, ``HardNegativeMiner`` and
``CandidatePool`` are the same in steps. The rest lies in rooms, which are imported when they are first used:
``negmine.batches``, ``negmine.behavior``, ``negmine.clustering``, ``negmine.data``, ``negmine.demo``,
``negmine.errors``, ``negmine.io``, ``negmine.job``, ``negmine.mining``, ``negmine.search``, ``negmine.sketches``,
``negmine.store``, and ``negmine.torch``.
"""

from __future__ import annotations

from negmine._native import __version__, build_info
from negmine.clustering import Clusters, balanced_clusters, kmeans
from negmine.data import Eligibility, Positives
from negmine.errors import NegmineError
from negmine.job import mine_to
from negmine.mining import (
    CandidatePool,
    HardNegativeMiner,
    HardNegatives,
    Report,
    SimANS,
    Softmax,
    Stride,
    mine,
)
from negmine.search import ExactIndex, TopK, score_pairs, verify
from negmine.sketches import MinHash, SimHash, near_duplicates

__all__ = [
    "CandidatePool",
    "Clusters",
    "Eligibility",
    "ExactIndex",
    "HardNegativeMiner",
    "HardNegatives",
    "MinHash",
    "NegmineError",
    "Positives",
    "Report",
    "SimANS",
    "SimHash",
    "Softmax",
    "Stride",
    "TopK",
    "__version__",
    "balanced_clusters",
    "build_info",
    "kmeans",
    "mine",
    "mine_to",
    "near_duplicates",
    "score_pairs",
    "verify",
]
