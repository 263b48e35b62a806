"""Near-duplicates: groups of texts, sets or embeddings that are almost the same."""

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
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.sketches.minhash import MinHash, Sets, read_sets, text_bytes

__all__ = ["NearDuplicates", "near_duplicates"]

#: What a shingle is made of, and how many of them it usually has.
SHINGLES = {"characters": 5, "words": 3}

#: Neighbors that are looked for at first around every vector; four times as many where all are near.
NEIGHBORS = 16

#: The most neighbors of all rows of a block, for 200 MB.
BLOCK_NEIGHBORS = 1 << 23


@dataclass(frozen=True, slots=True, eq=False)
class NearDuplicates:
    """Groups of rows that are near-duplicates, made by :func:`near_duplicates`.

    Attributes
    ----------
    groups : int64 (n,)
        The first row of every row's group, -1 where a row is alone: what ``groups=`` of the miner takes.
    pairs : int64 (m, 2)
        The pairs that hold groups together, the lower row first, rising: one fewer than rows in every group.
    similarities : float64 (m,)
        Their similarities, at least the threshold.
    threshold : float
    bands, band_rows : int
        How signatures were cut: ``bands`` of ``band_rows`` words; 0 for embeddings, which are searched exactly.
    verified : int
        Candidate pairs whose similarity was computed; for embeddings, pairs at or above the threshold that were found.
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
        """Groups of two rows or more."""
        return int(np.count_nonzero(self.groups == np.arange(len(self.groups))))

    @property
    def n_redundant(self) -> int:
        """Rows of groups beyond the first of each: what a corpus loses when it keeps one row of a group."""
        return len(self.pairs)

    @property
    def keep(self) -> npt.NDArray[np.bool_]:
        """Whether a row is alone or the first of its group, bool (n,)."""
        keep: npt.NDArray[np.bool_] = (self.groups == -1) | (self.groups == np.arange(len(self.groups)))
        return keep

    def probability(self, similarity: float) -> float:
        """How probably a pair of that Jaccard similarity becomes a candidate: ``1 - (1 - s**band_rows)**bands``.

        Parameters
        ----------
        similarity : float
            In [0, 1].

        Raises
        ------
        NegmineTypeError, NegmineValueError
            Not such a number, or groups that were found without bands.
        """
        s = _share(similarity, "similarity", least=0.0)
        if self.bands == 0:
            raise NegmineValueError(
                "`probability` must be asked of banded signatures; got an exact search of embeddings."
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
    """Group rows that are near-duplicates, directly or through others.

    Texts become sets of shingles; sets become MinHash signatures; sets that agree in a band of their signatures are
    candidates, and a candidate pair counts if its exact Jaccard similarity reaches the threshold. So no pair below it
    ever joins a group, and bands are chosen to miss at most one in a hundred of the pairs above (their similarities
    spread evenly; more just at the threshold). Embeddings are searched exactly and nothing is missed. The same groups
    for any number of threads and any instruction set.

    Parameters
    ----------
    texts : iterable of n str
        Compared after Unicode normalization to NFC, case folding, and each run of white space as one space. A text
        without any character but white space is like nothing.
    sets : (offsets, tokens), or a sequence of n iterables
        Sets of tokens as :meth:`MinHash.signatures` takes them. An empty set is like nothing.
    signatures : uint32 (n, num_hashes)
        Signatures of ``MinHash(num_hashes)``. Pairs are judged by the estimated similarity, whose standard
        deviation is about ``sqrt(t * (1 - t) / num_hashes)`` at a threshold t.
    embeddings : array (n, width)
        Types as for :class:`ExactIndex`; compared by cosine. Exactly one of the four must be given.
    threshold : float, default 0.8
        Least similarity of near-duplicates, in (0, 1]: Jaccard, or cosine for embeddings (as float32 scores have it).
    shingle : "characters" (default) or "words"
        What a shingle of a text is made of.
    shingle_size : int, optional
        Characters or words of a shingle, at least 1; default 5 characters or 3 words. A shorter text is one shingle.
    num_hashes : int, default 128
        Minima of the signatures of texts and sets.
    seed : int, default 0
        In [0, 2**64): which hash functions those use.
    num_threads : int, optional
        Default: every core that this process may use, 1 inside a DataLoader worker.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms, with a new total for every stage.

    Returns
    -------
    NearDuplicates

    Raises
    ------
    NegmineValueError
        None or several of the four inputs, a threshold out of range, NaN or infinity in embeddings.
    NegmineTypeError
        Texts that are no strings, or an input of a type that is not accepted.

    Notes
    -----
    Shingles and their resemblance: Broder ("On the resemblance and containment of documents", 1997). Bands: Leskovec,
    Rajaraman and Ullman, "Mining of massive datasets", section 3.4. Where a candidate pair is connected already it is
    not judged. Groups are chains: the first and the last row of one may be less alike than the threshold.

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
    threads, told = resolve_num_threads(num_threads), check_progress(progress)
    minhash = MinHash(num_hashes, seed=seed)
    unit = check_choice(shingle, "shingle", tuple(SHINGLES))
    width = SHINGLES[unit] if shingle_size is None else check_integer(shingle_size, "shingle_size", least=1)
    if embeddings is not None:
        return _by_cosine(embeddings, least, threads, told)
    if signatures is not None:
        return _by_bands(_signatures(signatures), least, None, threads, told)
    read = _distinct(read_sets(sets, "sets")) if texts is None else text_sets(texts, unit, width, threads, told)
    words = _native.minhash_signatures(minhash, read, read.hashed, threads, told)
    return _by_bands(words, least, read, threads, told)


