"""Times of a graph, measured on part of a corpus and extrapolated to all of it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Rows
from negmine._core.math import ln
from negmine.search.exact import ExactIndex
from negmine.search.hnsw import HnswIndex
from negmine.search.results import RecallAudit

__all__ = ["Trial", "raise_ef"]

#: Factor by which the candidate list grows until the recall is reached.
GROWTH = 1.5

#: Longest candidate list that is tried.
LONGEST_LIST = 4096


def raise_ef(
    index: HnswIndex, queries: npt.NDArray[Any], expected: npt.NDArray[np.int64], recall: float, exact_seconds: float
) -> RecallAudit:
    """Raise ``ef_search`` of an index until a recall is reached, or the longest list is tried.

    Parameters
    ----------
    index : HnswIndex
        The index, whose ``ef_search`` and ``last_audit`` are set.
    queries : array (n_queries, width)
        Embeddings of the queries.
    expected : int64 (n_queries, k)
        Rows of the exact documents.
    recall : float
        Recall to reach.
    exact_seconds : float
        Seconds per query of the exact search.

    Returns
    -------
    RecallAudit
        The last measurement.
    """
    ef_search = expected.shape[1]
    while True:
        index.ef_search = ef_search
        audit = index.audit_against(queries, expected, exact_seconds)
        if audit.recall >= recall or ef_search >= LONGEST_LIST:
            return audit
        ef_search = min(math.ceil(ef_search * GROWTH), LONGEST_LIST)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Times of a graph of one size: seconds per document of its build, and per query at the recall asked for."""

    n_documents: int
    build: float
    search: float


class Trial:
    """A graph over a sample of the documents, which grows while its times are measured.

    Parameters
    ----------
    documents : Rows
        Sample of the documents, in random order.
    queries : Rows
        Sample of the queries.
    k : int
        Documents per query.
    recall : float
        Recall at which the search is measured.
    options : mapping of str to Any
        Options of [`negmine.HnswIndex`][].
    """

    def __init__(self, documents: Rows, queries: Rows, k: int, recall: float, options: Mapping[str, Any]) -> None:
        self._documents, self._queries, self._k, self._recall = documents.values(), queries.values(), k, recall
        self._options = options
        self._index: HnswIndex | None = None
        self._seconds = 0.0
        self._sizes: list[_Measured] = []

    def grow(self, n: int) -> float:
        """Insert documents until there are ``n``, and measure.

        Parameters
        ----------
        n : int
            Number of documents of the sample, larger than before.

        Returns
        -------
        float
            Seconds per document of the whole build. Larger graphs take longer.
        """
        started = time.perf_counter()
        if self._index is None:
            self._index = HnswIndex(self._documents[:n], **self._options)
        else:
            self._index.add(self._documents[len(self._index) : n])
        self._seconds += time.perf_counter() - started
        return self._seconds / n

    def measure(self) -> None:
        """Measure the search in the graph as it is."""
        index = self._index
        assert index is not None
        n = len(index)
        exact = ExactIndex(self._documents[:n], metric=index.metric)
        expected = exact.search(self._queries, min(self._k, n)).indices
        audit = raise_ef(index, self._queries, expected, self._recall, 0.0)
        # A graph that does not reach the recall takes at least as long.
        self._sizes.append(_Measured(n, self._seconds / n, audit.seconds_per_query))

    def extrapolate(self, n: int) -> tuple[float, float]:
        """Return the predicted seconds per document of the build, and per query of the search, of a larger graph.

        Both grow with the logarithm of the number of documents, as the paper of the graph derives for the search.

        Parameters
        ----------
        n : int
            Number of documents.

        Returns
        -------
        tuple of (float, float)
        """
        first, last = self._sizes[0], self._sizes[-1]
        if first.n_documents >= last.n_documents:
            return last.build, last.search
        logs = ln(np.array([first.n_documents, last.n_documents, n], dtype=np.float64))
        further = float((logs[2] - logs[1]) / (logs[1] - logs[0]))
        return (
            last.build + max(last.build - first.build, 0.0) * further,
            last.search + max(last.search - first.search, 0.0) * further,
        )
