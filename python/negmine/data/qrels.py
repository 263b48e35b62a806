"""Graded relevance judgments (qrels)."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, Strings, as_labels, find_labels
from negmine._core.options import check_choice, check_integer
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.data.translation import no_positives, read_known
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning

__all__ = ["Qrels", "Unknown", "like", "match"]


#: Strings that are read as an integer.
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")


#: Handling of a label that is not among the rows.
Unknown = Literal["error", "drop"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Qrels:
    """Graded relevance judgments.

    Attributes
    ----------
    query_ids, document_ids : int64 (n,) or Strings
        Labels, in the order of the file.
    grades : int64 (n,)
        Relevance grades; a grade of at least ``min_grade`` counts as relevant.
    """

    query_ids: Ids
    document_ids: Ids
    grades: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("query_ids", "document_ids"):
            object.__setattr__(self, name, as_labels(getattr(self, name), name))

    def __len__(self) -> int:
        return len(self.grades)

    def positives(
        self,
        *,
        query_ids: npt.ArrayLike,
        document_ids: npt.ArrayLike,
        min_grade: int = 1,
        unknown: Unknown = "error",
    ) -> Positives:
        """Turn judgments into positives.

        If a pair is judged twice, its highest grade counts. [`Positives.lower_grades`][] of the result returns the
        other judged documents.

        Parameters
        ----------
        query_ids : int64 or str (n_queries,)
            Labels of all queries, in row order. If they are integers, judgments may write them as strings.
        document_ids : int64 or str (n_documents,)
            Labels of all documents, in row order, likewise.
        min_grade : int, default 1
            Lowest grade of a positive.
        unknown : {"error", "drop"}, default "error"
            Handling of judgments whose labels are not among the rows. ``Positives.unknown_judgments`` counts the
            dropped ones.

        Returns
        -------
        Positives

        Warns
        -----
        NegmineWarning
            No query has a positive.
        """
        check_choice(unknown, "unknown", ("error", "drop"))
        check_integer(min_grade, "min_grade", least=-(2**31))
        known_queries, known_documents = read_known(query_ids, "query_ids"), read_known(document_ids, "document_ids")
        queries, documents, keep = match(self.query_ids, self.document_ids, known_queries, known_documents, unknown)
        grades: dict[Any, dict[Any, int]] = {}
        triples = (queries[keep].tolist(), documents[keep].tolist(), self.grades[keep].tolist())
        for query, document, grade in zip(*triples, strict=True):
            of_query = grades.setdefault(query, {})
            of_query[document] = max(grade, of_query.get(document, grade))
        found = Positives._of_grades(grades, known_queries, known_documents, min_grade)
        n_unknown = len(self) - int(keep.sum())
        if not len(found.items):
            message = no_positives(len(self), n_unknown, self.grades[keep], min_grade)
            warnings.warn(message, NegmineWarning, stacklevel=2)
        return replace(found, unknown_judgments=n_unknown)

    def lists(self, *, query_ids: npt.ArrayLike, document_ids: npt.ArrayLike, unknown: Unknown = "error") -> Positives:
        """Return the judged documents per query, of any grade, for ``exclude=``.

        Parameters
        ----------
        query_ids : int64 or str (n_queries,)
            Labels of all queries, in row order, as in [`positives`][].
        document_ids : int64 or str (n_documents,)
            Labels of all documents, in row order, as in [`positives`][].
        unknown : {"error", "drop"}, default "error"
            Handling of judgments whose labels are not among the rows.

        Returns
        -------
        Positives
        """
        known_queries, known_documents = read_known(query_ids, "query_ids"), read_known(document_ids, "document_ids")
        queries, documents, keep = match(self.query_ids, self.document_ids, known_queries, known_documents, unknown)
        found = Positives.from_pairs(
            queries[keep], documents[keep], query_ids=known_queries, document_ids=known_documents
        )
        return replace(found, unknown_judgments=len(self) - int(keep.sum()))

    def judged(self, query_ids: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Find the queries that have at least one judgment.

        Parameters
        ----------
        query_ids : int64 or str (n_queries,)
            Labels of the queries.

        Returns
        -------
        bool (n_queries,)
        """
        known = as_labels(query_ids, "query_ids")
        return find_labels(known, like(self.query_ids, known, "query_ids")) >= 0


def match(
    query_ids: Ids, document_ids: Ids, known_queries: Ids, known_documents: Ids, unknown: Unknown
) -> tuple[Ids, Ids, npt.NDArray[np.bool_]]:
    """Convert the labels of a file to the type of the row labels, and find the entries to keep.

    Parameters
    ----------
    query_ids, document_ids : int64 (n,) or Strings
        Labels in the file.
    known_queries : int64 or str (n_queries,)
        Labels of all queries.
    known_documents : int64 or str (n_documents,)
        Labels of all documents.
    unknown : {"error", "drop"}
        Handling of labels that are not among the rows.

    Returns
    -------
    tuple of (labels, labels, bool (n,))
        Converted labels of queries and documents, and which entries to keep.
    """
    check_choice(unknown, "unknown", ("error", "drop"))
    queries = like(query_ids, known_queries, "query_ids")
    documents = like(document_ids, known_documents, "document_ids")
    keep = np.ones(len(queries), dtype=bool)
    if unknown == "drop":
        keep = (find_labels(queries, known_queries) >= 0) & (find_labels(documents, known_documents) >= 0)
    return queries, documents, keep


def like(labels: Ids, known: Ids, argument: str) -> Ids:
    """Convert labels to the type of the row labels: files hold strings where rows have integers, and the reverse.

    Parameters
    ----------
    labels : int64 (n,) or Strings
        Labels in the file.
    known : int64 (any,) or Strings
        Labels of the rows.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    int64 (n,) or Strings

    Raises
    ------
    NegmineTypeError
        The labels of the rows are integers and a label of the file is not.
    NegmineValueError
        A label does not fit int64.
    """
    if isinstance(known, Strings) == isinstance(labels, Strings):
        return labels
    if not isinstance(labels, Strings):
        return Strings.of(map(str, labels.tolist()), argument)
    strings = labels.tolist()
    # Python parses "1_0" as 10.
    bad = next((label for label in strings if not _INTEGER.fullmatch(label)), None)
    if bad is not None:
        raise NegmineTypeError(
            f"`{argument}` are integers, so every label must read as one; got {bad!r}. Give the labels of the rows."
        )
    try:
        return np.array([int(label) for label in strings], dtype=np.int64)
    except (ValueError, OverflowError):
        raise NegmineValueError(
            f"`{argument}` are int64, so every label must fit it; got {max(strings, key=len)!r}."
        ) from None
