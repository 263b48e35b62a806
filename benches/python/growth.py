"""How time and memory grow: a search with the documents, mining with the queries, memory with a corpus of shards.

    python benches/python/growth.py [--rounds N] [--figures docs/figures] [--json FILE] [--quick]

One thread. Times are the least of the rounds, of the process's own processor time; straight lines are fitted by least
squares, and the residuals are printed. Memory is the most that a process of its own held while it searched a folder of
shards within a memory limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import negmine

WIDTH, K = 384, 10
MIB = 1 << 20

#: Searches a folder of shards and prints the most bytes that the process held, and what it held before.
CHILD = """
import re, sys
import numpy as np, negmine
from pathlib import Path
def held(name):
    return int(re.search(rf"{name}:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
queries = np.load(sys.argv[2])
before = held("VmRSS")
index = negmine.ShardedIndex(sys.argv[1], memory_limit=int(sys.argv[3]), num_threads=1)
index.search(queries, 10)
print(before, held("VmHWM"))
"""


def rows(n: int, seed: int) -> np.ndarray:
    """Return rows in clusters, as embeddings of texts are."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(256, WIDTH)).astype(np.float32)
    values = centers[rng.integers(256, size=n)]
    values += rng.normal(size=(n, WIDTH)).astype(np.float32)
    return values


def least(work: Callable[[], object], rounds: int) -> float:
    """Return the least processor time of some calls, after one that is not counted."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def search_times(sizes: Sequence[int], n_queries: int, rounds: int) -> list[float]:
    """Return the seconds of a search among the first documents, by their number."""
    corpus, queries = rows(max(sizes), 0), rows(n_queries, 1)
    times = []
    for size in sizes:
        index = negmine.ExactIndex(corpus[:size], num_threads=1)
        times.append(least(lambda index=index: index.search(queries, K), rounds))
    return times


def mining_times(sizes: Sequence[int], n_documents: int, rounds: int) -> list[float]:
    """Return the seconds of mining for the first queries, by their number."""
    corpus, queries = rows(n_documents, 0), rows(max(sizes), 1)
    index = negmine.ExactIndex(corpus, num_threads=1)
    positives = index.search(queries, 3).indices[:, 2]  # a teacher's choice among near documents
    miner = negmine.HardNegativeMiner(5, relative_margin=0.05)

    def mine(size: int) -> object:
        return miner.candidates(index, queries[:size], positives[:size], num_threads=1)

    return [least(lambda size=size: mine(size), rounds) for size in sizes]


def memory(sizes: Sequence[int], n_queries: int, limit: int) -> list[int]:
    """Return the most bytes that a search of shards adds to a process, by the number of documents."""
    added = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.save(place / "queries.npy", rows(n_queries, 1))
        shards = place / "shards"
        shards.mkdir()
        step = sizes[0]
        for size in sizes:
            for first in range(len(list(shards.glob("*.npy"))) * step, size, step):
                np.save(shards / f"{first:09d}.npy", rows(step, first))
            arguments = [str(shards), str(place / "queries.npy"), str(limit)]
            command = [sys.executable, "-c", CHILD, *arguments]
            before, most = map(int, subprocess.check_output(command, text=True).split())
            added.append(most - before)
    return added


def fit(sizes: Sequence[int], values: Sequence[float]) -> tuple[float, float, float]:
    """Return slope, intercept, and the largest residual as a part of the value."""
    slope, intercept = np.polyfit(sizes, values, 1, w=1 / np.asarray(values))
    residual = np.max(np.abs(np.polyval([slope, intercept], sizes) / values - 1))
    return float(slope), float(intercept), float(residual)


def draw(figures: Path, results: dict[str, dict[str, list[float]]]) -> None:
    """Draw a figure of every result."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "negmine"
    labels = {
        "search": ("documents", f"seconds for {results['search']['fixed'][0]:,.0f} queries"),
        "mining": ("queries", f"seconds for {results['mining']['fixed'][0]:,.0f} documents"),
        "memory": ("documents in shards", "MiB in addition to the process"),
    }
    for name, (across, up) in labels.items():
        sizes, values = results[name]["sizes"], results[name]["values"]
        figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
        axes.plot(sizes, values, "o", color="tab:blue")
        if name == "memory":
            axes.axhline(results[name]["fixed"][0], color="gray", linestyle="--", label="memory_limit")
            axes.legend(frameon=False)
        else:
            slope, intercept, _ = fit(sizes, values)
            axes.plot(sizes, np.polyval([slope, intercept], sizes), color="gray", linewidth=1)
        axes.set(xlabel=across, ylabel=up, xlim=(0, None), ylim=(0, None))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        figure.savefig(figures / f"growth_{name}.svg", metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--figures", type=Path, help="folder of the drawn figures")
    parser.add_argument("--json", type=Path, help="file of the measured values")
    parser.add_argument("--quick", action="store_true", help="few rows, one round")
    arguments = parser.parse_args()
    scale, rounds = (50, 1) if arguments.quick else (1, arguments.rounds)
    documents = [size // scale for size in (50_000, 100_000, 200_000, 400_000, 800_000)]
    queries = [size // scale for size in (1_000, 2_000, 4_000, 8_000, 16_000)]
    n_queries, n_documents, limit = 1_000 // scale, 100_000 // scale, 256 * MIB // scale
    results = {
        "search": {"sizes": documents, "fixed": [n_queries], "values": search_times(documents, n_queries, rounds)},
        "mining": {"sizes": queries, "fixed": [n_documents], "values": mining_times(queries, n_documents, rounds)},
        "memory": {
            "sizes": documents,
            "fixed": [limit / MIB],
            "values": [held / MIB for held in memory(documents, n_queries, limit)],
        },
    }
    for name, unit in (("search", "s"), ("mining", "s"), ("memory", "MiB")):
        sizes, values = results[name]["sizes"], results[name]["values"]
        print(f"**{name}**\n\n| {'queries' if name == 'mining' else 'documents'} | {unit} |\n| ---: | ---: |")
        for size, value in zip(sizes, values, strict=True):
            print(f"| {size:,} | {value:.3f} |" if unit == "s" else f"| {size:,} | {value:.0f} |")
        if name != "memory":
            slope, intercept, residual = fit(sizes, values)
            print(f"\n{slope * 1e6:.3f} us each and {intercept * 1e3:.0f} ms; residuals up to {residual:.1%}\n")
        else:
            print(f"\nwithin a limit of {limit / MIB:.0f} MiB\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.figures:
        arguments.figures.mkdir(parents=True, exist_ok=True)
        draw(arguments.figures, results)


if __name__ == "__main__":
    main()
