"""File format of a table: a header, a digest and aligned columns, written whole and mapped read-only."""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections.abc import Mapping, Sequence
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

__all__ = ["COLUMNS", "MappedTable", "TableRows", "map_table", "write_table"]


#: Columns in file order, with their types.
COLUMNS = {
    "query_indices": "<i8",
    "positive_indices": "<i8",
    "indices": "<i8",
    "scores": "<f4",
    "counts": "<i4",
    "mined_at_step": "<i8",
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
        Epoch of the draws, as in [`negmine.HardNegatives`][]; if a part of the rows was published, that of the part.
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
    mined_at_step : int64 (n_rows,)
        Training step at which every row was mined, as its publisher gave it; -1 if it is not known.
    """

    generation: int
    epoch: int
    query_indices: npt.NDArray[np.int64]
    positive_indices: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]
    mined_at_step: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, negatives: HardNegatives) -> TableRows:
        """Take the rows of mined negatives, as generation 0 of unknown steps, without a copy.

        Parameters
        ----------
        negatives : HardNegatives
            Result of a miner; the rows share its memory.

        Returns
        -------
        TableRows
        """
        columns: dict[str, Any] = {
            name: np.asarray(getattr(negatives, name), kind)
            for name, kind in COLUMNS.items()
            if name != "mined_at_step"
        }
        return cls(0, negatives.epoch, **columns, mined_at_step=np.full(len(negatives), -1, dtype=np.int64))

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

    def replaced(self, part: TableRows, result_rows: npt.NDArray[np.int64]) -> TableRows:
        """Return these rows with others in the place of some, with the epoch of the others.

        Parameters
        ----------
        part : TableRows
            The new rows, as wide as these.
        result_rows : int64 (len(part),)
            Places of the new rows, all different.

        Returns
        -------
        TableRows
        """
        columns: dict[str, Any] = {}
        for name in COLUMNS:
            columns[name] = getattr(self, name).copy()
            columns[name][result_rows] = getattr(part, name)
        return TableRows(self.generation, part.epoch, **columns)

    def changes_since(self, before: TableRows) -> npt.NDArray[np.int64]:
        """Count the negatives per row that differ from those of an older generation.

        Parameters
        ----------
        before : TableRows
            The same result rows in another generation, such as ``table.at(generation)``.

        Returns
        -------
        int64 (n_rows,)
            Number of negatives of a row that only one of both generations has, in that which has more of them: 0 for a
            row with the same negatives in any order.

        Raises
        ------
        NegmineValueError
            The rows are not the same result rows.
        """
        for name in ("query_indices", "positive_indices"):
            if not np.array_equal(getattr(self, name), getattr(before, name)):
                raise NegmineValueError(f"`before` must have the {len(self)} result rows of these; got other `{name}`.")
        return np.maximum(_absent(self.indices, before.indices), _absent(before.indices, self.indices))


def _absent(indices: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the negatives per row that the same row of ``others`` does not have."""
    count = np.zeros(len(indices), dtype=np.int64)
    for column in indices.T:
        count += (column >= 0) & ~(others == column[:, None]).any(axis=1)
    return count


def integers_in_range(
    indices: Sequence[int] | npt.NDArray[np.integer[Any]], n: int, argument: str = "indices"
) -> npt.NDArray[np.int64]:
    """Validate row numbers in [0, n)."""
    chosen = np.asarray(indices)
    if chosen.ndim != 1 or (chosen.dtype.kind not in "iu" and chosen.size):
        raise NegmineTypeError(
            f"`{argument}` must be a list of row numbers; got shape {chosen.shape} of dtype {chosen.dtype.name}."
        )
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < n:
        raise IndexError(f"`{argument}` must lie in [0, {n}); got {chosen.min()} to {chosen.max()}.")
    return chosen.astype(np.int64, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class MappedTable:
    """Mapped file of one generation."""

    #: Device and number of the file.
    place: tuple[int, int]
    digest: str
    n_documents: int
    #: Number of older generations that publishing keeps.
    keep_generations: int
    rows: TableRows


def write_table(
    path: Path, columns: TableRows, digest: str, n_documents: int, generation: int = 0, keep_generations: int = 0
) -> None:
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
    keep_generations : int, default 0
        Number of older generations that publishing keeps.
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
        "keep_generations": keep_generations,
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
    place = (status.st_dev, status.st_ino)
    return MappedTable(place, header["digest"], header["n_documents"], header["keep_generations"], rows)


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
    for name, most in {**highest, "width": MAX_INT32, "keep_generations": MAX_INT32}.items():
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
