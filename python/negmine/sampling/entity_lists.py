"""Sources of entities and labels that are lists: lists that many of them share, and lists of relations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_int64s
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError

__all__ = ["RelationLists", "SharedLists"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class SharedLists:
    """Lists that many entities share: the list of an entity is that of its number, without the entity itself.

    Parameters
    ----------
    lists : Positives
        Lists of entities.
    numbers : int64 (n_entities,)
        Number of the list of each entity.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        ``numbers`` are not integers, or a list does not exist.
    """

    lists: Positives
    numbers: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        numbers = as_int64s(self.numbers, "numbers")
        object.__setattr__(self, "numbers", numbers)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self.lists)):
            bad = numbers.min() if numbers.min() < 0 else numbers.max()
            raise NegmineValueError(f"`numbers` must be numbers of the {len(self.lists)} lists; got {bad}.")

    def __len__(self) -> int:
        return len(self.numbers)

    def expand(self) -> Positives:
        """Return the list of every entity.

        Returns
        -------
        Positives

        Raises
        ------
        MemoryLimitError
            The lists do not fit in memory.
        """
        lengths = np.diff(self.lists.offsets)[self.numbers]
        ensure_fits_in_memory(int(lengths.sum()), 1, "numbers", entry=32)
        entities = np.repeat(np.arange(len(self.numbers)), lengths)
        begins = np.repeat(self.lists.offsets[:-1][self.numbers] - np.cumsum(lengths) + lengths, lengths)
        items = self.lists.items[np.arange(len(entities)) + begins]
        others = items != entities
        return Positives.from_pairs(entities[others], items[others], n_queries=len(self.numbers))


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class RelationLists:
    """Lists of the entities that may be heads, and tails, of each relation.

    Parameters
    ----------
    heads, tails : Positives
        One list of entities per relation.

    Raises
    ------
    NegmineValueError
        The numbers of lists differ.
    """

    heads: Positives
    tails: Positives

    def __post_init__(self) -> None:
        if len(self.heads) != len(self.tails):
            raise NegmineValueError(f"`tails` must have {len(self.heads)} lists, as `heads`; got {len(self.tails)}.")

    def __len__(self) -> int:
        return len(self.heads)
