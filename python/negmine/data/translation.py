"""Translation of lists and labels of any type to row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, as_int64s, refuse_unordered
from negmine._core.labels import Ids, Strings, as_ids, as_labels, describe_labels, find_labels
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["flatten", "no_positives", "read_known", "read_labels", "refuse_matrix", "translate"]


def flatten(lists: Iterable[Any], argument: str, names: Sequence[Any] | None = None) -> tuple[list[int], list[Any]]:
    """Concatenate lists, and return their lengths and entries.

    Parameters
    ----------
    lists : iterable of iterables
        One list per query.
    argument : str
        Name of the argument, for error messages.
    names : sequence, optional
        Labels of the queries that own the lists, for error messages. Default: the row numbers.

    Returns
    -------
    tuple of (list of int, list)
        Length of every list, and the entries of all lists.

    Raises
    ------
    NegmineTypeError
        The value is not a list for every query.
    """
    if not isinstance(lists, Iterable):
        raise NegmineTypeError(f"`{argument}` must be a list for every query; got {type(lists).__name__}.")
    refuse_unordered(lists, argument)
    flat: list[Any] = []
    lengths: list[int] = []
    for number, entries in enumerate(lists):
        if hasattr(entries, "as_py"):  # a scalar of an Arrow list array
            entries = entries.as_py()
        if isinstance(entries, str | bytes) or not isinstance(entries, Iterable) or getattr(entries, "ndim", 1) == 0:
            owner = number if names is None else repr(names[number])
            got = entries.item() if isinstance(entries, np.generic) else entries
            raise NegmineTypeError(f"`{argument}` must hold a list for every query; got {got!r} for query {owner}.")
        if isinstance(entries, Mapping):
            owner = number if names is None else repr(names[number])
            raise NegmineTypeError(
                f"`{argument}` must hold a list for every query; got {type(entries).__name__} for query {owner}. "
                "`Positives.from_qrels` takes grades."
            )
        before = len(flat)
        flat.extend(entries.to_pylist() if hasattr(entries, "to_pylist") else entries)
        lengths.append(len(flat) - before)
    return lengths, flat


def refuse_matrix(lists: object, rows: npt.NDArray[np.int64], argument: str) -> None:
    """Refuse a matrix of 0 and 1, which as lists of rows would name a document more than once.

    Parameters
    ----------
    lists : object
        Value of the argument.
    rows : int64 (n,)
        Its entries.
    argument : str
        Name of the argument, for error messages.

    Raises
    ------
    NegmineValueError
        The value is such a matrix.
    """
    shape: tuple[int, ...] = getattr(lists, "shape", ())
    if len(shape) == 2 and shape[1] > 2 and rows.size and 0 <= rows.min() <= rows.max() <= 1:
        raise NegmineValueError(
            f"`{argument}` must hold rows of documents; got a matrix of 0 and 1. As a sparse array, "
            "`Positives.from_scipy` takes it."
        )


@overload
def read_known(ids: npt.ArrayLike, argument: str) -> Ids: ...
@overload
def read_known(ids: npt.ArrayLike | None, argument: str) -> Ids | None: ...
def read_known(ids: npt.ArrayLike | None, argument: str) -> Ids | None:
    """Read the labels of all rows; an iterable is consumed.

    Parameters
    ----------
    ids : int64 (n,), Strings or None
        Unique labels.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    int64 (n,), Strings or None
        None without labels.
    """
    if ids is None:
        return None
    labels = as_labels(ids, argument)
    return as_ids(labels, argument, len(labels))


def read_labels(
    values: Sequence[Any], argument: str, lengths: Sequence[int] | None = None
) -> npt.NDArray[Any] | Strings:
    """Read labels, and refuse a mixture of integers and strings, which NumPy would silently turn into strings.

    Parameters
    ----------
    values : sequence
        Labels.
    argument : str
        Name of the argument, for error messages.
    lengths : sequence of int, optional
        Lengths of the lists that hold the labels; error messages then name the list.

    Returns
    -------
    array (n,) or Strings
    """
    if not len(values):
        return np.empty(0, dtype=np.int64)
    read = as_array(values, argument)
    if lengths is None or not all(isinstance(value, str) for value in values):
        return read
    ends = np.cumsum(lengths)
    return Strings.of(values, argument, lambda place: int(np.searchsorted(ends, place, side="right")))


def translate(
    values: npt.ArrayLike | Strings, labels: Ids | None, argument: str, known_argument: str, *, outside: bool = False
) -> npt.NDArray[np.int64]:
    """Translate labels to rows; without known labels, the values are the rows.

    Parameters
    ----------
    values : int64 or str (n,)
        Labels or rows.
    labels : int64 (any,), Strings or None
        Labels of all rows.
    argument : str
        Name of the argument that holds the values, for error messages.
    known_argument : str
        Name of the argument that holds the labels of all rows, for error messages.
    outside : bool, default False
        Whether -1 stays -1.

    Returns
    -------
    int64 (n,)

    Raises
    ------
    NegmineTypeError
        The labels have another type than those of the rows.
    NegmineValueError
        A label is unknown.
    """
    if labels is None:
        return as_int64s(values, argument)
    read = as_labels(values, argument)
    if len(read) and len(labels) and isinstance(read, Strings) != isinstance(labels, Strings):
        raise NegmineTypeError(
            f"`{argument}` must hold labels of the type of `{known_argument}`, {describe_labels(labels)}; "
            f"got {describe_labels(read)}."
        )
    rows = find_labels(read, labels)
    unknown = rows == -1
    if outside and not isinstance(read, Strings):
        unknown &= read != -1
    if unknown.any():
        label = read[unknown].tolist()[0]
        raise NegmineValueError(
            f"`{argument}` must hold labels of `{known_argument}`; got {label!r}, which is unknown."
        )
    return rows


def no_positives(n: int, n_unknown: int, grades: npt.NDArray[np.int64], min_grade: int) -> str:
    """Describe why judgments give no positive: labels are unknown, or grades are low.

    Parameters
    ----------
    n : int
        Number of judgments.
    n_unknown : int
        Number of judgments whose labels are unknown.
    grades : int64 (any,)
        Grades of the others.
    min_grade : int
        Lowest grade of a positive.

    Returns
    -------
    str
    """
    if n == 0:
        return "No query has a positive: there are no judgments."
    why = [f"the labels of {n_unknown} are not among the rows"] if n_unknown else []
    if len(grades):
        why.append(f"the grades of {len(grades)} are below `min_grade`, {min_grade} (the highest is {grades.max()})")
    return f"No query has a positive: of {n} judgments, {' and '.join(why)}."
