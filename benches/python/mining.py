"""Mining end to end against sentence-transformers: search, filters, and a table of texts, from ready embeddings.

    python benches/python/mining.py --peers PYTHON [--drop-in] [--synthetic] [--threads N] [--quick] [--json FILE]

The first case is 5,000 queries (the real set's 2,000 and 3,000 documents held back) against the rest of its
documents; the second 100,000 queries against 2,000 documents, where building the output dominates. Five negatives, a
relative margin; the positive of a query is one of its twenty nearest documents. With ``--drop-in``, texts go in as
well: ``mine_hard_negatives`` of both libraries, with a model that looks embeddings up. With ``--synthetic``, as many
made vectors take the place of the real ones, which come from the folder that NEGMINE_DATA names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import harness
import numpy as np
from search import QUICK, real, synthetic

import negmine
from negmine import _native

LABELS = [
    "negmine miner (best)",
    "sentence-transformers, faiss (best)",
    "sentence-transformers, faiss (as installed)",
    "sentence-transformers, torch (as installed)",
]

#: In place of the first of them, with ``--drop-in``.
DROP_IN = "negmine mine_hard_negatives (best)"


def case(name: str, quick: bool, made: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, documents, and the positive of every query."""
    queries, corpus = synthetic(*(QUICK if quick else (2_000, 100_000)), 384) if made else real(quick)
    held = len(corpus) * 3 // 100
    if name == "search":
        queries, corpus = np.concatenate([queries, corpus[:held]]), corpus[held:]
    else:
        queries, corpus = corpus, queries
    near = negmine.ExactIndex(corpus).search(queries, 20).indices
    place = np.random.default_rng(0).integers(20, size=len(queries))
    return queries, corpus, near[np.arange(len(queries)), place]


def main() -> None:
    """Measure both cases and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--case", action="append", choices=["search", "output"])
    parser.add_argument("--drop-in", action="store_true", help="measure the same function of both libraries")
    parser.add_argument("--synthetic", action="store_true", help="made vectors, for which no data is needed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few rows and one round, and answers checked")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    peaks = _native.peaks()
    everything = []
    for name in arguments.case or ["search", "output"]:
        queries, corpus, positives = case(name, arguments.quick, arguments.synthetic)
        results = harness.measure(
            [DROP_IN if arguments.drop_in else LABELS[0], *LABELS[1:]],
            arguments.threads,
            corpus,
            queries,
            5,
            rounds=1 if arguments.quick else arguments.rounds,
            homes={"peers": arguments.peers},
            positives=positives,
        )
        everything.append(results)
        print(harness.table(results, {k: v * arguments.threads for k, v in peaks.items()}), end="\n\n", flush=True)
        if arguments.quick:
            harness.check(results)
    if arguments.json:
        arguments.json.write_text(json.dumps({"peaks": peaks, "results": everything}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
