"""Result rows as plain text, for a look at what was mined."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids
from negmine._core.options import check_integer, check_seed
from negmine._core.reprs import printable
from negmine.errors import NegmineTypeError
from negmine.mining.records import Records, RecordSource
from negmine.mining.report import Reason, Source
from negmine.mining.result_rows import read_rows
from negmine.mining.sides import Side
from negmine.search.verification import sample_queries

__all__ = ["rows_as_text", "rows_to_show"]

#: Fewest characters of a line.
LEAST_WIDTH = 40


def rows_to_show(rows: object, n: int, seed: int) -> npt.NDArray[np.int64]:
    """Read which result rows are shown.

    Parameters
    ----------
    rows : int, slice, bool (n,) or int64 (any,)
        A number of rows to draw, or rows.
    n : int
        Number of result rows.
    seed : int
        Seed of the draw.

    Returns
    -------
    int64 (any,)
        Row numbers; drawn ones in ascending order.
    """
    check_seed(seed)
    if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
        number = check_integer(rows, "rows", least=1)
        return np.arange(n) if number >= n else sample_queries(n, number, seed)
    if isinstance(rows, bool):
        raise NegmineTypeError(f"`rows` must be a number of rows, or a list of rows; got {rows}.")
    return read_rows(rows, n)


def rows_as_text(source: RecordSource, rows: npt.NDArray[np.int64], queries: Side, documents: Side, width: int) -> str:
    """Return result rows as text.

    Parameters
    ----------
    source : RecordSource
        Negatives with their positives and labels.
    rows : int64 (n,)
        Result rows.
    queries, documents : Side
        Texts.
    width : int
        Characters per line; longer texts are cut.

    Returns
    -------
    str
        Without control characters other than line feeds.
    """
    check_integer(width, "width", least=LEAST_WIDTH)
    blocks = []
    for row in rows.tolist():
        lines = map(printable, _lines(source, row, queries, documents))
        blocks.append("\n".join(_cut(line, width) for line in lines))
    return "\n\n".join(blocks)


def _lines(source: RecordSource, row: int, queries: Side, documents: Side) -> Iterator[str]:
    negatives = source.negatives
    records = source.records(row, row + 1)
    yield f"row {row}, query {_named(queries, records.query_indices, records.query_ids)[0]}"
    known = records.positives.indices >= 0  # a positive outside the corpus has no label and no text
    names = iter(_named(documents, records.positives.indices[known], records.positives.ids[known]))
    for inside, score in zip(known.tolist(), records.positives.scores.tolist(), strict=True):
        yield f"  positive  {_score(score)}  {next(names) if inside else '(outside the corpus)'}"
    found = _named(documents, records.negatives.indices, records.negatives.ids)
    for column, (name, score) in enumerate(zip(found, records.negatives.scores.tolist(), strict=True)):
        kind = "random  " if records.sources[column] == Source.RANDOM else "negative"
        flag = "above reference, " if negatives.above_reference[row, column] else ""
        yield f"  {kind}  {_score(score)}  {flag}{name}"
    yield f"  {_reference(records, source.each)}{_shortage(records, negatives.indices.shape[1])}"


def _named(side: Side, rows: npt.NDArray[np.int64], ids: Ids) -> list[str]:
    """Return the labels and the texts of rows."""
    labels = [" ".join(str(label).split()) for label in ids.tolist()]
    if side.texts is None or not len(rows):
        return labels
    texts = side.values(rows, ids).to_pylist()
    return [f"{label}: {' '.join(text.split())}" for label, text in zip(labels, texts, strict=True)]


def _score(score: float) -> str:
    return f"{'unknown' if np.isnan(score) else format(score, '.4f'):>8}"


def _reference(records: Records, each: bool) -> str:
    """Say which score margins refer to."""
    reference, scores = records.reference_scores[0], records.positives.scores
    if np.isnan(reference):
        return "no reference score"
    if each or len(scores) == 1:
        which = "of its positive"
    elif reference == scores.min():
        which = f"lowest of {len(scores)} positives"
    elif reference == scores.max():
        which = f"highest of {len(scores)} positives"
    else:
        which = f"mean of {len(scores)} positives"
    return f"reference {_score(reference)}  {which}"


def _shortage(records: Records, width: int) -> str:
    count, reason = int(records.negatives.counts[0]), Reason(records.reasons[0])
    return "" if count == width else f"; {count} of {width} negatives: {reason.name.lower().replace('_', ' ')}"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."
