"""A background refresh publishes what a refresh publishes, while the main thread and workers go on."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import CancelledError
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.utils.data import DataLoader

import negmine
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.torch import BackgroundRefresh, NegativesDataset, NegativesTable, collate, refresh

N_QUERIES, N_DOCUMENTS = 60, 97
DRAW = np.random.default_rng(8)
QUERIES, DOCUMENTS = (DRAW.standard_normal((n, 6), dtype=np.float32) for n in (N_QUERIES, N_DOCUMENTS))
LABELS = [[query] for query in range(N_QUERIES)]
MINER = negmine.HardNegativeMiner(3, sampling="random", range_max=20)
FIRST = MINER.mine(negmine.ExactIndex(DOCUMENTS), QUERIES, LABELS)
FORKING = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
#: Only a hang takes longer.
SECONDS = 60.0


@pytest.fixture
def table(tmp_path: Path) -> NegativesTable:
    return NegativesTable.create(tmp_path / "table", FIRST, step=0)


def background(table: NegativesTable, encode: Any = np.negative, **options: Any) -> BackgroundRefresh:
    return BackgroundRefresh(table, MINER, encode, QUERIES, DOCUMENTS, LABELS, **options)


class Gate:
    """Progress function that waits inside the thread until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, done: int, total: int) -> None:
        self.reached.set()
        assert self.opened.wait(SECONDS)


@pytest.mark.parametrize("chunk", [None, (2, 5)])
def test_it_publishes_the_bytes_of_a_refresh(chunk: Any, table: NegativesTable, tmp_path: Path) -> None:
    other = NegativesTable.create(tmp_path / "other", FIRST, step=0)
    options: dict[str, Any] = {"chunk": chunk, "step": 9, "epoch": 4, "previous_embeddings": QUERIES}
    encoded_in: set[int] = set()

    def encode(rows: np.ndarray) -> np.ndarray:
        encoded_in.add(threading.get_ident())
        return rows * np.float32(-1)

    weights = np.ones(6, dtype=np.float32)
    handle = background(table, lambda rows: encode(rows) * weights, **options)
    weights[:] = np.nan  # the model may change as soon as the constructor has returned
    found = handle.result(SECONDS)
    expected = refresh(other, MINER, encode, QUERIES, DOCUMENTS, LABELS, **options)
    assert encoded_in == {threading.get_ident()}
    assert (table.folder / "negatives.table").read_bytes() == (other.folder / "negatives.table").read_bytes()
    for name in ("result_rows", "replaced", "query_embeddings", "turn", "generation"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_array_equal(found.negatives.indices, expected.negatives.indices)
    assert handle.done
    assert repr(handle) == "BackgroundRefresh(done)"
    assert handle.result() is found


def test_the_main_thread_goes_on_while_the_core_scans(tmp_path: Path) -> None:
    queries, documents = (DRAW.standard_normal((n, 64), dtype=np.float32) for n in (12_000, 20_000))
    labels = np.arange(len(queries))
    first = MINER.mine(negmine.ExactIndex(documents[:, :4].copy()), queries[:, :4].copy(), labels)
    table = NegativesTable.create(tmp_path / "table", first)
    counter, reports = [0], []

    def progress(done: int, total: int) -> None:
        reports.append((total, counter[0]))

    handle = BackgroundRefresh(
        table, MINER, np.asarray, queries, documents, labels, num_threads=1, progress=progress
    )  # fmt: skip
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e3)  # a thread keeps the lock until it gives it up
    try:
        while not handle.done:
            counter[0] += 1
            time.sleep(0)
    finally:
        sys.setswitchinterval(before)
    assert handle.result().generation == 1
    # Between two reports of a scan only the core runs in the thread. The main thread counted meanwhile, but where the
    # system ran neither.
    counted = [later - count for (total, count), (same, later) in pairwise(reports) if total == same]
    assert len(counted) >= 1
    assert np.median(counted) > 0


