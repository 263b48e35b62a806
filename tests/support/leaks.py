"""Every binding and every top-level name, called again and again on its smallest input, and what the calls keep.

`PYTHONMALLOC=malloc python tests/support/leaks.py N [NAME ...]` makes N calls of each, ends with 1 if memory, objects,
handles or threads grow, and prints one line per name. Python allocates with malloc then, so that glibc counts all that
is in use: objects of Python, arrays of NumPy and vectors of Rust.

Calls are made in rounds of equal size, after some that fill caches. What a call leaks grows in every round; what a
cache takes does not, so that the growth of a name is the least of its rounds. glibc rounds every allocation up to 16
bytes, so that one lost block per call shows as 16 bytes per call; a round fails from half of that on.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import NoneType

import numpy as np
import numpy.typing as npt

import negmine
from crossings import POSITIVES, QUERIES, ROWS, Call, Crossing, bindings, failing
from negmine import ExactIndex, HardNegativeMiner

ROUNDS = 4

#: Calls that fill caches, of Python, NumPy and glibc.
WARM = 12

#: Bytes per call from which a round counts as grown, and bytes of a round that allocators keep for themselves: glibc
#: counts what threads hold for their next call as in use.
LEAST, FLOOR = 8, 8192

#: Calls of a round from which its bytes count: Python's cache of attribute lookups keeps names for as long as it fills.
ENOUGH = 500


# ---- the top level


def top_level(folder: Path) -> dict[str, tuple[Call, ...]]:
    """Return the smallest calls of every name of the package: those that answer and those that fail."""
    np.save(folder / "shard.npy", ROWS)
    index, miner = ExactIndex(ROWS), HardNegativeMiner(1, num_random=1)
    pool = miner.candidates(index, QUERIES, POSITIVES)
    negatives = miner.select(pool)
    in_categories = miner.candidates(index, QUERIES, POSITIVES, categories=np.arange(6) % 2)
    found = index.search(QUERIES, 2)
    clusters = negmine.kmeans(ROWS, n_clusters=2)
    hnsw = negmine.HnswIndex(ROWS)
    hasher, minhash = negmine.SimHash(6, 3, dim=4), negmine.MinHash(8)
    bad = np.full_like(ROWS, np.nan)
    numbers = iter(range(2**62))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    def interrupted(call: Call) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            call()

    def job() -> None:
        path = folder / f"job {next(numbers)}"
        negmine.mine_to(path, QUERIES, ROWS, POSITIVES, miner=miner, num_threads=2)
        remove(path)

    def stopped_job() -> None:
        path = folder / f"job {next(numbers)}"
        interrupted(lambda: negmine.mine_to(path, QUERIES, ROWS, POSITIVES, miner=miner, progress=stop))
        remove(path)

    def saved_index() -> None:
        hnsw.save(folder / "hnsw.npz")
        negmine.HnswIndex.load(folder / "hnsw.npz", ROWS)

    def saved_pool() -> None:
        pool.save(folder / "pool.npz")
        negmine.CandidatePool.load(folder / "pool.npz")

    def saved_negatives() -> None:
        negatives.save(folder / "negatives.npz")
        negmine.HardNegatives.load(folder / "negatives.npz")

    return {
        "AutoIndex": (
            lambda: negmine.AutoIndex(ROWS, n_queries=2, k=1).search(QUERIES, 1),
            lambda: negmine.AutoIndex(bad, n_queries=2, k=1),
        ),
        "CandidatePool": (lambda: miner.candidates(index, QUERIES, POSITIVES), saved_pool, lambda: pool.select(0)),
        "Clusters": (
            lambda: negmine.Clusters(clusters.labels, clusters.centroids, 0.0, "cosine", 1),
            lambda: negmine.Clusters(clusters.labels - 9, clusters.centroids, 0.0, "cosine", 1),
        ),
        "Eligibility": (lambda: negmine.Eligibility.equal([1, 2], [1]), lambda: negmine.Eligibility.equal([1.5], [1])),
        "ExactIndex": (
            lambda: ExactIndex(ROWS, ids=list("abcdef")).search(QUERIES, 2),
            lambda: index.search(QUERIES, 1, exclude=[[0], [9]]),
            lambda: ExactIndex(bad),
            lambda: ExactIndex(ROWS, memory_limit=1),
            lambda: interrupted(lambda: index.search(QUERIES, 1, progress=stop)),
            lambda: interrupted(lambda: ExactIndex(ROWS, progress=stop)),
        ),
        "HardNegativeMiner": (
            lambda: HardNegativeMiner(1, num_random=1).mine(index, QUERIES, POSITIVES),
            lambda: HardNegativeMiner(0),
            lambda: miner.mine(index, QUERIES, [[0], [9]]),
            lambda: interrupted(lambda: miner.mine(index, QUERIES, POSITIVES, progress=stop)),
        ),
        "HardNegatives": (lambda: negatives.redraw(epoch=1), saved_negatives, lambda: negatives.redraw(epoch=-1)),
        "HnswIndex": (
            lambda: negmine.HnswIndex(ROWS).search(QUERIES, 1),
            saved_index,
            lambda: negmine.HnswIndex(bad),
        ),
        "MinHash": (lambda: minhash.signatures([["a"], ["b"]]), lambda: minhash.signatures([["a"], 3])),
        "NegmineError": (lambda: negmine.NegmineError("a message"),),
        "Positives": (
            lambda: negmine.Positives.from_lists(POSITIVES),
            lambda: negmine.Positives.from_lists([[0], ["a"]]),
        ),
        "Quota": (
            lambda: in_categories.select(2, sampling=negmine.Quota((0.5, 0.5))),
            lambda: negmine.Quota((-1.0, 2.0)),
        ),
        "Report": (lambda: str(pool.report),),
        "ScoredLists": (
            lambda: negmine.ScoredLists.from_lists([[1], [2]], [[0.5], [0.5]], n_documents=6),
            lambda: negmine.ScoredLists.from_lists([[1], [9]], [[0.5], [0.5]], n_documents=6),
        ),
        "ShardedIndex": (
            lambda: negmine.ShardedIndex([folder / "shard.npy"]).search(QUERIES, 1),
            lambda: negmine.ShardedIndex([folder / "none.npy"]),
        ),
        "SimANS": (lambda: pool.select(1, sampling=negmine.SimANS()), lambda: negmine.SimANS(a=-1)),
        "SimHash": (lambda: hasher.signatures(ROWS), lambda: hasher.signatures(bad)),
        "Softmax": (lambda: pool.select(1, sampling=negmine.Softmax(0.1)), lambda: negmine.Softmax(0)),
        "Stride": (
            lambda: pool.select(1, sampling=negmine.Stride()),
            lambda: pool.select(9, sampling=negmine.Stride()),
        ),
        "TopK": (lambda: index.search(QUERIES, 2), lambda: negmine.TopK(found.indices, found.scores[:1], found.counts)),
        "Typical": (lambda: pool.select(1, sampling=negmine.Typical()), lambda: negmine.Typical(-1)),
        "balanced_clusters": (
            lambda: negmine.balanced_clusters(ROWS, n_clusters=2),
            lambda: negmine.balanced_clusters(bad, n_clusters=2),
        ),
        "build_info": (negmine.build_info,),
        "fuse": (lambda: negmine.fuse([pool, pool]), lambda: negmine.fuse([pool, 3])),
        "kmeans": (lambda: negmine.kmeans(ROWS, n_clusters=2), lambda: negmine.kmeans(bad, n_clusters=2)),
        "mine": (
            lambda: negmine.mine(QUERIES, ROWS, POSITIVES, num_negatives=1),
            lambda: negmine.mine(QUERIES, bad, POSITIVES, num_negatives=1),
        ),
        "mine_to": (job, stopped_job, lambda: negmine.mine_to(folder / "shard.npy", QUERIES, ROWS, POSITIVES)),
        "near_duplicates": (
            lambda: negmine.near_duplicates(["a cat", "a cat", "a dog"]),
            lambda: negmine.near_duplicates(embeddings=ROWS, threshold=0.9),
            lambda: negmine.near_duplicates(embeddings=bad, threshold=0.9),
        ),
        "score_pairs": (
            lambda: negmine.score_pairs(QUERIES, ROWS, [[0, 0], [1, 1]]),
            lambda: negmine.score_pairs(QUERIES, ROWS, [[0, 9]]),
        ),
        "verify": (
            lambda: negmine.verify(QUERIES, ROWS, found.indices, 2),
            lambda: negmine.verify(bad[:2], ROWS, found.indices, 2),
        ),
    }


def remove(folder: Path) -> None:
    """Remove a folder of a job."""
    shutil.rmtree(folder, ignore_errors=True)


# ---- what calls keep


class Mallinfo(ctypes.Structure):
    """glibc's counts of the bytes of a process."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


