"""The request for candidate pools, and the arrays that answer it, as a candidate source takes and returns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, check_field
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility

__all__ = ["PoolArrays", "PoolRequest", "Rules"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Which documents are candidates of each query.

    Attributes
    ----------
    positives : Csr
        Rows of known positives per query, ascending; -1 stands for a document outside the corpus.
    exclude : Csr or None
        Further rows that are not candidates, ascending.
    self_rows : int64 (n_queries,) or None
        The document row that is the query itself; -1 where there is none.
    groups : int64 (n_documents,) or None
        Documents that share a group with a positive are not candidates; -1 is no group.
    eligible : Eligibility or None
        Documents outside a query's range of keys are not candidates.
    """

    positives: Csr
    exclude: Csr | None
    self_rows: npt.NDArray[np.int64] | None
    groups: npt.NDArray[np.int64] | None
    eligible: Eligibility | None

    def __post_init__(self) -> None:
        for name in ("self_rows", "groups"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_field(getattr(self, name), name, np.int64, (None,)))


@short_repr
@dataclass(frozen=True, slots=True)
class PoolRequest:
    """What the miner asks of a candidate source.

    Attributes
    ----------
    rules : Rules
        Which documents are candidates.
    given_scores : float64 (n_positives,) or None
        Scores of positives, aligned with their CSR; NaN where the source scores the positive itself.
    max_score, absolute_margin, relative_margin : float or None
        Caps of a score: ``min(max_score, ref - absolute_margin, ref - |ref| * relative_margin)``, equality kept.
    reference : {"min", "max", "mean", "each"}
        What margins refer to; "each" makes one result row per (query, positive).
    min_score : float or None
        Lowest score of a candidate that is kept.
    range_min, range_max : int
        Ranks ``[range_min, range_max)`` among what the caps and the floor leave.
    warm_start : int64 (n_queries, any) or None
        Documents that may be good, padded with -1: thresholds to start from, never an answer by themselves.
    """

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


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class PoolArrays:
    """What a candidate source answers, one entry per result row.

    Attributes
    ----------
    indices : int64 (n_rows, range_max - range_min)
        Row numbers of the documents in rank order, padded with -1.
    scores : float64 (n_rows, range_max - range_min)
        Their scores, padded with -inf.
    counts : int32 (n_rows,)
        Documents per result row.
    reasons : uint8 (n_rows,)
        Why a row is not full: ``negmine.mining.Reason``.
    query_indices : int64 (n_rows,)
        Query of every result row, counted from the first of the call.
    positive_indices : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1.
    reference_scores : float64 (n_rows,)
        What margins refer to; NaN without positives.
    cap_scores : float64 (n_rows,)
        Highest score that was kept; +inf without caps, NaN where a margin has no reference.
    positive_scores : float64 (n_positives,)
        Scores of the positives, aligned with their CSR.
    lines : mapping of str to int64 (n_rows,)
        Documents that each rule or cap took out: the lines of ``negmine.mining.Report``.
    zero_documents, zero_queries : int
        Rows of norm zero, counted under "cosine".
    counters : mapping of str to int
        How much work it was; depends on the schedule and is not part of the answer.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    reference_scores: npt.NDArray[np.float64]
    cap_scores: npt.NDArray[np.float64]
    positive_scores: npt.NDArray[np.float64]
    lines: Mapping[str, npt.NDArray[np.int64]]
    zero_documents: int = 0
    zero_queries: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_core(cls, arrays: dict[str, Any], zero_documents: int) -> PoolArrays:
        """Read what the core returns."""
        lines = {name: column.astype(np.int64) for name, column in arrays.pop("report").items()}
        return cls(**arrays, lines=lines, zero_documents=zero_documents)
