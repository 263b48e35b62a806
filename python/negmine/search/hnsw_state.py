"""State of an approximate index: options, documents that are added and deleted, measured recall, and its file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Rows, as_int64s, as_rows, refuse_not_finite
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.labels import Ids, as_ids, concatenate, describe_labels
from negmine._core.options import check_choice, check_integer, check_seed, refuse_unknown_options
from negmine.data.eligibility import Eligibility
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.documents import Documents
from negmine.search.graph import Graph
from negmine.search.hnsw_file import OPTIONS, write_index
from negmine.search.results import METRICS, Metric, RecallAudit

__all__ = ["HnswState"]


class HnswState:
    """Base class of [`negmine.HnswIndex`][]: everything but construction, search and loading."""

    document_ids: Ids | None
    _corpus: object

    def _configure(
        self,
        metric: Metric,
        width: int,
        M: int,
        ef_construction: int,
        max_ef_search: int,
        seed: int,
        num_threads: int | None,
        build_threads: int,
    ) -> None:
        """Validate options and make an empty graph."""
        self.metric: Metric = check_choice(metric, "metric", METRICS)  # type: ignore[assignment]
        self.width = check_integer(width, "width", least=1)
        self.M = check_integer(M, "M", least=2, most=10_000)
        self.ef_construction = check_integer(ef_construction, "ef_construction", least=1)
        self.max_ef_search = check_integer(max_ef_search, "max_ef_search", least=1)
        self.seed = check_seed(seed)
        resolve_num_threads(num_threads)
        self._num_threads = num_threads
        self.last_audit: RecallAudit | None = None
        graph = Graph(self.metric, self.width, self.M, self.ef_construction, self.seed)
        self._documents = Documents(self.metric, graph, check_integer(build_threads, "build_threads", least=1))

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def ef_search(self) -> int:
        """Length of the candidate list of a search."""
        return self._ef_search

    @ef_search.setter
    def ef_search(self, value: int) -> None:
        self._ef_search = check_integer(value, "ef_search", least=1)
        self._documents.graph.set_ef(self._ef_search)
        self.last_audit = None

    @property
    def recall(self) -> float | None:
        """Recall that the last [`negmine.HnswIndex.audit`][] measured; None if it was not measured."""
        return None if self.last_audit is None else self.last_audit.recall

    @property
    def n_deleted(self) -> int:
        """Number of deleted documents."""
        return int(self._documents.deleted.sum())

    @property
    def corpus(self) -> object:
        """The corpus as the caller passed it, without documents that were added later."""
        return self._corpus

    def __repr__(self) -> str:
        deleted = f", {self.n_deleted} deleted" if self.n_deleted else ""
        return (
            f"HnswIndex({len(self)} x {self.width}{deleted}, metric={self.metric!r}, M={self.M}, "
            f"ef_construction={self.ef_construction}, ef_search={self.ef_search}, {self._approximation()})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        raise NegmineTypeError(
            "`HnswIndex` must be saved with `save` and loaded with `load`; got a request to pickle it."
        )

    def _approximation(self) -> str:
        return "recall not measured: call audit" if self.last_audit is None else str(self.last_audit)

    @refuse_unknown_options("add")
    def add(self, embeddings: object, *, ids: npt.ArrayLike | None = None, progress: Progress | None = None) -> None:
        """Add documents; their rows follow those of the documents of the index.

        Parameters
        ----------
        embeddings : array (n, width)
            Embeddings of the new documents. The index keeps a reference to the array, as to the corpus.
        ids : int64 or str (n,), optional
            Labels of the new documents; required if and only if the index has labels.
        progress : callable, optional
            Called as ``progress(done, total)`` with numbers of documents.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            The width differs, an embedding holds NaN or infinity, or labels are missing, repeated or of another type.

        Notes
        -----
        After Ctrl-C the index holds the documents that were inserted so far, which are the first ones of
        ``embeddings``; ``len(index)`` says how many. In an index that was loaded from a file, layers are drawn from the
        beginning of the seed's sequence, so that the graph differs from that of an index that was not saved in between.
        """
        rows = as_rows(embeddings, "embeddings")
        if rows.shape[1] != self.width:
            raise NegmineValueError(f"`embeddings` must have width {self.width}; got {rows.shape[1]}.")
        before, labels = len(self), None
        if (ids is None) != (self.document_ids is None):
            raise NegmineTypeError(
                f"`ids` must {'not ' if ids is not None else ''}be given, as the index has "
                f"{'no ' if self.document_ids is None else ''}labels; got {'labels' if ids is not None else 'none'}."
            )
        if ids is not None and self.document_ids is not None:
            new = as_ids(ids, "ids", rows.shape[0])
            if isinstance(new, np.ndarray) != isinstance(self.document_ids, np.ndarray):
                raise NegmineTypeError(
                    f"`ids` must be {describe_labels(self.document_ids)}, as those of the index; got "
                    f"{describe_labels(new)}."
                )
            labels = as_ids(concatenate(self.document_ids, new), "ids", before + rows.shape[0])
        self.last_audit = None
        try:
            self._documents.insert(rows, "embeddings", check_progress(progress))
        finally:
            if labels is not None:
                self.document_ids = labels[: len(self)]

    @refuse_unknown_options("delete")
    def delete(self, rows: npt.ArrayLike) -> None:
        """Delete documents: searches no longer return them. The rows of the other documents stay as they are.

        Parameters
        ----------
        rows : int64 (n,)
            Rows of the documents, none of which is deleted already.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            A row is out of range, repeated or already deleted, or the rows are not integers; nothing is deleted.

        Notes
        -----
        Deleted documents count in ``len(index)`` and in reports, as ``unlisted``. Random negatives are drawn from the
        rules of the mining call alone, which must leave deleted documents out: pass ``eligible=index.live(n_queries)``.
        """
        self._documents.delete(as_int64s(rows, "rows"))
        self.last_audit = None

    def live(self, n_queries: int) -> Eligibility:
        """Return the rule that admits the documents that are not deleted, for random negatives and other indexes.

        Parameters
        ----------
        n_queries : int
            Number of queries of the call.

        Returns
        -------
        Eligibility
        """
        n_queries = check_integer(n_queries, "n_queries", least=0)
        return Eligibility.equal(self._documents.deleted.astype(np.int64), np.zeros(n_queries, dtype=np.int64))

    def _queries(self, queries: object) -> Rows:
        rows = as_rows(queries, "queries")
        if rows.shape[1] != self.width:
            raise NegmineValueError(f"`queries` must have the width of the corpus, {self.width}; got {rows.shape[1]}.")
        refuse_not_finite(rows, "queries")
        return rows

    def threads(self, num_threads: int | None) -> int:
        """Return the number of threads of a call.

        Parameters
        ----------
        num_threads : int or None
            The call's own number; None for that of the index, or the default if the index has none.

        Returns
        -------
        int
            At least 1.
        """
        return resolve_num_threads(self._num_threads if num_threads is None else num_threads)

    @refuse_unknown_options("save")
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a file, and its graph next to it.

        Parameters
        ----------
        path : path
            File to write; its folder must exist. The graph, in hnswlib's own format, is the file ``path`` with the
            first digits of its checksum and ``.hnsw`` appended. Embeddings are not written, but their digest is.

        Raises
        ------
        NegmineTypeError
            ``path`` is not a path.
        NegmineValueError
            The folder of ``path`` does not exist, or ``path`` is a folder.
        NegmineOSError
            The system refuses to write.
        """
        options = {name: getattr(self, name) for name in OPTIONS}
        write_index(path, options, self._documents, self.document_ids, self.last_audit, self.threads(None))
