"""DataLoaders in a process of their own, so that a hang can be killed and seen.

`loaders.py METHOD PERSISTENT REPEATS [busy]` searches with two threads, then reads two epochs through two workers that
search as well; that many times. With `busy`, another thread is inside a search whenever workers start.
"""

from __future__ import annotations

import sys
import threading

import numpy as np
from torch.utils.data import DataLoader, Dataset

import negmine
from shuffled import PLAN, make

SECONDS = 180  # what a worker may take for a batch, its start on a loaded machine included

RNG = np.random.default_rng(0)
# Large enough that a search is not done by the calling thread alone.
CORPUS, QUERIES = RNG.standard_normal((4000, 32)), RNG.standard_normal((200, 32))


def search() -> int:
    """Search with two threads; return a number that tells the answer."""
    found = negmine.ExactIndex(CORPUS, num_threads=2).search(QUERIES, 5)
    return int(found.indices.sum())


class Searched(Dataset[int]):
    """The number of a row, plus the answer of a search that its worker makes."""

    def __len__(self) -> int:
        return PLAN.n_rows

    def __getitems__(self, rows: list[int]) -> list[int]:
        answer = search()
        return [row + answer for row in rows]


class Busy(threading.Thread):
    """Searches without end until told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stop, self.inside = threading.Event(), threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            self.inside.set()
            search()


def read(method: str, persistent: bool, busy: bool) -> None:
    """Read two epochs and check every row."""
    answer = search()
    other = Busy() if busy else None
    if other is not None:
        other.start()
        assert other.inside.wait(SECONDS)
    loader = DataLoader(
        Searched(),
        batch_sampler=make(),
        num_workers=2,
        persistent_workers=persistent,
        multiprocessing_context=method,
        timeout=SECONDS,
    )
    for epoch in (0, 1):
        rows = [(batch - answer).tolist() for batch in loader]
        assert rows == [PLAN.batch(epoch, index).tolist() for index in range(len(PLAN))], rows
    if other is not None:
        other.stop.set()
        other.join(SECONDS)
        assert not other.is_alive()


if __name__ == "__main__":
    method, persistent, repeats = sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])
    for _ in range(repeats):
        read(method, persistent, busy="busy" in sys.argv[4:])
    print(f"{repeats} of {repeats}")
