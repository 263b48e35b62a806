"""Training with PyTorch: batch samplers, datasets of mined negatives and tables that hand fresh ones to workers, SDIM.

`negmine.torch.testing` holds any sampler to the contracts of loaders, trainers and checkpoints.
"""

from __future__ import annotations

from negmine.torch import _installed as _installed
from negmine.torch.attention import ETA, TargetAttention
from negmine.torch.dataset import NegativesDataset, Samples, collate
from negmine.torch.refresh import redraw, refresh
from negmine.torch.samplers import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    TopicBatchSampler,
)
from negmine.torch.schedule import PlanBatchSampler, RaggedBatchSampler
from negmine.torch.sdim import SDIM
from negmine.torch.table import NegativesTable, TableRows

__all__ = [
    "ETA",
    "SDIM",
    "ClassBalancedBatchSampler",
    "ClusterBatchSampler",
    "NegativesDataset",
    "NegativesTable",
    "NoDuplicateBatchSampler",
    "PlanBatchSampler",
    "RaggedBatchSampler",
    "Samples",
    "TableRows",
    "TargetAttention",
    "TopicBatchSampler",
    "collate",
    "redraw",
    "refresh",
]
