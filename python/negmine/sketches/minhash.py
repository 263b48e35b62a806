"""MinHash signatures of sets: fast similarity sketching (Dahlgaard, Knudsen and Thorup, FOCS 2017)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import archive, formats
from negmine._core.arrays import as_offsets, describe_kind, refuse_unordered
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Strings
from negmine._core.options import check_flag, check_integer, check_seed, refuse_unknown_fields
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["MAX_MINIMA", "MinHash", "Sets", "hash_tokens"]

#: Maximum number of minima of a signature.
MAX_MINIMA = 4096

#: Maximum number of bits of a word that keeps only some bits of each minimum.
MAX_BITS = 16


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of tokens in contiguous arrays; the core validates them."""

    offsets: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.uint64]
    #: Whether the tokens are already uniform over uint64.
    hashed: bool


@refuse_unknown_fields
@dataclass(frozen=True, slots=True)
class MinHash:
    """MinHash signatures of sets, which estimate the Jaccard similarity.

    The Jaccard similarity J of two sets is the size of their intersection divided by the size of their union. The
    expected share of equal words in two signatures is J. The estimates are unbiased for sets of any size, including
    sets of one element. For sets of up to a few hundred elements, their variance is smaller than with independent
    permutations (standard deviation ``sqrt(J * (1 - J) / num_hashes)``). The bits of a signature are the same for any
    number of threads, any instruction set, any order of the tokens of a set and any repeats.

    Parameters
    ----------
    num_hashes : int, default 128
        Number of minima in a signature, from 1 to 4096. Powers of two from 16 to 256 are the most efficient.
    hashes_per_word : int, default 1
        Number of minima per word, a divisor of ``num_hashes``. Words agree with probability ``J ** hashes_per_word``,
        less at most ``1 / num_hashes``.
    bits_per_hash : int, optional
        Number of bits that are kept of every minimum, at least 1; ``bits_per_hash * hashes_per_word`` must be at most
        16. With b bits and t hashes per word, words agree with probability ``(2**-b + (1 - 2**-b) * J) ** t``. Default:
        all bits.
    seed : int, default 0
        Seed of the hash functions, in [0, 2**64). Signatures with different seeds must not be compared.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid.

    Notes
    -----
    The algorithm is fast similarity sketching (Dahlgaard, Knudsen and Thorup, FOCS 2017), with the same function for
    sets of every size. The b-bit words are those of Li and König ("b-bit minwise hashing", WWW 2010), computed from a
    mixed minimum.

    Examples
    --------
    >>> import negmine
    >>> minhash = negmine.MinHash(256)
    >>> found = minhash.signatures([range(100), range(50, 150), []])
    >>> found.shape, found.dtype.name
    ((3, 256), 'uint32')
    >>> abs(minhash.jaccard(found[0], found[1]) - 1 / 3) < 0.1, minhash.jaccard(found[2], found[2])
    (True, 0.0)
    """

    num_hashes: int = 128
    _: KW_ONLY
    hashes_per_word: int = 1
    bits_per_hash: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        k = check_integer(self.num_hashes, "num_hashes", least=1, most=MAX_MINIMA)
        tau = check_integer(self.hashes_per_word, "hashes_per_word", least=1)
        if k % tau:
            raise NegmineValueError(f"`hashes_per_word` must divide `num_hashes`; got {tau} and {k}.")
        if self.bits_per_hash is not None:
            b = check_integer(self.bits_per_hash, "bits_per_hash", least=1)
            if b * tau > MAX_BITS:
                raise NegmineValueError(
                    f"`bits_per_hash` times `hashes_per_word` must be at most {MAX_BITS}; got {b} and {tau}."
                )
        check_seed(self.seed)

    @property
    def words(self) -> int:
        """Number of words in a signature, ``num_hashes / hashes_per_word``."""
        return self.num_hashes // self.hashes_per_word

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a word.

        The type is uint32, or uint64 if ``hashes_per_word`` > 1. With ``bits_per_hash``, it is uint8 or uint16, to fit
        ``bits_per_hash * hashes_per_word`` bits.
        """
        if self.bits_per_hash is None:
            return np.dtype(np.uint32 if self.hashes_per_word == 1 else np.uint64)
        return np.dtype(np.uint8 if self.bits_per_hash * self.hashes_per_word <= 8 else np.uint16)

    def signatures(
        self,
        sets: object,
        *,
        prehashed: bool = False,
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[Any]:
        """Compute the signatures of sets.

        Parameters
        ----------
        sets : (offsets, tokens), or a sequence of n iterables
            Sets of tokens: either a tuple of two integer arrays, where set ``i`` holds
            ``tokens[offsets[i] : offsets[i + 1]]``, or iterables of integers (in ``[-2**63, 2**64)``; negative integers
            are taken modulo 2**64) or of strings. Strings are hashed by XXH64 of their UTF-8 bytes (seed 0), which is
            the same in every process, and integers by splitmix64.
        prehashed : bool, default False
            Whether integers are already uniform over uint64, so that they are not hashed. If they are not uniform, such
            as consecutive ids, the estimates are biased.
        num_threads : int, optional
            Number of threads. Default: all cores available to this process; 1 inside a DataLoader worker.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.

        Returns
        -------
        array (n, num_hashes / hashes_per_word) of [`dtype`][]
            The signatures. Every word of an empty set is the largest number of the dtype; an empty set is similar to no
            set, not even to another empty set.

        Raises
        ------
        NegmineTypeError
            Tokens have a type that is not accepted, or are integers and strings together.
        NegmineValueError
            Offsets do not start at 0, descend, or do not end at the number of tokens.
        """
        read = read_sets(sets, "sets", prehashed=check_flag(prehashed, "prehashed"))
        return _native.minhash_signatures(
            self, read, read.hashed, resolve_num_threads(num_threads), check_progress(progress)
        )

    def jaccard(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Any:  # noqa: ANN401 (a number or an array, as in NumPy)
        """Estimate Jaccard similarities from signatures.

        Parameters
        ----------
        a, b : arrays (..., num_hashes / hashes_per_word)
            Signatures of this ``MinHash``, with shapes that broadcast.

        Returns
        -------
        float64 array (...), or a number for two single signatures
            The share of equal words, to the power ``1 / hashes_per_word``. With b bits per hash, this share c is
            corrected for unequal minima with equal bits: ``(c - 2**-b) / (1 - 2**-b)``. The corrected estimate is
            unbiased for ``hashes_per_word=1``, and may therefore be slightly below 0. An empty set has similarity 0
            with every set.

        Raises
        ------
        NegmineValueError
            An array has the wrong width or dtype.

        Examples
        --------
        >>> import negmine
        >>> minhash = negmine.MinHash(bits_per_hash=8)
        >>> cats, dogs = minhash.signatures([["a", "cat", "sat"], ["a", "dog", "sat"]])
        >>> 0.2 < minhash.jaccard(cats, dogs) < 0.8
        True
        """
        first, second = self._words(a, "a"), self._words(b, "b")
        try:
            agree = (first == second).mean(axis=-1)
        except ValueError as error:
            raise NegmineValueError(
                f"`a` and `b` must have shapes that broadcast; got {first.shape} and {second.shape}."
            ) from error
        empty = np.iinfo(self.dtype).max
        nothing = (first == empty).all(axis=-1) | (second == empty).all(axis=-1)
        share = agree if self.hashes_per_word == 1 else agree ** (1.0 / self.hashes_per_word)
        if self.bits_per_hash is not None:
            by_chance = 2.0**-self.bits_per_hash
            share = (share - by_chance) / (1.0 - by_chance)
        found = np.where(nothing, 0.0, share)
        return float(found) if found.ndim == 0 else found

    def save(self, path: str | os.PathLike[str], signatures: npt.ArrayLike) -> None:
        """Write signatures and the parameters of this ``MinHash`` to one ``.npz`` file, atomically.

        Parameters
        ----------
        path : path
            The file; an existing file is replaced.
        signatures : array (n, num_hashes / hashes_per_word)
            Signatures of this ``MinHash``.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            The array does not hold signatures of this ``MinHash``, ``path`` is not a path, or no file can be written
            there.
        """
        words = self._words(signatures, "signatures")
        header = {
            "minhash": formats.MINHASH.version,
            "num_hashes": self.num_hashes,
            "hashes_per_word": self.hashes_per_word,
            "bits_per_hash": self.bits_per_hash,
            "seed": self.seed,
        }
        archive.write(path, formats.SIGNATURES, header, {"signatures": words})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[MinHash, npt.NDArray[Any]]:
        """Load signatures from a file that [`save`][] wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        minhash : MinHash
            The parameters of the signatures.
        signatures : array (n, num_hashes / hashes_per_word)
            The signatures.

        Raises
        ------
        NegmineValueError
            There is no such file, the file does not hold signatures, or the signatures have a different format and must
            be computed again.
        """
        entries: archive.Entries = {
            "minhash": int,
            "num_hashes": int,
            "hashes_per_word": int,
            "bits_per_hash": (int, NoneType),
            "seed": int,
        }
        header, arrays = archive.read(path, formats.SIGNATURES, entries, ("signatures",))
        if header["minhash"] != formats.MINHASH.version:
            raise NegmineValueError(
                f"`path` must hold signatures of version {formats.MINHASH.version} of minhash; got version "
                f"{header['minhash']}. Compute them again."
            )
        with archive.whole(path, formats.SIGNATURES):
            minhash = cls(
                header["num_hashes"],
                hashes_per_word=header["hashes_per_word"],
                bits_per_hash=header["bits_per_hash"],
                seed=header["seed"],
            )
            return minhash, minhash._words(arrays["signatures"], "path")

    def _words(self, value: npt.ArrayLike, argument: str) -> npt.NDArray[Any]:
        words = np.asarray(value)
        if words.dtype != self.dtype or words.ndim == 0 or words.shape[-1] != self.words:
            raise NegmineValueError(
                f"`{argument}` must hold signatures of {self.words} words of {self.dtype.name}; "
                f"got shape {words.shape} of {words.dtype.name}."
            )
        return words


#: Items of a list that are read at a time.
_PART = 1 << 20

#: Options of a MinHash, with their types in files.
_OPTIONS: archive.Entries = {"num_hashes": int, "hashes_per_word": int, "bits_per_hash": (int, NoneType), "seed": int}


def hash_tokens(strings: Sequence[str], argument: str, row: Callable[[int], int] = int) -> npt.NDArray[np.uint64]:
    """Return the XXH64 hash, with seed 0, of the UTF-8 bytes of each string.

    Parameters
    ----------
    strings : sequence of str
        The strings.
    argument : str
        Name of the argument in error messages.
    row : callable, default int
        Function that returns the row of a string in error messages, given its position.

    Returns
    -------
    uint64 (n,)
        The hashes.
    """
    return _native.hash_strings(Strings.of(strings, argument, row))


def read_sets(value: object, argument: str, *, prehashed: bool = False) -> Sets:
    """Validate sets, given as two arrays or as iterables of tokens."""
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, np.ndarray) for part in value):
        tokens = _integers(value[1], argument)
        offsets = as_offsets(value[0], argument, len(tokens), "tokens")
        return Sets(offsets, tokens, prehashed)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise NegmineTypeError(
            f"`{argument}` must be a tuple of two arrays or a sequence of iterables; got {type(value).__name__}."
        )
    refuse_unordered(value, argument)
    lists = [_tokens(tokens, argument, row) for row, tokens in enumerate(value)]
    offsets = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(tokens) for tokens in lists], out=offsets[1:])
    flat = list(itertools.chain.from_iterable(lists))
    kinds = {kind for part in _parts(len(flat)) for kind in set(map(type, flat[part]))}
    if kinds == {str}:
        row = lambda place: int(np.searchsorted(offsets[1:], place, side="right"))  # noqa: E731
        return Sets(offsets, hash_tokens(flat, argument, row), hashed=True)
    for kind in kinds:
        if kind is bool or not issubclass(kind, int | np.integer):
            also = " together with other types" if len(kinds) > 1 else ""
            raise NegmineTypeError(f"`{argument}` must hold integers, or strings alone; got {kind.__name__}{also}.")
    return Sets(offsets, _integer_list(flat, argument), prehashed)


def _parts(n: int) -> Iterator[slice]:
    """Yield slices of a list of ``n`` items, between which signals are handled."""
    for begin in range(0, n, _PART):
        yield slice(begin, begin + _PART)


def _tokens(value: object, argument: str, row: int) -> list[Any]:
    if hasattr(value, "as_py"):  # a scalar of an Arrow array
        value = value.as_py()
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        text = ""
        if isinstance(value, str):
            text = " Split texts into tokens, or leave it to `near_duplicates(texts)`, which compares their shingles."
        raise NegmineTypeError(f"`{argument}` must hold iterables of tokens; got {value!r} at row {row}.{text}")
    return value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else list(value)


def _integer_list(flat: list[Any], argument: str) -> npt.NDArray[np.uint64]:
    tokens = np.empty(len(flat), dtype=np.uint64)
    for part in _parts(len(flat)):
        for token in (min(flat[part]), max(flat[part])):
            if not -(2**63) <= token < 2**64:
                raise NegmineValueError(f"`{argument}` must hold integers that fit 64 bits; got {token}.")
        tokens[part] = [int(token) & (2**64 - 1) for token in flat[part]]
    return tokens


def _integers(tokens: npt.NDArray[Any], argument: str) -> npt.NDArray[np.uint64]:
    if tokens.ndim != 1:
        raise NegmineValueError(f"`{argument}` must have tokens of shape (n,); got shape {tokens.shape}.")
    if tokens.dtype.kind not in "iu":
        raise NegmineTypeError(f"`{argument}` must hold integers; got {describe_kind(tokens)}.")
    wide = tokens.astype(np.int64, copy=False).view(np.uint64) if tokens.dtype.kind == "i" else tokens
    return np.ascontiguousarray(wide, dtype=np.uint64)
