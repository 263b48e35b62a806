"""Mined negatives in a file that the main process replaces and that workers read: how a refresh reaches them.

A DataLoader copies its dataset into persistent workers once; what the main process mines later, they never see. So
negatives live in a file. To publish is to write the next generation beside it, flush it to the disk, and rename it over
the old one. The rename is the flip: there is no pointer that could disagree with what it points to, a process that is
killed at any step leaves the old table or the new one, and the old file lives on, unnamed, for as long as somebody has
it mapped.

A reader asks once per batch whether the name still belongs to the file that it has mapped (one `stat`, a microsecond),
and maps anew if not. It holds the mapping, so the system cannot give the file's number to another file meanwhile, and
the comparison is exact, whatever the clock does. A batch is read from one mapping: it is of one generation.

What is not protected: somebody who edits or cuts the file in place (pages are not checksummed; the header and the size
are); a folder on a network file system, where other machines see a new generation when their cache of names expires.
"""

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

from negmine import _files
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.job import fingerprint
from negmine.negatives import HardNegatives

__all__ = ["NegativesTable", "TableRows"]

#: Raised when tables change their meaning.
FORMAT = 1

_MAGIC = b"negtable"
#: Magic, format, bytes of the JSON that follows; then the sha256 of both.
_PREFIX = struct.Struct("<8sII")
_DIGEST_BYTES = 32
#: Columns begin at multiples of a cache line.
_ALIGNMENT = 64
#: More than any header takes; what claims more is no table.
_LONGEST_HEADER = 1 << 16

_COLUMNS = {
    "query_rows": "<i8",
    "positive_rows": "<i8",
    "rows": "<i8",
    "scores": "<f4",
    "counts": "<i4",
}


