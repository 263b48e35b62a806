"""Digests of named arrays and options: what plans, tables and data sets are compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["digest"]


def digest(kind: str, options: Iterable[object], arrays: Iterable[npt.NDArray[Any]]) -> str:
    """Digest what a plan depends on; ``kind`` names the format, which rises when the same arguments give others."""
    hashed = hashlib.sha256(repr([kind, *options]).encode())
    for array in arrays:
        if array.dtype.kind == "U":
            # The width of a string array is no part of its strings.
            longest = np.char.str_len(array.astype(np.str_)).max(initial=1)
            array = array.astype(f"<U{longest}")
        hashed.update(repr([array.shape, array.dtype.kind]).encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()
