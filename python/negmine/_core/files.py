"""Files that appear whole or not at all: the one writer of archives, tables, training rows and jobs.

A reader sees the old file or the new one, and after a crash of the machine too. What is not protected: two writers of
one path at a time, of which the later wins; jobs have a lock for that.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["as_path", "atomic_file", "check_target", "input_file", "is_leftover", "sync_folder", "write_text"]

_PREFIX, _SUFFIX = ".negmine-", ".tmp"


def as_path(value: object, argument: str) -> Path:
    """Read a path."""
    if not isinstance(value, str | os.PathLike):
        raise NegmineTypeError(f"`{argument}` must be a path; got {type(value).__name__}.")
    if "\0" in str(value):
        raise NegmineValueError(f"`{argument}` must be a path without NUL; got {str(value)!r}.")
    return Path(value)


def input_file(value: object, argument: str) -> Path:
    """Read the path of a file that exists."""
    path = as_path(value, argument)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing"
        raise NegmineValueError(f"`{argument}` must be a file; got {path}, where there is {what}.")
    return path


def check_target(path: Path) -> None:
    """Refuse a path at which no file can be written."""
    if not path.parent.is_dir():
        raise NegmineValueError(f"`path` must lie in a folder that exists; got {path}.")
    if path.is_dir():
        raise NegmineValueError(f"`path` must be a file; got the folder {path}.")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``, which takes its place when the block ends well.

    The file is fsynced, renamed, and its folder fsynced: after a crash there is the old file or the new one, whole.
    An error in the block, Ctrl-C included, removes the temporary file and leaves ``path`` as it was.

    Parameters
    ----------
    path
        Its folder must exist.

    Raises
    ------
    NegmineValueError
        The folder does not exist or takes no files, or ``path`` is a folder.
    """
    check_target(path)
    # Not `tempfile.mkstemp`, whose files only their owner may read.
    temporary = path.parent / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        # Without the name of the temporary file, which says nothing to anybody.
        raise NegmineValueError(
            f"`path` must lie in a folder where files can be made; got {path}: {error.strerror}."
        ) from error
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_leftover(path: Path) -> bool:
    """Whether a file is what :func:`atomic_file` leaves where its process was killed."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
