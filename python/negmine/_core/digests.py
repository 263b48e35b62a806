"""Digests of arrays and options, by which plans, tables and data sets are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["digest"]


def digest(kind: str, options: Iterable[object], arrays: Iterable[npt.NDArray[Any]]) -> str:
    """Return the hexadecimal SHA-256 of options and arrays.

    Parameters
    ----------
    kind : str
        Name and version of the format. The version must be incremented when the same arguments give a different result.
    options : iterable of object
        Options, hashed by their ``repr``.
    arrays : iterable of array
        Arrays, hashed by shape, kind and content.

    Returns
    -------
    str
        The digest.
    """
    hashed = hashlib.sha256(repr([kind, *options]).encode())
    for array in arrays:
        if array.dtype.kind == "U":
            # The item size of a string array must not change the digest: only its strings count.
            longest = np.char.str_len(array.astype(np.str_)).max(initial=1)
            array = array.astype(f"<U{longest}")
        hashed.update(repr([array.shape, array.dtype.kind]).encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()
