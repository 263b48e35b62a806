"""Batches as pure functions of (data, options, seed, epoch), and the masks that they need."""

from __future__ import annotations

from negmine.batches.classes import ClassBalancedPlan, class_balanced_plan
from negmine.batches.clusters import ClusterGuarantee, ClusterPlan, NgameSchedule, batch_plan, cluster_guarantee
from negmine.batches.masks import in_batch_lists, in_batch_mask
from negmine.batches.mixtures import MixturePlan, mixture_plan
from negmine.batches.no_duplicates import NoDuplicatePlan, no_duplicate_plan
from negmine.batches.permutation import epoch_permutation
from negmine.batches.protocol import BatchPlan
from negmine.batches.topics import TopicPlan, balanced_pairs, topic_plan

__all__ = [
    "BatchPlan",
    "ClassBalancedPlan",
    "ClusterGuarantee",
    "ClusterPlan",
    "MixturePlan",
    "NgameSchedule",
    "NoDuplicatePlan",
    "TopicPlan",
    "balanced_pairs",
    "batch_plan",
    "class_balanced_plan",
    "cluster_guarantee",
    "epoch_permutation",
    "in_batch_lists",
    "in_batch_mask",
    "mixture_plan",
    "no_duplicate_plan",
    "topic_plan",
]
