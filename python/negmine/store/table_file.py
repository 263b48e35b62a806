"""File format of a table: a header, a digest and aligned columns, written whole and mapped read-only."""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files, headers
from negmine._core.formats import NEGATIVES_TABLE, corrupt
from negmine._core.headers import aligned
from negmine._core.options import MAX_INT32
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives

__all__ = ["COLUMNS", "MappedTable", "TableRows", "map_table", "one_writer", "table_path", "write_table"]


#: Columns in file order, with their types.
COLUMNS = {
    "query_indices": "<i8",
    "positive_indices": "<i8",
    "indices": "<i8",
    "scores": "<f4",
    "counts": "<i4",
}


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """Result rows of one generation.

    Attributes
    ----------
    generation : int
        Number of times that the table had been published after it was created; 0 for rows that were never in a table.
    epoch : int
        Epoch of the draws, as in :class:`negmine.HardNegatives`.
    query_indices : int64 (n_rows,)
        Query of every result row.
    positive_indices : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1.
    indices : int64 (n_rows, num_negatives)
        Row numbers of the negatives, padded with -1.
    scores : float32 (n_rows, num_negatives)
        Scores of the negatives, padded with -inf.
    counts : int32 (n_rows,)
        Number of negatives per row.
    """

    generation: int
    epoch: int
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, negatives: HardNegatives) -> TableRows:
        """Take the rows of mined negatives, as generation 0, without a copy.

        Parameters
        ----------
        negatives : HardNegatives
            Result of a miner; the rows share its memory.

        Returns
        -------
        TableRows
        """
        columns: dict[str, Any] = {name: np.asarray(getattr(negatives, name), COLUMNS[name]) for name in COLUMNS}
        return cls(0, negatives.epoch, **columns)

    def read(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> TableRows:
        """Copy result rows, in the order given.

        Parameters
        ----------
        indices : sequence of int
            Row numbers in [0, len(rows)).

        Returns
        -------
        TableRows

        Raises
        ------
        IndexError
            A row number is out of range.
        NegmineTypeError
            An index is not an integer.
        """
        chosen = integers_in_range(indices, len(self))
        columns: dict[str, Any] = {name: getattr(self, name).take(chosen, axis=0) for name in COLUMNS}
        return TableRows(self.generation, self.epoch, **columns)


def integers_in_range(indices: Sequence[int] | npt.NDArray[np.integer[Any]], n: int) -> npt.NDArray[np.int64]:
    """Validate row numbers in [0, n)."""
    chosen = np.asarray(indices)
    if chosen.ndim != 1 or (chosen.dtype.kind not in "iu" and chosen.size):
        raise NegmineTypeError(
            f"`indices` must be a list of row numbers; got shape {chosen.shape} of dtype {chosen.dtype.name}."
        )
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < n:
        raise IndexError(f"`indices` must lie in [0, {n}); got {chosen.min()} to {chosen.max()}.")
    return chosen.astype(np.int64, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class MappedTable:
    """Mapped file of one generation."""

    #: Device and number of the file.
    place: tuple[int, int]
    digest: str
    n_documents: int
    rows: TableRows


def table_path(folder: Path) -> Path:
    """Return the path of the table's file in its folder.

    Parameters
    ----------
    folder : Path
        Folder of the table.

    Returns
    -------
    Path
    """
    return folder / "negatives.table"


@contextlib.contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Wait until this process is the only writer, then remove temporary files that killed writers left.

    The system releases the lock of a process that dies.

    Parameters
    ----------
    folder : Path
        Folder of the table.

    Yields
    ------
    None

    Raises
    ------
    NegmineValueError
        The folder cannot be opened or locked.
    """
    try:
        import fcntl
    except ImportError as error:
        raise NegmineValueError("`folder` must be locked, which needs a POSIX system.") from error
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise NegmineValueError(f"`folder` must be a folder that can be opened; got {folder}: {error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise NegmineValueError(f"`folder` must lie where it can be locked; got {folder}: {error}") from error
        for entry in folder.iterdir():
            if files.is_leftover(entry) and not entry.is_dir():
                # If the file cannot be removed, writing the new generation fails too, with an error that says why.
                with contextlib.suppress(OSError):
                    entry.unlink()
        yield
    finally:
        os.close(handle)


def write_table(path: Path, columns: TableRows, digest: str, n_documents: int, generation: int = 0) -> None:
    """Write a generation, which replaces the previous one.

    Parameters
    ----------
    path : Path
        File of the table.
    columns : TableRows
        Content of the generation.
    digest : str
        Digest of what all generations share.
    n_documents : int
        Number of documents in the corpus.
    generation : int, default 0
        Number of the generation.
    """
    content, hashed = [], hashlib.sha256()
    for name, kind in COLUMNS.items():
        array = np.ascontiguousarray(getattr(columns, name), dtype=kind)
        for part in (array.data.cast("B") if array.size else b"", bytes(aligned(array.nbytes) - array.nbytes)):
            hashed.update(part)
            content.append(part)
    n_rows, width = columns.indices.shape
    header = {
        "generation": generation,
        "epoch": columns.epoch,
        "digest": digest,
        "n_documents": n_documents,
        "n_rows": n_rows,
        "width": width,
        "sha256": hashed.hexdigest(),
    }
    with files.atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(headers.pack(NEGATIVES_TABLE, header))
        for part in content:
            file.write(part)


def map_table(path: Path) -> MappedTable:
    """Map the file of a table, and compare its header, size and content with their checksums.

    Parameters
    ----------
    path : Path
        File of the table.

    Returns
    -------
    MappedTable

    Raises
    ------
    NegmineValueError
        The file does not exist, cannot be read, or is corrupt.
    """
    try:
        file = files.open_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NegmineValueError(
            f"`folder` must hold a table; got {path.parent}, where there is none: `NegativesTable.create` makes one."
        ) from None
    except OSError as error:
        raise NegmineValueError(f"`folder` must hold a table that can be read; got {path}: {error}") from error
    with file:
        header, begin = headers.unpack(NEGATIVES_TABLE, file.read(headers.LONGEST), "folder", path)
        _check_header(header, path)
        layout, size = _layout(header["n_rows"], header["width"], begin)
        status = os.fstat(file.fileno())
        if status.st_size != size:
            raise NegmineValueError(f"`folder` must hold a whole table; {path} has {status.st_size} bytes of {size}.")
        memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    with memoryview(memory) as content:
        if hashlib.sha256(content[begin:]).hexdigest() != header["sha256"]:
            raise corrupt(path)
    columns: dict[str, Any] = {}
    for name, (offset, shape) in layout.items():
        count = math.prod(shape)
        columns[name] = np.frombuffer(memory, COLUMNS[name], count, offset if count else 0).reshape(shape)
    rows = TableRows(header["generation"], header["epoch"], **columns)
    return MappedTable((status.st_dev, status.st_ino), header["digest"], header["n_documents"], rows)


def _layout(n_rows: int, width: int, begin: int) -> tuple[dict[str, tuple[int, tuple[int, ...]]], int]:
    """Return where each column begins and its shape, and where the last column ends."""
    layout: dict[str, tuple[int, tuple[int, ...]]] = {}
    for name, kind in COLUMNS.items():
        shape = (n_rows, width) if name in ("indices", "scores") else (n_rows,)
        layout[name] = (begin, shape)
        begin += aligned(math.prod(shape) * np.dtype(kind).itemsize)
    return layout, begin


def _check_header(header: Mapping[str, Any], path: Path) -> None:
    """Refuse a header whose checksum is right but whose values are invalid."""
    highest = {"generation": 2**64 - 1, "epoch": 2**64 - 1, "n_documents": 2**63 - 1, "n_rows": 2**63 - 1}
    for name, most in {**highest, "width": MAX_INT32}.items():
        value = header.get(name)
        if type(value) is not int or not 0 <= value <= most:
            raise NegmineValueError(
                f"`folder` must hold a table whose {name!r} is an integer in [0, {most}]; got {value!r} in {path}."
            )
    for name in ("digest", "sha256"):
        if not isinstance(header.get(name), str):
            raise NegmineValueError(
                f"`folder` must hold a table whose {name!r} is a string; got {header.get(name)!r} in {path}."
            )
