"""Training with PyTorch: datasets of mined negatives, tables that hand fresh ones to running workers, batch samplers.

`negmine.torch.testing` holds any sampler to the contracts of loaders, trainers and checkpoints.
"""

from __future__ import annotations

from negmine.torch.dataset import NegativesDataset, Samples, collate
from negmine.torch.refresh import redraw, refresh
from negmine.torch.samplers import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    TopicBatchSampler,
)
from negmine.torch.schedule import PlanBatchSampler, RaggedBatchSampler
from negmine.torch.table import NegativesTable, TableRows

__all__ = [
    "ClassBalancedBatchSampler",
    "ClusterBatchSampler",
    "NegativesDataset",
    "NegativesTable",
    "NoDuplicateBatchSampler",
    "PlanBatchSampler",
    "RaggedBatchSampler",
    "Samples",
    "TableRows",
    "TopicBatchSampler",
    "collate",
    "redraw",
    "refresh",
]
