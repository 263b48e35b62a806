"""Judgments (qrels) and runs: which document was said to be relevant, or was found, for which query."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import as_int64s
from negmine._core.extras import require
from negmine.data.qrels import Qrels
from negmine.data.runs import Run
from negmine.errors import NegmineValueError
from negmine.io import tables

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["QRELS_SUFFIXES", "read_qrels", "read_run"]

QRELS_SUFFIXES = (".tsv", ".txt", ".qrels", ".qrel", *tables.TABLE_SUFFIXES)

#: What the columns are called in tables and in headers, the first that is there being taken.
_QUERY_NAMES = ("query_id", "query-id", "qid")
_DOCUMENT_NAMES = ("doc_id", "corpus-id", "corpus_id", "docid")
_GRADE_NAMES = ("score", "grade", "relevance", "label")


T = TypeVar("T")


def read_qrels(path: object, *, split: str | None = None, argument: str = "path") -> Qrels:
    """Read judgments.

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
    file = files.input_file(path, argument)
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
    file = files.input_file(path, argument)
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
        grades = as_int64s(tables.label_column(table[grade], argument, grade), argument)
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
