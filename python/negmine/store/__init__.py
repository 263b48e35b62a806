"""Mined negatives in a memory-mapped file whose generations are replaced whole under running readers."""

from __future__ import annotations

from negmine.store.negatives_table import NegativesTable
from negmine.store.table_file import TableRows

__all__ = ["NegativesTable", "TableRows"]
