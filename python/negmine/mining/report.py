"""Mining report: how many documents each rule rejected, and why result rows are short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import check_field
from negmine._core.options import check_choice, check_integer
from negmine.errors import NegmineTypeError

__all__ = ["Reason", "Report", "Source"]


class Reason(IntEnum):
    """Reason why a result row has fewer documents than its width; the first reason that applies is used.

    The numbers are part of the file formats.
    """

    NONE = 0
    NO_POSITIVE = 1
    DOCUMENT_LIMIT = 2
    RANK_WINDOW = 3
    ZERO_WEIGHT = 4
    ABOVE_CAP = 5
    BELOW_FLOOR = 6
    CORPUS_EXHAUSTED = 7
    RANDOM_EXHAUSTED = 8
    LIST_EXHAUSTED = 9
    NO_REFERENCE = 10
    RESTRICTED = 11
    QUOTA = 12


class Source(IntEnum):
    """Origin of a negative."""

    PADDING = 0
    MINED = 1
    RANDOM = 2


#: Lines that every source of candidates reports. Each document of a result row is counted under the first rule that
#: rejects it.
LINES = (
    "positives",
    "excluded",
    "self",
    "group",
    "ineligible",
    "above_max_score",
    "above_absolute_margin",
    "above_relative_margin",
    "unlisted",
)

#: Lines that [`CandidatePool.restrict`][] adds; zero in a new pool.
LATER_LINES = ("restricted",)


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """Exact counts of what a mining call did. They are equal on every machine.

    Attributes
    ----------
    n_documents, n_rows : int
        Number of documents in the corpus, and of result rows.
    n_unscanned : int
        Result rows for which no document was scanned, because the query has no scored positive to which a margin or a
        floor can refer.
    lines : dict of str to int64 (n_rows,)
        Documents per rule and result row: positives, excluded, self, group, ineligible, above_max_score,
        above_absolute_margin, above_relative_margin, and unlisted: candidates that a list does not hold, or documents
        that no fused pool kept; then restricted: documents of the pool that ``restrict`` dropped. The documents that no
        line counts (survivors and documents below the floor) are ``rest``. An unscanned row adds to no line.
    short : dict of str to int
        Number of rows that are not full, by reason.
    zero_documents, zero_queries : int
        Documents and queries of norm zero, which score +0.0 against everything; counted only under "cosine".
    duplicate_pairs : int
        Repeated (query, positive) pairs that were dropped.
    unknown_judgments
        Judgments that were dropped when the positives were made of them, as their labels are not among the rows.
    approximation : str or None
        What is known about the recall of a source that may miss candidates, such as an [`negmine.HnswIndex`][]. The
        counts are then those of the documents that it proposed; the others are ``unlisted``. None if the candidates are
        exact.
    diagnostics : dict
        Values that depend on the schedule, such as seconds. They are neither compared nor saved.
    """

    n_documents: int
    n_rows: int
    n_unscanned: int
    lines: Mapping[str, npt.NDArray[np.int64]] = field(compare=False)
    short: Mapping[str, int]
    zero_documents: int
    zero_queries: int
    duplicate_pairs: int
    unknown_judgments: int = 0
    approximation: str | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Report):
            return NotImplemented
        return self.header() == other.header() and all(
            np.array_equal(self.lines[line], other.lines[line]) for line in (*LINES, *LATER_LINES)
        )

    __hash__ = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        zeros = dict.fromkeys(LATER_LINES, np.zeros(self.n_rows, dtype=np.int64))
        columns = {**zeros, **self.lines}
        lines = {
            line: check_field(columns[line], f"report_{line}", np.int64, (self.n_rows,))
            for line in (*LINES, *LATER_LINES)
        }
        object.__setattr__(self, "lines", lines)

    def totals(self) -> dict[str, int]:
        """Return the number of documents per line, summed over result rows, and the rest.

        Returns
        -------
        dict of str to int
            The counts by line, then ``"rest"``. The lines ``"unlisted"`` and ``"restricted"`` are left out if they are
            zero.
        """
        totals = {line: int(self.lines[line].sum()) for line in (*LINES, *LATER_LINES)}
        totals = {line: count for line, count in totals.items() if count or line in LINES}
        totals["rest"] = self.n_documents * (self.n_rows - self.n_unscanned) - sum(totals.values())
        return totals

    def take(
        self, rows: npt.NDArray[np.int64], reasons: npt.NDArray[np.uint8], unscanned: npt.NDArray[np.bool_]
    ) -> Report:
        """Return the report of some result rows.

        Parameters
        ----------
        rows : int64 (n,)
            The rows.
        reasons : uint8 (n,)
            Why each of these rows is short.
        unscanned : bool (n_rows,)
            Whether each row of this report was not scanned.

        Returns
        -------
        Report
            Numbers that have no row, such as ``zero_queries`` and ``duplicate_pairs``, stay those of the call.
        """
        return replace(
            self,
            n_rows=len(rows),
            n_unscanned=int(unscanned[rows].sum()),
            lines={line: column[rows] for line, column in self.lines.items()},
            short=count_reasons(reasons),
            diagnostics={},
        )

    @classmethod
    def join(cls, reports: Sequence[Report], firsts: Sequence[int]) -> Report:
        """Return the report of the rows of several reports, one after the other.

        Parameters
        ----------
        reports : sequence of Report
            The reports, of the same documents.
        firsts : sequence of int
            First report of every call; the others repeat the numbers of their call that have no row.

        Returns
        -------
        Report
        """
        short: Counter[str] = Counter()
        for report in reports:
            short.update(report.short)
        calls = [reports[i] for i in firsts]
        return replace(
            reports[0],
            n_rows=sum(report.n_rows for report in reports),
            n_unscanned=sum(report.n_unscanned for report in reports),
            lines={line: np.concatenate([report.lines[line] for report in reports]) for line in reports[0].lines},
            short={reason.name.lower(): short[reason.name.lower()] for reason in Reason if short[reason.name.lower()]},
            zero_documents=max(report.zero_documents for report in calls),
            zero_queries=sum(report.zero_queries for report in calls),
            duplicate_pairs=sum(report.duplicate_pairs for report in calls),
            unknown_judgments=sum(report.unknown_judgments for report in calls),
            approximation=next((report.approximation for report in reports if report.approximation is not None), None),
            diagnostics={},
        )

    def header(self) -> dict[str, Any]:
        """Return everything that a file stores in addition to the lines.

        Returns
        -------
        dict
            Values that JSON can represent, by field name.
        """
        header = {
            "n_documents": self.n_documents,
            "n_rows": self.n_rows,
            "n_unscanned": self.n_unscanned,
            "short": dict(self.short),
            "zero_documents": self.zero_documents,
            "zero_queries": self.zero_queries,
            "duplicate_pairs": self.duplicate_pairs,
            "unknown_judgments": self.unknown_judgments,
        }
        return header if self.approximation is None else header | {"approximation": self.approximation}

    def arrays(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return the lines as a file stores them.

        Returns
        -------
        dict of str to int64 (n_rows,)
            The lines, each under the name ``report_<line>``.
        """
        return {f"report_{line}": column for line, column in self.lines.items()}

    @classmethod
    def from_header(cls, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Report:
        """Restore a report.

        Parameters
        ----------
        header : mapping of str to Any
            The result of [`header`][].
        arrays : mapping of str to array
            The result of [`arrays`][]; other entries are ignored.

        Returns
        -------
        Report
        """
        reasons = [reason.name.lower() for reason in Reason]
        numbers: dict[str, Any] = {name: check_integer(header[name], name, least=0, most=_MOST) for name in _NUMBERS}
        numbers["short"] = {
            check_choice(name, "short", reasons): check_integer(rows, "short", least=0, most=_MOST)
            for name, rows in header["short"].items()
        }
        approximation = header.get("approximation")
        if approximation is not None and not isinstance(approximation, str):
            raise NegmineTypeError(f"`approximation` must be a string; got {approximation!r}.")
        lines = {line: arrays[f"report_{line}"] for line in (*LINES, *LATER_LINES)}
        return cls(lines=lines, approximation=approximation, **numbers)

    def __repr__(self) -> str:
        short = sum(self.short.values())
        return f"Report({self.n_rows} rows x {self.n_documents} documents, {short} rows short)"

    def __str__(self) -> str:
        pairs = self.n_documents * self.n_rows
        lines = [f"{self.n_rows} rows x {self.n_documents} documents = {pairs} pairs"]
        lines += [f"  {name.replace('_', ' '):<24}{count:>14}" for name, count in self.totals().items() if count]
        lines += [f"  short: {reason.replace('_', ' '):<17}{count:>14} rows" for reason, count in self.short.items()]
        if self.zero_documents or self.zero_queries:
            lines.append(f"  zero norm: {self.zero_documents} documents, {self.zero_queries} queries")
        if self.duplicate_pairs:
            lines.append(f"  repeated positives dropped: {self.duplicate_pairs}")
        if self.approximation is not None:
            lines.append(f"  approximate candidates: {self.approximation}")
        if self.unknown_judgments:
            lines.append(f"  judgments of unknown labels dropped: {self.unknown_judgments}")
        return "\n".join(lines)


#: Entries of [`Report.header`][] that are numbers.
_NUMBERS = (
    "n_documents",
    "n_rows",
    "n_unscanned",
    "zero_documents",
    "zero_queries",
    "duplicate_pairs",
    "unknown_judgments",
)

#: Largest number of rows or documents.
_MOST = 2**63 - 1

#: Names of the lines in [`Report.arrays`][].
LINE_NAMES = tuple(f"report_{line}" for line in (*LINES, *LATER_LINES))


def count_reasons(reasons: npt.NDArray[np.uint8]) -> dict[str, int]:
    """Return the number of short rows per reason, by the name of the reason; full rows are left out."""
    counts = np.bincount(reasons, minlength=max(Reason) + 1)
    return {reason.name.lower(): int(counts[reason]) for reason in Reason if reason and counts[reason]}
