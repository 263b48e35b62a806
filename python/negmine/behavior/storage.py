"""Serialize behavior tables to bytes, and read them back."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.formats import BEHAVIOR_TABLE, corrupt
from negmine.behavior import hashing
from negmine.behavior.hashing import Hasher, Identity
from negmine.errors import NegmineValueError

__all__ = ["read", "same_hash", "write"]

#: Magic, version, whether decayed, kind of hash, its four parameters, users, width, digest of the rest of its identity.
_HEADER = struct.Struct("<8sII8s6Q32s")
_CHECKSUM = hashlib.sha256().digest_size


def write(
    hasher: Hasher, removals: npt.NDArray[np.int64], sums: npt.NDArray[np.float32], counts: npt.NDArray[Any]
) -> bytes:
    """Write the header, removals, sums and counts, followed by their SHA-256.

    Parameters
    ----------
    hasher : SimHash or MinHash
        The hash of the table.
    removals : int64 (n_users,)
        Removed behaviors per user.
    sums : float32 (n_users, groups, buckets, width)
        Sums of values.
    counts : uint32 or float32 (n_users, groups, buckets)
        Behaviors per bucket; float32 for a decayed table.

    Returns
    -------
    bytes
        The serialized table.
    """
    decayed = counts.dtype == np.float32
    kind, numbers, digest = hashing.identity(hasher)
    sizes = (*numbers.values(), len(sums), sums.shape[3])
    parts = [_HEADER.pack(BEHAVIOR_TABLE.magic, BEHAVIOR_TABLE.version, decayed, kind.encode(), *sizes, digest)]
    arrays: tuple[npt.NDArray[Any], ...] = (removals, sums, counts)
    for array, dtype in zip(arrays, _dtypes(decayed), strict=True):
        parts.append(array.astype(dtype, copy=False).tobytes())
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def read(raw: bytes, hasher: Hasher) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Read the arrays of a table, after checking that all bytes are present and unchanged.

    Parameters
    ----------
    raw : bytes
        The serialized table.
    hasher : SimHash or MinHash
        The hash that the table was built with.

    Returns
    -------
    tuple of array
        Removals, sums and counts.

    Raises
    ------
    NegmineValueError
        If the bytes are truncated, changed, of another format, or of a table with another hash.
    """
    if len(raw) < _HEADER.size + _CHECKSUM or not raw.startswith(BEHAVIOR_TABLE.magic):
        raise NegmineValueError(f"`data` must be the bytes of a behavior table; got {len(raw)} other bytes.")
    _, version, decayed, kind, *sizes, digest = _HEADER.unpack_from(raw)
    if version != BEHAVIOR_TABLE.version:
        raise NegmineValueError(f"`data` must be of version {BEHAVIOR_TABLE.version}; got version {version}.")
    if hashlib.sha256(raw[:-_CHECKSUM]).digest() != raw[-_CHECKSUM:]:
        raise corrupt("`data`")
    *numbers, n_users, width = sizes
    ours = hashing.identity(hasher).numbers
    theirs = Identity(kind.rstrip(b"\0").decode("ascii", "replace"), dict(zip(ours, numbers, strict=True)), digest)
    same_hash(theirs, hasher, "data")
    cells = (n_users, *hashing.shape(hasher))
    arrays, place = [], _HEADER.size
    for shape, dtype in zip(((n_users,), (*cells, width), cells), _dtypes(bool(decayed)), strict=True):
        size = dtype.itemsize
        for length in shape:
            size *= length
        if size > len(raw) - _CHECKSUM - place:
            raise NegmineValueError(f"`data` must hold {n_users} users of width {width}; got {len(raw)} bytes.")
        flat = np.frombuffer(raw, dtype, count=size // dtype.itemsize, offset=place)
        arrays.append(flat.reshape(shape).astype(dtype.newbyteorder("=")))
        place += size
    if place != len(raw) - _CHECKSUM:
        raise NegmineValueError(f"`data` must end with its checksum; got {len(raw) - _CHECKSUM - place} bytes more.")
    removals, sums, counts = arrays
    return removals, sums, counts


def same_hash(theirs: Identity, hasher: Hasher, argument: str) -> None:
    """Refuse a hash that differs from the table's, and name the difference.

    Parameters
    ----------
    theirs : Identity
        Identity of the hash to check.
    hasher : SimHash or MinHash
        The table's hash.
    argument : str
        Name of the argument in error messages.

    Raises
    ------
    NegmineValueError
        If the hashes differ.
    """
    ours = hashing.identity(hasher)
    if theirs.kind != ours.kind:
        raise NegmineValueError(f"`{argument}` must be of the table's hash, a {ours.kind}; got a {theirs.kind}.")
    for name, number in theirs.numbers.items():
        if number != ours.numbers[name]:
            raise NegmineValueError(
                f"`{argument}` must be of the table's hash, {name}={ours.numbers[name]}; got {name}={number}."
            )
    if theirs.digest != ours.digest:
        other = "another `center`" if ours.kind == "SimHash" else "signatures of another format"
        raise NegmineValueError(f"`{argument}` must be of the table's hash; got one with {other}.")


def _dtypes(decayed: bool) -> tuple[np.dtype[Any], ...]:
    """Return the dtypes in which removals, sums and counts are written."""
    return np.dtype("<i8"), np.dtype("<f4"), np.dtype("<f4") if decayed else np.dtype("<u4")
