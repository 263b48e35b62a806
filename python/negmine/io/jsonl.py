"""Texts in JSON lines, parsed by Arrow; after an error, the lines are parsed one by one to name the wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from negmine._core import files
from negmine._core.extras import require
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.io.lines import parse_json, read_lines
from negmine.io.tables import Column, Names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_columns"]

#: Initial size of Arrow's parse blocks, in bytes; a longer line makes the reader retry with larger blocks.
BLOCK_BYTES = 1 << 24

LARGEST_BLOCK = (1 << 31) - 1


def read_columns(path: Path, argument: str, names: Names) -> dict[str, Column]:
    """Read the keys in use; keys that no line has are left out.

    The first line decides which key holds the labels, and whether they are integers or strings.

    Parameters
    ----------
    path : Path
        Existing JSONL file, gzipped or not.
    argument : str
        Name of the argument that gave the path, for error messages.
    names : Names
        Keys of labels, texts and titles.

    Returns
    -------
    dict of str to Column
        Columns by key.

    Raises
    ------
    NegmineValueError
        A line is not a JSON object, only some lines have labels, or a text is not UTF-8.
    NegmineTypeError
        A value in use has another type.
    """
    arrow = require("pyarrow", "io", "reading JSONL")
    first = _first_object(path, argument)
    if first is None:
        empty = arrow.chunked_array([], arrow.large_string())
        return {name: Column(empty, argument, path, name) for name in (names.labels[0], names.text)}
    label = names.label(first)
    kinds = {name: arrow.large_string() for name in (names.text, names.title)}
    if label is None:
        # Any label in a later line is an error.
        kinds |= dict.fromkeys(names.labels, arrow.null())
    else:
        kinds[label] = arrow.int64() if isinstance(first[label], int) else arrow.large_string()
    try:
        table = _parse(path, arrow.schema(list(kinds.items())))
        table.validate(full=True)
    except (arrow.ArrowException, OSError) as error:
        fault = _find_fault(path, argument, names, label, str if label is None else type(first[label]))
        if fault is not None:
            raise fault from None
        raise NegmineValueError(f"`{argument}` must hold one JSON object per line; got {path}: {error}") from error
    present = [name for name in table.column_names if table[name].null_count < max(len(table), 1)]
    return {name: Column(table[name], argument, path, name) for name in present}


def _first_object(path: Path, argument: str) -> dict[str, Any] | None:
    """Read the first line: None without lines, and an empty object if the line is invalid; Arrow reports it later."""
    first = next(read_lines(path, argument), None)
    if first is None:
        return None
    try:
        found = parse_json(first[1])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _parse(path: Path, schema: pa.Schema) -> pa.Table:
    arrow = require("pyarrow", "io", "reading JSONL")
    parser = require("pyarrow.json", "io", "reading JSONL")
    # With a schema, a text that looks like a date stays a text.
    options = parser.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    block = BLOCK_BYTES
    while True:
        try:
            compression = "gzip" if files.suffix_of(path).endswith(".gz") else None
            with arrow.input_stream(str(path), compression=compression) as stream:
                reading = parser.ReadOptions(block_size=block)
                return parser.read_json(stream, read_options=reading, parse_options=options)
        except arrow.ArrowInvalid as error:
            if "straddl" not in str(error) or block == LARGEST_BLOCK:
                raise
            block = min(16 * block, LARGEST_BLOCK)


def _find_fault(path: Path, argument: str, names: Names, label: str | None, kind: type) -> NegmineError | None:
    """Find the first line that breaks a rule."""
    for number, line in read_lines(path, argument):
        place = f"line {number} of {path}"
        try:
            found = parse_json(line)
        except ValueError as error:
            return NegmineValueError(f"`{argument}` must hold one JSON object per line; {place}: {error}.")
        if not isinstance(found, dict):
            return NegmineValueError(f"`{argument}` must hold one JSON object per line; {place} is {line[:80]!r}.")
        for name in (names.text, names.title):
            value = found.get(name)
            if value is not None and not isinstance(value, str):
                return NegmineTypeError(f"`{argument}` must hold strings under {name!r}; {place} has {value!r}.")
        if label is None:
            late = next((name for name in names.labels if found.get(name) is not None), None)
            if late is not None:
                return NegmineValueError(f"`{argument}` must label every row or none; {place} has the first {late!r}.")
            continue
        value = found.get(label)
        if value is not None and (type(value) is not kind or kind not in (int, str)):
            return NegmineTypeError(
                f"`{argument}` must have labels that are all strings or all integers under {label!r}; {place} has "
                f"{value!r}."
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return NegmineValueError(f"`{argument}` must fit into int64; {place} has {value} under {label!r}.")
        for name in (label, names.text, names.title):
            if _has_surrogate(found.get(name)):
                return NegmineValueError(f"`{argument}` must be Unicode; {place} has a lone surrogate under {name!r}.")
    return None


def _has_surrogate(value: object) -> bool:
    return isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value)
