"""Forked, spawned and forkserver children, Ctrl-C, exceptions from progress, and threads: each under a hard limit."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

import children
import compare
import negmine
from negmine._core.calls import Progress
from processes import output_of
from vectors import clusters

SCRIPT = children.__file__
METHODS = ("fork", "spawn", "forkserver")


def run_children(method: str, repeats: int, seconds: float) -> str:
    """Run the children; nothing outlives the limit."""
    return output_of([sys.executable, SCRIPT, "start", method, str(repeats)], seconds=seconds).strip()


@pytest.mark.parametrize("method", METHODS)
def test_children_search_after_their_parent_searched(method: str) -> None:
    assert run_children(method, 2, 60) == "2 of 2"


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_twenty_children_of_twenty(method: str) -> None:
    assert run_children(method, 20, 280) == "20 of 20"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_a_worker_of_a_data_loader_uses_one_thread_unless_told_otherwise(method: str) -> None:
    data = pytest.importorskip("torch.utils.data")
    children.search()
    loader = data.DataLoader(
        children.ThreadCounts(), num_workers=1, batch_size=None, multiprocessing_context=method, timeout=60
    )
    assert [tuple(counts) for counts in loader] == [(1, 2)]


@pytest.mark.parametrize("call", ["search", "mine", "stream", "build"])
def test_ctrl_c_ends_a_long_call(call: str) -> None:
    child = subprocess.Popen(
        [sys.executable, SCRIPT, "interrupt", call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        watchdog = threading.Timer(120, child.kill)
        watchdog.start()
        assert child.stdout.readline().strip() == "under way True"
        time.sleep(0.2)
        sent = time.time()
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=60)
    finally:
        watchdog.cancel()
        child.kill()
        child.communicate()
    assert child.returncode == 0, (child.returncode, errors)
    first, second = output.splitlines()
    word, stopped = first.split()
    assert word == "interrupted"
    latency = float(stopped) - sent
    print(f"{call}: Ctrl-C ended the call after {latency:.3f} s")
    # The promise is half a second; a loaded runner gets ten times that.
    assert latency < 5
    assert second == "and usable [0, 1]"


def test_an_exception_from_progress_ends_the_call_and_comes_out() -> None:
    class Enough(Exception):
        pass

    def progress(done: int, total: int) -> None:
        raise Enough(f"{done} of {total}")

    corpus = np.random.default_rng(0).standard_normal((200_000, 128), dtype=np.float32)
    queries = np.broadcast_to(corpus[:1000], (100, 1000, 128)).reshape(-1, 128)
    index = negmine.ExactIndex(corpus)
    started = time.perf_counter()
    with pytest.raises(Enough, match="of"):
        index.search(queries, 1, progress=progress)
    assert time.perf_counter() - started < 30
    assert index.search(queries[:1], 1).indices.tolist() == [[0]]


def test_progress_may_search_the_index_while_it_prepares() -> None:
    printed = output_of([sys.executable, SCRIPT, "nested"], seconds=60)
    assert printed.splitlines() == ["[0, 1]", "[0, 1]", "preparing True"]


def test_progress_counts_up_to_the_whole() -> None:
    seen: list[tuple[int, int]] = []
    corpus = np.random.default_rng(0).standard_normal((100_000, 128), dtype=np.float32)
    index = negmine.ExactIndex(corpus)
    index.search(corpus[:64], 1, progress=lambda done, total: seen.append((done, total)))
    assert all(0 <= done <= total for done, total in seen)
    assert seen == sorted(seen)
    assert len({total for _, total in seen}) == 1
    assert seen[-1] == (seen[0][1], seen[0][1])


@pytest.mark.parametrize("memory_limit", [None, 6_000_000])
def test_every_stage_of_a_call_ends_with_all_of_it_done(memory_limit: int | None) -> None:
    rows = np.random.default_rng(0).standard_normal((60_000, 128), dtype=np.float32)
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    def stage(total: int | None = None) -> None:
        assert seen
        assert seen == sorted(seen)
        assert {of for _, of in seen} == {seen[0][1] if total is None else total}
        assert seen[-1][0] == seen[-1][1]
        seen.clear()

    index = negmine.ExactIndex(rows, memory_limit=memory_limit, progress=progress)
    stage(len(rows))
    index.search(rows[:64], 1, progress=progress)
    stage()
    index.search(rows[:0], 1, progress=progress)
    stage(0)
    miner = negmine.HardNegativeMiner(2, absolute_margin=0.0)
    miner.mine(index, rows[:64], [[row] for row in range(64)], progress=progress)
    stage()
    negmine.score_pairs(rows[:2], rows, [[0, 1], [1, 5]], progress=progress)
    stage(1)


@pytest.mark.parametrize("n", [0, 2, 3_000])
def test_every_stage_of_near_duplicates_ends_with_all_of_it_done(n: int) -> None:
    embeddings = np.random.default_rng(0).standard_normal((n, 64), dtype=np.float32)
    sets = [range(row % 100, row % 100 + 50) for row in range(n)]
    signatures = negmine.MinHash().signatures(sets)
    calls: dict[str, tuple[int, Callable[[Progress], object]]] = {
        "texts": (
            4,
            lambda progress: negmine.near_duplicates([f"{row % 9} cats" for row in range(n)], progress=progress),
        ),
        "sets": (4, lambda progress: negmine.near_duplicates(sets=sets, progress=progress)),
        "signatures": (2, lambda progress: negmine.near_duplicates(signatures=signatures, progress=progress)),
        "embeddings": (1, lambda progress: negmine.near_duplicates(embeddings=embeddings, progress=progress)),
        "little memory": (
            1,
            lambda progress: negmine.near_duplicates(embeddings=embeddings, memory_limit=1_500_000, progress=progress),
        ),
        "minhash": (1, lambda progress: negmine.MinHash(256).signatures(sets, progress=progress)),
    }
    for name, (stages, call) in calls.items():
        seen: list[tuple[int, int]] = []
        call(lambda done, total, seen=seen: seen.append((done, total)))  # type: ignore[misc]
        assert all(0 <= done <= total for done, total in seen), name
        assert seen[-1][0] == seen[-1][1], name
        assert sum(done == total for done, total in seen) >= stages, name


@pytest.mark.parametrize("n", [2, 8])
def test_python_threads_mine_side_by_side_on_shared_arrays(n: int) -> None:
    rng = np.random.default_rng(1)
    corpus = clusters(rng, 1500, 48)
    queries = corpus[:60] + np.float32(0.01)
    index = negmine.ExactIndex(corpus)
    positives = negmine.Positives.from_lists([[i] for i in range(60)])
    miner = negmine.HardNegativeMiner(4, sampling=negmine.Softmax(0.05), num_random=2, relative_margin=0.02)
    expected = compare.digest_negatives(miner.mine(index, queries, positives))
    digests: list[str] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(n)

    def work() -> None:
        try:
            barrier.wait(30)
            for _ in range(4):
                digests.append(compare.digest_negatives(miner.mine(index, queries, positives, num_threads=2)))
                negmine.ExactIndex(corpus).search(queries, 3)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(n)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)
    assert not errors
    assert digests == [expected] * (4 * n)


def test_the_interpreter_runs_on_while_a_call_works() -> None:
    enough = threading.Event()

    class Enough(Exception):
        pass

    def progress(done: int, total: int) -> None:
        if enough.is_set():
            raise Enough

    corpus = np.random.default_rng(2).standard_normal((200_000, 128), dtype=np.float32)
    queries = np.broadcast_to(corpus[:1000], (100, 1000, 128)).reshape(-1, 128)
    index = negmine.ExactIndex(corpus)
    ended: list[str] = []

    def call() -> None:
        try:
            index.search(queries, 1, progress=progress)
        except Enough:
            ended.append("stopped")

    worker = threading.Thread(target=call, daemon=True)
    worker.start()
    for _ in range(100):
        time.sleep(0.001)
    assert worker.is_alive()
    enough.set()
    worker.join(30)
    assert ended == ["stopped"]
