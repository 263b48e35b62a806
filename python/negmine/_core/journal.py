"""Append-only files of checksummed records, which survive a kill and a crash of the machine.

A record is appended as a whole. A process that is killed leaves an incomplete record at the end at most; the next one
removes it. The file is synced at most once per second and at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from negmine._core import files, headers
from negmine._core.formats import Format, corrupt
from negmine.errors import NegmineError, NegmineOSError, NegmineValueError

__all__ = ["Journal", "open_journal"]

#: Number of entries, CRC-32 of this number, and SHA-256 of the content that follows.
_RECORD = struct.Struct("<I4s32s")

_COUNT = struct.Struct("<I")

#: Seconds between two syncs of the file.
_SYNC_EVERY = 1.0


class Journal:
    """Records in a locked file; made by [`open_journal`][].

    Parameters
    ----------
    handle : int
        Handle of the locked file.
    path : Path
        Its path, for error messages.
    form : Format
        What the file is.
    entry_bytes : int
        Bytes of an entry of a record.
    argument : str
        Name of the argument that gave the path, for error messages.
    advice : str
        What to do about a corrupt file, for error messages.

    Attributes
    ----------
    records : list of (int, memoryview)
        Number of entries and content of every record that was in the file when it was opened.
    """

    def __init__(self, handle: int, path: Path, form: Format, entry_bytes: int, argument: str, advice: str) -> None:
        self._handle, self._path, self._form = handle, path, form
        self._entry_bytes, self._argument, self._advice = entry_bytes, argument, advice
        self._synced = time.monotonic()
        self.records = self._read()

    def _read(self) -> list[tuple[int, memoryview]]:
        """Read all records, and remove an incomplete one at the end."""
        content = _read_all(self._handle)
        header = headers.pack(self._form, {})
        if content == header[: len(content)]:
            # A new file, or one whose process was killed before the header was written.
            os.ftruncate(self._handle, 0)
            self._write(header, 0)
            os.fsync(self._handle)
            files.sync_folder(self._path.parent)
            self._end = len(header)
            return []
        _, self._end = headers.unpack(self._form, content[: headers.LONGEST], self._argument, self._path)
        if content[: self._end] != header:
            raise corrupt(self._path, self._advice)
        records = list(self._whole_records(content))
        if self._end < len(content):
            os.ftruncate(self._handle, self._end)
        return records

    def _whole_records(self, content: bytes) -> Iterator[tuple[int, memoryview]]:
        """Yield the number of entries and the content of every record, and move the end of the file after it."""
        view = memoryview(content)
        while len(content) - self._end >= _RECORD.size:
            count, check, digest = _RECORD.unpack_from(content, self._end)
            if check != _check_of(count):
                if not any(view[self._end :]):
                    return  # the file had grown when the machine crashed, but its content was not written
                raise corrupt(self._path, self._advice)
            begin = self._end + _RECORD.size
            end = begin + count * self._entry_bytes
            if end > len(content):
                return
            payload = view[begin:end]
            if hashlib.sha256(payload).digest() != digest:
                if end == len(content):
                    return
                raise corrupt(self._path, self._advice)
            self._end = end
            yield count, payload

    def append(self, count: int, payload: bytes) -> None:
        """Append a record.

        Parameters
        ----------
        count : int
            Number of entries.
        payload : bytes
            Content of the record.
        """
        record = _RECORD.pack(count, _check_of(count), hashlib.sha256(payload).digest()) + payload
        try:
            self._write(record, self._end)
        except BaseException:
            # A full disk takes a part of a record.
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._end)
            raise
        self._end += len(record)
        if (now := time.monotonic()) - self._synced > _SYNC_EVERY:
            os.fsync(self._handle)
            self._synced = now

    def _write(self, content: bytes, place: int) -> None:
        while content:
            written = os.pwrite(self._handle, content, place)
            content, place = content[written:], place + written


def _check_of(count: int) -> bytes:
    return zlib.crc32(_COUNT.pack(count)).to_bytes(4, "little")


def _read_all(handle: int) -> bytes:
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        return file.read()


@contextlib.contextmanager
def open_journal(path: Path, form: Format, *, entry_bytes: int, argument: str, advice: str) -> Iterator[Journal]:
    """Open a file of records as its only user; the file is made if it does not exist.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    form : Format
        What the file is.
    entry_bytes : int
        Bytes of an entry of a record.
    argument : str
        Name of the argument that gave the path, for error messages.
    advice : str
        What to do about a corrupt file, for error messages.

    Yields
    ------
    Journal

    Raises
    ------
    NegmineValueError
        The file cannot be opened or locked, another process holds it, it is not such a file, or it is corrupt.
    NegmineOSError
        The system refuses to write, for example on a full disk.
    """
    try:
        # The path is the user's own, so a link is followed.
        handle = files.open_locked(Path(os.path.realpath(path)))
    except ImportError as error:
        raise NegmineValueError(f"`{argument}` must be locked, which needs a POSIX system.") from error
    except BlockingIOError:
        raise NegmineValueError(
            f"`{argument}` must have one user at a time; {path} is held by another process."
        ) from None
    except OSError as error:
        raise NegmineValueError(
            f"`{argument}` must be a file that can be read and written; got {path}: {error.strerror or error}."
        ) from error
    try:
        yield Journal(handle, path, form, entry_bytes, argument, advice)
        os.fsync(handle)
    except OSError as error:
        if isinstance(error, NegmineError) or error.filename:
            raise
        raise NegmineOSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        os.close(handle)
