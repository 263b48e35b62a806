"""For the Trainer of transformers, and those made of it (sentence-transformers, TRL)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from negmine.torch.samplers.plan_sampler import PlanBatches

__all__ = ["SetEpochCallback"]

#: Where wrappers keep what they wrap: loaders, accelerate's shards and skips, several data sets.
_INNER = ("batch_sampler", "batch_samplers", "sampler")


class SetEpochCallback(TrainerCallback):
    """Tells negmine's batch samplers the epoch, however deep they are wrapped.

    The trainer does so itself but for two cases, in which epochs repeat in silence: resuming inside an epoch on
    several processes, and samplers of several data sets.

    Parameters
    ----------
    *samplers : PlanBatchSampler or RaggedBatchSampler
        Samplers to tell; by default all that the training loader holds.

    Examples
    --------
    >>> from negmine.integrations.transformers import SetEpochCallback
    >>> callback = SetEpochCallback()  # Trainer(..., callbacks=[callback])
    """

    def __init__(self, *samplers: PlanBatches) -> None:
        self._samplers = samplers

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Set the epoch that begins, or is resumed, before the loader is read."""
        # The trainer counts in fractions of an epoch: k whole ones are k up to rounding.
        epoch = int((state.epoch or 0.0) + 1e-6)
        for sampler in self._samplers or _samplers_in(kwargs.get("train_dataloader")):
            sampler.set_epoch(epoch)


def _samplers_in(loader: object) -> Iterator[PlanBatches]:
    """Yield the samplers of ours that a loader holds."""
    waiting: list[Any] = [loader]
    seen: set[int] = set()
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        if isinstance(holder, PlanBatches):
            yield holder
            continue
        for name in _INNER:
            inner = getattr(holder, name, None)
            waiting.extend(inner if isinstance(inner, list | tuple) else [] if inner is None else [inner])
