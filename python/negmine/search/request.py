"""Request for candidate pools and the arrays of the response: the interface between miner and candidate source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, check_field
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives

__all__ = ["PoolArrays", "PoolRequest", "Rules"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Rules that decide which documents are candidates of each query.

    Attributes
    ----------
    positives : Csr
        Rows of known positives per query, ascending; -1 denotes a document outside the corpus.
    exclude : Csr or None
        Rows of further documents per query that are not candidates, ascending.
    self_rows : int64 (n_queries,) or None
        Row of the document that is the query itself, or -1 if there is none.
    groups : int64 (n_documents,) or None
        Group of each document, or -1; documents that share a group with a positive are not candidates.
    eligible : Eligibility or None
        Keys and ranges; documents outside the range of a query are not candidates.
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

    def slice(self, begin: int, end: int) -> Rules:
        """Take the queries in [begin, end).

        Parameters
        ----------
        begin, end : int
            Range of queries.

        Returns
        -------
        Rules
        """
        return Rules(
            positives=_slice_lists(self.positives, begin, end),
            exclude=None if self.exclude is None else _slice_lists(self.exclude, begin, end),
            self_rows=None if self.self_rows is None else self.self_rows[begin:end],
            groups=self.groups,
            eligible=None if self.eligible is None else self.eligible.slice(begin, end),
        )


@short_repr
@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRequest:
    """Request of the miner to a candidate source; caps, floors and all else that is not given do not apply.

    Attributes
    ----------
    rules : Rules
        Rules that decide which documents are candidates.
    given_scores : float64 (n_positives,) or None
        Scores of positives, aligned with their CSR; NaN for positives that the source scores itself.
    max_score, absolute_margin, relative_margin : float or None
        Options of the cap ``min(max_score, ref - absolute_margin, ref - |ref| * relative_margin)``. A score equal to
        the cap is kept.
    reference : {"min", "max", "mean", "each"}
        The score that margins and floors refer to; "each" produces one result row per (query, positive).
    min_score, absolute_floor, relative_floor : float or None
        Options of the floor ``max(min_score, ref - absolute_floor, ref - |ref| * relative_floor)``. A score equal to
        the floor is kept.
    range_min, range_max : int
        Ranks ``[range_min, range_max)`` to return, counted among the candidates between floor and cap.
    warm_start : int64 (n_queries, any) or None
        Documents that are likely to score high, padded with -1. The scan takes its initial thresholds from them; they
        do not change the result.
    """

    rules: Rules
    given_scores: npt.NDArray[np.float64] | None = None
    max_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    min_score: float | None = None
    absolute_floor: float | None = None
    relative_floor: float | None = None
    reference: str = "min"
    range_min: int = 0
    range_max: int
    warm_start: npt.NDArray[np.int64] | None = None

    @classmethod
    def of_search(
        cls,
        n_queries: int,
        k: int,
        exclude: Positives | None,
        max_score: float | None,
        eligible: Eligibility | None,
    ) -> PoolRequest:
        """Express a search as a request: no positives, and the ``k`` best documents.

        Parameters
        ----------
        n_queries : int
            Number of queries.
        k : int
            Documents per query.
        exclude : Positives or None
            Document rows per query that are never returned.
        max_score : float or None
            Documents that score above this are not returned.
        eligible : Eligibility or None
            Keys and ranges.

        Returns
        -------
        PoolRequest
        """
        rules = Rules(
            positives=Csr(np.zeros(n_queries + 1, dtype=np.int64), np.empty(0, dtype=np.int64)),
            exclude=None if exclude is None else Csr(exclude.offsets, exclude.items),
            self_rows=None,
            groups=None,
            eligible=eligible,
        )
        return cls(rules=rules, max_score=max_score, range_max=k)

    def slice(self, begin: int, end: int) -> PoolRequest:
        """Take the queries in [begin, end).

        Parameters
        ----------
        begin, end : int
            Range of queries.

        Returns
        -------
        PoolRequest
        """
        if end - begin == len(self.rules.positives.offsets) - 1:
            return self
        first, last = self.rules.positives.offsets[[begin, end]]
        return replace(
            self,
            rules=self.rules.slice(begin, end),
            given_scores=None if self.given_scores is None else self.given_scores[first:last],
            warm_start=None if self.warm_start is None else self.warm_start[begin:end],
        )


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class PoolArrays:
    """Response of a candidate source, with one entry per result row.

    Attributes
    ----------
    indices : int64 (n_rows, range_max - range_min)
        Row numbers of the documents in rank order, padded with -1.
    scores : float64 (n_rows, range_max - range_min)
        Scores of the documents, padded with -inf.
    counts : int32 (n_rows,)
        Number of documents per result row.
    reasons : uint8 (n_rows,)
        Why a row is not full, as a ``negmine.mining.Reason``.
    query_indices : int64 (n_rows,)
        Query of every result row, counted from the first query of the call.
    positive_indices : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1.
    reference_scores : float64 (n_rows,)
        Score that margins refer to; NaN without positives.
    cap_scores : float64 (n_rows,)
        Highest admitted score; +inf without caps, NaN if a margin or a floor has no reference.
    floor_scores : float64 (n_rows,)
        Lowest admitted score; -inf without floors.
    positive_scores : float64 (n_positives,)
        Scores of the positives, aligned with their CSR.
    lines : mapping of str to int64 (n_rows,)
        Number of documents that each rule or cap rejected: the lines of ``negmine.mining.Report``.
    zero_documents, zero_queries : int
        Documents and queries of norm zero; counted only under "cosine".
    counters : mapping of str to int
        Amount of work; depends on the schedule and is not part of the result.
    approximation : str or None
        What is known about the recall of a source that may miss candidates; None if no candidate is missing.
    """

    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    reference_scores: npt.NDArray[np.float64]
    cap_scores: npt.NDArray[np.float64]
    floor_scores: npt.NDArray[np.float64]
    positive_scores: npt.NDArray[np.float64]
    lines: Mapping[str, npt.NDArray[np.int64]]
    zero_documents: int = 0
    zero_queries: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    approximation: str | None = None

    @classmethod
    def of_core(cls, arrays: dict[str, Any], zero_documents: int) -> PoolArrays:
        """Convert the arrays that the core returns.

        Parameters
        ----------
        arrays : dict
            Arrays and counters of the core; the entry ``report`` is removed.
        zero_documents : int
            Number of documents of norm zero.

        Returns
        -------
        PoolArrays
        """
        lines = {name: column.astype(np.int64) for name, column in arrays.pop("report").items()}
        return cls(**arrays, lines=lines, zero_documents=zero_documents)

    @classmethod
    def join(cls, parts: Sequence[PoolArrays], n_queries: Sequence[int]) -> PoolArrays:
        """Join the responses for consecutive ranges of the queries of one request.

        Parameters
        ----------
        parts : sequence of PoolArrays
            The responses, at least one.
        n_queries : sequence of int
            Number of queries of each of them.

        Returns
        -------
        PoolArrays
        """
        if len(parts) == 1:
            return parts[0]
        begins = np.cumsum([0, *n_queries[:-1]])
        shifted = [
            replace(part, query_indices=part.query_indices + begin) for part, begin in zip(parts, begins, strict=True)
        ]
        arrays: dict[str, Any] = {
            column.name: np.concatenate([getattr(part, column.name) for part in shifted])
            for column in fields(cls)
            if isinstance(getattr(parts[0], column.name), np.ndarray)
        }
        return replace(
            parts[0],
            **arrays,
            lines={name: np.concatenate([part.lines[name] for part in parts]) for name in parts[0].lines},
            zero_queries=sum(part.zero_queries for part in parts),
            counters={name: sum(part.counters[name] for part in parts) for name in parts[0].counters},
        )


def _slice_lists(lists: Csr, begin: int, end: int) -> Csr:
    """Take the lists of the queries in [begin, end)."""
    offsets = lists.offsets[begin : end + 1]
    return Csr(offsets - offsets[0], lists.items[offsets[0] : offsets[-1]])
