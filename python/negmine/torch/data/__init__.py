"""Datasets of mined negatives, and the refresh that replaces their negatives."""

from __future__ import annotations

from negmine.torch.data.background import BackgroundRefresh
from negmine.torch.data.dataset import NegativesDataset, Samples, collate
from negmine.torch.data.interactions import InteractionsDataset
from negmine.torch.data.refresh import redraw, refresh
from negmine.torch.data.refreshed import Refreshed

__all__ = [
    "BackgroundRefresh",
    "InteractionsDataset",
    "NegativesDataset",
    "Refreshed",
    "Samples",
    "collate",
    "redraw",
    "refresh",
]
