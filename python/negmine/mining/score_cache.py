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
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negmine._core.formats import SCORE_CACHE
from negmine._core.journal import Journal, open_journal
from negmine._core.labels import Ids, Strings, refuse_surrogates
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["ScoreCache", "check_text", "label_digests", "open_cache", "row_digests"]

#: Bytes of a key and of a score.
_KEY_BYTES, _SCORE_BYTES = 16, 8

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
    """Scores in a locked file; made by [`open_cache`][].

    Parameters
    ----------
    journal : Journal
        Records of the file.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        keys, scores = [np.empty((0, 2), dtype=np.uint64)], [np.empty(0)]
        for n, payload in journal.records:
            keys.append(np.frombuffer(payload, dtype="<u8", count=2 * n).reshape(n, 2).astype(np.uint64))
            scores.append(np.frombuffer(payload, dtype="<f8", offset=n * _KEY_BYTES).astype(np.float64))
        journal.records.clear()  # they were copied
        self._keys, self._scores = np.concatenate(keys), np.concatenate(scores)

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
        self._journal.append(len(keys), keys.astype("<u8").tobytes() + scores.astype("<f8").tobytes())


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
    entry_bytes = _KEY_BYTES + _SCORE_BYTES
    with open_journal(path, SCORE_CACHE, entry_bytes=entry_bytes, argument="cache", advice=_ADVICE) as journal:
        yield ScoreCache(journal)
