"""Batch plans, which are pure functions of (data, options, seed, epoch), and masks of in-batch false negatives."""

from __future__ import annotations

from negmine.batches.classes import ClassBalancedPlan, class_balanced_plan
from negmine.batches.clusters import ClusterPlan, cluster_plan
from negmine.batches.false_negatives import false_negative_mask, false_negative_pairs
from negmine.batches.guided import guided_mask, guided_pairs
from negmine.batches.mixtures import MixturePlan, mixture_plan
from negmine.batches.ngame import NgameSchedule
from negmine.batches.no_duplicates import NoDuplicatePlan, no_duplicate_plan
from negmine.batches.permutation import epoch_permutation
from negmine.batches.plan import BatchPlan
from negmine.batches.row_mixtures import RowMixturePlan
from negmine.batches.topics import TopicPlan, sample_balanced_margins, topic_plan

__all__ = [
    "BatchPlan",
    "ClassBalancedPlan",
    "ClusterPlan",
    "MixturePlan",
    "NgameSchedule",
    "NoDuplicatePlan",
    "RowMixturePlan",
    "TopicPlan",
    "class_balanced_plan",
    "cluster_plan",
    "epoch_permutation",
    "false_negative_mask",
    "false_negative_pairs",
    "guided_mask",
    "guided_pairs",
    "mixture_plan",
    "no_duplicate_plan",
    "sample_balanced_margins",
    "topic_plan",
]
