"""Compare the speed of this tree with that of another revision.

    python benches/python/against.py main~20 --rounds 9

builds the other revision in a scratch folder. Each case runs in two processes, one per tree, on one thread and in
alternation; which tree begins a round is drawn. A ratio is this tree's time divided by the other's, and the table shows
the median over rounds with its extremes. Both trees must answer a case with the same calls, so cases use names that
change rarely.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

#: Seconds of a measurement; shorter calls are repeated.
SHORTEST = 0.5


def clustered(n: int, width: int) -> np.ndarray:
    """Return unit rows around random centers."""
    rng = np.random.default_rng(width)
    rows = rng.standard_normal((200, width))[rng.integers(200, size=n)] + rng.standard_normal((n, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def search() -> Callable[[], Any]:
    """Search a kept index."""
    import negmine

    rows = clustered(52_000, 384)
    index = negmine.ExactIndex(rows[2000:], num_threads=1)
    return lambda: index.search(rows[:2000], 10)


def mining() -> Callable[[], Any]:
    """Mine with a margin, the index included."""
    import negmine

    rows = clustered(32_000, 256)
    positives = [[row] for row in range(1500)]
    return lambda: negmine.mine(
        rows[:1500], rows[2000:], positives, num_negatives=10, relative_margin=0.05, num_threads=1
    )


def clusters() -> Callable[[], Any]:
    """Fit k-means."""
    import negmine

    rows = clustered(40_000, 128)
    return lambda: negmine.kmeans(rows, n_clusters=512, num_threads=1)


def sdim() -> Callable[[], Any]:
    """Attend to histories by hashing."""
    import torch

    import negmine.torch

    torch.set_num_threads(1)
    module = negmine.torch.SDIM(dim=64)
    candidates, behaviors = torch.randn(64, 50, 64), torch.randn(64, 1000, 64)
    return lambda: module(candidates, behaviors)


def sketches() -> Callable[[], Any]:
    """Sign sets of tokens."""
    import negmine

    tokens = np.random.default_rng(0).integers(2**40, size=4_000_000).astype(np.int64)
    offsets = np.arange(0, len(tokens) + 1, 200)
    minhash = negmine.MinHash(128)
    return lambda: minhash.signatures((offsets, tokens), num_threads=1)


def batches() -> Callable[[], Any]:
    """Plan batches without duplicates."""
    from negmine.batches import no_duplicate_plan

    rng = np.random.default_rng(0)
    anchors, positives = np.arange(200_000), rng.zipf(1.5, size=200_000) % 50_000
    return lambda: no_duplicate_plan(anchors, positives, batch_size=64, conflicts="extend")


CASES = {case.__name__: case for case in (search, mining, clusters, sdim, sketches, batches)}


def build(revision: str, scratch: Path) -> Path:
    """Build a revision, and return the folder of its Python package."""
    tree = scratch / "tree"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x"], cwd=tree, check=True, input=archive.stdout)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(scratch / "target")}
    command = ["cargo", "build", "--release", "--quiet", "--package", "negmine-python"]
    subprocess.run(command, cwd=tree, check=True, env=environment)
    shutil.copy(scratch / "target" / "release" / "lib_native.so", tree / "python" / "negmine" / "_native.abi3.so")
    return tree / "python"


def timed(call: Callable[[], Any], repeats: int) -> float:
    """Return the seconds of one call, as the mean of several."""
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


def work(case: str) -> None:
    """Measure a case once per line of standard input, and print its seconds."""
    call = CASES[case]()
    call()
    repeats = max(1, round(SHORTEST / timed(call, 1)))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(timed(call, repeats), flush=True)


def start(case: str, package: Path) -> subprocess.Popen[str]:
    """Start the worker of one tree."""
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    worker = subprocess.Popen(
        [sys.executable, __file__, "--work", case],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if answer(worker) != "ready":
        raise RuntimeError(f"{case} did not begin in {package}")
    return worker


def answer(worker: subprocess.Popen[str]) -> str:
    """Read one line."""
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def seconds(worker: subprocess.Popen[str]) -> float:
    """Let a worker run its case once."""
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(answer(worker))


def compare(case: str, packages: tuple[Path, Path], rounds: int) -> str:
    """Measure a case in both trees; a line of the table."""
    workers = [start(case, package) for package in packages]
    times: list[list[float]] = [[], []]
    try:
        for _ in range(rounds):
            for tree in random.sample([0, 1], 2):
                times[tree].append(seconds(workers[tree]))
    finally:
        for worker in workers:
            worker.kill()
    ratios = [here / there for here, there in zip(*times, strict=True)]
    return (
        f"| {case} | {median(times[0]):.4f} | {median(times[1]):.4f} | {median(ratios):.3f} | "
        f"{min(ratios):.3f} to {max(ratios):.3f} |"
    )


def main() -> None:
    """Compare all cases, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", help="revision to compare with")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--case", choices=CASES, action="append", help="case to run; default: all")
    parser.add_argument("--work", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    if options.revision is None:
        parser.error("the revision is missing")
    with tempfile.TemporaryDirectory() as scratch:
        packages = (ROOT / "python", build(options.revision, Path(scratch)))
        print(f"| case | this tree, s | {options.revision}, s | ratio | extremes |\n| --- | ---: | ---: | ---: | --- |")
        for case in options.case or CASES:
            print(compare(case, packages, options.rounds), flush=True)


if __name__ == "__main__":
    main()
