"""Callback for Lightning's Trainer."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from negmine.torch.samplers.plan_sampler import PlanBatches

__all__ = ["SetEpochCallback"]


class SetEpochCallback(Callback):
    """Set the epoch of batch samplers before Lightning reads ahead, and the position of a checkpoint inside an epoch.

    Lightning sets epochs itself, but when it resumes, it requests the first batches of a loader before that, so that
    workers fetch those of epoch 0. A plain DataLoader also restarts an epoch that was interrupted.

    Parameters
    ----------
    *samplers : PlanBatchSampler or RaggedBatchSampler
        Samplers of the training loaders; they must exist before the loaders.

    Notes
    -----
    With several devices pass ``use_distributed_sampler=False`` to the Trainer, and
    ``num_replicas=trainer.world_size, rank=trainer.global_rank`` to the sampler. The callback assumes that one
    optimizer step takes one batch of each loader.

    Examples
    --------
    >>> import negmine
    >>> from negmine.integrations.lightning import SetEpochCallback
    >>> from negmine.torch import NoDuplicateBatchSampler
    >>> sampler = NoDuplicateBatchSampler([0, 0, 1, 1], [7, 8, 9, 7], batch_size=2)
    >>> callback = SetEpochCallback(sampler)  # Trainer(..., callbacks=[callback], use_distributed_sampler=False)
    """

    def __init__(self, *samplers: PlanBatches) -> None:
        self._samplers = samplers

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Move the samplers to the position of a checkpoint; a loader that saves its own state repeats this.

        Parameters
        ----------
        trainer : Trainer
            The trainer; not used.
        pl_module : LightningModule
            The module; not used.
        checkpoint : dict
            The checkpoint that Lightning loaded.
        """
        loop = checkpoint["loops"]["fit_loop"]
        epochs, progress = loop["epoch_progress"]["current"], loop["epoch_loop.batch_progress"]
        # Between its last batch and its end, an epoch is complete but not counted as processed.
        ended = progress["is_last_batch"]
        epoch, batches = (epochs["started"], 0) if ended else (epochs["processed"], progress["current"]["processed"])
        for sampler in self._samplers:
            sampler.load_state_dict(sampler.state_dict_at(epoch, batches))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the epoch that begins.

        Parameters
        ----------
        trainer : Trainer
            The trainer, which counts the epochs.
        pl_module : LightningModule
            The module; not used.
        """
        for sampler in self._samplers:
            sampler.set_epoch(trainer.current_epoch)
