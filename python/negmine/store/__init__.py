"""Tables of mined negatives: memory-mapped files that one process replaces while others read them."""

from __future__ import annotations

from negmine.store.negatives_table import NegativesTable
from negmine.store.table_file import TableRows

__all__ = ["NegativesTable", "TableRows"]
