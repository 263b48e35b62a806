"""Entries of queries and documents, by row: numbers, which become tensors, or entries of any other sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress, pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from negmine._core import memmap
from negmine._core.labels import refuse_surrogates
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Column", "Numbers", "Rows", "Things", "read"]

#: A column of samples: an array or a tensor with one sample per row, or a list.
Column = Any
Rows = npt.NDArray[np.int64]

#: Attributes of types that index by something other than the row, or that convert entries, and their way to a list.
_OTHER_LISTS = {"iloc": ".tolist()", "to_pylist": ".to_pylist()"}


def read(values: object, argument: str, n: int, *, exactly: bool = False) -> Numbers | Things | None:
    """Read the entries of rows.

    Parameters
    ----------
    values : sequence, array, CPU tensor or None
        One entry per row; None for no entries.
    argument : str
        Name of the argument in error messages.
    n : int
        Minimum number of entries.
    exactly : bool, default False
        Whether there must be exactly ``n`` entries.

    Returns
    -------
    Numbers, Things or None
        The entries, None if ``values`` is None.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If ``values`` is of another type, on another device, or of another length.
    """
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
    """Rows of an array or a tensor; NumPy looks them up in half of torch's time.

    Parameters
    ----------
    values : array or CPU tensor
        One row per entry.
    """

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
        """Return the values at rows.

        Parameters
        ----------
        rows : int64, of any shape
            Rows; -1 for padding.

        Returns
        -------
        array or tensor
            Values, of the shape of ``rows`` followed by that of an entry; zeros where a row is -1.
        """
        array, padding = self._array, rows < 0
        if len(array) == 0:
            found = np.empty((*rows.shape, *array.shape[1:]), dtype=array.dtype)
        elif array.flags.c_contiguous:
            found = np.asarray(array.take(rows, axis=0, mode="clip"))
        else:  # `take` would copy all of an array that is not contiguous
            found = array[np.maximum(rows, 0)]
        if padding.any():
            found[padding] = 0
        return torch.from_numpy(found).view(self._values.dtype) if isinstance(self._values, torch.Tensor) else found

    def take_ragged(self, rows: Rows) -> Column:
        """Return the values at rows, as a rectangle with padding.

        Parameters
        ----------
        rows : int64 (B, n)
            Rows; -1 for padding.

        Returns
        -------
        array or tensor
            As of [`take`][].
        """
        return self.take(rows)


def _memory(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor's memory, as integers of the same size if NumPy lacks its dtype; integer 0 is zero there too."""
    try:
        array: npt.NDArray[Any] = tensor.numpy()
    except TypeError:
        bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        array = tensor.view(bits[tensor.element_size()]).numpy()
    return array


def _map_again(place: memmap.Layout) -> Numbers:
    return Numbers(memmap.map_again(*place))


class Things:
    """Entries of any other sequence.

    Parameters
    ----------
    values : sequence or array
        One entry per row.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[Any] | npt.NDArray[Any]) -> None:
        # Cache misses dominate the cost of a look-up: NumPy's loop waits for several entries at a time, and takes half
        # as long as a loop over a list.
        plain = type(values) in (list, tuple)
        self._values = np.fromiter(values, dtype=object, count=len(values)) if plain else values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: Rows) -> list[Any]:
        """Return the entries at rows.

        Parameters
        ----------
        rows : int64 (B,)
            Rows; -1 for none.

        Returns
        -------
        list
            Entries, None where a row is -1.
        """
        real = rows >= 0
        entries = self._gather(rows[real])
        if len(entries) == len(rows):
            return entries
        waiting = iter(entries)
        return [next(waiting) if here else None for here in real.tolist()]

    def take_ragged(self, rows: Rows) -> list[list[Any]]:
        """Return the entries of each line of rows, without padding.

        Parameters
        ----------
        rows : int64 (B, n)
            Rows; -1 for padding.

        Returns
        -------
        list of list
            Entries of each line.
        """
        real = rows >= 0
        if isinstance(self._values, np.ndarray) and len(self):
            # Look up the whole rectangle first: few lines are short, and NumPy runs this loop.
            lines: list[list[Any]] = self._values[np.maximum(rows, 0)].tolist()
            for short in np.flatnonzero(~real.all(axis=1)).tolist():
                lines[short] = list(compress(lines[short], real[short].tolist()))
            return lines
        entries = self._gather(rows[real])
        ends = real.sum(axis=1).cumsum().tolist()
        return [entries[begin:end] for begin, end in pairwise([0, *ends])]

    def _gather(self, rows: Rows) -> list[Any]:
        """Look up entries at ``rows``, in one call if the sequence has ``__getitems__``, as Hugging Face's do."""
        values = self._values
        if isinstance(values, np.ndarray):
            entries: list[Any] = values[rows].tolist()
            return entries
        together = getattr(values, "__getitems__", None)
        return list(together(rows.tolist())) if together else [values[row] for row in rows.tolist()]
