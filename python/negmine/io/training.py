"""Training rows: mined negatives in the formats that trainers read.

The rows for sentence-transformers have the columns of its ``mine_hard_negatives``; FlagEmbedding and Tevatron read JSON
lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.extras import require
from negmine._core.formats import TRAINING_ROWS
from negmine._core.labels import Ids, Strings, concatenate, first_difference
from negmine._core.options import check_choice
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io import tables
from negmine.io.negatives import MinedRows, Written, as_mined, read_negatives
from negmine.io.records import Lists, Records, with_provenance
from negmine.io.row_groups import write_tables
from negmine.io.texts import Texts
from negmine.mining.negatives import HardNegatives

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "LINES_ONLY", "Format", "training_tables", "write_training_rows"]

#: Formats of training rows.
Format = Literal["triplet", "n-tuple", "labeled-pair", "labeled-list", "flagembedding", "tevatron"]

FORMATS: tuple[str, ...] = get_args(Format)

#: Formats that are JSON lines and need texts.
LINES_ONLY = ("flagembedding", "tevatron")

#: Number of result rows that are converted at once.
STEP = 4096

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of the two columns of texts."""

    anchor: str
    positive: str


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Lookup of the value for a query or a document: its text, or its label if there are no texts."""

    texts: Texts | None
    argument: str

    def values(self, rows: Int64s, ids: Ids) -> pa.Array:
        """Return one value per row."""
        if self.texts is None:
            return tables.to_array(ids)
        self.check(rows, ids)
        return self.texts.take(rows).joined()

    def check(self, rows: Int64s, ids: Ids) -> None:
        """Refuse texts of another data set: rows that do not exist, or labels that differ."""
        assert self.texts is not None
        n = len(self.texts)
        if len(rows) and rows.max() >= n:
            raise NegmineValueError(
                f"`{self.argument}` must hold a text for every row; got {n} texts, and row {rows.max()} is needed."
            )
        known = self.texts.ids[rows]
        if isinstance(known, Strings) != isinstance(ids, Strings):
            return
        labeled = isinstance(ids, Strings) or not np.array_equal(ids, rows)
        place = first_difference(known, ids) if labeled else None
        if place is not None:
            mined, own = ids[place : place + 1].tolist()[0], known[place : place + 1].tolist()[0]
            raise NegmineValueError(
                f"`{self.argument}` must be the texts of what was mined; row {rows[place]} is {mined!r} there and "
                f"{own!r} here."
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """Converter of result rows to training rows."""

    queries: _Side
    documents: _Side
    scores: bool
    names: _Names
    width: int

    def anchors(self, records: Records, rows: Int64s) -> pa.Array:
        return self.queries.values(records.query_indices[rows], records.query_ids[rows])

    def entries(self, lists: Lists, places: Int64s) -> pa.Array:
        return self.documents.values(lists.indices[places], lists.ids[places])

    def table(self, columns: Mapping[str, Any]) -> pa.Table:
        return require("pyarrow", "io", "writing training rows").table(columns)

    def triplets(self, records: Records) -> tuple[pa.Table, int]:
        """Combine every positive with every negative."""
        n_positives, n_negatives = records.positives.counts, records.negatives.counts
        row, within = _enumerate(n_positives * n_negatives)
        positive = records.positives.offsets[row] + within // np.maximum(n_negatives[row], 1)
        negative = records.negatives.offsets[row] + within % np.maximum(n_negatives[row], 1)
        columns = {
            self.names.anchor: self.anchors(records, row),
            self.names.positive: self.entries(records.positives, positive),
            "negative": self.entries(records.negatives, negative),
        }
        if self.scores:
            pairs = np.stack([records.positives.scores[positive], records.negatives.scores[negative]], axis=1)
            columns["scores"] = _lists(pairs.reshape(-1), np.full(len(row), 2))
        return self.table(columns), int((n_positives * n_negatives == 0).sum())

    def tuples(self, records: Records) -> tuple[pa.Table, int]:
        """Combine every positive with all negatives of a full row."""
        full = records.negatives.counts == self.width
        row, within = _enumerate(np.where(full, records.positives.counts, 0))
        positive = records.positives.offsets[row] + within
        negatives = records.negatives.offsets[row][:, None] + np.arange(self.width)
        columns = {
            self.names.anchor: self.anchors(records, row),
            self.names.positive: self.entries(records.positives, positive),
        }
        for number in range(self.width):
            columns[f"negative_{number + 1}"] = self.entries(records.negatives, negatives[:, number])
        if self.scores:
            scores = np.column_stack([records.positives.scores[positive], records.negatives.scores[negatives]])
            columns["scores"] = _lists(scores.reshape(-1), np.full(len(row), self.width + 1))
        return self.table(columns), int((~full | (records.positives.counts == 0)).sum())

    def labeled_pairs(self, records: Records) -> tuple[pa.Table, int]:
        """List the positives of a row, labeled 1, then its negatives, labeled 0."""
        row, is_positive, place = _interleave(records.positives.counts, records.negatives.counts)
        both = _joined(records)
        columns = {
            self.names.anchor: self.anchors(records, row),
            self.names.positive: self.entries(both, place),
        }
        if self.scores:
            columns["score"] = both.scores[place]
        else:
            columns["label"] = is_positive.astype(np.int64)
        return self.table(columns), int((records.positives.counts + records.negatives.counts == 0).sum())

    def labeled_lists(self, records: Records) -> tuple[pa.Table, int]:
        """List every positive, followed by all negatives of its row."""
        n_negatives = records.negatives.counts
        row, within = _enumerate(np.where(n_negatives > 0, records.positives.counts, 0))
        positive = records.positives.offsets[row] + within
        lengths = n_negatives[row] + 1
        entry, number = _enumerate(lengths)
        both = _joined(records)
        negatives_begin = len(records.positives.indices) + records.negatives.offsets[row]
        place = np.where(number == 0, positive[entry], negatives_begin[entry] + number - 1)
        columns = {
            self.names.anchor: self.anchors(records, row),
            self.names.positive: _lists(self.entries(both, place), lengths),
        }
        if self.scores:
            columns["scores"] = _lists(both.scores[place], lengths)
        else:
            columns["labels"] = _lists((number == 0).astype(np.int64), lengths)
        return self.table(columns), int(((n_negatives == 0) | (records.positives.counts == 0)).sum())

    def tables(self, format_name: str) -> Callable[[Records], tuple[pa.Table, int]]:
        """Return the function that makes tables of a format; it also counts the result rows without training rows."""
        makers: dict[str, Callable[[Records], tuple[pa.Table, int]]] = {
            "triplet": self.triplets,
            "n-tuple": self.tuples,
            "labeled-pair": self.labeled_pairs,
            "labeled-list": self.labeled_lists,
        }
        return makers[format_name]

    def flagembedding(self, records: Records) -> Iterator[dict[str, Any] | None]:
        """Yield one line per result row that has positives and negatives; None for other rows."""
        everyone = np.arange(len(records))
        queries = self.anchors(records, everyone).to_pylist()
        positives = self.entries(records.positives, np.arange(len(records.positives.indices))).to_pylist()
        negatives = self.entries(records.negatives, np.arange(len(records.negatives.indices))).to_pylist()
        for row, (own, mined) in enumerate(_slices(records)):
            if own.start == own.stop or mined.start == mined.stop:
                yield None
                continue
            line = {"query": queries[row], "pos": positives[own], "neg": negatives[mined]}
            if self.scores:
                line["pos_scores"] = records.positives.scores[own].tolist()
                line["neg_scores"] = records.negatives.scores[mined].astype(np.float64).tolist()
            yield line

    def tevatron(self, records: Records) -> Iterator[dict[str, Any] | None]:
        """Yield one line per result row that has positives and negatives; None for other rows."""
        assert self.queries.texts is not None  # checked at the start
        queries = self.anchors(records, np.arange(len(records))).to_pylist()
        query_ids = self.queries.texts.ids[records.query_indices].tolist()
        positives, negatives = self._passages(records.positives), self._passages(records.negatives)
        for row, (own, mined) in enumerate(_slices(records)):
            if own.start == own.stop or mined.start == mined.stop:
                yield None
                continue
            yield {
                "query_id": str(query_ids[row]),
                "query": queries[row],
                "positive_passages": positives[own],
                "negative_passages": negatives[mined],
            }

    def _passages(self, lists: Lists) -> list[dict[str, Any]]:
        assert self.documents.texts is not None
        self.documents.check(lists.indices, lists.ids)
        found = self.documents.texts.take(lists.indices)
        titles = [""] * len(found) if found.titles is None else found.titles.to_pylist()
        lines = zip(found.ids.tolist(), titles, found.texts.to_pylist(), strict=True)
        passages = [{"docid": str(label), "title": title, "text": text} for label, title, text in lines]
        if self.scores:
            for passage, score in zip(passages, lists.scores.tolist(), strict=True):
                passage["score"] = score
        return passages


def write_training_rows(
    negatives: HardNegatives | MinedRows | str | Path,
    path: object,
    *,
    format: Format,
    queries: Texts | None = None,
    documents: Texts | None = None,
    scores: bool = False,
    anchor_name: str = "anchor",
    positive_name: str = "positive",
) -> Written:
    """Write mined negatives as rows that trainers read.

    ============== =============================================== ======================================
    format         columns or keys                                 with ``scores``
    ============== =============================================== ======================================
    triplet        anchor, positive, negative                      + scores: [positive's, negative's]
    n-tuple        anchor, positive, negative_1 to negative_n      + scores: [positive's, negatives' ...]
    labeled-pair   anchor, positive (any document), label          score instead of label
    labeled-list   anchor, positive (a list), labels (a list)      scores instead of labels
    flagembedding  query, pos, neg                                 + pos_scores, neg_scores
    tevatron       query_id, query, positive_passages,             + a score in every passage
                   negative_passages (docid, title, text)
    ============== =============================================== ======================================

    All positives of a query get the same negatives. Rows that do not fit the format are left out and counted: rows
    without a negative or without a positive and, for "n-tuple", rows that are not full; "labeled-pair" keeps all.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Result of a miner or of :func:`read_negatives`, or the path of its file.
    path : path
        ``.parquet`` or ``.jsonl``; the last two formats are always ``.jsonl``. The file is written under a temporary
        name and renamed.
    format : {"triplet", "n-tuple", "labeled-pair", "labeled-list", "flagembedding", "tevatron"}
        Format of the rows.
    queries, documents : Texts, optional
        Texts of all queries and documents, in the order of their rows; a title goes before its text. Default: the
        labels are written, which the last two formats do not allow.
    scores : bool, default False
        Whether scores are written.
    anchor_name : str, default "anchor"
        Name of the column of queries, for the first four formats.
    positive_name : str, default "positive"
        Name of the column of positives, for the first four formats.

    Returns
    -------
    Written

    Raises
    ------
    NegmineValueError
        The format is unknown, the suffix does not fit it, the texts belong to another data set, names of columns
        clash, or a positive is outside the corpus and therefore has no text.
    """
    check_choice(format, "format", FORMATS)
    target = files.as_path(path, "path")
    lines_only = format in LINES_ONLY
    suffixes = (".jsonl",) if lines_only else (".parquet", ".jsonl")
    if files.suffix_of(target) not in suffixes:
        raise NegmineValueError(f"`path` must end in {' or '.join(suffixes)} for {format!r}; got {target}.")
    for side, argument in ((queries, "queries"), (documents, "documents")):
        if side is not None and not isinstance(side, Texts):
            raise NegmineTypeError(
                f"`{argument}` must be Texts; got {type(side).__name__}. `Texts.from_lists` makes them."
            )
        if side is None and lines_only:
            raise NegmineValueError(f"`{argument}` must hold texts for {format!r}; got None.")
    mined = read_negatives(negatives) if isinstance(negatives, str | Path) else as_mined(negatives)
    width = int(mined.provenance["width"])
    _check_names(format, anchor_name, positive_name, width)
    maker = _Maker(
        _Side(queries, "queries"), _Side(documents, "documents"), scores, _Names(anchor_name, positive_name), width
    )
    if lines_only:
        make_lines = maker.flagembedding if format == "flagembedding" else maker.tevatron
        return _write_lines(target, mined, make_lines)
    return _write_table(target, mined, maker.tables(format), format)


def training_tables(
    records: Iterable[Records],
    format_name: str,
    queries: Texts,
    documents: Texts,
    *,
    width: int,
    scores: bool,
    anchor_name: str,
    positive_name: str,
) -> Iterator[pa.Table]:
    """Make tables of training rows for sentence-transformers in memory.

    Parameters
    ----------
    records : iterable of Records
        Result rows, some at a time.
    format_name : {"triplet", "n-tuple", "labeled-pair", "labeled-list"}
        Format of the rows, as for :func:`write_training_rows`.
    queries, documents : Texts
        Texts of all queries and documents.
    width : int
        Negatives of a full result row.
    scores : bool
        Whether to add scores.
    anchor_name, positive_name : str
        Names of the columns of queries and positives.

    Yields
    ------
    pyarrow.Table
        The training rows of each of the records.
    """
    names = _Names(anchor_name, positive_name)
    make = _Maker(_Side(queries, "queries"), _Side(documents, "documents"), scores, names, width).tables(format_name)
    for some in records:
        yield make(some)[0]


def _check_names(format_name: str, anchor: str, positive: str, width: int) -> None:
    taken = {
        "triplet": {"negative", "scores"},
        "n-tuple": {f"negative_{number + 1}" for number in range(width)} | {"scores"},
        "labeled-pair": {"label", "score"},
        "labeled-list": {"labels", "scores"},
    }.get(format_name, set())
    for argument, name in (("anchor_name", anchor), ("positive_name", positive)):
        if not isinstance(name, str):
            raise NegmineTypeError(f"`{argument}` must be a string; got {name!r}.")
        if name in taken:
            raise NegmineValueError(
                f"`{argument}` must differ from the other columns of {format_name!r}; got {name!r}."
            )
    if anchor == positive:
        raise NegmineValueError(f"`positive_name` must differ from `anchor_name`; got {positive!r} for both.")


def _steps(mined: MinedRows) -> Iterator[Records]:
    """Yield small batches, because texts are long; refuse positives outside the corpus."""
    for batch in mined.batches():
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


def _write_table(
    path: Path, mined: MinedRows, make: Callable[[Records], tuple[pa.Table, int]], format_name: str
) -> Written:
    counts = {"rows": 0, "dropped": 0}

    def made() -> Iterator[pa.Table]:
        for records in _steps(mined):
            table, dropped = make(records)
            counts["rows"] += len(table)
            counts["dropped"] += dropped
            yield with_provenance(table, TRAINING_ROWS, mined.provenance, format_name)

    if files.suffix_of(path) == ".parquet":
        write_tables(path, made())
    else:
        with files.atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for table in made():
                file.writelines(f"{json.dumps(line, ensure_ascii=False)}\n" for line in table.to_pylist())
    return Written(path, counts["rows"], counts["dropped"])


def _write_lines(path: Path, mined: MinedRows, make: Callable[[Records], Iterator[dict[str, Any] | None]]) -> Written:
    written = dropped = 0
    with files.atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for records in _steps(mined):
            for line in make(records):
                if line is None:
                    dropped += 1
                    continue
                written += 1
                file.write(f"{json.dumps(line, ensure_ascii=False)}\n")
    return Written(path, written, dropped)


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


def _lists(values: Any, lengths: Int64s) -> pa.ListArray:  # noqa: ANN401 (an Arrow or a NumPy array)
    arrow = require("pyarrow", "io", "writing training rows")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return arrow.ListArray.from_arrays(
        arrow.array(offsets), values if isinstance(values, arrow.Array) else tables.to_array(values)
    )


def _slices(records: Records) -> Iterator[tuple[slice, slice]]:
    own, mined = records.positives.offsets.tolist(), records.negatives.offsets.tolist()
    for row in range(len(records)):
        yield slice(own[row], own[row + 1]), slice(mined[row], mined[row + 1])
