"""Search in every training step, as ADORE does: its share of the step, and its time against faiss.

    python benches/python/live_search.py [--rounds 7] [--quick]

Batches of queries that change from step to step search the 200 best of 100,000 and of a million frozen documents of
width 384, on one thread. Three searches take turns in one process: negmine with no thresholds, negmine with those of
the last step's lists, and faiss flat, as installed and with its threshold for BLAS lowered to the batch. A step is a
forward and a backward pass of a BERT of six layers of width 384 (the architecture of MiniLM, with random weights) on
32 tokens per query. Needs faiss-cpu and transformers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import faiss
import numpy as np
import torch
from transformers import BertConfig, BertModel

import negmine

WIDTH, DEPTH, TOKENS = 384, 200, 32

#: How far queries move between steps: the last lists share some nine tenths of the documents with the new ones.
MOVE = 0.008


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows of length 1."""
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def vectors(n_queries: int, n_documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around 1,000 centers."""
    draw = np.random.default_rng(0)
    centers = draw.standard_normal((1000, WIDTH), dtype=np.float32)
    both = [
        unit(centers[draw.integers(1000, size=n)] + draw.standard_normal((n, WIDTH), dtype=np.float32))
        for n in (n_queries, n_documents)
    ]
    return both[0], both[1]


def training_step(n_queries: int) -> Callable[[], None]:
    """Return a step of a query encoder, without the search."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=WIDTH, num_hidden_layers=6, num_attention_heads=12, intermediate_size=4 * WIDTH, vocab_size=30_522
    )
    model = BertModel(config)
    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.randint(1000, 30_000, (n_queries, TOKENS))

    def step() -> None:
        optimizer.zero_grad()
        model(tokens).last_hidden_state.mean(dim=1).square().sum().backward()
        optimizer.step()

    return step


def timed(run: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def case(n_queries: int, n_documents: int, rounds: int) -> str:
    """Measure one size, and return its row of the table."""
    queries, documents = vectors(n_queries, n_documents)
    positives = np.arange(n_queries)[:, None]
    index = negmine.ExactIndex(documents)
    miner = negmine.HardNegativeMiner(DEPTH)
    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(documents)
    last = miner.mine(index, queries, positives, num_threads=1).indices
    draw = np.random.default_rng(1)
    step = training_step(n_queries)
    step()
    as_installed = faiss.cvar.distance_compute_blas_threshold
    times, kept = [], []
    for _ in range(rounds):
        queries = unit(queries + MOVE * draw.standard_normal(queries.shape, dtype=np.float32))
        found = miner.mine(index, queries, positives, num_threads=1).indices
        kept.append(np.mean([len(np.intersect1d(*pair)) for pair in zip(found, last, strict=True)]) / DEPTH)
        cold = timed(lambda: miner.mine(index, queries, positives, num_threads=1))  # noqa: B023
        warm = timed(lambda: miner.mine(index, queries, positives, num_threads=1, warm_start=last))  # noqa: B023
        installed = timed(lambda: flat.search(queries, DEPTH + 1))  # noqa: B023
        faiss.cvar.distance_compute_blas_threshold = 1
        best = timed(lambda: flat.search(queries, DEPTH + 1))  # noqa: B023
        faiss.cvar.distance_compute_blas_threshold = as_installed
        times.append((cold, warm, installed, best, timed(step)))
        last = found
    cold, warm, installed, best, encoder = (1e3 * median(column) for column in zip(*times, strict=True))
    share = median(row[1] / (row[1] + row[4]) for row in times)
    ratios = [median(row[i] / row[1] for row in times) for i in (2, 3)]
    return (
        f"| {n_queries} | {n_documents:,} | {np.mean(kept):.2f} | {cold:.1f} | {warm:.1f} | {best:.1f} | "
        f"{installed:.1f} | {ratios[1]:.1f} | {ratios[0]:.1f} | {encoder:.0f} | {share:.1%} |"
    )


def main() -> None:
    """Print a table of batches and sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few documents, one round")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    print(
        "| queries | documents | lists kept | cold, ms | warm, ms | faiss best, ms | faiss as installed, ms | "
        "best / warm | installed / warm | encoder's step, ms | search's share |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n_documents in (10_000,) if arguments.quick else (100_000, 1_000_000):
        for n_queries in (32,) if arguments.quick else (32, 64, 128):
            print(case(n_queries, n_documents, 1 if arguments.quick else arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
