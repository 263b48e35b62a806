"""By what behaviors are hashed into buckets: embeddings by SimHash, sets of tokens by MinHash of a few bits."""

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
    """Everything that decides a signature."""

    kind: str
    numbers: dict[str, int]
    digest: bytes


def check(hasher: object) -> None:
    """Refuse what has no buckets."""
    if not isinstance(hasher, Hasher):
        raise NegmineTypeError(f"`hasher` must be a SimHash or a MinHash; got {type(hasher).__name__}.")
    if isinstance(hasher, MinHash) and hasher.bits_per_hash is None:
        raise NegmineValueError("`hasher` must have `bits_per_hash`, which bounds its buckets; got a MinHash without.")


def shape(hasher: Hasher) -> tuple[int, int]:
    """Signatures of a behavior, and buckets that each may fall into."""
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
    """The bucket of every behavior in every group; ``SimHash.MASKED`` for what is masked, zero or empty."""
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
    """What must be equal for two tables to be of one hash."""
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
    """Hexadecimal digest of everything that decides a signature."""
    kind, numbers, others = identity(hasher)
    return hashlib.sha256(repr([kind, *numbers.items(), others.hex()]).encode()).hexdigest()