def test_a_table_has_one_refresh_at_a_time(table: NegativesTable) -> None:
    gate = Gate()
    handle = background(table, progress=gate)
    assert gate.reached.wait(SECONDS)
    assert not handle.done
    assert repr(handle) == "BackgroundRefresh(running)"
    with pytest.raises(TimeoutError):
        handle.result(0.0)
    same = NegativesTable(table.folder)
    for start in (background, lambda one: refresh(one, MINER, np.negative, QUERIES, DOCUMENTS, LABELS)):
        for one in (table, same):
            with pytest.raises(NegmineValueError, match=r"`table` must have one refresh at a time; .* is not done"):
                start(one)
    gate.opened.set()
    assert handle.result(SECONDS).generation == 1
    assert background(table).result(SECONDS).generation == 2


def test_a_cancelled_refresh_publishes_nothing(table: NegativesTable) -> None:
    gate = Gate()
    handle = background(table, progress=gate)
    assert gate.reached.wait(SECONDS)
    handle.cancel()
    gate.opened.set()
    with pytest.raises(CancelledError):
        handle.result(SECONDS)
    assert handle.done
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del handle
        gc.collect()
    assert table.generation == 0
    assert background(table).result(SECONDS).generation == 1


# ---- errors


def fails(rows: np.ndarray) -> np.ndarray:
    raise RuntimeError("the model is on another device")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"encode": fails}, RuntimeError, "another device"),
        ({"encode": lambda rows: rows * np.nan}, NegmineValueError, "`encode` must give finite numbers; .* entry 0"),
        ({"chunk": (0, 99)}, NegmineValueError, "at most 60; got 99"),
        ({"exclude": [[1]]}, NegmineValueError, "`exclude`"),
        ({"progress": 3}, NegmineTypeError, "`progress` must be callable"),
        ({"stp": 3}, NegmineTypeError, "`BackgroundRefresh` has no option 'stp'. Did you mean 'step'"),
    ],
)
def test_errors_before_the_thread_are_raised_at_once(
    options: dict[str, Any], error: type[Exception], words: str, table: NegativesTable
) -> None:
    with pytest.raises(error, match=words):
        background(table, **options)
    assert table.generation == 0
    assert background(table).result(SECONDS).generation == 1


