"""What the tests of threads run in processes of their own, so that a deadlock ends with its process.

`busy.py shared KIND` answers from one object in 16 threads, while another thread builds others and calls of the main
thread are interrupted by signals. `busy.py start METHOD` starts children by METHOD meanwhile. Each prints what was
counted, and ends with an error at the first answer that differs from the quiet one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import compare
import negmine
from negmine import batches, sampling
from negmine.behavior import BehaviorTable

N_THREADS = 16

#: Calls of each thread at least, interrupted calls of the main thread, and objects that are built meanwhile.
N_CALLS, N_INTERRUPTS, N_BUILDS = 3, 3, 2

#: Seconds after which a child counts as hanging.
SECONDS = 60

F32 = npt.NDArray[np.float32]

#: A call that gives the answer numbered by its argument, as something that is compared by ``==``.
Answer = Callable[[int], Any]


def rows(n: int, width: int, seed: int) -> F32:
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


CORPUS, QUERIES = rows(6_000, 48, 1), rows(96, 48, 2)

#: Bytes that hold the plan of a search which streams the corpus.
LIMIT = 1_500_000


def found(index: Any) -> Answer:
    """Search with the queries of a block, by one thread or by two."""

    def answer(number: int) -> Any:
        begin = 12 * (number % 8)
        top = index.search(QUERIES[begin : begin + 12], 7, num_threads=1 + number % 2)
        return top.indices.tobytes(), top.scores.tobytes()

    return answer


def shards(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(3):
        np.save(folder / f"{number}.npy", CORPUS[2_000 * number : 2_000 * number + 2_000])
    return folder


def mined(folder: Path) -> Answer:
    index, positives = negmine.ExactIndex(CORPUS), [[row] for row in range(96)]
    miner = negmine.HardNegativeMiner(3, sampling=negmine.Softmax(0.1), num_random=2, relative_margin=0.02)
    return lambda number: compare.digest_negatives(miner.mine(index, QUERIES, positives, num_threads=1 + number % 2))


def replaced(folder: Path) -> Answer:
    """Read a table of behavior that is replaced by copies with other histories, which give the same answers again."""
    hasher = negmine.SimHash(48, dim=48)
    holder = [BehaviorTable.build(hasher, CORPUS, offsets=[0, 3_000, 6_000])]

    def answer(number: int) -> Any:
        if number % 5 == 4:
            holder[0] = BehaviorTable.from_bytes(holder[0].to_bytes(), hasher)
        return holder[0].query(QUERIES, offsets=[0, 48, 96], num_threads=1 + number % 2).tobytes()

    return answer


def drawn(folder: Path) -> Answer:
    """Draw from samplers and plans, whose answers depend on their arguments alone."""
    lists = [[row] for row in range(96)]
    negatives = sampling.NegativeSampler(lists, n_documents=6_000, seed=3)
    triples = np.stack([np.arange(500), np.arange(500) % 7, (np.arange(500) * 31) % 500], axis=1)
    corruptor = sampling.TripleCorruptor(triples, n_entities=500, seed=3)
    labels = np.arange(2_000) % 300
    plans = (
        batches.no_duplicate_plan(np.arange(2_000), labels, batch_size=100, conflicts="extend"),
        batches.cluster_plan(labels, batch_size=100, random_fraction=0.1),
        batches.topic_plan(labels // 30, batch_size=100),
        batches.class_balanced_plan(labels // 30, batch_size=30, per_class=15),
        batches.mixture_plan([1_500, 500], batch_size=100),
    )

    def answer(number: int) -> Any:
        epoch = number % 3
        parts = [plan.batch(epoch, number % len(plan)) for plan in plans]
        parts += [negatives.sample(np.arange(96), 5, epoch=epoch).indices]
        parts += [corruptor.corrupt(np.arange(200), 4, epoch=epoch).triples]
        return [np.asarray(part).tobytes() for part in parts]

    return answer


KINDS: dict[str, Callable[[Path], Answer]] = {
    "exact": lambda folder: found(negmine.ExactIndex(CORPUS)),
    "limited": lambda folder: found(negmine.ExactIndex(CORPUS, memory_limit=LIMIT)),
    "sharded": lambda folder: found(negmine.ShardedIndex(shards(folder / "shards"), memory_limit=LIMIT)),
    "hnsw": lambda folder: found(negmine.HnswIndex(CORPUS[:2_000])),
    "mine": mined,
    "table": replaced,
    "draws": drawn,
}


class Crowd:
    """Threads that answer until they are told to stop, and compare each answer with the quiet one."""

    def __init__(self, answer: Answer, n: int = 10) -> None:
        self.answer = answer
        self.quiet = [answer(number) for number in range(n)]
        self.calls, self.errors = [0] * N_THREADS, list[BaseException | str]()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(place,), daemon=True) for place in range(N_THREADS)]

    def __enter__(self) -> Crowd:
        for thread in self.threads:
            thread.start()
        return self

    def _work(self, place: int) -> None:
        number = place
        try:
            while not self.stop.is_set() or self.calls[place] < N_CALLS:
                which = number % len(self.quiet)
                if self.answer(which) != self.quiet[which]:
                    self.errors.append(f"answer {which} differs")
                    return
                self.calls[place] += 1
                number += 7
        except BaseException as error:
            self.errors.append(error)

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            sys.exit(f"errors beside others: {self.errors[:3]}")


def interrupted(index: Any, queries: F32) -> None:
    """Make a call that lasts longer than anyone waits, and interrupt it once it is under way."""
    timers: list[threading.Timer] = []

    def progress(done: int, total: int) -> None:
        if not timers:
            timers.append(threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)))
            timers[0].start()

    try:
        index.search(queries, 1, progress=progress)
        # A call that was over before its signal is interrupted here.
        time.sleep(SECONDS)
    except KeyboardInterrupt:
        return
    sys.exit("no signal came")


def shared(kind: str) -> None:
    """Answer from one object while others are built and calls are interrupted."""
    built: list[bytes] = []

    def build() -> None:
        for _ in range(N_BUILDS):
            index = negmine.ExactIndex(CORPUS, memory_limit=LIMIT)
            built.append(index.search(QUERIES[:4], 3).indices.tobytes())

    with tempfile.TemporaryDirectory() as folder:
        # The limit holds the answer of the long call.
        index = negmine.ExactIndex(CORPUS, memory_limit=20_000_000)
        queries = np.broadcast_to(QUERIES, (2_000, *QUERIES.shape)).reshape(-1, QUERIES.shape[1])
        expected = index.search(QUERIES[:4], 3).indices.tobytes()
        with Crowd(KINDS[kind](Path(folder))) as crowd:
            builder = threading.Thread(target=build, daemon=True)
            builder.start()
            for _ in range(N_INTERRUPTS):
                interrupted(index, queries)
            builder.join()
        if built != [expected] * N_BUILDS:
            sys.exit("an index that was built beside others gives another answer")
    print(f"{N_THREADS} threads, {N_INTERRUPTS} interrupts, {N_BUILDS} builds, at least {min(crowd.calls)} calls each")


def child(connection: Any, answers: list[Any]) -> None:
    """Answer in a child as the parent did."""
    index = negmine.ExactIndex(CORPUS)
    connection.send([found(index)(number) == answer for number, answer in enumerate(answers)])
    connection.close()


def start(method: str) -> None:
    """Start children while threads search; each searches an index of its own, and a forked one that of its parent."""
    index = negmine.ExactIndex(CORPUS)
    with Crowd(found(index), 2) as crowd:
        for _ in range(3):
            if method == "os.fork":
                fork(crowd)
            else:
                begin(multiprocessing.get_context(method), crowd.quiet)
    print(f"3 children by {method}, at least {min(crowd.calls)} calls each")


def begin(context: Any, answers: list[Any]) -> None:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(there, answers))
    process.start()
    there.close()
    said = here.recv() if here.poll(SECONDS) else "nothing"
    process.join(SECONDS)
    code = process.exitcode
    if code is None:
        process.kill()
    if said != [True] * len(answers) or code != 0:
        sys.exit(f"a child said {said} and ended with {code}")


def fork(crowd: Crowd) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(int([crowd.answer(number) for number in range(len(crowd.quiet))] != crowd.quiet))
        finally:
            os._exit(2)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if status:
                sys.exit(f"a forked child ended with {os.waitstatus_to_exitcode(status)}")
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    sys.exit("a forked child hangs")


if __name__ == "__main__":
    if sys.argv[1] == "shared":
        shared(sys.argv[2])
    else:
        start(sys.argv[2])
