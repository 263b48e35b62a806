"""A sharded corpus far larger than `memory_limit`: resident memory, Ctrl-C, and the rate against that of the disk.

Writes ``--gib`` of float32 shards, packs them, and searches them in children under ``--limit`` GiB. Before every search
the files leave the system's cache, so that the disk is read. The figures are: resident memory of a child (VmHWM), the
time from SIGINT to the exception while shards are packed and while they are searched, the time of a search against
reading the packs alone, sequentially, and the equality with a search of every shard by itself. Linux only; needs 1.3
times ``--gib`` of disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import negmine

GIB = 1 << 30

#: Bytes beyond `memory_limit` that a child may take: Python, NumPy, threads and allocators.
ALLOWANCE = GIB // 2

#: Seconds from the signal to the exception.
LATENCY = 0.5

#: Queries of the searches whose rate counts, which the disk limits, and of the one that is compared shard by shard.
FEW, COMPARED = 96, 8

K, WIDTH, CENTERS = 10, 384, 2000


def write(folder: Path, gib: float, n_shards: int) -> None:
    """Write shards of rows around random centers, the first ones of uneven sizes."""
    total = int(gib * GIB / (4 * WIDTH))
    cuts = np.linspace(0, total, n_shards + 1).astype(np.int64)
    cuts[1:-1] += np.arange(n_shards - 1) * 7
    centers = np.random.default_rng(0).standard_normal((CENTERS, WIDTH), dtype=np.float32)
    for i, n in enumerate(np.diff(cuts).tolist()):
        rng = np.random.Generator(np.random.SFC64(i))
        path = folder / f"shard-{i:03}.npy"
        shard = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, WIDTH))
        for begin in range(0, n, 1 << 16):
            end = min(begin + (1 << 16), n)
            rows = rng.standard_normal((end - begin, WIDTH), dtype=np.float32)
            rows += centers[rng.integers(CENTERS, size=end - begin)]
            shard[begin:end] = rows
        del shard
        forget([path])


def make_queries(n: int) -> np.ndarray:
    """Return queries around the same centers."""
    rng = np.random.default_rng(1)
    centers = np.random.default_rng(0).standard_normal((CENTERS, WIDTH), dtype=np.float32)
    noise = rng.standard_normal((n, WIDTH), dtype=np.float32)
    return centers[rng.integers(CENTERS, size=n)] + noise


def forget(paths: list[Path]) -> None:
    """Write files to the disk and drop them from the system's cache."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def rate_of_disk(paths: list[Path]) -> float:
    """Read files one after the other, and return the bytes per second."""
    forget(paths)
    buffer, begun, n_bytes = bytearray(8 << 20), time.perf_counter(), 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while n := file.readinto(buffer):
                n_bytes += n
    return n_bytes / (time.perf_counter() - begun)


