"""Training with PyTorch: datasets of mined negatives, and tables that hand fresh ones to running workers."""

from __future__ import annotations

from negmine.torch.dataset import NegativesDataset, Samples, collate
from negmine.torch.refresh import redraw, refresh
from negmine.torch.table import NegativesTable, TableRows

__all__ = ["NegativesDataset", "NegativesTable", "Samples", "TableRows", "collate", "redraw", "refresh"]
