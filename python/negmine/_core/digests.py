"""Digests of arrays and options, by which plans, tables and data sets are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Strings

__all__ = ["digest"]


def digest(kind: str, options: Iterable[object], arrays: Iterable[npt.NDArray[Any] | Strings]) -> str:
    """Return the hexadecimal SHA-256 of options and arrays.

    Parameters
    ----------
    kind : str
        Name and version of the format. The version must be incremented when the same arguments give a different result.
    options : iterable of object
        Options, hashed by their ``repr``.
    arrays : iterable of array or Strings
        Arrays, hashed by shape, kind and content.

    Returns
    -------
    str
        The digest.
    """
    hashed = hashlib.sha256(repr([kind, *options]).encode())
    for array in arrays:
        if isinstance(array, Strings):
            hashed.update(repr(["strings", len(array)]).encode())
            hashed.update(np.ascontiguousarray(array.offsets).data)
            hashed.update(np.ascontiguousarray(array.items).data)
            continue
        hashed.update(repr([array.shape, array.dtype.kind]).encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()
