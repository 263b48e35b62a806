"""TorchIndex against torch's own matrix product and top-k, in bfloat16 and in float32, on one device.

    python benches/python/torch_index.py [--device cuda] [--documents 1000000 10000000] [--k 10 100] [--quick]

Unit vectors around 1,000 centers are made on the device, block by block, and copied to the host, where the canonical
scores are computed: 4 bytes per coordinate, or 2 under `--dtype float16`. Rounds are interleaved, times are medians and
end with a synchronization of the device. The results of a sample of queries are compared with those of ExactIndex: the
script ends with an error where those of TorchIndex differ, and prints which share of the true documents the others
find. No case begins after `--seconds`. `--quick` takes few rows: its times mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import torch

import negmine
from negmine.torch import TorchIndex
from negmine.torch import index as torch_index

#: Rows made at once.
BLOCK = 1 << 16

#: Queries and documents of one product of the peers.
QUERIES, DOCUMENTS = 1024, 1 << 17

#: Queries that are compared with ExactIndex.
SAMPLE = 64


def blocks(n: int, width: int, device: torch.device, seed: int) -> Iterator[torch.Tensor]:
    """Yield float32 unit vectors."""
    generator = torch.Generator(device).manual_seed(0)
    centers = torch.randn(1000, width, generator=generator, device=device)
    generator.manual_seed(seed)
    for begin in range(0, n, BLOCK):
        count = min(BLOCK, n - begin)
        rows = torch.randn(count, width, generator=generator, device=device)
        rows += centers[torch.randint(1000, (count,), generator=generator, device=device)]
        yield torch.nn.functional.normalize(rows)


def on_host(n: int, width: int, device: torch.device, seed: int, dtype: torch.dtype) -> torch.Tensor:
    """Make rows in the memory of the host."""
    out = torch.empty(n, width, dtype=dtype)
    for i, rows in enumerate(blocks(n, width, device, seed)):
        out[i * BLOCK : i * BLOCK + len(rows)] = rows.to(dtype)
    return out


def top_k(queries: torch.Tensor, corpus: torch.Tensor, k: int) -> torch.Tensor:
    """Multiply and take the top-k, tile by tile; queries and corpus are on the device."""
    out = []
    for own in queries.split(QUERIES):
        scores = torch.empty(len(own), 0, device=own.device)
        rows = torch.empty(len(own), 0, dtype=torch.int64, device=own.device)
        for begin in range(0, len(corpus), DOCUMENTS):
            tile = corpus[begin : begin + DOCUMENTS]
            best, places = (own @ tile.t()).topk(min(k, len(tile)))
            scores, rows = torch.cat([scores, best.float()], 1), torch.cat([rows, places + begin], 1)
            scores, order = scores.topk(min(k, scores.shape[1]))
            rows = rows.gather(1, order)
        out.append(rows)
    return torch.cat(out).cpu()


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time one call, with all work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def case(documents: int, arguments: argparse.Namespace, deadline: float) -> None:
    """Print one table: every way to search one corpus, for every k."""
    device, width = torch.device(arguments.device), arguments.width
    dtype = getattr(torch, arguments.dtype)
    corpus = on_host(documents, width, device, 1, dtype)
    queries = on_host(arguments.queries, width, device, 2, dtype)
    begin = time.perf_counter()
    torch_index.DOCUMENTS_AT_ONCE = arguments.tile
    index = TorchIndex(corpus, device=device)
    built = time.perf_counter() - begin
    exact = negmine.ExactIndex(corpus)
    copies = {name: corpus.to(device, kind) for name, kind in PEERS.items() if name in arguments.peer}
    print(f"\n{arguments.queries} queries x {documents} documents x {width}; TorchIndex built in {built:.1f} s")
    print("| k | way | queries per second | TorchIndex / this way | true documents |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for k in arguments.k:
        if time.perf_counter() > deadline:
            print(f"k={k} left out: no time")
            continue
        ways: dict[str, Callable[[], object]] = {"TorchIndex": lambda k=k: index.search(queries, k)}
        for name, copy in copies.items():
            ways[name] = lambda k=k, copy=copy: top_k(queries.to(copy.device, copy.dtype), copy, k)
        true = exact.search(queries[:SAMPLE], k, dtype="float64")
        found = index.search(queries[:SAMPLE], k, dtype="float64")
        if not (np.array_equal(found.indices, true.indices) and np.array_equal(found.scores, true.scores)):
            sys.exit("TorchIndex differs from ExactIndex")
        shares = {"TorchIndex": 1.0}
        for name, copy in copies.items():
            rows = top_k(queries[:SAMPLE].to(copy.device, copy.dtype), copy, k).numpy()
            both = [len(np.intersect1d(a, b)) for a, b in zip(rows, true.indices, strict=True)]
            shares[name] = sum(both) / true.indices.size
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(1 + arguments.rounds):
            for name, work in ways.items():
                times[name].append(seconds(work, device))
        # The first round warms up.
        times = {name: own[1:] for name, own in times.items()}
        for name, own in times.items():
            ratio = median(a / b for a, b in zip(times["TorchIndex"], own, strict=True))
            speed = arguments.queries / median(own)
            print(f"| {k} | {name} | {speed:.0f} | {ratio:.2f} | {shares[name]:.4f} |", flush=True)


PEERS = {"bfloat16 + topk": torch.bfloat16, "float32 + topk": torch.float32}


def main() -> None:
    """Print the machine and a table per corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--documents", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--queries", type=int, default=4096)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32", help="of the rows on the host")
    parser.add_argument("--peer", choices=list(PEERS), nargs="*", default=list(PEERS))
    parser.add_argument("--tile", type=int, default=torch_index.DOCUMENTS_AT_ONCE, help="documents multiplied at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--quick", action="store_true", help="few rows and one round: only the results are of use")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.documents, arguments.queries, arguments.width, arguments.rounds = [4_000], 64, 96, 1
    deadline = time.perf_counter() + arguments.seconds
    # Products in float32 are those of float32, not of TF32.
    torch.set_float32_matmul_precision("highest")
    device = torch.device(arguments.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{card}, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}, negmine {negmine.__version__}")
    print(f"clustered unit vectors in {arguments.dtype}, cosine, tiles of {arguments.tile}, {arguments.rounds} rounds")
    for documents in arguments.documents:
        if time.perf_counter() > deadline:
            print(f"{documents} documents left out: no time")
            continue
        case(documents, arguments, deadline)


if __name__ == "__main__":
    main()
