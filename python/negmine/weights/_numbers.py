"""Arrays of numbers of any shape, and the places of invalid entries in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, describe_kind
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Numbers", "as_numbers", "refuse"]

Numbers = npt.NDArray[np.float64]


def as_numbers(value: object, argument: str, shape: tuple[int, ...] | None = None) -> Numbers:
    """Validate an array of numbers, of a given shape if any."""
    read = as_array(value, argument)
    if read.dtype.kind not in "iuf":
        raise NegmineTypeError(f"`{argument}` must hold numbers; got {describe_kind(read)}.")
    if shape is not None and read.shape != shape:
        raise NegmineValueError(f"`{argument}` must have shape {shape}; got shape {read.shape}.")
    return read.astype(np.float64)


def refuse(bad: npt.NDArray[np.bool_], values: npt.NDArray[np.generic], argument: str, rule: str) -> None:
    """Raise an error that names the first entry that breaks a rule, if there is one."""
    if bad.any():
        place = tuple(int(axis) for axis in np.unravel_index(int(bad.argmax()), bad.shape))
        raise NegmineValueError(f"`{argument}` must {rule}; got {values[place].item()} at {_name(place)}.")


def _name(place: tuple[int, ...]) -> str:
    return f"row {place[0]}" if len(place) == 1 else f"place {place}" if place else "the number itself"
