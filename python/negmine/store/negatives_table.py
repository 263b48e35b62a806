"""Mined negatives in a file that the main process replaces and that workers read: how a refresh reaches them.

A DataLoader copies its dataset into persistent workers once, and they never see what the main process mines later. So
the negatives live in a file. Publishing writes the next generation next to it, flushes it to the disk, and renames it
over the old one. The rename is the switch: no pointer can disagree with what it points to, a process that is killed at
any step leaves the old table or the new one, and the old file lives on, unnamed, while any process has it mapped.

A reader asks once per batch whether the name still belongs to the file that it has mapped (one `stat`, a microsecond),
and maps the new file if not. It holds the mapping, so the system cannot give the file's number to another file
meanwhile, and the comparison is exact and does not depend on clocks. A batch is read from one mapping: it is of one
generation.

The header and the columns have checksums, which a reader compares when it maps the file: once per generation it reads
all of it. What is not protected: edits of the file in place after that; a folder on a network file system, where other
machines see a new generation when their cache of names expires.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine.data import fingerprint
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.store.table_file import (
    TableRows,
    map_table,
    one_writer,
    table_path,
    write_table,
)

__all__ = ["NegativesTable"]


class NegativesTable:
    """Negatives in a file that one process publishes and all others read, a whole generation at a time.

    :meth:`create` makes one; ``NegativesTable(folder)`` opens one that is there. It pickles as its path and the digest
    of its data set, so that a worker maps the file again instead of receiving its bytes. Writers take turns; readers
    never wait. Needs a POSIX system.

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
    >>> generation, batch.generation, batch.epoch, batch.query_indices.tolist(), batch.indices.shape
    (1, 1, 1, [1, 0], (2, 2))
    """

    __slots__ = ("_mapped", "_path", "digest", "folder")

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = files.as_path(folder, "folder").absolute()
        self._path = table_path(self.folder)
        self._mapped = map_table(self._path)
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
        path = files.as_path(folder, "folder").absolute()
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
        with one_writer(path):
            others = sorted(entry.name for entry in path.iterdir() if not files.is_leftover(entry))
            if table_path(path).exists():
                raise NegmineValueError(
                    f"`folder` must not hold a table yet; got {path}: open it with `NegativesTable(folder)` and "
                    "publish, or remove it."
                )
            if others:
                raise NegmineValueError(f"`folder` must be new or empty; {path} holds {others[0]!r}.")
            write_table(table_path(path), columns, digest, negatives.report.n_documents)
        files.sync_folder(path.parent)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.folder), self.digest)

    def __len__(self) -> int:
        """Result rows."""
        return len(self._mapped.rows)

    def __repr__(self) -> str:
        rows = self._mapped.rows
        n_rows, width = rows.indices.shape
        return f"NegativesTable({str(self.folder)!r}, {n_rows} x {width}, generation {rows.generation})"

    @property
    def n_documents(self) -> int:
        """Documents of the corpus."""
        return self._mapped.n_documents

    @property
    def generation(self) -> int:
        """How often the table has been published, by any process, up to now."""
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
        except (FileNotFoundError, NotADirectoryError):
            raise NegmineValueError(f"`folder` must hold a table; got {self.folder}, from which it is gone.") from None
        except OSError as error:
            raise NegmineValueError(
                f"`folder` must hold a table that can be read; got {self._path}: {error}"
            ) from error
        if (found.st_dev, found.st_ino) != self._mapped.place:
            mapped = map_table(self._path)
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
        for name in ("query_indices", "positive_indices"):
            other = getattr(columns, name) != getattr(before, name)
            if other.any():
                row = int(np.argmax(other))
                raise NegmineValueError(
                    f"`negatives` must have the `{name}` of the table; got {getattr(columns, name)[row]} at result row "
                    f"{row}, where the table has {getattr(before, name)[row]}."
                )
        with one_writer(self.folder):
            generation = self.current().generation + 1
            write_table(self._path, columns, self.digest, self.n_documents, generation)
        return generation


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
            "query_indices": fingerprint.of_integers(negatives.query_indices),
            "positive_indices": fingerprint.of_integers(negatives.positive_indices),
        }
    )
