"""Near-duplicates of one large group, and searches for nearly all documents, take memory linear in what they return.

Needs a release build and an idle machine, and reads /proc, so Linux only. 4,000 near-equal rows took 33 s and 1.1 GB
when the neighbors of every row were searched. Each figure is that of a child with one thread.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import negmine

WIDTH, THRESHOLD = 32, 0.95

#: Seconds for that many rows of one group.
SECONDS = {8_000: 5.0, 50_000: 60.0}

#: Bytes in addition to the rows.
MOST_BYTES = 200 << 20

#: Bytes of a search in addition to its arguments, per byte of its result; and bytes that no result accounts for.
PER_BYTE, ALLOWANCE = 8.0, 16 << 20

#: Queries and documents of searches for all documents but one.
SIZES = ((1, 200_000), (96, 20_000), (500, 2_000), (1_000, 4_000), (4_000, 4_000))


def near_equal(n: int) -> np.ndarray:
    """Return one row plus noise."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal(WIDTH) + 1e-3 * rng.standard_normal((n, WIDTH))).astype(np.float32)


def peak() -> int:
    """Return the largest resident set since the last [`forget_peak`][], in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let the largest resident set start from the current one."""
    Path("/proc/self/clear_refs").write_text("5")


def measured(call: Callable[[], object]) -> None:
    """Print the seconds of a call and the bytes that it adds to the resident set."""
    forget_peak()
    before, started = peak(), time.perf_counter()
    call()
    print(time.perf_counter() - started, peak() - before)


def child(kind: str, *sizes: int) -> None:
    """Make a call."""
    if kind == "near":
        rows = near_equal(*sizes)
        negmine.near_duplicates(embeddings=rows[:10], threshold=THRESHOLD)

        def near() -> None:
            found = negmine.near_duplicates(embeddings=rows, threshold=THRESHOLD, num_threads=1)
            if found.n_redundant != len(rows) - 1:
                raise RuntimeError(f"{found} is not one group")

        measured(near)
    else:
        n_queries, n_documents = sizes
        corpus = np.random.default_rng(0).standard_normal((n_documents, WIDTH), dtype=np.float32)
        index = negmine.ExactIndex(corpus, num_threads=1)
        index.search(corpus[:1], 1)
        queries = np.resize(corpus, (n_queries, WIDTH))
        measured(lambda: index.search(queries, n_documents - 1))


def run(*arguments: object) -> tuple[float, int]:
    """Make a call in a child; return its seconds and bytes."""
    command = [sys.executable, __file__, *map(str, arguments)]
    seconds, added = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(seconds), int(added)


def main() -> None:
    """Measure all sizes."""
    beyond = False
    for n, limit in SECONDS.items():
        seconds, added = run("near", n)
        beyond |= seconds > limit or added > MOST_BYTES
        print(
            f"{n} near-equal rows: {seconds:.2f} s and {added >> 20} MiB, limits {limit} s and {MOST_BYTES >> 20} MiB"
        )
    for n_queries, n_documents in SIZES:
        _, added = run("search", n_queries, n_documents)
        result = n_queries * (n_documents - 1) * (np.int64().itemsize + np.float32().itemsize)
        limit = PER_BYTE * result + ALLOWANCE
        beyond |= added > limit
        print(
            f"{n_queries} queries for {n_documents - 1} of {n_documents} documents: {added >> 20} MiB for a result of "
            f"{result >> 20} MiB, limit {int(limit) >> 20} MiB"
        )
    sys.exit(int(beyond))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], *map(int, sys.argv[2:]))
    else:
        main()
