"""Approximate nearest-neighbor search by a graph of neighbors (HNSW), with canonical scores and exact rules.

The graph proposes documents of a query; their canonical scores are computed, and the core applies the rules of the call
to them. What comes back therefore passes every rule and is in rank order, but documents may be missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr, Rows, as_int64s, as_rows, public_scores, refuse_not_finite
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, memory_errors, resolve_num_threads
from negmine._core.labels import Ids, as_ids, concatenate, describe_labels
from negmine._core.options import check_choice, check_integer, check_real, check_seed, refuse_unknown_options
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives, check_lists
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.documents import Documents, check_rows
from negmine.search.graph import Graph
from negmine.search.hnsw_file import OPTIONS, read_index, write_index
from negmine.search.request import PoolArrays, PoolRequest, Rules
from negmine.search.results import METRICS, Metric, RecallAudit, TopK
from negmine.search.verification import sample_queries
from negmine.search.widening import pool_of_proposals

__all__ = ["HnswIndex"]


class HnswIndex:
    """Approximate index on hnswlib: a graph proposes documents, and the core decides about them.

    The graph proposes about ``ef_search`` documents per query. Their canonical scores are computed, and rules, caps,
    floors, ranks and ties are decided among them exactly, as :class:`ExactIndex` does among all documents. If a row is
    not full, the query is searched again for twice as many documents, up to ``max_ef_search``. ``counts`` then says how
    many were found, and the reason of the row is ``list_exhausted``: candidates that the graph did not propose are
    counted as ``unlisted``. If ``ef_search`` is at least the number of documents, all of them are scored.

    Results have ``exact=False`` and the recall that the last :meth:`audit` measured. The miner takes this index wherever
    it takes an :class:`ExactIndex`. Below some 240,000 queries, exact mining usually takes less time than building the
    graph; :class:`AutoIndex` measures it.

    Parameters
    ----------
    corpus : array (n_documents, width)
        Embeddings of the documents, of the same types as for :class:`ExactIndex`. The graph holds a float32 copy. The
        index also keeps a reference to the array, from which it computes scores, so the array must not change; a change
        is not detected.
    metric : {"cosine", "ip", "l2"}, default "cosine"
        Similarity measure of the scores; a higher score means closer.
    M : int, default 16
        Links per document and layer of the graph, at least 2; the lowest layer has twice as many.
    ef_construction : int, default 200
        Length of the candidate list while documents are inserted.
    ef_search : int, default 100
        Length of the candidate list of a search: a longer one finds more and takes longer. The attribute may be set.
    max_ef_search : int, default 4096
        Largest number of documents that a repeated search of a query proposes.
    seed : int, default 0
        Seed of the layers of the documents, in [0, 2**64).
    ids : int64 or str (n_documents,), optional
        Unique labels of the documents; results have them in ``.ids``.
    num_threads : int, optional
        Number of threads of every search, unless the call has its own. Default: all cores available to this process; 1
        inside a DataLoader worker. Results never depend on it.
    build_threads : int, default 1
        Number of threads that insert documents. With more than one, the graph depends on the timing of the threads, so
        that two builds give different results; with one, a build of the same documents on the same machine gives the
        same graph.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of documents while the graph is built.

    Attributes
    ----------
    metric : {"cosine", "ip", "l2"}
        Similarity measure.
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    exact : bool
        False.
    last_audit : RecallAudit or None
        Result of the last :meth:`audit`; None after the documents or ``ef_search`` changed.

    Raises
    ------
    MissingExtraError
        hnswlib is not installed: ``pip install 'negmine[hnsw]'``.
    NegmineValueError
        An embedding holds NaN or infinity (the message names the row), labels are not unique, or an option is out of
        its range.
    NegmineTypeError
        A type or dtype is not accepted.

    Notes
    -----
    The algorithm is that of Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using
    Hierarchical Navigable Small World Graphs", IEEE TPAMI 2020. hnswlib computes distances in float32 with the
    instructions of the machine that it was compiled on: on another machine the same options may give another graph, and
    a saved graph may propose other documents where distances are nearly equal.

    Searches may run in several threads of the caller and in forked processes, but not while documents are added or
    deleted.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.eye(50, dtype=np.float32)
    >>> index = negmine.HnswIndex(corpus)  # doctest: +SKIP
    >>> index.search(corpus[:1], k=2).indices.tolist()  # doctest: +SKIP
    [[0, 1]]
    >>> index.audit(corpus, k=2).recall  # doctest: +SKIP
    1.0
    """

    #: Whether results are exact.
    exact = False

    @refuse_unknown_options("HnswIndex")
    def __init__(
        self,
        corpus: object,
        *,
        metric: Metric = "cosine",
        M: int = 16,
        ef_construction: int = 200,
        ef_search: int = 100,
        max_ef_search: int = 4096,
        seed: int = 0,
        ids: npt.ArrayLike | None = None,
        num_threads: int | None = None,
        build_threads: int = 1,
        progress: Progress | None = None,
    ) -> None:
        rows = as_rows(corpus, "corpus")
        self._configure(metric, rows.shape[1], M, ef_construction, max_ef_search, seed, num_threads, build_threads)
        self._corpus = corpus
        self.ef_search = ef_search
        self.document_ids: Ids | None = None if ids is None else as_ids(ids, "ids", rows.shape[0])
        self._documents.insert(rows, "corpus", check_progress(progress))

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
        """Recall that the last :meth:`audit` measured; None if it was not measured."""
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
        raise NegmineTypeError("`HnswIndex` must be saved with `save` and loaded with `load`; got a request to pickle it.")

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
                    f"`ids` must be {describe_labels(self.document_ids)}, as those of the index; got {describe_labels(new)}."
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

    @refuse_unknown_options("search")
    def search(
        self,
        queries: object,
        k: int,
        *,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        max_score: float | None = None,
        eligible: Eligibility | None = None,
        dtype: Literal["float32", "float64"] = "float32",
        num_threads: int | None = None,
        progress: Progress | None = None,
    ) -> TopK:
        """Find top documents of every query, approximately.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        k : int
            Documents per query, at least 0; fewer are returned if fewer are found within ``max_ef_search``.
        exclude : Positives or one list of rows per query, optional
            Document rows per query that are never returned.
        max_score : float, optional
            Documents that score above this are not returned; an equal score is. Default: no cap.
        eligible : Eligibility, optional
            Keys and ranges; documents outside the range of a query are not returned.
        dtype : {"float32", "float64"}, default "float32"
            Type of the scores. "float64" returns canonical scores, to merge results of several indexes.
        num_threads : int, optional
            Number of threads. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)`` with numbers of queries.

        Returns
        -------
        TopK
            With ``exact=False``, and in ``audit`` the recall that was measured last. Scores are canonical.

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), the width differs from that of the corpus,
            or a row is out of range.
        MemoryLimitError
            The result does not fit in memory.
        NegmineTypeError
            A type or dtype is not accepted.
        """
        n = as_rows(queries, "queries").shape[0]
        k = check_integer(k, "k", least=0)
        check_choice(dtype, "dtype", ("float32", "float64"))
        ensure_fits_in_memory(n, k, "k")
        excluded = None if exclude is None else Positives.read(exclude, "exclude")
        if excluded is not None:
            check_lists(excluded, "exclude", n, len(self))
        check_eligible(eligible)
        if eligible is not None and (eligible.n_documents, eligible.n_queries) != (len(self), n):
            raise NegmineValueError(
                f"`eligible` must have {len(self)} keys and {n} ranges; got {eligible.n_documents} and "
                f"{eligible.n_queries}."
            )
        rules = Rules(
            positives=Csr(np.zeros(n + 1, dtype=np.int64), np.empty(0, dtype=np.int64)),
            exclude=None if excluded is None else Csr(excluded.offsets, excluded.items),
            self_rows=None,
            groups=None,
            eligible=eligible,
        )
        cap = None if max_score is None else check_real(max_score, "max_score")
        request = PoolRequest(rules=rules, max_score=cap, range_max=k)
        with memory_errors("k"):
            found = self.candidates(queries, request, num_threads=num_threads, progress=progress)
            scores = public_scores(found.scores) if dtype == "float32" else found.scores
            return TopK(found.indices, scores, found.counts, self.document_ids, exact=False, audit=self.last_audit)

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        """Search the graph for the candidate pools that a miner requests.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        request : PoolRequest
            Rules, caps and ranks; a warm start is ignored.
        num_threads : int, optional
            Number of threads. Default: that of the index.
        progress : callable, optional
            Called as ``progress(done, total)`` with numbers of queries.

        Returns
        -------
        PoolArrays
            With ``approximation`` set. Scores are canonical.

        Raises
        ------
        NegmineValueError
            An embedding holds NaN or infinity (the message names the row), or arrays do not fit each other.
        """
        rows = self._queries(queries)
        if len(request.rules.positives.offsets) != rows.shape[0] + 1:
            raise NegmineValueError(
                f"`positives` must have {rows.shape[0]} lists; got {len(request.rules.positives.offsets) - 1}."
            )
        threads = self.threads(num_threads)
        most = max(self.max_ef_search, self.ef_search, request.range_max)
        proposer = self._documents.proposer(self.ef_search, most, threads)
        with memory_errors("range_max"):
            return pool_of_proposals(
                proposer, rows, request, threads, check_progress(progress), self._approximation()
            )

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the canonical scores of (query, document) pairs.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents, in any order.

        Returns
        -------
        float64 (n,)
            The scores, in the order of the pairs.

        Raises
        ------
        NegmineValueError
            A query holds NaN or infinity, a row is out of range, or a document is deleted; the message names the row.
        """
        rows = self._queries(queries)
        query, document = as_int64s(query_indices, "query_indices"), as_int64s(document_indices, "document_indices")
        check_rows(query, "query_indices", rows.shape[0])
        check_rows(document, "document_indices", len(self))
        deleted = self._documents.deleted[document]
        if deleted.any():
            raise NegmineValueError(
                f"`document_indices` must not hold deleted documents; got {document[deleted][0]}. Mine with "
                "`eligible=index.live(n_queries)`."
            )
        order = np.argsort(query, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=rows.shape[0]))]).astype(np.int64)
        scores = np.empty(len(query), dtype=np.float64)
        scores[order] = self._documents.parts.score(rows, Csr(offsets, document[order]), self.threads(None))
        return scores

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

    @refuse_unknown_options("audit")
    def audit(
        self,
        queries: object,
        k: int,
        sample: int | None = 1000,
        *,
        seed: int = 0,
        num_threads: int | None = None,
    ) -> RecallAudit:
        """Measure the recall against the exact search, on a sample of the queries.

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, of the same types as ``corpus``.
        k : int
            Documents per query, at least 1.
        sample : int or None, default 1000
            Number of queries to search, drawn at random; None for all.
        seed : int, default 0
            Seed of the draw, in [0, 2**64).
        num_threads : int, optional
            Number of threads. Default: that of the index.

        Returns
        -------
        RecallAudit
            The index keeps it in ``last_audit``, and later results have it.

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid, or there are no queries or no documents.

        Notes
        -----
        The exact search packs the corpus for this call, which takes 0.3 times its float32 bytes. Documents count by
        their rows: a document that ties with the last exact one does not count in its place, as in
        :func:`negmine.verify`.
        """
        k, rows = check_integer(k, "k", least=1), self._queries(queries)
        if not rows.shape[0] or self.n_deleted == len(self):
            raise NegmineValueError(
                f"`queries` must not be empty, nor the index; got {rows.shape[0]} queries and "
                f"{len(self) - self.n_deleted} documents."
            )
        checked = sample_queries(rows.shape[0], sample, seed)
        picked = Rows(np.ascontiguousarray(rows.array[checked]), rows.kind, rows.order)
        threads = self.threads(num_threads)
        expected, exact_seconds = self._documents.parts.search(picked, k, self._documents.deleted, threads)
        started = time.perf_counter()
        found = self.search(picked.values(), k, num_threads=threads).indices
        seconds = time.perf_counter() - started
        hits = np.array([np.isin(one, other[other >= 0]).sum() for one, other in zip(found, expected, strict=True)])
        shares = hits / (expected >= 0).sum(axis=1)
        n = len(checked)
        self.last_audit = RecallAudit(
            k=k,
            ef_search=self.ef_search,
            n_queries=n,
            recall=float(shares.mean()),
            standard_error=float(shares.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"),
            seconds_per_query=seconds / n,
            exact_seconds_per_query=exact_seconds / n,
        )
        return self.last_audit

    @refuse_unknown_options("save")
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a file, and its graph next to it.

        Parameters
        ----------
        path : path
            File to write; its folder must exist. The graph, in hnswlib's own format, is the file ``path`` with the first
            digits of its checksum and ``.hnsw`` appended. Embeddings are not written, but their digest is.

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

    @classmethod
    @refuse_unknown_options("load")
    def load(
        cls,
        path: str | os.PathLike[str],
        corpus: object,
        *,
        num_threads: int | None = None,
        build_threads: int = 1,
    ) -> HnswIndex:
        """Read an index that :meth:`save` wrote.

        Parameters
        ----------
        path : path
            File to read; its graph must lie next to it.
        corpus : array (n_documents, width)
            Embeddings of all documents of the index, with those that were added later and those that were deleted.
        num_threads, build_threads : int
            Numbers of threads, as for the class.

        Returns
        -------
        HnswIndex

        Raises
        ------
        NegmineValueError
            The file does not exist, is not such a file, or is corrupt; its graph is missing or is that of another file;
            or the corpus has other values than that of the index.

        Notes
        -----
        Checksums detect damaged files, not malicious ones: hnswlib trusts the content of a graph.
        """
        rows = as_rows(corpus, "corpus")
        found = read_index(path)
        made = cls.__new__(cls)
        options = dict(found.options)
        ef_search = options.pop("ef_search")
        made._configure(**options, num_threads=num_threads, build_threads=build_threads)
        made._corpus, made.document_ids = corpus, found.document_ids
        found.restore(made._documents, rows, made.threads(None))
        made.ef_search = ef_search
        made.last_audit = found.last_audit
        return made
