"""torchdata's StatefulDataLoader saves and loads the sampler's place, whatever its workers have read ahead."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from shuffled import PLAN, make

stateful = pytest.importorskip("torchdata.stateful_dataloader")

# torchdata 0.11 with newer torch.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")

EPOCHS = [[PLAN.batch(epoch, index).tolist() for index in range(len(PLAN))] for epoch in range(3)]


def loader(workers: int, persistent: bool = False, num_replicas: int = 1, rank: int = 0) -> Any:
    return stateful.StatefulDataLoader(
        torch.arange(PLAN.n_rows),
        batch_sampler=make(num_replicas, rank),
        num_workers=workers,
        persistent_workers=persistent,
    )


def read(source: Any) -> list[list[int]]:
    return [batch.tolist() for batch in source]


def check_resumption(workers: int, stop: int, persistent: bool = False) -> None:
    """Stop after ``stop`` batches of the second epoch, save, and go on in another loader."""
    first = loader(workers, persistent)
    assert read(first) == EPOCHS[0]
    iterator = iter(first)
    seen = [next(iterator).tolist() for _ in range(stop)]
    state = pickle.loads(pickle.dumps(first.state_dict()))
    del iterator, first
    second = loader(workers, persistent)
    second.load_state_dict(state)
    rest = read(second)
    if stop < len(PLAN):
        assert seen + rest == EPOCHS[1]
        rest = read(second)
    # A state of the end of an epoch starts the next one.
    assert rest == EPOCHS[2]


@pytest.mark.parametrize("stop", range(len(PLAN) + 1))
def test_it_resumes_at_every_batch(stop: int) -> None:
    check_resumption(0, stop)


@pytest.mark.parametrize("stop", [1, 13, len(PLAN) - 1, len(PLAN)])
@pytest.mark.parametrize("persistent", [False, True])
def test_it_resumes_with_workers_that_read_ahead(stop: int, persistent: bool) -> None:
    check_resumption(2, stop, persistent)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_state_of_the_whole_epoch_starts_the_next(workers: int) -> None:
    first = loader(workers)
    assert read(first) == EPOCHS[0]
    state = first.state_dict()
    second = loader(workers)
    second.load_state_dict(state)
    assert read(second) == EPOCHS[1]
    assert read(second) == EPOCHS[2]


def test_the_epoch_may_be_set_by_whoever_resumes() -> None:
    first = loader(0)
    first.batch_sampler.set_epoch(1)
    iterator = iter(first)
    seen = [next(iterator).tolist() for _ in range(5)]
    second = loader(0)
    second.load_state_dict(first.state_dict())
    source = iter(second)  # torchdata loads the state here
    second.batch_sampler.set_epoch(1)
    assert seen + read(source) == EPOCHS[1]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 3, 6])
def test_it_resumes_on_other_ranks(workers: int, world: int) -> None:
    first = loader(workers, num_replicas=2, rank=1)
    iterator = iter(first)
    for _ in range(6):  # of both ranks: two steps
        next(iterator)
    state = first.state_dict()
    del iterator, first
    shares = []
    for rank in range(world):
        resumed = loader(workers, num_replicas=world, rank=rank)
        resumed.load_state_dict(state)
        shares.append(read(resumed))
    assert [batch for turn in zip(*shares, strict=True) for batch in turn] == EPOCHS[0][12:]
