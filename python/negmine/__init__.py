"""Exact, certified mining of hard negatives.

``negmine.mine(queries, corpus, positives)`` is the one call; ``ExactIndex``, ``HardNegativeMiner`` and
``CandidatePool`` are the same in steps.
"""

from __future__ import annotations

from negmine._native import build_info
from negmine.audit import Verification, verify
from negmine.batches import NoDuplicatePlan, epoch_permutation, no_duplicate_plan
from negmine.clusters import Clusters, balanced_clusters, kmeans
from negmine.errors import (
    CorpusChangedError,
    JobError,
    MemoryLimitError,
    MissingExtraError,
    NegmineError,
    NegmineTypeError,
    NegmineValueError,
    NegmineWarning,
)
from negmine.index import ExactIndex, TopK, score_pairs
from negmine.job import JobResult, mine_to
from negmine.miner import HardNegativeMiner, mine
from negmine.negatives import HardNegatives
from negmine.policies import Ambiguous, Softmax, Stride
from negmine.pool import CandidatePool
from negmine.positives import Eligibility, Positives
from negmine.report import Reason, Report, Source
from negmine.sweep import Sweep

__all__ = [
    "Ambiguous",
    "CandidatePool",
    "Clusters",
    "CorpusChangedError",
    "Eligibility",
    "ExactIndex",
    "HardNegativeMiner",
    "HardNegatives",
    "JobError",
    "JobResult",
    "MemoryLimitError",
    "MissingExtraError",
    "NegmineError",
    "NegmineTypeError",
    "NegmineValueError",
    "NegmineWarning",
    "NoDuplicatePlan",
    "Positives",
    "Reason",
    "Report",
    "Softmax",
    "Source",
    "Stride",
    "Sweep",
    "TopK",
    "Verification",
    "balanced_clusters",
    "build_info",
    "epoch_permutation",
    "kmeans",
    "mine",
    "mine_to",
    "no_duplicate_plan",
    "score_pairs",
    "verify",
]
