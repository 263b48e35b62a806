"""Labels of rows: int64 arrays, or strings in Arrow's layout.

NumPy's own arrays of strings reserve the length of the longest string in every row, so one long label among millions
would take gigabytes. [`Strings`][] takes the bytes of the strings and eight more per row, is indexed once, and is
never copied. Results make object arrays of their labels at the first access.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_array, as_int64s, as_offsets, check_field, describe_kind
from negmine._core.extras import require
from negmine.errors import NegmineTypeError, NegmineValueError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Ids",
    "LabelArray",
    "Labeled",
    "PartialLabels",
    "Strings",
    "as_ids",
    "as_labels",
    "codes_of",
    "concatenate",
    "describe_labels",
    "find_labels",
    "first_difference",
    "from_arrays",
    "refuse_surrogates",
    "take_ids",
    "take_labels",
    "to_arrays",
    "to_arrow",
]


#: Labels that are joined or sorted in one call, so that signals are answered in between.
AT_ONCE = 1 << 18


class Strings(Sequence[str]):
    """Immutable strings, one per row, in Arrow's layout.

    A row number gives a string; a slice or an array of rows gives [`Strings`][]. NumPy reads an array of objects.

    Parameters
    ----------
    offsets : int64 (n + 1,)
        Start of each string in ``items``, then the end of the last one.
    items : uint8 (any,)
        The bytes of all strings, in UTF-8.
    """

    __slots__ = ("_table", "items", "offsets")

    def __init__(self, offsets: npt.NDArray[np.int64], items: npt.NDArray[np.uint8]) -> None:
        self.offsets = offsets
        self.items = items
        self._table: _native.StringTable | None = None

    @classmethod
    def of(cls, strings: Iterable[str], argument: str, row: Callable[[int], int] = int) -> Strings:
        """Encode strings as UTF-8.

        Parameters
        ----------
        strings : iterable of str
            The strings.
        argument : str
            Name of the argument, for error messages.
        row : callable, default int
            Function from the position of a string to its row, for error messages.

        Returns
        -------
        Strings

        Raises
        ------
        NegmineValueError
            A string has a lone surrogate; the message names its row.
        """
        encoded: list[bytes] = []
        for string in strings:
            try:
                encoded.append(string.encode())
            except UnicodeEncodeError:
                refuse_surrogates([string], argument, lambda _: row(len(encoded)))
                raise
        lengths, joined = np.empty(len(encoded), dtype=np.int64), bytearray()
        for begin in range(0, len(encoded), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            lengths[part] = list(map(len, encoded[part]))
            joined += b"".join(encoded[part])
        return cls(_offsets(lengths), np.frombuffer(joined, dtype=np.uint8))

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray | pa.Array) -> Strings:
        """Take an Arrow array of valid UTF-8 strings without nulls.

        Parameters
        ----------
        column : pyarrow.Array or pyarrow.ChunkedArray
            Strings of any type.

        Returns
        -------
        Strings
        """
        arrow = require("pyarrow", "arrow", "reading labels")
        column = column.cast(arrow.large_string())
        column = column.combine_chunks() if isinstance(column, arrow.ChunkedArray) else column
        _, offsets, items = column.buffers()
        if len(column) == 0:
            return cls(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8))
        places = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        bytes_ = np.frombuffer(items or b"", dtype=np.uint8)[places[0] : places[-1]]
        return cls(places - places[0], bytes_)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int]:
        """Number of strings, in a tuple, as arrays have it."""
        return (len(self),)

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> str: ...
    @overload
    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> Strings: ...
    def __getitem__(self, rows: int | np.integer[Any] | slice | npt.NDArray[Any]) -> str | Strings:
        if isinstance(rows, slice):
            begin, end, step = rows.indices(len(self))
            if step == 1:
                end = max(begin, end)
                offsets = self.offsets[begin : end + 1]
                return Strings(offsets - offsets[0], self.items[offsets[0] : offsets[-1]])
            return self[np.arange(begin, end, step)]
        if isinstance(rows, np.ndarray) and rows.ndim:
            return self.take(np.arange(len(self))[rows])
        row = range(len(self))[int(rows)]
        return self.items[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def take(self, rows: npt.NDArray[np.int64]) -> Strings:
        """Return the strings of some rows, and '' for row -1.

        Parameters
        ----------
        rows : int64 (any,)
            Row numbers.

        Returns
        -------
        Strings
        """
        present = rows >= 0
        begins = np.where(present, self.offsets[rows], 0)
        offsets = _offsets(np.where(present, self.offsets[rows + 1], 0) - begins)
        places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], np.diff(offsets))
        return Strings(offsets, self.items[places])

    def __iter__(self) -> Iterator[str]:
        return iter(self.tolist())

    def tolist(self) -> list[str]:
        """Return a list of the strings.

        Returns
        -------
        list of str
        """
        ends = self.offsets.tolist()
        bytes_ = self.items.tobytes()
        text = bytes_.decode()
        if len(text) == len(bytes_):
            return [text[begin:end] for begin, end in itertools.pairwise(ends)]
        return [bytes_[begin:end].decode() for begin, end in itertools.pairwise(ends)]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("strings cannot become an array without a copy")
        array = np.empty(len(self), dtype=object)
        array[:] = self.tolist()
        return array if dtype is None else array.astype(dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Strings):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.items, other.items)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Strings({len(self)} rows, {self.items.nbytes} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Strings, (self.offsets, self.items)

    def _index(self) -> _native.StringTable:
        if self._table is None:
            self._table = _native.StringTable(self)
        return self._table

    def find(self, wanted: Strings) -> npt.NDArray[np.int64]:
        """Find the first row that holds each wanted string.

        Parameters
        ----------
        wanted : Strings
            The strings to find.

        Returns
        -------
        int64 (n_wanted,)
            Rows; -1 for a string that no row holds.
        """
        return self._index().find(self, wanted)

    def first(self) -> npt.NDArray[np.int64]:
        """Find, for each row, the first row that holds the same string.

        Returns
        -------
        int64 (n,)
        """
        return self.find(self)


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


#: Labels of rows.
Ids = npt.NDArray[np.int64] | Strings

#: Labels in the shape of a result: int64, or str objects.
LabelArray = npt.NDArray[np.int64] | npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class PartialLabels:
    """Labels of some rows, as a file of results holds them.

    Attributes
    ----------
    rows : int64 (n,)
        Rows in ascending order.
    ids : int64 (n,) or Strings
        Labels of these rows.
    """

    rows: npt.NDArray[np.int64]
    ids: Ids

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.ids) or (np.diff(self.rows) <= 0).any():
            raise NegmineValueError(
                f"`rows` must be in ascending order, one per label; got {len(self.rows)} rows for {len(self.ids)} "
                "labels."
            )


def as_labels(value: object, argument: str) -> Ids:
    """Validate labels, int64 or str.

    Parameters
    ----------
    value : object
        Strings, an array, a list or an iterable in a fixed order.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    int64 (n,) or Strings

    Raises
    ------
    NegmineTypeError
        The labels are neither integers nor strings, or a mixture.
    NegmineValueError
        The value is not one-dimensional, an integer does not fit int64, or a string has a lone surrogate.
    """
    if isinstance(value, Strings):
        return value
    read = as_array(value, argument)
    if read.ndim != 1:
        raise NegmineValueError(f"`{argument}` must have shape (n,); got shape {read.shape}.")
    if read.dtype.kind in "TU":
        return Strings.of(read.tolist(), argument)
    if read.dtype.kind == "O" and read.size:
        entries = read.tolist()
        if all(isinstance(entry, str) for entry in entries):
            return Strings.of(entries, argument)
        read = as_array(entries, argument)
    if read.dtype.kind not in "iu" and read.size:
        raise NegmineTypeError(f"`{argument}` must hold integers or strings; got {describe_kind(read)}.")
    return as_int64s(read, argument)


def as_ids(value: object, argument: str, n: int) -> Ids:
    """Validate unique labels of ``n`` rows, int64 or str; -1 and '' are refused because they are padding."""
    read = as_labels(value, argument)
    if len(read) != n:
        raise NegmineValueError(f"`{argument}` must have shape ({n},); got shape {read.shape}.")
    if isinstance(read, Strings):
        pad: int | str = ""
        padding = np.diff(read.offsets) == 0
        repeats = np.flatnonzero(read.first() != np.arange(n))
        repeated = min(read[repeats]) if len(repeats) else None
    else:
        pad, padding = -1, read == -1
        unique, counts = np.unique(read, return_counts=True)
        repeated = unique[counts > 1][0].item() if len(unique) != n else None
    if padding.any():
        raise NegmineValueError(f"`{argument}` must not hold {pad!r}, which pads; got it at row {np.argmax(padding)}.")
    if repeated is not None:
        raise NegmineValueError(f"`{argument}` must be unique; got {repeated!r} more than once.")
    return read


def refuse_surrogates(strings: Iterable[object], argument: str, row: Callable[[int], int] = int) -> None:
    """Refuse strings with a lone surrogate, which no file and no digest can hold.

    Parameters
    ----------
    strings : iterable
        Strings; entries of other types are skipped.
    argument : str
        Name of the argument, for error messages.
    row : callable, default int
        Function from the position of an entry to its row.

    Raises
    ------
    NegmineValueError
        A string has a lone surrogate; the message names its row.
    """
    for place, string in enumerate(strings):
        if isinstance(string, str) and not string.isascii():
            try:
                string.encode()
            except UnicodeEncodeError:
                raise NegmineValueError(
                    f"`{argument}` must hold Unicode text; got {string!r} at row {row(place)}, with a lone surrogate."
                ) from None


def describe_labels(labels: Ids) -> str:
    """Describe the type of labels, for error messages."""
    return "strings" if isinstance(labels, Strings) else describe_kind(labels)


def find_labels(wanted: Ids, known: Ids) -> npt.NDArray[np.int64]:
    """Return the row of every wanted label among the known ones; -1 if it is not among them."""
    if isinstance(wanted, Strings) and isinstance(known, Strings):
        return known.find(wanted)
    if isinstance(wanted, Strings) or isinstance(known, Strings) or len(known) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    rows = order[place]
    return np.where(known[rows] == wanted, rows, -1).astype(np.int64)


def codes_of(labels: Ids) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Number distinct labels in ascending order.

    Parameters
    ----------
    labels : int64 (n,) or Strings
        The labels.

    Returns
    -------
    tuple of (int64 (m,) or Strings, int64 (n,))
        The distinct labels, and the number of each row's label among them.
    """
    if not isinstance(labels, Strings):
        parts = [labels[begin : begin + AT_ONCE] for begin in range(0, len(labels), AT_ONCE)]
        names = np.unique(np.concatenate([labels[:0], *map(np.unique, parts)]))
        return names, np.concatenate([labels[:0], *(np.searchsorted(names, part) for part in parts)])
    first = labels.first()
    distinct = np.flatnonzero(first == np.arange(len(first)))
    strings = labels[distinct].tolist()
    order = np.array(sorted(range(len(strings)), key=strings.__getitem__), dtype=np.int64)
    numbers = np.empty(len(labels), dtype=np.int64)
    numbers[distinct[order]] = np.arange(len(order))
    return labels[distinct[order]], numbers[first]


