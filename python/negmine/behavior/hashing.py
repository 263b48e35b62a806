"""Hash behaviors into buckets: embeddings by SimHash, sets of tokens by b-bit MinHash."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.arrays import as_rows
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sketches.minhash import MinHash, read_sets
from negmine.sketches.simhash import SimHash, bools

__all__ = ["Hasher", "Identity", "check", "digest_of", "identity", "shape", "signatures"]

Hasher = SimHash | MinHash


class Identity(NamedTuple):
    """Everything that determines a signature.

    Attributes
    ----------
    kind : str
        Class of the hash, "SimHash" or "MinHash".
    numbers : dict of str to int
        Parameters of the hash, by name.
    digest : bytes
        SHA-256 of everything else that determines a signature.
    """

    kind: str
    numbers: dict[str, int]
    digest: bytes


def check(hasher: object) -> None:
    """Refuse an object that does not hash into a bounded number of buckets.

    Parameters
    ----------
    hasher : object
        The object to check.

    Raises
    ------
    NegmineTypeError
        If it is neither a SimHash nor a MinHash.
    NegmineValueError
        If it is a MinHash without ``bits_per_hash``.
    """
    if not isinstance(hasher, Hasher):
        raise NegmineTypeError(f"`hasher` must be a SimHash or a MinHash; got {type(hasher).__name__}.")
    if isinstance(hasher, MinHash) and hasher.bits_per_hash is None:
        raise NegmineValueError("`hasher` must have `bits_per_hash`, which bounds its buckets; got a MinHash without.")


def shape(hasher: Hasher) -> tuple[int, int]:
    """Return the number of signatures per behavior and the number of buckets per signature.

    Parameters
    ----------
    hasher : SimHash or MinHash
        The hash.

    Returns
    -------
    tuple of int
        Groups, and buckets in each group.
    """
    if isinstance(hasher, SimHash):
        return hasher.groups, hasher.buckets
    return hasher.words, 2 ** ((hasher.bits_per_hash or 0) * hasher.hashes_per_word)


def signatures(
    hasher: Hasher,
    behaviors: Any,  # noqa: ANN401 (embeddings or sets)
    argument: str,
    mask: object,
    threads: int,
) -> npt.NDArray[np.uint32]:
    """Compute the bucket of every behavior in every group.

    Parameters
    ----------
    hasher : SimHash or MinHash
        The hash.
    behaviors : array of shape (n, dim), or n sets
        Embeddings for a SimHash, sets of tokens for a MinHash.
    argument : str
        Name of the argument in error messages.
    mask : bool (n,) or None
        True where a behavior is present.
    threads : int
        Number of threads.

    Returns
    -------
    uint32 (n, groups)
        Buckets; ``SimHash.MASKED`` for behaviors that are masked, zero or empty.
    """
    if isinstance(hasher, SimHash):
        return hasher.hash_rows(as_rows(behaviors, argument), argument, mask, threads)
    sets = read_sets(behaviors, argument)
    there = np.diff(sets.offsets) != 0
    if mask is not None:
        there &= bools(mask, "mask", len(there))
    words = _native.minhash_signatures(hasher, sets, sets.hashed, threads, None).astype(np.uint32)
    words[~there] = SimHash.MASKED
    return words


def identity(hasher: Hasher) -> Identity:
    """Return what must be equal for two hashes to give the same signatures.

    Parameters
    ----------
    hasher : SimHash or MinHash
        The hash.

    Returns
    -------
    Identity
        Kind, parameters and digest.
    """
    if isinstance(hasher, SimHash):
        m, tau, dim, seed, center = hasher.identity()
        return Identity("SimHash", {"m": m, "tau": tau, "dim": dim, "seed": seed}, center)
    numbers = {
        "k": hasher.num_hashes,
        "tau": hasher.hashes_per_word,
        "b": hasher.bits_per_hash or 0,
        "seed": hasher.seed,
    }
    return Identity("MinHash", numbers, hashlib.sha256(b"minhash signatures %d" % formats.MINHASH.version).digest())


def digest_of(hasher: Hasher) -> str:
    """Return a digest of everything that determines a signature.

    Parameters
    ----------
    hasher : SimHash or MinHash
        The hash.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    kind, numbers, others = identity(hasher)
    return hashlib.sha256(repr([kind, *numbers.items(), others.hex()]).encode()).hexdigest()
