"""Graph of nearest neighbors (HNSW), which proposes documents that are probably close to a query.

Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World
Graphs", IEEE TPAMI 2020. The graph is hnswlib's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, Rows
from negmine._core.extras import require
from negmine.errors import MemoryLimitError, NegmineValueError
from negmine.search.graph_check import check_graph
from negmine.search.results import Metric

__all__ = ["Graph"]

#: Part of hnswlib's message when a search reaches fewer documents than it was asked for.
_TOO_FEW = "contiguous"

#: Queries whose largest coordinate is within these powers of two are searched as they are.
_SAFE_EXPONENT = 32


class Graph:
    """Graph over documents that are numbered by their rows.

    Parameters
    ----------
    metric : {"cosine", "ip", "l2"}
        Similarity measure.
    width : int
        Number of coordinates of an embedding.
    M, ef_construction, seed : int
        Options of hnswlib.
    """

    def __init__(self, metric: Metric, width: int, M: int, ef_construction: int, seed: int) -> None:
        self._metric, self._width = metric, width
        self._options = {"M": M, "ef_construction": ef_construction, "random_seed": seed}
        self._index = self._empty()
        self._index.init_index(max_elements=1, **self._options)

    def _empty(self) -> Any:  # noqa: ANN401 (hnswlib has no types)
        hnswlib = require("hnswlib", "hnsw", "HnswIndex")
        # Rows are divided by their norms here: hnswlib does it in float32, where squares overflow and underflow.
        return hnswlib.Index(space="l2" if self._metric == "l2" else "ip", dim=self._width)

    def queries(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return embeddings of queries in the form that [`propose`][] takes.

        Parameters
        ----------
        rows : Rows
            Embeddings of queries.

        Returns
        -------
        float32 (n, width)
        """
        values = np.ascontiguousarray(rows.values(), dtype=np.float32)
        if self._metric != "cosine":
            return values
        # The norm of a query does not change the order of its documents, but hnswlib's float32 sums must not overflow.
        exponents = np.frexp(np.maximum(values.max(axis=1), -values.min(axis=1)))[1]
        far = np.flatnonzero(np.abs(exponents) > _SAFE_EXPONENT)
        if len(far):
            values = values.copy()
            values[far] *= np.ldexp(np.float32(1.0), np.minimum(-exponents[far], 127))[:, None]
        return values

    def vectors(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return embeddings of documents as the graph holds them: float32, of norm 1 under "cosine".

        Parameters
        ----------
        rows : Rows
            Embeddings of documents.

        Returns
        -------
        float32 (n, width)
        """
        values = np.ascontiguousarray(rows.values(), dtype=np.float32)
        if self._metric != "cosine":
            return values
        wide = values.astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
        return (wide / np.where(norms > 0, norms, 1.0)).astype(np.float32)

    def reserve(self, n: int, argument: str) -> None:
        """Make room for documents.

        Parameters
        ----------
        n : int
            Number of documents, those in the graph included.
        argument : str
            Name of the argument that has them, for error messages.

        Raises
        ------
        MemoryLimitError
            There is not enough memory.
        """
        if n <= self._index.get_max_elements():
            return
        try:
            self._index.resize_index(n)
        except (MemoryError, RuntimeError) as error:
            raise MemoryLimitError(f"`{argument}` must have a graph that fits in memory; {error}") from error

    def add(self, vectors: npt.NDArray[np.float32], first: int, num_threads: int) -> None:
        """Insert documents.

        Parameters
        ----------
        vectors : float32 (n, width)
            Result of [`vectors`][].
        first : int
            Row of the first document.
        num_threads : int
            Number of threads. The graph is the same in every run only if there is one.
        """
        self._index.add_items(vectors, np.arange(first, first + len(vectors)), num_threads=num_threads)

    def __len__(self) -> int:
        return int(self._index.get_current_count())

    def delete(self, row: int) -> None:
        """Mark a document as deleted.

        Parameters
        ----------
        row : int
            Row of the document, which is not deleted yet.
        """
        self._index.mark_deleted(row)

    def set_ef(self, ef_search: int) -> None:
        """Set the length of the candidate list of searches.

        Parameters
        ----------
        ef_search : int
            The length; a search for more documents has a list of that length.
        """
        self._index.set_ef(ef_search)

    def propose(self, vectors: npt.NDArray[np.float32], k: int, num_threads: int) -> Csr:
        """Search the graph.

        Parameters
        ----------
        vectors : float32 (n, width)
            Result of [`queries`][].
        k : int
            Documents per query, at most the number of documents that are not deleted.
        num_threads : int
            Number of threads.

        Returns
        -------
        Csr
            Rows of documents per query. A query has fewer than ``k`` only if the graph does not reach more from it.
        """
        try:
            found = self._search(vectors, k, num_threads)
        except RuntimeError as error:
            if _TOO_FEW not in str(error):
                raise
            lists = [self._reachable(vector[None], k) for vector in vectors]
            offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
            return Csr(offsets, np.concatenate(lists))
        return Csr(np.arange(len(vectors) + 1, dtype=np.int64) * k, found.ravel())

    def _search(self, vectors: npt.NDArray[np.float32], k: int, num_threads: int) -> npt.NDArray[np.int64]:
        labels, _ = self._index.knn_query(vectors, k=k, num_threads=num_threads)
        return np.asarray(labels).view(np.int64)  # hnswlib's labels are uint64

    def _reachable(self, vector: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
        """Return as many documents as a search finds, at most ``k``: hnswlib raises an error instead of fewer."""
        found, least, most = np.empty(0, dtype=np.int64), 0, k
        while least < most:
            middle = (least + most + 1) // 2
            try:
                found, least = self._search(vector, middle, 1)[0], middle
            except RuntimeError as error:
                if _TOO_FEW not in str(error):
                    raise
                most = middle - 1
        return found

    def save(self, path: Path) -> None:
        """Write hnswlib's own file.

        Parameters
        ----------
        path : Path
            File to write.
        """
        self._index.save_index(str(path))

    def load(self, path: Path, n: int) -> None:
        """Read hnswlib's own file in place of the graph.

        Parameters
        ----------
        path : Path
            File to read; its content is checked first, because hnswlib trusts it.
        n : int
            Number of documents that the file must hold.

        Raises
        ------
        NegmineValueError
            hnswlib does not accept the file, or it holds another number of documents.
        """
        self._index = self._empty()
        try:
            check_graph(path, n, self._width, self._options["M"], self._options["ef_construction"])
            self._index.load_index(str(path), max_elements=max(n, 1))
        except (OSError, RuntimeError, ValueError) as error:
            raise NegmineValueError(f"`path` must have a graph that hnswlib reads; got {path}: {error}") from error
        if len(self) != n:
            raise NegmineValueError(f"`path` must have a graph of {n} documents; got {len(self)} in {path}.")
