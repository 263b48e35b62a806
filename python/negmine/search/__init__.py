"""Exact search: the index, its results, and their verification."""

from __future__ import annotations

from negmine.search.exact import ExactIndex, score_pairs
from negmine.search.results import MemoryPlan, TopK
from negmine.search.verification import Verification, verify

__all__ = ["ExactIndex", "MemoryPlan", "TopK", "Verification", "score_pairs", "verify"]
