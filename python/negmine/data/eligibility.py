"""Eligibility: one key per document and one range of keys per query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_int64s
from negmine._core.options import refuse_unknown_fields, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Eligibility", "check_eligible"]


@short_repr
@refuse_unknown_fields
@dataclass(frozen=True, slots=True, eq=False)
class Eligibility:
    """One key per document and one inclusive range of keys per query; documents outside the range are not candidates.

    For dates, ``keys`` are the dates of the documents and ``highest`` is the day before that of the query. For tenants
    or languages, use :meth:`equal`.

    Attributes
    ----------
    keys : int64 (n_documents,)
        Key of every document.
    lowest, highest : int64 (n_queries,)
        Range of keys of every query. An empty range (``lowest > highest``) admits no document.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> dates, asked = np.array([10, 20, 30]), np.array([25])
    >>> before = negmine.Eligibility(dates, lowest=np.array([0]), highest=asked - 1)
    >>> corpus = np.ones((3, 2), dtype=np.float32)
    >>> negmine.ExactIndex(corpus).search(corpus[:1], 3, eligible=before).indices.tolist()
    [[0, 1, -1]]
    """

    keys: npt.NDArray[np.int64]
    lowest: npt.NDArray[np.int64]
    highest: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("keys", "lowest", "highest"):
            object.__setattr__(self, name, as_int64s(getattr(self, name), name))
        if len(self.lowest) != len(self.highest):
            raise NegmineValueError(f"`highest` must have length {len(self.lowest)}; got {len(self.highest)}.")

    @classmethod
    @refuse_unknown_options("equal")
    def equal(cls, keys: npt.ArrayLike, query_keys: npt.ArrayLike) -> Eligibility:
        """Admit the documents whose key equals that of the query, such as a tenant or a language.

        Parameters
        ----------
        keys : int64 (n_documents,)
            Key of every document.
        query_keys : int64 (n_queries,)
            Key of every query.

        Returns
        -------
        Eligibility
        """
        wanted = as_int64s(query_keys, "query_keys")
        return cls(as_int64s(keys, "keys"), wanted, wanted)

    def slice(self, begin: int, end: int) -> Eligibility:
        """Take the queries in [begin, end), with the keys of all documents.

        Parameters
        ----------
        begin, end : int
            Range of queries.

        Returns
        -------
        Eligibility
        """
        return Eligibility(self.keys, self.lowest[begin:end], self.highest[begin:end])


def check_eligible(eligible: object) -> Eligibility | None:
    """Validate the argument ``eligible``.

    Parameters
    ----------
    eligible : object
        The argument.

    Returns
    -------
    Eligibility or None
        The argument itself.

    Raises
    ------
    NegmineTypeError
        The argument is neither None nor an `Eligibility`.
    """
    if eligible is not None and not isinstance(eligible, Eligibility):
        raise NegmineTypeError(f"`eligible` must be an Eligibility; got {type(eligible).__name__}.")
    return eligible
