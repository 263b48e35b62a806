"""Parquet and Arrow tables, and their columns."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import as_grades
from negmine._core.extras import require
from negmine._core.labels import Ids, Strings, as_ids, to_arrow
from negmine.errors import NegmineTypeError, NegmineValueError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLE_SUFFIXES", "Column", "Names", "is_embedding_type", "read_columns", "read_schema", "to_array"]

#: Suffixes of files that hold a table.
TABLE_SUFFIXES = (".parquet", ".arrow", ".feather", ".ipc")


#: NumPy's names of Arrow's types.
_DTYPES = {"halffloat": "f2", "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1"}


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the keys or columns of texts.

    Attributes
    ----------
    labels : tuple of str
        Names of labels; the first one that is present is used.
    text : str
        Name of texts.
    title : str
        Name of titles.
    """

    labels: tuple[str, ...]
    text: str
    title: str

    def label(self, known: Container[str]) -> str | None:
        """Find the name of the labels.

        Parameters
        ----------
        known : container of str
            Names that the file has.

        Returns
        -------
        str or None
            None if the file has no labels.
        """
        return next((name for name in self.labels if name in known), None)

    def used(self, known: Container[str]) -> list[str]:
        """List the names in use.

        Parameters
        ----------
        known : container of str
            Names that the file has.

        Returns
        -------
        list of str
            The name of the labels, if the file has them, then those of texts and titles.
        """
        label = self.label(known)
        return [*([] if label is None else [label]), self.text, self.title]


def read_schema(path: Path, argument: str) -> pa.Schema:
    """Read the schema of a Parquet, Arrow or Feather file.

    Parameters
    ----------
    path : Path
        Existing file, with one of ``TABLE_SUFFIXES``.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    pyarrow.Schema

    Raises
    ------
    NegmineValueError
        The file cannot be read.
    """
    return _read(path, argument, None, schema_only=True)


def read_columns(path: Path, argument: str, names: Sequence[str]) -> dict[str, Column]:
    """Read some columns of a Parquet, Arrow (file or stream) or Feather file.

    Arrow files without compression are memory-mapped. Other columns are not read, so they may have any type, and
    their names may repeat.

    Parameters
    ----------
    path : Path
        Existing file, with one of ``TABLE_SUFFIXES``.
    argument : str
        Name of the argument that gave the path, for error messages.
    names : sequence of str
        Names of columns.

    Returns
    -------
    dict of str to Column
        Columns by name.

    Raises
    ------
    NegmineValueError
        The file cannot be read, or does not have exactly one column of each name.
    """
    known = read_schema(path, argument).names
    for name in names:
        if name not in known:
            raise NegmineValueError(
                f"`{argument}` must have a column {name!r}; {path} has {', '.join(map(repr, known)) or 'none'}."
            )
        if known.count(name) > 1:
            raise NegmineValueError(
                f"`{argument}` must have one column {name!r}; {path} has {known.count(name)} of that name."
            )
    table = _read(path, argument, list(dict.fromkeys(names)), schema_only=False)
    return {name: Column(table[name], argument, path, name) for name in names}


def _read(path: Path, argument: str, columns: list[str] | None, *, schema_only: bool) -> Any:  # noqa: ANN401 (a schema or a table)
    suffix = files.suffix_of(path)
    arrow = require("pyarrow", "io", f"reading {suffix} files")
    try:
        if suffix == ".parquet":
            parquet = require("pyarrow.parquet", "io", "reading Parquet")
            with parquet.ParquetFile(path) as file:
                return _decoded(file.schema_arrow) if schema_only else file.read(columns=columns)
        mapped = arrow.memory_map(str(path))
        try:
            table = arrow.ipc.open_file(mapped)
        except arrow.ArrowInvalid:
            mapped.seek(0)
            table = arrow.ipc.open_stream(mapped)
        return _decoded(table.schema) if schema_only else table.read_all().select(columns)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        kind = "Parquet" if suffix == ".parquet" else "Arrow"
        raise NegmineValueError(f"`{argument}` must be a readable {kind} file; got {path}: {error}") from error


