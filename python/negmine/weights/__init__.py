"""Weights of training examples: inverse propensities, and weights by hardness."""

from __future__ import annotations

from negmine.weights.difficulty import hardness
from negmine.weights.propensities import design_weights, ipw, popularity_propensity, selection_propensity

__all__ = ["design_weights", "hardness", "ipw", "popularity_propensity", "selection_propensity"]
