"""Train and search with PyTorch: batch samplers, datasets of mined negatives, SDIM, and exact search on a device.

`NegativesTable` passes new negatives to the workers of a loader. `negmine.torch.losses` has losses with masks of false
negatives and weights. `negmine.torch.testing` checks any sampler against the contracts of loaders, trainers and
checkpoints.
"""

from __future__ import annotations

from negmine.store import NegativesTable
from negmine.torch import _installed as _installed
from negmine.torch import losses as losses
from negmine.torch.data.background import BackgroundRefresh
from negmine.torch.data.dataset import NegativesDataset, Samples, collate
from negmine.torch.data.interactions import InteractionsDataset
from negmine.torch.data.refresh import redraw, refresh
from negmine.torch.data.refreshed import Refreshed
from negmine.torch.histories.attention import ETA, TargetAttention
from negmine.torch.histories.sdim import SDIM
from negmine.torch.index import TorchIndex
from negmine.torch.samplers.methods import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    TopicBatchSampler,
)
from negmine.torch.samplers.plan_sampler import PlanBatchSampler, RaggedBatchSampler

__all__ = [
    "ETA",
    "SDIM",
    "BackgroundRefresh",
    "ClassBalancedBatchSampler",
    "ClusterBatchSampler",
    "InteractionsDataset",
    "NegativesDataset",
    "NegativesTable",
    "NoDuplicateBatchSampler",
    "PlanBatchSampler",
    "RaggedBatchSampler",
    "Refreshed",
    "Samples",
    "TargetAttention",
    "TopicBatchSampler",
    "TorchIndex",
    "collate",
    "redraw",
    "refresh",
]
