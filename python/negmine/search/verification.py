"""Auditing anybody's answer against the canonical definition.

It compares rows, not scores: libraries round scores in their own ways, and rows are what training reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, as_numpy, as_rows, refuse_beyond_int64
from negmine._core.options import check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.search.results import Metric

__all__ = ["Verification", "sample_queries", "verify"]

#: Pairs of documents of two answers that are held together at a time: 16 MiB.
COMPARED_AT_ONCE = 1 << 24


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """How an answer compares with the exact one.

    Attributes
    ----------
    queries : int64 (n_checked,)
        Queries that were checked.
    equal_share : float
        Share of them whose rows equal the exact ones in every place.
    recall : float
        Share of the exact rows that the answer holds, in any place.
    first_difference : tuple of int or None
        (query, place) of the first row that differs.
    missing, spurious : int64 (n, 2)
        (query, document) pairs of the exact answer that are not in the other, and the other way round.
    """

    queries: npt.NDArray[np.int64]
    equal_share: float
    recall: float
    first_difference: tuple[int, int] | None
    missing: npt.NDArray[np.int64]
    spurious: npt.NDArray[np.int64]


@refuse_unknown_options("verify")
def verify(
    queries: object,
    corpus: object,
    indices: npt.ArrayLike,
    k: int,
    *,
    metric: Metric = "cosine",
    sample: int | None = None,
    seed: int = 0,
    num_threads: int | None = None,
) -> Verification:
    """Compare an answer of any library with the exact one.

    Parameters
    ----------
    queries : array (n_queries, width)
        Types as for :class:`ExactIndex`.
    corpus : array (n_documents, width)
        Likewise.
    indices : int (n_queries, at least k)
        Row numbers of the documents per query, best first; -1 for none. Places beyond ``k`` are not looked at.
    k : int
        Documents per query, at least 1.
    metric : "cosine" (default), "ip" or "l2"
        What the answer was ranked by.
    sample : int, optional
        Check only this many queries, drawn by ``seed``. Default: all.
    seed : int
        Seed of the draw, in [0, 2**64). Default: 0.
    num_threads : int, optional
        Default: every core this process may use.

    Returns
    -------
    Verification

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument that breaks its rule; the message names it.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    >>> found = negmine.verify(corpus[:1], corpus, [[0, 2]], k=2)
    >>> found.recall, found.first_difference, found.missing.tolist()
    (0.5, (0, 1), [[0, 1]])

    Notes
    -----
    Ties go to the lower row. A library that breaks them otherwise has ``missing`` and ``spurious`` pairs of equal
    score; :func:`negmine.score_pairs` tells.
    """
    answer = as_array(indices, "indices")
    query_array = as_rows(queries, "queries")
    k, n = check_integer(k, "k", least=1), query_array.shape[0]
    if answer.dtype.kind not in "iu" or answer.ndim != 2 or len(answer) != n or answer.shape[1] < k:
        raise NegmineValueError(
            f"`indices` must be integers of shape ({n}, at least {k}); got {answer.dtype.name} {answer.shape}."
        )
    refuse_beyond_int64(answer, "indices")
    checked = sample_queries(n, sample, seed)
    index = ExactIndex(corpus, metric=metric, num_threads=num_threads)
    exact = index.search(as_numpy(queries, "queries")[checked], k).indices
    other = answer[checked, :k].astype(np.int64)
    same = exact == other
    different = np.argwhere(~same)
    first = None if len(different) == 0 else (int(checked[different[0, 0]]), int(different[0, 1]))
    missing, spurious = _minus(exact, other), _minus(other, exact)
    found = int((exact >= 0).sum())
    return Verification(
        queries=checked,
        equal_share=float(same.all(axis=1).mean()) if len(checked) else 1.0,
        recall=1.0 - len(missing) / found if found else 1.0,
        first_difference=first,
        missing=np.column_stack([checked[missing[:, 0]], missing[:, 1]]),
        spurious=np.column_stack([checked[spurious[:, 0]], spurious[:, 1]]),
    )


def sample_queries(n: int, sample: int | None, seed: int) -> npt.NDArray[np.int64]:
    """Draw ``sample`` of ``n`` queries, ascending; all of them without a ``sample``."""
    seed = check_seed(seed)
    if sample is None:
        return np.arange(n, dtype=np.int64)
    size = min(check_integer(sample, "sample", least=1), n)
    draws = np.random.Philox(key=seed).random_raw(n)
    return np.sort(np.argsort(draws, kind="stable")[:size])


def _minus(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(place, document) of the documents of every row of ``a`` that the same row of ``b`` lacks."""
    lacking = a >= 0
    step = max(1, COMPARED_AT_ONCE // max(a.shape[1] ** 2, 1))
    for i in range(0, len(a), step):
        lacking[i : i + step] &= ~(a[i : i + step, :, None] == b[i : i + step, None, :]).any(axis=2)
    place, column = np.nonzero(lacking)
    return np.column_stack([place, a[place, column]])
