"""Known relevant documents per query.

All inputs become one sorted CSR form: the scan tests membership all the time, and with lists in file order, repeats and
ties would depend on that order. Labels are translated here, so that the core handles rows only. An unknown label is an
error, because a positive that is lost would become a negative.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import (
    as_float64s,
    as_grades,
    as_int64s,
    as_numpy,
    as_offsets,
)
from negmine._core.labels import Ids
from negmine._core.options import MAX_INT32, check_integer, check_real, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.translation import flatten, no_positives, read_known, read_labels, refuse_matrix, translate
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning

__all__ = ["Positives", "check_lists"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Positives:
    """Lists of document rows per query: sorted, without repeats, in CSR form.

    Build one with [`from_pairs`][], [`from_lists`][], [`from_dict`][], [`from_qrels`][],
    [`from_scipy`][] or [`from_csr`][]. Exclusions have the same class.

    Attributes
    ----------
    offsets : int64 (n_queries + 1,)
        The documents of query ``i`` are ``items[offsets[i]:offsets[i + 1]]``.
    items : int64 (n,)
        Document rows, ascending within a query; -1 for a positive outside the corpus, which comes first.
    grades : int64 (n,) or None
        Relevance grade of every entry.
    scores : float64 (n,) or None
        Score of every entry that lies outside the corpus, NaN for the others.
    embeddings : array (n_outside, width) or None
        Vectors of the entries outside the corpus, in CSR order.
    duplicates : int
        Repeated (query, document) pairs that were dropped.
    unknown_judgments : int
        Judgments that [`Qrels.positives`][] dropped because their labels are not among the rows.

    Examples
    --------
    >>> import negmine
    >>> positives = negmine.Positives.from_pairs([1, 0, 1], [7, 3, 2], n_queries=2)
    >>> positives[1].tolist(), len(positives)
    ([2, 7], 2)
    >>> labels = {"query_ids": ["q1", "q2"], "document_ids": ["d1", "d2", "d3"]}
    >>> judged = negmine.Positives.from_qrels({"q2": {"d1": 2, "d3": 0}}, **labels)
    >>> judged[1].tolist(), judged.lower_grades()[1].tolist()
    ([0], [2])
    """

    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    grades: npt.NDArray[np.int64] | None = None
    scores: npt.NDArray[np.float64] | None = None
    embeddings: npt.NDArray[Any] | None = None
    duplicates: int = 0
    unknown_judgments: int = 0
    _lower: Positives | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("offsets", "items"):
            object.__setattr__(self, name, as_int64s(getattr(self, name), name))
        n = len(self.items)
        as_offsets(self.offsets, "offsets", n, "items")
        _check_items(self.queries(), self.items, "items")
        if self.grades is not None:
            object.__setattr__(self, "grades", as_grades(self.grades, "grades", n))
        if self.scores is not None:
            object.__setattr__(self, "scores", as_float64s(self.scores, "scores", n))
        n_outside = int((self.items == -1).sum())
        if self.embeddings is not None and len(self.embeddings) != n_outside:
            raise NegmineValueError(f"`embeddings` must have {n_outside} rows; got {len(self.embeddings)}.")
        if n_outside and self.scores is None and self.embeddings is None:
            raise NegmineValueError(
                "`positive_scores` or `positive_embeddings` must be given for entries of -1; got neither."
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, query: SupportsIndex) -> npt.NDArray[np.int64]: ...

    @overload
    def __getitem__(self, query: slice) -> Positives: ...

    def __getitem__(self, query: SupportsIndex | slice) -> npt.NDArray[np.int64] | Positives:
        """Return the document rows of one query, or the positives of consecutive queries as [`slice`][] does."""
        if isinstance(query, slice):
            try:
                begin, end, step = query.indices(len(self))
            except TypeError:
                raise NegmineTypeError(f"`query` must be a slice of integers; got {query!r}.") from None
            if step != 1:
                raise NegmineValueError(f"`query` must be a slice of step 1; got {query!r}.")
            return self.slice(begin, max(begin, end))
        try:
            place = operator.index(query)
        except TypeError:
            raise NegmineTypeError(f"`query` must be an integer or a slice; got {query!r}.") from None
        if not -len(self) <= place < len(self):
            raise IndexError(f"`query` must be in [{-len(self)}, {len(self)}); got {place}.")
        place %= len(self)
        return self.items[self.offsets[place] : self.offsets[place + 1]]

    @classmethod
    def read(cls, value: object, argument: str, *, one_each: bool = False) -> Positives:
        """Validate the value of an argument: positives, or one list of document rows per query.

        Parameters
        ----------
        value : Positives, one list of document rows per query, or int64 (n_queries,)
            Value of the argument.
        argument : str
            Name of the argument, for error messages.
        one_each : bool, default False
            Whether a one-dimensional list or array of integers is taken as one document row per query.

        Returns
        -------
        Positives

        Raises
        ------
        NegmineValueError, NegmineTypeError
            The value has another form.
        """
        if isinstance(value, cls):
            return value
        if one_each and _is_flat(value):
            value = as_int64s(value, argument)[:, None]
        if isinstance(value, Mapping) or hasattr(value, "tocoo"):
            builder = "from_dict" if isinstance(value, Mapping) else "from_scipy"
            raise NegmineTypeError(
                f"`{argument}` must be Positives or a list of rows per query; got {type(value).__name__}: "
                f"`Positives.{builder}` takes it."
            )
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise NegmineTypeError(
                f"`{argument}` must be Positives or a list of rows per query; got {type(value).__name__}."
            )
        lengths, flat = flatten(value, argument)
        rows = as_int64s(read_labels(flat, argument), argument)
        if (rows < 0).any():
            raise NegmineValueError(
                f"`{argument}` must hold rows of documents; got {rows.min()}. `Positives.from_lists` takes -1 for "
                "documents outside the corpus."
            )
        refuse_matrix(value, rows, argument)
        query = np.repeat(np.arange(len(lengths)), lengths)
        return cls._finish(query, rows, len(lengths), None, None, None)

    @classmethod
    @refuse_unknown_options("from_csr")
    def from_csr(
        cls,
        offsets: npt.ArrayLike,
        items: npt.ArrayLike,
        *,
        grades: npt.ArrayLike | None = None,
        positive_scores: npt.ArrayLike | None = None,
        positive_embeddings: npt.NDArray[Any] | None = None,
    ) -> Positives:
        """Take CSR arrays as they are; unsorted or ragged input is refused.

        Parameters
        ----------
        offsets : int64 (n_queries + 1,)
            Where the entries of each query begin, as in the attribute of the class.
        items : int64 (n,)
            Document rows, ascending within a query; -1 for a positive outside the corpus, which comes first.
        grades : int64 (n,), optional
            Relevance grade of every entry.
        positive_scores : float64 (n,), optional
            Score of every entry; those of rows are used by sources without embeddings.
        positive_embeddings : array (n_outside, width), optional
            One vector per entry -1, in order.

        Returns
        -------
        Positives
        """
        rows = as_int64s(items, "items")
        starts = as_offsets(offsets, "offsets", len(rows), "items")
        query = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        _check_items(query, rows, "items")
        return cls._checked(query, rows, len(starts) - 1, "items", grades, positive_scores, positive_embeddings)

    @classmethod
    @refuse_unknown_options("from_pairs")
    def from_pairs(
        cls,
        queries: npt.ArrayLike,
        documents: npt.ArrayLike,
        *,
        n_queries: int | None = None,
        query_ids: npt.ArrayLike | None = None,
        document_ids: npt.ArrayLike | None = None,
        grades: npt.ArrayLike | None = None,
        positive_scores: npt.ArrayLike | None = None,
        positive_embeddings: npt.NDArray[Any] | None = None,
    ) -> Positives:
        """Take (query, document) pairs in any order; repeats are dropped and counted.

        Parameters
        ----------
        queries : int64 or str (n,)
            Rows of the queries, or their labels if ``query_ids`` is given.
        documents : int64 or str (n,)
            Rows of the documents, or their labels if ``document_ids`` is given.
        n_queries : int, optional
            Number of queries; required without ``query_ids``.
        query_ids : int64 or str (n_queries,), optional
            Labels of all queries, in row order. A label that is not among them is an error that names it.
        document_ids : int64 or str (n_documents,), optional
            Labels of all documents, in row order. A label that is not among them is an error that names it.
        grades : int64 (n,), optional
            Relevance grade of every pair.
        positive_scores : float64 (n,), optional
            Score of every pair; those of rows are used by sources without embeddings.
        positive_embeddings : array (n_outside, width), optional
            One vector per document -1, in order.

        Returns
        -------
        Positives
        """
        if query_ids is None and n_queries is None:
            raise NegmineTypeError("`n_queries` must be given where `query_ids` is not; got None.")
        query_labels = read_known(query_ids, "query_ids")
        total = check_integer(n_queries, "n_queries", least=0) if query_labels is None else len(query_labels)
        query = translate(queries, query_labels, "queries", "query_ids")
        document = translate(
            documents, read_known(document_ids, "document_ids"), "documents", "document_ids", outside=True
        )
        if len(query) != len(document):
            raise NegmineValueError(f"`documents` must have length {len(query)}; got {len(document)}.")
        if len(query) and (query.min() < 0 or query.max() >= total):
            bad = query[(query < 0) | (query >= total)][0]
            raise NegmineValueError(f"`queries` must hold rows below {total}; got {bad}.")
        return cls._checked(query, document, total, "documents", grades, positive_scores, positive_embeddings)

    @classmethod
    @refuse_unknown_options("from_lists")
    def from_lists(
        cls,
        lists: Iterable[Iterable[Any]],
        *,
        document_ids: npt.ArrayLike | None = None,
        grades: npt.ArrayLike | None = None,
        positive_scores: npt.ArrayLike | None = None,
        positive_embeddings: npt.NDArray[Any] | None = None,
    ) -> Positives:
        """Take one list of documents per query.

        A string in place of a list is refused, because it would be split into characters.

        Parameters
        ----------
        lists : one list per query
            Rows of the documents, or their labels if ``document_ids`` is given.
        document_ids : int64 or str (n_documents,), optional
            Labels of all documents, in row order. A label that is not among them is an error that names it.
        grades : int64 (n,), optional
            Relevance grade of every entry, over all lists.
        positive_scores : float64 (n,), optional
            Score of every entry, over all lists; those of rows are used by sources without embeddings.
        positive_embeddings : array (n_outside, width), optional
            One vector per entry -1, in order.

        Returns
        -------
        Positives
        """
        lengths, flat = flatten(lists, "lists")
        query = np.repeat(np.arange(len(lengths)), lengths)
        known = read_known(document_ids, "document_ids")
        document = translate(read_labels(flat, "lists", lengths), known, "lists", "document_ids", outside=True)
        refuse_matrix(lists, document, "lists")
        return cls._checked(query, document, len(lengths), "lists", grades, positive_scores, positive_embeddings)

    @classmethod
    @refuse_unknown_options("from_dict")
    def from_dict(
        cls,
        mapping: Mapping[Any, Iterable[Any]],
        *,
        query_ids: npt.ArrayLike,
        document_ids: npt.ArrayLike,
    ) -> Positives:
        """Take a mapping of query labels to document labels; queries that are not in it have no positives.

        Parameters
        ----------
        mapping : mapping of label to list of labels
            Labels of the positives, by label of the query.
        query_ids : int64 or str (n_queries,)
            Labels of all queries, in row order. A label that is not among them is an error that names it.
        document_ids : int64 or str (n_documents,)
            Labels of all documents, in row order. A label that is not among them is an error that names it.

        Returns
        -------
        Positives
        """
        if not isinstance(mapping, Mapping):
            raise NegmineTypeError(f"`mapping` must be a mapping to lists; got {type(mapping).__name__}.")
        lengths, flat = flatten(mapping.values(), "mapping", list(mapping))
        queries, documents = read_known(query_ids, "query_ids"), read_known(document_ids, "document_ids")
        query = translate(read_labels(list(mapping), "mapping"), queries, "mapping", "query_ids")
        document = translate(read_labels(flat, "mapping", lengths), documents, "mapping", "document_ids")
        return cls._finish(np.repeat(query, lengths), document, len(queries), None, None, None)

    @classmethod
    @refuse_unknown_options("from_qrels")
    def from_qrels(
        cls,
        qrels: Mapping[Any, Mapping[Any, float]],
        *,
        query_ids: npt.ArrayLike,
        document_ids: npt.ArrayLike,
        min_grade: int = 1,
    ) -> Positives:
        """Take a mapping of query labels to {document label: grade}; grades of at least ``min_grade`` make a positive.

        [`lower_grades`][] returns the other judged documents, as an exclusion.

        Parameters
        ----------
        qrels : mapping of label to mapping of label to int
            Grades by label of the query, then by label of the document. Floats that are whole numbers count as
            integers.
        query_ids : int64 or str (n_queries,)
            Labels of all queries, in row order. A label that is not among them is an error that names it.
        document_ids : int64 or str (n_documents,)
            Labels of all documents, in row order. A label that is not among them is an error that names it.
        min_grade : int, default 1
            Lowest grade of a positive.

        Returns
        -------
        Positives

        Warns
        -----
        NegmineWarning
            All grades are lower than ``min_grade``.
        """
        if not isinstance(qrels, Mapping):
            raise NegmineTypeError(f"`qrels` must be a mapping of mappings; got {type(qrels).__name__}.")
        for label, judged in qrels.items():
            if not isinstance(judged, Mapping):
                raise NegmineTypeError(
                    f"`qrels` must map a query to a mapping of grades; got {type(judged).__name__} for {label!r}."
                )
        least = check_integer(min_grade, "min_grade", least=-MAX_INT32)
        queries, documents = read_known(query_ids, "query_ids"), read_known(document_ids, "document_ids")
        found = cls._of_grades(qrels, queries, documents, least)
        lower = found.lower_grades().grades
        if lower is not None and len(lower) and not len(found.items):
            warnings.warn(no_positives(len(lower), 0, lower, least), NegmineWarning, stacklevel=3)
        return found

    @classmethod
    def _of_grades(
        cls, qrels: Mapping[Any, Mapping[Any, float]], query_ids: Ids, document_ids: Ids, min_grade: int
    ) -> Positives:
        """Build positives from validated arguments of [`from_qrels`][], without a warning."""
        triples = [(query, document, grade) for query, grades in qrels.items() for document, grade in grades.items()]
        query = translate(read_labels([query for query, _, _ in triples], "qrels"), query_ids, "qrels", "query_ids")
        labels = read_labels([document for _, document, _ in triples], "qrels")
        document = translate(labels, document_ids, "qrels", "document_ids")
        grade = as_grades(
            [grade for _, _, grade in triples],
            "qrels",
            place=lambda entry: f"for query {triples[entry][0]!r} and document {triples[entry][1]!r}",
        )
        total = len(query_ids)
        high = grade >= min_grade
        lower = cls._finish(query[~high], document[~high], total, grade[~high], None, None)
        positives = cls._finish(query[high], document[high], total, grade[high], None, None)
        return cls(positives.offsets, positives.items, positives.grades, _lower=lower)

    @classmethod
    @refuse_unknown_options("from_scipy")
    def from_scipy(
        cls,
        matrix: Any,  # noqa: ANN401 (scipy is not a dependency)
        *,
        min_value: float | None = None,
    ) -> Positives:
        """Take a scipy sparse matrix, such as one of interactions.

        Entries above 0 are positives. Zeros and negative entries, such as the -1 of a dislike, are not. Entries that
        are stored more than once count as their sum, as in scipy.

        Parameters
        ----------
        matrix : scipy sparse matrix or array (n_queries, n_documents)
            Booleans, integers or floats, in any sparse format.
        min_value : float, optional
            Lowest value of a positive, such as 4 for ratings from 1 to 5; above 0. Default: every value above 0.

        Returns
        -------
        Positives

        Raises
        ------
        NegmineTypeError
            The value is not a sparse matrix, or does not hold real numbers.
        NegmineValueError
            The matrix is not two-dimensional or holds NaN, or ``min_value`` is not above 0.
        """
        if not (hasattr(matrix, "tocoo") and hasattr(matrix, "shape")):
            raise NegmineTypeError(f"`matrix` must be a scipy sparse matrix; got {type(matrix).__name__}.")
        if len(matrix.shape) != 2:
            raise NegmineValueError(f"`matrix` must have shape (n_queries, n_documents); got shape {matrix.shape}.")
        if matrix.dtype.kind not in "biuf":
            raise NegmineTypeError(f"`matrix` must hold real numbers; got dtype {matrix.dtype.name}.")
        least = None if min_value is None else check_real(min_value, "min_value", above=0.0)
        entries = matrix.tocoo(copy=True)
        if not getattr(matrix, "has_canonical_format", False):
            # Sums of small integers would wrap around.
            wide = {"i": np.int64, "u": np.uint64, "f": np.float64}.get(entries.dtype.kind, np.bool_)
            entries.data = entries.data.astype(wide)
            entries.sum_duplicates()
        if entries.data.dtype.kind == "f" and np.isnan(entries.data).any():
            place = int(np.argmax(np.isnan(entries.data)))
            raise NegmineValueError(
                f"`matrix` must not hold NaN; got it in row {entries.row[place]}, column {entries.col[place]}."
            )
        chosen = entries.data > 0 if least is None else entries.data >= least
        return cls.from_pairs(entries.row[chosen], entries.col[chosen], n_queries=matrix.shape[0])

    def lower_grades(self) -> Positives:
        """Return the judged documents below ``min_grade``, for ``exclude=``; only after [`from_qrels`][].

        Returns
        -------
        Positives

        Raises
        ------
        NegmineValueError
            The positives were not built from grades.
        """
        if self._lower is None:
            raise NegmineValueError("`lower_grades` must follow `from_qrels`; got positives without lower grades.")
        return self._lower

    def queries(self) -> npt.NDArray[np.int64]:
        """Return the query row of every entry.

        Returns
        -------
        int64 (n,)
        """
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    def slice(self, begin: int, end: int) -> Positives:
        """Take the queries in [begin, end).

        Parameters
        ----------
        begin, end : int
            Range of queries.

        Returns
        -------
        Positives
        """
        begin = check_integer(begin, "begin", least=0, most=len(self))
        end = check_integer(end, "end", least=begin, most=len(self))
        first, last = self.offsets[begin], self.offsets[end]
        outside = np.concatenate([[0], np.cumsum(self.items == -1)])
        return Positives(
            self.offsets[begin : end + 1] - first,
            self.items[first:last],
            None if self.grades is None else self.grades[first:last],
            None if self.scores is None else self.scores[first:last],
            None if self.embeddings is None else self.embeddings[outside[first] : outside[last]],
        )

    @classmethod
    def _checked(
        cls,
        query: npt.NDArray[np.int64],
        document: npt.NDArray[np.int64],
        total: int,
        argument: str,
        grades: npt.ArrayLike | None,
        scores: npt.ArrayLike | None,
        embeddings: npt.NDArray[Any] | None,
    ) -> Positives:
        """Refuse entries that are neither a row nor -1, then finish."""
        if len(document) and document.min() < -1:
            raise NegmineValueError(f"`{argument}` must hold rows, or -1 for outside the corpus; got {document.min()}.")
        return cls._finish(query, document, total, grades, scores, embeddings)

    @classmethod
    def _finish(
        cls,
        query: npt.NDArray[np.int64],
        document: npt.NDArray[np.int64],
        total: int,
        grades: npt.ArrayLike | None,
        scores: npt.ArrayLike | None,
        embeddings: npt.NDArray[Any] | None,
    ) -> Positives:
        """Sort pairs by (query, document) together with their values, and drop repeats inside the corpus."""
        sorted_already = (query[1:] > query[:-1]) | ((query[1:] == query[:-1]) & (document[1:] >= document[:-1]))
        order = np.arange(len(query)) if sorted_already.all() else np.lexsort((document, query))
        query, document = query[order], document[order]
        repeat = (query[1:] == query[:-1]) & (document[1:] == document[:-1]) & (document[1:] >= 0)
        keep = np.concatenate([np.ones(min(len(query), 1), dtype=bool), ~repeat])
        graded = None if grades is None else as_grades(grades, "grades", len(order))[order][keep]
        if scores is not None and embeddings is not None:
            raise NegmineValueError("`positive_scores` and `positive_embeddings` must not both be given; got both.")
        scored = None
        if scores is not None:
            given = as_float64s(scores, "positive_scores", len(order))
            scored = given[order][keep]
            if not np.isfinite(scored[document[keep] == -1]).all():
                raise NegmineValueError("`positive_scores` must be finite for every entry -1; got NaN or infinity.")
            if np.isinf(scored).any():
                raise NegmineValueError("`positive_scores` must be finite, or NaN for rows; got infinity.")
        if embeddings is not None:
            # The caller's embeddings follow the given order of the entries -1.
            embeddings = as_numpy(embeddings, "positive_embeddings")
            number = np.cumsum(np.asarray(document == -1)[np.argsort(order, kind="stable")]) - 1
            wanted = number[order][document == -1]
            if len(embeddings) != len(wanted):
                raise NegmineValueError(f"`positive_embeddings` must have {len(wanted)} rows; got {len(embeddings)}.")
            embeddings = embeddings[wanted]
            with np.errstate(over="ignore"):
                bad = ~np.isfinite(embeddings.astype(np.float32)).all(axis=1)
            if bad.any():
                raise NegmineValueError(f"`positive_embeddings` must be finite; row {wanted[bad][0]} is not.")
        items = np.ascontiguousarray(document[keep])
        counts = np.bincount(query[keep], minlength=total)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(offsets, items, graded, scored, embeddings, duplicates=int(repeat.sum()))


def _is_flat(value: object) -> bool:
    """Return whether a value is one-dimensional and holds at least one integer and nothing else."""
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(isinstance(entry, int | np.integer) for entry in value)
    dtype = getattr(value, "dtype", None)
    integers = getattr(dtype, "kind", None) in ("i", "u") or str(dtype) in ("torch.int64", "torch.int32")
    return integers and getattr(value, "ndim", 0) == 1 and len(value) > 0  # type: ignore[arg-type]


def _check_items(query: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], argument: str) -> None:
    """Refuse entries that are neither a row nor -1, and rows that are not strictly ascending within a query."""
    if len(rows) and rows.min() < -1:
        raise NegmineValueError(f"`{argument}` must hold rows, or -1 for outside the corpus; got {rows.min()}.")
    same_query = query[1:] == query[:-1]
    bad = same_query & ((rows[1:] < rows[:-1]) | ((rows[1:] == rows[:-1]) & (rows[1:] >= 0)))
    if bad.any():
        raise NegmineValueError(
            f"`{argument}` must be strictly ascending within a query; got query {query[1:][bad][0]} unsorted "
            "or with repeats. `from_pairs` and `from_lists` sort."
        )


def check_lists(lists: Positives, argument: str, n_queries: int, n_documents: int, *, outside: bool = False) -> None:
    """Raise an error if lists of document rows are not those of the queries and documents of a call.

    Parameters
    ----------
    lists : Positives
        The lists.
    argument : str
        Name of the argument, for error messages.
    n_queries, n_documents : int
        Number of queries and of documents.
    outside : bool, default False
        Whether documents outside the corpus, of row -1, are accepted.

    Raises
    ------
    NegmineValueError
        The number of lists differs, or a row is out of range.
    """
    if len(lists) != n_queries:
        raise NegmineValueError(f"`{argument}` must have length {n_queries}, one list per query; got {len(lists)}.")
    if len(lists.items) and lists.items.max() >= n_documents:
        raise NegmineValueError(f"`{argument}` must hold rows below {n_documents}; got {lists.items.max()}.")
    if not outside and (lists.items < 0).any():
        raise NegmineValueError(f"`{argument}` must hold document rows, at least 0; got {lists.items.min()}.")
