"""Conversion of the caller's arrays, lists and labels to the arrays of the core; every argument passes through here."""

from __future__ import annotations

import sys
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = [
    "Csr",
    "Rows",
    "as_array",
    "as_float64s",
    "as_grades",
    "as_int64s",
    "as_numpy",
    "as_rows",
    "as_shares",
    "check_field",
    "count_zero_rows",
    "describe_kind",
    "public_scores",
    "refuse_not_finite",
    "refuse_unordered",
]

#: Element types that the core reads, by the name of their dtype.
KINDS = ("float32", "float16", "bfloat16", "float64", "int8", "uint8")


#: Values of embeddings that are checked at once.
_CHECKED_AT_ONCE = 1 << 20

_LARGEST_F32 = float(np.finfo(np.float32).max)


class CsrLike(Protocol):
    """Lists of row numbers in CSR form."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Position at which each list begins, then the end of the last one."""

    @property
    def items(self) -> npt.NDArray[np.int64]:
        """Entries of all lists."""


@dataclass(frozen=True, slots=True)
class Csr:
    """Lists of row numbers in CSR form, contiguous and validated."""

    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Embeddings in the caller's own memory, as the core reads them."""

    #: Shape (n, width), or (n, width, bytes) if elements must be read byte by byte.
    array: npt.NDArray[Any]
    kind: str
    #: "native", or the reason why elements are read byte by byte: "misaligned" or "big-endian".
    order: str = "native"

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and width."""
        return self.array.shape[0], self.array.shape[1]

    def slice(self, begin: int, end: int) -> Rows:
        """Take the rows in [begin, end)."""
        return Rows(self.array[begin:end], self.kind, self.order)

    def values(self) -> npt.NDArray[Any]:
        """Return the rows in a dtype of NumPy, with bfloat16 widened to float32; without a copy if possible."""
        array = self.array
        if self.order != "native":
            bits = np.dtype(np.uint16) if self.kind in _BITS else np.dtype(self.kind)
            stored = bits if self.order == "misaligned" else bits.newbyteorder("S")
            array = np.ascontiguousarray(array).view(stored)[..., 0].astype(bits)
        if self.kind == "float16":
            return array.view(np.float16)
        if self.kind == "bfloat16":
            return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return array


def as_rows(value: object, argument: str) -> Rows:
    """Validate embeddings, one per row.

    Parameters
    ----------
    value : array (n, width)
        NumPy array (memory-mapped ones included), CPU torch tensor, or Arrow fixed-size-list array, of float32,
        float16, bfloat16, float64, int8 or uint8, with any strides.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    Rows

    Raises
    ------
    NegmineTypeError
        The value has another type or dtype.
    NegmineValueError
        The value is a tensor on another device, holds nulls, or is not two-dimensional.
    """
    array, kind = _array(value, argument)
    if kind not in KINDS:
        rows = " Pass `numpy.stack(...)` of its rows." if kind == "object" else ""
        raise NegmineTypeError(f"`{argument}` must hold one of {', '.join(KINDS)}; got dtype {kind}.{rows}")
    if array.ndim != 2:
        raise NegmineValueError(f"`{argument}` must have shape (n, width); got shape {array.shape}.")
    if array.size == 0:
        # NumPy reports an empty array as aligned at any address.
        return Rows(np.empty(array.shape, dtype=array.dtype.newbyteorder("=")), kind)
    if array.dtype.isnative and array.flags.aligned:
        return Rows(array, kind)
    size = array.dtype.itemsize
    elements = array.view(np.dtype([("bytes", np.uint8, (size,))]))["bytes"]
    return Rows(elements, kind, "misaligned" if array.dtype.isnative else "big-endian")


def _array(value: object, argument: str) -> tuple[npt.NDArray[Any], str]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_torch(torch, value, argument)
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and isinstance(value, arrow.Array | arrow.ChunkedArray):
        return _from_arrow(arrow, value, argument)
    if isinstance(value, np.ma.MaskedArray):
        raise NegmineTypeError(f"`{argument}` must have every value; got a masked array. Fill it first.")
    if not isinstance(value, np.ndarray):
        raise NegmineTypeError(
            f"`{argument}` must be a NumPy array, a CPU torch tensor or an Arrow fixed-size-list array; "
            f"got {type(value).__name__}.{_as_an_array(value)}"
        )
    kind = value.dtype.name
    # The core reads 16-bit floats as bits.
    array = value.view(value.dtype.str[0] + "u2" if kind == "float16" else np.uint16) if kind in _BITS else value
    return np.asarray(array), kind


_BITS = ("float16", "bfloat16")


def _as_an_array(value: object) -> str:
    """Return advice on how to convert a value to an array."""
    if isinstance(value, list | tuple):
        return " Pass `numpy.asarray(...)` of it."
    if not hasattr(value, "to_numpy"):
        return ""
    return " Pass its `.to_numpy()`." if getattr(value, "ndim", 2) == 2 else " Pass `numpy.stack(...)` of it."


def _from_torch(
    torch: Any,  # noqa: ANN401 (torch is not a dependency)
    tensor: Any,  # noqa: ANN401
    argument: str,
) -> tuple[npt.NDArray[Any], str]:
    if tensor.device.type != "cpu":
        raise NegmineValueError(
            f"`{argument}` must lie in CPU memory; got a tensor on device {tensor.device}. Call `.cpu()` first."
        )
    if tensor.layout is not torch.strided or tensor.is_nested:
        got = "a nested tensor" if tensor.is_nested else f"layout {tensor.layout}"
        raise NegmineTypeError(f"`{argument}` must be a dense tensor; got {got}.")
    kind = str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.detach().resolve_neg()
    if kind in _BITS:
        return tensor.view(torch.int16).numpy().view(np.uint16), kind
    if kind not in KINDS:
        return np.empty((0, 0)), kind
    array: npt.NDArray[Any] = tensor.numpy()
    return array, kind


def _from_arrow(
    arrow: Any,  # noqa: ANN401 (pyarrow is not a dependency)
    value: Any,  # noqa: ANN401
    argument: str,
) -> tuple[npt.NDArray[Any], str]:
    if isinstance(value, arrow.ChunkedArray):
        value = value.combine_chunks()
    tensor = isinstance(value.type, arrow.FixedShapeTensorType) and len(value.type.shape) == 1
    value = value.storage if tensor else value
    kinds = arrow.types
    numbers = kinds.is_fixed_size_list(value.type) and (
        kinds.is_floating(value.type.value_type) or kinds.is_integer(value.type.value_type)
    )
    if not numbers:
        lists = kinds.is_list(value.type) or kinds.is_large_list(value.type)
        cast = " Cast it to `pyarrow.list_(value_type, width)`." if lists else ""
        raise NegmineTypeError(f"`{argument}` must be a fixed-size-list array of numbers; got {value.type}.{cast}")
    flat = value.flatten()
    if value.null_count or flat.null_count:
        raise NegmineValueError(f"`{argument}` must have every value; got {value.null_count} null rows.")
    array = flat.to_numpy(zero_copy_only=True).reshape(len(value), value.type.list_size)
    return array.view(np.uint16) if array.dtype == np.float16 else array, array.dtype.name


def as_numpy(value: object, argument: str) -> npt.NDArray[Any]:
    """Validate embeddings as a NumPy array, with bfloat16 widened to float32."""
    return as_rows(value, argument).values()


def refuse_not_finite(rows: Rows, argument: str) -> None:
    """Refuse embeddings that hold NaN or infinity, or do not fit float32, under the name that the caller gave them."""
    for begin, values in _float32_chunks(rows):
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0].tolist()
            raise NegmineValueError(
                f"`{argument}` must be finite in float32; row {begin + row} is not, at column {column}."
            )


def count_zero_rows(rows: Rows) -> int:
    """Return the number of rows that are zero in float32."""
    return sum(int(np.count_nonzero(~values.any(axis=1))) for _, values in _float32_chunks(rows))


def _float32_chunks(rows: Rows) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Convert rows to float32, some at a time; yield the number of the first row of each chunk, and its values."""
    step = max(1, _CHECKED_AT_ONCE // max(rows.shape[1], 1))
    for begin in range(0, rows.shape[0], step):
        with np.errstate(over="ignore"):
            values = rows.slice(begin, begin + step).values().astype(np.float32, copy=False)
        yield begin, values


def refuse_unordered(value: object, argument: str) -> None:
    """Refuse values without an order that rows could follow: sets, and mappings, whose keys or values may be meant."""
    # The keys of a dictionary are ordered, although they are a `Set` too.
    if isinstance(value, Mapping) or (isinstance(value, Set) and not isinstance(value, KeysView | ItemsView)):
        instead = "`.keys()` or `.values()` of it" if isinstance(value, Mapping) else "`sorted(...)` of it"
        raise NegmineTypeError(f"`{argument}` must be a list or an array; got {type(value).__name__}. Give {instead}.")


def _as_sequence(value: object, argument: str) -> object:
    """Convert an iterable that is not a sequence, such as a generator or the keys of a dictionary, to a list."""
    if isinstance(value, str | bytes):
        raise NegmineTypeError(f"`{argument}` must be a list or an array; got {value!r}.")
    refuse_unordered(value, argument)
    known = ("__array__", "__array_interface__", "__getitem__")
    return list(value) if isinstance(value, Iterable) and not any(hasattr(value, name) for name in known) else value


def as_array(value: object, argument: str) -> npt.NDArray[Any]:
    """Convert a list, an array or an iterable to an array; refuse values that NumPy would change."""
    if isinstance(value, np.ma.MaskedArray):
        raise NegmineTypeError(f"`{argument}` must have every value; got a masked array. Fill it first.")
    value = _as_sequence(value, argument)
    kinds = set(map(type, value)) if isinstance(value, list | tuple) else set()
    if len({issubclass(kind, str) for kind in kinds}) > 1:
        raise NegmineTypeError(f"`{argument}` must be all strings or none; got a mixture.")
    if bool in kinds and len(kinds) > 1:
        raise NegmineTypeError(f"`{argument}` must not mix True and False with other entries; got both.")
    try:
        # NumPy's own strings would reserve the length of the longest one for every entry.
        read = (
            np.array(value, dtype=object)
            if kinds and all(issubclass(kind, str) for kind in kinds)
            else np.asarray(value)
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise NegmineTypeError(
            f"`{argument}` must be an array or a flat list; got {type(value).__name__} of unequal or unreadable "
            f"entries: {error}"
        ) from error
    if kinds == {int} and read.dtype.kind not in "iu":
        # NumPy converts integers beyond int64 to floats or objects.
        raise NegmineValueError(f"`{argument}` must fit int64; got {max(value, key=abs)}.")  # type: ignore[call-overload]
    return read


def describe_kind(array: npt.NDArray[Any]) -> str:
    """Describe the element type of an array, for error messages."""
    strings = array.dtype.kind in "UT" or (array.dtype.kind == "O" and all(isinstance(one, str) for one in array.flat))
    return "strings" if strings and array.size else f"dtype {array.dtype.name}"


def as_int64s(value: object, argument: str, n: int | None = None) -> npt.NDArray[np.int64]:
    """Validate a one-dimensional array of integers, of length ``n`` if given."""
    read = _without_objects(as_array(value, argument), argument)
    if read.dtype.kind not in "iu" and read.size:
        raise NegmineTypeError(f"`{argument}` must hold integers; got {describe_kind(read)}.")
    if read.ndim != 1 or (n is not None and len(read) != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise NegmineValueError(f"`{argument}` must have shape {expected}; got shape {read.shape}.")
    refuse_beyond_int64(read, argument)
    return np.ascontiguousarray(read, dtype=np.int64)


def _without_objects(read: npt.NDArray[Any], argument: str) -> npt.NDArray[Any]:
    """Convert an array of Python objects, as tables often hold numbers, to an array of the objects' type."""
    return as_array(read.tolist(), argument) if read.dtype.kind == "O" else read


def as_grades(
    value: object, argument: str, n: int | None = None, *, place: Callable[[int], str] = "at row {}".format
) -> npt.NDArray[np.int64]:
    """Validate a one-dimensional array of integers, or of floats that are whole numbers, as tables often hold grades.

    ``place`` describes the position of an invalid entry, for error messages.
    """
    read = _without_objects(as_array(value, argument), argument)
    if read.dtype.kind != "f":
        return as_int64s(read, argument, n)
    # 2**63 is the smallest positive float beyond int64.
    bad = ~((read == np.trunc(read)) & (np.abs(read) < 2.0**63))
    if bad.any():
        entry = int(bad.ravel().argmax())
        raise NegmineValueError(f"`{argument}` must hold whole numbers; got {read.ravel()[entry]} {place(entry)}.")
    return as_int64s(read.astype(np.int64), argument, n)


def refuse_beyond_int64(read: npt.NDArray[Any], argument: str) -> None:
    """Refuse unsigned integers that would wrap around."""
    if read.dtype.kind == "u" and read.size and read.max() >= 2**63:
        raise NegmineValueError(f"`{argument}` must fit int64; got {read.max()}.")


def as_offsets(value: object, argument: str, n: int, what: str) -> npt.NDArray[np.int64]:
    """Validate offsets into ``n`` entries: where each list begins, then where the last one ends.

    ``what`` is the noun for the entries in error messages.
    """
    read = as_int64s(value, argument)
    if len(read) == 0 or read[0] != 0 or read[-1] != n or (np.diff(read) < 0).any():
        rule = f"start at 0, never fall, and end at the number of {what}, {n}"
        raise NegmineValueError(f"`{argument}` must {rule}; got {read}.")
    return read


def check_field(value: object, argument: str, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Validate the dtype and shape (None: any length) of an array of a result, and make it contiguous."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        got = f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise NegmineTypeError(f"`{argument}` must be an array of {np.dtype(dtype).name}; got {got}.")
    if value.ndim != len(shape) or any(n not in (None, got) for n, got in zip(shape, value.shape, strict=True)):
        wanted = ", ".join("n" if n is None else str(n) for n in shape)
        raise NegmineValueError(
            f"`{argument}` must have shape ({wanted}{',' * (len(shape) == 1)}); got shape {value.shape}."
        )
    return np.ascontiguousarray(value)


def as_float64s(value: object, argument: str, n: int | None = None) -> npt.NDArray[np.float64]:
    """Validate a one-dimensional array of numbers, of length ``n`` if given."""
    read = _without_objects(as_array(value, argument), argument)
    if read.dtype.kind not in "iuf":
        raise NegmineTypeError(f"`{argument}` must hold numbers; got {describe_kind(read)}.")
    if read.ndim != 1 or (n is not None and len(read) != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise NegmineValueError(f"`{argument}` must have shape {expected}; got shape {read.shape}.")
    return np.ascontiguousarray(read, dtype=np.float64)


def as_shares(value: object, argument: str, n: int | None = None) -> npt.NDArray[np.float64]:
    """Validate shares, numbers that need not add up to 1, of length ``n`` if given."""
    shares = as_float64s(value, argument, n)
    if not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
        raise NegmineValueError(f"`{argument}` must be finite, at least 0, and not all 0; got {shares.tolist()}.")
    return shares


def public_scores(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round float64 scores to float32, saturated, so that -inf means padding only; -0.0 becomes +0.0."""
    saturated = np.clip(scores, -_LARGEST_F32, _LARGEST_F32).astype(np.float32)
    # Add zero after the rounding, because tiny negative scores round to -0.0.
    saturated += np.float32(0.0)
    saturated[np.isneginf(scores)] = -np.inf
    return saturated


def csr_of_file(offsets: npt.NDArray[Any], items: npt.NDArray[Any], argument: str) -> Csr:
    """Validate lists in CSR form that were read from a file."""
    items = check_field(items, f"{argument}_items", np.int64, (None,))
    offsets = check_field(offsets, f"{argument}_offsets", np.int64, (None,))
    return Csr(as_offsets(offsets, f"{argument}_offsets", len(items), "items"), items)
