"""Digests of a job's inputs: values as float32 in row order, shapes, labels and options.

An array and its copy have the same digest in any memory layout, and so do a float16 array and the same numbers in
float32. Values are hashed in blocks of a fixed size on several threads; the digest is that of the digests of the
blocks. The same pass refuses NaN and infinity, so that neither can appear in the middle of a job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import CsrLike, Rows, as_rows
from negmine._core.labels import Ids, Strings
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError

__all__ = ["differences", "of_eligibility", "of_inputs", "of_integers", "of_labels", "of_lists", "of_rows"]

#: Values per block: 1 MiB of float32. Digests depend on it, so it never changes.
BLOCK_VALUES = 1 << 18


def of_rows(rows: Rows, argument: str, num_threads: int) -> dict[str, Any]:
    """Digest embeddings and their shape.

    Parameters
    ----------
    rows : Rows
        Embeddings.
    argument : str
        Name of the argument, for error messages.
    num_threads : int
        Number of threads.

    Returns
    -------
    dict
        The shape, and the digest of the values.

    Raises
    ------
    NegmineValueError
        A value is NaN, infinite, or too large for float32; the message names the row and the column.
    """
    from concurrent.futures import ThreadPoolExecutor  # imported here to keep `import negmine` fast

    n, width = rows.shape
    step = max(1, BLOCK_VALUES // max(width, 1))

    def block(begin: int) -> bytes:
        values = _as_float32(rows.slice(begin, min(begin + step, n)))
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0].tolist()
            if np.isfinite(rows.slice(begin + row, begin + row + 1).values()[0, column]):
                raise NegmineValueError(
                    f"`{argument}` must fit float32, to which float64 is rounded; row {begin + row} overflows at "
                    f"column {column}."
                )
            raise NegmineValueError(
                f"`{argument}` must be finite; row {begin + row} holds NaN or infinity at column {column}."
            )
        return hashlib.sha256(values.data).digest()

    digest = hashlib.sha256()
    with ThreadPoolExecutor(num_threads) as threads:
        for part in threads.map(block, range(0, n, step)):
            digest.update(part)
    return {"shape": [n, width], "values": digest.hexdigest()}


def _as_float32(rows: Rows) -> npt.NDArray[np.float32]:
    """Return the values as contiguous little-endian float32."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(rows.values(), dtype="<f4")


def of_labels(labels: Ids | None) -> str | None:
    """Digest labels.

    Parameters
    ----------
    labels : int64 (n,), Strings or None
        Labels of rows.

    Returns
    -------
    str or None
        None without labels.
    """
    if labels is None:
        return None
    if not isinstance(labels, Strings):
        return of_integers(labels)
    lengths = np.diff(labels.offsets).astype("<i8")
    return _digest(b"str", lengths.data, np.ascontiguousarray(labels.items).data)


def of_integers(values: npt.NDArray[Any] | None) -> str | None:
    """Digest integers.

    Parameters
    ----------
    values : array or None
        Integers.

    Returns
    -------
    str or None
        None without integers.
    """
    return None if values is None else _digest(b"i8", np.ascontiguousarray(values, dtype="<i8").data)


def of_lists(lists: CsrLike | None, num_threads: int = 1) -> str | None:
    """Digest lists of rows, with the scores or embeddings of entries outside the corpus.

    Parameters
    ----------
    lists : CsrLike or None
        Lists of rows, such as [`Positives`][].
    num_threads : int, default 1
        Number of threads that hash embeddings.

    Returns
    -------
    str or None
        None without lists.
    """
    if lists is None:
        return None
    parts: list[Any] = [np.ascontiguousarray(part, dtype="<i8").data for part in (lists.offsets, lists.items)]
    if isinstance(lists, Positives) and lists.scores is not None:
        parts += [b"scores", np.ascontiguousarray(lists.scores, dtype="<f8").data]
    if isinstance(lists, Positives) and lists.embeddings is not None:
        embeddings = of_rows(as_rows(lists.embeddings, "positive_embeddings"), "positive_embeddings", num_threads)
        parts += [b"embeddings", json.dumps(embeddings).encode()]
    return _digest(*parts)


def of_scores(scores: npt.NDArray[Any] | None) -> str | None:
    """Digest scores.

    Parameters
    ----------
    scores : array or None
        Scores in float64.

    Returns
    -------
    str or None
        None without scores.
    """
    return None if scores is None else _digest(b"f8", np.ascontiguousarray(scores, dtype="<f8").data)


def of_eligibility(eligible: Eligibility | None) -> str | None:
    """Digest keys and ranges.

    Parameters
    ----------
    eligible : Eligibility or None
        Keys of the documents and ranges of the queries.

    Returns
    -------
    str or None
        None without eligibility.
    """
    if eligible is None:
        return None
    parts: list[bytes | memoryview] = []
    for name, array in eligible.arrays().items():
        parts += [name.encode(), np.ascontiguousarray(array, dtype="<i8").data]
    return _digest(*parts)


def of_inputs(inputs: Mapping[str, Any]) -> str:
    """Digest all inputs together.

    Parameters
    ----------
    inputs : mapping of str to Any
        Digests and options that JSON can represent, by name.

    Returns
    -------
    str
        SHA-256 of the sorted JSON.
    """
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _digest(*parts: Any) -> str:  # noqa: ANN401 (bytes or what has a buffer)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(memoryview(part).nbytes.to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe what changed between two sets of inputs.

    Parameters
    ----------
    before, now : mapping of str to Any
        Digests and options, by name.

    Returns
    -------
    list of str
        One clause per change.
    """
    found = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if name == "options" and isinstance(old, Mapping) and isinstance(new, Mapping):
            changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            found += [f"`{key}` was {old.get(key)!r} and is {new.get(key)!r}" for key in changed]
        elif isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("shape") != new.get("shape"):
            shapes = [f"{one.get('shape')}" for one in (old, new)]
            found.append(f"`{name}` had shape {shapes[0]} and has {shapes[1]}")
        elif old is None or new is None:
            found.append(f"`{name}` was {'not ' if old is None else ''}given and is {'not' if new is None else 'now'}")
        elif isinstance(old, int):
            found.append(f"`{name}` was {old} and is {new}")
        else:
            found.append(f"`{name}` had other values")
    return found
