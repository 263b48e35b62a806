"""Results beyond what a process may allocate are errors of the library, and the process goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import negmine
from negmine._core import calls
from negmine.errors import MemoryLimitError
from processes import output_of

CHILD = """
import resource, sys
import numpy as np
import negmine
from negmine._core import calls
from negmine.errors import MemoryLimitError

rows = np.random.default_rng(0).standard_normal((4000, 16), dtype=np.float32)
index = negmine.ExactIndex(rows, num_threads=1)
lists = [[i] for i in range(4000)]
pool = negmine.HardNegativeMiner(4).candidates(index, rows, lists, num_threads=1)
many = np.broadcast_to(rows[:1], (60_000_000, 16))
work = {
    "search": lambda: index.search(rows, 4000),
    "candidates": lambda: negmine.HardNegativeMiner(4000).candidates(index, rows, lists),
    "select": lambda: pool.select(8000),
    "each": lambda: negmine.HardNegativeMiner(900, reference="each").candidates(
        index, np.tile(rows[:1], (4, 1)), [range(3000)] * 4
    ),
    "build": lambda: negmine.ExactIndex(many, num_threads=1),
}[sys.argv[1]]
checked = sys.argv[2] == "checked"
if not checked:
    calls.available_memory = lambda: sys.maxsize
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), hard))
try:
    work()
except MemoryLimitError as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
print(index.search(rows[:2], 1).indices.ravel().tolist())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts address space on Linux")
@pytest.mark.parametrize("checked", ["checked", "unchecked"])
@pytest.mark.parametrize("call", ["search", "candidates", "select", "build", "each"])
def test_a_result_beyond_the_address_space_is_an_error(call: str, checked: str) -> None:
    printed = output_of([sys.executable, "-c", CHILD, call, checked], seconds=120)
    assert printed.splitlines() == ["MemoryLimitError", "[0, 1]"]


def group(root: Path, path: str, name: str, limit: str) -> None:
    folder = root / path.strip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(limit)


def test_limits_of_control_groups_of_both_versions_are_read(tmp_path: Path) -> None:
    groups, mounted = tmp_path / "cgroup", tmp_path / "mounted"
    groups.write_text("0::/user/job\n")
    group(mounted, "user/job", "memory.max", "max\n")
    group(mounted, "user", "memory.max", "5000\n")
    assert list(calls._group_limits(groups, mounted)) == [5000]
    groups.write_text("3:cpu:/x\n7:memory,other:/job\n")
    group(mounted, "memory/job", "memory.limit_in_bytes", "700\n")
    group(mounted, "memory", "memory.limit_in_bytes", "900\n")
    assert list(calls._group_limits(groups, mounted)) == [700, 900]
    # The host's path, which a container does not see: its own group is the root.
    groups.write_text("0::/docker/abc\n")
    group(mounted, "/", "memory.max", "800\n")
    assert list(calls._group_limits(groups, mounted)) == [800]
    assert list(calls._group_limits(tmp_path / "missing", mounted)) == []


def test_a_k_beyond_the_corpus_that_does_not_fit_names_how_many_documents_there_are() -> None:
    rows = np.eye(40, dtype=np.float32)
    with pytest.raises(MemoryLimitError, match="The index holds 40 documents"):
        negmine.ExactIndex(rows).search(np.tile(rows, (5000, 1)), 2**31 - 1)


def test_results_per_positive_count_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).standard_normal((2000, 4), dtype=np.float32)
    index = negmine.ExactIndex(rows)
    monkeypatch.setattr(calls, "available_memory", lambda: 1 << 24)
    positives = [range(1500)]
    assert len(negmine.HardNegativeMiner(1000).candidates(index, rows[:1], positives)) == 1
    with pytest.raises(MemoryLimitError, match="got 1000 for each of 1500 rows"):
        negmine.HardNegativeMiner(1000, reference="each").candidates(index, rows[:1], positives)
