"""Batch samplers on their own: errors, states, refreshed plans, and what trainers do to them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

from negmine.batches import no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.torch import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    PlanBatchSampler,
    RaggedBatchSampler,
)
from shuffled import PLAN, RaggedPlan, make

STATE = make().state_dict()
NO_DUPLICATES = no_duplicate_plan([0, 0, 0, 1, 1], range(5), batch_size=3, conflicts="extend")

BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no plan": (
        lambda: PlanBatchSampler([[0, 1]]),
        NegmineTypeError,
        "`plan` must be a batch plan, such as of no_duplicate_plan; got list",
    ),
    "ragged": (lambda: PlanBatchSampler(RaggedPlan()), NegmineValueError, "`plan` must have batches of one size"),
    "no ranks": (lambda: make(0, 0), NegmineValueError, "`num_replicas` must be at least 1; got 0"),
    "rank": (lambda: make(2, 2), NegmineValueError, "`rank` must be below `num_replicas`; got rank=2, num_replicas=2"),
    "negative rank": (lambda: make(2, -1), NegmineValueError, "`rank` must be at least 0; got -1"),
    "a rank in words": (lambda: make(2, "first"), NegmineTypeError, "`rank` must be an integer; got 'first'"),  # type: ignore[arg-type]
    "ranks that do not divide": (
        lambda: make(4, 0),
        NegmineValueError,
        "`num_replicas` must divide `batches_per_step`; got num_replicas=4, batches_per_step=6",
    ),
    "epoch": (lambda: make().set_epoch(-1), NegmineValueError, "`epoch` must be at least 0; got -1"),
    "half an epoch": (lambda: make().set_epoch(0.5), NegmineTypeError, "`epoch` must be an integer; got 0.5"),  # type: ignore[arg-type]
    "state": (lambda: make().load_state_dict(3), NegmineTypeError, "`state_dict` must be a mapping; got int"),  # type: ignore[arg-type]
    "empty state": (lambda: load(None), NegmineValueError, "`state_dict` must hold 'batch_size', 'digest', 'epoch'"),
    "seed": (lambda: load(seed=3), NegmineValueError, "`state_dict` must be of this sampler's seed, 0; got 3"),
    "batch size": (lambda: load(batch_size=4), NegmineValueError, "of this sampler's batch_size, 2; got 4"),
    "other data": (lambda: load(digest="x"), NegmineValueError, "digest, .*; got 'x'. The plan's data or options"),
    "format": (lambda: load(format="y"), NegmineValueError, "format, 'negmine batch sampler 1'; got 'y'"),
    "a state of mixed keys": (
        lambda: make().load_state_dict({1: 2, "a": 3}),  # type: ignore[dict-item]
        NegmineValueError,
        "`state_dict` must hold .*; got 'a', 1",
    ),
    "an array": (lambda: load(digest=np.array([1, 2])), NegmineValueError, r"digest, .*; got array\(\[1, 2\]\)"),
    "position": (lambda: load(position=24), NegmineValueError, "`position` must be at most 23; got 24"),
    "inside a step": (
        lambda: make(3, 0).load_state_dict({**STATE, "position": 2}),
        NegmineValueError,
        "`num_replicas` must divide the position of `state_dict`; got num_replicas=3, position=2",
    ),
    "too many batches": (
        lambda: make().state_dict_at(0, 25),
        NegmineValueError,
        "`n_batches` must be at most 24; got 25",
    ),
    "a sampler of rows": (
        lambda: PlanBatchSampler(PLAN, sampler=SequentialSampler(range(4))),  # type: ignore[arg-type]
        NegmineTypeError,
        "`sampler` must be None.*use_distributed_sampler=False",
    ),
    "made anew around one": (
        lambda: PlanBatchSampler(SequentialSampler(range(4)), batch_size=2, drop_last=False),  # type: ignore[arg-type]
        NegmineTypeError,
        "`sampler` must be None.*use_distributed_sampler=False",
    ),
    "an option": (lambda: PlanBatchSampler(PLAN, worlds=2), NegmineTypeError, "`PlanBatchSampler` has no option"),
    "an option of a ragged one": (
        lambda: RaggedBatchSampler(RaggedPlan(), worlds=2),  # type: ignore[call-arg]
        NegmineTypeError,
        "`RaggedBatchSampler` has no option 'worlds'. It has num_replicas, plan, rank",
    ),
    "ragged, by name": (
        lambda: NoDuplicateBatchSampler([0, 0, 1], range(3), batch_size=2, conflicts="extend"),
        NegmineValueError,
        "`RaggedBatchSampler` takes it",
    ),
}


def load(changed: Any = (), **changes: Any) -> None:
    make().load_state_dict({} if changed is None else {**STATE, **changes})


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()


def test_exact_sizes_are_torchs_batch_samplers_and_ragged_ones_are_not() -> None:
    assert isinstance(make(), BatchSampler)
    assert make().batch_size == 2
    ragged = RaggedBatchSampler(RaggedPlan())
    assert not isinstance(ragged, BatchSampler)
    assert ragged.batch_size is None
    assert sorted(row for batch in ragged for row in batch) == list(range(48))


def test_an_epoch_read_to_its_end_is_followed_by_the_next() -> None:
    sampler = make()
    read = [list(sampler) for _ in range(3)]
    for epoch, batches in enumerate(read):
        assert batches == [PLAN.batch(epoch, i).tolist() for i in range(len(PLAN))]
    assert (sampler.epoch, sampler.state_dict()["position"]) == (3, 0)


def test_the_last_batch_ends_the_epoch_though_nobody_asks_for_more() -> None:
    # sentence-transformers takes exactly `len` batches of each of several data sets.
    sampler = make()
    iterator = iter(sampler)
    for _ in range(len(sampler)):
        next(iterator)
    assert (sampler.epoch, sampler.state_dict()["position"]) == (1, 0)


def test_an_epoch_left_early_begins_again_unless_another_is_set() -> None:
    sampler = make()
    next(iter(sampler))
    assert sampler.state_dict()["position"] == 1
    assert list(sampler) == list(make())


def test_an_iterator_left_behind_moves_nothing() -> None:
    sampler = make()
    old, new = iter(sampler), iter(sampler)
    first = next(old)
    assert next(new) == first
    for _ in range(5):
        next(old)
    assert sampler.state_dict()["position"] == 1


@given(st.integers(0, 2**64 - 2) | st.just(2**64 - 1), st.integers(0, 24), st.sampled_from([1, 2, 3, 6]))
def test_the_state_at_a_count_is_the_state_after_it(epoch: int, count: int, world: int) -> None:
    sampler = make(world, world - 1)
    sampler.set_epoch(epoch)
    count = min(count, len(sampler))
    iterator = iter(sampler)
    for _ in range(count):
        next(iterator)
    state = sampler.state_dict()
    assert state == sampler.state_dict_at(epoch, count)
    assert json.loads(json.dumps(state)) == state
    make(world, world - 1).load_state_dict(state)


A, B = np.repeat(np.arange(6), 2), np.tile(np.arange(6), 2)


def refreshed() -> ClusterBatchSampler:
    """Read a batch of A, let B wait."""
    sampler = ClusterBatchSampler(A, batch_size=2)
    next(iter(sampler))
    sampler.refresh(B)
    return sampler


@pytest.mark.parametrize("clusters", [A, B], ids=["in use", "waiting"])
@pytest.mark.parametrize("position", [0, 2])
def test_a_state_is_read_against_the_plan_that_it_names(clusters: Any, position: int) -> None:
    other = ClusterBatchSampler(clusters, batch_size=2)
    other.load_state_dict({**other.state_dict(), "position": position})
    sampler = refreshed()
    sampler.load_state_dict({**other.state_dict(), "position": position})
    assert [list(sampler) for _ in range(2)] == [list(other) for _ in range(2)]


def test_a_state_that_is_refused_leaves_the_waiting_plan() -> None:
    sampler = refreshed()
    with pytest.raises(NegmineValueError, match="digest"):
        sampler.load_state_dict({**sampler.state_dict(), "digest": "x"})
    list(sampler)
    assert sampler.plan.digest == ClusterBatchSampler(B, batch_size=2).plan.digest


def test_the_state_at_the_end_of_an_epoch_names_the_plan_that_waits() -> None:
    sampler = ClusterBatchSampler(A, batch_size=2)
    iterator = iter(sampler)
    next(iterator)
    sampler.refresh(B)
    state = sampler.state_dict_at(0, len(sampler))
    list(iterator)
    assert state == sampler.state_dict()


def test_a_plan_of_another_kind_may_give_lists() -> None:
    class Lists(RaggedPlan):
        def batch(self, epoch: int, index: int) -> Any:
            return super().batch(epoch, index).tolist()

    assert list(RaggedBatchSampler(Lists())) == list(RaggedBatchSampler(RaggedPlan()))


def test_the_position_of_a_loaded_state_is_not_lost_in_silence() -> None:
    sampler = make()
    sampler.load_state_dict(sampler.state_dict_at(3, 7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler.set_epoch(3)
    with pytest.warns(NegmineWarning, match=r"set_epoch\(0\) discards the loaded position, 7 batches into epoch 3"):
        sampler.set_epoch(0)
    assert list(sampler) == list(make())


def test_a_resume_at_the_border_of_an_epoch_is_not_undone_in_silence() -> None:
    sampler = make()
    sampler.load_state_dict({**STATE, "epoch": 3, "position": 0})
    with pytest.warns(NegmineWarning, match=r"set_epoch\(0\) discards the loaded position, 0 batches into epoch 3"):
        sampler.set_epoch(0)
    sampler.load_state_dict({**STATE, "epoch": 3, "position": 0})
    next(iter(sampler))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler.set_epoch(0)


def test_an_epoch_that_begins_once_more_is_warned_of_when_it_is_read() -> None:
    sampler = make()
    whole = list(sampler)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler.set_epoch(0)  # loaders that read ahead set the epoch after its last batch was handed out
        sampler.set_epoch(1)
        list(sampler)
        sampler.set_epoch(0)  # another run over the same epochs
        list(sampler)
    sampler.set_epoch(0)
    with pytest.warns(NegmineWarning, match="Epoch 0 was handed out to its end, and epoch 0 is handed out again"):
        assert list(sampler) == whole
    sampler.load_state_dict(sampler.state_dict_at(0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(sampler) == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loader_resumes_from_what_it_was_trained_on(workers: int) -> None:
    rows = torch.arange(48)
    whole = [batch.tolist() for batch in DataLoader(rows, batch_sampler=make())]
    sampler = make()
    loader = DataLoader(rows, batch_sampler=sampler, num_workers=workers)
    iterator = iter(loader)
    seen = [next(iterator).tolist() for _ in range(5)]
    state = sampler.state_dict_at(0, len(seen))
    assert (sampler.state_dict() == state) == (workers == 0)  # with workers the sampler is ahead
    del iterator
    resumed = make()
    resumed.load_state_dict(state)
    seen += [batch.tolist() for batch in DataLoader(rows, batch_sampler=resumed, num_workers=workers)]
    assert seen == whole


def test_an_iterable_dataset_takes_none() -> None:
    class Stream(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(range(48))

    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Stream(), batch_sampler=make())


def test_no_duplicates_as_the_plan_has_them() -> None:
    ids = [0, 0, 1, 1, 2, 3, 4, 5]
    sampler = NoDuplicateBatchSampler(ids, range(8), batch_size=2, batches_per_step=2, seed=4)
    plan = no_duplicate_plan(ids, range(8), batch_size=2, batches_per_step=2, seed=4)
    assert list(sampler) == plan.epoch(0).tolist()
    assert list(sampler) == plan.epoch(1).tolist()


def test_importing_it_imports_torch_and_no_trainer() -> None:
    code = "import sys, negmine.torch, negmine.torch.testing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"accelerate", "datasets", "lightning", "pyarrow", "sentence_transformers", "transformers"}


def test_rows_of_no_class_are_left_out_of_class_balanced_batches() -> None:
    labels = ["cat", "", "cat", "dog", "dog", ""]
    with pytest.raises(NegmineValueError, match="`labels` must hold the class of every row; got '', which is no class"):
        ClassBalancedBatchSampler(labels, batch_size=2, per_class=1)
    sampler = ClassBalancedBatchSampler(labels, batch_size=2, per_class=1, unlabeled="drop")
    assert sorted(row for batch in sampler for row in batch) == [0, 2, 3, 4]
