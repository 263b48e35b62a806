"""What is for PyTorch: batch samplers with exact lengths and states, and the suite that holds samplers to contracts."""

from __future__ import annotations

from negmine.torch.samplers import NoDuplicateBatchSampler
from negmine.torch.schedule import PlanBatchSampler, RaggedBatchSampler

__all__ = ["NoDuplicateBatchSampler", "PlanBatchSampler", "RaggedBatchSampler"]
