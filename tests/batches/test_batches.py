"""What every plan of batches can: the protocol, pickling, threads, limits, instruction sets."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import negmine
from negmine.batches import (
    BatchPlan,
    class_balanced_plan,
    cluster_plan,
    false_negative_mask,
    mixture_plan,
    no_duplicate_plan,
    topic_plan,
)
from negmine.errors import MemoryLimitError, NegmineTypeError, NegmineValueError


def no_duplicates(**options: Any) -> BatchPlan:
    random = np.random.default_rng(0)
    positives, negatives = random.integers(0, 2_000, 300), random.integers(0, 2_000, (300, 2))
    return no_duplicate_plan(np.arange(300), positives, negatives, batch_size=10, **options)


def ragged(**options: Any) -> BatchPlan:
    anchors = np.arange(100)
    positives = np.where(anchors < 28, 7_000, anchors)
    return no_duplicate_plan(anchors, positives, batch_size=5, conflicts="extend", **options)


def dropping(**options: Any) -> BatchPlan:
    anchors = np.arange(100)
    positives = np.where(anchors < 28, 7_000, anchors)
    return no_duplicate_plan(anchors, positives, batch_size=5, conflicts="drop", **options)


def spreading(**options: Any) -> BatchPlan:
    anchors = np.arange(100)
    positives = np.where(anchors < 28, 7_000, anchors)
    return no_duplicate_plan(anchors, positives, batch_size=5, conflicts="spread", **options)


def clusters(**options: Any) -> BatchPlan:
    return cluster_plan(np.arange(303) // 7, batch_size=10, random_fraction=0.2, **options)


def tree(**options: Any) -> BatchPlan:
    return cluster_plan(np.arange(303) // 7, batch_size=10, order="tree", **options)


def topics(**options: Any) -> BatchPlan:
    return topic_plan(np.arange(300) // 7, batch_size=10, **options)


def classes(**options: Any) -> BatchPlan:
    return class_balanced_plan(np.arange(300) % 17, batch_size=12, per_class=3, **options)


def mixture(**options: Any) -> BatchPlan:
    return mixture_plan([60, 240], batch_size=10, **options)


def mixture_of_plans(batches_per_step: int = 1, seed: int = 0) -> BatchPlan:
    plans = [no_duplicates(batches_per_step=batches_per_step), classes(batches_per_step=batches_per_step)]
    return mixture_plan(plans, weights=[1, 2], seed=seed)


PLANS = {
    make.__name__: make
    for make in (no_duplicates, ragged, dropping, spreading, clusters, tree, topics, classes, mixture, mixture_of_plans)
}


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("batches_per_step", [1, 2])
def test_a_plan_keeps_the_protocol(make: Any, batches_per_step: int) -> None:
    plan = make(batches_per_step=batches_per_step, seed=7)
    assert isinstance(plan, BatchPlan)
    assert plan.seed == 7
    assert plan.batches_per_step == batches_per_step
    assert len(plan) == plan.batches_per_epoch
    assert len(plan) % batches_per_step == 0
    batches = {epoch: [batch.tolist() for batch in plan.epoch(epoch)] for epoch in (0, 5)}
    assert batches[0] != batches[5]
    for epoch, index in [(5, len(plan) - 1), (0, 0), (5, 0), (0, 1), (0, len(plan) - 1)]:
        got = plan.batch(epoch, index)
        assert got.dtype == np.int64
        assert got.tolist() == batches[epoch][index]
        got[:] = -1  # a batch is the caller's
    for epoch in (0, 5):
        assert [batch.tolist() for batch in plan.epoch(epoch)] == batches[epoch]
    sizes = {len(batch) for batch in batches[0]}
    assert (sizes == {plan.batch_size}) if plan.batch_size is not None else len(sizes) > 1
    assert max(map(max, batches[0])) < plan.n_rows
    assert make(batches_per_step=batches_per_step, seed=8).digest != plan.digest
    assert make(batches_per_step=3 - batches_per_step, seed=7).digest != plan.digest


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
def test_a_plan_pickles(make: Any) -> None:
    plan = make(seed=2**64 - 1)
    before = len(pickle.dumps(plan))
    first = plan.batch(3, 0)
    assert len(pickle.dumps(plan)) == before  # the epoch that is kept stays here
    copy = pickle.loads(pickle.dumps(plan))
    assert (copy.digest, copy.seed, len(copy)) == (plan.digest, plan.seed, len(plan))
    assert [batch.tolist() for batch in copy.epoch(3)] == [batch.tolist() for batch in plan.epoch(3)]
    assert (copy.batch(3, 0) == first).all()
    assert (pickle.loads(pickle.dumps(copy)).batch(3, 0) == first).all()


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
def test_threads_may_share_a_plan(make: Any) -> None:
    plan = make()
    wanted = {epoch: [batch.tolist() for batch in make().epoch(epoch)] for epoch in range(4)}

    def read(place: int) -> bool:
        epoch, index = place % 4, place % len(plan)
        return bool(plan.batch(epoch, index).tolist() == wanted[epoch][index])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(400)))


@pytest.mark.parametrize(
    ("epoch", "index", "error", "words"),
    [
        (0, -1, NegmineValueError, "`index` must be at least 0; got -1"),
        (0, 30, NegmineValueError, "`index` must be at most 29; got 30"),
        (0, 1.0, NegmineTypeError, "`index` must be an integer; got 1.0"),
        (-1, 0, NegmineValueError, "`epoch` must be at least 0; got -1"),
    ],
)
def test_a_batch_that_is_not_there(epoch: Any, index: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        no_duplicates().batch(epoch, index)
    assert words in str(caught.value)


# ---- limits and machines


def test_a_mask_that_memory_does_not_hold_is_refused() -> None:
    rows = np.zeros(10_000_000, dtype=np.int64)
    with pytest.raises(MemoryLimitError, match=r"`document_indices` must .* fits in memory; .* `false_negative_pairs`"):
        false_negative_mask(rows, rows, negmine.Positives.from_lists([[0]]))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are not kept elsewhere")
@pytest.mark.parametrize(
    ("call", "argument"),
    [
        ("batches.false_negative_mask(rows, rows, negmine.Positives.from_lists([[0]]))", "document_indices"),
        ("batches.class_balanced_plan([0, 0, 1, 1], batch_size=2**30, per_class=2**29).batch(0, 0)", "batch_size"),
    ],
)
def test_what_is_beyond_a_limit_of_the_process_is_refused(call: str, argument: str) -> None:
    script = f"""
