"""What a job was begun with, as digests: values as float32 in row order, shapes, labels, options.

An array and its copy have the same digests however they are laid out, and so have a float16 array and the same numbers
in float32. Values are hashed in blocks of a fixed size on several threads; the digest is that of the blocks' digests.
The same pass refuses NaN and infinity, so that none can turn up in the middle of a job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import CsrLike, Ids, Rows, as_rows
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError

__all__ = ["differences", "of_eligibility", "of_inputs", "of_integers", "of_labels", "of_lists", "of_rows"]

#: Values per block: 1 MiB of float32. A digest depends on it, so it never changes.
BLOCK_VALUES = 1 << 18


def of_rows(rows: Rows, argument: str, num_threads: int) -> dict[str, Any]:
    """Shape and digest of embeddings.

    Raises
    ------
    NegmineValueError
        A value that is NaN, infinite, or too large for float32; row and column are named.
    """
    from concurrent.futures import ThreadPoolExecutor  # which `import negmine` need not pay for

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
    """The values, contiguous and little-endian."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(rows.values(), dtype="<f4")


def of_labels(labels: Ids | None) -> str | None:
    """Digest of labels."""
    if labels is None:
        return None
    if labels.dtype.kind != "U":
        return of_integers(labels)
    encoded = [label.encode() for label in labels.tolist()]
    lengths = np.array([len(label) for label in encoded], dtype="<i8")
    return _digest(b"str", lengths.data, b"".join(encoded))


def of_integers(values: npt.NDArray[Any] | None) -> str | None:
    """Digest of integers."""
    return None if values is None else _digest(b"i8", np.ascontiguousarray(values, dtype="<i8").data)


def of_lists(lists: CsrLike | None, num_threads: int = 1) -> str | None:
    """Digest of lists of rows, with the scores or embeddings of entries outside the corpus."""
    if lists is None:
        return None
    parts: list[Any] = [np.ascontiguousarray(part, dtype="<i8").data for part in (lists.offsets, lists.items)]
    if isinstance(lists, Positives) and lists.scores is not None:
        parts += [b"scores", np.ascontiguousarray(lists.scores, dtype="<f8").data]
    if isinstance(lists, Positives) and lists.embeddings is not None:
        embeddings = of_rows(as_rows(lists.embeddings, "positive_embeddings"), "positive_embeddings", num_threads)
        parts += [b"embeddings", json.dumps(embeddings).encode()]
    return _digest(*parts)


def of_eligibility(eligible: Eligibility | None) -> str | None:
    """Digest of keys and ranges."""
    if eligible is None:
        return None
    arrays = (eligible.keys, eligible.lowest, eligible.highest)
    return _digest(*(np.ascontiguousarray(array, dtype="<i8").data for array in arrays))


def of_inputs(inputs: Mapping[str, Any]) -> str:
    """One digest of everything."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _digest(*parts: Any) -> str:  # noqa: ANN401 (bytes or what has a buffer)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(memoryview(part).nbytes.to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say what changed between two sets of inputs, a clause each."""
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
