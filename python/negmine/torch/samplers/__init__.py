"""Batch samplers that read batch plans, and conformance checks for any batch sampler."""

from __future__ import annotations

from negmine.torch.samplers.methods import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    TopicBatchSampler,
)
from negmine.torch.samplers.plan_sampler import PlanBatchSampler, RaggedBatchSampler

__all__ = [
    "ClassBalancedBatchSampler",
    "ClusterBatchSampler",
    "NoDuplicateBatchSampler",
    "PlanBatchSampler",
    "RaggedBatchSampler",
    "TopicBatchSampler",
]
