"""Conformance checks: the contracts of a batch sampler with loaders, trainers and checkpoints."""

from __future__ import annotations

from negmine.torch.samplers.conformance import CONTRACTS, ConformanceError, check_batch_sampler

__all__ = ["CONTRACTS", "ConformanceError", "check_batch_sampler"]
