"""Ranked lists of any retriever or scorer as a source of candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Csr, as_array, as_float64s, as_int64s
from negmine._core.calls import Progress, check_progress, memory_errors, resolve_num_threads
from negmine._core.labels import Ids, as_ids, take_labels
from negmine._core.options import check_integer, refuse_unknown_options
from negmine.data.qrels import Unknown, match
from negmine.data.runs import Run
from negmine.data.translation import flatten, read_known, read_labels, translate
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.request import PoolArrays, PoolRequest

__all__ = ["ScoredLists"]


class ScoredLists:
    """Ranked lists as a source of candidates: results of BM25, a sparse or late-interaction model, a reranker, an API.

    The miner takes lists wherever it takes an index, and every rule applies to their entries: positives, exclusions,
    groups, eligibility, caps, floors, ranks, policies and limits. Entries are ranked by (score descending, row
    ascending), not in the order given. Candidates that a list does not hold are counted in the report as ``unlisted``,
    and a row that is short because its list ends has the reason ``list_exhausted``.

    A positive scores what its list says, unless a score is given. If a positive of a query has no score, the query has
    no reference for margins and floors: its row is empty and has the reason ``no_reference``.

    Parameters
    ----------
    indices : int64 (n_queries, k)
        Rows of the documents, distinct per query; -1 at any place is padding.
    scores : float64 (n_queries, k), optional
        Finite scores, a higher one is better; scores of padding are ignored. Default: minus the place in the list.
    n_documents : int
        Number of documents of the corpus, listed or not.
    document_ids : int64 or str (n_documents,), optional
        Unique labels of the documents.
    positive_scores : float64 (n_positives,), optional
        Scores of the positives of the mining call, in the order of their CSR; NaN for those that the lists score.
        They are used by calls for all lists; ``Positives(positive_scores=)`` carries scores for calls of any queries.

    Attributes
    ----------
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    query_ids : int64 (n_queries,), Strings or None
        Labels of the queries, which [`from_run`][] knows; the miner keeps them in its results.
    positive_scores : float64 (n_positives,) or None
        Scores of the positives.

    Raises
    ------
    NegmineValueError
        A row is out of range or repeated in a list, a score is not finite, or shapes differ; the message names the
        query and the document.
    NegmineTypeError
        An array has another type.

    Examples
    --------
    >>> import negmine
    >>> lists = negmine.ScoredLists.from_lists([[4, 2, 0], [1, 3]], [[9.1, 7.0, 6.5], [5.0, 4.5]], n_documents=6)
    >>> negmine.mine(None, lists, [[2], [3]], num_negatives=2).indices.tolist()
    [[4, 0], [1, -1]]
    """

    @refuse_unknown_options("ScoredLists")
    def __init__(
        self,
        indices: npt.ArrayLike,
        scores: npt.ArrayLike | None = None,
        *,
        n_documents: int,
        document_ids: npt.ArrayLike | None = None,
        positive_scores: npt.ArrayLike | None = None,
    ) -> None:
        rows = as_array(indices, "indices")
        if rows.ndim != 2:
            raise NegmineValueError(f"`indices` must have shape (n_queries, k); got shape {rows.shape}.")
        n_queries, k = rows.shape
        flat = as_int64s(rows.ravel(), "indices")
        if scores is None:
            values = np.tile(-np.arange(k, dtype=np.float64), n_queries)
        else:
            given = as_array(scores, "scores")
            if given.shape != rows.shape:
                raise NegmineValueError(
                    f"`scores` must have the shape of `indices`, {rows.shape}; got shape {given.shape}."
                )
            values = as_float64s(given.ravel(), "scores", len(flat))
        real = flat != -1
        query = np.repeat(np.arange(n_queries), k)[real]
        self._set(query, flat[real], values[real], n_queries, n_documents, document_ids, positive_scores)

    def _set(
        self,
        query: npt.NDArray[np.int64],
        documents: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float64],
        n_queries: int,
        n_documents: int,
        document_ids: npt.ArrayLike | None,
        positive_scores: npt.ArrayLike | None,
    ) -> None:
        """Validate entries, and sort them by (query, score descending, row ascending)."""
        self._n_documents = check_integer(n_documents, "n_documents", least=0, most=2**32 - 2)
        self.document_ids: Ids | None = (
            None if document_ids is None else as_ids(document_ids, "document_ids", self._n_documents)
        )
        self.query_ids: Ids | None = None
        self._check(query, documents, scores)
        order = np.lexsort((documents, -scores, query))
        query, documents, scores = query[order], documents[order], scores[order]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=n_queries))]).astype(np.int64)
        self._lists, self._scores = Csr(offsets, np.ascontiguousarray(documents)), np.ascontiguousarray(scores)
        pairs = query * max(self._n_documents, 1) + documents
        self._by_pair = np.argsort(pairs, kind="stable")
        self._pairs = pairs[self._by_pair]
        if (repeated := self._pairs[1:] == self._pairs[:-1]).any():
            entry = int(self._by_pair[int(np.argmax(repeated))])
            raise NegmineValueError(
                f"`indices` must hold a document once per query; got {self._name(documents[entry])} twice for query "
                f"{query[entry]}."
            )
        self.positive_scores = (
            None
            if positive_scores is None
            else as_float64s(positive_scores, "positive_scores", np.size(positive_scores))
        )

    def _check(
        self, query: npt.NDArray[np.int64], documents: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]
    ) -> None:
        outside = (documents < 0) | (documents >= self._n_documents)
        if outside.any():
            entry = int(np.argmax(outside))
            raise NegmineValueError(
                f"`indices` must hold rows below `n_documents`, {self._n_documents}, or -1; got {documents[entry]} for "
                f"query {query[entry]}."
            )
        if not np.isfinite(scores).all():
            entry = int(np.argmin(np.isfinite(scores)))
            raise NegmineValueError(
                f"`scores` must be finite; got {scores[entry]} for query {query[entry]} and document "
                f"{self._name(documents[entry])}."
            )

    def _name(self, document: np.int64) -> str:
        """Return the label of a document, or its row, for error messages."""
        return repr(take_labels(self.document_ids, np.array([document])).tolist()[0])

    @classmethod
    @refuse_unknown_options("from_lists")
    def from_lists(
        cls,
        lists: Iterable[Iterable[Any]],
        scores: Iterable[Iterable[float]] | None = None,
        *,
        n_documents: int | None = None,
        document_ids: npt.ArrayLike | None = None,
        positive_scores: npt.ArrayLike | None = None,
    ) -> ScoredLists:
        """Take one list of documents per query, of any lengths.

        Parameters
        ----------
        lists : one list per query
            Rows of the documents, or their labels if ``document_ids`` is given.
        scores : one list per query, optional
            Scores of the documents, in the same order. Default: minus the place in the list.
        n_documents : int, optional
            Number of documents of the corpus; required without ``document_ids``.
        document_ids : int64 or str (n_documents,), optional
            Unique labels of all documents.
        positive_scores : float64 (n_positives,), optional
            Scores of the positives, as for the class.

        Returns
        -------
        ScoredLists

        Raises
        ------
        NegmineValueError, NegmineTypeError
            A label is unknown, or lists and scores have different lengths; else as for the class.
        """
        if document_ids is None and n_documents is None:
            raise NegmineTypeError("`n_documents` must be given where `document_ids` is not; got None.")
        lengths, flat = flatten(lists, "lists")
        known = read_known(document_ids, "document_ids")
        rows = translate(read_labels(flat, "lists", lengths), known, "lists", "document_ids")
        if scores is None:
            values = -np.concatenate([np.zeros(0), *(np.arange(length, dtype=np.float64) for length in lengths)])
        else:
            score_lengths, flat_scores = flatten(scores, "scores")
            _same_lengths(lengths, score_lengths)
            values = as_float64s(flat_scores, "scores", len(flat_scores)) if flat_scores else np.zeros(0)
        total = check_integer(n_documents, "n_documents", least=0) if known is None else len(known)
        if known is not None and n_documents is not None and n_documents != total:
            raise NegmineValueError(f"`n_documents` must be the number of `document_ids`, {total}; got {n_documents}.")
        made = cls.__new__(cls)
        query = np.repeat(np.arange(len(lengths)), lengths)
        made._set(query, rows, values, len(lengths), total, known, positive_scores)
        return made

    @classmethod
    @refuse_unknown_options("from_run")
    def from_run(
        cls,
        run: Run,
        *,
        query_ids: npt.ArrayLike,
        document_ids: npt.ArrayLike,
        unknown: Unknown = "error",
        positive_scores: npt.ArrayLike | None = None,
    ) -> ScoredLists:
        """Take a run, as [`negmine.io.read_run`][] reads it; queries without entries have an empty list.

        Parameters
        ----------
        run : Run
            Ranked lists of a retrieval system; its ranks are ignored.
        query_ids : int64 or str (n_queries,)
            Labels of all queries, in row order.
        document_ids : int64 or str (n_documents,)
            Unique labels of all documents, in row order.
        unknown : {"error", "drop"}, default "error"
            Handling of labels that are not among the rows.
        positive_scores : float64 (n_positives,), optional
            Scores of the positives, as for the class.

        Returns
        -------
        ScoredLists

        Raises
        ------
        NegmineValueError, NegmineTypeError
            A label is unknown or has another type; else as for the class.
        """
        if not isinstance(run, Run):
            raise NegmineTypeError(f"`run` must be a Run; got {type(run).__name__}.")
        known_queries, known_documents = read_known(query_ids, "query_ids"), read_known(document_ids, "document_ids")
        queries, documents, keep = match(run.query_ids, run.document_ids, known_queries, known_documents, unknown)
        made = cls.__new__(cls)
        made._set(
            translate(queries[keep], known_queries, "run", "query_ids"),
            translate(documents[keep], known_documents, "run", "document_ids"),
            run.scores[keep],
            len(known_queries),
            len(known_documents),
            known_documents,
            positive_scores,
        )
        made.query_ids = known_queries
        return made

    def __len__(self) -> int:
        """Return the number of documents."""
        return self._n_documents

    @property
    def n_queries(self) -> int:
        """Number of lists."""
        return len(self._lists.offsets) - 1

    def __repr__(self) -> str:
        return f"ScoredLists({self.n_queries} lists, {len(self._scores)} entries, {self._n_documents} documents)"

    def arrays(self) -> tuple[Csr, npt.NDArray[np.float64]]:
        """Return the entries of all lists, best first, for digests.

        Returns
        -------
        tuple of (Csr, float64 (n_entries,))
            Rows of the documents per query, and their scores.
        """
        return self._lists, self._scores

    def candidates(
        self, queries: object, request: PoolRequest, *, num_threads: int | None = None, progress: Progress | None = None
    ) -> PoolArrays:
        """Apply the rules of a miner to the entries of lists.

        Parameters
        ----------
        queries : int64 (n_queries,) or None
            Numbers of lists; None for all lists in order.
        request : PoolRequest
            Rules, caps, floors and ranks; a warm start is ignored.
        num_threads : int, optional
            Number of threads. Default: all cores available to this process.
        progress : callable, optional
            Called as ``progress(done, total)`` about every 50 ms.

        Returns
        -------
        PoolArrays

        Raises
        ------
        NegmineValueError, NegmineTypeError
            ``queries`` are not numbers of lists, or arrays do not fit each other.
        """
        lists, scores, request = self._lists, self._scores, self._with_positive_scores(queries, request)
        if queries is not None:
            lists, scores = self._take(self._numbers(queries))
        with memory_errors("range_max"):
            arrays = _native.list_candidates(
                lists,
                scores,
                self._n_documents,
                request,
                resolve_num_threads(num_threads),
                check_progress(progress),
            )
            return PoolArrays.of_core(arrays, 0)

    def _with_positive_scores(self, queries: object, request: PoolRequest) -> PoolRequest:
        """Add the scores of the positives to a request; those that the positives carry themselves win."""
        own = self.positive_scores
        if own is None:
            return request
        n = len(request.rules.positives.items)
        if (queries is not None and len(self._numbers(queries)) != self.n_queries) or len(own) != n:
            raise NegmineValueError(
                f"`positive_scores` must have one score per positive of the call, {n}, which must be for all lists; "
                f"got {len(own)}. `Positives(positive_scores=)` carries scores for calls of some queries."
            )
        given = (
            own if request.given_scores is None else np.where(np.isnan(request.given_scores), own, request.given_scores)
        )
        return replace(request, given_scores=given)

    def _numbers(self, queries: object) -> npt.NDArray[np.int64]:
        """Validate numbers of lists."""
        numbers = as_int64s(queries, "queries")
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self.n_queries):
            bad = numbers.min() if numbers.min() < 0 else numbers.max()
            raise NegmineValueError(f"`queries` must hold numbers of lists below {self.n_queries}; got {bad}.")
        return numbers

    def _take(self, numbers: npt.NDArray[np.int64]) -> tuple[Csr, npt.NDArray[np.float64]]:
        """Return some lists, in the order given."""
        begins, lengths = self._lists.offsets[numbers], np.diff(self._lists.offsets)[numbers]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
        return Csr(offsets, self._lists.items[entries]), self._scores[entries]

    def score_pairs(
        self, queries: object, query_indices: npt.NDArray[np.int64], document_indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the scores of (query, document) pairs.

        Parameters
        ----------
        queries : int64 (n_queries,) or None
            Numbers of lists; None for all lists in order.
        query_indices, document_indices : int64 (n,)
            Rows of queries and documents, in any order.

        Returns
        -------
        float64 (n,)
            The scores, in the order of the pairs; NaN for a document that the list does not hold.
        """
        numbers = query_indices if queries is None else self._numbers(queries)[query_indices]
        pairs = numbers * max(self._n_documents, 1) + document_indices
        scores = np.full(len(pairs), np.nan)
        if len(self._pairs):
            places = np.minimum(np.searchsorted(self._pairs, pairs), len(self._pairs) - 1)
            held = self._pairs[places] == pairs
            scores[held] = self._scores[self._by_pair[places[held]]]
        return scores


def _same_lengths(lengths: Sequence[int], score_lengths: Sequence[int]) -> None:
    """Refuse lists of scores that do not fit the lists of documents."""
    if len(lengths) != len(score_lengths):
        raise NegmineValueError(f"`scores` must have {len(lengths)} lists; got {len(score_lengths)}.")
    query = next((row for row, pair in enumerate(zip(lengths, score_lengths, strict=True)) if pair[0] != pair[1]), None)
    if query is not None:
        raise NegmineValueError(
            f"`scores` must have a score per document; got {score_lengths[query]} scores for {lengths[query]} "
            f"documents of query {query}."
        )
