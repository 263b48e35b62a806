"""InfoNCE over a bank of documents, forward and backward, against torch's form that holds all scores.

    python benches/python/losses.py [--rounds 7] [--quick]

64 queries of width 384 against banks of up to a million rows. Time: `bank` and cross entropy of `queries @ bank.T`
take turns in one process, with one thread; a ratio is the median of the rounds' ratios. Memory: each size in a process
of its own, the highest resident memory of a step beyond that before it, where the bank and the gradient of the queries
stand already. The gradients of both forms must be equal.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from negmine.torch.losses import bank

N_QUERIES, WIDTH, TEMPERATURE = 64, 384, 0.05

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def streamed(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """Loss of the library."""
    return bank(queries, documents, torch.arange(len(queries)), temperature=TEMPERATURE)


def dense(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """Loss as it is usually written."""
    scores = queries @ documents.T / TEMPERATURE
    return torch.nn.functional.cross_entropy(scores, torch.arange(len(queries)))


def problem(n_documents: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors; the queries need a gradient."""
    torch.manual_seed(0)
    rows = [torch.nn.functional.normalize(torch.randn(n, WIDTH)) for n in (N_QUERIES, n_documents)]
    return rows[0].requires_grad_(), rows[1]


def gradient(step: Step, queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """Run a step, and return the gradient of the queries."""
    (found,) = torch.autograd.grad(step(queries, documents), queries)
    return found


def seconds(step: Step, queries: torch.Tensor, documents: torch.Tensor) -> float:
    """Time a step, repeated to a length that the clock can measure."""
    runs, begin = 0, time.perf_counter()
    while runs == 0 or time.perf_counter() - begin < 0.15:
        gradient(step, queries, documents)
        runs += 1
    return (time.perf_counter() - begin) / runs


def megabytes(step: Step, n_documents: int) -> float:
    """Return the memory of a step beyond the bank and the gradient, in MB."""
    torch.set_num_threads(1)
    queries, documents = problem(n_documents)
    # A small step first: what torch allocates once is not memory of the loss.
    gradient(step, queries, documents[: 2 * N_QUERIES])
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmRSS")
    gradient(step, queries, documents)
    return resident("VmHWM") - before


def resident(name: str) -> float:
    """Return a line of the process's status, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def main() -> None:
    """Print memory and time by the size of the bank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small banks, one round")
    arguments = parser.parse_args()
    sizes = (1_000, 4_000) if arguments.quick else (1_000, 10_000, 100_000, 1_000_000)
    rounds = 1 if arguments.quick else arguments.rounds
    torch.set_num_threads(1)
    print("| rows | bank, ms | dense, ms | dense / bank | memory of bank, MB | of dense, MB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for n_documents in sizes:
        queries, documents = problem(n_documents)
        torch.testing.assert_close(
            gradient(streamed, queries, documents), gradient(dense, queries, documents), rtol=1e-3, atol=1e-6
        )
        times = [[seconds(step, queries, documents) for step in (streamed, dense)] for _ in range(rounds)]
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            memory = pool.starmap(megabytes, [(step, n_documents) for step in (streamed, dense)], chunksize=1)
        own, other = (1e3 * median(column) for column in zip(*times, strict=True))
        ratio = median(b / a for a, b in times)
        print(f"| {n_documents:,} | {own:.2f} | {other:.2f} | {ratio:.2f} | {memory[0]:.1f} | {memory[1]:.1f} |")


if __name__ == "__main__":
    main()
