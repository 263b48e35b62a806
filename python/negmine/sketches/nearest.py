"""Nearest texts of a second collection, by Jaccard similarity of shingles: MinHash with banding (Broder, 1997)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.labels import Strings
from negmine.sketches.duplicates import SHINGLES, normal_texts
from negmine.sketches.minhash import MinHash, Sets

__all__ = ["Shingled", "nearest_texts"]

#: Texts that are compared at once.
AT_ONCE = 1 << 14

#: Pairs of texts, and tokens of such pairs, that are in memory at once.
PAIRS_AT_ONCE = 1 << 20

Rows = npt.NDArray[np.int64]
Nearest = tuple[Rows, npt.NDArray[np.float64]]

#: Odd constant of the golden ratio, by which a band of a signature becomes one word.
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Shingled:
    """Shingles of a collection of texts, and the bands of their signatures in ascending order.

    Parameters
    ----------
    texts : list of str
        The texts, normalized.
    threshold : float
        Minimum similarity, in (0, 1], for which the bands are chosen.
    threads : int
        Number of threads.
    """

    def __init__(self, texts: list[str], threshold: float, threads: int) -> None:
        self._threshold, self._threads = threshold, threads
        self._minhash = MinHash()
        self._bands, self._band_rows = _native.lsh_bands(threshold, self._minhash.words, threads, None)
        sets, keys, self._filled = self._read(texts)
        self._n = len(sets.offsets) - 1
        self._lengths = np.diff(sets.offsets)
        self._order = np.argsort(keys, axis=1, kind="stable")
        self._keys = np.take_along_axis(keys, self._order, axis=1)
        # A (text, token) pair is one number, so that a set is a range of ascending numbers.
        self._tokens, numbers = np.unique(sets.tokens, return_inverse=True)
        self._members = np.repeat(np.arange(self._n), self._lengths) * max(len(self._tokens), 1) + numbers

    def _read(self, texts: list[str]) -> tuple[Sets, npt.NDArray[np.uint64], Rows]:
        """Return sets of shingles, one key per band and text that has shingles, and the rows of these texts."""
        strings = Strings.of(texts, "texts")
        shingles = _native.shingle_sets(strings, False, SHINGLES["characters"], self._threads, None)
        sets = Sets(*shingles, hashed=True)
        words = _native.minhash_signatures(self._minhash, sets, True, self._threads, None)
        filled = np.flatnonzero(np.diff(sets.offsets))
        keys = np.zeros((self._bands, len(filled)), dtype=np.uint64)
        for band, word in itertools.product(range(self._bands), range(self._band_rows)):
            keys[band] = (keys[band] + np.uint64(1)) * _MIX + words[filled, band * self._band_rows + word]
            keys[band] ^= keys[band] >> np.uint64(29)
        return sets, keys, filled

    def nearest(self, texts: list[str]) -> Nearest:
        """Find the nearest text of this collection for each of some texts.

        Parameters
        ----------
        texts : list of str
            The texts, normalized.

        Returns
        -------
        rows : int64 (n,)
            The row of this collection with the highest similarity, the lowest one of equals; -1 if no candidate
            reaches the threshold.
        similarities : float64 (n,)
            Jaccard similarity to this row; NaN for -1.
        """
        sets, keys, filled = self._read(texts)
        begins, ends = np.zeros(keys.shape, dtype=np.int64), np.zeros(keys.shape, dtype=np.int64)
        for band in range(self._bands):
            begins[band] = np.searchsorted(self._keys[band], keys[band], side="left")
            ends[band] = np.searchsorted(self._keys[band], keys[band], side="right")
        rows, similarities = np.full(len(texts), -1, dtype=np.int64), np.full(len(texts), np.nan)
        for part in _parts((ends - begins).sum(axis=0)):
            query, row = self._candidates(filled[part], begins[:, part], ends[:, part])
            score = self._jaccard(sets, query, row)
            near = score >= self._threshold
            query, row, score = query[near], row[near], score[near]
            best = np.lexsort((row, -score, query))
            first, place = np.unique(query[best], return_index=True)
            rows[first], similarities[first] = row[best][place], score[best][place]
        return rows, similarities

    def _candidates(self, filled: Rows, begins: Rows, ends: Rows) -> tuple[Rows, Rows]:
        """Return the pairs of texts that agree in a band."""
        pairs = []
        for order, begin, end in zip(self._order, begins, ends, strict=True):
            lengths = end - begin
            places = np.arange(lengths.sum()) + np.repeat(begin - np.cumsum(lengths) + lengths, lengths)
            pairs.append(np.unique(np.repeat(filled, lengths) * self._n + self._filled[order[places]]))
        both = np.unique(np.concatenate(pairs))
        return both // max(self._n, 1), both % max(self._n, 1)

    def _jaccard(self, sets: Sets, query: Rows, row: Rows) -> npt.NDArray[np.float64]:
        """Return the exact similarities of pairs."""
        lengths = np.diff(sets.offsets)
        numbers = np.minimum(np.searchsorted(self._tokens, sets.tokens), max(len(self._tokens) - 1, 0))
        known = self._tokens[numbers] == sets.tokens if len(self._tokens) else np.zeros(len(numbers), dtype=bool)
        common = np.zeros(len(query), dtype=np.int64)
        for part in _parts(lengths[query]):
            sizes = lengths[query[part]]
            places = np.arange(sizes.sum()) + np.repeat(sets.offsets[query[part]] - np.cumsum(sizes) + sizes, sizes)
            member = np.repeat(row[part], sizes) * len(self._tokens) + numbers[places]
            found = np.minimum(np.searchsorted(self._members, member), len(self._members) - 1)
            shared = known[places] & (self._members[found] == member)
            common[part] = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[shared], minlength=len(sizes))
        return common / (lengths[query] + self._lengths[row] - common)


def _parts(sizes: Rows) -> Iterator[slice]:
    """Cut a sequence into slices of about [`PAIRS_AT_ONCE`][] in all, of one entry at least."""
    ends = np.cumsum(sizes)
    begin = 0
    while begin < len(sizes):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")))
        yield slice(begin, end)
        begin = end


def nearest_texts(
    documents: Iterable[str], held_out: Iterable[str], threshold: float | None, threads: int
) -> tuple[Rows, npt.NDArray[np.float64], int]:
    """Find the nearest held-out text of every document.

    Parameters
    ----------
    documents, held_out : iterable of str
        The texts.
    threshold : float or None
        Minimum Jaccard similarity, in (0, 1]; None for texts that are equal after normalization.
    threads : int
        Number of threads.

    Returns
    -------
    rows : int64 (n_documents,)
        Row of the nearest held-out text, -1 without one.
    similarities : float64 (n_documents,)
        Similarity to it, NaN without one.
    n_held_out : int
        Number of held-out texts.
    """
    first: dict[str, int] = {}
    n_held_out = 0
    for text in normal_texts(held_out, "held_out"):
        if text:
            first.setdefault(text, n_held_out)
        n_held_out += 1
    # Equal texts are equally near, so each is compared once.
    distinct = np.fromiter(first.values(), dtype=np.int64, count=len(first))
    shingled = None if threshold is None else Shingled(list(first), threshold, threads)
    rows: list[Rows] = [np.empty(0, dtype=np.int64)]
    similarities: list[npt.NDArray[np.float64]] = [np.empty(0)]
    texts = normal_texts(documents, "documents")
    while block := list(itertools.islice(texts, AT_ONCE)):
        if shingled is None:
            found = np.array([first.get(text, -1) for text in block], dtype=np.int64)
            score = np.where(found >= 0, 1.0, np.nan)
        else:
            found, score = shingled.nearest(block)
            found = np.where(found >= 0, np.append(distinct, -1)[found], -1)
        rows.append(found)
        similarities.append(score)
    return np.concatenate(rows), np.concatenate(similarities), n_held_out
