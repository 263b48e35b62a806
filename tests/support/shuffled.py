"""The plainest plan: an epoch's permutation, cut into batches. It pickles, and reads in a minute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine.batches import epoch_permutation
from negmine.torch import PlanBatchSampler


@dataclass(frozen=True)
class ShuffledPlan:
    """Batches of a shuffle; what is short of a step at the end is left out."""

    n_rows: int = 48
    batch_size: int | None = 2
    batches_per_step: int = 6
    seed: int = 0

    @property
    def batches_per_epoch(self) -> int:
        assert self.batch_size is not None
        step = self.batch_size * self.batches_per_step
        return self.n_rows // step * self.batches_per_step

    def __len__(self) -> int:
        return self.batches_per_epoch

    @property
    def report(self) -> dict[str, int]:
        return {}

    @property
    def digest(self) -> str:
        return f"shuffled {self.n_rows} {self.batch_size} {self.batches_per_step} {self.seed}"

    def batch(self, epoch: int, index: int) -> npt.NDArray[np.int64]:
        assert self.batch_size is not None
        start = index * self.batch_size
        return epoch_permutation(self.n_rows, seed=self.seed, epoch=epoch, start=start, stop=start + self.batch_size)

    def epoch(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        return [self.batch(epoch, index) for index in range(len(self))]


@dataclass(frozen=True)
class RaggedPlan(ShuffledPlan):
    """The same, where every other batch gives a row to the one before it."""

    batch_size: int | None = None
    largest: int = 3

    @property
    def batches_per_epoch(self) -> int:
        return self.n_rows // (2 * (self.largest - 1) * self.batches_per_step) * 2 * self.batches_per_step

    def batch(self, epoch: int, index: int) -> npt.NDArray[np.int64]:
        start = index * (self.largest - 1) + index % 2
        stop = (index + 1) * (self.largest - 1) + (index + 1) % 2
        return epoch_permutation(self.n_rows, seed=self.seed, epoch=epoch, start=start, stop=stop)


PLAN = ShuffledPlan()


def make(num_replicas: int = 1, rank: int = 0) -> PlanBatchSampler:
    """Make a sampler of one rank."""
    return PlanBatchSampler(PLAN, num_replicas=num_replicas, rank=rank)
