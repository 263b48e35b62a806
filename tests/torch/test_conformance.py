"""The conformance suite: our samplers keep every contract, and each contract catches a sampler that breaks it."""

from __future__ import annotations

import inspect
import pickle
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from torch.utils.data import BatchSampler, SequentialSampler

from negmine.batches import mixture_plan, no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError
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


#: An id of each of 150 rows, one of them in 20: more than the steps of 12 rows.
IDS = [0] * 20 + list(range(1, 131))
#: The class of each of 96 rows; clusters of unequal sizes.
CLASSES = [row % 7 for row in range(96)]


def no_duplicates(
    num_replicas: int, rank: int, ids: Sequence[int] = [i % 20 for i in range(94)], **options: Any
) -> NoDuplicateBatchSampler:
    return NoDuplicateBatchSampler(
        ids, range(len(ids)), batch_size=2, batches_per_step=6, num_replicas=num_replicas, rank=rank, **options
    )


def left_out(num_replicas: int, rank: int, ids: Sequence[int] = IDS, **options: Any) -> NoDuplicateBatchSampler:
    return no_duplicates(num_replicas, rank, ids, conflicts="drop", **options)


def spread(num_replicas: int, rank: int, ids: Sequence[int] = IDS, **options: Any) -> NoDuplicateBatchSampler:
    return no_duplicates(num_replicas, rank, ids, conflicts="spread", **options)


def extended(num_replicas: int, rank: int, ids: Sequence[int] = IDS, **options: Any) -> RaggedBatchSampler:
    plan = no_duplicate_plan(ids, range(len(ids)), batch_size=2, batches_per_step=6, conflicts="extend", **options)
    assert plan.batch_size is None
    return RaggedBatchSampler(plan, num_replicas=num_replicas, rank=rank)


def clusters(num_replicas: int, rank: int, labels: Sequence[int] = CLASSES, **options: Any) -> ClusterBatchSampler:
    return ClusterBatchSampler(
        labels, batch_size=4, batches_per_step=6, random_fraction=0.25, num_replicas=num_replicas, rank=rank, **options
    )


def tree(num_replicas: int, rank: int, labels: Sequence[int] = CLASSES, **options: Any) -> ClusterBatchSampler:
    return clusters(num_replicas, rank, labels, order="tree", **options)


def topics(num_replicas: int, rank: int, labels: Sequence[int] = CLASSES, **options: Any) -> TopicBatchSampler:
    return TopicBatchSampler(
        labels, batch_size=4, clusters_per_batch=2, batches_per_step=6, num_replicas=num_replicas, rank=rank, **options
    )


def classes(num_replicas: int, rank: int, labels: Sequence[int] = CLASSES, **options: Any) -> ClassBalancedBatchSampler:
    return ClassBalancedBatchSampler(
        labels, batch_size=4, per_class=2, batches_per_step=6, num_replicas=num_replicas, rank=rank, **options
    )


def mixture(num_replicas: int, rank: int, sizes: Sequence[int] = (60, 40), **options: Any) -> PlanBatchSampler:
    plan = mixture_plan(sizes, batch_size=4, batches_per_step=6, **options)
    return PlanBatchSampler(plan, num_replicas=num_replicas, rank=rank)


OURS: dict[str, Callable[[int, int], Any]] = {
    "plan": make,
    "ragged": ragged,
    "no duplicates": no_duplicates,
    "left out": left_out,
    "spread": spread,
    "extended": extended,
    "clusters": clusters,
    "tree": tree,
    "topics": topics,
    "classes": classes,
    "mixture": mixture,
}


@pytest.mark.parametrize("name", OURS)
def test_our_samplers_keep_every_contract(name: str) -> None:
    assert check_batch_sampler(OURS[name], contracts=QUICK) == tuple(QUICK)


#: The same number of rows, one of which is another's.
OTHER_IDS, OTHER_CLASSES = (0,) * 19 + (131, *IDS[20:]), (1, *CLASSES[1:])
OTHER_DATA: dict[str, Any] = {
    "no duplicates": (1, *[i % 20 for i in range(1, 94)]),
    "left out": OTHER_IDS,
    "spread": OTHER_IDS,
    "extended": OTHER_IDS,
    "clusters": OTHER_CLASSES,
    "tree": OTHER_CLASSES,
    "topics": OTHER_CLASSES,
    "classes": OTHER_CLASSES,
    "mixture": (59, 41),
}


@pytest.mark.parametrize("name", OTHER_DATA)
def test_a_state_of_other_data_or_of_another_seed_is_refused(name: str) -> None:
    make_one: Any = OURS[name]
    for position in (0, 2):
        sampler = make_one(1, 0)
        state = sampler.state_dict_at(1, position)
        with pytest.raises(
            NegmineValueError, match=r"`state_dict` must be of this sampler's digest, .*data or options"
        ):
            make_one(1, 0, OTHER_DATA[name]).load_state_dict(state)
        with pytest.raises(NegmineValueError, match=r"`state_dict` must be of this sampler's seed, 1; got 0"):
            make_one(1, 0, seed=1).load_state_dict(state)
        make_one(1, 0).load_state_dict(state)


def test_every_sampler_of_data_has_other_data() -> None:
    assert OURS.keys() - OTHER_DATA.keys() == {"plan", "ragged"}


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


class RoundedDown(PlanBatchSampler):
    """Goes on, inside a step of other ranks, from the batch before: rows are seen twice."""

    def load_state_dict(self, state_dict: Any) -> None:
        position = state_dict["position"]
        super().load_state_dict({**state_dict, "position": position - position % self.num_replicas})


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
    "resume on other ranks": [PerRank, RoundedDown],
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
