"""Selection of items by quotas for groups and by scores, with the probability of every choice."""

from __future__ import annotations

from negmine.selection.keeping import Kept, keep
from negmine.selection.selecting import Selected, select
from negmine.selection.sequences import sequence_scores

__all__ = ["Kept", "Selected", "keep", "select", "sequence_scores"]
