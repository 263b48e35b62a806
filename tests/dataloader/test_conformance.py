"""The conformance suite: our samplers keep every contract, and each contract catches a sampler that breaks it."""

from __future__ import annotations

import inspect
import pickle
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch.utils.data import BatchSampler, SequentialSampler

import negmine
from negmine.errors import NegmineTypeError
from negmine.torch import (
    ClassBalancedBatchSampler,
    ClusterBatchSampler,
    NoDuplicateBatchSampler,
    PlanBatchSampler,
    RaggedBatchSampler,
    TopicBatchSampler,
)
from negmine.torch.testing import CONTRACTS, ConformanceError, check_batch_sampler
from shuffled import RaggedPlan, ShuffledPlan, make

#: Seconds for a worker to start on a machine that has much else to do.
LOADED = 180.0

QUICK = [name for name in CONTRACTS if name != "workers"]


def ragged(num_replicas: int, rank: int) -> RaggedBatchSampler:
    return RaggedBatchSampler(RaggedPlan(), num_replicas=num_replicas, rank=rank)


def no_duplicates(num_replicas: int, rank: int) -> NoDuplicateBatchSampler:
    ids = [i % 20 for i in range(94)]
    return NoDuplicateBatchSampler(
        ids, range(94), batch_size=2, batches_per_step=6, num_replicas=num_replicas, rank=rank
    )


def left_out(num_replicas: int, rank: int) -> NoDuplicateBatchSampler:
    ids = [0] * 20 + list(range(1, 101))
    return NoDuplicateBatchSampler(
        ids, range(120), batch_size=2, batches_per_step=6, conflicts="drop", num_replicas=num_replicas, rank=rank
    )


#: The class of each of 96 rows; clusters of unequal sizes.
CLASSES = [row % 7 for row in range(96)]


def clusters(num_replicas: int, rank: int) -> ClusterBatchSampler:
    return ClusterBatchSampler(
        CLASSES, batch_size=4, batches_per_step=6, random_share=0.25, num_replicas=num_replicas, rank=rank
    )


def topics(num_replicas: int, rank: int) -> TopicBatchSampler:
    return TopicBatchSampler(
        CLASSES, batch_size=4, clusters_per_batch=2, batches_per_step=6, num_replicas=num_replicas, rank=rank
    )


def classes(num_replicas: int, rank: int) -> ClassBalancedBatchSampler:
    return ClassBalancedBatchSampler(
        CLASSES, batch_size=4, per_class=2, batches_per_step=6, num_replicas=num_replicas, rank=rank
    )


def mixture(num_replicas: int, rank: int) -> PlanBatchSampler:
    plan = negmine.mixture_plan([60, 40], batch_size=4, batches_per_step=6)
    return PlanBatchSampler(plan, num_replicas=num_replicas, rank=rank)


OURS: dict[str, Callable[[int, int], Any]] = {
    "plan": make,
    "ragged": ragged,
    "no duplicates": no_duplicates,
    "left out": left_out,
    "clusters": clusters,
    "topics": topics,
    "classes": classes,
    "mixture": mixture,
}


@pytest.mark.parametrize("name", OURS)
def test_our_samplers_keep_every_contract(name: str) -> None:
    assert check_batch_sampler(OURS[name], contracts=QUICK) == tuple(QUICK)


def test_our_samplers_serve_workers() -> None:
    check_batch_sampler(make, contracts=["workers"], start_methods=["fork"], time_limit=LOADED)


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_our_samplers_serve_workers_of_every_kind(name: str) -> None:
    check_batch_sampler(OURS[name], contracts=["workers"], time_limit=LOADED)


# ---- samplers that break one contract each, in ways that published ones do


class Eager(PlanBatchSampler):
    """Takes up its position when an iterator is made (the double ``iter`` of a loader loses a resumption)."""

    def __iter__(self) -> Iterator[list[int]]:
        begin, self._begin = self._begin, 0
        self._reader += 1
        reader, epoch = self._reader, self._epoch
        return self.read(reader, epoch, begin)

    def read(self, reader: int, epoch: int, begin: int) -> Iterator[list[int]]:
        for first in range(begin, self.plan.batches_per_epoch, self.num_replicas):
            if reader == self._reader:
                self._go_to(epoch, first + self.num_replicas)
            yield self.plan.batch(epoch, first + self.rank).tolist()


class Arrays(PlanBatchSampler):
    """Yields arrays, which accelerate adds element by element."""

    def __iter__(self) -> Iterator[Any]:
        for epoch, index in [(self.epoch, i) for i in range(self.rank, self.plan.batches_per_epoch, self.num_replicas)]:
            yield self.plan.batch(epoch, index)


class Overstated(PlanBatchSampler):
    """Promises one batch more than it has."""

    def __len__(self) -> int:
        return super().__len__() + 1


class Uneven(PlanBatchSampler):
    """Gives the first rank a batch more: the others leave it waiting."""

    def __len__(self) -> int:
        return super().__len__() + (self.rank == 0 and self.num_replicas > 1)

    def __iter__(self) -> Iterator[list[int]]:
        yield from super().__iter__()
        if self.rank == 0 and self.num_replicas > 1:
            yield self.plan.batch(self.epoch, 0).tolist()


class SameEveryEpoch(PlanBatchSampler):
    """Is told the epoch and forgets it."""

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, self.plan.batches_per_epoch, self.num_replicas):
            yield self.plan.batch(0, first + self.rank).tolist()


