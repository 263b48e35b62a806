"""Typed dictionaries of the options of the mining functions, so that editors and type checkers know every option."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy.typing as npt

from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.mining.policies import Sampling
from negmine.mining.random_weights import RandomWeights
from negmine.mining.references import Reference
from negmine.mining.rules import WarmStart

__all__ = ["CandidateOptions", "MineOptions", "MinerOptions", "PoolOptions", "RuleOptions"]


class RuleOptions(TypedDict, total=False):
    """Options that decide which documents are candidates."""

    exclude: Positives | Iterable[Iterable[int]] | None
    exclude_self: bool
    query_ids: npt.ArrayLike | None
    groups: npt.ArrayLike | None
    eligible: Eligibility | None
    categories: npt.ArrayLike | None
    random_weights: RandomWeights | None


class CandidateOptions(RuleOptions, total=False):
    """Options of [`negmine.HardNegativeMiner.candidates`][]."""

    warm_start: WarmStart | None
    query_offset: int


class PoolOptions(CandidateOptions, total=False):
    """Options of [`negmine.HardNegativeMiner.candidates`][] that add to the pool."""

    keep_rejected: int


class MinerOptions(TypedDict, total=False):
    """Options of [`negmine.HardNegativeMiner`][], which decide which candidates become negatives."""

    num_negatives: int
    absolute_margin: float | None
    relative_margin: float | None
    max_score: float | None
    min_score: float | None
    absolute_floor: float | None
    relative_floor: float | None
    reference: Reference
    range_min: int
    range_max: int | None
    sampling: Sampling
    num_random: int
    limit_per_document: int | None
    seed: int


class MineOptions(MinerOptions, PoolOptions, total=False):
    """Options of [`negmine.mine`][]."""
