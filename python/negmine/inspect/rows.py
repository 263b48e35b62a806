"""All result rows in memory, as flat arrays, with one number for every document and every query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, Strings, codes_of, concatenate, describe_labels
from negmine.errors import NegmineValueError
from negmine.io.negatives import MinedRows
from negmine.io.verification import open_answer
from negmine.mining.negatives import HardNegatives
from negmine.mining.records import Lists, Records

if TYPE_CHECKING:
    from negmine.mining.pool import CandidatePool

__all__ = ["Labels", "NegativesLike", "Rows", "number_labels", "read_rows_of"]

Int64s = npt.NDArray[np.int64]

#: Mined negatives in memory, or the path of a file or of a job.
NegativesLike: TypeAlias = HardNegatives | MinedRows | str | Path


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Result rows, all at once.

    Attributes
    ----------
    records : Records
        The rows.
    provenance : mapping of str to Any
        What is known about their origin.
    pool : CandidatePool or None
        The pool that they were selected from, with the same rows; None if it is not known.
    """

    records: Records
    provenance: Mapping[str, Any]
    pool: CandidatePool | None

    def __len__(self) -> int:
        return len(self.records)

    def labeled(self, side: str) -> bool:
        """Return whether the queries or the documents have labels.

        Parameters
        ----------
        side : {"queries", "documents"}
            The side.

        Returns
        -------
        bool
        """
        return side not in self.provenance.get("unlabeled", [])

    def option(self, name: str) -> Any:  # noqa: ANN401 (numbers, strings and policies)
        """Return an option of the miner, or None if it is not known or was not set.

        Parameters
        ----------
        name : str
            Name of the option.

        Returns
        -------
        Any
        """
        return (self.provenance.get("options") or {}).get(name)

    @property
    def num_negatives(self) -> int:
        """Number of mined negatives of a full row."""
        number = self.option("num_negatives")
        return int(self.provenance.get("width", 0) if number is None else number)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Distinct labels in ascending order.

    Attributes
    ----------
    ids : int64 (n,) or Strings
        The labels.
    indices : int64 (n,)
        A row of the data set that has each label.
    """

    ids: Ids
    indices: Int64s

    def __len__(self) -> int:
        return len(self.ids)


def read_rows_of(negatives: NegativesLike, argument: str, most: int) -> Rows:
    """Read all result rows.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Mined negatives.
    argument : str
        Name of the argument, for error messages.
    most : int
        Largest number of rows that is accepted.

    Returns
    -------
    Rows

    Raises
    ------
    NegmineValueError
        There are more rows, or the positives are not known.
    """
    answer = open_answer(negatives, argument)
    if not answer.has_positives:
        raise NegmineValueError(
            f"`{argument}` must have its pool, which knows the positives, next to it; got {negatives}."
        )
    if len(answer.mined) > most:
        raise NegmineValueError(
            f"`{argument}` must have at most {most:,} rows; got {len(answer.mined):,}. Select some, such as "
            "`negatives[:10_000]`."
        )
    records = list(answer.mined.batches())
    return Rows(_joined(records), answer.mined.provenance, answer.pool)


def number_labels(parts: list[tuple[Ids, Int64s]], argument: str) -> tuple[Labels, list[Int64s]]:
    """Number the labels of several lists together.

    Parameters
    ----------
    parts : list of (labels, rows)
        Labels and the rows that they stand for; a row below 0 has no label.
    argument : str
        Name of the argument whose labels may have another type, for error messages.

    Returns
    -------
    labels : Labels
        The distinct labels.
    numbers : list of int64 arrays
        For each list, the number of each label; -1 without one.
    """
    known = [(ids[rows >= 0], rows[rows >= 0]) for ids, rows in parts]
    filled = [(ids, rows) for ids, rows in known if len(rows)]
    for ids, _ in filled[1:]:
        if isinstance(ids, Strings) != isinstance(filled[0][0], Strings):
            raise NegmineValueError(
                f"`{argument}` must have labels of the type of those of `negatives`, "
                f"{describe_labels(filled[0][0])}; got {describe_labels(ids)}."
            )
    if not filled:
        return Labels(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)), [rows * 0 - 1 for _, rows in parts]
    distinct, codes = codes_of(reduce(concatenate, [ids for ids, _ in filled]))
    rows_of = np.concatenate([rows for _, rows in filled])
    first = np.full(len(distinct), len(rows_of), dtype=np.int64)
    np.minimum.at(first, codes, np.arange(len(codes)))
    numbers, begin = [], 0
    for _, rows in parts:
        inside = rows >= 0
        number = np.full(len(rows), -1, dtype=np.int64)
        number[inside] = codes[begin : begin + int(inside.sum())]
        begin += int(inside.sum())
        numbers.append(number)
    return Labels(distinct, rows_of[first]), numbers


def _joined(records: list[Records]) -> Records:
    """Return the rows of all batches, of which there is at least one."""
    kept = all(batch.rejected is not None for batch in records)
    return Records(
        query_indices=np.concatenate([batch.query_indices for batch in records]),
        query_ids=reduce(concatenate, [batch.query_ids for batch in records]),
        reference_scores=np.concatenate([batch.reference_scores for batch in records]),
        reasons=np.concatenate([batch.reasons for batch in records]),
        positives=_joined_lists([batch.positives for batch in records]),
        negatives=_joined_lists([batch.negatives for batch in records]),
        sources=np.concatenate([batch.sources for batch in records]),
        rejected=_joined_lists([batch.rejected for batch in records if batch.rejected is not None]) if kept else None,
        rejections=np.concatenate([batch.rejections for batch in records if batch.rejections is not None])
        if kept
        else None,
    )


def _joined_lists(lists: list[Lists]) -> Lists:
    counts = np.concatenate([part.counts for part in lists])
    return Lists(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([part.indices for part in lists]),
        reduce(concatenate, [part.ids for part in lists]),
        np.concatenate([part.scores for part in lists]),
    )
