"""Values of queries or documents in training rows: their texts, or their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, Strings, find_labels, first_difference, to_arrow
from negmine.data.texts import Texts
from negmine.errors import NegmineValueError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Side"]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Lookup of the value for a query or a document: its text, or its label if there are no texts.

    Attributes
    ----------
    texts : Texts or None
        Texts of all rows.
    argument : str
        Name of the argument that gave the texts, for error messages.
    by_label : bool, default False
        Whether a text is found by its label, in any row.
    labels_are_texts : bool, default False
        Whether there are no texts because the labels are the texts themselves.
    """

    texts: Texts | None
    argument: str
    by_label: bool = False
    labels_are_texts: bool = False

    def values(self, rows: Int64s, ids: Ids) -> pa.Array:
        """Return one value per row.

        Parameters
        ----------
        rows : int64 (n,)
            Rows of queries or documents.
        ids : int64 (n,) or Strings
            Labels of these rows.

        Returns
        -------
        pyarrow.Array
        """
        return to_arrow(ids) if self.texts is None else self.passages(rows, ids).joined()

    def passages(self, rows: Int64s, ids: Ids) -> Texts:
        """Return the texts of rows, with the labels of what was mined if these are strings.

        Parameters
        ----------
        rows : int64 (n,)
            Rows of queries or documents.
        ids : int64 (n,) or Strings
            Labels of these rows.

        Returns
        -------
        Texts
        """
        assert self.texts is not None  # the formats that need passages refuse None
        places = self._places(rows, ids)
        found = self.texts.take(places)
        return Texts(ids, found.texts, found.titles) if isinstance(ids, Strings) else found

    def _places(self, rows: Int64s, ids: Ids) -> Int64s:
        """Return the rows of the texts; refuse texts that lack a row or a label, or whose labels differ."""
        assert self.texts is not None
        if self.by_label:
            places = find_labels(ids, self.texts.ids)
            if (places < 0).any():
                place = int((places < 0).argmax())
                missing = ids[place : place + 1].tolist()[0]
                raise NegmineValueError(
                    f"`{self.argument}` must hold a text for every label; got none for {missing!r}."
                )
            return places
        n = len(self.texts)
        if len(rows) and rows.max() >= n:
            raise NegmineValueError(
                f"`{self.argument}` must hold a text for every row; got {n} texts, and row {rows.max()} is needed."
            )
        known = self.texts.ids[rows]
        if isinstance(known, Strings) != isinstance(ids, Strings):
            return rows
        labeled = isinstance(ids, Strings) or not np.array_equal(ids, rows)
        place_of_other = first_difference(known, ids) if labeled else None
        if place_of_other is not None:
            one = slice(place_of_other, place_of_other + 1)
            raise NegmineValueError(
                f"`{self.argument}` must be the texts of what was mined; row {rows[place_of_other]} is "
                f"{ids[one].tolist()[0]!r} there and {known[one].tolist()[0]!r} here."
            )
        return rows
