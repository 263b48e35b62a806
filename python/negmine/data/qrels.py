"""Graded relevance judgments (qrels)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Ids
from negmine._core.options import check_choice, check_integer
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError

if TYPE_CHECKING:
    pass

__all__ = ["Qrels", "Unknown", "like"]


#: What reads as an integer.
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")


#: What to do with a label that is not among the rows.
Unknown = Literal["error", "drop"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Qrels:
    """Graded judgments.

    Attributes
    ----------
    query_ids, document_ids : int64 or str (n,)
        Labels, in the order of the file.
    grades : int64 (n,)
        Relevance grades; what is at least ``min_grade`` counts as relevant.
    """

    query_ids: Ids
    document_ids: Ids
    grades: npt.NDArray[np.int64]

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
        """Turn judgments into positives; :meth:`Positives.lower_grades` has the rest.

        Where a pair is judged twice its highest grade counts.

        Parameters
        ----------
        query_ids, document_ids
            Labels of all rows, in row order. Where they are integers, labels that read as integers stand for them.
        min_grade
            Lowest grade of a positive.
        unknown
            What to do with judgments of labels that are not among the rows: "error" or "drop".
        """
        check_choice(unknown, "unknown", ("error", "drop"))
        check_integer(min_grade, "min_grade", least=-(2**31))
        queries = like(self.query_ids, query_ids, "query_ids")
        documents = like(self.document_ids, document_ids, "document_ids")
        keep = np.ones(len(self), dtype=bool)
        if unknown == "drop":
            keep = np.isin(queries, np.asarray(query_ids)) & np.isin(documents, np.asarray(document_ids))
        grades: dict[Any, dict[Any, int]] = {}
        triples = (queries[keep].tolist(), documents[keep].tolist(), self.grades[keep].tolist())
        for query, document, grade in zip(*triples, strict=True):
            of_query = grades.setdefault(query, {})
            of_query[document] = max(grade, of_query.get(document, grade))
        return Positives.from_qrels(grades, query_ids=query_ids, document_ids=document_ids, min_grade=min_grade)

    def judged(self, query_ids: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which of ``query_ids`` have at least one judgment: bool (n_queries,)."""
        return np.isin(np.asarray(query_ids), like(self.query_ids, query_ids, "query_ids"))


def like(labels: Ids, known: npt.ArrayLike, argument: str) -> Ids:
    """Labels in the kind of those of the rows: files hold strings where rows may have integers, and the reverse."""
    kind = np.asarray(known).dtype.kind
    if kind == "U" and labels.dtype.kind != "U":
        return labels.astype(np.str_)
    if kind not in "iu" or labels.dtype.kind != "U":
        return labels
    # NumPy reads "1_0" as 10.
    bad = next((label for label in labels.tolist() if not _INTEGER.fullmatch(label)), None)
    if bad is not None:
        raise NegmineTypeError(
            f"`{argument}` are integers, so every label must read as one; got {bad!r}. Give the labels of the rows."
        )
    try:
        return labels.astype(np.int64)
    except (ValueError, OverflowError):
        raise NegmineValueError(
            f"`{argument}` are int64, so every label must fit it; got {max(labels.tolist(), key=len)!r}."
        ) from None
