"""SimHash: signs of random projections (Charikar, STOC 2002)."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Rows, as_array, as_rows, describe_kind
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_integer, check_seed
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["SimHash", "bools"]


class SimHash:
    """Signatures of vectors: signs of random projections, ``tau`` bits per signature.

    Two vectors at angle ``a`` share each signature with probability ``(1 - a / pi) ** tau``. Every bit is the sign
    of the canonical float64 product, so signatures are the same on every machine and for any number of threads.

    Parameters
    ----------
    m : int, default 48
        Total number of bits, at most 65,536.
    tau : int, default 3
        Bits per signature, 1 to 31; must divide ``m``. SDIM's authors use 48 and 3 (section 4).
    dim : int
        Width of the vectors.
    seed : int, default 0
        Seed of the projections, in [0, 2**64). Bit ``i`` depends only on the seed and ``i``, so the bits of a smaller
        hash are the first bits of a larger one.
    center : float32 (dim,), optional
        Vector that is subtracted, in float32, before hashing. Embeddings with a large common mean agree in nearly all
        bits; pass their mean.

    Attributes
    ----------
    groups : int
        Number of signatures per vector, ``m // tau``.
    buckets : int
        Number of possible signatures, ``2 ** tau``.
    MASKED : int
        Signature of vectors that are zero or masked. It matches no other signature.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If a size is not an integer or out of range, ``tau`` does not divide ``m``, or ``center`` has another width.

    Notes
    -----
    Charikar, STOC 2002; for behaviors: Cao et al., "Sampling is all you need on modeling long-term user behaviors for
    CTR prediction", CIKM 2022, arXiv 2205.10249, section 3. Projections are normally distributed, drawn by Philox.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> hasher = negmine.SimHash(m=6, tau=3, dim=2)
    >>> hasher.signatures(np.array([[1.0, 0.5], [2.0, 1.0], [-1.0, -0.5]]))
    array([[2, 6],
           [2, 6],
           [5, 1]], dtype=uint32)
    """

    MASKED = 2**32 - 1

    def __init__(
        self, m: int = 48, tau: int = 3, *, dim: int, seed: int = 0, center: npt.ArrayLike | None = None
    ) -> None:
        self.m = check_integer(m, "m", least=1)
        self.tau = check_integer(tau, "tau", least=1)
        self.dim = check_integer(dim, "dim", least=1)
        self.seed = check_seed(seed)
        self.center = None if center is None else _center(center)
        self._native = _native.SimHash(self.m, self.tau, self.dim, self.seed, self.center)
        self.groups = self.m // self.tau
        self.buckets = 2**self.tau

    @property
    def projections(self) -> npt.NDArray[np.float32]:
        """Random projections, float32 (m, dim)."""
        return self._native.projections

    def signatures(
        self, x: npt.ArrayLike, *, mask: npt.ArrayLike | None = None, num_threads: int | None = None
    ) -> npt.NDArray[np.uint32]:
        """Hash vectors.

        Parameters
        ----------
        x : array of shape (n, dim)
            Vectors: NumPy, torch on the CPU, or Arrow, of any dtype and any strides that [`ExactIndex`][] takes.
        mask : bool (n,), optional
            True where a vector is present; the others are not read.
        num_threads : int, optional
            Number of threads. Default: all cores; one inside a DataLoader worker.

        Returns
        -------
        uint32 (n, groups)
            Signatures below ``buckets``, where bit ``k`` of group ``g`` is bit ``g * tau + k`` of the hash; ``MASKED``
            for vectors that are zero or masked.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If the width of ``x`` or the length of ``mask`` differs, or an entry is NaN or infinite.
        """
        return self.hash_rows(as_rows(x, "x"), "x", mask, resolve_num_threads(num_threads))

    def hash_rows(self, rows: Rows, argument: str, mask: object, threads: int) -> npt.NDArray[np.uint32]:
        """Hash rows that were read already.

        Parameters
        ----------
        rows : Rows
            Vectors, read from an array.
        argument : str
            Name of the argument in error messages.
        mask : bool (n,) or None
            True where a vector is present.
        threads : int
            Number of threads.

        Returns
        -------
        uint32 (n, groups)
            As of [`signatures`][].
        """
        there = None if mask is None else bools(mask, "mask", len(rows.array))
        return self._native.signatures(rows, argument, there, threads)

    def identity(self) -> tuple[int, int, int, int, bytes]:
        """Return everything that determines a signature.

        Returns
        -------
        tuple
            ``m``, ``tau``, ``dim``, ``seed``, and the SHA-256 of ``center``, which is zeros without one.
        """
        center = (
            bytes(hashlib.sha256().digest_size)
            if self.center is None
            else hashlib.sha256(self.center.tobytes()).digest()
        )
        return self.m, self.tau, self.dim, self.seed, center

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimHash) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.identity())

    def __repr__(self) -> str:
        center = "" if self.center is None else ", center=..."
        return f"SimHash(m={self.m}, tau={self.tau}, dim={self.dim}, seed={self.seed}{center})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("m", "tau", "dim", "seed", "center")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def bools(value: object, argument: str, n: int) -> npt.NDArray[np.bool_]:
    """Validate an array of booleans.

    Parameters
    ----------
    value : array of bool
        The array to read.
    argument : str
        Name of the argument in error messages.
    n : int
        Length that the array must have.

    Returns
    -------
    bool (n,)
        Contiguous booleans.
    """
    read = as_array(value, argument)
    if read.dtype == np.object_:
        read = as_array(read.tolist(), argument)
    if read.dtype != np.bool_ and read.size:
        raise NegmineTypeError(f"`{argument}` must hold True and False; got {describe_kind(read)}.")
    if read.shape != (n,):
        raise NegmineValueError(f"`{argument}` must have shape ({n},); got shape {read.shape}.")
    return np.ascontiguousarray(read, dtype=np.bool_)


def _center(value: object) -> npt.NDArray[np.float32]:
    read = as_array(value, "center")
    if read.dtype == np.object_:
        read = as_array(read.tolist(), "center")
    if read.dtype.kind not in "iuf" or read.ndim != 1:
        raise NegmineValueError(f"`center` must be numbers of shape (dim,); got {describe_kind(read)} {read.shape}.")
    return np.ascontiguousarray(read, dtype=np.float32)
