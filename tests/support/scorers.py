"""A slow teacher whose calls are logged, an independent reader of the cache, and a child that scores.

`scorers.py CACHE LOG SECONDS` scores a pool and is killed by its test.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import negmine

N_QUERIES, N_DOCUMENTS, DEPTH, BATCH = 30, 200, 20, 16


def make_pool() -> negmine.CandidatePool:
    """Mine a pool of labeled documents."""
    draw = np.random.default_rng(11)
    corpus = draw.standard_normal((N_DOCUMENTS, 8), dtype=np.float32)
    index = negmine.ExactIndex(corpus, ids=[f"document {row}" for row in range(N_DOCUMENTS)])
    miner = negmine.HardNegativeMiner(5, range_max=DEPTH)
    return miner.candidates(index, corpus[:N_QUERIES], [[row] for row in range(N_QUERIES)])


def score(queries: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.float64]:
    """Score pairs."""
    return np.sin(queries * 31.0 + documents * 17.0)


class Logged:
    """Score pairs slowly and log every call in a line of a file, before the scores are returned."""

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        self.log, self.seconds = log, seconds

    def __call__(self, queries: Any, documents: Any) -> Any:
        time.sleep(self.seconds)
        with self.log.open("a") as file:
            file.write(json.dumps([queries.tolist(), documents.tolist()]) + "\n")
        return score(queries, documents)


def calls(log: Path) -> list[list[tuple[int, int]]]:
    """Read the pairs of every logged call; a killed call may leave part of a line."""
    lines = log.read_text().split("\n") if log.exists() else [""]
    return [list(zip(*json.loads(line), strict=True)) for line in lines[:-1]]


def options(cache: Path) -> dict[str, Any]:
    """Give the arguments of a cached rescoring."""
    labels = [f"query {row}" for row in range(N_QUERIES)]
    return {"cache": cache, "name": "sines", "query_ids": labels, "batch_size": BATCH}


def records(content: bytes) -> Sequence[tuple[int, list[float]]]:
    """Read the records of a cache: where each ends, and its scores; up to the first that is not whole."""
    found, place = [], 64
    assert content[:8] == b"negscore"
    while len(content) - place >= 40:
        count, check, digest = struct.unpack_from("<II32s", content, place)
        payload = content[place + 40 : place + 40 + 24 * count]
        if zlib.crc32(struct.pack("<I", count)) != check or hashlib.sha256(payload).digest() != digest:
            break
        place += 40 + 24 * count
        found.append((place, list(struct.unpack_from(f"<{count}d", payload, 16 * count))))
    return found


def kept(cache: Path) -> int:
    """Count the pairs in the whole records of a cache."""
    whole = cache.exists() and cache.stat().st_size >= 64
    return sum(len(scores) for _, scores in records(cache.read_bytes())) if whole else 0


if __name__ == "__main__":
    print("ready", flush=True)
    make_pool().rescore(Logged(Path(sys.argv[2]), float(sys.argv[3])), **options(Path(sys.argv[1])))
    print("done", flush=True)
