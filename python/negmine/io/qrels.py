"""Relevance judgments (qrels) and runs: the relevant or retrieved documents per query."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from negmine._core import files
from negmine._core.extras import require
from negmine._core.labels import Strings
from negmine._core.parsing import parse_json
from negmine.data.qrels import Qrels
from negmine.data.runs import Run
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io import tables
from negmine.io.lines import compressed, parse_integer, parse_real, read_lines

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["QRELS_SUFFIXES", "load_qrels", "load_run", "read_qrels", "read_run", "read_splits"]

QRELS_SUFFIXES = (*compressed((".tsv", ".txt", ".qrels", ".qrel")), *tables.TABLE_SUFFIXES)

#: Names of columns, in tables and in headers; the first one that is present is used.
_QUERY_NAMES = ("query_id", "query-id", "qid")
_DOCUMENT_NAMES = ("doc_id", "corpus-id", "corpus_id", "docid", "document_id", "document-id", "pid")
_GRADE_NAMES = ("score", "grade", "relevance", "label")


T = TypeVar("T", int, float)


def read_qrels(path: object, *, split: str | None = None) -> Qrels:
    """Read judgments.

    Parameters
    ----------
    path : path
        BEIR's TSV (a header, then query, document and grade, separated by tabs), the same without a header, TREC's
        qrels (query, iteration, document and grade, separated by white space), either of them gzipped, or a table.
        Columns under a header and of tables are found by name, in any order: "query_id" or "query-id", "doc_id" or
        "corpus-id" and, if not all grades are 1, "score". Blank lines are skipped.
    split : str, optional
        Read only the rows of a table that have this value in column "split". Default: all rows.

    Returns
    -------
    Qrels

    Raises
    ------
    NegmineValueError
        The file does not exist, its header is unknown, or a line has another number of fields or a grade that is not a
        whole number (the message names the line).
    """
    return load_qrels(path, "path", split=split)


def read_run(path: object) -> Run:
    """Read a run in TREC's format or in JSON.

    TREC's lines have query, "Q0", document, rank, score and tag, separated by white space. JSON is one object of
    ``{query: {document: score}}``, as pytrec_eval and BEIR take it; the ranks are then by (score descending, place).

    Parameters
    ----------
    path : path
        File of the run; JSON if its name ends in ".json". It may be gzipped; blank lines are skipped.

    Returns
    -------
    Run

    Raises
    ------
    NegmineValueError
        The file does not exist, or a line or an entry has another form (the message names it).
    """
    return load_run(path, "path")


def load_qrels(path: object, argument: str, *, split: str | None = None) -> Qrels:
    """Read judgments as [`read_qrels`][] does, with error messages that name another argument.

    Parameters
    ----------
    path : path
        File of judgments.
    argument : str
        Name of the argument that gave the path, for error messages.
    split : str, optional
        Split of a table. Default: all rows.

    Returns
    -------
    Qrels
    """
    file = files.input_file(path, argument)
    suffix = files.suffix_of(file)
    if suffix in tables.TABLE_SUFFIXES:
        return _from_table(file, split, argument)
    if suffix not in QRELS_SUFFIXES:
        raise NegmineValueError(f"`{argument}` must end in one of {', '.join(QRELS_SUFFIXES)}; got {file}.")
    if split is not None:
        raise NegmineValueError(f"`split` must be None where the file has no columns; got {split!r} for {file}.")
    rows = read_lines(file, argument)
    first = next(rows, None)
    if first is None:
        return Qrels(Strings.of([], argument), Strings.of([], argument), np.empty(0, dtype=np.int64))
    form = _Form.of(*first, file, argument)
    queries, documents, grades = [], [], []
    known: dict[str, int] = {}  # few grades are distinct
    for number, line in rows if form.has_header else itertools.chain([first], rows):
        cells = form.cut(number, line)
        queries.append(cells[form.query])
        documents.append(cells[form.document])
        if form.grade is None:
            continue
        cell = cells[form.grade]
        if cell not in known:
            known[cell] = form.integer(number, cell)
        grades.append(known[cell])
    return Qrels(
        Strings.of(queries, argument),
        Strings.of(documents, argument),
        np.array([1] * len(queries) if form.grade is None else grades, dtype=np.int64),
    )


def load_run(path: object, argument: str) -> Run:
    """Read a run as [`read_run`][] does, with error messages that name another argument.

    Parameters
    ----------
    path : path
        File of the run.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    Run
    """
    file = files.input_file(path, argument)
    if files.suffix_of(file) in compressed((".json",)):
        return _run_of_json(file, argument)
    form = _Form(file, argument, 6, None, query=0, document=2)
    queries, documents, ranks, scores, tag = [], [], [], [], ""
    for number, line in read_lines(file, argument):
        cells = form.cut(number, line)
        queries.append(cells[form.query])
        documents.append(cells[form.document])
        ranks.append(form.integer(number, cells[3]))
        scores.append(form.real(number, cells[4]))
        tag = tag or cells[5]
    return Run(
        Strings.of(queries, argument),
        Strings.of(documents, argument),
        np.array(ranks, dtype=np.int64),
        np.array(scores, dtype=np.float64),
        tag,
    )


def _run_of_json(path: Path, argument: str) -> Run:
    """Read {query: {document: score}}."""
    lines = [line for _, line in read_lines(path, argument)]
    try:
        content = parse_json("\n".join(lines))
    except ValueError as error:
        raise NegmineValueError(f"`{argument}` must be JSON; {path}: {error}.") from None
    if not isinstance(content, dict):
        raise NegmineValueError(f"`{argument}` must be an object of queries; {path} holds {type(content).__name__}.")
    queries: list[str] = []
    documents: list[str] = []
    ranks: list[int] = []
    scores: list[float] = []
    for query, found in content.items():
        if not isinstance(found, dict):
            raise NegmineValueError(
                f"`{argument}` must map a query to scores by document; query {query!r} of {path} has "
                f"{type(found).__name__}."
            )
        for document, score in found.items():
            if not _is_score(score):
                raise NegmineValueError(
                    f"`{argument}` must hold numbers; document {document!r} of query {query!r} of {path} has {score!r}."
                )
            queries.append(query)
            documents.append(document)
            scores.append(float(score))
        best_first = np.argsort(-np.array(scores[len(ranks) :]), kind="stable")
        ranks += (np.argsort(best_first) + 1).tolist()
    return Run(
        Strings.of(queries, argument),
        Strings.of(documents, argument),
        np.array(ranks, dtype=np.int64),
        np.array(scores, dtype=np.float64),
        "",
    )


def _is_score(value: object) -> bool:
    """Return whether a value of JSON is a number, of float64's range where it is an integer."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, float) and not math.isnan(value)