class Counting(PlanBatchSampler):
    """Goes one epoch on whenever it is told the epoch, be it the same."""

    told = -1

    def set_epoch(self, epoch: int) -> None:
        self.told = max(self.told + 1, epoch)
        super().set_epoch(self.told)


class OutOfReach(PlanBatchSampler):
    """Hides behind a sampler of rows that knows no epochs."""

    @property
    def sampler(self) -> Any:
        return range(self.plan.n_rows)


class WithoutEpoch(PlanBatchSampler):
    """Saves how many batches it yielded, not in which epoch."""

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "epoch"}

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({"epoch": self.epoch, **state_dict})


class Stuck(PlanBatchSampler):
    """Saves the end of an epoch as an end, so that the next one is skipped."""

    def _go_to(self, epoch: int, position: int) -> None:
        self._epoch, self._position = epoch, position

    def load_state_dict(self, state_dict: Any) -> None:
        end = self.plan.batches_per_epoch
        if state_dict["position"] < end:
            super().load_state_dict(state_dict)
        else:
            self._epoch, self._position, self._begin = state_dict["epoch"], end, end


class Forward(PlanBatchSampler):
    """Resumes a batch too late, as one does that counts what was prefetched."""

    def state_dict(self) -> dict[str, Any]:
        ahead = min(self._position + 2 * self.num_replicas, self.plan.batches_per_epoch - self.num_replicas)
        return {**super().state_dict(), "position": ahead}


class Heavy(PlanBatchSampler):
    """Saves its whole table with every batch."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "rows": list(range(10_000))}


class Shared(PlanBatchSampler):
    """Hands out the dict that it goes on writing to."""

    def state_dict(self) -> dict[str, Any]:
        if not hasattr(self, "held"):
            self.held: dict[str, Any] = {}
        self.held.update(super().state_dict())
        return self.held


class Credulous(PlanBatchSampler):
    """Loads the state of other data."""

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({**state_dict, "digest": self.plan.digest})


class PerRank(PlanBatchSampler):
    """Saves its own count of batches, which means another place on another number of ranks."""

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        return {**state, "position": state["position"] // self.num_replicas}

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({**state_dict, "position": state_dict["position"] * self.num_replicas})


class GlobalRandom(PlanBatchSampler):
    """Shuffles with Python's global generator."""

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            random.shuffle(batch)
            yield batch


class Short(PlanBatchSampler):
    """Tells a batch size and ends on a shorter batch."""

    def __iter__(self) -> Iterator[list[int]]:
        *batches, last = super().__iter__()
        yield from batches
        yield last[:-1]


class Unpicklable(PlanBatchSampler):
    """Holds what cannot be pickled."""

    def __init__(self, plan: Any, **options: Any) -> None:
        super().__init__(plan, **options)
        self.draw = lambda epoch: epoch


BROKEN = {
    "lists of int": [Arrays],
    "batch size": [Short],
    "exact length": [Overstated],
    "ranks": [Uneven],
    "lazy iterators": [Eager],
    "repeatable": [GlobalRandom],
    "epochs": [SameEveryEpoch, Counting],
    "set_epoch in reach": [OutOfReach],
    "state": [WithoutEpoch, Heavy, Shared],
    "refusal": [Credulous],
    "resume": [Stuck, Forward],
    "resume on other ranks": [PerRank],
    "pickling": [Unpicklable],
}


@pytest.mark.parametrize(
    ("contract", "sampler"), [(name, sampler) for name, samplers in BROKEN.items() for sampler in samplers]
)
def test_a_broken_sampler_is_caught_by_its_contract(contract: str, sampler: type[PlanBatchSampler]) -> None:
    def broken(num_replicas: int, rank: int) -> PlanBatchSampler:
        return sampler(ShuffledPlan(), num_replicas=num_replicas, rank=rank)

    with pytest.raises(ConformanceError, match=f"^{contract}: ") as caught:
        check_batch_sampler(broken, contracts=[contract])
    assert caught.value.contract == contract
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.contract) == (str(caught.value), contract)


def test_every_contract_but_the_workers_has_a_broken_sampler() -> None:
    assert set(BROKEN) == set(QUICK)


def test_a_sampler_that_breaks_workers_alone_is_caught() -> None:
    class Once(PlanBatchSampler):
        """Gives its batches once: the second epoch of a loader is empty."""

        read = False

        def __iter__(self) -> Iterator[list[int]]:
            if not self.read:
                yield from super().__iter__()
            self.read = True

    with pytest.raises(ConformanceError, match=r"^workers: .* fork"):
        check_batch_sampler(lambda n, r: Once(ShuffledPlan()), contracts=["workers"], start_methods=["fork"])


def test_torchs_own_batch_sampler_is_no_such_thing() -> None:
    def plain(num_replicas: int, rank: int) -> BatchSampler:
        return BatchSampler(SequentialSampler(range(6)), 2, drop_last=True)

    with pytest.raises(ConformanceError, match=r"^epochs: the sampler raised AttributeError: .*set_epoch"):
        check_batch_sampler(plain, contracts=["epochs"])
    with pytest.raises(ConformanceError, match=r"^state: a sampler must have state_dict"):
        check_batch_sampler(plain, contracts=["state"])


def test_an_unknown_contract_is_named() -> None:
    with pytest.raises(NegmineTypeError, match=r"`contracts` must be of lists of int, .*; got 'speed'"):
        check_batch_sampler(make, contracts=["speed"])


def test_every_contract_is_told() -> None:
    told = re.findall(r"^- ``([\w ]+)``:", inspect.getdoc(check_batch_sampler) or "", re.MULTILINE)
    assert told == list(CONTRACTS)
