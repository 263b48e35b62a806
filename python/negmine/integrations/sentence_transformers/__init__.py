"""Adapters for sentence-transformers: its miner, scorers of pools, and the parts of a training with mined negatives."""

from negmine.integrations.sentence_transformers.encoding import encode
from negmine.integrations.sentence_transformers.losses import MaskedMultipleNegativesRankingLoss
from negmine.integrations.sentence_transformers.miner import mine_hard_negatives
from negmine.integrations.sentence_transformers.mixtures import mixture_batch_sampler
from negmine.integrations.sentence_transformers.negatives import negatives_dataset
from negmine.integrations.sentence_transformers.rounds import NegativesCallback
from negmine.integrations.sentence_transformers.samplers import no_duplicate_batch_sampler, plan_batch_sampler
from negmine.integrations.sentence_transformers.scorers import cross_encoder_scorer

__all__ = [
    "MaskedMultipleNegativesRankingLoss",
    "NegativesCallback",
    "cross_encoder_scorer",
    "encode",
    "mine_hard_negatives",
    "mixture_batch_sampler",
    "negatives_dataset",
    "no_duplicate_batch_sampler",
    "plan_batch_sampler",
]
