"""Clusters against faiss, superkmeans, rabitqlib and scikit-learn: inertia on the rows themselves, and time.

    python benches/python/clusters.py --peers PYTHON [--k K]... [--rounds N] [--threads N] [--sklearn] [--json FILE]
        [--data real|lengths|mixture] [--side NAME]... [--quick]
    python benches/python/clusters.py --million [--threads N]

PYTHON is an interpreter of an environment made from `requirements.txt`; default: the one that runs this, which has
negmine. Vectors come from the folder that NEGMINE_DATA names. Every library runs in a process of its own with its
threads pinned, ten iterations and no early end; rounds visit them in turn. Inertia is the mean squared distance of the
rows to the mean of their cluster, also where a library reports another figure. "seconds" is wall time, "cpu" that of
all threads of the process, the better figure on a machine that does other work; what a peer needs for labels of its
last centroids counts. "share" is how many of a row's ten nearest are in its own cluster, "near" in the own cluster or
the one on either side. "pruned", for faiss's SuperKMeans, is the share of pairs of a row and a centroid that the
leading coordinates rule out, on average over the rounds after the first. `--data` takes unit rows ("real"), the same
with lengths drawn from a log-normal distribution ("lengths"), or a Gaussian mixture ("mixture"). With `--million` it is
a million rows in 10,000 balanced clusters, for which no peer is at hand: the 100,000 rows ten times over, each time
with noise of half their length. `--quick` takes 4,000 rows, 64 clusters and one round.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from blas import BEST_KERNELS
from peers import thread_environment
from search import real

Labels = np.ndarray

#: What clusters rows: rows, number of clusters, threads; labels, and figures of its own.
Side = Callable[[np.ndarray, int, int], Labels | tuple[Labels, dict[str, float]]]

#: Rows whose neighbors are looked for.
SAMPLE = 2_000


def negmine_kmeans(metric: str) -> Callable[[np.ndarray, int, int], Labels]:
    """k-means of this repository."""

    def run(rows: np.ndarray, k: int, threads: int) -> Labels:
        import negmine

        return negmine.kmeans(rows, n_clusters=k, metric=metric, max_iterations=10, num_threads=threads).labels

    return run


def negmine_balanced(quality: str) -> Callable[[np.ndarray, int, int], Labels]:
    """Balanced clusters of this repository."""

    def run(rows: np.ndarray, k: int, threads: int) -> Labels:
        import negmine

        return negmine.balanced_clusters(rows, n_clusters=k, quality=quality, num_threads=threads).labels

    return run


def faiss_kmeans(rows: np.ndarray, k: int, threads: int) -> Labels:
    """Train on all rows, then search the centroids."""
    import faiss

    faiss.omp_set_num_threads(threads)
    trained = faiss.Kmeans(rows.shape[1], k, niter=10, seed=1, max_points_per_centroid=len(rows))
    trained.train(rows)
    return trained.index.search(rows, 1)[1].ravel()


def faiss_super_kmeans(**options: Any) -> Side:
    """GEMM on the leading coordinates, then probabilistic pruning (arXiv 2603.20009).

    Its header advises against rows near the unit sphere with fewer than 4,096 clusters. On such rows it is faster with
    more coordinates in the first GEMM: half of them instead of an eighth, and a higher share of pairs that it aims to
    rule out, at the same inertia.
    """

    def run(rows: np.ndarray, k: int, threads: int) -> tuple[Labels, dict[str, float]]:
        import faiss

        faiss.omp_set_num_threads(threads)
        trained = faiss.SuperKmeans(rows.shape[1], k, niter=10, seed=1, max_points_per_centroid=len(rows), **options)
        trained.train(rows)
        return trained.assign(rows)[1], {"pruned": float(trained.gemm_pruning_rates[1:].mean())}

    return run


def superkmeans_flat(rows: np.ndarray, k: int, threads: int) -> Labels:
    """Train on all rows, flat; assignment goes on from training."""
    import superkmeans

    trained = superkmeans.SuperKMeans(
        k,
        rows.shape[1],
        hierarchical=False,
        iters=10,
        sampling_fraction=1.0,
        max_points_per_cluster=len(rows),
        n_threads=threads,
        early_termination=False,
    )
    centroids = trained.train(rows)
    return trained.assign_training_points(rows, centroids)


def rabitqlib_kmeans(rows: np.ndarray, k: int, threads: int) -> Labels:
    """Flat assignment, recommended for few centroids."""
    import rabitqlib

    trained = rabitqlib.RaBitQKMeans(rows.shape[1], k, niter=10, num_threads=threads, early_stop_threshold=0.0, seed=1)
    trained.train(rows)
    return np.asarray(trained.assignments)


def sklearn_kmeans(rows: np.ndarray, k: int, threads: int) -> Labels:
    """Lloyd's algorithm from random rows."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        return KMeans(k, init="random", n_init=1, max_iter=10, tol=0.0, random_state=1).fit(rows).labels_


