"""Memory maps, pickled as file and layout, so that a worker maps the file again instead of copying its bytes."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

__all__ = ["Layout", "layout", "map_again"]

#: File, element type, byte of the first element, shape and strides.
Layout = tuple[str, np.dtype[Any], int, tuple[int, ...], tuple[int, ...]]


def layout(array: object) -> Layout | None:
    """Return the file and the layout of a memory map; None if the array is not a memory map or has no file."""
    if not isinstance(array, np.memmap) or array.filename is None:
        return None
    return str(array.filename), array.dtype, _place_in_file(array), array.shape, array.strides


def _place_in_file(mapped: np.memmap[Any, Any]) -> int:
    """Return the byte of the file at which the first element lies; a slice keeps the ``offset`` of the whole map."""
    whole = mapped._mmap  # type: ignore[attr-defined]
    start = np.frombuffer(whole, dtype=np.uint8).__array_interface__["data"][0]
    before = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    return int(before + mapped.__array_interface__["data"][0] - start)


def map_again(
    path: str, dtype: np.dtype[Any], place: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> np.memmap[Any, Any]:
    """Map a file again, read-only, with the layout that [`layout`][] returned."""
    reach = [(max(n, 1) - 1) * step for n, step in zip(shape, strides, strict=True)]
    first = place + sum(min(far, 0) for far in reach)
    size = sum(abs(far) for far in reach) + dtype.itemsize
    mapped = np.memmap(path, dtype=np.uint8, mode="r", offset=first, shape=(size,))
    array: np.memmap[Any, Any] = np.ndarray.__new__(np.memmap, shape, dtype, mapped, place - first, strides)
    for name in ("_mmap", "filename", "offset", "mode"):
        setattr(array, name, getattr(mapped, name))
    return array
