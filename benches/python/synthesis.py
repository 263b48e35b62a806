"""Oversampling against imbalanced-learn, and imbalanced-learn with ExactNeighbors against itself, in one process.

    pip install imbalanced-learn
    python benches/python/synthesis.py [--rounds N] [--rows N] [--width N] [--threads N]

Two classes, of which one has a tenth of the rows and is made as large as the other. Rows are float32, which is the
faster type for scikit-learn's search too; both sides have the same number of threads. Rounds visit the samplers in a
shuffled order; a figure is the median over rounds, a ratio the median of the rounds' ratios. With one thread, figures
are CPU time, which a busy machine spoils least; with more, wall time. The load of others is the share of the
processors' time that was not this process's.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from harness import busy
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE
from threadpoolctl import threadpool_limits

from negmine.integrations.sklearn import ExactNeighbors
from negmine.synthesis import oversample

#: The bars: times the speed of imbalanced-learn.
BARS = {"smote": 4.0, "borderline1": 10.0, "borderline2": 10.0, "adasyn": 10.0}


def data(n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Make clustered rows; a tenth is rare, mostly in a few clusters and next to others."""
    draw = np.random.default_rng(0)
    centers = draw.standard_normal((200, width))
    cluster = draw.integers(200, size=n)
    X = (centers[cluster] + 0.7 * draw.standard_normal((n, width))).astype(np.float32)
    order = np.argsort(draw.random(n) + (cluster >= 40), kind="stable")
    y = np.zeros(n, dtype=np.int64)
    y[order[: n // 10]] = 1
    return X, y


def peers(threads: int) -> dict[str, Callable[[], Any]]:
    """Make a sampler of imbalanced-learn for each kind, with its own neighbors and with negmine's."""
    options = {"random_state": 0}

    def exact(n: int) -> ExactNeighbors:
        return ExactNeighbors(n + 1, n_jobs=threads)

    return {
        "smote": lambda: SMOTE(**options),
        "smote, ExactNeighbors": lambda: SMOTE(k_neighbors=exact(5), **options),
        "borderline1": lambda: BorderlineSMOTE(kind="borderline-1", **options),
        "borderline1, ExactNeighbors": lambda: BorderlineSMOTE(
            kind="borderline-1", k_neighbors=exact(5), m_neighbors=exact(10), **options
        ),
        "borderline2": lambda: BorderlineSMOTE(kind="borderline-2", **options),
        "adasyn": lambda: ADASYN(**options),
        "adasyn, ExactNeighbors": lambda: ADASYN(n_neighbors=exact(5), **options),
    }


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few rows and one round: shows that everything runs")
    options = parser.parse_args()
    n, rounds = (4_000, 1) if options.quick else (options.rows, options.rounds)
    with threadpool_limits(options.threads):
        measure(n, options.width, options.threads, rounds)


def measure(n: int, width: int, threads: int, rounds: int) -> None:
    """Print the table of speeds."""
    X, y = data(n, width)
    calls: dict[str, Callable[[], int]] = {}
    for name, make in peers(threads).items():
        calls[f"imbalanced-learn {name}"] = lambda make=make: len(make().fit_resample(X, y)[0]) - n  # type: ignore[misc]
    for kind in BARS:
        calls[f"negmine {kind}"] = lambda kind=kind: len(oversample(X, y, kind=kind, num_threads=threads).X)  # type: ignore[misc]
    kinds = tuple(BARS)
    calls["negmine all four"] = lambda: sum(
        len(made.X) for made in oversample(X, y, kind=kinds, num_threads=threads).values()
    )
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    rows = {name: call() for name, call in calls.items()}
    clock = time.process_time if threads == 1 else time.perf_counter
    others = []
    for _ in range(rounds):
        names = list(calls)
        random.shuffle(names)
        before, own = busy(), time.process_time()
        for name in names:
            begin = clock()
            calls[name]()
            seconds[name].append(clock() - begin)
        after, used = busy(), time.process_time() - own
        ticks = os.sysconf("SC_CLK_TCK")
        others.append(((after[0] - before[0]) / ticks - used) / max((after[1] - before[1]) / ticks, 1e-9))
    made = rows["negmine smote"]
    print(
        f"{n:,} rows x {width}, {made:,} made, {threads} threads, {'CPU' if threads == 1 else 'wall'} time, "
        f"median of {rounds} rounds; load of others "
        f"{max(others):.0%} of the processors at most\n"
    )
    print("| sampler | seconds | rows | own search / this | this / negmine | bar |")
    print("| --- | --: | --: | --: | --: | --- |")
    for name, times in seconds.items():
        kind = name.split(" ", 1)[1].partition(",")[0]
        own_search = adapter = verdict = ""
        if name.endswith("ExactNeighbors"):
            own_search = f"{ratio(seconds[f'imbalanced-learn {kind}'], times):.2f}"
        if name.startswith("imbalanced-learn"):
            value = ratio(times, seconds[f"negmine {kind}"])
            adapter = f"{value:.2f}"
            if not own_search:
                verdict = f"{BARS[kind]:.0f}: {'reached' if value >= BARS[kind] else 'missed'}"
        print(f"| {name} | {median(times):.3f} | {rows[name]:,} | {own_search} | {adapter} | {verdict} |")


def ratio(times: list[float], others: list[float]) -> float:
    """Median of the rounds' ratios."""
    return median(a / b for a, b in zip(times, others, strict=True))


if __name__ == "__main__":
    main()
