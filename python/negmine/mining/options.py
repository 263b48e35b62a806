"""Options of the mining calls as types, so that editors and type checkers know all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypedDict

import numpy.typing as npt

from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.mining.policies import Sampling
from negmine.mining.rules import WarmStart

__all__ = ["CandidateOptions", "MineOptions", "MinerOptions", "Reference", "RuleOptions"]

#: What margins refer to: a query's lowest, highest or mean positive, or each positive by itself.
Reference = Literal["min", "max", "mean", "each"]


class RuleOptions(TypedDict, total=False):
    """Which documents are candidates."""

    exclude: Positives | Iterable[Iterable[int]] | None
    exclude_self: bool
    query_ids: npt.ArrayLike | None
    groups: npt.ArrayLike | None
    eligible: Eligibility | None


class CandidateOptions(RuleOptions, total=False):
    """Options of :meth:`negmine.HardNegativeMiner.candidates`."""

    warm_start: WarmStart | None
    query_offset: int


class MinerOptions(TypedDict, total=False):
    """Which candidates become negatives: options of :class:`negmine.HardNegativeMiner`."""

    num_negatives: int
    absolute_margin: float | None
    relative_margin: float | None
    max_score: float | None
    min_score: float | None
    reference: Reference
    range_min: int
    range_max: int | None
    sampling: Sampling
    num_random: int
    limit_per_document: int | None
    seed: int


class MineOptions(MinerOptions, CandidateOptions, total=False):
    """Options of :func:`negmine.mine`."""
