"""Adapters for sentence-transformers: its miner of hard negatives, cross encoders as scorers, and batch samplers."""

from negmine.integrations.sentence_transformers.encoding import encode
from negmine.integrations.sentence_transformers.miner import mine_hard_negatives
from negmine.integrations.sentence_transformers.samplers import no_duplicate_batch_sampler, plan_batch_sampler
from negmine.integrations.sentence_transformers.scorers import cross_encoder_scorer

__all__ = [
    "cross_encoder_scorer",
    "encode",
    "mine_hard_negatives",
    "no_duplicate_batch_sampler",
    "plan_batch_sampler",
]
