"""What the process tests run in processes of their own, so that a hang can be killed and seen.

`children.py start METHOD REPEATS` searches with two threads and then in REPEATS children started by METHOD.
`children.py nested` searches an index inside `progress` while the index prepares something.
`children.py interrupt CALL` makes a call that lasts far longer than anyone waits and reports how it ended.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from typing import Any

import numpy as np

import negmine
from negmine._core.calls import resolve_num_threads

SECONDS = 30  # what one child may take


def search() -> tuple[list[list[int]], list[list[int]]]:
    """Search and mine a little, with two threads."""
    rng = np.random.default_rng(0)
    corpus, queries = rng.standard_normal((2000, 32)), rng.standard_normal((40, 32))
    index = negmine.ExactIndex(corpus, num_threads=2)
    found = index.search(queries, 5)
    miner = negmine.HardNegativeMiner(3, sampling="random", num_random=2, absolute_margin=0.0)
    negatives = miner.mine(index, queries, [[i] for i in range(40)], num_threads=2)
    return found.indices.tolist(), negatives.indices.tolist()


def report(connection: Any) -> None:
    """Do in a child what the parent did, and send it home."""
    connection.send(search())
    connection.close()


class ThreadCounts:
    """Items of a DataLoader: the threads that a call would use by default, and when it asks for two."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: int) -> tuple[int, int]:
        search()
        return resolve_num_threads(None), resolve_num_threads(2)


def start(method: str, repeats: int) -> None:
    """Search here, then in children, one after the other."""
    expected = search()
    context: Any = multiprocessing.get_context(method)
    for number in range(repeats):
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=report, args=(there,))
        child.start()
        there.close()
        answer = here.recv() if here.poll(SECONDS) else None
        child.join(SECONDS)
        if child.is_alive() or answer != expected or child.exitcode != 0:
            code = child.exitcode
            child.kill()
            sys.exit(
                f"{method} child {number}: exit code {code}, answer {answer if answer != expected else 'as expected'}"
            )
    print(f"{repeats} of {repeats}")


def interrupt(call: str) -> None:
    """Make a long call; say when it is under way, and how it ended."""
    rng = np.random.default_rng(0)
    corpus = rng.standard_normal((200_000, 128), dtype=np.float32)
    queries = np.broadcast_to(corpus[:1000], (500, 1000, 128)).reshape(-1, 128)
    index = negmine.ExactIndex(corpus, num_threads=2)
    under_way = False

    def progress(done: int, total: int) -> None:
        nonlocal under_way
        if not under_way:
            under_way = True
            print("under way", done < total, flush=True)

    try:
        if call == "search":
            index.search(queries, 1, progress=progress)
        elif call == "stream":
            streamed = negmine.ExactIndex(corpus, memory_limit=40_000_000, num_threads=2)
            assert streamed.plan(len(queries), 1).passes > 0
            streamed.search(queries, 1, progress=progress)
        elif call == "build":
            # One row over and over: nothing is read from memory, and nothing is kept.
            rows = np.broadcast_to(corpus[:1], (1_000_000_000, 128))
            negmine.ExactIndex(rows, memory_limit=8_000_000, num_threads=2, progress=progress)
        else:
            miner = negmine.HardNegativeMiner(2, absolute_margin=0.1)
            positives = negmine.Positives.from_csr(np.arange(len(queries) + 1), np.zeros(len(queries), dtype=np.int64))
            miner.mine(index, queries, positives, progress=progress)
    except KeyboardInterrupt:
        print("interrupted", time.time(), flush=True)
        again = index.search(queries[:2], 3).indices.tolist()
        print("and usable", [row[0] for row in again], flush=True)
        sys.exit(0)
    sys.exit("the call was over before the signal came")


def nested() -> None:
    """Search an index inside ``progress`` while a search prepares pruning, where memory has no room for both."""
    rng = np.random.default_rng(0)
    corpus = rng.standard_normal((17_000, 512), dtype=np.float32) * np.exp(-np.arange(512, dtype=np.float32) / 10)
    queries = corpus[np.arange(60_000) % 17_000]
    index = negmine.ExactIndex(corpus, memory_limit=34_500_000)
    plans = [index.plan(len(queries), 1, num_threads=1), index.plan(96, 200, num_threads=1)]
    assert plans[0].pruned_bytes > 0 == plans[1].pruned_bytes
    finished: list[int] = []

    class Enough(Exception):
        pass

    def progress(done: int, total: int) -> None:
        finished.append(done)
        if len(finished) == 3:
            raise Enough
        print(index.search(queries[:96], 200, num_threads=1).indices[:2, 0].tolist(), flush=True)

    try:
        index.search(queries, 1, progress=progress, num_threads=1)
    except Enough:
        print("preparing", finished[0] == 0, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "start":
        start(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "nested":
        nested()
    else:
        interrupt(sys.argv[2])
