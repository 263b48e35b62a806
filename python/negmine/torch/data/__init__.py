"""Datasets of mined negatives, and the refresh that replaces their negatives."""

from __future__ import annotations

from negmine.torch.data.dataset import NegativesDataset, Samples, collate
from negmine.torch.data.refresh import redraw, refresh

__all__ = ["NegativesDataset", "Samples", "collate", "redraw", "refresh"]
