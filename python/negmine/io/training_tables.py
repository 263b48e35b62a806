"""Training rows of a file as tables of a known layout, in pieces, and their positives and negatives."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.extras import require
from negmine._core.parsing import parse_json
from negmine.errors import NegmineValueError
from negmine.io import row_groups
from negmine.io.lines import read_lines
from negmine.io.training_layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SUFFIXES", "Part", "is_mined", "read_tables", "sides"]

#: Suffixes of files of training rows.
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")

#: Characters of JSON lines that are parsed at once, and rows of a table that are read at once.
CHARACTERS, ROWS = 1 << 25, 1 << 16

Int64s = npt.NDArray[np.int64]

#: Row and value of some documents.
Part = tuple[Int64s, "pa.Array"]


def is_mined(path: Path) -> bool:
    """Return whether a file is a Parquet file of mined negatives, by its columns.

    Parameters
    ----------
    path : Path
        Existing file.

    Returns
    -------
    bool
    """
    if files.suffix_of(path) != ".parquet":
        return False
    arrow = require("pyarrow", "io", "reading Parquet")
    parquet = require("pyarrow.parquet", "io", "reading Parquet")
    try:
        return "negative_indices" in parquet.read_schema(path).names
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise NegmineValueError(f"`path` must be a Parquet file that can be read; got {path}: {error}") from error


def read_tables(path: Path) -> Iterator[tuple[Layout, pa.Table, Int64s]]:
    """Read training rows piece by piece; the columns, or the keys of the first line, decide on the format.

    Parameters
    ----------
    path : Path
        Existing file, with one of [`SUFFIXES`][].

    Yields
    ------
    tuple of (Layout, pyarrow.Table, int64 (n,))
        Layout of the file, a table of its columns in use without nulls, and the place of each row: line numbers from 1
        in JSON lines, row numbers from 0 in Parquet.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The file is of no format, lacks a column or a value, or a value has another type.
    """
    tables = _json_tables(path) if files.suffix_of(path).startswith(".jsonl") else _parquet_tables(path)
    for layout, table, places in tables:
        if not _is_complete(layout, table):
            raise NegmineValueError(
                f"`path` must hold no nulls, and lists of one length where they go together; {path} does not in rows "
                f"{places[0]} to {places[-1]}."
            )
        yield layout, table, places


def sides(layout: Layout, table: pa.Table) -> tuple[list[Part], list[Part]]:
    """Return the positives and the negatives of a table.

    Parameters
    ----------
    layout : Layout
        Layout of the table.
    table : pyarrow.Table
        Some rows.

    Returns
    -------
    tuple of (list of parts, list of parts)
        Row and value of every positive, and of every negative, in one part per column.
    """
    everyone = np.arange(len(table))
    parts = {name: _flat(table[name].combine_chunks(), layout.kinds[name], everyone) for name in layout.documents}
    if layout.positives != layout.negatives:
        return [parts[name] for name in layout.positives], [parts[name] for name in layout.negatives]
    rows, values = parts[layout.documents[0]]
    relevant = _relevant(layout, table, rows)
    own, mined = np.flatnonzero(relevant), np.flatnonzero(~relevant)
    return [(rows[own], values.take(own))], [(rows[mined], values.take(mined))]


def _parquet_tables(path: Path) -> Iterator[tuple[Layout, pa.Table, Int64s]]:
    """Yield the tables of a Parquet file; those that negmine wrote are compared with their checksums."""
    arrow = require("pyarrow", "io", "reading Parquet")
    parquet = require("pyarrow.parquet", "io", "reading Parquet")
    begin = 0
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as opened:
            layout = Layout.of(opened.schema_arrow.names, path, "columns")
            layout.check_types(opened.schema_arrow, path)
            ours = row_groups.METADATA_KEY in (opened.schema_arrow.metadata or {})
            batches = opened.iter_batches(ROWS, columns=list(layout.kinds))
            for batch in () if ours else batches:
                yield layout, arrow.table(batch), begin + np.arange(len(batch))
                begin += len(batch)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise NegmineValueError(f"`path` must be a Parquet file that can be read; got {path}: {error}") from error
    if ours:
        with row_groups.open_tables(path, "path") as checked:
            for table in checked.tables():
                yield layout, table.select(list(layout.kinds)), begin + np.arange(len(table))
                begin += len(table)


def _json_tables(path: Path) -> Iterator[tuple[Layout, pa.Table, Int64s]]:
    """Yield the tables of JSON lines; the first line decides on the format."""
    layout, first, schema = None, {}, None
    characters = 0

    def block(line: tuple[int, str]) -> int:
        nonlocal characters
        characters += len(line[1]) + 1
        return characters // CHARACTERS

    for _, group in itertools.groupby(read_lines(path, "path"), block):
        lines = list(group)
        if layout is None:
            first = _first_line(lines[0], path)
            layout = Layout.of(list(first), path, f"keys in line {lines[0][0]}")
            schema = layout.schema(first)
        yield layout, _parsed(layout, schema, lines, first, path), np.array([number for number, _ in lines])


def _first_line(line: tuple[int, str], path: Path) -> dict[str, Any]:
    try:
        found = parse_json(line[1])
    except ValueError as error:
        raise NegmineValueError(
            f"`path` must hold one JSON object per line; line {line[0]} of {path}: {error}."
        ) from None
    if not isinstance(found, dict):
        raise NegmineValueError(
            f"`path` must hold one JSON object per line; line {line[0]} of {path} is {line[1][:80]!r}."
        )
    return found


def _parsed(
    layout: Layout, schema: pa.Schema, lines: Sequence[tuple[int, str]], first: Mapping[str, Any], path: Path
) -> pa.Table:
    """Parse lines with Arrow; where it cannot, find the first line that breaks a rule."""
    arrow = require("pyarrow", "io", "reading JSONL")
    parser = require("pyarrow.json", "io", "reading JSONL")
    content = "\n".join(line for _, line in lines).encode("utf-8")
    reading = parser.ReadOptions(block_size=len(content) + 1)
    options = parser.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    why = ""
    try:
        table = parser.read_json(io.BytesIO(content), read_options=reading, parse_options=options)
        if len(table) == len(lines) and _is_complete(layout, table):
            table.validate(full=True)
            return table
    except arrow.ArrowException as error:
        why = f": {error}"
    for number, line in lines:
        place = f"line {number} of {path}"
        try:
            found = parse_json(line)
        except ValueError as error:
            raise NegmineValueError(f"`path` must hold one JSON object per line; {place}: {error}.") from None
        fault = layout.fault_of(found, place, first)
        if fault is not None:
            raise fault
    raise NegmineValueError(
        f"`path` must hold one JSON object per line; {path} does not in lines {lines[0][0]} to {lines[-1][0]}{why}."
    )


def _is_complete(layout: Layout, table: pa.Table) -> bool:
    """Return whether there are no nulls where values are needed, and lists that go together are equally long."""
    for name, kind in layout.kinds.items():
        column = table[name]
        if column.null_count:
            return False
        if kind in ("texts", "labels", "scores", "passages"):
            entries = [chunk.flatten() for chunk in column.chunks]
            entries = [entry.field("text") if kind == "passages" else entry for entry in entries if len(entry)]
            if any(entry.null_count for entry in entries):
                return False
    return layout.misaligned(table) is None


def _flat(column: pa.Array, kind: str, everyone: Int64s) -> tuple[Int64s, pa.Array]:
    """Return the row and the value of every document of a column."""
    if kind == "text":
        return everyone, column
    compute = require("pyarrow.compute", "io", "checking training rows")
    lengths = compute.list_value_length(column).to_numpy(zero_copy_only=False)
    entries = column.flatten()
    return np.repeat(everyone, lengths), entries.field("text") if kind == "passages" else entries


def _relevant(layout: Layout, table: pa.Table, rows: Int64s) -> npt.NDArray[np.bool_]:
    """Return which documents are positives: by their labels, or the first of every list."""
    for name in ("label", "labels"):
        if name in layout.kinds:
            labels = table[name].combine_chunks()
            labels = labels if name == "label" else labels.flatten()
            return np.asarray(labels.to_numpy(zero_copy_only=False) > 0)
    if layout.format == "labeled-pair":
        return np.zeros(len(rows), dtype=np.bool_)
    return np.concatenate([np.ones(min(len(rows), 1), dtype=np.bool_), rows[1:] != rows[:-1]])
