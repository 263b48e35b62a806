"""Factory of batch samplers that mix several data sets, for the trainers of sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from torch.utils.data import BatchSampler, RandomSampler

from negmine._core import formats
from negmine._core.digests import digest
from negmine._core.options import check_integer, refuse_unknown_options
from negmine.batches import BatchPlan, cluster_plan, mixture_plan
from negmine.batches.mixtures import read_weights
from negmine.batches.plan import Array, Plan
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.samplers.plan_sampler import PlanBatches, PlanBatchSampler, RaggedBatchSampler

__all__ = ["mixture_batch_sampler"]

#: Distance between the epochs of two data sets: the plans of all of them have the seed of the trainer.
_EPOCHS_APART = 2**32


class MakeMixture(Protocol):
    """Factory of batch samplers, as sentence-transformers takes it for ``args.multi_dataset_batch_sampler``."""

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401 (a torch ConcatDataset)
        batch_samplers: Sequence[Any],
        generator: object = None,
        seed: int | None = 0,
    ) -> PlanBatches:
        """Make the batch sampler of several data sets."""


@refuse_unknown_options("mixture_batch_sampler")
def mixture_batch_sampler(
    weights: Literal["proportional", "round_robin"] | Sequence[float] = "proportional",
    *,
    batches_per_step: int = 1,
    batches_per_epoch: int | None = None,
) -> MakeMixture:
    """Mix the batches of several data sets by weights, for ``args.multi_dataset_batch_sampler``.

    It replaces ``MultiDatasetBatchSamplers.PROPORTIONAL`` and ``ROUND_ROBIN``, and takes any weights. Each batch comes
    from one data set, ``len`` is exact, and data sets of the same size are not shuffled alike.

    Parameters
    ----------
    weights : {"proportional", "round_robin"} or sequence of float, default "proportional"
        Shares of the data sets, in the order of the ``DatasetDict``, as of [`negmine.batches.mixture_plan`][]. A data
        set that an epoch does not use up goes on in the next epoch.
    batches_per_step : int, default 1
        Batches that are used together; they come from one data set. With several processes, pass their number or a
        multiple of it, here and to the factory of ``args.batch_sampler``.
    batches_per_epoch : int, optional
        Batches per epoch if ``weights`` are numbers. Default: the batches of all data sets together.

    Returns
    -------
    callable
        ``f(dataset, batch_samplers, generator, seed)``, which can be pickled. The batches of each data set are those of
        ``args.batch_sampler``: a factory of this package, such as [`no_duplicate_batch_sampler`][], or the default of
        the trainer, random batches.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an option is invalid. When the trainer calls the factory: if a data set has another batch sampler, or as
        [`negmine.batches.mixture_plan`][].

    Notes
    -----
    Add [`negmine.integrations.transformers.SetEpochCallback`][] to the trainer, as for
    [`no_duplicate_batch_sampler`][].

    Examples
    --------
    >>> import datasets
    >>> from torch.utils.data import ConcatDataset
    >>> from negmine.integrations.sentence_transformers import mixture_batch_sampler, no_duplicate_batch_sampler
    >>> make = mixture_batch_sampler([3, 1])  # SentenceTransformerTrainingArguments(multi_dataset_batch_sampler=make)
    >>> parts = [
    ...     datasets.Dataset.from_dict({"anchor": range(8), "positive": range(first, first + 8)}) for first in (10, 20)
    ... ]
    >>> samplers = [no_duplicate_batch_sampler()(part, batch_size=2, drop_last=True) for part in parts]
    >>> sampler = make(dataset=ConcatDataset(parts), batch_samplers=samplers, generator=None, seed=12)
    >>> [sum(row < 8 for row in batch) for batch in sampler].count(2), len(sampler)
    (6, 8)
    """
    read = read_weights(weights, batches_per_epoch)
    shares = read if isinstance(read, str) else tuple(read)
    together = check_integer(batches_per_step, "batches_per_step", least=1)
    if batches_per_epoch is not None:
        check_integer(batches_per_epoch, "batches_per_epoch", least=together)
    return _Mixture(shares, together, batches_per_epoch)


@dataclass(frozen=True, slots=True)
class _Mixture:
    """Factory that holds only options: the trainer pickles it with its arguments at every checkpoint."""

    weights: Any
    batches_per_step: int
    batches_per_epoch: int | None

    def __call__(
        self,
        dataset: Any,  # noqa: ANN401
        batch_samplers: Sequence[Any],
        generator: object = None,
        seed: int | None = 0,
    ) -> PlanBatches:
        parts = getattr(dataset, "datasets", None)
        if parts is None:
            raise NegmineTypeError(f"`dataset` must be a ConcatDataset; got {type(dataset).__name__}.")
        if len(parts) != len(batch_samplers):
            raise NegmineValueError(
                f"`batch_samplers` must be one for each of the {len(parts)} data sets; got {len(batch_samplers)}."
            )
        start = 0 if seed is None else seed
        plans: list[int | BatchPlan] = []
        for number, (part, sampler) in enumerate(zip(parts, batch_samplers, strict=True)):
            plan = self._plan(sampler, len(part), number, start)
            if plan.n_rows != len(part):
                raise NegmineValueError(
                    f"`batch_samplers` must be of their data sets; got {plan.n_rows} rows for data set {number}, which "
                    f"has {len(part)}."
                )
            plans.append(_later(plan, number * _EPOCHS_APART))
        mixture = mixture_plan(
            plans,
            weights=self.weights,
            batches_per_step=self.batches_per_step,
            batches_per_epoch=self.batches_per_epoch,
            seed=start,
        )
        return RaggedBatchSampler(mixture) if mixture.batch_size is None else PlanBatchSampler(mixture)

    def _plan(self, sampler: object, n_rows: int, number: int, seed: int) -> BatchPlan:
        """Return the plan of a data set's batches; random batches are planned here."""
        if isinstance(sampler, PlanBatches):
            return sampler.plan
        if not isinstance(sampler, BatchSampler) or not isinstance(sampler.sampler, RandomSampler):
            raise NegmineTypeError(
                "`batch_samplers` must be made by a factory of negmine, such as `no_duplicate_batch_sampler`, or be "
                f"the trainer's default; got {type(sampler).__name__} for data set {number}."
            )
        exact = sampler.drop_last or n_rows % (sampler.batch_size * self.batches_per_step) == 0
        return cluster_plan(
            np.arange(n_rows),
            batch_size=sampler.batch_size,
            batches_per_step=self.batches_per_step,
            remainder="drop" if exact else "short",
            seed=seed,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Later(Plan):
    """A plan that starts at a later epoch of another plan."""

    _plan: BatchPlan = field(repr=False)
    _first: int

    def _batch(self, epoch: int, index: int) -> Array:
        return self._plan.batch((epoch + self._first) % 2**64, index)

    def _epoch(self, epoch: int) -> Array | list[Array]:
        return self._plan.epoch((epoch + self._first) % 2**64)


def _later(plan: BatchPlan, first: int) -> BatchPlan:
    """Start a plan at a later epoch."""
    if first == 0:
        return plan
    return _Later(
        n_rows=plan.n_rows,
        batch_size=plan.batch_size,
        batches_per_step=plan.batches_per_step,
        batches_per_epoch=plan.batches_per_epoch,
        seed=plan.seed,
        digest=digest(formats.MIXTURE_PLAN.tag, ["later", plan.digest, first], []),
        report=plan.report,
        _plan=plan,
        _first=first,
    )