@dataclass(frozen=True, slots=True, eq=False)
class TableRows:
    """Result rows of one generation.

    Attributes
    ----------
    generation : int
        How often the table had been published after it was created; 0 for what never was in a table.
    epoch : int
        Epoch of the draws, as in :class:`negmine.HardNegatives`.
    query_rows : int64 (n_rows,)
        Query of every result row.
    positive_rows : int64 (n_rows,)
        Positive of every result row under ``reference="each"``, else -1.
    rows : int64 (n_rows, n)
        Document rows of the negatives, padded with -1.
    scores : float32 (n_rows, n)
        Their scores, padded with -inf.
    counts : int32 (n_rows,)
        Negatives per row.
    """

    generation: int
    epoch: int
    query_rows: npt.NDArray[np.int64]
    positive_rows: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, negatives: HardNegatives) -> TableRows:
        """The rows of ``negatives`` that never were in a table, sharing their memory."""
        columns: dict[str, Any] = {name: np.asarray(getattr(negatives, name), _COLUMNS[name]) for name in _COLUMNS}
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
        columns: dict[str, Any] = {name: getattr(self, name).take(chosen, axis=0) for name in _COLUMNS}
        return TableRows(self.generation, self.epoch, **columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Mapped:
    """A generation's file, mapped."""

    #: Device and number of the file.
    place: tuple[int, int]
    digest: str
    n_documents: int
    rows: TableRows


class NegativesTable:
    """Negatives in a file that one process publishes and all others read, a whole generation at a time.

    :meth:`create` makes one; ``NegativesTable(folder)`` opens one that is there. It pickles as its path and the digest
    of its data set, so that a worker maps the file again instead of receiving its bytes. Writers take turns; readers
    wait for nobody. Needs a POSIX system.

    Parameters
    ----------
    folder : path
        Where :meth:`create` made it.

    Attributes
    ----------
    folder : Path
        Absolute.
    digest : str
        Of what all generations have in common: the number of documents, and the query and positive of every result
        row.

    Raises
    ------
    NegmineTypeError
        ``folder`` is no path.
    NegmineValueError
        There is no table, or its file is damaged.

    Examples
    --------
    >>> import numpy as np, negmine, tempfile
    >>> from negmine.torch import NegativesTable
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2, sampling="random")
    >>> with tempfile.TemporaryDirectory() as scratch:
    ...     table = NegativesTable.create(f"{scratch}/negatives", negatives)
    ...     generation = table.publish(negatives.redraw(epoch=1))
    ...     batch = table.read([1, 0])
    >>> generation, batch.generation, batch.epoch, batch.query_rows.tolist(), batch.rows.shape
    (1, 1, 1, [1, 0], (2, 2))
    """

    __slots__ = ("_mapped", "_path", "digest", "folder")

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = _files.as_path(folder, "folder").absolute()
        self._path = _table_path(self.folder)
        self._mapped = _map(self._path)
        self.digest = self._mapped.digest

    @classmethod
    def create(cls, folder: str | os.PathLike[str], negatives: HardNegatives) -> NegativesTable:
        """Make a table of generation 0.

        Parameters
        ----------
        folder : path
            New or empty; it is made with its parents.
        negatives : HardNegatives
            What it begins with.

        Returns
        -------
        NegativesTable

        Raises
        ------
        NegmineTypeError
            ``negatives`` are something else.
        NegmineValueError
            The folder holds other things, or a table: open that one, or remove it first; or the system refuses to make
            it.
        """
        path = _files.as_path(folder, "folder").absolute()
        try:
            cls._create(path, negatives)
        except OSError as error:
            raise NegmineValueError(f"`folder` must be where a table can be made; got {path}: {error}") from error
        return cls(path)

    @staticmethod
    def _create(path: Path, negatives: HardNegatives) -> None:
        columns, digest = _columns(negatives), _digest(negatives)
        if path.exists() and not path.is_dir():
            raise NegmineValueError(f"`folder` must be a folder; got the file {path}.")
        path.mkdir(parents=True, exist_ok=True)
        with _one_writer(path):
            others = sorted(entry.name for entry in path.iterdir() if not _files.is_leftover(entry))
            if _table_path(path).exists():
                raise NegmineValueError(
                    f"`folder` must not hold a table yet; got {path}: open it with `NegativesTable(folder)` and "
                    "publish, or remove it."
                )
            if others:
                raise NegmineValueError(f"`folder` must be new or empty; {path} holds {others[0]!r}.")
            _write(_table_path(path), columns, digest, negatives.report.n_documents)
        _files.sync_folder(path.parent)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.folder), self.digest)

    def __len__(self) -> int:
        """Result rows."""
        return len(self._mapped.rows)

    def __repr__(self) -> str:
        rows = self._mapped.rows
        n_rows, width = rows.rows.shape
        return f"NegativesTable({str(self.folder)!r}, {n_rows} x {width}, generation {rows.generation})"

    @property
    def n_documents(self) -> int:
        """Documents of the corpus."""
        return self._mapped.n_documents

    @property
    def generation(self) -> int:
        """How often the table has been published, by anybody, up to now."""
        return self.current().generation

    def current(self) -> TableRows:
        """All rows of the newest generation, as read-only maps of its file, which stay as they are when it is replaced.

        Raises
        ------
        NegmineValueError
            The table is gone, or now belongs to another data set.
        """
        try:
            found = os.stat(self._path)  # noqa: PTH116 (half the time of `Path.stat`, once per batch)
        except FileNotFoundError:
            raise NegmineValueError(f"`folder` must hold a table; got {self.folder}, from which it is gone.") from None
        if (found.st_dev, found.st_ino) != self._mapped.place:
            mapped = _map(self._path)
            _refuse_others(mapped.digest, self.digest, self.folder)
            self._mapped = mapped
        return self._mapped.rows

    def read(self, indices: Sequence[int] | npt.NDArray[np.integer[Any]]) -> TableRows:
        """Copies of the result rows ``indices``, all of the newest generation.

        Parameters
        ----------
        indices : sequence of int
            Rows in [0, len(table)), in any order.

        Returns
        -------
        TableRows

        Raises
        ------
        IndexError
            There is no such row.
        NegmineTypeError
            An index that is no integer.
        NegmineValueError
            As :meth:`current`.
        """
        return self.current().read(indices)

    def publish(self, negatives: HardNegatives) -> int:
        """Replace the table by ``negatives``; readers see them from their next batch on.

        It returns when the new generation is on the disk. Where this fails or is killed, the old one stays. The number
        of negatives per row may change.

        Parameters
        ----------
        negatives : HardNegatives
            For the same result rows and documents as before.

        Returns
        -------
        int
            The new generation.

        Raises
        ------
        NegmineTypeError
            ``negatives`` are something else.
        NegmineValueError
            They are for another data set: other documents, queries or positives.
        """
        columns, before = _columns(negatives), self.current()
        if len(columns) != len(before) or negatives.report.n_documents != self.n_documents:
            raise NegmineValueError(
                f"`negatives` must be for the {len(before)} result rows and {self.n_documents} documents of the table; "
                f"got {len(columns)} and {negatives.report.n_documents}."
            )
        for name in ("query_rows", "positive_rows"):
            other = getattr(columns, name) != getattr(before, name)
            if other.any():
                row = int(np.argmax(other))
                raise NegmineValueError(
                    f"`negatives` must have the `{name}` of the table; got {getattr(columns, name)[row]} at result row "
                    f"{row}, where the table has {getattr(before, name)[row]}."
                )
        with _one_writer(self.folder):
            generation = self.current().generation + 1
            _write(self._path, columns, self.digest, self.n_documents, generation)
        return generation


