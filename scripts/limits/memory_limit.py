"""A search stays within `memory_limit` while the limit rises from what an error names; reads /proc, so Linux only.

The figure is what a search adds to the process's private memory, at limits around the one at which documents are kept
packed.
"""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np

import negmine
from negmine.errors import MemoryLimitError

#: Bytes beyond `memory_limit` that Python, threads and allocators may take.
ALLOWANCE = 16 << 20

N_DOCUMENTS, WIDTH, N_QUERIES, K = 200_000, 128, 3_000, 100


def private() -> int:
    """Return the highest private memory of the process so far, in bytes."""
    with open("/proc/self/status") as status:  # noqa: PTH123 (a file of the system)
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def child(limit: int) -> None:
    """Search under a limit; print what it took, or what it needs."""
    corpus = np.random.default_rng(0).standard_normal((N_DOCUMENTS, WIDTH), dtype=np.float32)
    queries = corpus[:N_QUERIES].copy()
    before = private()
    try:
        negmine.ExactIndex(corpus, memory_limit=limit, num_threads=2).search(queries, K)
    except MemoryLimitError as error:
        found = re.search(r"at least (\d+) bytes", str(error))
        print("needs", found[1] if found else error)
    else:
        print("took", private() - before)


def under(limit: int) -> tuple[str, int]:
    """Run a search in a process of its own."""
    output = subprocess.run([sys.executable, __file__, str(limit)], capture_output=True, text=True, check=True).stdout
    word, figure = output.split()
    return word, int(figure)


def main() -> None:
    """Follow what errors name up to a limit that suffices, then raise it."""
    beyond, limit = False, 1
    for _ in range(4):
        word, needed = under(limit)
        if word == "took":
            break
        limit = needed
    else:
        sys.exit("the limit that the errors name does not suffice")
    for share in (1.0, 1.1, 1.3, 1.6, 2.0, 3.0):
        word, took = under(int(limit * share))
        beyond |= word != "took" or took > limit * share + ALLOWANCE
        print(f"search under {int(limit * share) >> 20} MiB: {word} {took >> 20} MiB")
    sys.exit(int(beyond))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(int(sys.argv[1]))
    else:
        main()
