"""Approximate nearest-neighbor search by a graph of neighbors (HNSW), with canonical scores and exact rules.

The graph proposes documents of a query; their canonical scores are computed, and the core applies the rules of the call
to them. What comes back therefore passes every rule and is in rank order, but documents may be missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Rows, as_int64s, as_rows, public_scores
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, memory_errors
from negmine._core.labels import as_ids
from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives, check_lists
from negmine.errors import NegmineValueError
from negmine.search.auditing import measure_recall
from negmine.search.core_index import score_by_query
from negmine.search.documents import check_rows
from negmine.search.hnsw_file import read_index
from negmine.search.hnsw_state import HnswState
from negmine.search.request import PoolArrays, PoolRequest
from negmine.search.results import Metric, RecallAudit, TopK
from negmine.search.verification import sample_queries
from negmine.search.widening import pool_of_proposals

__all__ = ["HnswIndex"]


class HnswIndex(HnswState):
    """Approximate index on hnswlib: a graph proposes documents, and the core decides about them.

    The graph proposes up to ``ef_search`` documents per query. The canonical scores of as many as the call needs are
    computed, and rules, caps, floors, ranks and ties are decided among them exactly, as [`ExactIndex`][] does among
    all documents. If a row is not full, the query is searched again for twice as many documents, up to
    ``max_ef_search``. ``counts`` then says how many were found, and the reason of the row is ``list_exhausted``:
    candidates that the graph did not propose are counted as ``unlisted``. If ``ef_search`` is at least the number of
    documents, all of them are scored.

    Results have ``exact=False`` and the recall that the last [`audit`][] measured. The miner takes this index
    wherever it takes an [`ExactIndex`][]. Exact search usually takes less time: at 100,000 documents, only building
    the graph takes as long as some 220,000 exact queries. [`AutoIndex`][] measures it.

    Parameters
    ----------
    corpus : array (n_documents, width)
        Embeddings of the documents, of the same types as for [`ExactIndex`][]. The graph holds a float32 copy. The
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
        Result of the last [`audit`][]; None after the documents or ``ef_search`` changed.

    Raises
    ------
    MissingExtraError
        hnswlib is not installed: ``pip install 'negmine[hnsw]'``.
    NegmineValueError
        An embedding holds NaN or infinity (the message names the row), labels are not unique, or an option is out of
        its range.
    NegmineTypeError
        A type or dtype is not accepted.
    MemoryLimitError
        The graph does not fit in memory.

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
    >>> index = negmine.HnswIndex(corpus)
    >>> index.search(corpus[:1], k=2).indices.tolist()
    [[0, 1]]
    >>> index.audit(corpus, k=2).recall
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
        if not rows.shape[1]:
            raise NegmineValueError(f"`corpus` must have a width of at least 1; got shape {rows.shape}.")
        self._configure(metric, rows.shape[1], M, ef_construction, max_ef_search, seed, num_threads, build_threads)
        self._corpus = corpus
        self.ef_search = ef_search
        self.document_ids = None if ids is None else as_ids(ids, "ids", rows.shape[0])
        self._documents.insert(rows, "corpus", check_progress(progress))

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
        cap = None if max_score is None else check_real(max_score, "max_score")
        request = PoolRequest.of_search(n, k, excluded, cap, eligible)
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
            return pool_of_proposals(proposer, rows, request, threads, check_progress(progress), self._approximation())

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
        pairs, threads = np.stack([query, document], axis=1), self.threads(None)
        return score_by_query(pairs, rows.shape[0], lambda csr: self._documents.parts.score(rows, csr, threads))

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
        [`negmine.verify`][].
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
        documents = self._documents
        expected, exact_seconds = documents.parts.search(picked, k, documents.deleted, threads)
        return self.audit_against(picked.values(), expected, exact_seconds / len(checked), num_threads=threads)

    def audit_against(
        self,
        queries: object,
        expected: npt.NDArray[np.int64],
        exact_seconds: float,
        *,
        num_threads: int | None = None,
    ) -> RecallAudit:
        """Measure the recall against an exact result that is known already; see [`audit`][].

        Parameters
        ----------
        queries : array (n_queries, width)
            Embeddings of the queries, at least one.
        expected : int64 (n_queries, k)
            Rows of the exact documents, padded with -1; at least one per query.
        exact_seconds : float
            Seconds per query of the exact search.
        num_threads : int, optional
            Number of threads. Default: that of the index.

        Returns
        -------
        RecallAudit
        """
        k = expected.shape[1]
        self.last_audit = audit = measure_recall(
            lambda: self.search(queries, k, num_threads=num_threads).indices, expected, self.ef_search, exact_seconds
        )
        return audit

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
        """Read an index that [`negmine.HnswIndex.save`][] wrote.

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
