"""Corrupted triples of knowledge graphs: never a known triple, as a pure function of (seed, epoch, row)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_int64s
from negmine._core.calls import ensure_fits_in_memory, resolve_num_threads
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_flag,
    check_integer,
    check_seed,
    refuse_unknown_options,
)
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.sampling.entity_lists import RelationLists, SharedLists
from negmine.sampling.sources import Popularity, Source, is_nested, read_lists, read_weights, split_sources
from negmine.sampling.triples import HEAD, RELATION, TAIL, KnownEntities, known_entities, read_triples

__all__ = ["Corrupted", "EntitySource", "TripleCorruptor", "corrupt"]

SIDES = ("both", "head", "tail", "bernoulli")
ANCHORS = ("kept", "replaced")

#: A source of entities: a source of a sampler, lists that entities share, or lists of relations.
EntitySource = Source | SharedLists | RelationLists


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Corrupted:
    """Corrupted triples of some triples.

    Attributes
    ----------
    triples : int64 (n_triples, num_negatives, 3)
        Head, relation and tail of the corrupted triples, padded with -1: first those with another head, then those with
        another tail, each in ascending order of the new entity.
    counts : int32 (n_triples,)
        Number of corrupted triples per triple; fewer than requested only if no more exist.
    log_q : float64 (n_triples, num_negatives)
        Logarithm of the expected number of times that the corrupted triple is in the row, padded with NaN. The
        expectation includes the coins that decide the sides. Without replacement and with weights, it is conditional on
        the entities that the others draw. ``exp(-log_q)`` makes sums over all corrupted triples unbiased.
    """

    triples: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int32]
    log_q: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AnchoredLists:
    """Lists of entities, as the core draws from them."""

    lists: Positives
    #: What lists belong to: "kept", "replaced" or "relation".
    anchor: str
    #: The number of the list of each entity; None for one list per anchor.
    numbers: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What the core draws heads, or tails, from."""

    known: Positives
    numbers: npt.NDArray[np.int64]
    sources: list[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What the core corrupts by: the triples, the rules and the sources, in its form."""

    n_entities: int
    triples: npt.NDArray[np.int64]
    heads: Side
    tails: Side
    head_share: npt.NDArray[np.float64]
    shares: list[float]
    replace: bool
    seed: int


class TripleCorruptor:
    """Corruptor of the triples of a knowledge graph: never a known triple, distinct, exact under every rule.

    Known triples are indexed once. The draws of a triple are a pure function of the arguments, the epoch and its row,
    so a collate function, any worker and any rank draws the same.

    Parameters
    ----------
    triples : int64 (n_triples, 3)
        Head, relation and tail of the triples to corrupt. They are known as well.
    n_entities : int
        Number of entities.
    side : {"both", "head", "tail", "bernoulli"}, default "both"
        What each draw replaces. "both": the head or the tail, by a fair coin. "bernoulli": the head with probability
        ``tph / (tph + hpt)``, where ``tph`` is the mean number of tails per head among all known triples of the
        relation, and ``hpt`` that of heads per tail. If one side has no further entity, the other gets its draws.
    sources : EntitySource or list of EntitySource, default "uniform"
        Where entities come from, each normalized over the entities that give no known triple:

        - "uniform": all entities with equal probability.
        - "popularity" or ``Popularity(exponent)``: by the number of known triples that have the entity on that side.
        - weights, float64 (n_entities,): in proportion to these.
        - one list of entities per entity, or the result of [`cluster_neighbors`][]: equal probability of the list of
          the entity that ``anchor`` names.
        - the result of [`pseudo_typed`][]: equal probability of the list of the relation and the side.
    shares : sequence of float, optional
        Probability of each source, in proportion; ``sources`` is then the list of these. The share of a source that has
        no entity for a side of a triple goes to the others. Default: ``sources`` is one source.
    anchor : {"kept", "replaced"}, default "kept"
        The entity of a triple whose list is drawn from.
    known : int64 (n_known, 3), optional
        Further known triples, such as those of the validation set.
    replace : bool, default False
        Whether a corrupted triple may be drawn several times.
    seed : int, default 0
        Seed of the draws, in [0, 2**64).
    offset : int, default 0
        Row of the first triple in the whole data set.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    References
    ----------
    Bordes et al., "Translating Embeddings for Modeling Multi-relational Data", NeurIPS 2013; "bernoulli": Wang et al.,
    "Knowledge Graph Embedding by Translating on Hyperplanes", AAAI 2014.

    Examples
    --------
    >>> from negmine.sampling import TripleCorruptor
    >>> corruptor = TripleCorruptor([[0, 0, 1], [0, 0, 2]], n_entities=4, side="tail")
    >>> corrupted = corruptor.corrupt([1], num_negatives=3)
    >>> corrupted.triples.tolist(), corrupted.counts.tolist()
    ([[[0, 0, 0], [0, 0, 3], [-1, -1, -1]]], [2])
    """

    @refuse_unknown_options("TripleCorruptor")
    def __init__(
        self,
        triples: npt.ArrayLike,
        *,
        n_entities: int,
        side: Literal["both", "head", "tail", "bernoulli"] = "both",
        sources: EntitySource | Sequence[EntitySource] = "uniform",
        shares: Sequence[float] | None = None,
        anchor: Literal["kept", "replaced"] = "kept",
        known: npt.ArrayLike | None = None,
        replace: bool = False,
        seed: int = 0,
        offset: int = 0,
    ) -> None:
        total = check_integer(n_entities, "n_entities", least=0, most=2**32 - 1)
        own = read_triples(triples, "triples", total)
        more = np.empty((0, 3), dtype=np.int64) if known is None else read_triples(known, "known", total)
        every = np.concatenate([own, more])
        heads, tails = known_entities(every, HEAD), known_entities(every, TAIL)
        given, parts = split_sources(sources, shares)
        kept = check_choice(anchor, "anchor", ANCHORS)
        relations = int(own[:, RELATION].max(initial=-1)) + 1
        pairs = [_read(source, kept, (heads.lists, tails.lists), total, relations) for source in given]
        self._law = Law(
            n_entities=total,
            triples=own,
            heads=Side(heads.lists, heads.numbers[: len(own)], [pair[0] for pair in pairs]),
            tails=Side(tails.lists, tails.numbers[: len(own)], [pair[1] for pair in pairs]),
            head_share=_head_share(check_choice(side, "side", SIDES), own[:, RELATION], heads, tails),
            shares=parts,
            replace=check_flag(replace, "replace"),
            seed=check_seed(seed),
        )
        _native.check_corruptor(self._law)
        self._offset = check_integer(offset, "offset", least=0, most=2**62)

    def __len__(self) -> int:
        return len(self._law.triples)

    def __repr__(self) -> str:
        return f"TripleCorruptor({len(self)} triples, {self._law.n_entities} entities, {len(self._law.shares)} sources)"

    @refuse_unknown_options("corrupt")
    def corrupt(
        self, rows: npt.ArrayLike, num_negatives: int, *, epoch: int = 0, num_threads: int | None = None
    ) -> Corrupted:
        """Corrupt some of the triples.

        Parameters
        ----------
        rows : int64 (n_triples,)
            Rows of triples, in any order.
        num_negatives : int
            Corrupted triples per triple, at least 1.
        epoch : int, default 0
            Epoch of the draws, in [0, 2**64).
        num_threads : int, optional
            Number of threads. Default: all cores available to this process; 1 inside a DataLoader worker.

        Returns
        -------
        Corrupted

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, or a row does not exist.
        """
        places = as_int64s(rows, "rows")
        n = check_integer(num_negatives, "num_negatives", least=1)
        ensure_fits_in_memory(len(places), n, "num_negatives", entry=64)
        triples, counts, log_q = _native.corrupt_triples(
            self._law, places, n, check_epoch(epoch), self._offset, resolve_num_threads(num_threads)
        )
        return Corrupted(triples, counts, log_q)


@refuse_unknown_options("corrupt", ("side", "sources", "shares", "anchor", "known", "replace", "seed", "offset"))
def corrupt(
    triples: npt.ArrayLike,
    num_negatives: int,
    *,
    n_entities: int,
    epoch: int = 0,
    num_threads: int | None = None,
    **options: Any,  # noqa: ANN401 (options of the corruptor)
) -> Corrupted:
    """Corrupt all triples in one call; [`TripleCorruptor`][] indexes known triples once for many calls.

    Parameters
    ----------
    triples : int64 (n_triples, 3)
        Head, relation and tail of every triple. They are known as well.
    num_negatives : int
        Corrupted triples per triple, at least 1.
    n_entities : int
        Number of entities.
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.
    **options : Any
        Other options of [`TripleCorruptor`][].

    Returns
    -------
    Corrupted

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    Examples
    --------
    >>> import negmine
    >>> negmine.sampling.corrupt([[0, 0, 1]], 2, n_entities=3, side="head").triples.tolist()
    [[[1, 0, 1], [2, 0, 1]]]
    """
    corruptor = TripleCorruptor(triples, n_entities=n_entities, **options)
    return corruptor.corrupt(np.arange(len(corruptor)), num_negatives, epoch=epoch, num_threads=num_threads)


def _head_share(
    side: str, relations: npt.NDArray[np.int64], heads: KnownEntities, tails: KnownEntities
) -> npt.NDArray[np.float64]:
    """Return the probability that a draw replaces the head, for each triple."""
    if side != "bernoulli":
        return np.full(len(relations), {"both": 0.5, "head": 1.0, "tail": 0.0}[side])
    # Heads are listed for each relation and tail, and tails for each relation and head. With t triples of a relation,
    # tph is t / n_heads and hpt is t / n_tails.
    found, n_tails = np.unique(heads.relations, return_counts=True)
    _, n_heads = np.unique(tails.relations, return_counts=True)
    share = n_tails / (n_heads + n_tails)
    return np.asarray(share[np.searchsorted(found, relations)], dtype=np.float64)


def _read(
    source: object, anchor: str, known: tuple[Positives, Positives], n_entities: int, n_relations: int
) -> tuple[Any, Any]:
    """Return what the core draws heads and tails from: None for the uniform source, a table of weights, or lists."""
    if isinstance(source, RelationLists):
        if len(source) < n_relations:
            raise NegmineValueError(
                f"`sources` must have lists for each of the {n_relations} relations; got {len(source)}."
            )
        return tuple(AnchoredLists(_inside(lists, n_entities), "relation") for lists in (source.heads, source.tails))  # type: ignore[return-value]
    if isinstance(source, SharedLists):
        if len(source) != n_entities:
            raise NegmineValueError(f"`sources` must have a list for each of {n_entities} entities; got {len(source)}.")
        shared = AnchoredLists(_inside(source.lists, n_entities), anchor, source.numbers)
        return shared, shared
    if isinstance(source, Positives) or is_nested(source):
        lists = Positives.read(source, "sources")
        if len(lists) != n_entities:
            raise NegmineValueError(f"`sources` must have a list for each of {n_entities} entities; got {len(lists)}.")
        read_lists(lists, n_entities, n_entities)
        own = AnchoredLists(lists, anchor)
        return own, own
    if isinstance(source, str) and source == "uniform":
        return None, None
    if isinstance(source, str) and source == "popularity":
        source = Popularity()
    if isinstance(source, Popularity):
        head, tail = (_native.AliasTable(source.weights(lists, n_entities)) for lists in known)
        return head, tail
    table = read_weights(source, n_entities)
    return table, table


def _inside(lists: Positives, n_entities: int) -> Positives:
    """Refuse lists with unknown entities."""
    if len(lists.items) and (lists.items.min() < 0 or lists.items.max() >= n_entities):
        bad = lists.items.min() if lists.items.min() < 0 else lists.items.max()
        raise NegmineValueError(f"`sources` must hold entities below {n_entities}; got {bad}.")
    return lists