def first_difference(labels: Ids, others: Ids) -> int | None:
    """Return the first position at which two equally long sequences of labels differ; None if they are equal."""
    if isinstance(labels, Strings) and isinstance(others, Strings):
        if labels == others:
            return None
        pairs = zip(labels.tolist(), others.tolist(), strict=True)
        return next(place for place, (label, other) in enumerate(pairs) if label != other)
    different = np.asarray(labels) != np.asarray(others)
    return int(different.argmax()) if different.any() else None


def concatenate(labels: Ids, others: Ids) -> Ids:
    """Return the labels of two sequences of the same type, one after the other."""
    if isinstance(labels, Strings) and isinstance(others, Strings):
        offsets = np.concatenate([labels.offsets, others.offsets[1:] + labels.offsets[-1]])
        return Strings(offsets, np.concatenate([labels.items, others.items]))
    joined: npt.NDArray[np.int64] = np.concatenate([np.asarray(labels), np.asarray(others)])
    return joined


def take_labels(labels: Ids | PartialLabels | None, indices: npt.NDArray[np.int64]) -> LabelArray:
    """Return the labels of documents as an array for users.

    Parameters
    ----------
    labels : int64 (n_documents,), Strings, PartialLabels or None
        Labels of all documents, or of those that occur.
    indices : int64 array
        Rows of documents, padded with -1.

    Returns
    -------
    int64 or object array of the same shape
        The labels, padded with -1 or ''; ``indices`` itself if there are no labels.
    """
    if labels is None:
        return indices
    rows, places = np.unique(indices, return_inverse=True)
    taken: LabelArray = np.asarray(take_ids(labels, rows))
    return taken[places].reshape(indices.shape)