def test_errors_in_the_thread_are_raised_by_the_result(table: NegativesTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        handle = background(table)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                handle.result(SECONDS)
    assert table.generation == 0
    assert [path.name for path in table.folder.iterdir()] == ["negatives.table"]

    def progress(done: int, total: int) -> None:
        raise ZeroDivisionError("in the caller's function")

    with pytest.raises(ZeroDivisionError):
        background(table, progress=progress).result(SECONDS)
    assert table.generation == 0


def test_a_table_that_is_removed_meanwhile_is_an_error(table: NegativesTable) -> None:
    gate = Gate()
    handle = background(table, progress=gate)
    assert gate.reached.wait(SECONDS)
    shutil.rmtree(table.folder)
    gate.opened.set()
    with pytest.raises(NegmineValueError, match="from which it is gone"):
        handle.result(SECONDS)
    assert not table.folder.exists()


def test_an_error_that_is_never_read_is_a_warning(table: NegativesTable) -> None:
    gate = Gate()
    handle = background(table, progress=gate)
    assert gate.reached.wait(SECONDS)
    shutil.rmtree(table.folder)
    thread = handle._outcome.thread
    assert thread is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del handle
        gate.opened.set()
        thread.join(SECONDS)
        gc.collect()
    (warning,) = caught
    assert warning.category is NegmineWarning
    assert str(warning.message).startswith("A background refresh failed, and its result was never read: NegmineValue")


# ---- other processes


@FORKING
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_read_whole_generations_while_refreshes_publish(method: str, table: NegativesTable) -> None:
    loader = DataLoader(
        NegativesDataset(None, None, table),
        batch_size=12,
        num_workers=2,
        persistent_workers=True,
        collate_fn=collate,
        multiprocessing_context=method,
        timeout=SECONDS,
    )
    published = [FIRST.indices]
    for epoch in range(1, 4):
        gate = Gate()
        handle = background(table, lambda rows, by=epoch: rows + np.float32(by), chunk=(epoch, 2), progress=gate)
        assert gate.reached.wait(SECONDS)
        for batch in loader:  # the first loop starts the workers, by fork too, while the thread is inside the core
            generation = int(batch["generation"].min())
            assert set(batch["generation"].tolist()) == {generation} <= {epoch - 1, epoch}
            rows = batch["query_index"].numpy()
            if generation < len(published):
                np.testing.assert_array_equal(batch["negative_indices"], published[generation][rows])
            gate.opened.set()
        assert handle.result(SECONDS).generation == epoch
        published.append(np.array(table.current().indices))
        after = torch.cat([batch["negative_indices"] for batch in loader])
        np.testing.assert_array_equal(after, published[epoch])
    assert len({rows.tobytes() for rows in published}) == 4


@FORKING
def test_a_process_forked_while_the_lock_is_held_does_not_keep_it(
    table: NegativesTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("fork")
    leave = context.Event()
    child = context.Process(target=leave.wait, args=(SECONDS,))
    really = os.fsync

    def forking(handle: int) -> None:
        really(handle)
        if child.pid is None:
            child.start()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", forking)
        table.publish(FIRST)
    assert child.is_alive()
    try:
        handle = background(table)
        assert handle.result(SECONDS).generation == 2
    finally:
        leave.set()
        child.join()


@FORKING
def test_a_forked_process_may_refresh_though_its_parent_was_refreshing(table: NegativesTable) -> None:
    gate = Gate()
    handle = background(table, progress=gate)
    assert gate.reached.wait(SECONDS)
    child = multiprocessing.get_context("fork").Process(target=refresh_again, args=(table,))
    child.start()
    child.join(SECONDS)
    assert (child.exitcode, table.generation) == (0, 1)
    gate.opened.set()
    assert handle.result(SECONDS).generation == 2


def refresh_again(table: NegativesTable) -> None:
    refresh(table, MINER, np.negative, QUERIES, DOCUMENTS, LABELS, num_threads=1)


#: In a process for each way: starts a refresh that would go on for minutes, and leaves the main thread in that way.
LEAVING = """
import json, os, signal, sys, threading
import numpy as np, negmine
from negmine.torch import BackgroundRefresh, NegativesTable

WAYS = {
    "end": lambda: None,
    "exit": lambda: sys.exit(3),
    "error": lambda: 1 / 0,
    "interrupt": lambda: (os.kill(os.getpid(), signal.SIGINT), handle.result()),
}
children = {}
for way in WAYS:
    children[way] = os.fork()
    if children[way] == 0:
        break
else:
    print(json.dumps({way: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for way, child in children.items()}))
    sys.stdout.flush()
    os._exit(0)

rows = np.random.default_rng(0).standard_normal((200, 8), dtype=np.float32)
miner, labels = negmine.HardNegativeMiner(2), np.arange(200)
table = NegativesTable.create(f"{sys.argv[1]}/{way}", miner.mine(negmine.ExactIndex(rows), rows, labels))
reached = threading.Event()

def progress(done, total):
    reached.set()
    threading.main_thread().join()

handle = BackgroundRefresh(table, miner, np.negative, rows, rows, labels, progress=progress)
assert reached.wait(60)
WAYS[way]()
"""


def test_leaving_the_program_ends_the_refresh(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, str(tmp_path)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    codes = json.loads(done.stdout)
    # An interrupted interpreter ends with the signal, or with 1 if code was compiled after the interrupt.
    assert codes.pop("interrupt") in (1, -signal.SIGINT), done.stderr
    assert codes == {"end": 0, "exit": 3, "error": 1}, done.stderr
    assert done.stderr.count("ZeroDivisionError: ") == done.stderr.count("KeyboardInterrupt") == 1
    assert "CancelledError" not in done.stderr
    for way in ("end", "exit", "error", "interrupt"):
        assert NegativesTable(tmp_path / way).generation == 0


def test_readers_in_this_process_do_not_disturb_the_thread(table: NegativesTable) -> None:
    """Many generations in the background, while the caller's own table is read without a pause."""
    for generation in range(1, 8):
        handle = background(table, lambda rows, by=generation: rows + np.float32(by), step=generation)
        newest = 0
        while not handle.done:
            batch = table.read(range(10))
            assert newest <= batch.generation <= generation
            assert set(batch.mined_at_step) == {batch.generation}
            newest = batch.generation
        handle.result()
        assert table.generation == generation
