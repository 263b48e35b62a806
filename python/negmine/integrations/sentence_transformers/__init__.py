"""Adapters for sentence-transformers: cross encoders as scorers of pools, and batch samplers for its trainers."""

from negmine.integrations.sentence_transformers.samplers import no_duplicate_batch_sampler, plan_batch_sampler
from negmine.integrations.sentence_transformers.scorers import cross_encoder_scorer

__all__ = ["cross_encoder_scorer", "no_duplicate_batch_sampler", "plan_batch_sampler"]
