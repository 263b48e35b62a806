"""Any order of reading, stopping, saving, loading and changing ranks, against the plan as a list of batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

pytest.importorskip("torch")

from negmine.errors import NegmineValueError, NegmineWarning
from negmine.torch import PlanBatchSampler, RaggedBatchSampler
from negmine.torch.samplers.plan_sampler import PlanBatches
from shuffled import RaggedPlan, ShuffledPlan

#: Numbers of ranks that divide a step of six batches.
RANKS = st.sampled_from([1, 2, 3, 6])


class Samplers(RuleBasedStateMachine):
    """The samplers of all ranks, which are used alike, and the place where they must be."""

    @initialize(ragged=st.booleans(), replicas=RANKS)
    def begin(self, ragged: bool, replicas: int) -> None:
        self.kind = RaggedBatchSampler if ragged else PlanBatchSampler
        self.plan = RaggedPlan() if ragged else ShuffledPlan()
        self.samplers = self.make(replicas)
        #: Epoch and position of the next batch, and where an iterator begins that is made now.
        self.epoch, self.position, self.start = 0, 0, 0
        self.readers: list[Iterator[list[int]]] = []
        self.saved: list[tuple[dict[str, Any], int, int]] = []

    def make(self, replicas: int) -> list[PlanBatches]:
        return [self.kind(self.plan, num_replicas=replicas, rank=rank) for rank in range(replicas)]

    @rule(n=st.integers(1, 12))
    def read(self, n: int) -> None:
        """Read from iterators that were begun before, or else from new ones."""
        replicas, length = len(self.samplers), self.plan.batches_per_epoch
        if not self.readers:
            self.readers = [iter(sampler) for sampler in self.samplers]
            self.position, self.start = self.start, 0
        for _ in range(n):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NegmineWarning)
                batches = [next(reader) for reader in self.readers]
            expected = [self.plan.batch(self.epoch, self.position + rank).tolist() for rank in range(replicas)]
            assert batches == expected
            self.position += replicas
            if self.position == length:
                assert [next(reader, None) for reader in self.readers] == [None] * replicas
                self.epoch, self.position, self.readers = self.epoch + 1, 0, []
                return

    @rule()
    def stop(self) -> None:
        """Give up the iterators: the next ones begin the epoch again, or at a loaded position that nothing read."""
        self.readers = []

    @rule()
    def ask_without_reading(self) -> None:
        for sampler in self.samplers:
            iter(sampler)
            assert len(sampler) == self.plan.batches_per_epoch // len(self.samplers)

    @rule(ahead=st.sampled_from([0, 0, 1, 5, 10**6]))
    def set_epoch(self, ahead: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NegmineWarning)
            for sampler in self.samplers:
                sampler.set_epoch(self.epoch + ahead)
        if ahead:
            self.epoch, self.position, self.start, self.readers = self.epoch + ahead, 0, 0, []

    @rule()
    def save(self) -> None:
        states = [sampler.state_dict() for sampler in self.samplers]
        assert [state.pop("rank") for state in states] == list(range(len(states)))
        assert all(state == states[0] for state in states)
        self.saved.append((states[0], self.epoch, self.position))

    @rule(n=st.integers(0, 24), epoch=st.integers(0, 9))
    def save_at(self, n: int, epoch: int) -> None:
        replicas, length = len(self.samplers), self.plan.batches_per_epoch
        count = min(n, length // replicas)
        state = self.samplers[-1].state_dict_at(epoch, count)
        is_over = count * replicas == length
        self.saved.append((state, epoch + is_over, 0 if is_over else count * replicas))

    @precondition(lambda self: self.saved)
    @rule(data=st.data(), replicas=RANKS, fresh=st.booleans())
    def load(self, data: st.DataObject, replicas: int, fresh: bool) -> None:
        """Load a state into the samplers that are there, or into new ones of another number of ranks."""
        state, epoch, position = data.draw(st.sampled_from(self.saved))
        samplers = self.make(replicas) if fresh else self.samplers
        if position % len(samplers):
            for sampler in samplers:
                with pytest.raises(NegmineValueError, match="`num_replicas` must divide the position"):
                    sampler.load_state_dict(state)
            return
        for sampler in samplers:
            sampler.load_state_dict(state)
        self.samplers, self.readers = samplers, []
        self.epoch, self.position, self.start = epoch, position, position

    @precondition(lambda self: self.saved)
    @rule(change=st.sampled_from(["digest", "seed", "batch_size", "format", "epoch", "position"]))
    def refuse(self, change: str) -> None:
        state = {**self.saved[-1][0], change: -1}
        for sampler in self.samplers:
            with pytest.raises(NegmineValueError):
                sampler.load_state_dict(state)

    @invariant()
    def every_rank_is_at_the_same_place(self) -> None:
        for sampler in getattr(self, "samplers", []):
            state = sampler.state_dict()
            assert (sampler.epoch, state["epoch"], state["position"]) == (self.epoch, self.epoch, self.position)


TestSamplers = Samplers.TestCase
TestSamplers.settings = settings(max_examples=settings().max_examples // 6, stateful_step_count=30)
