"""Tables of behaviours as bytes."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine.behavior.simhash import SimHash
from negmine.errors import NegmineValueError

__all__ = ["FORMAT", "read", "same_hash", "write"]

#: Raised when the meaning of the bytes changes.
FORMAT = 1

_MAGIC = b"negm-bse"
#: Magic, format, whether decayed, m, tau, dim, seed, users, width, and the digest of the centre.
_HEADER = struct.Struct("<8sII6Q32s")
_CHECKSUM = hashlib.sha256().digest_size


def write(
    hasher: SimHash, removals: npt.NDArray[np.int64], sums: npt.NDArray[np.float32], counts: npt.NDArray[Any]
) -> bytes:
    """Header, removals, sums, counts, and the SHA-256 of all that."""
    decayed = counts.dtype == np.float32
    m, tau, dim, seed, center = hasher.identity()
    parts = [_HEADER.pack(_MAGIC, FORMAT, decayed, m, tau, dim, seed, len(sums), sums.shape[3], center)]
    arrays: tuple[npt.NDArray[Any], ...] = (removals, sums, counts)
    for array, dtype in zip(arrays, _dtypes(decayed), strict=True):
        parts.append(array.astype(dtype, copy=False).tobytes())
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def read(raw: bytes, hasher: SimHash) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Removals, sums and counts; nothing is read before it is known to be there and unchanged."""
    if len(raw) < _HEADER.size + _CHECKSUM or raw[: len(_MAGIC)] != _MAGIC:
        raise NegmineValueError(f"`data` must be the bytes of a behaviour table; got {len(raw)} other bytes.")
    _, version, decayed, m, tau, dim, seed, n_users, width, center = _HEADER.unpack_from(raw)
    if version != FORMAT:
        raise NegmineValueError(f"`data` must be of format {FORMAT}; got format {version}.")
    if hashlib.sha256(raw[:-_CHECKSUM]).digest() != raw[-_CHECKSUM:]:
        raise NegmineValueError("`data` must be as it was written; got bytes that do not match their checksum.")
    same_hash((m, tau, dim, seed, center), hasher, "data")
    cells = (n_users, hasher.groups, hasher.buckets)
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


def same_hash(identity: tuple[int, int, int, int, bytes], hasher: SimHash, argument: str) -> None:
    """Refuse another hash, by what differs."""
    for name, theirs, ours in zip(("m", "tau", "dim", "seed"), identity, hasher.identity(), strict=False):
        if theirs != ours:
            raise NegmineValueError(f"`{argument}` must be of the table's hash, {name}={ours}; got {name}={theirs}.")
    if identity[4] != hasher.identity()[4]:
        raise NegmineValueError(f"`{argument}` must be of the table's hash; got one with another `center`.")


def _dtypes(decayed: bool) -> tuple[np.dtype[Any], ...]:
    """Types of removals, sums and counts as they are written."""
    return np.dtype("<i8"), np.dtype("<f4"), np.dtype("<f4") if decayed else np.dtype("<u4")
