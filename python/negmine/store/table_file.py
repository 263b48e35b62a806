"""The file of a table: header, digest and aligned columns, written whole and mapped read-only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives

__all__ = ["COLUMNS", "FORMAT", "MappedTable", "TableRows", "map_table", "one_writer", "table_path", "write_table"]


#: Raised when tables change their meaning.
FORMAT = 2


_MAGIC = b"negtable"


#: Magic, format, bytes of the JSON that follows; then the sha256 of both.
_PREFIX = struct.Struct("<8sII")


_DIGEST_BYTES = 32


#: Columns begin at multiples of a cache line.
_ALIGNMENT = 64


#: More than any header takes; what claims more is no table.
_LONGEST_HEADER = 1 << 16


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
        How often the table had been published after it was created; 0 for what never was in a table.
    epoch : int
        Epoch of the draws, as in :class:`negmine.HardNegatives`.
    query_indices : int64 (n_rows,)
        Query of every result row.
    positive_indices : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1.
    indices : int64 (n_rows, num_negatives)
        Row numbers of the negatives, padded with -1.
    scores : float32 (n_rows, n)
        Their scores, padded with -inf.
    counts : int32 (n_rows,)
        Negatives per row.
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
        """The rows of ``negatives`` that never were in a table, sharing their memory."""
        columns: dict[str, Any] = {name: np.asarray(getattr(negatives, name), COLUMNS[name]) for name in COLUMNS}
        return cls(0, negatives.epoch, **columns)

    def read(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> TableRows:
        """Copies of the result rows ``indices``, in that order.

        Raises
        ------
        IndexError
            There is no such row.
        NegmineTypeError
            An index that is no integer.
        """
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or (chosen.dtype.kind not in "iu" and chosen.size):
            raise NegmineTypeError(
                f"`indices` must be a list of row numbers; got shape {chosen.shape} of dtype {chosen.dtype.name}."
            )
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(f"`indices` must lie in [0, {len(self)}); got {chosen.min()} to {chosen.max()}.")
        chosen = chosen.astype(np.int64, copy=False)
        columns: dict[str, Any] = {name: getattr(self, name).take(chosen, axis=0) for name in COLUMNS}
        return TableRows(self.generation, self.epoch, **columns)


@dataclass(frozen=True, slots=True, eq=False)
class MappedTable:
    """A generation's file, mapped."""

    #: Device and number of the file.
    place: tuple[int, int]
    digest: str
    n_documents: int
    rows: TableRows


def table_path(folder: Path) -> Path:
    """Path of the table's file in its folder."""
    return folder / "negatives.table"


@contextlib.contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Wait to be the only writer, and remove what killed ones left; the system ends the turn of one that dies."""
    try:
        import fcntl
    except ImportError as error:
        raise NegmineValueError("`folder` must be locked, which needs a POSIX system.") from error
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise NegmineValueError(f"`folder` must lie where it can be locked; got {folder}: {error}") from error
        for entry in folder.iterdir():
            if files.is_leftover(entry):
                entry.unlink()
        yield
    finally:
        os.close(handle)


def write_table(path: Path, columns: TableRows, digest: str, n_documents: int, generation: int = 0) -> None:
    """Put a generation in the place of the one before."""
    layout, end = {}, 0
    for name in COLUMNS:
        array = getattr(columns, name)
        layout[name] = [end, list(array.shape)]
        end += _aligned(array.nbytes)
    header = {
        "generation": generation,
        "epoch": columns.epoch,
        "digest": digest,
        "n_documents": n_documents,
        "columns": layout,
        "bytes": end,
    }
    text = json.dumps(header, sort_keys=True).encode()
    head = _PREFIX.pack(_MAGIC, FORMAT, len(text)) + text
    head += hashlib.sha256(head).digest()
    with files.atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(head.ljust(_aligned(len(head)), b"\0"))
        for name, kind in COLUMNS.items():
            array = np.ascontiguousarray(getattr(columns, name), dtype=kind)
            file.write(array.data.cast("B") if array.size else b"")
            file.write(bytes(_aligned(array.nbytes) - array.nbytes))


def _aligned(n: int) -> int:
    return -(-n // _ALIGNMENT) * _ALIGNMENT


def map_table(path: Path) -> MappedTable:
    """Map a table's file, after its header and its size have been checked."""
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise NegmineValueError(
            f"`folder` must hold a table; got {path.parent}, where there is none: `NegativesTable.create` makes one."
        ) from None
    except OSError as error:
        raise NegmineValueError(f"`folder` must hold a table that can be read; got {path}: {error}") from error
    with file:
        header, begin = _read_header(file.read(_LONGEST_HEADER), path)
        status = os.fstat(file.fileno())
        size = begin + header["bytes"]
        if status.st_size != size:
            raise NegmineValueError(f"`folder` must hold a whole table; {path} has {status.st_size} bytes of {size}.")
        memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    columns: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        offset, shape = header["columns"][name]
        count = int(np.prod(shape))
        columns[name] = np.frombuffer(memory, kind, count, begin + offset if count else 0).reshape(shape)
    rows = TableRows(header["generation"], header["epoch"], **columns)
    return MappedTable((status.st_dev, status.st_ino), header["digest"], header["n_documents"], rows)


def _read_header(start: bytes, path: Path) -> tuple[dict[str, Any], int]:
    """The header in the first bytes of a file, and where its columns begin."""
    if len(start) < _PREFIX.size or not start.startswith(_MAGIC):
        raise NegmineValueError(f"`folder` must hold a table of negmine; {path} is none.")
    _, version, length = _PREFIX.unpack_from(start)
    if version != FORMAT:
        raise NegmineValueError(f"`folder` must hold a table of format {FORMAT}; {path} says {version}.")
    end = _PREFIX.size + length
    if hashlib.sha256(start[:end]).digest() != start[end : end + _DIGEST_BYTES]:
        raise NegmineValueError(f"`folder` must hold a sound table; the checksum of {path} is not that of its header.")
    header: dict[str, Any] = json.loads(start[_PREFIX.size : end])
    return header, _aligned(end + _DIGEST_BYTES)