LIBC = ctypes.CDLL(None)
LIBC.mallinfo2.restype = Mallinfo

#: What is counted: bytes from malloc, objects that Python's collector knows, handles and threads.
COUNTS = 4


def count(kept: npt.NDArray[np.int64]) -> None:
    """Count what the process holds, once everything that is unreachable is gone; the count itself keeps nothing."""
    gc.collect()
    kept[1] = len(gc.get_objects())
    kept[2], kept[3] = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208
    found = LIBC.mallinfo2()
    kept[0] = found.uordblks + found.hblkhd


def growth(calls: list[Call], n: int) -> list[int]:
    """Return the least growth of the rounds, in each of which every call is made ``n`` times."""
    kept = np.zeros((ROUNDS + 1, COUNTS), dtype=np.int64)
    for call in calls:
        for _ in range(min(WARM, n)):
            failing(call)
    for row in kept:
        count(row)
    for row in kept[1:]:
        for call in calls:
            for _ in range(n):
                failing(call)
        count(row)
    least: list[int] = np.diff(kept[1:], axis=0).min(axis=0).tolist()
    return least


def references(call: Call) -> list[int]:
    """Count the references to the arguments of a crossing."""
    arguments = call.arguments if isinstance(call, Crossing) else ()
    # Numbers and strings may be shared with anything.
    return [sys.getrefcount(one) for one in arguments if not isinstance(one, int | float | str | NoneType)]