def resident() -> float:
    """Return the highest resident memory of this process so far, in GiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / (1 << 20) for line in status if line.startswith("VmHWM"))


def child(folder: Path, limit: int, n_queries: int, result: Path) -> None:
    """Open the index and search; print what it took, or when it was interrupted."""
    # A background shell starts processes that ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        print("begins", flush=True)
        begun = time.perf_counter()
        index = negmine.ShardedIndex(folder, memory_limit=limit)
        opened = time.perf_counter() - begun
        plan = index.plan(n_queries, K) if n_queries else None
        print(f"  opened in {opened:.1f} s: {index}", flush=True)
        if plan is not None:
            files = [file for shard in index.shards for file in (shard.path, shard.pack)]
            forget(files)
            queries, before = make_queries(n_queries), index.reads
            begun = time.perf_counter()
            found = index.search(queries, K, dtype="float64")
            seconds = time.perf_counter() - begun
            packs = index.reads.pack_bytes - before.pack_bytes
            row_bytes = index.reads.row_bytes - before.row_bytes
            print(
                f"  {n_queries} queries in {seconds:.1f} s, {plan.seconds:.1f} s predicted; {plan.passes} passes, "
                f"{packs / GIB:.2f} GiB of packs and {row_bytes / GIB:.3f} GiB of rows"
            )
            print(f"  as many bytes of packs per second: {packs / seconds / 1e6:.0f} MB/s")
            np.savez(result, indices=found.indices, scores=found.scores, rate=packs / seconds)
    except KeyboardInterrupt:
        print("interrupted", time.time(), flush=True)
    print(f"  resident memory {resident():.2f} GiB", flush=True)


def run(args: argparse.Namespace, n_queries: int) -> None:
    """Run a child to its end."""
    command = [sys.executable, __file__, "--folder", str(args.folder), "--limit", str(args.limit)]
    out = subprocess.run([*command, "--child", str(n_queries)], capture_output=True, text=True, check=True).stdout
    print(out.removeprefix("begins\n"), end="")
    memory = float(out.split("resident memory ")[1].split()[0])
    if memory > args.limit + ALLOWANCE / GIB:
        sys.exit(f"{memory} GiB were resident under a limit of {args.limit} GiB")


def interrupt(args: argparse.Namespace, n_queries: int, after: float) -> None:
    """Send Ctrl-C to a child that is under way."""
    command = [sys.executable, __file__, "--folder", str(args.folder), "--limit", str(args.limit)]
    running = subprocess.Popen([*command, "--child", str(n_queries)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    line = running.stdout.readline()
    while n_queries and "opened" not in line:
        line = running.stdout.readline()
    time.sleep(after)
    sent = time.time()
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    if "interrupted" not in out:
        sys.exit("the call was over before the signal came")
    latency = float(out.split("interrupted ")[1].split()[0]) - sent
    print(f"  Ctrl-C after {after} s ended it in {latency:.3f} s")
    if latency > LATENCY:
        sys.exit(f"{latency} s are more than {LATENCY} s")


def compare(folder: Path, result: Path) -> None:
    """Search every shard by itself, and merge."""
    queries, scores, indices, offset = make_queries(COMPARED), [], [], 0
    for path in sorted(folder.glob("*.npy")):
        rows = np.load(path, mmap_mode="r")
        found = negmine.ExactIndex(rows, memory_limit=GIB // 2).search(queries, K, dtype="float64")
        scores.append(found.scores)
        indices.append(found.indices + offset)
        offset += len(rows)
    joined, rows = np.concatenate(scores, axis=1), np.concatenate(indices, axis=1)
    order = np.lexsort((rows, -joined))[:, :K]
    answer = np.load(result)
    same = np.array_equal(np.take_along_axis(rows, order, 1), answer["indices"])
    same = same and np.array_equal(np.take_along_axis(joined, order, 1), answer["scores"])
    print(f"  {COMPARED} queries equal the merge of a search of each shard: {same}")
    if not same:
        sys.exit("the answers differ")


def main() -> None:
    """Measure; the corpus is deleted afterwards."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gib", type=float, default=2.0)
    parser.add_argument("--limit", type=float, default=0.25, help="memory_limit in GiB")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", type=int)
    args = parser.parse_args()
    if args.child is not None:
        child(args.folder, int(args.limit * GIB), args.child, args.folder / "result.npz")
        return
    parent = args.folder
    args.folder = Path(tempfile.mkdtemp(prefix="negmine-shards-", dir=parent))
    try:
        begun = time.perf_counter()
        write(args.folder, args.gib, n_shards=max(7, int(args.gib)))
        print(f"{args.gib} GiB of shards written in {time.perf_counter() - begun:.0f} s; limit {args.limit} GiB")
        print("packing")
        interrupt(args, 0, after=1.0)
        forget(list(args.folder.glob("*.npy")))
        run(args, 0)
        packs = sorted(args.folder.glob("*.negmine-pack"))
        disk = rate_of_disk(packs)
        print(
            f"the disk alone reads {sum(path.stat().st_size for path in packs) / GIB:.2f} GiB at {disk / 1e6:.0f} MB/s"
        )
        for n_queries in (COMPARED, FEW, args.queries):
            print(f"searching, {n_queries} queries")
            run(args, n_queries)
            if n_queries == COMPARED:
                compare(args.folder, args.folder / "result.npz")
            if n_queries == FEW:
                disk = max(disk, rate_of_disk(packs))
                share = float(np.load(args.folder / "result.npz")["rate"]) / disk
                print(f"  {share:.2f} of the disk's own rate")
        interrupt(args, args.queries, after=2.0)
    finally:
        shutil.rmtree(args.folder)


if __name__ == "__main__":
    main()
