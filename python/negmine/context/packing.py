"""Order and budget of a context: Jin et al., "Long-context LLMs meet RAG", ICLR 2025."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_int64s
from negmine._core.options import check_choice, check_epoch, check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Packed", "pack_context"]

ORDERS = ("ends", "rank", "random")


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Documents of a context, made by [`pack_context`][].

    Attributes
    ----------
    indices : int64 (n_packed,)
        Documents in the order of the context.
    is_gold : bool (n_packed,)
        True for gold documents.
    """

    indices: npt.NDArray[np.int64]
    is_gold: npt.NDArray[np.bool_]


@refuse_unknown_options("pack_context")
def pack_context(
    gold: int | npt.ArrayLike,
    distractors: npt.ArrayLike,
    k: int,
    *,
    order: Literal["ends", "rank", "random"] = "ends",
    gold_position: int | None = None,
    budget: int | None = None,
    lengths: npt.ArrayLike | None = None,
    seed: int = 0,
    epoch: int = 0,
    query: int = 0,
) -> Packed:
    """Put gold documents and distractors into the context of one query.

    Gold documents take ranks among the best distractors, so that there are ``k`` ranks; then the ranks are put in
    order. To have distractors of several types in exact numbers, choose them by [`negmine.selection.select`][].

    Parameters
    ----------
    gold : int or int64 (n_gold,)
        Gold documents; an empty list makes a context without evidence.
    distractors : int64 (n_distractors,)
        Other documents, best first; -1, which pads rows of mined negatives, is left out. If there are too few, the
        context has fewer than ``k`` documents.
    k : int
        Number of documents, gold documents included.
    order : {"ends", "rank", "random"}, default "ends"
        ``"ends"``: odd ranks ascending, then even ranks descending, so that the best are at both ends and the worst in
        the middle. ``"rank"``: by rank. ``"random"``: shuffled.
    gold_position : int, optional
        Rank of the first gold document, from 0; the others follow it. Not with ``order="random"``. Default: every gold
        document gets a uniformly random rank.
    budget : int, optional
        Largest sum of lengths. Above it, distractors are left out, those of the middle ranks first, and of two equally
        near to the middle the later; gold documents always stay.
    lengths : int64 (n_documents,), optional
        Length of every document by row, in the unit of ``budget``, such as tokens; given if and only if ``budget`` is.
    seed : int, default 0
        Seed of the draws, in [0, 2**64).
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    query : int, default 0
        Row of the query, in [0, 2**64), so that every query has its own draws.

    Returns
    -------
    Packed
        The documents in order, and which of them are gold.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or only one of ``budget`` and ``lengths`` is given.
    NegmineValueError
        There are more gold documents than ``k``, they exceed ``budget``, a document occurs twice, or a number is out of
        range.

    Examples
    --------
    >>> from negmine.context import pack_context
    >>> packed = pack_context(7, [1, 2, 3, 4, 5], 6, gold_position=0)
    >>> packed.indices.tolist()
    [7, 2, 4, 5, 3, 1]
    """
    number = check_integer(k, "k", least=1)
    arrangement = check_choice(order, "order", ORDERS)
    golds = _documents([gold] if isinstance(gold, int | np.integer) else gold, "gold", least=0)
    others = [row for row in _documents(distractors, "distractors", least=-1) if row >= 0]
    _refuse_repeats(golds, others)
    if len(golds) > number:
        raise NegmineValueError(f"`k` must be at least the number of gold documents, {len(golds)}; got {number}.")
    others = others[: number - len(golds)]
    total = len(golds) + len(others)
    position = _position(gold_position, total - len(golds), arrangement, bool(golds))
    draws = _draws(check_seed(seed), check_epoch(epoch), query, len(golds) + total)
    if position is None:
        free = list(range(total))
        ranks = [free.pop(_below(next(draws), len(free))) for _ in golds]
    else:
        ranks = list(range(position, position + len(golds)))
    rest = iter(others)
    at = dict(zip(ranks, golds, strict=True))
    ranked = [(at[rank], True) if rank in at else (next(rest), False) for rank in range(total)]
    ranked = _within_budget(ranked, budget, lengths)
    if arrangement == "ends":
        ranked = ranked[::2] + ranked[1::2][::-1]
    elif arrangement == "random":
        # Fisher and Yates.
        for last in range(len(ranked) - 1, 0, -1):
            other = _below(next(draws), last + 1)
            ranked[last], ranked[other] = ranked[other], ranked[last]
    return Packed(
        np.array([document for document, _ in ranked], dtype=np.int64),
        np.array([is_gold for _, is_gold in ranked], dtype=np.bool_),
    )


