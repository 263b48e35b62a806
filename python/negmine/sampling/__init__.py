"""Random negatives: uniform, by popularity, by weights or from lists, never a positive, with their probabilities."""

from __future__ import annotations

from negmine.sampling.sampler import NegativeSampler, Sampled, sample_negatives
from negmine.sampling.sources import Popularity

__all__ = ["NegativeSampler", "Popularity", "Sampled", "sample_negatives"]
