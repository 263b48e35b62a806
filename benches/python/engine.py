"""The engine against itself and the machine: pruned against full width, two threads against one, packing, memory.

    python benches/python/engine.py [--rounds N] [--quick] [--record benches/record/KIND_engine.json]

Real vectors come from the folder that NEGMINE_DATA names, and isotropic ones are made. Ratios are medians over rounds
in which both sides take turns; in shares of the VNNI peak one side is the peak. A pruned index is warmed by one call,
which packs; what that costs is a row of its own. Answers of both sides are compared. `--quick` does it with 64 queries
and 4,000 documents, where no time is of use.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from search import QUICK, isotropic, real, synthetic

import negmine
from negmine import _native
from negmine.search.exact import TILE_ROWS

Side = Callable[[], object]


def forced(index: negmine.ExactIndex, pruned: int | None) -> negmine.ExactIndex:
    """The same index with the pruned pass off (0), forced to so many leading coordinates, or left to the chooser."""
    threads = index.threads(None)
    other = negmine.ExactIndex(index.corpus, metric=index.metric, num_threads=threads)
    # The only door to the number of leading coordinates is the native class.
    other._native = _native.ExactIndex(other._rows, other.metric, TILE_ROWS, None, threads, None, pruned)
    return other


def seconds(side: Side) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    side()
    return time.perf_counter() - begin


def turns(sides: list[Side], rounds: int) -> list[list[float]]:
    """Times of every side, taken in turn."""
    times: list[list[float]] = [[] for _ in sides]
    for round_number in range(rounds):
        for i in range(len(sides)):
            place = (i + round_number) % len(sides)
            times[place].append(seconds(sides[place]))
    return times


def ratio(a: list[float], b: list[float]) -> float:
    """Median of the rounds' ratios."""
    return median(x / y for x, y in zip(a, b, strict=True))


def with_peaks(sides: list[Side], rounds: int) -> tuple[list[list[float]], list[float]]:
    """Times of every side, and the seconds of an operation at the VNNI peak, taken in turn."""
    peaks: list[float] = []
    times = turns([*sides, lambda: peaks.append(1e-9 / _native.vnni_gops())], rounds)
    return times[:-1], peaks


def pruning(name: str, queries: np.ndarray, corpus: np.ndarray, rounds: int) -> dict[str, dict[str, float]]:
    """Print rows of the table of k, and return the shares of the VNNI peak by k."""
    shares: dict[str, dict[str, float]] = {}
    operations = 2.0 * queries.shape[0] * corpus.shape[0] * corpus.shape[1]
    for k in (1, 10, 100):
        index = negmine.ExactIndex(corpus, num_threads=1)
        full, chosen = forced(index, 0), forced(index, None)
        packing = seconds(lambda chosen=chosen, k=k: chosen.search(queries, k))
        # Calls add up until packing is predicted to pay.
        for _ in range(16):
            packing = max(packing, seconds(lambda chosen=chosen, k=k: chosen.search(queries, k)))
        assert (full.search(queries, k).indices == chosen.search(queries, k).indices).all()
        sides = [lambda full=full, k=k: full.search(queries, k), lambda chosen=chosen, k=k: chosen.search(queries, k)]
        (a, b), peaks = with_peaks(sides, rounds)
        share_a, share_b = (operations * ratio(peaks, times) for times in (a, b))
        packed = (chosen.nbytes + 0.0) / (4.0 * corpus.size)
        print(
            f"| {name} | {k} | {operations / median(a) / 1e9:.0f} ({share_a:.2f}) | "
            f"{operations / median(b) / 1e9:.0f} ({share_b:.2f}) | {ratio(a, b):.2f} | "
            f"{max(packing - median(b), 0.0):.2f} | {packed:.2f} |",
            flush=True,
        )
        shares[str(k)] = {"full": share_a, "chosen": share_b}
    return shares


def processor() -> str:
    """Return the name, family and model of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    names = ("model name", "cpu family", "model")
    return ", ".join(f"{name} {said[name]}" for name in names if name in said)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small arrays and one round")
    parser.add_argument("--record", type=Path, help="write the shares of this machine's peak as JSON")
    arguments = parser.parse_args()
    quick, rounds = arguments.quick, 1 if arguments.quick else arguments.rounds
    n_queries, n_documents = QUICK if quick else (2_000, 100_000)
    peaks = _native.peaks()
    print(f"{negmine.build_info()['isa']}, one core: {peaks}\n")

    print(f"{n_queries:,} queries x {n_documents:,} documents x 384, one thread, Gop/s (share of the VNNI peak)\n")
    print("| data | k | full width | as chosen | times full | packing s | bytes / float32 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    shares = {"real": pruning("real", *real(quick), rounds)}
    shares["isotropic"] = pruning("isotropic", *isotropic(n_queries, n_documents, 384), rounds)

    queries, corpus = synthetic(n_queries, n_documents, 768)
    pack = median(seconds(lambda: negmine.ExactIndex(corpus, num_threads=1)) for _ in range(3))
    index = forced(negmine.ExactIndex(corpus, num_threads=1), 0)
    (one, two), peaks_of_rounds = with_peaks(
        [lambda: index.search(queries, 10, num_threads=1), lambda: index.search(queries, 10, num_threads=2)], rounds
    )
    operations = 2.0 * len(queries) * corpus.size
    rate, share = operations / median(one) / 1e9, operations * ratio(peaks_of_rounds, one)
    print(f"\nclustered, {n_queries:,} x {n_documents:,} x 768, top-10: full width {rate:.0f} Gop/s on one thread,")
    print(f"{share:.2f} of the VNNI peak, {rate / peaks['f32_gflops']:.2f} of the float32 peak;")
    print(
        f"two threads are {ratio(one, two):.2f} times one; packing is {pack / (5 * median(one)):.3f} of 10,000 queries"
    )

    if arguments.record:
        build = negmine.build_info()
        record = {
            "processor": processor(),
            "caches": build["caches"],
            "isa": build["isa"],
            "peaks": peaks,
            "shares of the VNNI peak, width 384, by k": shares,
            "share of the VNNI peak, width 768, full": share,
        }
        arguments.record.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
