"""Tables of mined negatives: a file that the main process replaces and that DataLoader workers read.

A DataLoader copies its dataset into persistent workers once, so the workers never see what the main process mines
later. A table therefore keeps the negatives in a file. Publishing writes the next generation to a temporary file,
flushes it to the disk, and renames it over the old file. The rename switches the generations: a process that is killed
at any step leaves either the old table or the new one, and the system keeps the old file, without a name, while any
process has it mapped.

Once per batch, a reader checks whether the name still belongs to the file that it has mapped (one `stat`, a
microsecond), and maps the new file if it does not. While the reader holds the mapping, the system cannot give the
file's number to another file, so the comparison is exact and does not depend on clocks. A batch is read from one
mapping, so all its rows belong to one generation.

The header and the columns have checksums. A reader compares them when it maps the file, which reads the whole file once
per generation. Two cases are not protected: later edits of the file in place, and a folder on a network file system,
where other machines see a new generation only after their cache of names expires.
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
    """Negatives in a file that one process publishes and all others read, one whole generation at a time.

    :meth:`create` makes a table; ``NegativesTable(folder)`` opens an existing one. A table pickles as its path and the
    digest of its data set, so a worker maps the file again instead of receiving its bytes. Writers take turns; readers
    never wait. A table needs a POSIX system.

    Parameters
    ----------
    folder : path
        Folder that :meth:`create` made.

    Attributes
    ----------
    folder : Path
        Absolute path of the folder.
    digest : str
        Digest of what all generations share: the number of documents, and the query and positive of every result row.

    Raises
    ------
    NegmineTypeError
        ``folder`` is not a path.
    NegmineValueError
        The folder holds no table, or the file is corrupt.

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
            New or empty folder; it is made together with its parents.
        negatives : HardNegatives
            First content of the table.

        Returns
        -------
        NegativesTable

        Raises
        ------
        NegmineTypeError
            ``negatives`` is not a :class:`HardNegatives`.
        NegmineValueError
            The folder holds a table (open it, or remove it first) or other files, or the system refuses to make it.
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
        """Return the number of result rows."""
        return len(self._mapped.rows)

    def __repr__(self) -> str:
        rows = self._mapped.rows
        n_rows, width = rows.indices.shape
        return f"NegativesTable({str(self.folder)!r}, {n_rows} x {width}, generation {rows.generation})"

    @property
    def n_documents(self) -> int:
        """Number of documents in the corpus."""
        return self._mapped.n_documents

    @property
    def generation(self) -> int:
        """Number of times that any process has published the table so far."""
        return self.current().generation

    def current(self) -> TableRows:
        """Return all rows of the newest generation, as read-only maps of its file; they stay valid when it is replaced.

        Returns
        -------
        TableRows

        Raises
        ------
        NegmineValueError
            The table no longer exists, or now belongs to another data set.
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
        """Copy result rows of the newest generation.

        Parameters
        ----------
        indices : sequence of int
            Row numbers in [0, len(table)), in any order.

        Returns
        -------
        TableRows

        Raises
        ------
        IndexError
            A row number is out of range.
        NegmineTypeError
            An index is not an integer.
        NegmineValueError
            The table no longer exists, or now belongs to another data set.
        """
        return self.current().read(indices)

    def publish(self, negatives: HardNegatives) -> int:
        """Replace the content of the table; readers see the new generation from their next batch on.

        The call returns once the new generation is on the disk. If it fails or is killed, the old generation stays. The
        number of negatives per row may change.

        Parameters
        ----------
        negatives : HardNegatives
            Negatives for the same result rows and documents as before.

        Returns
        -------
        int
            Number of the new generation.

        Raises
        ------
        NegmineTypeError
            ``negatives`` is not a :class:`HardNegatives`.
        NegmineValueError
            The negatives belong to another data set, with other documents, queries or positives.
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
    """Digest what all generations of a table share."""
    return fingerprint.of_inputs(
        {
            "n_documents": negatives.report.n_documents,
            "query_indices": fingerprint.of_integers(negatives.query_indices),
            "positive_indices": fingerprint.of_integers(negatives.positive_indices),
        }
    )
