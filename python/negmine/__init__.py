"""Exact, certified mining of hard negatives.

``negmine.mine(queries, corpus, positives)`` mines hard negatives in one call; ``ExactIndex``, ``HardNegativeMiner`` and
``CandidatePool`` do the same in separate steps. Everything else is in subpackages, which are imported on first use:
``negmine.batches``, ``negmine.behavior``, ``negmine.clustering``, ``negmine.context``, ``negmine.data``,
``negmine.demo``, ``negmine.errors``, ``negmine.inspect``, ``negmine.io``, ``negmine.job``, ``negmine.mining``,
``negmine.pairs``, ``negmine.sampling``, ``negmine.search``, ``negmine.selection``, ``negmine.sketches``,
``negmine.store``, ``negmine.synthesis``, ``negmine.testing`` and ``negmine.weights``.
``negmine.torch`` must be imported explicitly, and imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from negmine._native import __version__, build_info
from negmine.clustering import Clusters, balanced_clusters, kmeans
from negmine.data import Eligibility, Positives
from negmine.errors import NegmineError
from negmine.job import mine_to
from negmine.mining import (
    CandidatePool,
    HardNegativeMiner,
    HardNegatives,
    Quota,
    Report,
    SimANS,
    Softmax,
    Stride,
    Typical,
    fuse,
    mine,
)
from negmine.search import AutoIndex, ExactIndex, HnswIndex, ScoredLists, ShardedIndex, TopK, score_pairs, verify
from negmine.sketches import MinHash, SimHash, near_duplicates

if TYPE_CHECKING:
    from negmine import batches as batches
    from negmine import behavior as behavior
    from negmine import clustering as clustering
    from negmine import context as context
    from negmine import data as data
    from negmine import demo as demo
    from negmine import errors as errors
    from negmine import io as io
    from negmine import job as job
    from negmine import mining as mining
    from negmine import pairs as pairs
    from negmine import sampling as sampling
    from negmine import search as search
    from negmine import selection as selection
    from negmine import sketches as sketches
    from negmine import store as store
    from negmine import synthesis as synthesis
    from negmine import testing as testing
    from negmine import weights as weights

__all__ = [
    "AutoIndex",
    "CandidatePool",
    "Clusters",
    "Eligibility",
    "ExactIndex",
    "HardNegativeMiner",
    "HardNegatives",
    "HnswIndex",
    "MinHash",
    "NegmineError",
    "Positives",
    "Quota",
    "Report",
    "ScoredLists",
    "ShardedIndex",
    "SimANS",
    "SimHash",
    "Softmax",
    "Stride",
    "TopK",
    "Typical",
    "__version__",
    "balanced_clusters",
    "build_info",
    "fuse",
    "kmeans",
    "mine",
    "mine_to",
    "near_duplicates",
    "score_pairs",
    "verify",
]

#: Subpackages that are imported on first access, so that ``negmine.batches`` works after ``import negmine``.
_SUBPACKAGES = (
    "batches",
    "behavior",
    "clustering",
    "context",
    "data",
    "demo",
    "errors",
    "inspect",
    "io",
    "job",
    "mining",
    "pairs",
    "sampling",
    "search",
    "selection",
    "sketches",
    "store",
    "synthesis",
    "testing",
    "weights",
)


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"negmine.{name}")
    raise AttributeError(f"module 'negmine' has no attribute {name!r}")
