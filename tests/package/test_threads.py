"""Sixteen threads on one object, while others are built, calls are interrupted and children are started."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import busy
import negmine
from negmine.behavior import BehaviorTable
from negmine.errors import NegmineError
from processes import output_of

#: What runs by default; the others take longer together than a change should wait for.
QUICK = ("limited",)


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in busy.KINDS]
)
def test_a_shared_index_answers_threads_as_it_answers_one(kind: str) -> None:
    if kind == "hnsw":
        pytest.importorskip("hnswlib")
    printed = output_of([sys.executable, busy.__file__, "shared", kind], seconds=250)
    assert printed.startswith("16 threads, 3 interrupts, 2 builds")


@pytest.mark.parametrize(
    "method", ["os.fork", *(pytest.param(name, marks=pytest.mark.slow) for name in ("fork", "spawn", "forkserver"))]
)
def test_children_that_start_while_threads_search_answer_too(method: str) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", busy.__file__, "start", method]
    assert output_of(command, seconds=250).startswith(f"3 children by {method}")


def test_a_table_of_behavior_is_not_changed_beside_its_readers() -> None:
    rows, zeros = busy.CORPUS, np.zeros_like(busy.CORPUS[:2])
    table = BehaviorTable.build(negmine.SimHash(48, dim=48), rows, offsets=[0, 3_000, 6_000])
    before = table.query(rows, offsets=[0, 3_000, 6_000])
    refusals: list[str] = []
    differences: list[str] = []

    def read() -> None:
        while not refusals:
            with refused(refusals):
                if not np.array_equal(table.query(rows, offsets=[0, 3_000, 6_000]), before):
                    differences.append("a sum that was not added")

    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while not refusals and time.monotonic() < until:
        with refused(refusals):
            table.append(zeros, offsets=[0, 1, 2], values=zeros)  # sums stay as they are
    for thread in threads:
        thread.join(60)
    assert refusals
    assert all("another thread" in message for message in refusals)
    assert not differences


@contextlib.contextmanager
def refused(refusals: list[str]) -> Iterator[None]:
    """Keep the message of an error of negmine."""
    try:
        yield
    except NegmineError as error:
        refusals.append(str(error))
