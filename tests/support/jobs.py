"""A small job that uses every rule a job knows, and what its folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from negmine import HardNegativeMiner, Positives, Softmax
from negmine.data.eligibility import Eligibility
from negmine.job import JobResult, mine_to

N_QUERIES, N_DOCUMENTS, WIDTH, TILE = 45, 120, 8, 4
MINER = HardNegativeMiner(
    4, absolute_margin=0.05, range_min=1, range_max=40, sampling=Softmax(0.05), num_random=2, seed=7
)


def arrays(dtype: Any = np.float32) -> dict[str, Any]:
    draw = np.random.default_rng(3)
    lists = [draw.choice(N_DOCUMENTS, 1 + query % 3, replace=False).tolist() for query in range(N_QUERIES)]
    lists[7] = []
    return {
        "queries": draw.normal(size=(N_QUERIES, WIDTH)).astype(np.float16).astype(dtype),
        "corpus": draw.normal(size=(N_DOCUMENTS, WIDTH)).astype(np.float16).astype(dtype),
        "positives": Positives.from_lists(lists),
    }


def options() -> dict[str, Any]:
    return {
        "miner": MINER,
        "document_ids": [f"d{row}" for row in range(N_DOCUMENTS)],
        "query_ids": [f"q{row}" for row in range(N_QUERIES)],
        "exclude": [[query % N_DOCUMENTS] for query in range(N_QUERIES)],
        "groups": np.arange(N_DOCUMENTS) // 2,
        "eligible": Eligibility(np.arange(N_DOCUMENTS), np.zeros(N_QUERIES, np.int64), np.full(N_QUERIES, 100)),
        "tile_queries": TILE,
    }


def run(folder: Path, **changes: Any) -> JobResult:
    return mine_to(folder, **{**arrays(), **options(), **changes})


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a job but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
