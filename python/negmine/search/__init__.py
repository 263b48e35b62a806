"""Nearest-neighbor search: exact and approximate indexes, results and their verification, and protocols of sources."""

from __future__ import annotations

from negmine.search.auto import AutoIndex, IndexChoice
from negmine.search.exact import ExactIndex, score_pairs
from negmine.search.hnsw import HnswIndex
from negmine.search.lists import ScoredLists
from negmine.search.offers import Offers
from negmine.search.protocol import CandidateSource, Searcher
from negmine.search.request import PoolArrays, PoolRequest, Rules
from negmine.search.results import MemoryPlan, RecallAudit, TopK
from negmine.search.sharded import Reads, Shard, ShardedIndex
from negmine.search.verification import Verification, verify

__all__ = [
    "AutoIndex",
    "CandidateSource",
    "ExactIndex",
    "HnswIndex",
    "IndexChoice",
    "MemoryPlan",
    "Offers",
    "PoolArrays",
    "PoolRequest",
    "Reads",
    "RecallAudit",
    "Rules",
    "ScoredLists",
    "Searcher",
    "Shard",
    "ShardedIndex",
    "TopK",
    "Verification",
    "score_pairs",
    "verify",
]
