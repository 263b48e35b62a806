"""Losses over scores of positives and negatives, with masks of false negatives and weights."""

from __future__ import annotations

from negmine.torch.losses._terms import Counts
from negmine.torch.losses.banks import bank
from negmine.torch.losses.caching import cached
from negmine.torch.losses.lists import listwise
from negmine.torch.losses.pairs import pairwise
from negmine.torch.losses.points import pointwise
from negmine.torch.losses.preferences import preference
from negmine.torch.losses.ranks import lambda_mrr

__all__ = ["Counts", "bank", "cached", "lambda_mrr", "listwise", "pairwise", "pointwise", "preference"]
