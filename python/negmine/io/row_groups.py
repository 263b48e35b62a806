"""Parquet files whose row groups have checksums of their content, which readers compare.

Pages have the CRC-32 of the format, which covers neither the footer nor the headers of pages. The file's metadata
therefore hold a SHA-256 of the content of each row group: names, types and values of its columns, independent of their
encoding. They also hold the number of rows and a SHA-256 of the provenance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from negmine._core import files, headers
from negmine._core.extras import require
from negmine._core.formats import ROW_GROUPS, corrupt
from negmine.errors import NegmineError, NegmineValueError
from negmine.io.lines import parse_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["METADATA_KEY", "CheckedFile", "open_tables", "table_sha256", "write_tables"]

#: Key of the provenance in the schema's metadata; the value is JSON.
METADATA_KEY = b"negmine"

#: Key of the checksums in the file's metadata; the value is JSON.
_KEY = b"negmine.row_groups"


def write_tables(path: Path, parts: Iterable[pa.Table]) -> None:
    """Write tables of one schema as one Parquet file, one row group each; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    parts : iterable of pyarrow.Table
        The row groups, at least one.

    Raises
    ------
    NegmineValueError
        The folder of ``path`` does not exist or does not accept files.
    NegmineOSError
        The system refuses to write.
    """
    parquet = require("pyarrow.parquet", "io", "writing Parquet")
    with files.atomic_file(path) as temporary:
        writer = None
        content: dict[str, Any] = {"n_rows": 0, "row_groups": []}
        try:
            for part in parts:
                # One chunk per column, so that the bytes do not depend on how the table was built.
                table = part.combine_chunks()
                if writer is None:
                    writer = parquet.ParquetWriter(
                        temporary, table.schema, compression="zstd", write_page_checksum=True
                    )
                    content["provenance"] = _provenance_sha256(table.schema)
                writer.write_table(table, row_group_size=max(len(table), 1))
                if len(table):
                    content["n_rows"] += len(table)
                    content["row_groups"].append(table_sha256(table))
            if writer is not None:
                writer.add_key_value_metadata({_KEY: json.dumps(headers.seal(ROW_GROUPS, content), sort_keys=True)})
                writer.close()
        except BaseException:
            # Report the error that stopped the work, not a later one from closing the file.
            with suppress(OSError):
                if writer is not None:
                    writer.close()
            raise


class CheckedFile:
    """Open Parquet file of :func:`write_tables`.

    Attributes
    ----------
    schema : pyarrow.Schema
        Schema of its tables.
    n_rows : int
        Number of rows in all row groups.
    """

    def __init__(self, file: Any, path: Path, argument: str) -> None:  # noqa: ANN401 (pyarrow's)
        self._file, self._path, self._argument = file, path, argument
        self.schema: pa.Schema = file.schema_arrow
        found = (file.metadata.metadata or {}).get(_KEY)
        if found is None:
            raise NegmineValueError(
                f"`{argument}` must be as negmine wrote it; {path} has no checksums of its row groups."
            )
        content = headers.unseal(ROW_GROUPS, parse_json(found), argument, path)
        self.n_rows, self._sums = int(content["n_rows"]), list(content["row_groups"])
        self._groups = [group for group in range(file.num_row_groups) if file.metadata.row_group(group).num_rows]
        sizes = [file.metadata.row_group(group).num_rows for group in self._groups]
        if (sum(sizes), len(sizes)) != (self.n_rows, len(self._sums)) or content["provenance"] != _provenance_sha256(
            self.schema
        ):
            raise corrupt(path)

    def tables(self) -> Iterator[pa.Table]:
        """Read the row groups in order, and compare each with its checksum.

        Yields
        ------
        pyarrow.Table
            A row group; one empty table if the file has no row group.

        Raises
        ------
        NegmineValueError
            The file is corrupt.
        """
        with _readable(self._path, self._argument):
            for group, expected in zip(self._groups, self._sums, strict=True):
                table = self._file.read_row_group(group)
                if table_sha256(table) != expected:
                    raise corrupt(self._path)
                yield table
            if not self._groups:
                yield self.schema.empty_table()


@contextmanager
def open_tables(path: Path, argument: str, check: Callable[[pa.Schema], object] | None = None) -> Iterator[CheckedFile]:
    """Open a file of :func:`write_tables`.

    Parameters
    ----------
    path : Path
        Existing file.
    argument : str
        Name of the argument that gave the path, for error messages.
    check : callable, optional
        Function that is called with the schema before checksums are compared, to refuse a file of another kind or
        version. Default: no check.

    Yields
    ------
    CheckedFile

    Raises
    ------
    NegmineValueError
        The file is not a Parquet file, is corrupt, or has no checksums.
    """
    parquet = require("pyarrow.parquet", "io", "reading Parquet")
    with ExitStack() as stack:
        with _readable(path, argument):
            opened = stack.enter_context(parquet.ParquetFile(path, page_checksum_verification=True))
            schema = opened.schema_arrow
        if check is not None:
            check(schema)
        with _readable(path, argument):
            checked = CheckedFile(opened, path, argument)
        yield checked


@contextmanager
def _readable(path: Path, argument: str) -> Iterator[None]:
    """Turn errors of the Parquet reader into errors that name the file."""
    arrow = require("pyarrow", "io", "reading Parquet")
    try:
        yield
    except (arrow.ArrowException, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, NegmineError):
            raise
        if _is_parquet(path):
            raise corrupt(path) from error
        raise NegmineValueError(f"`{argument}` must be a readable Parquet file; got {path}: {error}") from error


def _is_parquet(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) == b"PAR1"
    return False


def table_sha256(table: pa.Table) -> str:
    """Hash the names, types and values of a table, independent of its chunks, buffers and offsets.

    Parameters
    ----------
    table : pyarrow.Table
        The table.

    Returns
    -------
    str
    """
    hashed = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        hashed.update(json.dumps([field.name, str(field.type), len(column)]).encode())
        streams: dict[str, Any] = {}
        for chunk in filter(len, column.chunks):
            _hash_array(chunk, "", streams)
        for name in sorted(streams):
            hashed.update(name.encode() + streams[name].digest())
    return hashed.hexdigest()


def _hash_array(array: pa.Array, name: str, streams: dict[str, Any]) -> None:
    """Add an array to the hashes of its validity, its lengths and its values, by name."""

    def add(stream: str, values: Any) -> None:  # noqa: ANN401 (what has a buffer)
        streams.setdefault(name + stream, hashlib.sha256()).update(values)

    arrow = require("pyarrow", "io", "reading Parquet")
    kinds = arrow.types
    add("valid", np.ascontiguousarray(array.is_valid().to_numpy(zero_copy_only=False)))
    if kinds.is_list(array.type) or kinds.is_large_list(array.type):
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        add("lengths", lengths.astype("<i8"))
        _hash_array(array.flatten(), f"{name}item ", streams)
    elif kinds.is_string(array.type) or kinds.is_large_string(array.type):
        texts = array.fill_null("") if array.null_count else array
        width = "<i8" if kinds.is_large_string(array.type) else "<i4"
        _, offsets, data = texts.buffers()
        ends = np.zeros(1, width) if offsets is None else np.frombuffer(offsets, width)
        ends = ends[texts.offset : texts.offset + len(texts) + 1].astype("<i8")
        add("lengths", np.diff(ends))
        add("values", b"" if data is None or not len(ends) else memoryview(data)[ends[0] : ends[-1]])
    else:
        numbers = (array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False)
        if numbers.dtype.kind == "f":
            # Use one NaN for all, because a dictionary encoding holds only one.
            numbers = np.where(np.isnan(numbers), numbers.dtype.type(np.nan), numbers)
        add("values", np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)))


def _provenance_sha256(schema: pa.Schema) -> str:
    return hashlib.sha256((schema.metadata or {}).get(METADATA_KEY, b"")).hexdigest()
