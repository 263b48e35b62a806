"""A corpus larger than the memory that a search may use, in a child whose data segment the system limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WIDTH = 256

CHILD = """
import resource, sys
import numpy as np
import negmine
path, limit = sys.argv[1], int(sys.argv[2])
corpus = np.lib.format.open_memmap(path, mode="r")
queries = np.array(corpus[:: max(1, len(corpus) // 64)][:64])
data = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (data + limit, data + limit))
try:
    np.ones(2 * limit, dtype=np.uint8)
except MemoryError:
    pass
else:
    raise AssertionError("the system does not hold the child to its limit")
index = negmine.ExactIndex(corpus, memory_limit=limit, num_threads=2)
plan = index.plan(len(queries), 10)
assert plan.total_bytes <= limit and plan.passes >= 1, plan
found = index.search(queries, 10)
assert (found.counts == 10).all()
print(plan, found.indices[:, 0].tolist())
"""


def corpus(path: Path, size: int) -> int:
    """Write unit-scale rows, the same block over and over but for one coordinate that tells them apart."""
    rows = size // (4 * WIDTH)
    block = np.random.default_rng(0).standard_normal((4096, WIDTH)).astype(np.float32)
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, WIDTH))
    for begin in range(0, rows, len(block)):
        piece = mapped[begin : begin + len(block)]
        piece[:] = block[: len(piece)]
        piece[:, 0] = begin / rows
    mapped.flush()
    return rows


def search_under_limit(path: Path, limit: int) -> str:
    """Search in a limited child, and return what it prints."""
    outcome = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(limit)], capture_output=True, text=True, timeout=280, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts private memory on Linux")
def test_a_corpus_larger_than_its_limit(tmp_path: Path) -> None:
    rows = corpus(tmp_path / "corpus.npy", 256 << 20)
    printed = search_under_limit(tmp_path / "corpus.npy", 40 << 20)
    # The first queries are rows of the corpus and find themselves.
    expected = list(range(0, rows, rows // 64))[:64]
    assert printed.endswith(f"{expected}\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts private memory on Linux")
def test_four_gibibytes_under_half_a_gibibyte(tmp_path: Path) -> None:
    rows = corpus(tmp_path / "corpus.npy", 4 << 30)
    printed = search_under_limit(tmp_path / "corpus.npy", 512 << 20)
    assert printed.endswith(f"{list(range(0, rows, rows // 64))[:64]}\n")
    print(printed)