def _documents(value: object, argument: str, least: int) -> list[int]:
    rows: list[int] = as_int64s(value, argument).tolist()
    for place, row in enumerate(rows):
        if row < least:
            raise NegmineValueError(f"`{argument}` must hold rows, at least {least}; got {row} at place {place}.")
    return rows


def _refuse_repeats(golds: list[int], others: list[int]) -> None:
    """Refuse documents that would stand in the context twice."""
    seen: set[int] = set()
    for argument, rows in (("gold", golds), ("distractors", others)):
        for row in rows:
            if row in seen:
                also = "" if argument == "gold" else ", and none that is gold"
                raise NegmineValueError(f"`{argument}` must hold every document once{also}; got {row} again.")
            seen.add(row)


def _position(value: object, most: int, order: str, has_gold: bool) -> int | None:
    if value is None:
        return None
    if order == "random":
        raise NegmineValueError(f"`gold_position` must be None if `order` is 'random'; got {value!r}.")
    if not has_gold:
        raise NegmineValueError(f"`gold_position` must be None if `gold` is empty; got {value!r}.")
    return check_integer(value, "gold_position", least=0, most=most)


def _draws(seed: int, epoch: int, query: object, n: int) -> Iterator[int]:
    identity = check_integer(query, "query", least=0, most=2**64 - 1)
    drawn: list[int] = _native.context_draws(seed, epoch, identity, n).tolist()
    return iter(drawn)


def _below(draw: int, n: int) -> int:
    """Turn a draw of 64 bits into a number below ``n``."""
    return (draw * n) >> 64


def _within_budget(ranked: list[tuple[int, bool]], budget: object, lengths: object) -> list[tuple[int, bool]]:
    """Leave out distractors, from the middle ranks outwards, until the lengths of the others fit."""
    if (budget is None) != (lengths is None):
        missing, other = ("lengths", "budget") if lengths is None else ("budget", "lengths")
        raise NegmineTypeError(f"`{missing}` must be given if `{other}` is; got None.")
    if budget is None:
        return ranked
    most = check_integer(budget, "budget", least=0, most=2**63 - 1)
    sizes = as_int64s(lengths, "lengths")
    # All documents have lengths, and one context needs few of them.
    for document, _ in ranked:
        if document >= len(sizes):
            raise NegmineValueError(f"`lengths` must have a length for document {document}; got {len(sizes)} lengths.")
        if sizes[document] < 0:
            raise NegmineValueError(f"`lengths` must be at least 0; got {sizes[document]} at row {document}.")
    fixed = sum(int(sizes[document]) for document, is_gold in ranked if is_gold)
    if fixed > most:
        raise NegmineValueError(
            f"`budget` must be at least the length of the gold documents, {fixed}, which stay whole; got {most}."
        )
    total = sum(int(sizes[document]) for document, _ in ranked)
    middle_first = sorted(range(len(ranked)), key=lambda rank: (abs(2 * rank - len(ranked) + 1), -rank))
    left_out = set()
    for rank in middle_first:
        document, is_gold = ranked[rank]
        if total > most and not is_gold:
            left_out.add(rank)
            total -= int(sizes[document])
    return [entry for rank, entry in enumerate(ranked) if rank not in left_out]
