"""The batch samplers of the methods: each makes its plan from what a user has, and is a PlanBatchSampler of it."""

from __future__ import annotations

from typing import Literal

import numpy.typing as npt

from negmine.batches import no_duplicate_plan
from negmine.torch.schedule import PlanBatchSampler, refuse_replacement

__all__ = ["NoDuplicateBatchSampler"]


class NoDuplicateBatchSampler(PlanBatchSampler):
    """Batches in which no document is by accident another row's negative, using every row.

    Parameters
    ----------
    anchors, positives, negatives
        Ids of each row, as :func:`negmine.no_duplicate_plan` takes them.
    batch_size : int
        Rows of a batch.
    batches_per_step : int, default 1
        Batches that together hold no conflict: with scores gathered over ranks, their number or a multiple of it.
    strict, conflicts, remainder, seed
        As of :func:`negmine.no_duplicate_plan`; ``conflicts="extend"`` makes ragged batches, which
        :class:`RaggedBatchSampler` takes.
    num_replicas, rank, sampler
        As of :class:`PlanBatchSampler`.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As :func:`negmine.no_duplicate_plan` and :class:`PlanBatchSampler` do.

    Examples
    --------
    >>> from negmine.torch import NoDuplicateBatchSampler
    >>> sampler = NoDuplicateBatchSampler([0, 0, 1, 1], [7, 8, 9, 7], batch_size=2)
    >>> len(sampler), sorted(row for batch in sampler for row in batch)
    (2, [0, 1, 2, 3])
    """

    def __init__(
        self,
        anchors: npt.ArrayLike,
        positives: npt.ArrayLike,
        negatives: npt.ArrayLike | None = None,
        *,
        batch_size: int,
        batches_per_step: int = 1,
        strict: bool = False,
        conflicts: Literal["error", "extend"] = "error",
        remainder: Literal["pad", "drop", "error"] = "pad",
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        sampler: None = None,
    ) -> None:
        refuse_replacement(type(self).__name__, sampler, {})
        plan = no_duplicate_plan(
            anchors,
            positives,
            negatives,
            batch_size=batch_size,
            batches_per_step=batches_per_step,
            strict=strict,
            conflicts=conflicts,
            remainder=remainder,
            seed=seed,
        )
        super().__init__(plan, num_replicas=num_replicas, rank=rank)