def _share(value: object, argument: str, *, least: float, above: float = -np.inf) -> float:
    share = check_real(value, argument, least=least, above=above)
    if share > 1.0:
        raise NegmineValueError(f"`{argument}` must be at most 1; got {share}.")
    return share


def text_sets(texts: Iterable[str], unit: str, width: int, threads: int = 1, told: Progress | None = None) -> Sets:
    """The shingles of texts, rising and without repeats."""
    offsets, bytes_ = text_bytes(_normal(texts), "texts")
    return Sets(*_native.shingle_sets(offsets, bytes_, unit == "words", width, threads, told), hashed=True)


def _normal(texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise NegmineTypeError(f"`texts` must be an iterable of strings; got {type(texts).__name__}.")
    refuse_unordered(texts, "texts")
    for row, text in enumerate(texts.to_pylist() if hasattr(texts, "to_pylist") else texts):
        if not isinstance(text, str):
            if getattr(text, "ndim", 0):
                got = f"an array at row {row}. Embeddings are `embeddings=`."
            else:
                got = f"{text!r} at row {row}."
            raise NegmineTypeError(f"`texts` must hold strings; got {got}")
        yield " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _signatures(value: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    words = np.asarray(value)
    if words.dtype != np.uint32 or words.ndim != 2 or words.shape[1] == 0:
        raise NegmineValueError(
            f"`signatures` must be a uint32 array of shape (n, num_hashes), as MinHash makes them; "
            f"got {words.dtype.name} of shape {words.shape}."
        )
    return np.ascontiguousarray(words)


def _distinct(sets: Sets) -> Sets:
    """The same sets, rising and without repeats."""
    rows = np.repeat(np.arange(len(sets.offsets) - 1), np.diff(sets.offsets))
    order = np.lexsort((sets.tokens, rows))
    rows, tokens = rows[order], sets.tokens[order]
    first = np.ones(len(tokens), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (tokens[1:] != tokens[:-1])
    sizes = np.bincount(rows[first], minlength=len(sets.offsets) - 1)
    return Sets(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), tokens[first], sets.hashed)


def _by_bands(
    words: npt.NDArray[np.uint32], threshold: float, sets: Sets | None, threads: int, told: Progress | None
) -> NearDuplicates:
    bands, rows = _native.lsh_bands(threshold, words.shape[1])
    groups, left, right, similarities, verified = _native.lsh_duplicates(
        words, bands, rows, threshold, sets, threads, told
    )
    return NearDuplicates(groups, np.stack([left, right], axis=1), similarities, threshold, bands, rows, verified)


def _by_cosine(value: object, threshold: float, threads: int, told: Progress | None) -> NearDuplicates:
    """Exact search among different rows, for ever more neighbors around those whose neighbors are all near."""
    embeddings = as_numpy(value, "embeddings")
    _check_embeddings(embeddings)
    first = _first_copies(embeddings)
    real = (embeddings != 0).any(axis=1)  # a row of zeros has no direction, so it is like nothing
    copies = np.flatnonzero((first != np.arange(len(first))) & real)
    found = [(first[copies], copies, np.ones(len(copies)))]
    different = np.flatnonzero((first == np.arange(len(first))) & real)
    corpus, rows, neighbors = embeddings[different], np.arange(len(different)), NEIGHBORS
    index = ExactIndex(corpus, num_threads=threads) if len(corpus) > 1 else None
    while index is not None and len(rows):
        neighbors = min(neighbors, len(corpus))
        unfinished = []
        for block in np.array_split(rows, -(-len(rows) * neighbors // BLOCK_NEIGHBORS)):
            top = index.search(corpus[block], neighbors, progress=told)
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
    """The first row with the same bytes as each."""
    whole = np.ascontiguousarray(embeddings)
    if len(whole) == 0:
        return np.zeros(0, dtype=np.int64)
    bytes_ = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
    _, first, which = np.unique(bytes_, return_index=True, return_inverse=True)
    return first[which].astype(np.int64)
