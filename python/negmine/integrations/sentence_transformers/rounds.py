"""Callback that draws or mines new negatives during a training, and publishes them for its data set.

It works with every trainer that is derived from the Trainer of transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from negmine._core.options import check_integer, refuse_unknown_fields
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.store.negatives_table import NegativesTable

__all__ = ["NegativesCallback"]


@refuse_unknown_fields
class NegativesCallback(TrainerCallback):
    """Draw or mine new negatives during training, and publish them in the table that the data set reads.

    By default, each epoch has its own round of negatives; with ``every_steps``, a round has so many steps. The main
    process publishes, and the other processes wait for it.

    Parameters
    ----------
    table : NegativesTable
        Table of the data set, in a folder that all processes see.
    negatives : HardNegatives
        Negatives of round 0. Without ``remine`` they need their pool: round r is ``negatives.redraw(r)``.
    remine : callable, optional
        Function of (model, round) that mines with the current model and returns [`negmine.HardNegatives`][] for the
        same result rows; called for every round but 0. Pass the round as ``epoch`` to the miner, so that draws differ.
    every_steps : int, optional
        Number of optimizer steps per round. Default: a round per epoch.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid, or the negatives have no pool. In training: if ``remine`` does not return
        HardNegatives of the table's data set, or a run is resumed inside a round whose negatives are not found.

    Notes
    -----
    Resuming: round r of redrawn negatives depends on r alone, so a run that is resumed inside an epoch trains on the
    batches of the uninterrupted one. Mined negatives depend on the model at the start of the round, so each checkpoint
    gets a copy, ``negatives-ROUND.npz``; resume with the same ``output_dir``.

    Loaders read ahead. An epoch is of one round entirely. With ``every_steps``, the batches that were read ahead when a
    round begins are still of the round before, more of them with more workers, and a resumed run reads them from the
    new round.

    The table has the optimizer step at which negatives were mined as ``mined_at_step``: 0 for those of ``negatives``,
    which were mined before the training, and -1 for those that a resumed run loads.

    Mining can take longer than other processes wait: raise ``ddp_timeout`` of the training arguments. Add
    [`negmine.integrations.transformers.SetEpochCallback`][] for the epochs of batch samplers.

    Examples
    --------
    >>> import numpy as np, negmine, tempfile
    >>> from negmine.torch import NegativesTable
    >>> from negmine.integrations.sentence_transformers import NegativesCallback
    >>> corpus = np.eye(6, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2, sampling="random")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = NegativesTable.create(folder, negatives)
    ...     callback = NegativesCallback(table, negatives)  # SentenceTransformerTrainer(..., callbacks=[callback])
    """

    def __init__(
        self,
        table: NegativesTable,
        negatives: HardNegatives,
        *,
        remine: Callable[[Any, int], HardNegatives] | None = None,
        every_steps: int | None = None,
    ) -> None:
        for name, value, kind in (("table", table, NegativesTable), ("negatives", negatives, HardNegatives)):
            if not isinstance(value, kind):
                raise NegmineTypeError(f"`{name}` must be a {kind.__name__}; got {type(value).__name__}.")
        if remine is not None and not callable(remine):
            raise NegmineTypeError(f"`remine` must be callable; got {type(remine).__name__}.")
        if remine is None and negatives.pool is None:
            raise NegmineValueError(
                "`negatives` must have their pool to be drawn again; got negatives that were saved without `pool=True`."
            )
        self._table, self._negatives, self._remine = table, negatives, remine
        self._every = None if every_steps is None else check_integer(every_steps, "every_steps", least=1)
        self._round, self._current, self._resumed = 0, negatives, False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Publish the round that training starts or goes on in, if rounds are counted in steps.

        Parameters
        ----------
        args : TrainingArguments
            Arguments of the trainer, which hold the folder of checkpoints.
        state : TrainerState
            State of the trainer, which holds the step.
        control : TrainerControl
            Control flow of the trainer; not used.
        **kwargs : object
            Other objects of the trainer, with the model as ``model``.
        """
        self._resumed = state.global_step > 0
        if self._every is not None:
            self._begin(state.global_step // self._every, args, state, kwargs.get("model"))

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Publish the round of the epoch that begins or is resumed, before the loader is read.

        Parameters
        ----------
        args : TrainingArguments
            Arguments of the trainer, which hold the folder of checkpoints.
        state : TrainerState
            State of the trainer, which holds the epoch.
        control : TrainerControl
            Control flow of the trainer; not used.
        **kwargs : object
            Other objects of the trainer, with the model as ``model``.
        """
        if self._every is None:
            # The trainer counts fractions of an epoch: k complete epochs are k up to rounding.
            self._begin(int((state.epoch or 0.0) + 1e-6), args, state, kwargs.get("model"))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Publish the next round after its number of steps, if rounds are counted in steps.

        Parameters
        ----------
        args : TrainingArguments
            Arguments of the trainer, which hold the folder of checkpoints.
        state : TrainerState
            State of the trainer, which holds the step.
        control : TrainerControl
            Control flow of the trainer; not used.
        **kwargs : object
            Other objects of the trainer, with the model as ``model``.
        """
        step = state.global_step
        if self._every is not None and step % self._every == 0 and step < state.max_steps:
            self._begin(step // self._every, args, state, kwargs.get("model"))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Copy mined negatives to the checkpoint, from which a run may be resumed inside the round.

        Parameters
        ----------
        args : TrainingArguments
            Arguments of the trainer, which hold the folder of checkpoints.
        state : TrainerState
            State of the trainer, which holds the step.
        control : TrainerControl
            Control flow of the trainer; not used.
        **kwargs : object
            Other objects of the trainer; not used.
        """
        path = self._saved(args, state, self._round)
        if self._remine is not None and self._round > 0 and state.is_world_process_zero and path.parent.is_dir():
            self._current.save(path)

    @staticmethod
    def _saved(args: TrainingArguments, state: TrainerState, number: int) -> Path:
        return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / f"negatives-{number}.npz"

    def _begin(self, number: int, args: TrainingArguments, state: TrainerState, model: object) -> None:
        """Publish a round on the main process, and make the other processes wait for it, or for its error."""
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        outcome: list[Any] = [-1, ""]
        failed: BaseException | None = None
        if state.is_world_process_zero:
            try:
                self._current, step = self._negatives_of(number, args, state, model)
                outcome[0] = self._table.publish(self._current, step=step)
            except BaseException as error:
                if not together:
                    raise
                failed = error
                outcome[1] = f"{type(error).__name__}: {error}"
        self._round, self._resumed = number, False
        if together:
            torch.distributed.broadcast_object_list(outcome, src=0)
        if failed is not None:
            raise failed
        generation, message = outcome
        if message:
            raise NegmineError(f"The main process could not publish negatives: {message}")
        if self._table.generation < generation:
            raise NegmineValueError(
                f"`table` must lie in a folder that all processes see; {self._table.folder} has generation "
                f"{self._table.generation} here, and the main process published {generation}."
            )

    def _negatives_of(
        self, number: int, args: TrainingArguments, state: TrainerState, model: object
    ) -> tuple[HardNegatives, int]:
        """Draw, mine or load the negatives of a round; with them, the step at which they were mined."""
        if self._remine is None:
            return self._negatives.redraw(number), 0
        if number == 0:
            return self._negatives, 0
        if self._resumed:
            path = self._saved(args, state, number)
            if path.exists():
                return HardNegatives.load(path), -1
            if not self._at_start(state):
                raise NegmineValueError(
                    "`resume_from_checkpoint` must be in `output_dir` and hold the negatives of the round inside which "
                    f"it was saved, {number}; got no {path}."
                )
        fresh = self._remine(model, number)
        if not isinstance(fresh, HardNegatives):
            raise NegmineTypeError(f"`remine` must return HardNegatives; got {type(fresh).__name__}.")
        return fresh, state.global_step

    def _at_start(self, state: TrainerState) -> bool:
        """Return whether no step of the round was made yet."""
        if self._every is not None:
            return bool(state.global_step % self._every == 0)
        return abs(state.epoch - round(state.epoch)) < 1e-6
