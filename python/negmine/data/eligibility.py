"""Eligibility: keys of the documents, and the keys that each query admits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_int64s, check_field
from negmine._core.options import refuse_unknown_options
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Eligibility", "KeyRanges", "check_eligible"]


@dataclass(frozen=True, slots=True, eq=False)
class KeyRanges:
    """One key per document and inclusive ranges of keys per query; a part of an [`Eligibility`][].

    Attributes
    ----------
    keys : int64 (n_documents,)
        Key of every document.
    lowest, highest : int64 (n_ranges,)
        Ends of the ranges.
    offsets : int64 (n_queries + 1,) or None
        Ranges of query ``i`` are ``offsets[i]`` to ``offsets[i + 1]``, ascending and disjoint. None if every query has
        one, which admits no document if ``lowest > highest``.
    """

    keys: npt.NDArray[np.int64]
    lowest: npt.NDArray[np.int64]
    highest: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for name in ("keys", "lowest", "highest"):
            object.__setattr__(self, name, as_int64s(getattr(self, name), name))
        if len(self.lowest) != len(self.highest):
            raise NegmineValueError(f"`highest` must have length {len(self.lowest)}; got {len(self.highest)}.")
        if self.offsets is not None:
            offsets = check_field(self.offsets, "offsets", np.int64, (None,))
            if not len(offsets) or offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(self.lowest):
                raise NegmineValueError(f"`offsets` must rise from 0 to {len(self.lowest)}; got others.")
            object.__setattr__(self, "offsets", offsets)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.lowest) if self.offsets is None else len(self.offsets) - 1

    def take(self, queries: npt.NDArray[np.int64]) -> KeyRanges:
        """Return the ranges of some queries, in the order given.

        Parameters
        ----------
        queries : int64 (n,)
            Queries.

        Returns
        -------
        KeyRanges
        """
        if self.offsets is None:
            return KeyRanges(self.keys, self.lowest[queries], self.highest[queries])
        begins, lengths = self.offsets[queries], np.diff(self.offsets)[queries]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
        return KeyRanges(self.keys, self.lowest[places], self.highest[places], offsets)

    def complement(self) -> KeyRanges:
        """Return the ranges of the keys that each query does not admit.

        Returns
        -------
        KeyRanges
        """
        least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        if self.offsets is None:
            full = self.lowest <= self.highest
            counts, lowest, highest = full.astype(np.int64), self.lowest[full], self.highest[full]
        else:
            counts, lowest, highest = np.diff(self.offsets), self.lowest, self.highest
        # A query of m ranges has m + 1 gaps: gap g begins after range g - 1 and ends before range g.
        first = np.cumsum(counts + 1) - counts - 1
        starts, ends = (np.full(len(lowest) + len(counts), end) for end in (least, most))
        kept = np.ones(len(starts), dtype=np.bool_)
        before = np.arange(len(lowest)) + np.repeat(np.arange(len(counts)), counts)
        ends[before] = lowest - (lowest > least)
        starts[before + 1] = highest + (highest < most)
        kept[before] &= lowest > least
        kept[before + 1] &= highest < most
        kept &= starts <= ends
        offsets = np.concatenate([[0], np.cumsum(np.add.reduceat(kept, first) if len(first) else [])]).astype(np.int64)
        return KeyRanges(self.keys, starts[kept], ends[kept], offsets)


class Eligibility:
    """Keys of the documents and the keys that each query admits; other documents are not candidates.

    This constructor takes one inclusive range of keys per query. For dates, ``keys`` are the dates of the documents and
    ``highest`` is the day before that of the query. For tenants or languages, use [`equal`][] or [`one_of`][]; to
    leave out a range, [`outside`][]. ``a & b`` admits the documents that both admit.

    If every query admits a single key, and there are enough queries, the corpus is scanned group by group: the time of
    a call is that of the pairs within groups, and the result is the same.

    Parameters
    ----------
    keys : int64 (n_documents,)
        Key of every document.
    lowest, highest : int64 (n_queries,)
        Range of keys of every query. An empty range (``lowest > highest``) admits no document.

    Attributes
    ----------
    terms : tuple of KeyRanges
        The parts, all of which must admit a document.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An array does not hold integers, or lengths differ.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> dates, languages = np.array([10, 20, 30, 20]), np.array([0, 0, 0, 1])
    >>> earlier = negmine.Eligibility(dates, lowest=[0], highest=[24])
    >>> same = negmine.Eligibility.equal(languages, [0])
    >>> corpus = np.ones((4, 2), dtype=np.float32)
    >>> negmine.ExactIndex(corpus).search(corpus[:1], 3, eligible=earlier & same).indices.tolist()
    [[0, 1, -1]]
    """

    __slots__ = ("terms",)

    terms: tuple[KeyRanges, ...]

    @refuse_unknown_options("Eligibility")
    def __init__(self, keys: npt.ArrayLike, lowest: npt.ArrayLike, highest: npt.ArrayLike) -> None:
        self.terms = (KeyRanges(*(as_int64s(v, n) for n, v in zip(_NAMES, (keys, lowest, highest), strict=True))),)

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
        needed = as_int64s(query_keys, "query_keys")
        return cls(keys, needed, needed)

    @classmethod
    @refuse_unknown_options("outside")
    def outside(cls, keys: npt.ArrayLike, lowest: npt.ArrayLike, highest: npt.ArrayLike) -> Eligibility:
        """Admit the documents whose key lies outside a range, such as the days around an event.

        Parameters
        ----------
        keys : int64 (n_documents,)
            Key of every document.
        lowest, highest : int64 (n_queries,)
            Inclusive range of keys that each query leaves out. An empty range (``lowest > highest``) leaves out none.

        Returns
        -------
        Eligibility

        Examples
        --------
        >>> import negmine
        >>> negmine.Eligibility.outside([10, 20, 30], lowest=[15], highest=[25]).admits(0, [0, 1, 2]).tolist()
        [True, False, True]
        """
        return cls._of((cls(keys, lowest, highest).terms[0].complement(),))

    @classmethod
    @refuse_unknown_options("one_of")
    def one_of(cls, keys: npt.ArrayLike, sets: Positives | Iterable[Iterable[int]]) -> Eligibility:
        """Admit the documents whose key is in a set of the query, such as the languages that a user reads.

        Parameters
        ----------
        keys : int64 (n_documents,)
            Key of every document.
        sets : list of n_queries lists of int
            Keys that each query admits, in any order. An empty set admits no document.

        Returns
        -------
        Eligibility

        Examples
        --------
        >>> import negmine
        >>> negmine.Eligibility.one_of([7, 8, 9], [[9, 7], []]).admits(0, [0, 1, 2]).tolist()
        [True, False, True]
        """
        if isinstance(sets, str | bytes) or not isinstance(sets, Iterable):
            raise NegmineTypeError(f"`sets` must be a list of lists of integers; got {type(sets).__name__}.")
        each = [np.unique(as_int64s(_as_list(one), "sets")) for one in sets]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in each])]).astype(np.int64)
        values = np.concatenate(each) if each else np.empty(0, dtype=np.int64)
        return cls._of((KeyRanges(as_int64s(keys, "keys"), values, values, offsets),))

    @classmethod
    def _of(cls, terms: tuple[KeyRanges, ...]) -> Eligibility:
        made = cls.__new__(cls)
        made.terms = terms
        return made

    def __and__(self, other: Eligibility) -> Eligibility:
        """Admit the documents that both admit, which must be of the same documents and queries."""
        if not isinstance(other, Eligibility):
            return NotImplemented
        if (self.n_documents, self.n_queries) != (other.n_documents, other.n_queries):
            raise NegmineValueError(
                f"`&` must join rules of equal numbers of documents and queries; got {self.n_documents} and "
                f"{other.n_documents} documents, {self.n_queries} and {other.n_queries} queries."
            )
        return Eligibility._of(self.terms + other.terms)

    def __repr__(self) -> str:
        parts = f"{len(self.terms)} part{'s' if len(self.terms) > 1 else ''}"
        return f"Eligibility({self.n_documents} documents, {self.n_queries} queries, {parts})"

    @property
    def n_documents(self) -> int:
        """Number of documents."""
        return len(self.terms[0].keys)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return self.terms[0].n_queries

    def admits(self, query: int, documents: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which documents a query admits.

        Parameters
        ----------
        query : int
            Row of the query.
        documents : int64 (n,)
            Rows of documents.

        Returns
        -------
        bool (n,)
        """
        rows = as_int64s(documents, "documents")
        admitted = np.ones(len(rows), dtype=np.bool_)
        for term in self.terms:
            ranges = term.take(np.array([query]))
            keys = term.keys[rows][:, None]
            admitted &= ((ranges.lowest <= keys) & (keys <= ranges.highest)).any(axis=1)
        return admitted

    def complements(self) -> list[Eligibility]:
        """Return one rule per part, which admits the documents that the part does not admit.

        Returns
        -------
        list of Eligibility
        """
        return [Eligibility._of((term.complement(),)) for term in self.terms]

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
        queries = np.arange(self.n_queries, dtype=np.int64)[begin:end]
        return Eligibility._of(tuple(term.take(queries) for term in self.terms))

    def take(self, documents: npt.NDArray[np.int64], queries: npt.NDArray[np.int64]) -> Eligibility:
        """Return the rules of some documents and some queries, such as those of a batch.

        Parameters
        ----------
        documents, queries : int64 (any,)
            Rows, in any order; the values of row -1 have no meaning.

        Returns
        -------
        Eligibility
        """
        taken = []
        for term in self.terms:
            keys = term.keys[np.maximum(documents, 0)] if len(term.keys) else documents
            if term.n_queries:
                ranges = term.take(np.maximum(queries, 0))
                taken.append(KeyRanges(keys, ranges.lowest, ranges.highest, ranges.offsets))
            else:
                none = np.empty(0, dtype=np.int64)
                taken.append(KeyRanges(keys, none, none, np.zeros(len(queries) + 1, dtype=np.int64)))
        return Eligibility._of(tuple(taken))

    def arrays(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return all arrays by names that [`from_arrays`][] reads.

        Returns
        -------
        dict of str to int64 array
        """
        named: dict[str, npt.NDArray[np.int64]] = {}
        for number, term in enumerate(self.terms):
            for name in (*_NAMES, "offsets"):
                if (array := getattr(term, name)) is not None:
                    named[f"eligible_{number}_{name}"] = array
        return named

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.int64]]) -> Eligibility | None:
        """Read what [`arrays`][] returned; other entries are ignored.

        Parameters
        ----------
        arrays : dict of str to array
            The arrays.

        Returns
        -------
        Eligibility or None
            None if there is none.
        """
        terms: list[KeyRanges] = []
        while f"eligible_{len(terms)}_keys" in arrays:
            prefix = f"eligible_{len(terms)}_"
            keys, lowest, highest = (arrays[prefix + name] for name in _NAMES)
            terms.append(KeyRanges(keys, lowest, highest, arrays.get(prefix + "offsets")))
        return cls._of(tuple(terms)) if terms else None

    @classmethod
    def join(cls, parts: Sequence[Eligibility]) -> Eligibility:
        """Return the rules of queries that follow each other, for documents with equal keys.

        Parameters
        ----------
        parts : sequence of Eligibility
            Rules of the same form.

        Returns
        -------
        Eligibility

        Raises
        ------
        NegmineValueError
            Keys or forms differ.
        """
        forms = [[(term.keys, term.offsets is None) for term in part.terms] for part in parts]
        for form in forms[1:]:
            same = len(form) == len(forms[0]) and all(
                one[1] == two[1] and np.array_equal(one[0], two[0]) for one, two in zip(form, forms[0], strict=True)
            )
            if not same:
                raise NegmineValueError("`pools` must have equal `eligible` of the documents; got other values.")
        return cls._of(tuple(map(_join_terms, zip(*(part.terms for part in parts), strict=True))))


#: Arrays of a term that are always there.
_NAMES = ("keys", "lowest", "highest")


def _join_terms(terms: Sequence[KeyRanges]) -> KeyRanges:
    lowest, highest = (np.concatenate([getattr(term, name) for term in terms]) for name in ("lowest", "highest"))
    lengths = [np.diff(term.offsets) for term in terms if term.offsets is not None]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64) if lengths else None
    return KeyRanges(terms[0].keys, lowest, highest, offsets)


def _as_list(values: object) -> object:
    """Return sets and other unordered collections as lists, which arrays are made of."""
    return list(values) if isinstance(values, set | frozenset) else values


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