SIDES: dict[str, Side] = {
    "negmine balanced, fast": negmine_balanced("fast"),
    "negmine balanced, default": negmine_balanced("default"),
    "negmine balanced, high": negmine_balanced("high"),
    "negmine k-means, cosine": negmine_kmeans("cosine"),
    "negmine k-means, l2": negmine_kmeans("l2"),
    "faiss": faiss_kmeans,
    "faiss SuperKMeans (best)": faiss_super_kmeans(
        d_prime_fraction=0.5, pruning_target_low=0.98, pruning_target_high=0.99
    ),
    "faiss SuperKMeans (as installed)": faiss_super_kmeans(),
    "superkmeans": superkmeans_flat,
    "rabitqlib": rabitqlib_kmeans,
    "scikit-learn": sklearn_kmeans,
}

#: Best configured, as in `peers.py`.
ENVIRONMENT = {"faiss": BEST_KERNELS, "faiss SuperKMeans (best)": BEST_KERNELS}


def worker(side: str, rows: Path, k: int, threads: int, out: Path) -> None:
    """Cluster once; what it took goes to stdout."""
    array = np.load(rows)
    SIDES[side](array[: 4 * k], min(k, 8), threads)  # imports, pools and the first pages are not timed
    begun, cpu = time.perf_counter(), time.process_time()
    outcome = SIDES[side](array, k, threads)
    taken = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
    labels, own = outcome if isinstance(outcome, tuple) else (outcome, {})
    taken |= own
    taken["gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    np.save(out, np.asarray(labels).astype(np.int64))
    print(json.dumps(taken))


def inertia(rows: np.ndarray, labels: Labels, k: int) -> float:
    """Mean squared distance of rows to the mean of their cluster."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=k))
    means = [rows[own].mean(axis=0, dtype=np.float64) for own in np.split(order, ends[:-1]) if len(own)]
    sizes = [len(own) for own in np.split(order, ends[:-1]) if len(own)]
    squares = float(np.einsum("ij,ij->", rows, rows, dtype=np.float64))
    return (squares - sum(n * float(mean @ mean) for n, mean in zip(sizes, means, strict=True))) / len(rows)


def neighbors(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A sample of rows, and the ten nearest of each."""
    import negmine

    sample = np.linspace(0, len(rows) - 1, SAMPLE).astype(int)
    found = negmine.ExactIndex(rows, metric="l2").search(rows[sample], 10, exclude=[[int(i)] for i in sample])
    return sample, found.indices


def measure(side: str, rows: Path, k: int, threads: int, python: str, folder: Path) -> tuple[dict[str, float], Labels]:
    """Run one side in a process of its own."""
    out = folder / "labels.npy"
    arguments = [python, __file__, "--worker", side, str(rows), str(k), str(threads), str(out)]
    environment = os.environ | thread_environment(threads) | ENVIRONMENT.get(side, {})
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    return json.loads(line), np.load(out)


def data(name: str) -> np.ndarray:
    """100,000 rows of width 384."""
    draw = np.random.default_rng(3)
    if name == "mixture":
        centers = draw.standard_normal((1000, 384), dtype=np.float32)
        return centers[draw.integers(1000, size=100_000)] + draw.standard_normal((100_000, 384), dtype=np.float32)
    rows = real()[1]
    if name == "lengths":
        rows *= np.exp(0.3 * draw.standard_normal((len(rows), 1), dtype=np.float32))
    return rows


def million(threads: int) -> None:
    """Balanced clusters of a million rows, by each quality."""
    once, k = real()[1], 10_000
    noise = np.random.default_rng(7)
    scale = np.float32(0.5 / np.sqrt(once.shape[1]))
    rows = np.concatenate([once + scale * noise.standard_normal(once.shape, np.float32) for _ in range(10)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sample, nearest = neighbors(rows)
    print(f"**{len(rows):,} x {rows.shape[1]} -> {k:,}**, {threads} threads, rows of {rows.nbytes / 2**30:.2f} GiB\n")
    print("| quality | seconds | cpu | peak GiB | inertia | sizes | share | near |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, rows)
        for quality in ("fast", "default", "high"):
            taken, own = measure(f"negmine balanced, {quality}", path, k, threads, sys.executable, path.parent)
            found = worth(rows, own, k, sample, nearest)
            spent = f"{taken['seconds']:.1f} | {taken['cpu']:.1f} | {taken['gib']:.2f}"
            sizes = f"{found['smallest']} to {found['largest']}"
            shares = f"{found['share']:.3f} | {found['near']:.3f}"
            print(f"| {quality} | {spent} | {found['inertia']:.4f} | {sizes} | {shares} |", flush=True)


def worth(rows: np.ndarray, own: Labels, k: int, sample: np.ndarray, nearest: np.ndarray) -> dict[str, Any]:
    """What clusters are worth, whoever made them."""
    apart = np.abs(own[nearest] - own[sample][:, None])
    sizes = np.bincount(own, minlength=k)
    return {
        "inertia": inertia(rows, own, k),
        "smallest": int(sizes.min()),
        "largest": int(sizes.max()),
        "share": float((apart == 0).mean()),
        "near": float((apart <= 1).mean()),
    }


def main() -> None:
    """Print a table for every number of clusters."""
    if sys.argv[1:2] == ["--worker"]:
        side, rows, k, threads, out = sys.argv[2:]
        worker(side, Path(rows), int(k), int(threads), Path(out))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--k", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", type=int, help="only so many of the 100,000")
    parser.add_argument("--sklearn", action="store_true", help="also scikit-learn, which takes long")
    parser.add_argument("--data", choices=["real", "lengths", "mixture"], default="real")
    parser.add_argument("--side", action="append", choices=SIDES, help="only these")
    parser.add_argument("--quick", action="store_true", help="a small case")
    parser.add_argument("--million", action="store_true", help="only a million rows in 10,000 balanced clusters")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.million:
        million(arguments.threads)
        return
    if arguments.quick:
        arguments.rows, arguments.rounds = 4_000, 1
    rows = data(arguments.data)[: arguments.rows]
    sample, nearest = neighbors(rows)
    everything = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, rows)
        for k in arguments.k or ([64] if arguments.quick else [1024, 700]):
            results = case(rows, path, k, sample, nearest, arguments)
            everything.append(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")


def case(
    rows: np.ndarray, path: Path, k: int, sample: np.ndarray, nearest: np.ndarray, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measure all sides at one number of clusters and print the table."""
    sides = arguments.side or [side for side in SIDES if side != "scikit-learn" or arguments.sklearn]
    times: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    labels: dict[str, Labels] = {}
    for round_number in range(arguments.rounds):
        for i in range(len(sides)):
            side = sides[(i + round_number) % len(sides)]
            python = sys.executable if side.startswith("negmine") else arguments.peers
            taken, labels[side] = measure(side, path, k, arguments.threads, python, path.parent)
            times[side].append(taken)
    results: dict[str, Any] = {}
    for side in sides:
        results[side] = {
            **{name: median(one[name] for one in times[side]) for name in times[side][0]},
            **worth(rows, labels[side], k, sample, nearest),
        }
    for side, one in results.items():
        if "rabitqlib" in results:
            pairs = zip(times[side], times["rabitqlib"], strict=True)
            one["against_rabitqlib"] = median(a["cpu"] / b["cpu"] for a, b in pairs)
        if "faiss" in results:
            one["against_faiss"] = median(a["cpu"] / b["cpu"] for a, b in zip(times[side], times["faiss"], strict=True))
            one["inertia_against_faiss"] = one["inertia"] / results["faiss"]["inertia"]
    threads, rounds = arguments.threads, arguments.rounds
    shape = f"{len(rows):,} x {rows.shape[1]} -> {k:,}"
    print(f"**{shape}**, data: {arguments.data}, {threads} threads, {rounds} rounds\n")
    print_table(results)
    return {"k": k, "threads": threads, "data": arguments.data, "results": results}


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print what `case` measured; a cell is empty where the library to compare with did not take part."""
    times = ["seconds", "cpu", "x rabitqlib (cpu)", "x faiss (cpu)"]
    columns = ["library", *times, "inertia", "x faiss", "sizes", "share", "near", "pruned"]
    print(f"| {' | '.join(columns)} |")
    print("| --- |" + " ---: |" * (len(columns) - 1))

    def cell(one: dict[str, Any], name: str, digits: int) -> str:
        return f"{one[name]:.{digits}f}" if name in one else ""

    for side, one in results.items():
        cells = [
            side,
            f"{one['seconds']:.2f}",
            f"{one['cpu']:.2f}",
            cell(one, "against_rabitqlib", 2),
            cell(one, "against_faiss", 2),
            f"{one['inertia']:.4f}",
            cell(one, "inertia_against_faiss", 4),
            f"{one['smallest']} to {one['largest']}",
            f"{one['share']:.3f}",
            f"{one['near']:.3f}" if "balanced" in side else "",
            cell(one, "pruned", 3),
        ]
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
