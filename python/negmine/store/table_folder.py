"""Folder of a table: the names of its files, and the lock that writers take in turn."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from negmine._core import files
from negmine.errors import NegmineOSError, NegmineValueError

__all__ = ["keep", "kept_generations", "kept_path", "one_writer", "remove_kept", "table_path"]

#: Names of the files of older generations.
_KEPT = re.compile(r"negatives-(0|[1-9][0-9]*)\.table")


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


def kept_path(folder: Path, generation: int) -> Path:
    """Return the path of the file of an older generation that is kept.

    Parameters
    ----------
    folder : Path
        Folder of the table.
    generation : int
        Number of the generation.

    Returns
    -------
    Path
    """
    return folder / f"negatives-{generation}.table"


def kept_generations(folder: Path) -> list[int]:
    """Return the numbers of the generations whose files are kept, sorted.

    Parameters
    ----------
    folder : Path
        Folder of the table.

    Returns
    -------
    list of int
    """
    return sorted(int(found[1]) for entry in folder.iterdir() if (found := _KEPT.fullmatch(entry.name)))


@contextlib.contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Wait until this process is the only writer, then remove temporary files that killed writers left.

    The system releases the lock of a process that dies. A child process that is forked meanwhile shares the lock, so it
    is released explicitly: closing the file would leave it with the child.

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
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def keep(folder: Path, generation: int) -> None:
    """Give the file of the newest generation a second name, under which it stays when it is replaced.

    Parameters
    ----------
    folder : Path
        Folder of the table, of which this process is the only writer.
    generation : int
        Number of the newest generation.

    Raises
    ------
    NegmineOSError
        The system refuses, for example because the file system has no hard links.
    """
    kept = kept_path(folder, generation)
    try:
        kept.unlink(missing_ok=True)  # a publication that was killed may have made it
        os.link(table_path(folder), kept)
    except OSError as error:
        raise NegmineOSError(error.errno, error.strerror or str(error), str(kept)) from error


def remove_kept(folder: Path, before: int) -> None:
    """Remove the files of older generations.

    Parameters
    ----------
    folder : Path
        Folder of the table, of which this process is the only writer.
    before : int
        Number of the first generation that stays.
    """
    for generation in kept_generations(folder):
        if generation < before:
            # A file that cannot be removed does no harm: its generation stays readable.
            with contextlib.suppress(OSError):
                kept_path(folder, generation).unlink()
