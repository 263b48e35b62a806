"""For Lightning's Trainer."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from negmine.torch.samplers.plan_sampler import PlanBatches

__all__ = ["SetEpochCallback"]


class SetEpochCallback(Callback):
    """Tells batch samplers the epoch before Lightning reads ahead, and where a checkpoint stopped inside an epoch.

    Lightning sets epochs itself, but on resuming it asks a loader for its first batches before, so that workers fetch
    those of epoch 0; and a plain DataLoader begins an epoch anew that was left in the middle.

    Parameters
    ----------
    *samplers : PlanBatchSampler or RaggedBatchSampler
        The samplers of the training loaders, which exist before the loaders do.

    Notes
    -----
    With several devices give the Trainer ``use_distributed_sampler=False``, and the sampler
    ``num_replicas=trainer.world_size, rank=trainer.global_rank``. One optimizer step is assumed to take one batch of
    every loader.

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
        """Go where the checkpoint stood; a loader that saves its own state goes there once more."""
        loop = checkpoint["loops"]["fit_loop"]
        epochs, progress = loop["epoch_progress"]["current"], loop["epoch_loop.batch_progress"]
        # Between its last batch and its end an epoch is over, yet not counted as processed.
        ended = progress["is_last_batch"]
        epoch, batches = (epochs["started"], 0) if ended else (epochs["processed"], progress["current"]["processed"])
        for sampler in self._samplers:
            sampler.load_state_dict(sampler.state_dict_at(epoch, batches))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the epoch that begins."""
        for sampler in self._samplers:
            sampler.set_epoch(trainer.current_epoch)
