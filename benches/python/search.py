"""Exact search against peers: the bars of a float32 library, few queries against many documents, and real vectors.

    python benches/python/search.py --peers PYTHON --scann PYTHON [--case NAME] [--peer NAME] [--quick] [--json FILE]

PYTHON is an interpreter of an environment made from `requirements.txt` (with negmine installed) or from
`requirements-scann.txt`. Real vectors come from the folder that NEGMINE_DATA names. `--quick` cuts every case to 64
queries and 4,000 documents and ends with an error where a peer that is meant to be exact is not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import harness
import numpy as np

import negmine
from negmine import _native

FLOAT32 = [
    "negmine (best)",
    "faiss (best)",
    "torch (best)",
    "scann (best)",
    "numpy (best)",
    "faiss (as installed)",
    "torch (as installed)",
]

#: faiss's own exact pruning.
PANORAMA = ["faiss Panorama (best)", "faiss Panorama (as installed)"]

#: Queries and documents of a case under `--quick`.
QUICK = (64, 4_000)

Case = tuple[np.ndarray, np.ndarray]


def synthetic(queries: int, documents: int, width: int) -> Case:
    """Clustered unit vectors: 1,000 centers, noise of about the centers' size."""
    draw = np.random.default_rng(0)
    centers = draw.standard_normal((1000, width), dtype=np.float32)

    def rows(n: int) -> np.ndarray:
        x = centers[draw.integers(1000, size=n)] + draw.standard_normal((n, width), dtype=np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    return rows(queries), rows(documents)


def isotropic(queries: int, documents: int, width: int) -> Case:
    """Unit vectors without structure: the hard extreme."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((queries + documents, width), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x[:queries], x[queries:]


def real(quick: bool = False) -> Case:
    """100,000 real sentence vectors and 2,000 queries; the first of each if `quick`."""
    root = Path(os.environ.get("NEGMINE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "summaries_100k"

    def rows(name: str) -> np.ndarray:
        x = np.load(root / name).astype(np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    queries, corpus = rows("queries.minilm.npy"), rows("corpus.minilm.npy")
    return (queries[: QUICK[0]], corpus[: QUICK[1]]) if quick else (queries, corpus)


def made(make: Callable[[int, int, int], Case], queries: int, documents: int, width: int) -> Callable[[bool], Case]:
    """A synthetic case, in full or quick."""
    return lambda quick: make(*(QUICK if quick else (queries, documents)), width)


CASES: dict[str, tuple[Callable[[bool], Case], int, list[str]]] = {
    "float32": (made(synthetic, 10_000, 100_000, 768), 10, [*FLOAT32, *PANORAMA]),
    "float32-100": (made(synthetic, 10_000, 100_000, 768), 100, [*FLOAT32, *PANORAMA]),
    "small": (made(synthetic, 2_000, 100_000, 384), 10, [*FLOAT32, *PANORAMA, "usearch (best)", "turbovec (best)"]),
    "isotropic": (made(isotropic, 2_000, 100_000, 384), 10, [*FLOAT32, *PANORAMA]),
    "few": (made(synthetic, 32, 1_000_000, 768), 10, ["negmine (best)", "faiss (best)", "torch (best)", PANORAMA[0]]),
    "real-1": (real, 1, [*FLOAT32, *PANORAMA]),
    "real-10": (real, 10, [*FLOAT32, *PANORAMA, "usearch (best)", "turbovec (best)"]),
    "real-100": (real, 100, [*FLOAT32, *PANORAMA]),
}


def main() -> None:
    """Measure the cases and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--scann", default=None)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--peer", action="append", help="only these of the case's, such as 'faiss (best)'")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small cases, one round, and answers checked")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    homes = {"peers": arguments.peers, "scann": arguments.scann}
    peaks = _native.peaks()
    print(f"{platform.processor() or platform.machine()}, {negmine.build_info()['isa']}, one core: {peaks}\n")
    everything = []
    for name in arguments.case or ["small", "real-1", "real-10", "real-100", "isotropic"]:
        make, k, labels = CASES[name]
        queries, corpus = make(arguments.quick)
        labels = [label for label in labels if homes[harness.PEERS[label].home]]
        if arguments.peer:
            labels = [label for label in labels if label.startswith("negmine") or label in arguments.peer]
        rounds = 1 if arguments.quick else arguments.rounds
        results = harness.measure(labels, arguments.threads, corpus, queries, k, rounds=rounds, homes=homes)
        everything.append(results)
        print(harness.table(results, {k: v * arguments.threads for k, v in peaks.items()}), end="\n\n", flush=True)
        if arguments.quick:
            harness.check(results)
    if arguments.json:
        arguments.json.write_text(json.dumps({"peaks": peaks, "results": everything}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
