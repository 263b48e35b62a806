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
per generation.

A table can keep older generations: publishing then gives the old file a second name before the new one replaces it, and
removes the oldest afterwards. A process that is killed in between leaves one generation too many, which the next
publication removes.

Two cases are not protected: later edits of the file in place, and a folder on a network file system, where other
machines see a new generation only after their cache of names expires.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import as_int64s
from negmine._core.options import check_integer
from negmine.data import fingerprint
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.store.table_file import MappedTable, TableRows, integers_in_range, map_table, write_table
from negmine.store.table_folder import keep, kept_generations, kept_path, one_writer, remove_kept, table_path

__all__ = ["NegativesTable"]


class NegativesTable:
    """Negatives in a file that one process publishes and all others read, one whole generation at a time.

    [`create`][] makes a table; ``NegativesTable(folder)`` opens an existing one. A table pickles as its path and the
    digest of its data set, so a worker maps the file again instead of receiving its bytes. Writers take turns; readers
    never wait. A table needs a POSIX system.

    Parameters
    ----------
    folder : path
        Folder that [`create`][] made.

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
    def create(
        cls,
        folder: str | os.PathLike[str],
        negatives: HardNegatives,
        *,
        step: int | npt.ArrayLike = -1,
        keep_generations: int = 0,
    ) -> NegativesTable:
        """Make a table of generation 0.

        Parameters
        ----------
        folder : path
            New or empty folder; it is made together with its parents.
        negatives : HardNegatives
            First content of the table.
        step : int or int64 (n_rows,), default -1
            Training step at which the negatives were mined, or that of each row; -1 if it is not known.
        keep_generations : int, default 0
            Number of older generations that stay readable by [`at`][]. By default publishing removes them.

        Returns
        -------
        NegativesTable

        Raises
        ------
        NegmineTypeError
            ``negatives`` is not a [`HardNegatives`][], or a number is not an integer.
        NegmineValueError
            The folder holds a table (open it, or remove it first) or other files, the system refuses to make it, or a
            number is out of range.
        """
        path = files.as_path(folder, "folder").absolute()
        columns = replace(_columns(negatives), mined_at_step=_steps(step, len(negatives)))
        n_kept = check_integer(keep_generations, "keep_generations", least=0)
        try:
            cls._create(path, columns, _digest(negatives), negatives.report.n_documents, n_kept)
        except OSError as error:
            raise NegmineValueError(f"`folder` must be where a table can be made; got {path}: {error}") from error
        return cls(path)

    @staticmethod
    def _create(path: Path, columns: TableRows, digest: str, n_documents: int, keep_generations: int) -> None:
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
            write_table(table_path(path), columns, digest, n_documents, keep_generations=keep_generations)
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
    def keep_generations(self) -> int:
        """Number of older generations that stay readable, as given to [`create`][]."""
        return self._mapped.keep_generations

    @property
    def generations(self) -> tuple[int, ...]:
        """Numbers of the generations that [`at`][] can read, in ascending order; the newest one is the last."""
        newest = self.current().generation
        return (*(number for number in kept_generations(self.folder) if number < newest), newest)

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
            self._mapped = self._map(self._path)
        return self._mapped.rows

    def at(self, generation: int) -> TableRows:
        """Return all rows of a generation that is kept, as read-only maps of its file, valid after its removal too.

        Each call maps the file and reads it once, so keep the result to read batches of it.

        Parameters
        ----------
        generation : int
            Number of the generation, one of [`generations`][].

        Returns
        -------
        TableRows

        Raises
        ------
        NegmineTypeError
            ``generation`` is not an integer.
        NegmineValueError
            The generation is not kept, or its file is corrupt; the message names those that are available.

        Examples
        --------
        >>> import numpy as np, negmine, tempfile
        >>> from negmine.torch import NegativesTable
        >>> corpus = np.eye(6, dtype=np.float32)
        >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2, sampling="random")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = NegativesTable.create(folder, negatives, step=0, keep_generations=1)
        ...     for epoch in (1, 2):
        ...         generation = table.publish(negatives.redraw(epoch=epoch), step=100 * epoch)
        ...     before, after = table.at(1), table.current()
        ...     generations = table.generations
        >>> generations, before.epoch, after.mined_at_step.tolist()
        ((1, 2), 1, [200, 200])
        >>> after.changes_since(before).shape
        (2,)
        """
        number = check_integer(generation, "generation", least=0, most=2**64 - 1)
        newest = self.current()
        if number == newest.generation:
            return newest
        available, path = self.generations, kept_path(self.folder, number)
        if number not in available:
            raise NegmineValueError(
                f"`generation` must be one that {self.folder} keeps, {', '.join(map(str, available))}; got {number}. "
                f"`NegativesTable.create(..., keep_generations=n)` keeps n older ones; this table keeps "
                f"{self.keep_generations}."
            )
        rows = self._map(path).rows
        if rows.generation != number:
            raise NegmineValueError(f"`folder` must hold generation {number} in {path}; got {rows.generation}.")
        return rows

    def _map(self, path: Path) -> MappedTable:
        mapped = map_table(path)
        _refuse_others(mapped.digest, self.digest, self.folder)
        return mapped

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

    def publish(
        self,
        negatives: HardNegatives,
        *,
        result_rows: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
        step: int | npt.ArrayLike = -1,
    ) -> int:
        """Replace the content of the table; readers see the new generation from their next batch on.

        The call returns once the new generation is on the disk. If it fails or is killed, the old generation stays. The
        number of negatives per row may change if all rows are replaced.

        Parameters
        ----------
        negatives : HardNegatives
            Negatives for the same result rows and documents as before, or for those of ``result_rows``.
        result_rows : sequence of int, optional
            Rows of the table that the rows of ``negatives`` replace, all different; the other rows keep their content.
            Default: all rows, in order.
        step : int or int64 (len(negatives),), default -1
            Training step at which the negatives were mined, or that of each row; -1 if it is not known.

        Returns
        -------
        int
            Number of the new generation.

        Raises
        ------
        IndexError
            A number of ``result_rows`` is out of range.
        NegmineTypeError
            ``negatives`` is not a [`HardNegatives`][], or a number is not an integer.
        NegmineValueError
            The negatives belong to another data set, with other documents, queries or positives; ``result_rows`` has a
            row twice; or they are not as wide as the rows that stay.
        """
        part, before = _columns(negatives), self.current()
        rows = None if result_rows is None else _different(result_rows, len(before))
        n_rows = len(before) if rows is None else len(rows)
        if len(part) != n_rows or negatives.report.n_documents != self.n_documents:
            raise NegmineValueError(
                f"`negatives` must be for the {n_rows} result rows and {self.n_documents} documents of the table; "
                f"got {len(part)} and {negatives.report.n_documents}."
            )
        for name in ("query_indices", "positive_indices"):
            expected = getattr(before, name) if rows is None else getattr(before, name)[rows]
            other = getattr(part, name) != expected
            if other.any():
                row = int(np.argmax(other))
                raise NegmineValueError(
                    f"`negatives` must have the `{name}` of the table; got {getattr(part, name)[row]} at result row "
                    f"{row}, where the table has {expected[row]}."
                )
        part = replace(part, mined_at_step=_steps(step, n_rows))
        with one_writer(self.folder):
            before = self.current()
            if rows is None:
                columns = part
            else:
                check_width(part.indices.shape[1], before)
                columns = before.replaced(part, rows)
            return self._replace(columns, before.generation)

    def _replace(self, columns: TableRows, generation: int) -> int:
        """Write the next generation, as the only writer, and keep as many older ones as the table says."""
        n_kept = self.keep_generations
        if n_kept:
            keep(self.folder, generation)
        write_table(self._path, columns, self.digest, self.n_documents, generation + 1, n_kept)
        remove_kept(self.folder, generation + 1 - n_kept)
        return generation + 1


def check_width(width: int, rows: TableRows) -> None:
    """Refuse a part of the rows that is not as wide as the rows that stay."""
    if width != rows.indices.shape[1]:
        raise NegmineValueError(
            f"`negatives` of a part of the rows must have the {rows.indices.shape[1]} negatives per row of the table; "
            f"got {width}."
        )


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


def _steps(step: int | npt.ArrayLike, n_rows: int) -> npt.NDArray[np.int64]:
    """Validate the training steps of rows."""
    if np.ndim(step) == 0:
        return np.full(n_rows, check_step(step), dtype=np.int64)
    steps = as_int64s(step, "step", n_rows)
    check_step(int(steps.min(initial=-1)))
    return steps


def check_step(step: object) -> int:
    """Validate a training step, -1 if it is not known."""
    return check_integer(step, "step", least=-1, most=2**63 - 1)


def _different(result_rows: Sequence[int] | npt.NDArray[np.integer[Any]], n: int) -> npt.NDArray[np.int64]:
    """Validate the rows of a part."""
    rows = integers_in_range(result_rows, n, "result_rows")
    found, counts = np.unique(rows, return_counts=True)
    if (counts > 1).any():
        raise NegmineValueError(f"`result_rows` must be all different; got {found[counts > 1][0]} twice.")
    return rows


def _digest(negatives: HardNegatives) -> str:
    """Digest what all generations of a table share."""
    return fingerprint.of_inputs(
        {
            "n_documents": negatives.report.n_documents,
            "query_indices": fingerprint.of_integers(negatives.query_indices),
            "positive_indices": fingerprint.of_integers(negatives.positive_indices),
        }
    )
