"""Columns of every training format, made from result rows: the files and [`HardNegatives.to_dataset`][] have them.

The rows for sentence-transformers have the columns of its ``mine_hard_negatives``, or the ids that its ``resolve_ids``
replaces by texts; those for FlagEmbedding and Tevatron have the keys that these read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.labels import Ids, concatenate, to_arrow
from negmine._core.options import check_choice, check_flag
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.records import Lists, Records
from negmine.mining.sides import Side

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "IDS_ONLY", "NESTED", "Format", "RowMaker"]

#: Formats of training rows.
Format = Literal["triplet", "n-tuple", "labeled-pair", "labeled-list", "ids", "id-list", "flagembedding", "tevatron"]

FORMATS: tuple[str, ...] = get_args(Format)

#: Formats that need texts and have lists of documents: trainers read them as JSON lines.
NESTED = ("flagembedding", "tevatron")

#: Formats that hold labels, never texts.
IDS_ONLY = ("ids", "id-list")

#: Number of result rows that are converted at once, because texts are long.
STEP = 4096

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowMaker:
    """Converter of result rows to training rows.

    Attributes
    ----------
    format : str
        One of [`FORMATS`][].
    queries, documents : Side
        Texts of the queries and of the documents.
    width : int
        Number of negatives of a full row.
    scores : bool, default False
        Whether the rows have scores.
    anchor_name, positive_name : str
        Names of the first two columns, for the formats whose names are free.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The format is unknown, needs texts that are missing or does not take those given, or names of columns clash.
    """

    format: str
    queries: Side
    documents: Side
    width: int
    scores: bool = False
    anchor_name: str = "anchor"
    positive_name: str = "positive"

    def __post_init__(self) -> None:
        check_choice(self.format, "format", FORMATS)
        check_flag(self.scores, "scores")
        for side in (self.queries, self.documents):
            if self.format in NESTED and side.texts is None and not side.labels_are_texts:
                raise NegmineValueError(f"`{side.argument}` must hold texts for {self.format!r}; got None.")
            if self.format in IDS_ONLY and side.texts is not None:
                raise NegmineValueError(
                    f"`{side.argument}` must be None for {self.format!r}, which holds labels; got "
                    f"{len(side.texts)} texts."
                )
        self._check_names()

    def _check_names(self) -> None:
        scores = ["scores"] if self.scores else []
        taken = {
            "triplet": {"negative", *scores},
            "n-tuple": {*(f"negative_{number + 1}" for number in range(self.width)), *scores},
            "labeled-pair": {"score" if self.scores else "label"},
            "labeled-list": {"scores" if self.scores else "labels"},
        }.get(self.format, set())
        for argument in ("anchor_name", "positive_name"):
            name = getattr(self, argument)
            if not isinstance(name, str):
                raise NegmineTypeError(f"`{argument}` must be a string; got {name!r}.")
            if name in taken:
                raise NegmineValueError(
                    f"`{argument}` must differ from the other columns of {self.format!r}; got {name!r}."
                )
        if self.anchor_name == self.positive_name:
            raise NegmineValueError(
                f"`positive_name` must differ from `anchor_name`; got {self.positive_name!r} for both."
            )

    def tables(self, batches: Iterable[Records]) -> Iterator[tuple[pa.Table, int]]:
        """Yield a table of training rows per step, and the number of its result rows that were left out.

        Parameters
        ----------
        batches : iterable of Records
            Result rows.

        Yields
        ------
        tuple of (pyarrow.Table, int)

        Raises
        ------
        NegmineValueError
            A positive is outside the corpus, or the texts are not those of what was mined.
        """
        arrow = require("pyarrow", "arrow", "making training rows")
        make = {
            "triplet": self._triplets,
            "n-tuple": self._tuples,
            "labeled-pair": self._labeled_pairs,
            "labeled-list": self._labeled_lists,
            "ids": self._tuples,
            "id-list": self._labeled_lists,
            "flagembedding": self._flagembedding,
            "tevatron": self._tevatron,
        }[self.format]
        for records in _steps(batches):
            columns, dropped = make(records)
            yield arrow.table(columns), dropped

    def _anchors(self, records: Records, rows: Int64s) -> pa.Array:
        return self.queries.values(records.query_indices[rows], records.query_ids[rows])

    def _entries(self, lists: Lists, places: Int64s) -> pa.Array:
        return self.documents.values(lists.indices[places], lists.ids[places])

    def _names(self) -> tuple[str, str, str]:
        """Return the names of anchor and positive, and the start of those of negatives."""
        if self.format == "ids":
            return "query_id", "positive_id", "negative_id"
        if self.format == "id-list":
            return "query_id", "document_ids", ""
        return self.anchor_name, self.positive_name, "negative"

    def _triplets(self, records: Records) -> tuple[dict[str, Any], int]:
        """Combine every positive with every negative."""
        n_positives, n_negatives = records.positives.counts, records.negatives.counts
        row, within = _enumerate(n_positives * n_negatives)
        positive = records.positives.offsets[row] + within // np.maximum(n_negatives[row], 1)
        negative = records.negatives.offsets[row] + within % np.maximum(n_negatives[row], 1)
        columns = {
            self.anchor_name: self._anchors(records, row),
            self.positive_name: self._entries(records.positives, positive),
            "negative": self._entries(records.negatives, negative),
        }
        if self.scores:
            pairs = np.stack([records.positives.scores[positive], records.negatives.scores[negative]], axis=1)
            columns["scores"] = _lists(pairs.reshape(-1), np.full(len(row), 2))
        return columns, int((n_positives * n_negatives == 0).sum())

    def _tuples(self, records: Records) -> tuple[dict[str, Any], int]:
        """Combine every positive with all negatives of a full row."""
        full = records.negatives.counts == self.width
        row, within = _enumerate(np.where(full, records.positives.counts, 0))
        positive = records.positives.offsets[row] + within
        negatives = records.negatives.offsets[row][:, None] + np.arange(self.width)
        anchor, positive_name, negative = self._names()
        columns = {
            anchor: self._anchors(records, row),
            positive_name: self._entries(records.positives, positive),
        }
        for number in range(self.width):
            columns[f"{negative}_{number + 1}"] = self._entries(records.negatives, negatives[:, number])
        if self.scores:
            scores = np.column_stack([records.positives.scores[positive], records.negatives.scores[negatives]])
            columns["scores"] = _lists(scores.reshape(-1), np.full(len(row), self.width + 1))
        return columns, int((~full | (records.positives.counts == 0)).sum())

    def _labeled_pairs(self, records: Records) -> tuple[dict[str, Any], int]:
        """List the positives of a row, labeled 1, then its negatives, labeled 0."""
        row, is_positive, place = _interleave(records.positives.counts, records.negatives.counts)
        both = _joined(records)
        columns = {
            self.anchor_name: self._anchors(records, row),
            self.positive_name: self._entries(both, place),
        }
        if self.scores:
            columns["score"] = both.scores[place]
        else:
            columns["label"] = is_positive.astype(np.int64)
        return columns, int((records.positives.counts + records.negatives.counts == 0).sum())

    def _labeled_lists(self, records: Records) -> tuple[dict[str, Any], int]:
        """List every positive, followed by all negatives of its row."""
        n_negatives = records.negatives.counts
        row, within = _enumerate(np.where(n_negatives > 0, records.positives.counts, 0))
        positive = records.positives.offsets[row] + within
        lengths = n_negatives[row] + 1
        entry, number = _enumerate(lengths)
        both = _joined(records)
        negatives_begin = len(records.positives.indices) + records.negatives.offsets[row]
        place = np.where(number == 0, positive[entry], negatives_begin[entry] + number - 1)
        anchor, documents, _ = self._names()
        columns = {
            anchor: self._anchors(records, row),
            documents: _lists(self._entries(both, place), lengths),
        }
        if self.scores:
            columns["scores"] = _lists(both.scores[place], lengths)
        else:
            columns["labels"] = _lists((number == 0).astype(np.int64), lengths)
        return columns, int(((n_negatives == 0) | (records.positives.counts == 0)).sum())

    def _flagembedding(self, records: Records) -> tuple[dict[str, Any], int]:
        """List all positives and all negatives of every row that has both."""
        row, positives, negatives = _both_sides(records)
        own, mined = records.positives.counts[row], records.negatives.counts[row]
        columns = {
            "query": self._anchors(records, row),
            "pos": _lists(self._entries(records.positives, positives), own),
            "neg": _lists(self._entries(records.negatives, negatives), mined),
        }
        if self.scores:
            columns["pos_scores"] = _lists(records.positives.scores[positives].astype(np.float64), own)
            columns["neg_scores"] = _lists(records.negatives.scores[negatives].astype(np.float64), mined)
        return columns, len(records) - len(row)

    def _tevatron(self, records: Records) -> tuple[dict[str, Any], int]:
        """List all positives and all negatives, with their labels, of every row that has both."""
        row, positives, negatives = _both_sides(records)
        queries = self.queries.passages(records.query_indices[row], records.query_ids[row])
        columns = {
            "query_id": _as_strings(queries.ids),
            "query": queries.joined(),
            "positive_passages": _lists(self._passages(records.positives, positives), records.positives.counts[row]),
            "negative_passages": _lists(self._passages(records.negatives, negatives), records.negatives.counts[row]),
        }
        return columns, len(records) - len(row)

    def _passages(self, lists: Lists, places: Int64s) -> pa.StructArray:
        arrow = require("pyarrow", "arrow", "making training rows")
        found = self.documents.passages(lists.indices[places], lists.ids[places])
        titles = arrow.array([""] * len(found), arrow.large_string()) if found.titles is None else found.titles
        columns = {"docid": _as_strings(found.ids), "title": titles, "text": found.texts}
        if self.scores:
            columns["score"] = arrow.array(lists.scores[places].astype(np.float64))
        return arrow.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _steps(batches: Iterable[Records]) -> Iterator[Records]:
    """Yield small batches; refuse positives outside the corpus."""
    for batch in batches:
        outside = batch.positives.indices == -1
        if outside.any():
            row = int(np.searchsorted(batch.positives.offsets, outside.argmax(), side="right")) - 1
            raise NegmineValueError(
                "`negatives` must have their positives in the corpus to become training rows; the query of row "
                f"{batch.query_indices[row]} has one outside it, which has no text."
            )
        for begin in range(0, max(len(batch), 1), STEP):
            yield _cut(batch, begin, min(begin + STEP, len(batch)))


def _cut(batch: Records, begin: int, end: int) -> Records:
    if begin == 0 and end == len(batch):
        return batch

    def lists(whole: Lists) -> Lists:
        offsets = whole.offsets[begin : end + 1]
        own = slice(int(offsets[0]), int(offsets[-1]))
        return Lists(offsets - offsets[0], whole.indices[own], whole.ids[own], whole.scores[own])

    mined = slice(int(batch.negatives.offsets[begin]), int(batch.negatives.offsets[end]))
    return Records(
        batch.query_indices[begin:end],
        batch.query_ids[begin:end],
        batch.reference_scores[begin:end],
        batch.reasons[begin:end],
        lists(batch.positives),
        lists(batch.negatives),
        batch.sources[mined],
    )


def _enumerate(counts: Int64s) -> tuple[Int64s, Int64s]:
    """Return the row of every entry, and its position within the row, from the number of entries per row."""
    row = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return row, np.arange(len(row)) - starts[row]


def _interleave(first: Int64s, second: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_], Int64s]:
    """Order the entries of two lists per row, those of the first list first.

    Return the row of every entry, whether it is of the first list, and its position in both lists joined.
    """
    row, within = _enumerate(first + second)
    of_first = within < first[row]
    first_begin, second_begin = np.cumsum(first) - first, int(first.sum()) + np.cumsum(second) - second
    place = np.where(of_first, first_begin[row] + within, second_begin[row] + within - first[row])
    return row, of_first, place


def _joined(records: Records) -> Lists:
    """Join all positives, then all negatives."""
    positives, negatives = records.positives, records.negatives
    return Lists(
        np.empty(0, dtype=np.int64),
        np.concatenate([positives.indices, negatives.indices]),
        concatenate(positives.ids, negatives.ids),
        np.concatenate([positives.scores, negatives.scores]).astype(np.float64),
    )


def _both_sides(records: Records) -> tuple[Int64s, Int64s, Int64s]:
    """Return the rows that have positives and negatives, and the positions of their positives and negatives."""
    row = np.flatnonzero((records.positives.counts > 0) & (records.negatives.counts > 0))
    positions = []
    for lists in (records.positives, records.negatives):
        entry, within = _enumerate(lists.counts[row])
        positions.append(lists.offsets[row][entry] + within)
    return row, positions[0], positions[1]


def _lists(values: Any, lengths: Int64s) -> pa.ListArray:  # noqa: ANN401 (an Arrow or a NumPy array)
    arrow = require("pyarrow", "arrow", "making training rows")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    entries = values if isinstance(values, arrow.Array) else arrow.array(values)
    # Parquet uses this name for the entries of a list, so the type is the same when the file is read.
    kind = arrow.list_(arrow.field("element", entries.type))
    return arrow.ListArray.from_arrays(arrow.array(offsets), entries, type=kind)


def _as_strings(labels: Ids) -> pa.Array:
    arrow = require("pyarrow", "arrow", "making training rows")
    return to_arrow(labels).cast(arrow.string())
