"""What row numbers stand for: numbers that become tensors, or entries of any other sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress, pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from negmine._core import memmap
from negmine._core.arrays import refuse_surrogates
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Column", "Numbers", "Rows", "Things", "read"]

#: A column of samples: an array or a tensor whose first axis they are, or a list.
Column = Any
Rows = npt.NDArray[np.int64]

#: What looks things up by other than their row, or does not hand them out as they are, and its way to a list.
_OTHER_LISTS = {"iloc": ".tolist()", "to_pylist": ".to_pylist()"}


def read(values: object, argument: str, n: int, *, exactly: bool = False) -> Numbers | Things | None:
    """Read what rows stand for: one entry for each of ``n`` rows, or more unless ``exactly``."""
    if values is None:
        return None
    if getattr(values, "ndim", 1) == 0:
        raise NegmineValueError(f"`{argument}` must have one entry per row; got a single number.")
    payload: Numbers | Things
    if isinstance(values, torch.Tensor):
        payload = _from_tensor(values, argument)
    elif isinstance(values, np.ndarray):
        payload = _from_array(values, argument)
    else:
        payload = _from_sequence(values, argument)
    if len(payload) < n or (exactly and len(payload) != n):
        raise NegmineValueError(
            f"`{argument}` must have {n} entries{'' if exactly else ' or more'}; got {len(payload)}."
        )
    return payload


def _from_tensor(values: torch.Tensor, argument: str) -> Numbers:
    if values.device.type != "cpu":
        raise NegmineValueError(
            f"`{argument}` must lie in CPU memory; got a tensor on device {values.device}. Pass None and look the rows "
            "up there."
        )
    if values.layout is not torch.strided or values.is_quantized:
        raise NegmineTypeError(f"`{argument}` must be a dense tensor; got {values.layout} of {values.dtype}.")
    return Numbers(values.detach().resolve_conj().resolve_neg())


def _from_array(values: npt.NDArray[Any], argument: str) -> Numbers | Things:
    if isinstance(values, np.ma.MaskedArray):
        raise NegmineTypeError(f"`{argument}` must have every value; got a masked array. Fill it first.")
    if values.dtype.kind in "OUST":
        if values.dtype.kind in "OU":  # the others hold bytes, or UTF-8
            refuse_surrogates(values.ravel(), argument, lambda place: place // max(values[:1].size, 1))
        return Things(values)
    try:
        torch.from_numpy(np.empty(0, dtype=values.dtype))
    except (TypeError, ValueError):
        raise NegmineTypeError(
            f"`{argument}` must hold numbers that torch has a type for; got dtype {values.dtype}."
        ) from None
    return Numbers(values)


def _from_sequence(values: object, argument: str) -> Things:
    for attribute, way in _OTHER_LISTS.items():
        if hasattr(values, attribute):
            raise NegmineTypeError(
                f"`{argument}` must be a sequence of what models take; got {type(values).__name__}: pass its `{way}`."
            )
    if isinstance(values, str | bytes | Mapping) or not (hasattr(values, "__len__") and hasattr(values, "__getitem__")):
        raise NegmineTypeError(
            f"`{argument}` must be a sequence, an array, a CPU tensor or None; got {type(values).__name__}."
        )
    if type(values) in (list, tuple):
        refuse_surrogates(values, argument)  # type: ignore[arg-type]
    return Things(cast("Sequence[Any]", values))


class Numbers:
    """Rows of an array or a tensor, which NumPy looks up in half of torch's time."""

    __slots__ = ("_array", "_values")

    def __init__(self, values: npt.NDArray[Any] | torch.Tensor) -> None:
        self._values = values
        self._array = _memory(values) if isinstance(values, torch.Tensor) else values

    def __len__(self) -> int:
        return len(self._array)

    def __reduce__(self) -> tuple[Any, ...]:
        place = memmap.layout(self._values)
        return (Numbers, (self._values,)) if place is None else (_map_again, (place,))

    def take(self, rows: Rows) -> Column:
        """Values at ``rows`` of any shape, zeros where a row is -1."""
        array, padding = self._array, rows < 0
        if len(array) == 0:
            found = np.empty((*rows.shape, *array.shape[1:]), dtype=array.dtype)
        elif array.flags.c_contiguous:
            found = np.asarray(array.take(rows, axis=0, mode="clip"))
        else:  # what is not contiguous, `take` would copy whole
            found = array[np.maximum(rows, 0)]
        if padding.any():
            found[padding] = 0
        return torch.from_numpy(found).view(self._values.dtype) if isinstance(self._values, torch.Tensor) else found

    def take_ragged(self, rows: Rows) -> Column:
        """Values at ``rows``, as a rectangle."""
        return self.take(rows)


def _memory(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """A tensor's memory; integers of its size where NumPy has no type for it, of which 0 is zero as well."""
    try:
        array: npt.NDArray[Any] = tensor.numpy()
    except TypeError:
        bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        array = tensor.view(bits[tensor.element_size()]).numpy()
    return array


def _map_again(place: memmap.Layout) -> Numbers:
    return Numbers(memmap.map_again(*place))


class Things:
    """Entries of any other sequence."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[Any] | npt.NDArray[Any]) -> None:
        # What a look-up costs is memory that is not in the cache: NumPy's loop waits for several entries at a time, and
        # takes half as long as one over a list.
        plain = type(values) in (list, tuple)
        self._values = np.fromiter(values, dtype=object, count=len(values)) if plain else values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: Rows) -> list[Any]:
        """Entries at ``rows`` (B,), None where a row is -1."""
        real = rows >= 0
        entries = self._gather(rows[real])
        if len(entries) == len(rows):
            return entries
        waiting = iter(entries)
        return [next(waiting) if here else None for here in real.tolist()]

    def take_ragged(self, rows: Rows) -> list[list[Any]]:
        """The entries of every row of ``rows`` (B, n), without padding."""
        real = rows >= 0
        if isinstance(self._values, np.ndarray) and len(self):
            # Rectangle first: few rows are short, and this loop is NumPy's.
            lines: list[list[Any]] = self._values[np.maximum(rows, 0)].tolist()
            for short in np.flatnonzero(~real.all(axis=1)).tolist():
                lines[short] = list(compress(lines[short], real[short].tolist()))
            return lines
        entries = self._gather(rows[real])
        ends = real.sum(axis=1).cumsum().tolist()
        return [entries[begin:end] for begin, end in pairwise([0, *ends])]

    def _gather(self, rows: Rows) -> list[Any]:
        """Entries at ``rows``, in one call where the sequence has one for it, as those of Hugging Face have."""
        values = self._values
        if isinstance(values, np.ndarray):
            entries: list[Any] = values[rows].tolist()
            return entries
        together = getattr(values, "__getitems__", None)
        return list(together(rows.tolist())) if together else [values[row] for row in rows.tolist()]
