"""Convert mined negatives to training rows with texts, and training rows of one format to those of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.extras import require
from negmine._core.labels import Ids, Strings, find_labels
from negmine._core.options import check_choice, check_flag
from negmine.data.texts import Texts
from negmine.errors import NegmineValueError
from negmine.io.negatives import MinedRows, Written
from negmine.io.training import check_rows_path, write_rows, write_training_rows
from negmine.io.training_layout import Layout
from negmine.io.training_tables import SUFFIXES, Part, is_mined, read_tables, sides
from negmine.io.verification import find_answer, open_answer
from negmine.mining.formats import FORMATS, IDS_ONLY, Format, RowMaker
from negmine.mining.records import Lists, Records
from negmine.mining.sides import Side

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["convert_training_rows"]

Int64s = npt.NDArray[np.int64]


def convert_training_rows(
    source: object,
    path: object,
    *,
    format: Format,
    queries: Texts | None = None,
    documents: Texts | None = None,
    scores: bool = False,
) -> Written:
    """Convert a file of mined negatives, or of training rows, to training rows of another format.

    Training rows are converted row by row: every row of the source stays a row of its own, with its positives and its
    negatives. They keep what they have, texts or labels.

    Parameters
    ----------
    source : path
        Mined negatives as ``.parquet``, ``.npz`` or the folder of a job; or training rows as ``.parquet``, ``.jsonl``
        or ``.jsonl.gz``, except "labeled-pair", whose pairs are no rows of their query.
    path : path
        The file to write, as for [`write_training_rows`][].
    format : {"triplet", "n-tuple", "labeled-pair", "labeled-list", "ids", "id-list", "flagembedding", "tevatron"}
        Format of the rows. Training rows become neither "tevatron", which needs labels and texts, nor, unless they
        hold labels themselves, "ids" or "id-list".
    queries, documents : Texts, optional
        Texts of mined negatives: by label where both have labels, else in the order of the rows. Default: the labels
        are written.
    scores : bool, default False
        Whether scores are written. Training rows are converted without scores.

    Returns
    -------
    Written

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The source is neither, a format does not go with it, or texts are missing.
    """
    check_choice(format, "format", FORMATS)
    file = files.as_path(source, "source")
    file = find_answer(file, "source") if file.is_dir() else files.input_file(file, "source")
    if files.suffix_of(file) == ".npz" or is_mined(file):
        answer = open_answer(file)
        if not answer.has_positives:
            raise NegmineValueError(f"`source` must have its pool, which knows the positives, next to it; got {file}.")
        mined = answer.mined
        return write_training_rows(
            mined,
            path,
            format=format,
            queries=_aligned(queries, mined, "queries"),
            documents=_aligned(documents, mined, "documents"),
            scores=scores,
        )
    if files.suffix_of(file) not in SUFFIXES:
        raise NegmineValueError(f"`source` must end in .npz, {', '.join(SUFFIXES)}; got {file}.")
    for argument, texts in (("queries", queries), ("documents", documents)):
        if texts is not None:
            raise NegmineValueError(f"`{argument}` must be None for training rows, which have theirs; got texts.")
    if check_flag(scores, "scores"):
        raise NegmineValueError("`scores` must be False for training rows; got True. Convert mined negatives instead.")
    target = check_rows_path(path, format)
    width, n_rows = 0, 0
    for layout, table, _ in read_tables(file):
        _check_formats(layout, format, file)
        n_rows += len(table)
        counts = np.bincount(np.concatenate([rows for rows, _ in sides(layout, table)[1]]), minlength=1)
        width = max(width, int(counts.max()))
    maker = RowMaker(
        format=format,
        queries=Side(None, "queries", labels_are_texts=True),
        documents=Side(None, "documents", labels_are_texts=True),
        width=width,
    )
    return write_rows(target, MinedRows(n_rows, {"width": width}, lambda: _records(file)), maker)


def _check_formats(layout: Layout, format: str, path: Path) -> None:
    """Refuse formats that have less than what another needs."""
    if layout.format == "labeled-pair":
        raise NegmineValueError(f"`source` must hold rows with positives and negatives; {path} is 'labeled-pair'.")
    if format == "tevatron" or (format in IDS_ONLY and layout.format not in IDS_ONLY):
        raise NegmineValueError(f"`format` must be one that {layout.format!r} has all values for; got {format!r}.")


def _aligned(texts: Texts | None, mined: MinedRows, side: str) -> Texts | None:
    """Return texts in the order of the rows of the mined negatives, if both have labels; else as they are."""
    if texts is None or side in mined.provenance.get("unlabeled", []):
        return texts
    rows, labels = _labels(mined, side)
    if not len(rows) or isinstance(labels, Strings) != isinstance(texts.ids, Strings):
        return texts
    places = find_labels(labels, texts.ids)
    if (places < 0).any():
        place = int((places < 0).argmax())
        missing = labels[place : place + 1].tolist()[0]
        raise NegmineValueError(f"`{side}` must hold a text for every label; got none for {missing!r}.")
    order = np.zeros(int(rows.max()) + 1, dtype=np.int64)
    order[rows] = places
    return texts.take(order)


def _labels(mined: MinedRows, side: str) -> tuple[Int64s, Ids]:
    """Return the rows that occur on a side, with their labels."""
    known: dict[int, object] = {}
    for records in mined.batches():
        pairs = [(records.query_indices, records.query_ids)]
        if side == "documents":
            pairs = [(lists.indices, lists.ids) for lists in (records.positives, records.negatives)]
        for rows, labels in pairs:
            distinct, first = np.unique(rows, return_index=True)
            kept = distinct >= 0  # positives outside the corpus are refused later
            known.update(zip(distinct[kept].tolist(), labels[first[kept]].tolist(), strict=True))
    values = list(known.values())
    rows_known = np.fromiter(known, dtype=np.int64, count=len(known))
    if values and isinstance(values[0], str):
        return rows_known, Strings.of(values, side)  # type: ignore[arg-type]
    return rows_known, np.array(values, dtype=np.int64)


def _records(path: Path) -> Iterator[Records]:
    """Yield training rows as result rows whose labels are what the file has: texts or labels."""
    begin = 0
    any_read = False
    for layout, table, _ in read_tables(path):
        n = len(table)
        own, mined = (_lists(parts, n) for parts in sides(layout, table))
        yield Records(
            query_indices=begin + np.arange(n),
            query_ids=_ids(table[layout.query].combine_chunks()),
            reference_scores=np.full(n, np.nan),
            reasons=np.zeros(n, dtype=np.uint8),
            positives=own,
            negatives=replace(mined, scores=mined.scores.astype(np.float32)),
            sources=np.ones(len(mined.indices), dtype=np.uint8),
        )
        begin += n
        any_read = True
    if not any_read:
        nothing = np.zeros(0, dtype=np.int64)
        lists = Lists(np.zeros(1, dtype=np.int64), nothing, nothing, np.zeros(0))
        codes = np.zeros(0, dtype=np.uint8)
        yield Records(nothing, nothing, np.zeros(0), codes, lists, lists, codes)


def _lists(parts: list[Part], n: int) -> Lists:
    arrow = require("pyarrow", "io", "converting training rows")
    rows = np.concatenate([rows for rows, _ in parts])
    order = np.argsort(rows, kind="stable")
    values = arrow.concat_arrays([values for _, values in parts]).take(order)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return Lists(offsets, np.arange(len(rows)), _ids(values), np.full(len(rows), np.nan))


def _ids(values: pa.Array) -> Ids:
    arrow = require("pyarrow", "io", "converting training rows")
    if arrow.types.is_integer(values.type):
        numbers: Int64s = values.cast(arrow.int64()).to_numpy(zero_copy_only=False)
        return numbers
    return Strings.from_arrow(values)