@dataclass(frozen=True, slots=True)
class _Form:
    """Separator of the lines of a file, and positions of the fields."""

    path: Path
    argument: str
    n_fields: int
    separator: str | None
    query: int
    document: int
    grade: int | None = None
    has_header: bool = False

    @classmethod
    def of(cls, number: int, line: str, path: Path, argument: str) -> _Form:
        """Find the form of judgments from their first line."""
        cells = line.split("\t")
        names = [cell.strip() for cell in cells]
        query, document, grade = (_position(known, names) for known in (_QUERY_NAMES, _DOCUMENT_NAMES, _GRADE_NAMES))
        if query is not None and document is not None:
            for place in (query, document, grade):
                if place is not None and names.count(names[place]) > 1:
                    raise NegmineValueError(
                        f"`{argument}` must have one column {names[place]!r}; line {number} of {path} has "
                        f"{names.count(names[place])}."
                    )
            return cls(path, argument, len(cells), "\t", query, document, grade, has_header=True)
        # Any number is a grade, even an invalid one: a judgment that passed for a header would be lost.
        if len(cells) == 3 and _is_number(names[2]):
            return cls(path, argument, 3, "\t", query=0, document=1, grade=2)
        if len(cells) != 3 and len(line.split()) == 4:
            return cls(path, argument, 4, None, query=0, document=2, grade=3)
        raise NegmineValueError(
            f"`{argument}` must have a header with {_QUERY_NAMES[1]!r} and {_DOCUMENT_NAMES[1]!r}, 3 fields separated "
            f"by tabs, or 4 by white space; line {number} of {path} is {line!r}."
        )

    def cut(self, number: int, line: str) -> list[str]:
        """Cut a line into its fields."""
        cells = line.split(self.separator)
        if len(cells) != self.n_fields:
            raise NegmineValueError(
                f"`{self.argument}` must have {self.n_fields} fields in every line; line {number} of {self.path} is "
                f"{line!r}."
            )
        return cells

    def integer(self, number: int, cell: str) -> int:
        """Parse an integer, or a float that is a whole number."""
        return self._number(parse_integer, "a whole number within int64", number, cell)

    def real(self, number: int, cell: str) -> float:
        """Parse a number."""
        return self._number(parse_real, "a number", number, cell)

    def _number(self, parse: Callable[[str], T | None], rule: str, number: int, cell: str) -> T:
        value = parse(cell.strip())
        if value is None:
            raise NegmineValueError(f"`{self.argument}` must hold {rule}; line {number} of {self.path} has {cell!r}.")
        return value


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _position(known: Sequence[str], names: list[str]) -> int | None:
    """Find the first known name among ``names``."""
    return next((names.index(name) for name in known if name in names), None)


def _from_table(path: Path, split: str | None, argument: str) -> Qrels:
    known = tables.read_schema(path, argument).names
    query, document = (_present(names, known, path, argument) for names in (_QUERY_NAMES, _DOCUMENT_NAMES))
    grade = next((name for name in _GRADE_NAMES if name in known), None)
    names = [query, document] + ([] if grade is None else [grade]) + ([] if split is None else ["split"])
    columns = tables.read_columns(path, argument, names)
    if split is not None:
        compute = require("pyarrow.compute", "io", "reading qrels")
        keep = compute.equal(_splits(columns["split"]), split)
        columns = {name: column.filter(keep) for name, column in columns.items()}
        if len(columns[query]) == 0:
            raise NegmineValueError(f"`split` must name rows of {path}; got {split!r}, which no row has.")
    grades = np.ones(len(columns[query]), dtype=np.int64) if grade is None else columns[grade].grades()
    return Qrels(columns[query].labels(), columns[document].labels(), grades)


def read_splits(path: Path, argument: str) -> list[str] | None:
    """List the splits of a table of judgments.

    Parameters
    ----------
    path : Path
        Existing table.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    list of str or None
        None if the table has no column "split".
    """
    if "split" not in tables.read_schema(path, argument).names:
        return None
    column = _splits(tables.read_columns(path, argument, ["split"])["split"])
    return sorted(require("pyarrow.compute", "io", "reading qrels").unique(column).to_pylist())


def _splits(column: tables.Column) -> pa.LargeStringArray:
    try:
        return column.strings()
    except NegmineTypeError as error:
        raise NegmineValueError(str(error)) from None


def _present(names: tuple[str, ...], known: list[str], path: Path, argument: str) -> str:
    for name in names:
        if name in known:
            return name
    raise NegmineValueError(
        f"`{argument}` must have a column called one of {', '.join(map(repr, names))}; {path} has "
        f"{', '.join(map(repr, known))}."
    )