def take_ids(labels: Ids | PartialLabels | None, rows: npt.NDArray[np.int64]) -> Ids:
    """Return the labels of documents in the form in which the library passes them on.

    Parameters
    ----------
    labels : int64 (n_documents,), Strings, PartialLabels or None
        Labels of all documents, or of those that occur.
    rows : int64 (n,)
        Rows of documents, or -1.

    Returns
    -------
    int64 (n,) or Strings
        The labels, -1 or '' for row -1; ``rows`` itself if there are no labels.
    """
    if labels is None:
        return rows
    if isinstance(labels, PartialLabels):
        places = find_labels(rows, labels.rows)
        if (unknown := (places < 0) & (rows >= 0)).any():
            raise NegmineValueError(f"`indices` must be of documents with labels; got {rows[unknown][0]}.")
        labels, rows = labels.ids, places
    if isinstance(labels, Strings):
        return labels.take(rows)
    return np.append(labels, -1)[rows]


class Labeled:
    """Base class of results that hold documents, with or without labels."""

    __slots__ = ()

    indices: npt.NDArray[np.int64]
    document_ids: Ids | PartialLabels | None
    _ids: LabelArray | None

    @property
    def ids(self) -> LabelArray:
        """Labels of the documents, int64 or str objects in the shape of ``indices``, padded with -1 or ''.

        They are made at the first access, and equal ``indices`` if the documents have no labels.
        """
        if self._ids is None:
            object.__setattr__(self, "_ids", take_labels(self.document_ids, self.indices))
        return self._ids  # type: ignore[return-value]


