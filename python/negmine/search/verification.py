"""Verification of the search results of any library against the exact result.

The verification compares rows, not scores, because libraries round scores differently and training reads only the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, as_numpy, as_rows, refuse_beyond_int64
from negmine._core.options import check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError
from negmine.search.core_index import CoreIndex
from negmine.search.exact import ExactIndex
from negmine.search.results import Metric

__all__ = ["Verification", "sample_queries", "verify"]

#: Number of document pairs that are compared at once, one byte each: 16 MiB.
COMPARED_AT_ONCE = 1 << 24


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Comparison of a search result with the exact result.

    Attributes
    ----------
    queries : int64 (n_checked,)
        Queries that were checked.
    equal_share : float
        Share of these queries whose rows equal the exact rows in every place.
    recall : float
        Share of the exact rows that are in the result, in any place.
    first_difference : tuple of int or None
        (query, place) of the first row that differs.
    missing, spurious : int64 (n, 2)
        (query, document) pairs that only the exact result has, and that only the verified result has.
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
    """Compare a search result of any library with the exact result.

    Parameters
    ----------
    queries : array (n_queries, width)
        Embeddings of the queries, of the same types as for [`ExactIndex`][].
    corpus : array (n_documents, width), ExactIndex or ShardedIndex
        Embeddings of the documents, of the same types, or an index over them.
    indices : int (n_queries, at least k)
        Row numbers of the documents per query, best first; -1 for none. Columns beyond ``k`` are ignored.
    k : int
        Documents per query, at least 1.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure by which the result was ranked.
    sample : int, optional
        Number of queries to check, drawn at random. Default: all.
    seed : int, default 0
        Seed of the draw, in [0, 2**64).
    num_threads : int, optional
        Number of threads. Default: all cores available to this process.

    Returns
    -------
    Verification

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    Notes
    -----
    Ties go to the lower row. The result of a library that breaks ties differently has ``missing`` and ``spurious``
    pairs of equal score; [`negmine.score_pairs`][] computes the scores of such pairs.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype=np.float32)
    >>> found = negmine.verify(corpus[:1], corpus, [[0, 2]], k=2)
    >>> found.recall, found.first_difference, found.missing.tolist()
    (0.5, (0, 1), [[0, 1]])
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
    if isinstance(corpus, CoreIndex) and corpus.metric != metric:
        raise NegmineValueError(f"`metric` must be that of the index, {corpus.metric!r}; got {metric!r}.")
    index = corpus if isinstance(corpus, CoreIndex) else ExactIndex(corpus, metric=metric)
    exact = index.search(as_numpy(queries, "queries")[checked], k, num_threads=num_threads).indices
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
    """Draw the queries to check.

    Parameters
    ----------
    n : int
        Number of queries.
    sample : int or None
        Number of queries to draw; None for all.
    seed : int
        Seed of the draw, in [0, 2**64).

    Returns
    -------
    int64 (n_checked,)
        Rows of the drawn queries, in ascending order.
    """
    seed = check_seed(seed)
    if sample is None:
        return np.arange(n, dtype=np.int64)
    size = min(check_integer(sample, "sample", least=1), n)
    draws = np.random.Philox(key=seed).random_raw(n)
    return np.sort(np.argsort(draws, kind="stable")[:size])


def _minus(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (row, document) pairs of the documents in every row of ``a`` that the same row of ``b`` lacks."""
    lacking = a >= 0
    step = max(1, COMPARED_AT_ONCE // max(a.shape[1] ** 2, 1))
    for i in range(0, len(a), step):
        lacking[i : i + step] &= ~(a[i : i + step, :, None] == b[i : i + step, None, :]).any(axis=2)
    place, column = np.nonzero(lacking)
    return np.column_stack([place, a[place, column]])
