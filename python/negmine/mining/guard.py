"""Guard against false negatives and leaks: documents near a held-out set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_rows, refuse_not_finite
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility
from negmine.errors import NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.sketches.nearest import nearest_texts

__all__ = ["Decontamination", "DecontaminationReport", "exclude_near"]


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
    """Documents near a held-out set, made by :func:`exclude_near`.

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
        normalized, with the candidates of :func:`negmine.near_duplicates`, which miss at most one in a hundred of the
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
