"""Callback for the Trainer of transformers, and the trainers derived from it (sentence-transformers, TRL)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from negmine.errors import NegmineError
from negmine.torch.samplers.plan_sampler import PlanBatches

__all__ = ["SetEpochCallback"]

#: Attributes in which wrappers keep the wrapped sampler: loaders, accelerate's shards and skips, several data sets.
_INNER = ("batch_sampler", "batch_samplers", "sampler")


class SetEpochCallback(TrainerCallback):
    """Set the epoch of negmine's batch samplers, at any depth of wrapping.

    The trainer does so itself except in two cases, in which epochs would repeat silently: resuming inside an epoch on
    several processes, and samplers of several data sets.

    With the trainers of sentence-transformers, the callback makes the batch samplers of all evaluation sets once when
    training starts, so that a set that cannot be batched raises an error then, and not at the first evaluation.

    Parameters
    ----------
    *samplers : PlanBatchSampler or RaggedBatchSampler
        Samplers whose epoch to set. Default: all samplers of the training loader.

    Examples
    --------
    >>> from negmine.integrations.transformers import SetEpochCallback
    >>> callback = SetEpochCallback()  # Trainer(..., callbacks=[callback])
    """

    def __init__(self, *samplers: PlanBatches) -> None:
        self._samplers = samplers

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Check that evaluation sets can be batched, if a factory of negmine makes their batches.

        Parameters
        ----------
        args : TrainingArguments
            Arguments of the trainer.
        state : TrainerState
            State of the trainer; not used.
        control : TrainerControl
            Control flow of the trainer; not used.
        **kwargs : object
            Other objects of the trainer; not used.
        """
        make = getattr(args, "batch_sampler", None)
        trainer = _trainer_of(args) if getattr(make, "checks_evaluation", False) else None
        evaluates = getattr(args, "eval_strategy", "no") != "no" or getattr(args, "eval_on_start", False)
        if trainer is None or not evaluates:
            return
        for name, dataset in _parts(getattr(trainer, "eval_dataset", None), ""):
            try:
                trainer.get_batch_sampler(
                    dataset,
                    batch_size=trainer.args.eval_batch_size,
                    drop_last=args.dataloader_drop_last,
                    valid_label_columns=trainer.data_collator.valid_label_columns,
                    seed=args.seed,
                )
            except NegmineError as error:
                error.add_note(f"This is the evaluation set{name and f' {name!r}'}, checked when training starts.")
                raise

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Set the epoch that begins, or is resumed, before the loader is read.

        Parameters
        ----------
        args : TrainingArguments
            Arguments of the trainer; not used.
        state : TrainerState
            State of the trainer, which holds the epoch.
        control : TrainerControl
            Control flow of the trainer; not used.
        **kwargs : object
            Other objects of the trainer, with the loader as ``train_dataloader``.
        """
        # The trainer counts fractions of an epoch: k complete epochs are k up to rounding.
        epoch = int((state.epoch or 0.0) + 1e-6)
        for sampler in self._samplers or _samplers_in(kwargs.get("train_dataloader")):
            sampler.set_epoch(epoch)


def _trainer_of(args: TrainingArguments) -> Any:  # noqa: ANN401 (a trainer of sentence-transformers, or None)
    """Find the trainer of these arguments on the call stack: callbacks get everything except the trainer."""
    frame, depth = sys._getframe(1), 0
    while frame is not None and depth < 16:
        caller = frame.f_locals.get("self")
        if getattr(caller, "args", None) is args and hasattr(caller, "get_batch_sampler"):
            return caller
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    return None


def _parts(dataset: object, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the data sets of a data set, a ``DatasetDict`` or a dictionary of them, with their names."""
    if isinstance(dataset, Mapping):
        for key, part in dataset.items():
            yield from _parts(part, f"{name}/{key}" if name else str(key))
    elif hasattr(dataset, "num_rows"):
        yield name, dataset


def _samplers_in(loader: object) -> Iterator[PlanBatches]:
    """Yield negmine's samplers that a loader holds."""
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
