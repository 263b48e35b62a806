"""Near-duplicate detection for texts, sets and embeddings: MinHash with banding (Broder, 1997), or exact cosines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_rows, refuse_unordered
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Strings
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sketches.minhash import MinHash, Sets, read_sets

__all__ = ["NearDuplicates", "near_duplicates"]

#: Units of a shingle, and the default number of units per shingle.
SHINGLES = {"characters": 5, "words": 3}

#: Characters of a longer text that are normalized at a time, between which signals are handled.
PIECE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class NearDuplicates:
    """Groups of rows that are near-duplicates, made by [`near_duplicates`][].

    Attributes
    ----------
    groups : int64 (n,)
        First row of the group of every row, or -1 for a row without near-duplicates; the argument ``groups=`` of the
        miner accepts this array.
    pairs : int64 (m, 2)
        Pairs that connect the rows of each group, one fewer than its rows; the lower row comes first, and pairs are in
        ascending order. For embeddings, a copy of an earlier row is paired with the first row of the same values, and
        the other pairs are the first ones, in ascending order, that connect the remaining rows.
    similarities : float64 (m,)
        Similarities of the pairs, at least the threshold.
    threshold : float
        Minimum similarity of near-duplicates.
    bands, band_rows : int
        Signatures were split into ``bands`` bands of ``band_rows`` words; 0 for embeddings, which are searched exactly.
    verified : int
        Number of candidate pairs whose similarity was computed; 0 for embeddings, which have no candidates: a pair is
        compared unless its rows are in one group already.
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
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> NearDuplicates:
    """Find groups of near-duplicates, where rows may be connected through other rows.

    Texts are converted to sets of shingles, and sets to MinHash signatures. Two sets that agree in a band of their
    signatures are a candidate pair, and a candidate pair counts if its exact Jaccard similarity reaches the threshold.
    Therefore no pair below the threshold connects a group. The bands are chosen so that at most one in a hundred of the
    pairs above the threshold is missed (if similarities are uniformly distributed; more are missed just above the
    threshold). Embeddings are compared exactly, and no pair is missed. The result is the same for any number of
    threads, any instruction set and any memory limit.

    Parameters
    ----------
    texts : iterable of n str, optional
        Texts, which are compared after Unicode normalization to NFC, case folding, and collapsing of white space. A
        text of only white space is similar to no other text.
    sets : (offsets, tokens), or a sequence of n iterables, optional
        Sets of tokens, as for [`MinHash.signatures`][]. An empty set is similar to no other set.
    signatures : uint32 (n, num_hashes), optional
        Signatures of ``MinHash(num_hashes)``. Pairs are compared by the estimated similarity, whose standard deviation
        is about ``sqrt(t * (1 - t) / num_hashes)`` at a threshold t.
    embeddings : array (n, width), optional
        Embeddings, of the same types as for [`ExactIndex`][], which are compared by cosine; a row of zeros is
        similar to no other row. Exactly one of ``texts``, ``sets``, ``signatures`` and ``embeddings`` must be given.
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
    memory_limit : int, optional
        Bytes of working memory in addition to the embeddings; only with ``embeddings``. Packed rows take about 0.3
        times their float32 bytes, and all else about 150 bytes per row. If they exceed the limit, rows are packed again
        for every block that they are compared with. What succeeds within a limit also succeeds within every higher
        limit. Default: no limit.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms, with a new total for every stage.

    Returns
    -------
    NearDuplicates

    Raises
    ------
    NegmineValueError
        None or several of the four inputs are given, the threshold is out of range, an embedding holds NaN or infinity,
        or ``memory_limit`` is given without embeddings.
    MemoryLimitError
        The embeddings cannot be compared within ``memory_limit``; the message says how many bytes are enough.
    NegmineTypeError
        A text is not a string, or an input has a type that is not accepted.

    Notes
    -----
    Shingles and their resemblance are from Broder ("On the resemblance and containment of documents", 1997). Banding is
    described by Leskovec, Rajaraman and Ullman ("Mining of massive datasets", section 3.4). The similarity of a
    candidate pair is not computed if its rows are already connected; therefore the time and memory of one large group
    of near-equal embeddings are linear in its rows. A group may be a chain, in which the similarity of the first and
    the last row is below the threshold.

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
    if memory_limit is not None:
        memory_limit = check_integer(memory_limit, "memory_limit", least=0, most=2**63 - 1)
        if embeddings is None:
            raise NegmineValueError(f"`memory_limit` must be given with `embeddings`; got it with `{names[0]}`.")
    if embeddings is not None:
        return _by_cosine(embeddings, least, memory_limit, threads, progress)
    if signatures is not None:
        return _by_bands(_signatures(signatures), least, None, threads, progress)
    if texts is None:
        given_sets = read_sets(sets, "sets")
        read = Sets(*_native.distinct_sets(given_sets, threads, progress), given_sets.hashed)
    else:
        read = text_sets(texts, unit, width, threads, progress)
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
    read = Strings.of(normal_texts(texts, "texts"), "texts")
    return Sets(*_native.shingle_sets(read, unit == "words", width, threads, progress), hashed=True)


def normal_texts(texts: Iterable[str], argument: str) -> Iterator[str]:
    """Yield texts as they are compared: NFC, case folded, with white space collapsed.

    Parameters
    ----------
    texts : iterable of str
        The texts.
    argument : str
        Name of the argument, for error messages.

    Yields
    ------
    str
        The text, normalized.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise NegmineTypeError(f"`{argument}` must be an iterable of strings; got {type(texts).__name__}.")
    refuse_unordered(texts, argument)
    for row, text in enumerate(texts.to_pylist() if hasattr(texts, "to_pylist") else texts):
        if not isinstance(text, str):
            if getattr(text, "ndim", 0):
                got = f"an array at row {row}. Pass embeddings as `embeddings=`."
            else:
                got = f"{text!r} at row {row}."
            raise NegmineTypeError(f"`{argument}` must hold strings; got {got}")
        yield " ".join(normal for piece in _pieces(text) if (normal := _normal_piece(piece)))


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text before spaces, which neither Unicode normalization nor the collapsing of white space crosses."""
    begin = 0
    while len(text) - begin > PIECE:
        cut = text.rfind(" ", begin + 1, begin + PIECE)
        cut = text.find(" ", begin + PIECE) if cut == -1 else cut
        if cut == -1:
            break
        yield text[begin:cut]
        begin = cut
    yield text[begin:]


def _normal_piece(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _signatures(value: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    words = np.asarray(value)
    if words.dtype != np.uint32 or words.ndim != 2 or words.shape[1] == 0:
        raise NegmineValueError(
            "`signatures` must be a uint32 array of shape (n, num_hashes), as computed by MinHash; got "
            f"{words.dtype.name} of shape {words.shape}."
        )
    return np.ascontiguousarray(words)


def _by_bands(
    words: npt.NDArray[np.uint32], threshold: float, sets: Sets | None, threads: int, progress: Progress | None
) -> NearDuplicates:
    bands, rows = _native.lsh_bands(threshold, words.shape[1], threads, progress)
    (groups, left, right, similarities), verified = _native.lsh_duplicates(
        words, bands, rows, threshold, sets, threads, progress
    )
    return NearDuplicates(groups, np.stack([left, right], axis=1), similarities, threshold, bands, rows, verified)


def _by_cosine(
    value: object, threshold: float, memory_limit: int | None, threads: int, progress: Progress | None
) -> NearDuplicates:
    embeddings = as_rows(value, "embeddings")
    if embeddings.shape[1] == 0:
        raise NegmineValueError(f"`embeddings` must be at least 1 wide; got shape {embeddings.shape}.")
    groups, left, right, similarities = _native.cosine_duplicates(
        embeddings, threshold, memory_limit, threads, progress
    )
    return NearDuplicates(groups, np.stack([left, right], axis=1), similarities, threshold, 0, 0, 0)
