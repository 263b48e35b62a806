"""Exact, certified mining of hard negatives.

``negmine.mine(queries, corpus, positives)`` is the one call; ``ExactIndex``, ``HardNegativeMiner`` and
``CandidatePool`` are the same in steps.
"""

from __future__ import annotations

from negmine._native import __version__, build_info
from negmine.audit import Verification, verify
from negmine.batches import (
    BatchPlan,
    ClassBalancedPlan,
    ClusterGuarantee,
    ClusterPlan,
    MixturePlan,
    NgameSchedule,
    NoDuplicatePlan,
    TopicPlan,
    balanced_pairs,
    batch_plan,
    class_balanced_plan,
    cluster_guarantee,
    epoch_permutation,
    in_batch_lists,
    in_batch_mask,
    mixture_plan,
    no_duplicate_plan,
    topic_plan,
)
from negmine.behavior import BehaviorTable, SimHash
from negmine.clusters import Clusters, balanced_clusters, kmeans
from negmine.duplicates import NearDuplicates, near_duplicates
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
from negmine.sketches import MinHash
from negmine.sweep import Sweep

__all__ = [
    "Ambiguous",
    "BatchPlan",
    "BehaviorTable",
    "CandidatePool",
    "ClassBalancedPlan",
    "ClusterGuarantee",
    "ClusterPlan",
    "Clusters",
    "CorpusChangedError",
    "Eligibility",
    "ExactIndex",
    "HardNegativeMiner",
    "HardNegatives",
    "JobError",
    "JobResult",
    "MemoryLimitError",
    "MinHash",
    "MissingExtraError",
    "MixturePlan",
    "NearDuplicates",
    "NegmineError",
    "NegmineTypeError",
    "NegmineValueError",
    "NegmineWarning",
    "NgameSchedule",
    "NoDuplicatePlan",
    "Positives",
    "Reason",
    "Report",
    "SimHash",
    "Softmax",
    "Source",
    "Stride",
    "Sweep",
    "TopK",
    "TopicPlan",
    "Verification",
    "__version__",
    "balanced_clusters",
    "balanced_pairs",
    "batch_plan",
    "build_info",
    "class_balanced_plan",
    "cluster_guarantee",
    "epoch_permutation",
    "in_batch_lists",
    "in_batch_mask",
    "kmeans",
    "mine",
    "mine_to",
    "mixture_plan",
    "near_duplicates",
    "no_duplicate_plan",
    "score_pairs",
    "topic_plan",
    "verify",
]
