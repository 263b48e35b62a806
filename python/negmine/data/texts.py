"""Texts and their labels: of queries or documents, one per row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import refuse_unordered
from negmine._core.extras import require
from negmine._core.labels import Ids, as_ids, refuse_surrogates
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Texts", "read_strings"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Labeled texts, one per row.

    Attributes
    ----------
    ids : int64 (n,) or Strings
        Unique labels.
    texts : pyarrow.LargeStringArray (n,)
        The texts.
    titles : pyarrow.LargeStringArray (n,) or None
        The titles; None if the source has no titles, '' if a single one is missing.
    """

    ids: Ids
    texts: pa.LargeStringArray
    titles: pa.LargeStringArray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def from_lists(
        cls, texts: Iterable[str], *, ids: npt.ArrayLike | None = None, titles: Iterable[str] | None = None
    ) -> Texts:
        """Take lists of strings.

        Parameters
        ----------
        texts : iterable of str
            One text per row: a list, an Arrow array, a pandas Series, a column of a ``datasets.Dataset``, ...
        ids : int64 or str (n,), optional
            Unique labels. Default: the rows.
        titles : iterable of str, optional
            One title per row. Default: no titles.

        Returns
        -------
        Texts
        """
        read = read_strings(texts, "texts")
        read_titles = None if titles is None else read_strings(titles, "titles")
        if read_titles is not None and len(read_titles) != len(read):
            raise NegmineValueError(f"`titles` must have length {len(read)}; got {len(read_titles)}.")
        return cls(np.arange(len(read)) if ids is None else as_ids(ids, "ids", len(read)), read, read_titles)

    def joined(self) -> pa.LargeStringArray:
        """Join title, a space and text of every row, without white space at the ends: the text that BEIR encodes.

        Returns
        -------
        pyarrow.LargeStringArray (n,)
        """
        if self.titles is None:
            return self.texts
        arrow = require("pyarrow", "arrow", "joining titles and texts")
        compute = require("pyarrow.compute", "arrow", "joining titles and texts")
        space = arrow.scalar(" ", arrow.large_string())
        return compute.utf8_trim_whitespace(compute.binary_join_element_wise(self.titles, self.texts, space))

    def take(self, rows: npt.NDArray[np.int64]) -> Texts:
        """Take some rows, in the order given.

        Parameters
        ----------
        rows : int64 (any,)
            Row numbers.

        Returns
        -------
        Texts
        """
        return Texts(self.ids[rows], self.texts.take(rows), None if self.titles is None else self.titles.take(rows))


def read_strings(value: Iterable[str], argument: str) -> pa.LargeStringArray:
    """Read strings into one Arrow array.

    Parameters
    ----------
    value : iterable of str
        A list, an Arrow array, a pandas Series, a column of a ``datasets.Dataset`` or another iterable with an order.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    pyarrow.LargeStringArray (n,)

    Raises
    ------
    NegmineTypeError
        The value is no iterable with an order, or an entry is no string; the message names its row.
    NegmineValueError
        A string is not UTF-8, or has a lone surrogate.
    """
    arrow = require("pyarrow", "arrow", "holding texts")
    if isinstance(value, arrow.Array | arrow.ChunkedArray):
        return _arrow_strings(value, argument)
    if isinstance(value, str) or not isinstance(value, Iterable):
        got = f"the string {value!r}" if isinstance(value, str) else type(value).__name__
        raise NegmineTypeError(f"`{argument}` must be a list of strings; got {got}.")
    refuse_unordered(value, argument)
    read = list(value)
    for row, string in enumerate(read):
        if not isinstance(string, str):
            raise NegmineTypeError(f"`{argument}` must hold strings; got {string!r} at row {row}.")
    refuse_surrogates(read, argument)
    return arrow.array(read, arrow.large_string())


def _arrow_strings(value: pa.Array | pa.ChunkedArray, argument: str) -> pa.LargeStringArray:
    arrow = require("pyarrow", "arrow", "holding texts")
    kind = value.type.value_type if arrow.types.is_dictionary(value.type) else value.type
    types = arrow.types
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise NegmineTypeError(f"`{argument}` must hold strings; got an Arrow array of {value.type}.")
    if value.null_count:
        row = value.is_null().to_numpy(zero_copy_only=False).argmax()
        raise NegmineTypeError(f"`{argument}` must hold strings; got None at row {row}.")
    whole = value.cast(arrow.large_string())
    whole = whole.combine_chunks() if isinstance(whole, arrow.ChunkedArray) else whole
    try:
        whole.validate(full=True)
    except arrow.ArrowInvalid as error:
        raise NegmineValueError(f"`{argument}` must be UTF-8; got {error}.") from None
    return whole
