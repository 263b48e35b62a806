"""Texts in TSV: one line per row, fields separated by tabs, no quoting."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negmine._core.extras import require
from negmine.errors import NegmineValueError
from negmine.io.lines import read_lines
from negmine.io.tables import Column, Names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_columns"]

#: Number of rows that are converted at once: Python's strings take several times the memory of Arrow's.
STEP = 65_536


def read_columns(path: Path, argument: str, names: Names) -> dict[str, Column]:
    """Read the columns in use by the names in the header; without a header, read labels and texts.

    Parameters
    ----------
    path : Path
        Existing TSV file, gzipped or not.
    argument : str
        Name of the argument that gave the path, for error messages.
    names : Names
        Names of labels, texts and titles.

    Returns
    -------
    dict of str to Column
        Columns by name.

    Raises
    ------
    NegmineValueError
        A line has another number of fields than the first, a name in use repeats, or there is neither a header nor
        exactly two columns.
    """
    arrow = require("pyarrow", "io", "reading TSV")
    rows = read_lines(path, argument)
    first = next(rows, None)
    if first is None:
        return {name: Column(_column(arrow, []), argument, path, name) for name in (names.labels[0], names.text)}
    header = first[1].split("\t")
    if names.text in header:
        used = {name: header.index(name) for name in names.used(header) if name in header}
        repeated = next((name for name in used if header.count(name) > 1), None)
        if repeated is not None:
            raise NegmineValueError(
                f"`{argument}` must have one column {repeated!r}; line {first[0]} of {path} has "
                f"{header.count(repeated)}."
            )
    elif len(header) == 2 and not set(names.labels) & set(header):
        used, rows = {names.labels[0]: 0, names.text: 1}, itertools.chain([first], rows)
    else:
        raise NegmineValueError(
            f"`{argument}` must have a header with {names.text!r}, or two columns of labels and texts; line {first[0]} "
            f"of {path} has {', '.join(map(repr, header))}."
        )
    pieces: dict[str, list[pa.Array]] = {name: [] for name in used}
    while cut := [_cut(line, len(header), number, path, argument) for number, line in itertools.islice(rows, STEP)]:
        for name, place in used.items():
            pieces[name].append(arrow.array([cells[place] for cells in cut], arrow.large_string()))
    return {name: Column(_column(arrow, parts), argument, path, name) for name, parts in pieces.items()}


def _cut(line: str, n: int, number: int, path: Path, argument: str) -> list[str]:
    cells = line.split("\t")
    if len(cells) != n:
        raise NegmineValueError(
            f"`{argument}` must have {n} fields in every line; line {number} of {path} has {len(cells)}."
        )
    return cells


def _column(arrow: Any, parts: list[pa.Array]) -> pa.ChunkedArray:  # noqa: ANN401 (a module without types)
    return arrow.chunked_array(parts, arrow.large_string())