def _table_path(folder: Path) -> Path:
    return folder / "negatives.table"


def _reopen(folder: str, digest: str) -> NegativesTable:
    """Map a pickled table again."""
    table = NegativesTable(folder)
    _refuse_others(table.digest, digest, table.folder)
    return table


def _refuse_others(found: str, expected: str, folder: Path) -> None:
    if found != expected:
        raise NegmineValueError(
            f"`folder` must hold the table of data set {expected[:12]}; {folder} now holds one of {found[:12]}."
        )


def _columns(negatives: HardNegatives) -> TableRows:
    if not isinstance(negatives, HardNegatives):
        raise NegmineTypeError(f"`negatives` must be HardNegatives; got {type(negatives).__name__}.")
    return TableRows.of(negatives)


def _digest(negatives: HardNegatives) -> str:
    """What all generations of a table have in common."""
    return fingerprint.of_inputs(
        {
            "n_documents": negatives.report.n_documents,
            "query_rows": fingerprint.of_integers(negatives.query_rows),
            "positive_rows": fingerprint.of_integers(negatives.positive_rows),
        }
    )


@contextlib.contextmanager
def _one_writer(folder: Path) -> Iterator[None]:
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
            if _files.is_leftover(entry):
                entry.unlink()
        yield
    finally:
        os.close(handle)


def _write(path: Path, columns: TableRows, digest: str, n_documents: int, generation: int = 0) -> None:
    """Put a generation in the place of the one before."""
    layout, end = {}, 0
    for name in _COLUMNS:
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
    with _files.atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(head.ljust(_aligned(len(head)), b"\0"))
        for name, kind in _COLUMNS.items():
            array = np.ascontiguousarray(getattr(columns, name), dtype=kind)
            file.write(array.data.cast("B") if array.size else b"")
            file.write(bytes(_aligned(array.nbytes) - array.nbytes))


def _aligned(n: int) -> int:
    return -(-n // _ALIGNMENT) * _ALIGNMENT


def _map(path: Path) -> _Mapped:
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
    for name, kind in _COLUMNS.items():
        offset, shape = header["columns"][name]
        count = int(np.prod(shape))
        columns[name] = np.frombuffer(memory, kind, count, begin + offset if count else 0).reshape(shape)
    rows = TableRows(header["generation"], header["epoch"], **columns)
    return _Mapped((status.st_dev, status.st_ino), header["digest"], header["n_documents"], rows)


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
