"""Near-duplicate detection for texts, sets and embeddings: MinHash with banding (Broder, 1997), or exact search."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_numpy, refuse_unordered
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Strings
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.sketches.minhash import MinHash, Sets, read_sets

__all__ = ["NearDuplicates", "near_duplicates"]

#: Units of a shingle, and the default number of units per shingle.
SHINGLES = {"characters": 5, "words": 3}

#: Initial number of neighbors that are searched per embedding; it is quadrupled while all of them are near.
NEIGHBORS = 16

#: Maximum number of neighbors of all rows of a block, which take 200 MB.
BLOCK_NEIGHBORS = 1 << 23


@dataclass(frozen=True, slots=True, eq=False)
class NearDuplicates:
    """Groups of rows that are near-duplicates, made by :func:`near_duplicates`.

    Attributes
    ----------
    groups : int64 (n,)
        First row of the group of every row, or -1 for a row without near-duplicates; the argument ``groups=`` of the
        miner accepts this array.
    pairs : int64 (m, 2)
        Pairs that connect the rows of each group, one fewer than its rows; the lower row comes first, and pairs are in
        ascending order.
    similarities : float64 (m,)
        Similarities of the pairs, at least the threshold.
    threshold : float
        Minimum similarity of near-duplicates.
    bands, band_rows : int
        Signatures were split into ``bands`` bands of ``band_rows`` words; 0 for embeddings, which are searched exactly.
    verified : int
        Number of candidate pairs whose similarity was computed; for embeddings, number of pairs that reach the
        threshold.
    """

    groups: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float64]
    threshold: float
    bands: int
    band_rows: int
    verified: int

    def __len__(self) -> int:
        return len(self.groups)

    def __repr__(self) -> str:
        return (
            f"NearDuplicates({len(self)} rows, {self.n_groups} groups, {self.n_redundant} rows beyond the first of "
            f"theirs, threshold={self.threshold})"
        )

    @property
    def n_groups(self) -> int:
        """Number of groups; a group has at least two rows."""
        return int(np.count_nonzero(self.groups == np.arange(len(self.groups))))

    @property
    def n_redundant(self) -> int:
        """Number of rows that are removed if a corpus keeps only the first row of each group."""
        return len(self.pairs)

    @property
    def keep(self) -> npt.NDArray[np.bool_]:
        """Whether a row has no near-duplicates or is the first of its group, bool (n,)."""
        keep: npt.NDArray[np.bool_] = (self.groups == -1) | (self.groups == np.arange(len(self.groups)))
        return keep

    def probability(self, similarity: float) -> float:
        """Return the probability that a pair becomes a candidate: ``1 - (1 - s**band_rows)**bands``.

        Parameters
        ----------
        similarity : float
            Jaccard similarity ``s`` of the pair, in [0, 1].

        Returns
        -------
        float
            The probability.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            The similarity is not a number in [0, 1], or the groups were found without bands.
        """
        s = _share(similarity, "similarity", least=0.0)
        if self.bands == 0:
            raise NegmineValueError(
                "`probability` must be called for banded signatures; got an exact search of embeddings."
            )
        return float(1 - (1 - s**self.band_rows) ** self.bands)


@refuse_unknown_options("near_duplicates")
def near_duplicates(
    texts: Iterable[str] | None = None,
    *,
    sets: object = None,
    signatures: npt.ArrayLike | None = None,
    embeddings: object = None,
    threshold: float = 0.8,
    shingle: Literal["characters", "words"] = "characters",
    shingle_size: int | None = None,
    num_hashes: int = 128,
    seed: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> NearDuplicates:
    """Find groups of near-duplicates, where rows may be connected through other rows.

    Texts are converted to sets of shingles, and sets to MinHash signatures. Two sets that agree in a band of their
    signatures are a candidate pair, and a candidate pair counts if its exact Jaccard similarity reaches the threshold.
    Therefore no pair below the threshold connects a group. The bands are chosen so that at most one in a hundred of the
    pairs above the threshold is missed (if similarities are uniformly distributed; more are missed just above the
    threshold). Embeddings are searched exactly, and no pair is missed. The groups are the same for any number of
    threads and any instruction set.

    Parameters
    ----------
    texts : iterable of n str, optional
        Texts, which are compared after Unicode normalization to NFC, case folding, and collapsing of white space. A
        text of only white space is similar to no other text.
    sets : (offsets, tokens), or a sequence of n iterables, optional
        Sets of tokens, as for :meth:`MinHash.signatures`. An empty set is similar to no other set.
    signatures : uint32 (n, num_hashes), optional
        Signatures of ``MinHash(num_hashes)``. Pairs are compared by the estimated similarity, whose standard deviation
        is about ``sqrt(t * (1 - t) / num_hashes)`` at a threshold t.
    embeddings : array (n, width), optional
        Embeddings, of the same types as for :class:`ExactIndex`, which are compared by cosine. Exactly one of
        ``texts``, ``sets``, ``signatures`` and ``embeddings`` must be given.
    threshold : float, default 0.8
        Minimum similarity of near-duplicates, in (0, 1]: Jaccard, or cosine in float32 for embeddings.
    shingle : {"characters", "words"}, default "characters"
        Unit of the shingles of texts.
    shingle_size : int, optional
        Characters or words per shingle, at least 1. Default: 5 characters or 3 words. A shorter text is one shingle.
    num_hashes : int, default 128
        Number of minima in the signatures of texts and sets.
    seed : int, default 0
        Seed of the hash functions of texts and sets, in [0, 2**64).
    num_threads : int, optional
        Number of threads. Default: all cores available to this process; 1 inside a DataLoader worker.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms, with a new total for every stage.

    Returns
    -------
    NearDuplicates

    Raises
    ------
    NegmineValueError
        None or several of the four inputs are given, the threshold is out of range, or an embedding holds NaN or
        infinity.
    NegmineTypeError
        A text is not a string, or an input has a type that is not accepted.

    Notes
    -----
    Shingles and their resemblance are from Broder ("On the resemblance and containment of documents", 1997). Banding is
    described by Leskovec, Rajaraman and Ullman ("Mining of massive datasets", section 3.4). The similarity of a
    candidate pair is not computed if its rows are already connected. A group may be a chain, in which the similarity of
    the first and the last row is below the threshold.

    Examples
    --------
    >>> import negmine
    >>> found = negmine.near_duplicates(
    ...     ["The cat sat on the mat, as ever.", "A dog.", "the cat sat  on the mat, as ever!"], threshold=0.7
    ... )
    >>> found.groups.tolist()
    [0, -1, 0]
    """
    given = {"texts": texts, "sets": sets, "signatures": signatures, "embeddings": embeddings}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise NegmineValueError(
            f"`texts`, `sets`, `signatures` or `embeddings` must be given, and only one of them; got "
            f"{', '.join(names) or 'none'}."
        )
    least = _share(threshold, "threshold", least=0.0, above=0.0)
    threads, progress = resolve_num_threads(num_threads), check_progress(progress)
    minhash = MinHash(num_hashes, seed=seed)
    unit = check_choice(shingle, "shingle", tuple(SHINGLES))
    width = SHINGLES[unit] if shingle_size is None else check_integer(shingle_size, "shingle_size", least=1)
    if embeddings is not None:
        return _by_cosine(embeddings, least, threads, progress)
    if signatures is not None:
        return _by_bands(_signatures(signatures), least, None, threads, progress)
    read = _distinct(read_sets(sets, "sets")) if texts is None else text_sets(texts, unit, width, threads, progress)
    words = _native.minhash_signatures(minhash, read, read.hashed, threads, progress)
    return _by_bands(words, least, read, threads, progress)


def _share(value: object, argument: str, *, least: float, above: float = -np.inf) -> float:
    share = check_real(value, argument, least=least, above=above)
    if share > 1.0:
        raise NegmineValueError(f"`{argument}` must be at most 1; got {share}.")
    return share


def text_sets(texts: Iterable[str], unit: str, width: int, threads: int = 1, progress: Progress | None = None) -> Sets:
    """Return the shingles of texts, in ascending order and without repeats.

    Parameters
    ----------
    texts : iterable of str
        The texts.
    unit : {"characters", "words"}
        Unit of the shingles.
    width : int
        Units per shingle.
    threads : int, default 1
        Number of threads.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    Sets
        One set of hashed shingles per text.
    """
    read = Strings.of(_normal(texts), "texts")
    return Sets(*_native.shingle_sets(read, unit == "words", width, threads, progress), hashed=True)


def _normal(texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise NegmineTypeError(f"`texts` must be an iterable of strings; got {type(texts).__name__}.")
    refuse_unordered(texts, "texts")
    for row, text in enumerate(texts.to_pylist() if hasattr(texts, "to_pylist") else texts):
        if not isinstance(text, str):
            if getattr(text, "ndim", 0):
                got = f"an array at row {row}. Pass embeddings as `embeddings=`."
            else:
                got = f"{text!r} at row {row}."
            raise NegmineTypeError(f"`texts` must hold strings; got {got}")
        yield " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _signatures(value: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    words = np.asarray(value)
    if words.dtype != np.uint32 or words.ndim != 2 or words.shape[1] == 0:
        raise NegmineValueError(
            "`signatures` must be a uint32 array of shape (n, num_hashes), as computed by MinHash; got "
            f"{words.dtype.name} of shape {words.shape}."
        )
    return np.ascontiguousarray(words)


def _distinct(sets: Sets) -> Sets:
    """Return the same sets, in ascending order and without repeats."""
    rows = np.repeat(np.arange(len(sets.offsets) - 1), np.diff(sets.offsets))
    order = np.lexsort((sets.tokens, rows))
    rows, tokens = rows[order], sets.tokens[order]
    first = np.ones(len(tokens), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (tokens[1:] != tokens[:-1])
    sizes = np.bincount(rows[first], minlength=len(sets.offsets) - 1)
    return Sets(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), tokens[first], sets.hashed)


def _by_bands(
    words: npt.NDArray[np.uint32], threshold: float, sets: Sets | None, threads: int, progress: Progress | None
) -> NearDuplicates:
    bands, rows = _native.lsh_bands(threshold, words.shape[1])
    groups, left, right, similarities, verified = _native.lsh_duplicates(
        words, bands, rows, threshold, sets, threads, progress
    )
    return NearDuplicates(groups, np.stack([left, right], axis=1), similarities, threshold, bands, rows, verified)


def _by_cosine(value: object, threshold: float, threads: int, progress: Progress | None) -> NearDuplicates:
    """Find near-duplicates by exact search among distinct rows.

    The search is repeated with more neighbors for rows whose neighbors are all near.
    """
    embeddings = as_numpy(value, "embeddings")
    _check_embeddings(embeddings)
    first = _first_copies(embeddings)
    real = (embeddings != 0).any(axis=1)  # a row of zeros has no direction, so it is similar to no row
    copies = np.flatnonzero((first != np.arange(len(first))) & real)
    found = [(first[copies], copies, np.ones(len(copies)))]
    different = np.flatnonzero((first == np.arange(len(first))) & real)
    corpus, rows, neighbors = embeddings[different], np.arange(len(different)), NEIGHBORS
    index = ExactIndex(corpus, num_threads=threads) if len(corpus) > 1 else None
    while index is not None and len(rows):
        neighbors = min(neighbors, len(corpus))
        unfinished = []
        for block in np.array_split(rows, -(-len(rows) * neighbors // BLOCK_NEIGHBORS)):
            top = index.search(corpus[block], neighbors, progress=progress)
            near = top.scores >= np.float32(threshold)
            finished = np.logical_not(near.all(axis=1)) | (neighbors == len(corpus))
            at, place = np.nonzero(near & finished[:, np.newaxis])
            a, b, scores = block[at], top.indices[at, place], top.scores[at, place]
            upper = a < b  # the other row finds the pair too
            found.append((different[a[upper]], different[b[upper]], scores[upper].astype(np.float64)))
            unfinished.append(block[~finished])
        rows, neighbors = np.concatenate(unfinished), 4 * neighbors
    left, right, similarities = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((right, left))
    left, right, similarities = left[order], right[order], similarities[order]
    groups, joined = _native.connected_groups(len(embeddings), left, right)
    pairs = np.stack([left[joined], right[joined]], axis=1)
    return NearDuplicates(groups, pairs, similarities[joined], threshold, 0, 0, len(left))


def _check_embeddings(embeddings: npt.NDArray[np.generic]) -> None:
    if embeddings.shape[1] == 0:
        raise NegmineValueError(f"`embeddings` must be at least 1 wide; got shape {embeddings.shape}.")
    if embeddings.dtype.kind == "f":
        bad = ~np.isfinite(embeddings).all(axis=1)
        if bad.any():
            raise NegmineValueError(f"`embeddings` must be finite; row {np.argmax(bad)} holds NaN or infinity.")


def _first_copies(embeddings: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return, for each row, the first row with the same bytes."""
    whole = np.ascontiguousarray(embeddings)
    if len(whole) == 0:
        return np.zeros(0, dtype=np.int64)
    bytes_ = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
    _, first, which = np.unique(bytes_, return_index=True, return_inverse=True)
    return first[which].astype(np.int64)
