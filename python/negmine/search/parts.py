"""Documents that lie in several arrays of the caller, one after the other."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, CsrLike, Rows
from negmine.data.eligibility import Eligibility
from negmine.search.results import Metric

__all__ = ["Parts"]


class Parts:
    """Embeddings in one or more arrays; rows are numbered through all of them.

    Parameters
    ----------
    metric : {"cosine", "ip", "l2"}
        Similarity measure of the scores.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.arrays: list[Rows] = []

    def __len__(self) -> int:
        return sum(rows.shape[0] for rows in self.arrays)

    def append(self, rows: Rows) -> None:
        """Add the rows of one more array.

        Parameters
        ----------
        rows : Rows
            Embeddings.
        """
        self.arrays.append(rows)

    def score(self, queries: Rows, pairs: CsrLike, num_threads: int) -> npt.NDArray[np.float64]:
        """Return the canonical scores of pairs, in CSR order.

        Parameters
        ----------
        queries : Rows
            Embeddings of the queries.
        pairs : CsrLike
            Rows of documents per query.
        num_threads : int
            Number of threads.

        Returns
        -------
        float64 (n_pairs,)
        """
        if len(self.arrays) == 1:
            return _native.score_pairs(queries, self.arrays[0], pairs, self._metric, num_threads, None)
        scores = np.empty(len(pairs.items), dtype=np.float64)
        begin = 0
        for rows in self.arrays:
            end = begin + rows.shape[0]
            here = (pairs.items >= begin) & (pairs.items < end)
            before = np.concatenate([[0], np.cumsum(here)])
            own = Csr(before[pairs.offsets], pairs.items[here] - begin)
            scores[here] = _native.score_pairs(queries, rows, own, self._metric, num_threads, None)
            begin = end
        return scores

    def search(
        self, queries: Rows, k: int, left_out: npt.NDArray[np.bool_], num_threads: int
    ) -> tuple[npt.NDArray[np.int64], float]:
        """Find the best documents exactly.

        Parameters
        ----------
        queries : Rows
            Embeddings of the queries.
        k : int
            Documents per query.
        left_out : bool (n_documents,)
            Documents that are not returned.
        num_threads : int
            Number of threads.

        Returns
        -------
        tuple of (int64 (n_queries, k), float)
            Rows of the documents, padded with -1, and the seconds that the scans took, without the packing.
        """
        found, begin, seconds = [], 0, 0.0
        for rows in self.arrays:
            end = begin + rows.shape[0]
            index = _native.ExactIndex(rows, self._metric, None, None, num_threads, None)
            none = np.zeros(queries.shape[0], dtype=np.int64)
            kept = Eligibility.equal(left_out[begin:end].astype(np.int64), none) if left_out[begin:end].any() else None
            started = time.perf_counter()
            indices, scores, _ = index.search(queries, k, None, None, kept, num_threads, None)
            seconds += time.perf_counter() - started
            found.append((np.where(indices >= 0, indices + begin, -1), scores))
            begin = end
        indices, scores = (np.concatenate(columns, axis=1) for columns in zip(*found, strict=True))
        order = np.lexsort((indices, -scores), axis=1)[:, :k]
        return np.take_along_axis(indices, order, axis=1), seconds
