"""The request for a candidate pool, as a candidate source takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, check_field
from negmine.data.eligibility import Eligibility

__all__ = ["PoolRequest", "Rules"]


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Who is a candidate, as the core takes it."""

    positives: Csr
    exclude: Csr | None
    self_rows: npt.NDArray[np.int64] | None
    groups: npt.NDArray[np.int64] | None
    eligible: Eligibility | None

    def __post_init__(self) -> None:
        for name in ("self_rows", "groups"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_field(getattr(self, name), name, np.int64, (None,)))


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """The first stage as the core takes it."""

    rules: Rules
    given_scores: npt.NDArray[np.float64] | None
    max_score: float | None
    absolute_margin: float | None
    relative_margin: float | None
    reference: str
    min_score: float | None
    range_min: int
    range_max: int
    warm_start: npt.NDArray[np.int64] | None
