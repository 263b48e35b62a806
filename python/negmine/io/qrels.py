"""Judgements (qrels) and runs: which document was said to be relevant, or was found, for which query."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar

import numpy as np
import numpy.typing as npt

from negmine import _coerce, _files
from negmine._coerce import Ids
from negmine._extras import require
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io import tables
from negmine.positives import Positives

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["QRELS_SUFFIXES", "Qrels", "Run", "like", "read_qrels", "read_run"]

QRELS_SUFFIXES = (".tsv", ".txt", ".qrels", ".qrel", *tables.TABLE_SUFFIXES)

#: What the columns are called in tables and in headers, the first that is there being taken.
_QUERY_NAMES = ("query_id", "query-id", "qid")
_DOCUMENT_NAMES = ("doc_id", "corpus-id", "corpus_id", "docid")
_GRADE_NAMES = ("score", "grade", "relevance", "label")

#: What reads as an integer.
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")

#: What to do with a label that is not among the rows.
Unknown = Literal["error", "drop"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Qrels:
    """Graded judgements.

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
        """Turn judgements into positives; :meth:`Positives.lower_grades` has the rest.

        Where a pair is judged twice its highest grade counts.

        Parameters
        ----------
        query_ids, document_ids
            Labels of all rows, in row order. Where they are integers, labels that read as integers stand for them.
        min_grade
            Lowest grade of a positive.
        unknown
            What to do with judgements of labels that are not among the rows: "error" or "drop".
        """
        _coerce.choice(unknown, "unknown", ("error", "drop"))
        _coerce.integer(min_grade, "min_grade", least=-(2**31))
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
        """Which of ``query_ids`` have at least one judgement: bool (n_queries,)."""
        return np.isin(np.asarray(query_ids), like(self.query_ids, query_ids, "query_ids"))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a retrieval system found.

    Attributes
    ----------
    query_ids, document_ids : int64 or str (n,)
        Labels, in the order of the file.
    ranks : int64 (n,)
        Ranks, as the file says.
    scores : float64 (n,)
        Scores, as the file says; they are the system's own.
    tag : str
        Name of the first line's system.
    """

    query_ids: Ids
    document_ids: Ids
    ranks: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    tag: str

    def __len__(self) -> int:
        return len(self.ranks)

    def lists(self, *, query_ids: npt.ArrayLike, document_ids: npt.ArrayLike, depth: int | None = None) -> Positives:
        """Document rows per query, for ``exclude=``.

        Parameters
        ----------
        query_ids, document_ids
            Labels of all rows, in row order.
        depth
            Only the first ``depth`` documents of every query by (score descending, place in the file), as
            trec_eval orders them. Default: all.
        """
        queries = like(self.query_ids, query_ids, "query_ids")
        documents = like(self.document_ids, document_ids, "document_ids")
        if depth is not None:
            _coerce.integer(depth, "depth", least=0)
            _, group = np.unique(queries, return_inverse=True)
            order = np.lexsort((-self.scores, group))
            starts = np.searchsorted(group[order], group[order], side="left")
            order = order[np.arange(len(order)) - starts < depth]
            queries, documents = queries[order], documents[order]
        return Positives.from_pairs(queries, documents, query_ids=query_ids, document_ids=document_ids)


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


def read_qrels(path: object, *, split: str | None = None, argument: str = "path") -> Qrels:
    """Read judgements.

    Parameters
    ----------
    path : path
        BEIR's TSV (a header, then query, document and grade, separated by tabs), the same without a header, TREC's
        qrels (query, iteration, document and grade, separated by white space), or a table with columns such as
        "query_id", "doc_id" and, if not all grades are 1, "score".
    split
        Only rows of a table whose column "split" says so.
    argument
        The name that errors use.

    Raises
    ------
    NegmineValueError
        No such file, a line with another number of fields or a grade that is no integer (the line is named).
    """
    file = _files.input_file(path, argument)
    if file.suffix in tables.TABLE_SUFFIXES:
        return _qrels_from_table(file, split, argument)
    if file.suffix not in QRELS_SUFFIXES:
        raise NegmineValueError(f"`{argument}` must end in one of {', '.join(QRELS_SUFFIXES)}; got {file}.")
    if split is not None:
        raise NegmineValueError(f"`split` must be None where the file has no columns; got {split!r} for {file}.")
    with file.open(encoding="utf-8-sig", errors="strict") as lines:
        first = _first_line(lines, file, argument)
    if len(first.split()) == 4 and len(first.split("\t")) != 3:
        fields = _fields(file, 4, argument)
        grades = [_number(line[3], int, place, file, argument) for place, line in enumerate(fields, 1)]
        return Qrels(_strings([line[0] for line in fields]), _strings([line[2] for line in fields]), _integers(grades))
    return _qrels_from_tsv(file, first, argument)


def read_run(path: object, *, argument: str = "path") -> Run:
    """Read a run in TREC's format: query, "Q0", document, rank, score and tag, separated by white space.

    Parameters
    ----------
    path : path
    argument
        The name that errors use.

    Raises
    ------
    NegmineValueError
        No such file, or a line that is not of this form (it is named).
    """
    file = _files.input_file(path, argument)
    fields = _fields(file, 6, argument)
    return Run(
        _strings([line[0] for line in fields]),
        _strings([line[2] for line in fields]),
        _integers([_number(line[3], int, place, file, argument) for place, line in enumerate(fields, 1)]),
        np.array(
            [_number(line[4], float, place, file, argument) for place, line in enumerate(fields, 1)],
            np.float64,
        ),
        fields[0][5] if fields else "",
    )


def _first_line(lines: TextIO, path: Path, argument: str) -> str:
    try:
        return str(lines.readline()).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise NegmineValueError(f"`{argument}` must be UTF-8; got {path}: {error}") from None


def _qrels_from_tsv(path: Path, first: str, argument: str) -> Qrels:
    arrow = require("pyarrow", "io", "reading TSV")
    csv = require("pyarrow.csv", "io", "reading TSV")
    if not first:
        return Qrels(_strings([]), _strings([]), _integers([]))
    cells = first.split("\t")
    if len(cells) != 3:
        raise NegmineValueError(
            f"`{argument}` must have 3 fields separated by tabs, or 4 by white space; line 1 of {path} is {first!r}."
        )
    # Any number is a grade, if a wrong one: taken for a header, a line would be lost without a word.
    has_header = not _is_number(cells[2])
    names = ["query_id", "doc_id", "score"]
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=int(has_header)),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types={"query_id": arrow.string(), "doc_id": arrow.string(), "score": arrow.int64()},
                strings_can_be_null=False,
            ),
        )
    except arrow.ArrowInvalid as error:
        if has_header and "Empty CSV" in str(error):
            return Qrels(_strings([]), _strings([]), _integers([]))
        raise NegmineValueError(f"`{argument}` must hold query, document and grade; got {path}: {error}") from error
    return _qrels(table, argument, *names)


def _qrels_from_table(path: Path, split: str | None, argument: str) -> Qrels:
    known = tables.read_schema(path, argument).names
    query, document = (_present(names, known, path, argument) for names in (_QUERY_NAMES, _DOCUMENT_NAMES))
    grade = next((name for name in _GRADE_NAMES if name in known), None)
    columns = [query, document] + ([] if grade is None else [grade]) + ([] if split is None else ["split"])
    table = tables.read_table(path, argument, columns)
    if split is not None:
        compute = require("pyarrow.compute", "io", "reading qrels")
        table = table.filter(compute.equal(table["split"], split))
        if len(table) == 0:
            raise NegmineValueError(f"`split` must name rows of {path}; got {split!r}, which no row has.")
    return _qrels(table, argument, query, document, grade)


def _qrels(table: pa.Table, argument: str, query: str, document: str, grade: str | None) -> Qrels:
    if grade is None:
        grades = np.ones(len(table), dtype=np.int64)
    else:
        grades = _coerce.int64s(tables.label_column(table[grade], argument, grade), argument)
    queries = tables.label_column(table[query], argument, query)
    return Qrels(queries, tables.label_column(table[document], argument, document), grades)


def _present(names: tuple[str, ...], known: list[str], path: Path, argument: str) -> str:
    for name in names:
        if name in known:
            return name
    raise NegmineValueError(
        f"`{argument}` must have a column called one of {', '.join(map(repr, names))}; {path} has "
        f"{', '.join(map(repr, known))}."
    )


def _fields(path: Path, n: int, argument: str) -> list[list[str]]:
    """Lines cut at white space: TREC's files mix spaces and tabs, which CSV readers do not take."""
    fields = []
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for place, line in enumerate(lines, 1):
                cells = line.split()
                if len(cells) != n:
                    raise NegmineValueError(
                        f"`{argument}` must have {n} fields in every line; line {place} of {path} is {line.rstrip()!r}."
                    )
                fields.append(cells)
    except UnicodeDecodeError as error:
        raise NegmineValueError(f"`{argument}` must be UTF-8; got {path}: {error}") from None
    return fields


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, kind: Callable[[str], T], place: int, path: Path, argument: str) -> T:
    try:
        return kind(cell)
    except ValueError:
        what = "an integer" if kind is int else "a number"
        raise NegmineValueError(f"`{argument}` must hold {what}; line {place} of {path} has {cell!r}.") from None


def _strings(values: list[str]) -> npt.NDArray[np.str_]:
    return np.array(values, dtype=np.str_)


def _integers(values: list[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
