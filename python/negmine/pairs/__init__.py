"""Pairs of a chosen and a rejected response, for training from preferences."""

from __future__ import annotations

from negmine.pairs.making import Pairs, make_pairs
from negmine.pairs.steps import first_pit

__all__ = ["Pairs", "first_pit", "make_pairs"]