def to_arrays(name: str, labels: Ids | None) -> dict[str, npt.NDArray[Any] | None]:
    """Return the arrays that hold labels in a file, by name.

    Parameters
    ----------
    name : str
        Name of the labels.
    labels : int64 (n,), Strings or None
        The labels.

    Returns
    -------
    dict of str to array or None
    """
    if isinstance(labels, Strings):
        return {f"{name}_offsets": labels.offsets, f"{name}_items": labels.items}
    return {name: labels}


def from_arrays(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Ids | None:
    """Restore labels from the arrays of a file.

    Parameters
    ----------
    name : str
        Name of the labels.
    arrays : mapping of str to array
        Arrays of the file, by name; those of [`to_arrays`][] may be missing.

    Returns
    -------
    int64 (n,), Strings or None

    Raises
    ------
    NegmineValueError
        The arrays are not those of labels.
    """
    offsets, items = arrays.get(f"{name}_offsets"), arrays.get(f"{name}_items")
    if offsets is None and items is None:
        return None if name not in arrays else check_field(arrays[name], name, np.int64, (None,))
    if offsets is None or items is None or name in arrays:
        raise NegmineValueError(f"`{name}` must be integers, or offsets and items; got other arrays.")
    offsets = check_field(offsets, f"{name}_offsets", np.int64, (None,))
    items = check_field(items, f"{name}_items", np.uint8, (None,))
    as_offsets(offsets, f"{name}_offsets", len(items), "bytes")
    strings = Strings(offsets, items)
    try:
        strings.tolist()
    except UnicodeDecodeError as error:
        raise NegmineValueError(f"`{name}` must be UTF-8; got {error}.") from None
    return strings


def to_arrow(labels: Ids) -> pa.Array:
    """Convert labels to an Arrow array of int64 or string.

    Parameters
    ----------
    labels : int64 (n,) or Strings
        The labels.

    Returns
    -------
    pyarrow.Array
    """
    arrow = require("pyarrow", "arrow", "making a table of labels")
    if not isinstance(labels, Strings):
        return arrow.array(labels)
    offsets, items = (arrow.py_buffer(np.ascontiguousarray(part)) for part in (labels.offsets, labels.items))
    return arrow.LargeStringArray.from_buffers(len(labels), offsets, items).cast(arrow.string())
