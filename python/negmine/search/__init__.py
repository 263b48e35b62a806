"""Nearest-neighbor search: the exact index, results and their verification, and the protocols of other sources."""

from __future__ import annotations

from negmine.search.exact import ExactIndex, score_pairs
from negmine.search.lists import ScoredLists
from negmine.search.offers import Offers
from negmine.search.protocol import CandidateSource, Searcher
from negmine.search.request import PoolArrays, PoolRequest, Rules
from negmine.search.results import MemoryPlan, TopK
from negmine.search.verification import Verification, verify

__all__ = [
    "CandidateSource",
    "ExactIndex",
    "MemoryPlan",
    "Offers",
    "PoolArrays",
    "PoolRequest",
    "Rules",
    "ScoredLists",
    "Searcher",
    "TopK",
    "Verification",
    "score_pairs",
    "verify",
]