import resource, numpy as np, negmine
from negmine import batches
resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000, resource.RLIM_INFINITY))
rows = np.zeros(85_000, dtype=np.int64)
try:
    {call}
except negmine.errors.MemoryLimitError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert f"`{argument}` must give a result that fits in memory" in done.stdout, done.stderr


WORK = """
import hashlib, numpy as np, negmine
from negmine import batches
labels = np.arange(5_000) % 700
ways = ("extend", "drop", "spread")
plans = [batches.no_duplicate_plan(np.arange(5_000), labels, batch_size=100, conflicts=way) for way in ways]
plans += [
    batches.cluster_plan(labels, batch_size=100, random_fraction=0.1),
    batches.cluster_plan(labels, batch_size=100, batches_per_step=4, order="tree"),
    batches.topic_plan(labels // 300, batch_size=100, weights="size"),
    batches.class_balanced_plan(labels // 300, batch_size=30, per_class=15),
    batches.mixture_plan([3_000, 2_000], batch_size=100),
]
for plan in plans:
    rows = np.concatenate([plan.batch(3, index) for index in range(len(plan))])
    print(plan.digest, hashlib.sha256(rows.tobytes()).hexdigest())
"""


def test_plans_are_the_same_on_every_instruction_set() -> None:
    isas = negmine.build_info()["available_isas"]
    printed = set()
    for isa in isas:
        environment = {**os.environ, "NEGMINE_ISA": isa}
        command = [sys.executable, "-c", WORK]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1
    assert len(printed.pop().splitlines()) == 8
