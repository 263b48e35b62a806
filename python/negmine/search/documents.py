"""Documents of an approximate index: their embeddings, their graph, and which of them are deleted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, Rows, count_zero_rows, refuse_not_finite
from negmine._core.calls import Progress
from negmine.errors import NegmineValueError
from negmine.search.graph import Graph
from negmine.search.parts import Parts
from negmine.search.results import Metric
from negmine.search.widening import Proposer

__all__ = ["Documents", "check_rows"]

#: Documents that are inserted between two checks for an interrupt.
INSERTED_AT_ONCE = 256


class Documents:
    """Documents in the order of their rows.

    Parameters
    ----------
    metric : {"cosine", "ip", "l2"}
        Similarity measure of the scores.
    graph : Graph
        An empty graph.
    build_threads : int
        Number of threads that insert documents.

    Attributes
    ----------
    parts : Parts
        Embeddings.
    graph : Graph
        Graph of all documents.
    deleted : bool (n_documents,)
        Whether each document is deleted.
    n_zero : int
        Number of documents of norm zero; counted only under "cosine".
    """

    def __init__(self, metric: Metric, graph: Graph, build_threads: int) -> None:
        self._metric, self._build_threads = metric, build_threads
        self.parts, self.graph = Parts(metric), graph
        self.deleted = np.zeros(0, dtype=np.bool_)
        self.n_zero = 0

    def __len__(self) -> int:
        return len(self.deleted)

    def insert(self, rows: Rows, argument: str, progress: Progress | None) -> None:
        """Insert documents chunk by chunk; after an error or Ctrl-C, those of complete chunks are in the index.

        Parameters
        ----------
        rows : Rows
            Embeddings of the documents.
        argument : str
            Name of the argument, for error messages.
        progress : callable or None
            Called as ``progress(done, total)``.

        Raises
        ------
        NegmineValueError
            An embedding is not finite; nothing is inserted.
        MemoryLimitError
            The graph does not fit in memory.
        """
        refuse_not_finite(rows, argument)
        n, first = rows.shape[0], len(self)
        self.graph.reserve(first + n, argument)
        try:
            for begin in range(0, n, INSERTED_AT_ONCE):
                end = min(begin + INSERTED_AT_ONCE, n)
                vectors = self.graph.vectors(rows.slice(begin, end))
                self.graph.add(vectors, first + begin, self._build_threads)
                if progress is not None:
                    progress(end, n)
        finally:
            # Ctrl-C may arrive right after an insertion: the graph knows how many documents it holds.
            inserted = rows.slice(0, len(self.graph) - first)
            self.parts.append(inserted)
            self.deleted = np.concatenate([self.deleted, np.zeros(inserted.shape[0], dtype=np.bool_)])
            if self._metric == "cosine":
                self.n_zero += count_zero_rows(inserted)

    def delete(self, rows: npt.NDArray[np.int64]) -> None:
        """Mark documents as deleted.

        Parameters
        ----------
        rows : int64 (n,)
            Rows of the documents.

        Raises
        ------
        NegmineValueError
            A row is out of range, repeated or already deleted; nothing is deleted.
        """
        check_rows(rows, "rows", len(self))
        unique, counts = np.unique(rows, return_counts=True)
        bad = (counts > 1) | self.deleted[unique]
        if bad.any():
            raise NegmineValueError(f"`rows` must hold documents once that are not deleted yet; got {unique[bad][0]}.")
        for row in unique.tolist():
            self.graph.delete(row)
            self.deleted[row] = True

    def proposer(self, ef_search: int, most: int, num_threads: int) -> Proposer:
        """Return what pools are made from.

        Parameters
        ----------
        ef_search : int
            Length of the candidate list of the first search.
        most : int
            Documents that the last search of a query returns.
        num_threads : int
            Number of threads.

        Returns
        -------
        Proposer
        """
        live = np.flatnonzero(~self.deleted)

        def propose(queries: Rows, k: int) -> Csr:
            n = queries.shape[0]
            if k >= len(live):  # the graph search would visit all of them
                return Csr(np.arange(n + 1, dtype=np.int64) * len(live), np.tile(live, n))
            if k == 0:
                return Csr(np.zeros(n + 1, dtype=np.int64), np.empty(0, dtype=np.int64))
            return self.graph.propose(self.graph.queries(queries), k, num_threads)

        return Proposer(
            n_documents=len(self),
            n_live=len(live),
            n_zero=self.n_zero,
            count_zeros=self._metric == "cosine",
            first=ef_search,
            most=most,
            propose=propose,
            score=lambda queries, pairs: self.parts.score(queries, pairs, num_threads),
        )


def check_rows(rows: npt.NDArray[np.int64], argument: str, n: int) -> None:
    """Refuse row numbers that are out of range.

    Parameters
    ----------
    rows : int64 (any,)
        Row numbers.
    argument : str
        Name of the argument, for error messages.
    n : int
        Number of rows.

    Raises
    ------
    NegmineValueError
        A row is negative, or at least ``n``.
    """
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        bad = rows.min() if rows.min() < 0 else rows.max()
        raise NegmineValueError(f"`{argument}` must hold rows below {n}; got {bad}.")
