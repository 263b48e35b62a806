"""Candidate rules: the arguments of a mining call that decide which documents are candidates, validated once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import (
    Csr,
    Rows,
    as_array,
    as_int64s,
    as_rows,
)
from negmine._core.labels import Ids, Strings, as_labels, describe_labels, find_labels, take_ids
from negmine._core.options import check_flag, check_integer
from negmine._core.reprs import short_repr
from negmine.data.eligibility import Eligibility, check_eligible
from negmine.data.positives import Positives, check_lists
from negmine.errors import NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.mining.pool import CandidatePool
from negmine.mining.random_weights import RandomWeights, read_random_weights
from negmine.search.exact import score_pairs
from negmine.search.protocol import CandidateSource
from negmine.search.request import Rules

__all__ = ["CandidateRules", "is_list_numbers", "warm_start_rows"]

#: Accepted forms of an earlier mining result of the same queries.
WarmStart = CandidatePool | HardNegatives | npt.NDArray[np.int64]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class CandidateRules:
    """Rules that decide which documents are candidates of each query, validated against a source and its queries.

    Attributes
    ----------
    positives : Positives
        Known relevant documents.
    exclude : Positives or None
        Further documents that are not candidates.
    self_rows : int64 (n_queries,) or None
        Row of the document that is the query itself, or -1 if there is none.
    groups : int64 (n_documents,) or None
        Group of near-duplicates of each document, or -1.
    eligible : Eligibility or None
        Keys of the documents and ranges of the queries.
    query_ids : int64 (n_queries,), Strings or None
        Labels of the queries.
    categories : int64 (n_documents,) or None
        Category of each document, for quotas.
    random_weights : float64 (n_documents,) or None
        Weight of each document among random negatives; None if all are equal.
    """

    positives: Positives
    exclude: Positives | None
    self_rows: npt.NDArray[np.int64] | None
    groups: npt.NDArray[np.int64] | None
    eligible: Eligibility | None
    query_ids: Ids | None = None
    categories: npt.NDArray[np.int64] | None = None
    random_weights: npt.NDArray[np.float64] | None = None

    @classmethod
    def read(
        cls,
        source: CandidateSource,
        queries: object,
        positives: Positives | Iterable[Iterable[int]] | Iterable[int],
        *,
        exclude: Positives | Iterable[Iterable[int]] | None = None,
        exclude_self: bool = False,
        query_ids: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
        eligible: Eligibility | None = None,
        categories: npt.ArrayLike | None = None,
        random_weights: RandomWeights | None = None,
        query_offset: int = 0,
    ) -> CandidateRules:
        """Validate the arguments of [`negmine.HardNegativeMiner.candidates`][].

        Parameters
        ----------
        source : CandidateSource
            The documents.
        queries : array (n_queries, width), int64 (n_queries,) or None
            Embeddings of the queries; list numbers or None for a source without embeddings.
        positives : Positives, one list of document rows per query, or int64 (n_queries,)
            Known relevant documents.
        exclude : Positives or one list of document rows per query, optional
            Further documents that are not candidates.
        exclude_self : bool, default False
            Whether the document that is the query itself is excluded.
        query_ids : int64 or str (n_queries,), optional
            Labels of the queries, which the result keeps; ``exclude_self`` finds the document that is the query itself
            by them. Default: those that the source has for its lists.
        groups : int64 (n_documents,), optional
            Group of each document, or -1; a document that shares a group with a positive is not a candidate.
        eligible : Eligibility, optional
            One key per document and one range per query.
        categories : int64 (n_documents,), optional
            Category of each document, for quotas.
        random_weights : float64 (n_documents,), "popularity" or Popularity, optional
            Weight of each document among random negatives. Default: all are equal.
        query_offset : int, default 0
            Row of the first query in the whole data set.

        Returns
        -------
        CandidateRules

        Raises
        ------
        NegmineValueError, NegmineTypeError
            An argument is invalid; the message names it.
        """
        known = Positives.read(positives, "positives", one_each=True)
        n_queries = len(known) if queries is None else _count_queries(queries)
        n_documents = len(source)
        check_lists(known, "positives", n_queries, n_documents, outside=True)
        excluded = None if exclude is None else Positives.read(exclude, "exclude")
        if excluded is not None:
            check_lists(excluded, "exclude", n_queries, n_documents)
        check_eligible(eligible)
        if eligible is not None and (eligible.n_documents, eligible.n_queries) != (n_documents, n_queries):
            raise NegmineValueError(
                f"`eligible` must have {n_documents} keys and {n_queries} ranges; got {eligible.n_documents} "
                f"and {eligible.n_queries}."
            )
        offset = check_integer(query_offset, "query_offset", least=0, most=2**62)
        labels = query_labels(source, queries, n_queries, query_ids, offset)
        self_rows = None
        if check_flag(exclude_self, "exclude_self"):
            self_rows = _self_rows(source, queries, n_queries, labels, offset)
        return cls(
            known,
            excluded,
            self_rows,
            None if groups is None else as_int64s(groups, "groups", n_documents),
            eligible,
            labels,
            None if categories is None else as_int64s(categories, "categories", n_documents),
            read_random_weights(random_weights, known, n_documents),
        )

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.positives)

    def slice(self, begin: int, end: int) -> CandidateRules:
        """Return the rules of a range of queries.

        Parameters
        ----------
        begin : int
            First query.
        end : int
            End of the range, exclusive.

        Returns
        -------
        CandidateRules
        """
        return CandidateRules(
            self.positives.slice(begin, end),
            None if self.exclude is None else self.exclude.slice(begin, end),
            None if self.self_rows is None else self.self_rows[begin:end],
            self.groups,
            None if self.eligible is None else self.eligible.slice(begin, end),
            None if self.query_ids is None else self.query_ids[begin:end],
            self.categories,
            self.random_weights,
        )

    def request(self) -> Rules:
        """Return the rules in the form that a [`negmine.search.PoolRequest`][] holds.

        Returns
        -------
        Rules
        """
        return Rules(
            positives=Csr(self.positives.offsets, self.positives.items),
            exclude=None if self.exclude is None else Csr(self.exclude.offsets, self.exclude.items),
            self_rows=self.self_rows,
            groups=self.groups,
            eligible=self.eligible,
        )

    def given_scores(self, source: CandidateSource, queries: object) -> npt.NDArray[np.float64] | None:
        """Return the scores of positives that the source does not compute: those outside the corpus.

        A source without embeddings may not know a positive, so it takes all scores that are given.

        Parameters
        ----------
        source : CandidateSource
            The source, whose metric scores positives that are given as embeddings.
        queries : array (n_queries, width)
            Embeddings of the queries; read only if positives are given as embeddings.

        Returns
        -------
        float64 (n_positives,) or None
            The scores, NaN for positives inside the corpus; None if neither embeddings nor scores were given.
        """
        positives = self.positives
        if positives.embeddings is None:
            if positives.scores is None or is_list_numbers(queries):
                return positives.scores
            return np.where(positives.items == -1, positives.scores, np.nan)
        metric = getattr(source, "metric", None)
        if metric is None:
            raise NegmineValueError(
                "`positive_embeddings` needs a source with a metric; got "
                f"{type(source).__name__}. Give `positive_scores` instead."
            )
        width = as_rows(queries, "queries").shape[1]
        if positives.embeddings.shape[1] != width:
            raise NegmineValueError(
                f"`positive_embeddings` must be as wide as the queries, {width}; got width "
                f"{positives.embeddings.shape[1]}."
            )
        outside = positives.items == -1
        pairs = np.stack([positives.queries()[outside], np.arange(int(outside.sum()))], axis=1)
        scores = np.full(len(positives.items), np.nan)
        scores[outside] = score_pairs(queries, positives.embeddings, pairs, metric=metric)
        return scores


def warm_start_rows(warm: WarmStart | None, n_queries: int, offset: int) -> npt.NDArray[np.int64] | None:
    """Return the documents that an earlier mining call found per query, padded with -1.

    Parameters
    ----------
    warm : CandidatePool, HardNegatives, int64 (n_queries, any) or None
        The earlier result. If a query has several result rows, they are concatenated.
    n_queries : int
        Number of queries of the call.
    offset : int
        Row of the first query in the whole data set.

    Returns
    -------
    int64 (n_queries, any) or None
        Rows of documents; None without an earlier result.
    """
    if warm is None:
        return None
    if isinstance(warm, CandidatePool | HardNegatives):
        query = warm.query_indices - offset
        known = (query >= 0) & (query < n_queries)
        query, rows = query[known], warm.indices[known]
        order = np.argsort(query, kind="stable")  # slices of results may have any order
        query, rows = query[order], rows[order]
        turn = np.arange(len(query)) - np.searchsorted(query, query)
        turns, width = int(turn.max(initial=0)) + 1, rows.shape[1]
        side_by_side = np.full((n_queries, turns, width), -1, dtype=np.int64)
        side_by_side[query, turn] = rows
        return side_by_side.reshape(n_queries, turns * width)
    array = as_array(warm, "warm_start")
    if (array.dtype.kind not in "iu" and array.size) or array.ndim != 2 or len(array) != n_queries:
        raise NegmineValueError(
            f"`warm_start` must hold document rows, of shape ({n_queries}, any); got {array.dtype.name} {array.shape}."
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def _count_queries(queries: object) -> int:
    """Return the number of queries: rows of embeddings, or list numbers for a source without embeddings."""
    if is_list_numbers(queries):
        return len(queries)  # type: ignore[arg-type]
    return as_rows(queries, "queries").shape[0]


def is_list_numbers(queries: object) -> bool:
    """Return whether queries are numbers of lists, for a source without embeddings.

    Parameters
    ----------
    queries : object
        The queries of a mining call.

    Returns
    -------
    bool
    """
    return isinstance(queries, np.ndarray) and queries.ndim == 1 and queries.dtype.kind in "iu"


def query_labels(
    source: CandidateSource, queries: object, n: int, query_ids: npt.ArrayLike | None, offset: int
) -> Ids | None:
    """Return the labels of the queries: those given, or those that the source has for its lists.

    Parameters
    ----------
    source : CandidateSource
        The documents.
    queries : array (n_queries, width) or None
        Embeddings of the queries, or numbers of lists.
    n : int
        Number of queries.
    query_ids : int64 or str (n_queries,) or None
        Labels that were given.
    offset : int
        Row of the first query in the whole data set.

    Returns
    -------
    int64 (n_queries,), Strings or None
        None if there are no labels.
    """
    if query_ids is not None:
        labels = as_labels(query_ids, "query_ids")
        if labels.shape != (n,):
            raise NegmineValueError(f"`query_ids` must have shape ({n},); got shape {labels.shape}.")
        return labels
    known = getattr(source, "query_ids", None)
    if known is None or not (queries is None or is_list_numbers(queries)):
        return None
    numbers = np.arange(offset, offset + n) if queries is None else as_int64s(queries, "queries")
    # The source refuses numbers of lists that it does not have.
    inside = len(numbers) == 0 or (numbers.min() >= 0 and numbers.max() < len(known))
    return take_ids(known, numbers) if inside else None


def _self_rows(
    source: CandidateSource, queries: object, n: int, labels: Ids | None, offset: int
) -> npt.NDArray[np.int64]:
    """Return, per query, the row of the document that is the query itself, or -1 if there is none."""
    if labels is not None and source.document_ids is not None:
        return _rows_of_labels(source.document_ids, labels)
    corpus = getattr(source, "corpus", None)
    if (
        corpus is not None
        and queries is not None
        and _is_slice(as_rows(corpus, "corpus"), as_rows(queries, "queries"), offset)
    ):
        return np.arange(offset, offset + n, dtype=np.int64)
    missing = "labels of the queries" if labels is None else "labels of the documents"
    raise NegmineValueError(
        "`exclude_self` must have `query_ids` and labels of the documents, or queries that are a slice of the corpus "
        f"starting at row `query_offset`; got no {missing} and separate queries with query_offset={offset}."
    )


def _rows_of_labels(documents: Ids, labels: Ids) -> npt.NDArray[np.int64]:
    document_ids = as_labels(documents, "document_ids")
    if len(labels) and len(document_ids) and isinstance(labels, Strings) != isinstance(document_ids, Strings):
        raise NegmineValueError(
            f"`query_ids` must have the same type as the labels of the documents, {describe_labels(document_ids)}; "
            f"got {describe_labels(labels)}."
        )
    return find_labels(labels, document_ids)


def _is_slice(corpus: Rows, queries: Rows, offset: int) -> bool:
    """Return whether the queries are the rows of the corpus that start at ``offset``, in the same memory."""
    a, b = corpus.array, queries.array
    if corpus.kind != queries.kind or a.shape[1] != b.shape[1] or offset + len(b) > len(a):
        return False
    start = a.__array_interface__["data"][0] + offset * a.strides[0]
    # The first stride of a single row and the second stride of a single column have no meaning. Arrays that are read
    # byte by byte, such as rows of a packed record, have one more stride after these two.
    same = (len(b) == 1 or a.strides[0] == b.strides[0]) and (a.shape[1] == 1 or a.strides[1] == b.strides[1])
    return bool(len(b) == 0 or (b.__array_interface__["data"][0] == start and same))
