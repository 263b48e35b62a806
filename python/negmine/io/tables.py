"""Parquet and Arrow tables, and the columns that they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Ids, as_ids
from negmine._core.extras import require
from negmine.errors import NegmineTypeError, NegmineValueError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "TABLE_SUFFIXES",
    "embedding_column",
    "id_column",
    "is_embedding_type",
    "label_column",
    "read_schema",
    "read_table",
    "string_column",
    "to_array",
]

#: Suffixes of files that hold a table.
TABLE_SUFFIXES = (".parquet", ".arrow", ".feather", ".ipc")


#: NumPy's names of Arrow's types.
_DTYPES = {"halffloat": "f2", "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1"}


def read_schema(path: Path, argument: str) -> pa.Schema:
    """Read the schema of a Parquet, Arrow or Feather file."""
    return _read(path, argument, None, schema_only=True)


def read_table(path: Path, argument: str, columns: list[str]) -> pa.Table:
    """Read some columns of a Parquet, Arrow (file or stream) or Feather file.

    Arrow files without compression are memory-mapped.

    Parameters
    ----------
    path
        A file that exists, with one of ``TABLE_SUFFIXES``.
    argument
        The name that errors use.
    columns
        Names of columns.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    NegmineValueError
        The file is no such file, or has no such column.
    """
    known = read_schema(path, argument).names
    for column in columns:
        if column not in known:
            raise NegmineValueError(
                f"`{argument}` must have a column {column!r}; {path} has {', '.join(map(repr, known)) or 'none'}."
            )
    return _read(path, argument, columns, schema_only=False)


def _read(path: Path, argument: str, columns: list[str] | None, *, schema_only: bool) -> Any:  # noqa: ANN401 (a schema or a table)
    arrow = require("pyarrow", "io", f"reading {path.suffix} files")
    try:
        if path.suffix == ".parquet":
            parquet = require("pyarrow.parquet", "io", "reading Parquet")
            with parquet.ParquetFile(path) as file:
                return file.schema_arrow if schema_only else file.read(columns=columns)
        mapped = arrow.memory_map(str(path))
        try:
            table = arrow.ipc.open_file(mapped)
        except arrow.ArrowInvalid:
            mapped.seek(0)
            table = arrow.ipc.open_stream(mapped)
        return table.schema if schema_only else table.read_all().select(columns)
    except (arrow.ArrowException, OSError) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "Arrow"
        raise NegmineValueError(f"`{argument}` must be a readable {kind} file; got {path}: {error}") from error


def embedding_column(column: pa.ChunkedArray, argument: str, name: str) -> npt.NDArray[Any]:
    """Turn a column of lists of numbers into an array, in place where it lies in one piece.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Fixed-size lists, or lists that all have the same length.
    argument, name
        What errors name: the argument and the column.

    Returns
    -------
    array (n, width)
    """
    if not is_embedding_type(column.type):
        raise NegmineTypeError(
            f"`{argument}` must be a column of fixed-size lists of floats, int8 or uint8; column {name!r} is "
            f"{column.type}."
        )
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise NegmineValueError(f"`{argument}` must have every row; column {name!r} has none at row {row}.")
    width = _width(column, argument, name)
    parts = []
    for chunk in column.chunks:
        flat = chunk.flatten()
        if flat.null_count:
            raise NegmineValueError(
                f"`{argument}` must have every value; column {name!r} has {flat.null_count} nulls within its lists."
            )
        parts.append(flat.to_numpy(zero_copy_only=True).reshape(len(chunk), width))
    if len(parts) == 1:
        return np.asarray(parts[0])
    # Not `to_pandas_dtype`, which needs pandas.
    dtype = parts[0].dtype if parts else _DTYPES[str(column.type.value_type)]
    joined: npt.NDArray[Any] = np.empty((len(column), width), dtype=dtype)
    row = 0
    for part in parts:
        joined[row : row + len(part)] = part
        row += len(part)
    return joined


def is_embedding_type(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type may hold embeddings: lists of floats, int8 or uint8."""
    arrow = require("pyarrow", "io", "reading embeddings from a table")
    types = arrow.types
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    return bool(types.is_floating(kind.value_type) or kind.value_type in (arrow.int8(), arrow.uint8()))


def _width(column: pa.ChunkedArray, argument: str, name: str) -> int:
    arrow = require("pyarrow", "io", "reading embeddings from a table")
    if arrow.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    if len(column) == 0:
        return 0
    compute = require("pyarrow.compute", "io", "reading embeddings from a table")
    lengths = compute.list_value_length(column).to_numpy()
    ragged = lengths != lengths[0]
    if ragged.any():
        row = int(ragged.argmax())
        raise NegmineValueError(
            f"`{argument}` must hold lists of one length; column {name!r} has {lengths[0]} numbers at row 0 and "
            f"{lengths[row]} at row {row}."
        )
    return int(lengths[0])


def id_column(column: pa.ChunkedArray, argument: str, name: str) -> Ids:
    """Turn a column of integers or strings into unique labels."""
    labels = label_column(column, argument, name)
    return as_ids(labels, argument, len(labels))


def label_column(column: pa.ChunkedArray, argument: str, name: str) -> Ids:
    """Turn a column of integers or strings into labels, which may repeat."""
    arrow = require("pyarrow", "io", "reading labels from a table")
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = _is_text(column.type)
    if not (is_text or arrow.types.is_integer(column.type)):
        raise NegmineTypeError(f"`{argument}` must hold integers or strings; column {name!r} is {column.type}.")
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise NegmineValueError(f"`{argument}` must label every row; column {name!r} has a null at row {row}.")
    if is_text:
        labels: Ids = np.array(column.to_pylist(), dtype=np.str_)
        return labels
    try:
        return np.asarray(column.cast(arrow.int64()).to_numpy())
    except arrow.ArrowInvalid as error:
        raise NegmineValueError(f"`{argument}` must fit into int64; column {name!r}: {error}") from None


def to_array(values: npt.NDArray[Any]) -> pa.Array:
    """An Arrow array, in one piece: pyarrow cuts long arrays of NumPy strings."""
    arrow = require("pyarrow", "io", "making a table")
    made = arrow.array(values)
    return made.combine_chunks() if isinstance(made, arrow.ChunkedArray) else made


def string_column(column: pa.ChunkedArray, argument: str, name: str) -> pa.LargeStringArray:
    """Turn a column of strings into one ``pyarrow.LargeStringArray``; a null is an error that names its row."""
    arrow = require("pyarrow", "io", "reading texts")
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _is_text(column.type):
        raise NegmineTypeError(f"`{argument}` must hold strings; column {name!r} is {column.type}.")
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise NegmineValueError(f"`{argument}` must hold a text in every row; column {name!r} has none at row {row}.")
    return column.cast(arrow.large_string()).combine_chunks()


def _is_text(kind: pa.DataType) -> bool:
    types = require("pyarrow", "io", "reading texts").types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
