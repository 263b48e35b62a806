"""Guards: documents near a held-out set, and negatives that are probably relevant by the votes of their neighbors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, as_rows, refuse_not_finite
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.mining.pool import CandidatePool
from negmine.search.exact import ExactIndex
from negmine.sketches.nearest import nearest_texts

__all__ = ["Decontamination", "DecontaminationReport", "FalseNegatives", "exclude_near", "false_negatives"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class DecontaminationReport:
    """Which held-out items the excluded documents are near to.

    Attributes
    ----------
    n_documents, n_held_out : int
        Number of documents and of held-out items.
    kind : str
        How they were compared: "exact", "minhash" or "cosine".
    threshold : float
        Minimum similarity of what is near; 1.0 for "exact".
    nearest : int64 (n,)
        Row of the held-out item nearest to each excluded document, the lowest row of equally near ones.
    similarities : float64 (n,)
        Similarity to this item.
    """

    n_documents: int
    n_held_out: int
    kind: str
    threshold: float
    nearest: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float64]

    @property
    def n_excluded(self) -> int:
        """Number of excluded documents."""
        return len(self.nearest)


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Decontamination:
    """Documents near a held-out set, made by [`exclude_near`][].

    Attributes
    ----------
    exclude : int64 (n,)
        Rows of these documents, in ascending order.
    report : DecontaminationReport
        What they are near to.
    """

    exclude: npt.NDArray[np.int64]
    report: DecontaminationReport

    def eligible(self, n_queries: int) -> Eligibility:
        """Return the rule for ``eligible=`` under which no query has one of these documents as a candidate.

        It holds one key per document and one range per query, and therefore no list per query. Positives are not
        candidates, and stay what they are.

        Parameters
        ----------
        n_queries : int
            Number of queries of the mining call.

        Returns
        -------
        Eligibility
        """
        keys = np.zeros(self.report.n_documents, dtype=np.int64)
        keys[self.exclude] = 1
        return Eligibility.equal(keys, np.zeros(check_integer(n_queries, "n_queries", least=0), dtype=np.int64))


@refuse_unknown_options("exclude_near")
def exclude_near(
    documents: Iterable[str] | Any,  # noqa: ANN401 (any array of embeddings)
    held_out: Iterable[str] | Any,  # noqa: ANN401
    *,
    kind: Literal["exact", "minhash", "cosine"],
    threshold: float | None = None,
    num_threads: int | None = None,
) -> Decontamination:
    """Find the documents near a held-out set, such as the queries or passages of a benchmark, to exclude them.

    Every document is compared with the held-out items themselves: a document that is near to an excluded document, but
    to no held-out item, stays.

    Parameters
    ----------
    documents : iterable of n_documents str, or array (n_documents, width)
        Texts of all documents, or their embeddings for "cosine".
    held_out : iterable of n_held_out str, or array (n_held_out, width)
        Texts or embeddings of the held-out items.
    kind : {"exact", "minhash", "cosine"}
        How they are compared. "exact": texts are equal after Unicode normalization to NFC, case folding, and collapsing
        of white space. "minhash": Jaccard similarity of the sets of five successive characters of the texts that are so
        normalized, with the candidates of [`negmine.near_duplicates`][], which miss at most one in a hundred of the
        pairs above the threshold if similarities are uniformly distributed. "cosine": cosine of embeddings, rounded to
        float32; no document is missed. A text of only white space, and an embedding of zeros, is near to nothing.
    threshold : float, optional
        Minimum similarity of what is near, in (0, 1]; needed for "minhash" and "cosine" only.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process. Results never depend on it.

    Returns
    -------
    Decontamination

    Raises
    ------
    NegmineValueError
        The threshold is out of range or missing, or given for "exact"; an embedding holds NaN or infinity; or the
        widths differ.
    NegmineTypeError
        A text is not a string, or an input has a type that is not accepted.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> from negmine.mining import exclude_near
    >>> near = exclude_near(["A cat sat.", "A dog."], ["a cat  sat."], kind="exact")
    >>> near.exclude.tolist(), near.report.nearest.tolist()
    ([0], [0])
    >>> corpus = np.eye(2, dtype=np.float32)
    >>> negmine.mine(corpus, corpus, [[], []], num_negatives=1, eligible=near.eligible(2)).indices.tolist()
    [[1], [1]]
    """
    way = check_choice(kind, "kind", ("exact", "minhash", "cosine"))
    threads = resolve_num_threads(num_threads)
    least = _check_threshold(threshold, way)
    if way == "cosine":
        nearest, similarities, n_held_out = _nearest_embeddings(documents, held_out, least, threads)
    else:
        limit = None if way == "exact" else least
        nearest, similarities, n_held_out = nearest_texts(documents, held_out, limit, threads)
    rows = np.flatnonzero(nearest >= 0)
    report = DecontaminationReport(len(nearest), n_held_out, way, least, nearest[rows], similarities[rows])
    return Decontamination(rows, report)


def _check_threshold(threshold: object, kind: str) -> float:
    if kind == "exact":
        if threshold is not None:
            raise NegmineValueError(f"`threshold` must be None for kind='exact'; got {threshold!r}.")
        return 1.0
    least = check_real(threshold, "threshold", above=0.0)
    if least > 1.0:
        raise NegmineValueError(f"`threshold` must be at most 1; got {least}.")
    return least


def _nearest_embeddings(
    documents: object, held_out: object, threshold: float, threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], int]:
    rows, others = as_rows(documents, "documents"), as_rows(held_out, "held_out")
    if rows.shape[1] != others.shape[1]:
        raise NegmineValueError(
            f"`held_out` must be as wide as the documents, {rows.shape[1]}; got width {others.shape[1]}."
        )
    if rows.shape[1] == 0:
        raise NegmineValueError(f"`documents` must be at least 1 wide; got shape {rows.shape}.")
    refuse_not_finite(rows, "documents")
    refuse_not_finite(others, "held_out")
    found = ExactIndex(held_out, num_threads=threads).search(documents, min(1, others.shape[0]))
    if others.shape[0] == 0:
        return np.full(rows.shape[0], -1, dtype=np.int64), np.full(rows.shape[0], np.nan), 0
    # Scores are rounded to float32, as those of near-duplicates are, so that a copy reaches a threshold of 1.
    near = found.scores[:, 0] >= np.float32(threshold)
    nearest = np.where(near, found.indices[:, 0], -1)
    return nearest, np.where(near, found.scores[:, 0].astype(np.float64), np.nan), others.shape[0]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class FalseNegatives:
    """Votes on mined negatives, made by [`false_negatives`][].

    Attributes
    ----------
    votes : float64 (n_rows, width)
        Vote on every negative, aligned with ``indices``; NaN for padding.
    """

    votes: npt.NDArray[np.float64]

    @property
    def suspected(self) -> npt.NDArray[np.bool_]:
        """Whether a negative is probably relevant, bool (n_rows, width): its vote is greater than 0."""
        return self.votes > 0

    @property
    def n_suspected(self) -> int:
        """Number of these negatives."""
        return int(self.suspected.sum())


@refuse_unknown_options("false_negatives")
def false_negatives(
    negatives: HardNegatives | CandidatePool,
    *,
    embeddings: object,
    flagged: npt.ArrayLike | None = None,
    k: int = 10,
    num_threads: int | None = None,
) -> FalseNegatives:
    """Find negatives that are probably relevant, by the votes of their nearest neighbors in the corpus.

    The vote on a document is the sum of its cosines with those of its ``k`` nearest documents that are positives or
    verified false negatives of the query, minus the sum over those that are verified negatives. All other documents
    abstain, so one labeled neighbor decides. A few verified negatives are thereby spread to those that resemble them.
    Votes use what is given, not each other.

    Parameters
    ----------
    negatives : HardNegatives or CandidatePool
        The negatives with their pool, or all candidates of a pool.
    embeddings : array (n_documents, width)
        Embeddings of all documents of the corpus: those that were mined with, or better those of another model.
    flagged : int (n_rows, width), optional
        What is verified, aligned with ``negatives.indices``: 1 for a false negative, -1 for a negative, 0 for what is
        not known. Default: nothing is verified.
    k : int, default 10
        Number of neighbors, at least 1; the document itself is not among them.
    num_threads : int, optional
        Number of threads. Default: all cores available to this process. Results never depend on it.

    Returns
    -------
    FalseNegatives

    Raises
    ------
    NegmineValueError
        The negatives have no pool, a row lies beyond the embeddings, ``flagged`` has another shape or other values or
        contradicts itself, or an embedding holds NaN or infinity.
    NegmineTypeError
        An argument has a type that is not accepted.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1]], dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:1], corpus, [[0]], num_negatives=4)
    >>> found = negmine.mining.false_negatives(negatives, embeddings=corpus, k=2)
    >>> negatives.indices.tolist(), found.suspected.tolist()
    ([[1, 2, 4, 3]], [[True, True, False, False]])
    """
    pool = _pool_of(negatives)
    rows = as_rows(embeddings, "embeddings")
    n = rows.shape[0]
    positives = pool.rules.positives
    highest = max(int(negatives.indices.max(initial=-1)), int(positives.items.max(initial=-1)))
    if highest >= n or rows.shape[1] == 0:
        raise NegmineValueError(
            f"`embeddings` must have a row for document {highest}, at least 1 wide; got shape {rows.shape}."
        )
    refuse_not_finite(rows, "embeddings")
    neighbors = check_integer(k, "k", least=1)
    present = negatives.indices >= 0
    row, column = np.nonzero(present)
    query, document = negatives.query_indices[row] - pool.query_offset, negatives.indices[present]
    known, labels = _labels(pool, query, document, _flags(flagged, present), n)
    distinct, place = np.unique(document, return_inverse=True)
    index = ExactIndex(rows.values(), num_threads=resolve_num_threads(num_threads))
    itself = Positives(np.arange(len(distinct) + 1), distinct)
    near = index.search(rows.values()[distinct], min(neighbors, n), exclude=itself, dtype="float64")
    vote = np.zeros(len(document))
    for rank in range(near.indices.shape[1]):
        other, score = near.indices[place, rank], near.scores[place, rank]
        found = np.minimum(np.searchsorted(known, query * n + other), len(known) - 1)
        votes = (other >= 0) & (known[found] == query * n + other) if len(known) else np.zeros(len(other), dtype=bool)
        vote[votes] += labels[found[votes]] * score[votes]
    votes_of = np.full(negatives.indices.shape, np.nan)
    votes_of[row, column] = vote
    return FalseNegatives(votes_of)


def _pool_of(negatives: object) -> CandidatePool:
    if isinstance(negatives, CandidatePool):
        return negatives
    if not isinstance(negatives, HardNegatives):
        raise NegmineTypeError(f"`negatives` must be HardNegatives or a CandidatePool; got {type(negatives).__name__}.")
    if negatives.pool is None:
        raise NegmineValueError("`negatives` must have their pool; got negatives that were saved without `pool=True`.")
    return negatives.pool


def _flags(flagged: npt.ArrayLike | None, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return what is verified of every negative, without padding."""
    if flagged is None:
        return np.zeros(int(present.sum()), dtype=np.int64)
    given = as_array(flagged, "flagged")
    if given.dtype.kind not in "iu" and given.size:
        raise NegmineTypeError(f"`flagged` must hold integers; got dtype {given.dtype.name}.")
    if given.shape != present.shape:
        raise NegmineValueError(f"`flagged` must have the shape of the negatives, {present.shape}; got {given.shape}.")
    if (bad := ~np.isin(given, (-1, 0, 1))).any():
        row, column = np.argwhere(bad)[0].tolist()
        raise NegmineValueError(f"`flagged` must hold 1, 0 or -1; got {given[row, column]} at {row, column}.")
    if (bad := ~present & (given != 0)).any():
        row, column = np.argwhere(bad)[0].tolist()
        raise NegmineValueError(f"`flagged` must be 0 for padding; got {given[row, column]} at {row, column}.")
    return given[present].astype(np.int64)


def _labels(
    pool: CandidatePool,
    query: npt.NDArray[np.int64],
    document: npt.NDArray[np.int64],
    flags: npt.NDArray[np.int64],
    n: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the labeled (query, document) pairs as ascending numbers, and their labels."""
    positives = pool.rules.positives
    owner = np.repeat(np.arange(len(positives.offsets) - 1), np.diff(positives.offsets))
    inside, verified = positives.items >= 0, flags != 0
    pairs = np.concatenate([owner[inside] * n + positives.items[inside], query[verified] * n + document[verified]])
    values = np.concatenate([np.ones(int(inside.sum()), dtype=np.int64), flags[verified]])
    known, place = np.unique(pairs, return_inverse=True)
    labels = np.zeros(len(known), dtype=np.int64)
    labels[place] = values
    if (other := labels[place] != values).any():
        first, second = divmod(int(pairs[other][0]), n)
        raise NegmineValueError(
            "`flagged` must not contradict another row or a positive; got 1 and -1 for query "
            f"{first + pool.query_offset} and document {second}."
        )
    return known, labels
