"""Orders and batches: against NumPy's and torch's permutation, and against sentence-transformers' hashed sampler.

    python benches/python/batches.py [--rounds N] [--large]

All on one thread, in one process; every peer that can be imported takes part. Rounds visit the peers in turn; a figure
is the median over rounds, a ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import negmine


def seconds(function: Callable[[], Any]) -> float:
    """Time one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def orders(n: int, rounds: int) -> None:
    """Print the table of permutations."""
    generator = np.random.default_rng(0)
    epochs = iter(range(rounds + 1))
    peers: dict[str, Callable[[], Any]] = {
        "negmine": lambda: negmine.epoch_permutation(n, seed=0, epoch=next(epochs)),
        "numpy": lambda: generator.permutation(n),
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        peers["torch"] = lambda: torch.randperm(n)
    peers["negmine"]()
    times = [{name: seconds(peer) for name, peer in peers.items()} for _ in range(rounds)]
    print(f"**Order of {n:,} rows**, {negmine.build_info()['isa']}; median of {rounds} rounds\n")
    print("| peer | seconds | x negmine |\n| --- | ---: | ---: |")
    for name in peers:
        ratio = median(round_[name] / round_["negmine"] for round_ in times)
        print(f"| {name} | {median(round_[name] for round_ in times):.4f} | {ratio:.1f} |")
    print()


def zipf(n: int, documents: int, exponent: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw triplets whose positives and negatives follow a power law."""
    weights = 1.0 / np.arange(1, documents + 1) ** exponent
    drawn = np.random.default_rng(seed).choice(documents, (2, n), p=weights / weights.sum())
    return np.arange(n), drawn[0], drawn[1]


def uniform(n: int, documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw triplets of uniform documents."""
    drawn = np.random.default_rng(seed).integers(0, documents, (2, n))
    return np.arange(n), drawn[0], drawn[1]


def one_id(n: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uniform triplets of which a share has one positive in common."""
    anchors, positives, negatives = uniform(n, n)
    positives[np.random.default_rng(1).random(n) < share] = 0
    return anchors, positives, negatives


def plans(rounds: int, large: bool) -> None:
    """Print the table of plans without duplicates."""
    cases = [
        ("20k rows, 2 ids Zipf(.8) of 10k", zipf(20_000, 10_000, 0.8)),
        ("50k rows, 2 ids of 50k", uniform(50_000, 50_000)),
        ("1M rows, 2 ids of 1M", uniform(1_000_000, 1_000_000)),
        ("1M rows, 2 ids Zipf(1) of 500k", zipf(1_000_000, 500_000, 1.0)),
        ("1M rows, 5 % share an id", one_id(1_000_000, 0.05)),
    ]
    if large:
        cases.append(("10M rows, 2 ids of 10M", uniform(10_000_000, 10_000_000)))
    print(
        "**Batches of 512 without duplicates** (strict, every row once, in smaller steps where ids need more of them)\n"
    )
    print("| data | plan, s | an epoch, s | steps | bound | hashed sampler, s | its rows | x negmine |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, columns in cases:
        n = len(columns[0])
        begin = time.perf_counter()
        plan = negmine.no_duplicate_plan(*columns, batch_size=512, strict=True, conflicts="extend", remainder="drop")
        built = time.perf_counter() - begin
        sampler = hashed(columns) if n <= 50_000 else None
        times = [seconds(partial(plan.epoch, epoch)) for epoch in range(rounds)]
        cells = ["", "", ""]
        if sampler is not None:
            begin = time.perf_counter()
            rows = {row for batch in sampler for row in batch}
            theirs = time.perf_counter() - begin
            cells = [f"{theirs:.2f}", f"{len(rows):,}", f"{theirs / median(times):.0f}"]
        figures = [f"{built:.3f}", f"{median(times):.4f}", f"{plan.steps:,}", f"{plan.lower_bound:,}", *cells]
        print(f"| {name} | {' | '.join(figures)} |", flush=True)


def hashed(columns: tuple[np.ndarray, ...]) -> Any:
    """Make sentence-transformers' sampler of the same rows, its hashes computed beforehand, if it is there."""
    try:
        import torch
        from datasets import Dataset, disable_progress_bars
        from sentence_transformers.base.sampler import NoDuplicatesBatchSampler
    except ImportError:
        return None
    disable_progress_bars()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    texts = [np.char.mod(prefix + " %d", ids) for prefix, ids in zip(("query", "text", "text"), columns, strict=True)]
    data = Dataset.from_dict(dict(zip(("anchor", "positive", "negative"), texts, strict=True)))
    sampler = NoDuplicatesBatchSampler(
        data, 512, drop_last=True, generator=torch.Generator(), seed=0, precompute_hashes=True, precompute_num_proc=1
    )
    sampler._build_hashes()
    return sampler


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="also plan 10 million rows (4 GB of memory)")
    arguments = parser.parse_args()
    orders(10_000_000, arguments.rounds)
    plans(arguments.rounds, arguments.large)


if __name__ == "__main__":
    main()
