"""Measured recall of an approximate search."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from negmine.search.results import RecallAudit

__all__ = ["measure_recall"]


def measure_recall(
    search: Callable[[], npt.NDArray[np.int64]],
    expected: npt.NDArray[np.int64],
    ef_search: int,
    exact_seconds: float,
) -> RecallAudit:
    """Search, and compare the result with the exact one.

    Parameters
    ----------
    search : callable
        Called without arguments; returns rows of documents, int64 (n_queries, k).
    expected : int64 (n_queries, k)
        Rows of the exact documents, padded with -1; at least one query, and one document per query.
    ef_search : int
        Length of the candidate list.
    exact_seconds : float
        Seconds per query of the exact search.

    Returns
    -------
    RecallAudit
    """
    n, k = expected.shape
    started = time.perf_counter()
    found = search()
    seconds = time.perf_counter() - started
    hits = [np.isin(rows, other[other >= 0]).sum() for rows, other in zip(found, expected, strict=True)]
    shares = np.array(hits) / (expected >= 0).sum(axis=1)
    return RecallAudit(
        k=k,
        ef_search=ef_search,
        n_queries=n,
        recall=float(shares.mean()),
        standard_error=float(shares.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"),
        seconds_per_query=seconds / n,
        exact_seconds_per_query=exact_seconds,
    )
