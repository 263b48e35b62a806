"""Batches as pure functions of (data, options, seed, epoch)."""

from __future__ import annotations

from negmine.batches.no_duplicates import NoDuplicatePlan, no_duplicate_plan
from negmine.batches.permutation import epoch_permutation
from negmine.batches.protocol import BatchPlan

__all__ = ["BatchPlan", "NoDuplicatePlan", "epoch_permutation", "no_duplicate_plan"]
