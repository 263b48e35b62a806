"""What is for PyTorch: batch samplers with exact lengths and states, and the suite that holds samplers to contracts."""

from __future__ import annotations

from negmine.torch.samplers import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    TopicBatchSampler,
)
from negmine.torch.schedule import PlanBatchSampler, RaggedBatchSampler

__all__ = [
    "ClassBalancedBatchSampler",
    "ClusterBatchSampler",
    "NoDuplicateBatchSampler",
    "PlanBatchSampler",
    "RaggedBatchSampler",
    "TopicBatchSampler",
]
