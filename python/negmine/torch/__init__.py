"""Training with PyTorch: tables that hand fresh negatives to running workers."""

from __future__ import annotations

from negmine.torch.table import NegativesTable, TableRows

__all__ = ["NegativesTable", "TableRows"]
