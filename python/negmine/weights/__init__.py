"""Weights of training examples: inverse propensities, weights by hardness, and a memory of losses."""

from __future__ import annotations

from negmine.weights.difficulty import hardness
from negmine.weights.memory import BadPairs, ExampleMemory, Replayed
from negmine.weights.propensities import design_weights, ipw, popularity_propensity, selection_propensity

__all__ = [
    "BadPairs",
    "ExampleMemory",
    "Replayed",
    "design_weights",
    "hardness",
    "ipw",
    "popularity_propensity",
    "selection_propensity",
]
