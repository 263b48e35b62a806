"""Atomic files: one writer for archives, tables, training rows and jobs, whose files appear whole or not at all.

A reader sees either the old file or the new one, even after a crash of the machine. Two writers of one path at the same
time are not protected: the later one wins. Jobs have a lock for that.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from negmine.errors import NegmineError, NegmineOSError, NegmineTypeError, NegmineValueError

__all__ = [
    "as_path",
    "atomic_file",
    "check_target",
    "describe",
    "input_file",
    "is_leftover",
    "open_file",
    "open_locked",
    "sha256",
    "suffix_of",
    "sync_folder",
    "write_text",
]

_PREFIX, _SUFFIX = ".negmine-", ".tmp"


def as_path(value: object, argument: str) -> Path:
    """Validate a path."""
    if not isinstance(value, str | os.PathLike):
        raise NegmineTypeError(f"`{argument}` must be a path; got {type(value).__name__}.")
    if "\0" in str(value):
        raise NegmineValueError(f"`{argument}` must be a path without NUL; got {str(value)!r}.")
    return Path(value)


def describe(path: Path) -> str:
    """Describe what exists at a path that should be a file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return "nothing"
    kinds = {stat.S_ISREG: "a file", stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device")


def input_file(value: object, argument: str) -> Path:
    """Validate the path of an existing file; folders are refused, and pipes, because reading could block."""
    path = as_path(value, argument)
    if not path.is_file():
        raise NegmineValueError(f"`{argument}` must be a file; got {path}, where there is {describe(path)}.")
    return path


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading, without blocking on a pipe.

    Parameters
    ----------
    path : Path
        File to open.

    Returns
    -------
    BufferedReader

    Raises
    ------
    OSError
        The system refuses, or the path is that of a pipe, a socket or a device.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, f"not a file but {describe(path)}", str(path))


def open_locked(path: Path) -> int:
    """Open a file for reading and writing as its only user; the file is made if it does not exist.

    A symbolic link is refused: in a folder of another person it could name any file of this user.

    The system releases the lock when the handle is closed, and when the process ends in any way. Two cases are not
    protected: file systems without `flock`, and a child process that was forked meanwhile, which keeps the lock as long
    as it lives.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.

    Returns
    -------
    int
        Handle of the file, which the caller closes.

    Raises
    ------
    ImportError
        The system has no `flock`.
    BlockingIOError
        Another process holds the lock.
    OSError
        The system refuses, or the path is not that of a file, or is that of a symbolic link.
    """
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, f"not a file but {describe(path)}", str(path))
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_open_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # removed between opening and locking


def _is_open_at(handle: int, path: Path) -> bool:
    """Return whether a handle belongs to the file that now has this path."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def sha256(path: Path) -> str:
    """Hash the content of a file."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case, with the one before ``.gz``: ``.jsonl.gz`` for ``A.JSONL.gz``."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last == ".gz" else last


def check_target(path: Path) -> None:
    """Refuse a path at which no file can be written."""
    with _named(path):
        if not path.parent.is_dir():
            raise NegmineValueError(f"`path` must lie in a folder that exists; got {path}.")
        if path.is_dir():
            raise NegmineValueError(f"`path` must be a file; got the folder {path}.")
        if path.exists() and not path.is_file():
            # Renaming a file over a device removes the device: root would lose /dev/null.
            raise NegmineValueError(f"`path` must be a file; got {path}, where there is {describe(path)}.")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Make a temporary file in the folder of ``path``, which replaces ``path`` if the block succeeds.

    The file is fsynced, renamed, and its folder fsynced: after a crash, either the old file or the new one exists,
    whole. An error in the block, Ctrl-C included, removes the temporary file and leaves ``path`` as it was.

    Parameters
    ----------
    path : Path
        File to write; its folder must exist.

    Yields
    ------
    Path
        The temporary file.

    Raises
    ------
    NegmineValueError
        The folder does not exist or does not accept files, or ``path`` is a folder, a pipe or a device.
    NegmineOSError
        The system refuses to write, for example on a full disk; the error names ``path``.
    """
    check_target(path)
    # `tempfile.mkstemp` makes files that only their owner may read.
    temporary = path.parent / f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
    try:
        with _named(path, temporary):
            try:
                temporary.touch(exist_ok=False)
            except OSError as error:
                raise NegmineValueError(
                    f"`path` must lie in a folder where files can be made; got {path}: {error.strerror}."
                ) from error
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def _named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Make the system's errors name ``path``; some of them name no file, or the temporary one."""
    try:
        yield
    except OSError as error:
        own = {None, str(path), str(path.parent), str(temporary)}
        if isinstance(error, NegmineError) or (error.filename and str(error.filename)) not in own:
            raise
        raise NegmineOSError(error.errno, error.strerror or str(error), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_leftover(path: Path) -> bool:
    """Return whether a file is a temporary one that [`atomic_file`][] left when its process was killed."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a crash of the machine; Windows has no call for it."""
    if os.name == "nt":
        return
    with _named(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
