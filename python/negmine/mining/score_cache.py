"""Cache of the scores of a teacher: one append-only file of checksummed records, one record per finished batch.

A record holds the keys and the scores of the pairs of one batch. A key is 128 bits long: the sum of a digest of the
query and a digest of the document, which also cover the name of the scorer. Two different pairs have the same key with
a probability of 2**-128.

A record is appended as soon as its batch is finished, so a process that is killed loses the batch that it was scoring.
The record that it was writing is incomplete; the next process removes it. The file is synced at most once per second:
after a crash of the machine, the batches of the last second may be scored again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negmine._core import files, headers
from negmine._core.formats import SCORE_CACHE, corrupt
from negmine._core.labels import Ids, Strings, refuse_surrogates
from negmine.errors import NegmineError, NegmineOSError, NegmineTypeError, NegmineValueError

__all__ = ["ScoreCache", "check_text", "label_digests", "open_cache", "row_digests"]

#: Number of pairs, CRC-32 of this number, and SHA-256 of what follows: the keys, then the scores.
_RECORD = struct.Struct("<I4s32s")

_COUNT = struct.Struct("<I")

#: Bytes of a key and of a score.
_KEY_BYTES, _SCORE_BYTES = 16, 8

#: Seconds between two syncs of the file.
_SYNC_EVERY = 1.0

_ADVICE = "Remove it, and all pairs are scored again."

Keys = npt.NDArray[np.uint64]


def check_text(value: object, argument: str) -> str:
    """Validate a text that is part of the keys.

    Parameters
    ----------
    value : object
        What was given.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    str
    """
    if not isinstance(value, str):
        raise NegmineTypeError(f"`{argument}` must be a string; got {value!r}.")
    if not value:
        raise NegmineValueError(f"`{argument}` must not be empty; got ''.")
    refuse_surrogates([value], argument)
    return value


def label_digests(labels: Ids, side: str, name: str) -> Keys:
    """Digest labels of one side of the pairs.

    Parameters
    ----------
    labels : int64 (n,) or Strings
        Labels of queries or of documents.
    side : {"query", "document"}
        The side.
    name : str
        Name of the scorer.

    Returns
    -------
    uint64 (n, 2)
    """
    if not isinstance(labels, Strings):
        return _digests([b"%d" % label for label in labels.tolist()], ("label", side, name, "int64"))
    content, ends = labels.items.tobytes(), labels.offsets.tolist()
    texts = [content[begin:end] for begin, end in itertools.pairwise(ends)]
    return _digests(texts, ("label", side, name, "string"))


def row_digests(rows: npt.NDArray[np.int64], side: str, name: str, cache_key: str) -> Keys:
    """Digest rows of one side of the pairs, which have no labels.

    Parameters
    ----------
    rows : int64 (n,)
        Rows of queries or of documents.
    side : {"query", "document"}
        The side.
    name : str
        Name of the scorer.
    cache_key : str
        Name of the data set.

    Returns
    -------
    uint64 (n, 2)
    """
    return _digests([b"%d" % row for row in rows.tolist()], ("row", side, name, cache_key))


def _digests(texts: list[bytes], salt: tuple[object, ...]) -> Keys:
    key = hashlib.sha256(repr(salt).encode()).digest()
    digests = [hashlib.blake2b(text, digest_size=_KEY_BYTES, key=key).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2).astype(np.uint64)


class ScoreCache:
    """Scores in a locked file; made by :func:`open_cache`.

    Parameters
    ----------
    handle : int
        Handle of the locked file.
    path : Path
        Its path, for error messages.
    """

    def __init__(self, handle: int, path: Path) -> None:
        self._handle, self._path = handle, path
        self._synced = time.monotonic()
        self._keys, self._scores = self._read()

    def _read(self) -> tuple[Keys, npt.NDArray[np.float64]]:
        """Read all records, and remove an incomplete one at the end."""
        content = _read_all(self._handle)
        header = headers.pack(SCORE_CACHE, {})
        if content == header[: len(content)]:
            # A new file, or one whose process was killed before the header was written.
            os.ftruncate(self._handle, 0)
            self._write(header, 0)
            os.fsync(self._handle)
            files.sync_folder(self._path.parent)
            self._end = len(header)
            return np.empty((0, 2), dtype=np.uint64), np.empty(0)
        _, self._end = headers.unpack(SCORE_CACHE, content[: headers.LONGEST], "cache", self._path)
        if content[: self._end] != header:
            raise corrupt(self._path, _ADVICE)
        keys, scores = [], []
        for n, payload in self._records(content):
            keys.append(np.frombuffer(payload, dtype="<u8", count=2 * n).reshape(n, 2))
            scores.append(np.frombuffer(payload, dtype="<f8", offset=n * _KEY_BYTES))
        if self._end < len(content):
            os.ftruncate(self._handle, self._end)
        none: list[npt.NDArray[np.uint64]] = [np.empty((0, 2), dtype=np.uint64)]
        return np.concatenate(none + keys).astype(np.uint64), np.concatenate([np.empty(0), *scores])

    def _records(self, content: bytes) -> Iterator[tuple[int, memoryview]]:
        """Yield the number of pairs and the content of every whole record, and move the end of the file after it."""
        view = memoryview(content)
        while len(content) - self._end >= _RECORD.size:
            count, check, digest = _RECORD.unpack_from(content, self._end)
            if check != _check_of(count):
                if not any(view[self._end :]):
                    return  # the file had grown when the machine crashed, but its content was not written
                raise corrupt(self._path, _ADVICE)
            begin = self._end + _RECORD.size
            end = begin + count * (_KEY_BYTES + _SCORE_BYTES)
            if end > len(content):
                return
            payload = view[begin:end]
            if hashlib.sha256(payload).digest() != digest:
                if end == len(content):
                    return
                raise corrupt(self._path, _ADVICE)
            self._end = end
            yield count, payload

    def find(self, keys: Keys) -> npt.NDArray[np.float64]:
        """Return the scores of pairs.

        Parameters
        ----------
        keys : uint64 (n, 2)
            Keys of the pairs.

        Returns
        -------
        float64 (n,)
            The scores; NaN for pairs that the file does not hold.
        """
        found = np.full(len(keys), np.nan)
        order = np.argsort(self._keys[:, 0], kind="stable")
        known, scores = self._keys[order], self._scores[order]
        place = np.searchsorted(known[:, 0], keys[:, 0])
        waiting = np.flatnonzero(place < len(known))
        # Pairs whose first halves are equal are next to each other; nearly always there is one.
        while len(waiting):
            at = place[waiting]
            waiting, at = (part[known[at, 0] == keys[waiting, 0]] for part in (waiting, at))
            same = known[at, 1] == keys[waiting, 1]
            found[waiting[same]] = scores[at[same]]
            waiting = waiting[~same & (at + 1 < len(known))]
            place[waiting] += 1
        return found

    def append(self, keys: Keys, scores: npt.NDArray[np.float64]) -> None:
        """Append the scores of a finished batch.

        Parameters
        ----------
        keys : uint64 (n, 2)
            Keys of the pairs.
        scores : float64 (n,)
            Scores of the pairs.
        """
        payload = keys.astype("<u8").tobytes() + scores.astype("<f8").tobytes()
        record = _RECORD.pack(len(keys), _check_of(len(keys)), hashlib.sha256(payload).digest()) + payload
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
def open_cache(path: Path) -> Iterator[ScoreCache]:
    """Open a file of scores as its only user; the file is made if it does not exist.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.

    Yields
    ------
    ScoreCache

    Raises
    ------
    NegmineValueError
        The file cannot be opened or locked, another process holds it, it is not such a file, or it is corrupt.
    NegmineOSError
        The system refuses to write, for example on a full disk.
    """
    try:
        handle = files.open_locked(path)
    except ImportError as error:
        raise NegmineValueError("`cache` must be locked, which needs a POSIX system.") from error
    except BlockingIOError:
        raise NegmineValueError(f"`cache` must have one user at a time; {path} is held by another process.") from None
    except OSError as error:
        raise NegmineValueError(
            f"`cache` must be a file that can be read and written; got {path}: {error.strerror or error}."
        ) from error
    try:
        yield ScoreCache(handle, path)
        os.fsync(handle)
    except OSError as error:
        if isinstance(error, NegmineError) or error.filename:
            raise
        raise NegmineOSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        os.close(handle)