def _decoded(schema: pa.Schema) -> pa.Schema:
    """Return a schema after its names were decoded, which Arrow does when they are asked for, or fails to do."""
    _ = schema.names
    return schema


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Column of a table, with the names for error messages.

    Attributes
    ----------
    values : pyarrow.ChunkedArray
        Values of the column.
    argument : str
        Name of the argument that gave the table.
    path : Path
        File of the table.
    name : str
        Name of the column.
    """

    values: pa.ChunkedArray
    argument: str
    path: Path
    name: str

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        return f"column {self.name!r} of {self.path}"

    def filter(self, keep: pa.ChunkedArray) -> Column:
        """Keep some rows.

        Parameters
        ----------
        keep : pyarrow.ChunkedArray
            Whether to keep each row.

        Returns
        -------
        Column
        """
        return replace(self, values=self.values.filter(keep))

    def labels(self) -> Ids:
        """Read integers or strings, which may repeat.

        Returns
        -------
        int64 (n,) or Strings

        Raises
        ------
        NegmineTypeError
            The column has another type.
        NegmineValueError
            A label is null, does not fit int64, or is not UTF-8.
        """
        arrow = require("pyarrow", "io", "reading labels from a table")
        column = self._plain()
        is_text = _is_text(column.type)
        if not (is_text or arrow.types.is_integer(column.type)):
            raise NegmineTypeError(f"`{self.argument}` must hold integers or strings; {self} is {column.type}.")
        self._refuse_nulls(column, "label every row")
        if is_text:
            self._check_utf8(column)
            return Strings.from_arrow(column)
        try:
            return np.asarray(column.cast(arrow.int64()).to_numpy())
        except arrow.ArrowInvalid as error:
            raise NegmineValueError(f"`{self.argument}` must fit into int64; {self}: {error}") from None

    def ids(self) -> Ids:
        """Read integers or strings that are unique.

        Returns
        -------
        int64 (n,) or Strings

        Raises
        ------
        NegmineTypeError
            The column has another type.
        NegmineValueError
            A label is null or invalid, or repeats.
        """
        labels = self.labels()
        try:
            return as_ids(labels, self.argument, len(labels))
        except NegmineValueError as error:
            raise NegmineValueError(f"{str(error).removesuffix('.')}, in {self}.") from None

    def grades(self) -> npt.NDArray[np.int64]:
        """Read integers, or floats that are whole numbers.

        Returns
        -------
        int64 (n,)
        """
        arrow = require("pyarrow", "io", "reading grades from a table")
        column = self._plain()
        types = arrow.types
        if not (types.is_integer(column.type) or types.is_floating(column.type)):
            raise NegmineTypeError(f"`{self.argument}` must hold whole numbers; {self} is {column.type}.")
        self._refuse_nulls(column, "have a grade in every row")
        return as_grades(column.to_numpy(), self.argument, place=lambda row: f"at row {row} of {self}")

    def strings(self, *, missing: str | None = None) -> pa.LargeStringArray:
        """Read strings in one piece.

        Parameters
        ----------
        missing : str, optional
            Replacement for nulls. Default: nulls are refused.

        Returns
        -------
        pyarrow.LargeStringArray (n,)

        Raises
        ------
        NegmineTypeError
            The column has another type.
        NegmineValueError
            A string is null or is not UTF-8.
        """
        arrow = require("pyarrow", "io", "reading texts")
        column = self._plain()
        if missing is not None and arrow.types.is_null(column.type):
            column = column.cast(arrow.large_string())
        if not _is_text(column.type):
            raise NegmineTypeError(f"`{self.argument}` must hold strings; {self} is {column.type}.")
        if missing is None:
            self._refuse_nulls(column, "hold a text in every row")
        self._check_utf8(column)
        whole = column.cast(arrow.large_string()).combine_chunks()
        return whole if missing is None else whole.fill_null(missing)

    def embeddings(self) -> npt.NDArray[Any]:
        """Read lists of numbers, without a copy if they are contiguous.

        The column may hold fixed-size lists, tensors of one dimension, or lists that all have the same length.

        Returns
        -------
        array (n, width)

        Raises
        ------
        NegmineTypeError
            The column has another type.
        NegmineValueError
            A list or a value is null, or lists differ in length.
        """
        if not is_embedding_type(self.values.type):
            raise NegmineTypeError(
                f"`{self.argument}` must be a column of fixed-size lists of floats, int8 or uint8; {self} is "
                f"{self.values.type}."
            )
        self._refuse_nulls(self.values, "have every row")
        chunks = [_storage(chunk) for chunk in self.values.chunks]
        kind = _storage_type(self.values.type)
        width = self._width(kind)
        parts = []
        for chunk in chunks:
            flat = chunk.flatten()
            if flat.null_count:
                raise NegmineValueError(
                    f"`{self.argument}` must have every value; {self} has {flat.null_count} nulls within its lists."
                )
            parts.append(flat.to_numpy(zero_copy_only=True).reshape(len(chunk), width))
        if len(parts) == 1:
            return np.asarray(parts[0])
        # Not `to_pandas_dtype`, which needs pandas.
        dtype = parts[0].dtype if parts else _DTYPES[str(kind.value_type)]
        joined: npt.NDArray[Any] = np.empty((len(self), width), dtype=dtype)
        row = 0
        for part in parts:
            joined[row : row + len(part)] = part
            row += len(part)
        return joined

    def _width(self, kind: pa.DataType) -> int:
        arrow = require("pyarrow", "io", "reading embeddings from a table")
        if arrow.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        if len(self) == 0:
            return 0
        compute = require("pyarrow.compute", "io", "reading embeddings from a table")
        lengths = compute.list_value_length(self.values).to_numpy()
        ragged = lengths != lengths[0]
        if ragged.any():
            row = int(ragged.argmax())
            raise NegmineValueError(
                f"`{self.argument}` must hold lists of one length; {self} has {lengths[0]} numbers at row 0 and "
                f"{lengths[row]} at row {row}."
            )
        return int(lengths[0])

    def _plain(self) -> pa.ChunkedArray:
        """Return the values without dictionary encoding."""
        types = require("pyarrow", "io", "reading a table").types
        return self.values.cast(self.values.type.value_type) if types.is_dictionary(self.values.type) else self.values

    def _refuse_nulls(self, column: pa.ChunkedArray, rule: str) -> None:
        if column.null_count:
            row = column.is_null().to_numpy().argmax()
            raise NegmineValueError(f"`{self.argument}` must {rule}; {self} has a null at row {row}.")

    def _check_utf8(self, column: pa.ChunkedArray) -> None:
        """Refuse strings that are not UTF-8, such as lone surrogates, which Arrow reads without a check."""
        arrow = require("pyarrow", "io", "reading texts")
        try:
            column.validate(full=True)
        except arrow.ArrowInvalid:
            for row, value in enumerate(column.cast(arrow.large_binary())):
                try:
                    (value.as_py() or b"").decode()
                except UnicodeDecodeError as error:
                    raise NegmineValueError(
                        f"`{self.argument}` must be UTF-8; {self} is not at row {row}: {error}."
                    ) from None
            raise


def is_embedding_type(kind: pa.DataType) -> bool:
    """Return whether a column of an Arrow type can hold embeddings: lists of floats, int8 or uint8.

    Parameters
    ----------
    kind : pyarrow.DataType
        Type of the column.

    Returns
    -------
    bool
    """
    arrow = require("pyarrow", "io", "reading embeddings from a table")
    types, kind = arrow.types, _storage_type(kind)
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    return bool(types.is_floating(kind.value_type) or kind.value_type in (arrow.int8(), arrow.uint8()))


def _storage_type(kind: pa.DataType) -> pa.DataType:
    """Return the list type that stores tensors of one dimension; other types stay as they are."""
    tensor = require("pyarrow", "io", "reading a table").FixedShapeTensorType
    return kind.storage_type if isinstance(kind, tensor) and len(kind.shape) == 1 else kind


def _storage(chunk: pa.Array) -> pa.Array:
    extension = require("pyarrow", "io", "reading a table").ExtensionArray
    return chunk.storage if isinstance(chunk, extension) else chunk


def to_array(values: npt.NDArray[Any] | Strings) -> pa.Array:
    """Convert to an Arrow array in one piece; pyarrow alone splits long arrays of NumPy strings.

    Parameters
    ----------
    values : array (n,) or Strings
        NumPy array or labels.

    Returns
    -------
    pyarrow.Array
    """
    if isinstance(values, Strings):
        return to_arrow(values)
    arrow = require("pyarrow", "io", "making a table")
    made = arrow.array(values)
    return made.combine_chunks() if isinstance(made, arrow.ChunkedArray) else made


def _is_text(kind: pa.DataType) -> bool:
    types = require("pyarrow", "io", "reading texts").types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
