"""Triples of a knowledge graph, and lists of the entities that give known ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, describe_kind, refuse_beyond_int64
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["KnownEntities", "known_entities", "read_triples"]

#: Columns of a triple.
HEAD, RELATION, TAIL = 0, 1, 2


def read_triples(value: object, argument: str, n_entities: int | None = None) -> npt.NDArray[np.int64]:
    """Validate triples.

    Parameters
    ----------
    value : int64 (n_triples, 3)
        Head, relation and tail of every triple.
    argument : str
        Name of the argument in error messages.
    n_entities : int, optional
        Number of entities. Default: any.

    Returns
    -------
    int64 (n_triples, 3)

    Raises
    ------
    NegmineTypeError, NegmineValueError
        The values are not integers of that shape, or an entity or a relation is out of range.
    """
    read = as_array(value, argument)
    if read.size == 0:
        read = read.reshape(0, 3).astype(np.int64)
    if read.dtype.kind not in "iu":
        raise NegmineTypeError(f"`{argument}` must hold integers; got {describe_kind(read)}.")
    if read.ndim != 2 or read.shape[1] != 3:
        raise NegmineValueError(f"`{argument}` must have shape (n_triples, 3); got shape {read.shape}.")
    refuse_beyond_int64(read, argument)
    triples = np.ascontiguousarray(read, dtype=np.int64)
    if len(triples) and triples.min() < 0:
        row = int(np.argmax((triples < 0).any(axis=1)))
        raise NegmineValueError(
            f"`{argument}` must hold numbers of at least 0; got {triples[row].tolist()} at row {row}."
        )
    entities = triples[:, [HEAD, TAIL]]
    if n_entities is not None and len(triples) and entities.max() >= n_entities:
        row = int(np.argmax((entities >= n_entities).any(axis=1)))
        got = f"{triples[row].tolist()} at row {row}"
        raise NegmineValueError(f"`{argument}` must hold entities below `n_entities`, {n_entities}; got {got}.")
    return triples


@dataclass(frozen=True, slots=True, eq=False)
class KnownEntities:
    """The entities of one side of known triples, by relation and entity of the other side."""

    #: Entities, one list for each relation and other entity.
    lists: Positives
    #: The list of each triple, int64 (n_triples,).
    numbers: npt.NDArray[np.int64]
    #: The relation of each list, ascending.
    relations: npt.NDArray[np.int64]


def known_entities(triples: npt.NDArray[np.int64], replaced: int) -> KnownEntities:
    """Group triples by all but one column.

    Parameters
    ----------
    triples : int64 (n_triples, 3)
        Known triples; repeats count once.
    replaced : int
        The column whose entities are listed, 0 or 2.

    Returns
    -------
    KnownEntities
    """
    kept = TAIL - replaced
    order = np.lexsort((triples[:, replaced], triples[:, kept], triples[:, RELATION]))
    relation, other, entity = (triples[order, column] for column in (RELATION, kept, replaced))
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (relation[1:] != relation[:-1]) | (other[1:] != other[:-1])
    fresh = begins.copy()
    fresh[1:] |= entity[1:] != entity[:-1]
    number = np.cumsum(begins) - 1
    n_lists = int(begins.sum())
    offsets = np.searchsorted(number[fresh], np.arange(n_lists + 1))
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = number
    return KnownEntities(Positives(offsets, entity[fresh]), numbers, relation[begins])
