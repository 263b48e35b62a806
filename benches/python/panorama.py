"""Configurations of faiss's Panorama on unit rows: rotation, levels, documents in a block (arXiv 2510.00566).

    python benches/python/panorama.py [--k K]... [--queries N] [--rounds N] [--metric l2|ip] [--quick]

One thread. Every configuration is held against float64: "true ids" is the share of the exact ids that it returns,
"read" the share of coordinates that it reads, "ms" the median over rounds, in which the configurations take turns, of
the processor time per query. Which one is "best configured" in `peers.py` was chosen from this table.

Rotations: none; random; "pca", faiss's own, which subtracts the mean and so serves distances only; "axes", the
principal axes without the mean, which keep inner products as well.
"""

from __future__ import annotations

import os

from blas import BEST_KERNELS

os.environ.update({"OMP_NUM_THREADS": "1", **BEST_KERNELS, **os.environ})

import argparse
import time
from statistics import median

import faiss
import numpy as np
from harness import float64_scores, shared_ids
from search import real

#: Levels and documents in a block that are tried with every rotation, and with faiss's own.
USUAL = [(8, 1024), (16, 1024)]
GRID = [(levels, block) for levels in (4, 8, 12, 16, 32) for block in (256, 1024, 4096)]

#: Rotation, levels, documents in a block.
Configuration = tuple[str, str, str]

FLAT = ("flat, through BLAS", "", "")


def axes(corpus: np.ndarray) -> faiss.LinearTransform:
    """Rotate by the principal axes of the rows about the origin, without a shift."""
    width = corpus.shape[1]
    _, vectors = np.linalg.eigh(corpus.T.astype(np.float64) @ corpus)
    rotation = faiss.LinearTransform(width, width, False)
    faiss.copy_array_to_vector(np.ascontiguousarray(vectors[:, ::-1].T, dtype=np.float32).ravel(), rotation.A)
    rotation.is_trained = True
    rotation.set_is_orthonormal()
    return rotation


def rotations(corpus: np.ndarray, metric: str) -> dict[str, faiss.VectorTransform | None]:
    """Rotations that keep the metric's order, trained."""
    width = corpus.shape[1]
    found = {"none": None, "random": faiss.RandomRotationMatrix(width, width), "axes": axes(corpus)}
    found["random"].init(1)
    if metric == "l2":
        found["pca"] = faiss.PCAMatrix(width, width)
        found["pca"].train(corpus)
    return found


def search(index: faiss.Index, queries: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Processor time per query in milliseconds, and the ids."""
    begin = time.process_time()
    ids = index.search(queries, k)[1]
    return 1e3 * (time.process_time() - begin) / len(queries), ids


def indexes(corpus: np.ndarray, metric: str) -> dict[Configuration, faiss.Index]:
    """Every configuration, and `IndexFlat`, with the rows."""
    width = corpus.shape[1]
    flat, panorama = {
        "l2": (faiss.IndexFlatL2, faiss.IndexFlatL2Panorama),
        "ip": (faiss.IndexFlatIP, faiss.IndexFlatIPPanorama),
    }[metric]
    found: dict[Configuration, faiss.Index] = {FLAT: flat(width)}
    full = "pca" if metric == "l2" else "axes"
    for name, rotation in rotations(corpus, metric).items():
        for levels, block in GRID if name == full else USUAL:
            index = panorama(width, levels, block)
            found[name, str(levels), str(block)] = (
                index if rotation is None else faiss.IndexPreTransform(rotation, index)
            )
    for index in found.values():
        index.add(corpus)
    return found


def main() -> None:
    """Print a table for every k."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, action="append")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--metric", choices=["l2", "ip"], default="l2")
    parser.add_argument("--quick", action="store_true", help="few rows and one round: only the ids are of use")
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 1
    queries, corpus = real(arguments.quick)
    queries = queries[: arguments.queries]
    order = np.argsort(-float64_scores(corpus, queries), axis=1, kind="stable")
    built = indexes(corpus, arguments.metric)
    for k in arguments.k or [1, 10, 100]:
        rounds = 1 if arguments.quick else arguments.rounds
        times: dict[Configuration, list[float]] = {name: [] for name in built}
        for round_number in range(rounds):
            names = list(built)
            shift = round_number % len(names)
            for name in names[shift:] + names[:shift]:
                times[name].append(search(built[name], queries, k)[0])
        print(f"**{len(queries)} queries x {len(corpus)} documents, top-{k}, {arguments.metric}**, {rounds} rounds\n")
        print("| rotation | levels | block | true ids | read | ms |\n| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, index in built.items():
            faiss.cvar.indexPanorama_stats.reset()
            share = shared_ids(search(index, queries, k)[1], order, k)
            read = 1.0 if name == FLAT else faiss.cvar.indexPanorama_stats.ratio_dims_scanned
            print(f"| {' | '.join(name)} | {share:.4f} | {read:.3f} | {median(times[name]):.2f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
