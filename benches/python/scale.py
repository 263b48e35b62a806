"""What mining costs at sizes that do not fit one machine: measured rates, extrapolated by a simulation.

    python benches/python/scale.py --measure FILE     # the rates of this machine
    python benches/python/scale.py FILE [--width 768] [--cores 32] [--queries-per-document .1]

The first form measures, on one thread, the seconds per pair of a query and a document, the bytes per second at which
documents are packed, and the rows per second at which results are merged. The second form simulates a job of
`negmine.mine_to` in shards: every worker reads and packs all documents, and mines tiles of queries that it takes from
a list, as a Slurm array or Ray does. Tiles take as long as the rates say, times a factor whose spread was measured, and
the last worker to end decides. Of the network only the rate is assumed at which a worker reads files.
"""

from __future__ import annotations

import argparse
import heapq
import json
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from growth import least, rows

import negmine

WIDTH = 384
DEPTHS = (10, 100)
TILE_QUERIES = 8_192


def measure(n_documents: int, n_queries: int, rounds: int) -> dict[str, object]:
    """Return the rates of one thread of this machine."""
    corpus, queries = rows(n_documents, 0), rows(n_queries, 1)
    pack = least(lambda: negmine.ExactIndex(corpus, num_threads=1), rounds)
    index = negmine.ExactIndex(corpus, num_threads=1)
    pairs = n_documents * n_queries
    seconds = {k: [one_time(index, queries, k) for _ in range(rounds + 1)][1:] for k in DEPTHS}
    with tempfile.TemporaryDirectory() as folder:
        positives = np.zeros(n_queries, dtype=np.int64)
        shards = [Path(folder) / str(shard) for shard in range(2)]
        for number, shard in enumerate(shards):
            negmine.mine_to(shard, queries, corpus[:1_000], positives, shard=(number, 2), tile_queries=n_queries // 2)
        begin = time.process_time()
        negmine.job.merge(shards, Path(folder) / "all")
        merge = time.process_time() - begin
    return {
        "machine": platform.processor() or platform.machine(),
        "width": WIDTH,
        "vnni_gops": negmine._native.vnni_gops(),
        "pair_ns": {k: min(times) / pairs * 1e9 for k, times in seconds.items()},
        "spread": float(np.std(np.log(np.concatenate([np.array(times) / min(times) for times in seconds.values()])))),
        "pack_bytes_per_s": corpus.nbytes / pack,
        "merged_rows_per_s": n_queries / merge,
    }


def one_time(index: negmine.ExactIndex, queries: np.ndarray, k: int) -> float:
    """Return the processor time of one search."""
    begin = time.process_time()
    index.search(queries, k)
    return time.process_time() - begin


@dataclass(frozen=True)
class Job:
    """A job, and where it runs."""

    documents: int
    queries: int
    width: int
    k: int
    workers: int
    cores: int
    read_bytes_per_s: float

    @property
    def corpus_bytes(self) -> float:
        """Bytes of the documents in float32."""
        return 4.0 * self.documents * self.width


def simulate(job: Job, rates: dict[str, object]) -> dict[str, float]:
    """Return the seconds of the parts of a job, and of the whole."""
    pair = float(rates["pair_ns"][str(job.k)]) * 1e-9 * job.width / float(rates["width"]) / job.cores
    pack = max(
        job.corpus_bytes / job.read_bytes_per_s, job.corpus_bytes / (float(rates["pack_bytes_per_s"]) * job.cores)
    )
    tiles = -(-job.queries // TILE_QUERIES)
    noise = np.exp(np.random.default_rng(0).normal(0.0, float(rates["spread"]), size=tiles))
    free = [pack] * min(job.workers, tiles)
    heapq.heapify(free)
    for tile in range(tiles):
        size = min(TILE_QUERIES, job.queries - tile * TILE_QUERIES)
        heapq.heappush(free, heapq.heappop(free) + pair * size * job.documents * noise[tile])
    scan = max(free) - pack
    merge = job.queries / float(rates["merged_rows_per_s"])
    busy = len(free) * pack + pair * job.queries * job.documents
    return {
        "pack": pack,
        "scan": scan,
        "merge": merge,
        "whole": pack + scan + merge,
        "core_hours": busy * job.cores / 3600,
        "idle": 1 - busy / (len(free) * (pack + scan)),
    }


def clock(seconds: float) -> str:
    """Return a duration as people say it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    """Measure, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rates", type=Path, help="file of the rates")
    parser.add_argument("--measure", action="store_true", help="measure the rates, and write the file")
    parser.add_argument("--quick", action="store_true", help="few rows, with --measure")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--cores", type=int, default=32, help="cores of a worker")
    parser.add_argument("--queries-per-document", type=float, default=0.1)
    parser.add_argument("--read", type=float, default=1.0, help="GB/s at which a worker reads files")
    arguments = parser.parse_args()
    if arguments.measure:
        sizes = (4_000, 400, 1) if arguments.quick else (200_000, 4_000, 7)
        arguments.rates.write_text(json.dumps(measure(*sizes), indent=1) + "\n")
    rates = json.loads(arguments.rates.read_text())
    for k in DEPTHS:
        print(f"**k = {k}, width {arguments.width}, workers of {arguments.cores} cores**\n")
        heads = "documents | queries | corpus, GB | core-hours | 1 worker | 8 | 64 | 512 | idle at 512 | packing, merge"
        print(f"| {heads} |\n| {'---: | ' * 9}--- |")
        for documents in (10**6, 10**7, 10**8, 10**9):
            queries = int(documents * arguments.queries_per_document)
            of = [
                simulate(
                    Job(documents, queries, arguments.width, k, workers, arguments.cores, arguments.read * 1e9), rates
                )
                for workers in (1, 8, 64, 512)
            ]
            times = " | ".join(clock(one["whole"]) for one in of)
            gigabytes, last = 4e-9 * documents * arguments.width, of[-1]
            print(
                f"| {documents:,} | {queries:,} | {gigabytes:,.0f} | {of[0]['core_hours']:,.0f} | {times} | "
                f"{last['idle']:.0%} | {clock(last['pack'])}, {clock(last['merge'])} |"
            )
        print()


if __name__ == "__main__":
    main()
