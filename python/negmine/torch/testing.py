"""The contracts that a batch sampler must keep to serve loaders, trainers and checkpoints, as checks of any sampler."""

from __future__ import annotations

from negmine.torch.samplers.conformance import CONTRACTS, ConformanceError, check_batch_sampler

__all__ = ["CONTRACTS", "ConformanceError", "check_batch_sampler"]
