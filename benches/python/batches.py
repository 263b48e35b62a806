"""Orders, batches and masks: against NumPy's and torch's permutation, Grain's index shuffle, and sentence-transformers.

    python benches/python/batches.py [--rounds N] [--large] [--quick]

All on one thread, in one process; every peer that can be imported takes part. Rounds visit the peers in turn; a figure
is the median over rounds of the thread's own time, a ratio the median of the rounds' ratios.
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
from negmine.batches import (
    BatchPlan,
    class_balanced_plan,
    cluster_plan,
    epoch_permutation,
    false_negative_mask,
    false_negative_pairs,
    mixture_plan,
    no_duplicate_plan,
    topic_plan,
)


def seconds(function: Callable[[], Any]) -> float:
    """Time one call, on this thread's own clock: others may use the machine."""
    begin = time.thread_time()
    function()
    return time.thread_time() - begin


def orders(n: int, rounds: int) -> None:
    """Print the table of permutations."""
    generator = np.random.default_rng(0)
    epochs = iter(range(rounds + 1))
    peers: dict[str, Callable[[], Any]] = {
        "negmine": lambda: epoch_permutation(n, seed=0, epoch=next(epochs)),
        "numpy": lambda: generator.permutation(n),
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        peers["torch"] = lambda: torch.randperm(n)
    few = n // 50
    shuffle = grain_shuffle()
    if shuffle is not None:
        # One call an index: a part is timed and scaled up.
        peers["grain, one call an index"] = lambda: [shuffle(x, n - 1, 0, 4) for x in range(few)]
    scale = {"grain, one call an index": n / few}
    peers["negmine"]()
    times = [{name: seconds(peer) * scale.get(name, 1) for name, peer in peers.items()} for _ in range(rounds)]
    print(f"**Order of {n:,} rows**, {negmine.build_info()['isa']}; median of {rounds} rounds\n")
    print("| peer | seconds | x negmine |\n| --- | ---: | ---: |")
    for name in peers:
        ratio = median(round_[name] / round_["negmine"] for round_ in times)
        print(f"| {name} | {median(round_[name] for round_ in times):.4f} | {ratio:.1f} |")
    print()


def grain_shuffle() -> Callable[[int, int, int, int], int] | None:
    """Find Grain's shuffled position of an index, if it is there."""
    try:
        from grain._src.python.experimental.index_shuffle.python import index_shuffle_module
    except ImportError:
        return None
    found: Callable[[int, int, int, int], int] = index_shuffle_module.index_shuffle
    return found


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


def plans(rounds: int, large: bool, shrink: int) -> None:
    """Print the table of plans without duplicates."""
    million = 1_000_000 // shrink
    cases = [
        ("20k rows, 2 ids Zipf(.8) of 10k", zipf(20_000, 10_000, 0.8)),
        ("50k rows, 2 ids of 50k", uniform(50_000, 50_000)),
        ("1M rows, 2 ids of 1M", uniform(million, million)),
        ("1M rows, 2 ids Zipf(1) of 500k", zipf(million, million // 2, 1.0)),
        ("1M rows, 5 % share an id", one_id(million, 0.05)),
    ]
    if large:
        cases.append(("10M rows, 2 ids of 10M", uniform(10 * million, 10 * million)))
    print(
        "**Batches of 512 without duplicates** (strict, every row once, in smaller steps where ids need more of them)\n"
    )
    print("| data | plan, s | an epoch, s | steps | bound | hashed sampler, s | its rows | x negmine |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, columns in cases:
        n = len(columns[0])
        begin = time.thread_time()
        plan = no_duplicate_plan(*columns, batch_size=512, strict=True, conflicts="extend", remainder="drop")
        built = time.thread_time() - begin
        sampler = hashed(columns) if n <= 50_000 else None
        times = [seconds(partial(plan.epoch, epoch)) for epoch in range(rounds)]
        cells = ["", "", ""]
        if sampler is not None:
            begin = time.thread_time()
            rows = {row for batch in sampler for row in batch}
            theirs = time.thread_time() - begin
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


def ways_out(rounds: int, shrink: int) -> None:
    """Print what batches are where ids need more steps than rows fill."""
    print("\n**The same where ids need more steps than rows fill**, by `conflicts`\n")
    print("| data | conflicts | plan, s | an epoch, s | batches | rows used | pairs left | beyond an even share |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    cases = [
        ("20k rows, 2 ids Zipf(.8) of 10k", zipf(20_000, 10_000, 0.8)),
        ("1M rows, 5 % share an id", one_id(1_000_000 // shrink, 0.05)),
    ]
    for name, columns in cases:
        for conflicts in ("extend", "drop", "spread"):
            begin = time.thread_time()
            plan = no_duplicate_plan(*columns, batch_size=512, strict=True, conflicts=conflicts, remainder="drop")
            built = time.thread_time() - begin
            times = [seconds(partial(plan.epoch, epoch)) for epoch in range(rounds)]
            report = plan.epoch_report(1)
            used = 100 * (1 - plan.report["left_out"] / plan.n_rows)
            figures = [f"{built:.3f}", f"{median(times):.4f}", f"{len(plan):,}", f"{used:.1f} %"]
            counted = [f"{report['conflicting_pairs']:,}", f"{report['excess']:,}"]
            print(f"| {name} | {conflicts} | {' | '.join(figures + counted)} |", flush=True)


def compared(positives: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Compare every positive of every query with every document."""
    return (positives[:, :, None] == documents).any(axis=1)


def others(rounds: int, shrink: int) -> None:
    """Print the other plans, and masks."""
    n, size = 1_000_000 // shrink, 512
    labels = np.random.default_rng(0).permutation(n) // 64
    classes = np.random.default_rng(0).integers(0, 1_000 // shrink, n)
    documents = np.random.default_rng(0).integers(0, n, (n, 3))
    positives = negmine.Positives.from_lists(documents[:20_000].tolist())
    work: dict[str, Callable[[], BatchPlan]] = {
        "clusters of 64": lambda: cluster_plan(labels, batch_size=size),
        "the same in the order of the tree": lambda: cluster_plan(
            labels, batch_size=size, order="tree", batches_per_step=4
        ),
        "topics": lambda: topic_plan(labels, batch_size=size),
        "8 of each of 64 classes": lambda: class_balanced_plan(classes, batch_size=size, per_class=8),
        "a mixture of 10 sources": lambda: mixture_plan([n // 10] * 10, batch_size=size),
    }
    print(f"\n**Plans of {n:,} rows, batches of {size}**\n")
    print("| plan | built, s | an epoch, s | one batch of it, µs |\n| --- | ---: | ---: | ---: |")
    for name, make in work.items():
        begin = time.thread_time()
        plan = make()
        built = time.thread_time() - begin
        epochs = [seconds(partial(plan.epoch, epoch)) for epoch in range(rounds)]
        plan.batch(0, 0)
        batches = [seconds(partial(plan.batch, 0, index)) for index in range(min(len(plan), 500))]
        print(f"| {name} | {built:.3f} | {median(epochs):.4f} | {median(batches) * 1e6:.0f} |", flush=True)
    print("\n**In-batch masks**, 3 positives a query\n")
    print("| batch | mask, ms | lists, ms | NumPy, by comparing all pairs, ms |\n| --- | ---: | ---: | ---: |")
    for size in (512, 4_096):
        queries = np.arange(size)
        rows = documents[:size, 0]
        listed = documents[:size]
        ours = [seconds(partial(false_negative_mask, queries, rows, positives)) for _ in range(rounds)]
        lists = [seconds(partial(false_negative_pairs, queries, rows, positives)) for _ in range(rounds)]
        pairs = [seconds(partial(compared, listed, rows)) for _ in range(min(rounds, 3))]
        if not (false_negative_mask(queries, rows, positives) == compared(listed, rows)).all():
            raise SystemExit("the masks differ")
        figures = " | ".join(f"{median(times) * 1e3:.2f}" for times in (ours, lists, pairs))
        print(f"| {size:,} x {size:,} | {figures} |", flush=True)


def samplers(rounds: int, shrink: int) -> None:
    """Print sentence-transformers' samplers of classes and of several data sets beside ours."""
    try:
        import torch
        from datasets import Dataset, disable_progress_bars
        from sentence_transformers.base.sampler import (
            DefaultBatchSampler,
            GroupByLabelBatchSampler,
            ProportionalBatchSampler,
        )
        from torch.utils.data import BatchSampler, ConcatDataset, SubsetRandomSampler
    except ImportError:
        return
    disable_progress_bars()
    n, size = 200_000 // shrink, 512
    classes = np.random.default_rng(0).integers(0, 1_000 // shrink, n)
    data = Dataset.from_dict({"text": ["x"] * n, "label": classes})

    class Shuffled(DefaultBatchSampler):
        """Batches of a data set in random order, as the trainer's default."""

        def __init__(self, dataset: Any) -> None:
            BatchSampler.__init__(self, SubsetRandomSampler(range(len(dataset))), size, drop_last=True)

    parts = [data.select(range(i * n // 10, (i + 1) * n // 10)) for i in range(10)]
    options = {"batch_size": size, "drop_last": True, "generator": torch.Generator(), "seed": 0}
    theirs = {
        "classes": lambda: list(GroupByLabelBatchSampler(data, valid_label_columns=["label"], **options)),
        "mixture of 10": lambda: list(
            ProportionalBatchSampler(ConcatDataset(parts), [Shuffled(part) for part in parts], torch.Generator(), 0)
        ),
    }
    ours = {
        "classes": lambda: class_balanced_plan(classes, batch_size=size, per_class=8).epoch(0),
        "mixture of 10": lambda: mixture_plan([n // 10] * 10, batch_size=size).epoch(0),
    }
    print(f"\n**Plan and one epoch of {n:,} rows, batches of {size}**\n")
    print("| batches of | sentence-transformers, s | negmine, s | ratio |\n| --- | ---: | ---: | ---: |")
    for name in ours:
        times = [(seconds(theirs[name]), seconds(ours[name])) for _ in range(min(rounds, 5))]
        ratio = median(a / b for a, b in times)
        print(f"| {name} | {median(a for a, _ in times):.3f} | {median(b for _, b in times):.4f} | {ratio:.0f} |")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="also plan 10 million rows (4 GB of memory)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows of large cases, one round")
    arguments = parser.parse_args()
    rounds, shrink = (1, 10) if arguments.quick else (arguments.rounds, 1)
    orders(10_000_000 // shrink, rounds)
    plans(rounds, arguments.large, shrink)
    ways_out(rounds, shrink)
    others(rounds, shrink)
    samplers(rounds, shrink)


if __name__ == "__main__":
    main()
