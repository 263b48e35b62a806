"""Exact, certified mining of hard negatives.

``negmine.mine(queries, corpus, positives)`` is the one call; ``ExactIndex``, ``HardNegativeMiner`` and
``CandidatePool`` are the same in steps. The rest lies in rooms, which are imported when they are first used:
``negmine.batches``, ``negmine.behavior``, ``negmine.clustering``, ``negmine.data``, ``negmine.demo``,
``negmine.errors``, ``negmine.io``, ``negmine.job``, ``negmine.mining``, ``negmine.search``, ``negmine.sketches``,
``negmine.store`` and ``negmine.testing``. ``import negmine.torch`` imports torch as well.
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
    Report,
    SimANS,
    Softmax,
    Stride,
    mine,
)
from negmine.search import ExactIndex, TopK, score_pairs, verify
from negmine.sketches import MinHash, SimHash, near_duplicates

if TYPE_CHECKING:
    from negmine import batches as batches
    from negmine import behavior as behavior
    from negmine import clustering as clustering
    from negmine import data as data
    from negmine import demo as demo
    from negmine import errors as errors
    from negmine import io as io
    from negmine import job as job
    from negmine import mining as mining
    from negmine import search as search
    from negmine import sketches as sketches
    from negmine import store as store
    from negmine import testing as testing

__all__ = [
    "CandidatePool",
    "Clusters",
    "Eligibility",
    "ExactIndex",
    "HardNegativeMiner",
    "HardNegatives",
    "MinHash",
    "NegmineError",
    "Positives",
    "Report",
    "SimANS",
    "SimHash",
    "Softmax",
    "Stride",
    "TopK",
    "__version__",
    "balanced_clusters",
    "build_info",
    "kmeans",
    "mine",
    "mine_to",
    "near_duplicates",
    "score_pairs",
    "verify",
]

#: Rooms that an attribute of the package imports, so that ``negmine.batches`` needs no import of its own.
_ROOMS = (
    "batches",
    "behavior",
    "clustering",
    "data",
    "demo",
    "errors",
    "io",
    "job",
    "mining",
    "search",
    "sketches",
    "store",
    "testing",
)


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a module)
    if name in _ROOMS:
        return importlib.import_module(f"negmine.{name}")
    raise AttributeError(f"module 'negmine' has no attribute {name!r}")
