"""The one place where what users hand over becomes what the core takes; it says when it copies."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = [
    "Csr",
    "Ids",
    "Progress",
    "Rows",
    "check_names",
    "choice",
    "find",
    "ids",
    "int64s",
    "integer",
    "labels",
    "public_scores",
    "real",
    "rows",
    "seed",
    "threads",
]

#: Labels of rows: int64 or str.
Ids = npt.NDArray[np.int64] | npt.NDArray[np.str_]

#: Called as ``progress(done, total)`` about every 50 ms, in pieces of work whose size is not promised.
Progress = Callable[[int, int], None]

#: Element types that the core reads, by the name of their dtype.
KINDS = ("float32", "float16", "bfloat16", "float64", "int8", "uint8")

_LARGEST_F32 = float(np.finfo(np.float32).max)


class CsrLike(Protocol):
    """Lists of row numbers."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each list begins."""

    @property
    def items(self) -> npt.NDArray[np.int64]:
        """The entries of all lists."""


@dataclass(frozen=True, slots=True)
class Csr:
    """Lists of row numbers, contiguous and checked by the core."""

    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """A two-dimensional array whose elements the core can read in place."""

    array: npt.NDArray[Any]
    kind: str
    #: Why the array is not the caller's own memory; "" where it is.
    copied: str
    #: The caller's own memory.
    source: npt.NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width."""
        return self.array.shape[0], self.array.shape[1]

    def slice(self, begin: int, end: int) -> Rows:
        """Rows ``begin`` to ``end``, without a copy."""
        return Rows(self.array[begin:end], self.kind, self.copied, self.source[begin:end])


def rows(value: object, argument: str) -> Rows:
    """Read ``value`` as embeddings, one per row.

    Parameters
    ----------
    value
        NumPy array (memory-mapped ones included), CPU torch tensor, or Arrow fixed-size-list array, of shape
        ``(n, width)``, of float32, float16, bfloat16, float64, int8 or uint8, with any strides.
    argument
        The name that errors use.

    Raises
    ------
    NegmineTypeError
        Another type or dtype.
    NegmineValueError
        A tensor on another device, nulls, or a shape that is not two-dimensional.
    """
    array, kind = _array(value, argument)
    if kind not in KINDS:
        raise NegmineTypeError(f"`{argument}` must hold one of {', '.join(KINDS)}; got dtype {kind}.")
    if array.ndim != 2:
        raise NegmineValueError(f"`{argument}` must have shape (n, width); got shape {array.shape}.")
    if array.size == 0:
        # NumPy calls an empty array aligned wherever it points.
        return Rows(np.empty(array.shape, dtype=array.dtype.newbyteorder("=")), kind, "", array)
    if not array.dtype.isnative or not array.flags.aligned:
        why = "big-endian" if not array.dtype.isnative else "misaligned"
        # Not `ascontiguousarray`, which returns a contiguous array as it is, however it is aligned.
        native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
        return Rows(native, kind, why, array)
    return Rows(array, kind, "", array)


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
            f"got {type(value).__name__}."
        )
    kind = value.dtype.name
    # The core reads 16-bit floats as bits.
    array = value.view(value.dtype.str[0] + "u2" if kind == "float16" else np.uint16) if kind in _BITS else value
    return np.asarray(array), kind


_BITS = ("float16", "bfloat16")


def _from_torch(
    torch: Any,  # noqa: ANN401 (torch is not a dependency)
    tensor: Any,  # noqa: ANN401
    argument: str,
) -> tuple[npt.NDArray[Any], str]:
    if tensor.device.type != "cpu":
        raise NegmineValueError(
            f"`{argument}` must lie in CPU memory; got a tensor on device {tensor.device}. Call `.cpu()` first."
        )
    if tensor.layout is not torch.strided:
        raise NegmineTypeError(f"`{argument}` must be a dense tensor; got layout {tensor.layout}.")
    kind = str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.detach()
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
    if not arrow.types.is_fixed_size_list(value.type):
        raise NegmineTypeError(f"`{argument}` must be a fixed-size-list array of numbers; got {value.type}.")
    flat = value.flatten()
    if value.null_count or flat.null_count:
        raise NegmineValueError(f"`{argument}` must have every value; got {value.null_count} null rows.")
    numbers = flat.to_numpy(zero_copy_only=True)
    array = numbers.reshape(len(value), value.type.list_size)
    return array.view(np.uint16) if array.dtype == np.float16 else array, array.dtype.name


def ids(value: object, argument: str, n: int) -> Ids:
    """Read unique labels of ``n`` rows, int64 or str; -1 and '' are refused because they pad."""
    array = np.asarray(value)
    if array.ndim != 1 or len(array) != n:
        raise NegmineValueError(f"`{argument}` must have shape ({n},); got shape {array.shape}.")
    array = labels(array, argument)
    pad = "" if array.dtype.kind == "U" else -1
    if (array == pad).any():
        raise NegmineValueError(
            f"`{argument}` must not hold {pad!r}, which pads; got it at row {np.argmax(array == pad)}."
        )
    unique, counts = np.unique(array, return_counts=True)
    if len(unique) != n:
        raise NegmineValueError(f"`{argument}` must be unique; got {unique[counts > 1][0]!r} more than once.")
    return array


def labels(value: object, argument: str) -> Ids:
    """Read labels, int64 or str."""
    array = np.asarray(value)
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array):
        array = array.astype(np.str_)
    if array.dtype.kind in "iu" or array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind != "U":
        raise NegmineTypeError(f"`{argument}` must hold integers or strings; got dtype {array.dtype.name}.")
    return array


def find(wanted: Ids, known: Ids) -> npt.NDArray[np.int64]:
    """Row of every wanted label among the known ones, which are unique; -1 where it is none of them."""
    if len(known) == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    rows = order[place]
    return np.where(known[rows] == wanted, rows, -1).astype(np.int64)


def int64s(value: object, argument: str, n: int | None = None) -> npt.NDArray[np.int64]:
    """Read a one-dimensional array of integers, of length ``n`` where that is known."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" and array.size:
        raise NegmineTypeError(f"`{argument}` must hold integers; got dtype {array.dtype.name}.")
    if array.ndim != 1 or (n is not None and len(array) != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise NegmineValueError(f"`{argument}` must have shape {expected}; got shape {array.shape}.")
    return np.ascontiguousarray(array, dtype=np.int64)


def integer(value: object, argument: str, *, least: int) -> int:
    """Read an integer that is at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise NegmineTypeError(f"`{argument}` must be an integer; got {value!r}.")
    if value < least:
        raise NegmineValueError(f"`{argument}` must be at least {least}; got {value}.")
    return int(value)


def real(value: object, argument: str, *, least: float = -math.inf, above: float = -math.inf) -> float:
    """Read a finite number, at least ``least`` and above ``above``."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise NegmineTypeError(f"`{argument}` must be a number; got {value!r}.")
    number = float(value)
    if not math.isfinite(number):
        raise NegmineValueError(f"`{argument}` must be finite; got {number}.")
    if number < least:
        raise NegmineValueError(f"`{argument}` must be at least {least}; got {number}.")
    if number <= above:
        raise NegmineValueError(f"`{argument}` must be greater than {above}; got {number}.")
    return number


def choice(value: object, argument: str, options: Sequence[str]) -> str:
    """Read one of a few words."""
    if value not in options:
        raise NegmineValueError(f"`{argument}` must be one of {', '.join(map(repr, options))}; got {value!r}.")
    return str(value)


def seed(value: object) -> int:
    """Read a seed: an integer in [0, 2**64)."""
    number = integer(value, "seed", least=0)
    if number >= 2**64:
        raise NegmineValueError(f"`seed` must be below 2**64; got {number}.")
    return number


def threads(num_threads: int | None) -> int:
    """Read a thread count; by default every core that this process may use, and one inside a DataLoader worker."""
    if num_threads is not None:
        return integer(num_threads, "num_threads", least=1)
    data = sys.modules.get("torch.utils.data")
    if data is not None and data.get_worker_info() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_names(given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Refuse option names that do not exist, and say which do."""
    known = sorted(known)
    for name in given:
        if name not in known:
            raise NegmineTypeError(f"`{owner}` has no option {name!r}; it has {', '.join(known)}.")


def public_scores(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Round f64 scores to f32, saturated, so that -inf means padding only; -0.0 becomes +0.0."""
    saturated = np.clip(scores, -_LARGEST_F32, _LARGEST_F32).astype(np.float32)
    # Added after the rounding, which makes -0.0 of what is tiny and negative.
    saturated += np.float32(0.0)
    saturated[np.isneginf(scores)] = -np.inf
    return saturated