#: Bindings that measure the processor for long: of so many calls one is made, and none in a short run.
LONG = {"_native.peaks": 500, "_native.vnni_gops": 50}


def main(n: int, names: list[str]) -> int:
    """Call everything, or what is named; the number of names that keep something."""
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        every: dict[str, tuple[Call, ...]] = {
            f"_native.{name}": (call,) for name, call in bindings(Path(folder)).items()
        }
        every |= {f"negmine.{name}": calls for name, calls in top_level(Path(folder)).items()}
        gc.collect()
        gc.freeze()  # what there is before the calls is neither counted nor looked through
        for name, calls in every.items():
            if names and name not in names:
                continue
            per_round = n // ROUNDS // LONG.get(name, 1)
            if per_round == 0:
                print(f"left out {name}")
                continue
            calls[0]()  # the first is an answer
            wrong = [change for call in calls if isinstance(call, Crossing) for change in call.wrong()]
            before, started = references(calls[0]), time.perf_counter()
            kept = growth([*calls, *wrong], per_round)
            changed = references(calls[0]) != before
            n_calls = per_round * ROUNDS * (len(calls) + len(wrong))
            grown = per_round >= ENOUGH and kept[0] >= max(LEAST * per_round, FLOOR)
            leaks = grown or max(kept[1:]) > 0 or changed
            faults += leaks
            state = "LEAK" if leaks else "flat"
            seconds = time.perf_counter() - started
            print(
                f"{state} {name}: {n_calls} calls, least growth of a round {tuple(kept)}, {seconds:.1f} s", flush=True
            )
    print(f"{faults} of {len(every)} names leak")
    return faults


if __name__ == "__main__":
    sys.exit(int(main(int(sys.argv[1]), sys.argv[2:]) > 0))
