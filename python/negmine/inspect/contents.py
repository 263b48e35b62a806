"""What the page shows, as arrays and values that JSON can represent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, Strings, find_labels
from negmine.data.qrels import Qrels, like
from negmine.data.texts import Texts
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.inspect.candidates import CUT, GAP, caps_of, find_candidates
from negmine.inspect.rows import Labels, NegativesLike, Rows, number_labels, read_rows_of
from negmine.mining.rejected import Rejection
from negmine.mining.report import Reason, Source
from negmine.mining.sides import Side
from negmine.mining.with_texts import TextsLike, as_side

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_ROWS", "NOT_JUDGED", "Contents", "gather", "texts_of"]

Int64s = npt.NDArray[np.int64]

#: Largest number of result rows of a page.
MOST_ROWS = 100_000

#: Grade of a pair without a judgment.
NOT_JUDGED = -(2**31)

#: Names of the options of the miner that the page states.
_OPTIONS = (
    "num_negatives",
    "absolute_margin",
    "relative_margin",
    "max_score",
    "reference",
    "range_min",
    "range_max",
    "limit_per_document",
    "num_random",
)


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Data of a page.

    Attributes
    ----------
    rows : Rows
        The result rows.
    queries, documents : Labels
        The queries and the documents that occur.
    query_texts, document_texts : pyarrow.LargeStringArray
        Their texts, in the order of the labels.
    arrays : dict of str to array
        Arrays that the page reads, by name: "int32", "float32", "float64" or "uint8".
    values : dict of str to Any
        Values that JSON can represent.
    """

    rows: Rows
    queries: Labels
    documents: Labels
    query_texts: pa.LargeStringArray
    document_texts: pa.LargeStringArray
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def gather(
    negatives: NegativesLike,
    *,
    queries: TextsLike,
    documents: TextsLike,
    qrels: Qrels | None = None,
    against: NegativesLike | None = None,
) -> Contents:
    """Gather what a page shows.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Mined negatives.
    queries, documents : list of str, Texts or dict of label to str
        Texts.
    qrels : Qrels, optional
        Judgments.
    against : HardNegatives, MinedRows or path, optional
        Negatives of another run.

    Returns
    -------
    Contents
    """
    rows = read_rows_of(negatives, "negatives", MOST_ROWS)
    other = None if against is None else read_rows_of(against, "against", MOST_ROWS)
    records, rejected = rows.records, rows.records.rejected
    lists = {"positive": records.positives, "negative": records.negatives}
    lists |= {} if rejected is None else {"rejected": rejected}
    parts = [(found.ids, found.indices) for found in lists.values()]
    if other is not None:
        parts.append((other.records.negatives.ids, other.records.negatives.indices))
    labels, numbers = number_labels(parts, "against")
    asked, (query,) = number_labels([(records.query_ids, records.query_indices)], "negatives")
    contents = Contents(
        rows,
        asked,
        labels,
        texts_of(queries, "queries", asked, rows.labeled("queries")),
        texts_of(documents, "documents", labels, rows.labeled("documents")),
    )
    arrays = contents.arrays
    arrays |= {
        "query": _int32(query),
        "reference": records.reference_scores,
        "cap": caps_of(rows).astype(np.float32),
        "reason": records.reasons,
        "negativeSource": records.sources,
    }
    for (name, found), documents_of in zip(lists.items(), numbers, strict=False):
        arrays |= {
            f"{name}Offsets": _int32(found.offsets),
            f"{name}Document": _int32(documents_of),
            f"{name}Score": found.scores.astype(np.float32),
        }
        if qrels is not None:
            row = np.repeat(np.arange(len(rows)), found.counts)
            arrays[f"{name}Grade"] = _grades(qrels, contents, query[row], documents_of)
    if records.rejections is not None:
        arrays["rejectedRule"] = records.rejections
    candidates = find_candidates(rows)
    arrays |= {
        "candidateOffsets": _int32(candidates.offsets),
        "candidateScore": candidates.scores.astype(np.float32),
        "candidateFlags": candidates.flags,
    }
    if other is not None:
        arrays |= _compared(rows, other, numbers[-1])
    contents.values.update(_values(contents, qrels, other))
    return contents


def texts_of(texts: TextsLike, argument: str, labels: Labels, labeled: bool) -> pa.LargeStringArray:
    """Return the texts of labels.

    Parameters
    ----------
    texts : list of str, Texts or dict of label to str
        Texts by row or by label.
    argument : str
        Name of the argument, for error messages.
    labels : Labels
        The labels, and their rows.
    labeled : bool
        Whether they are labels of the caller, and not row numbers.

    Returns
    -------
    pyarrow.LargeStringArray
        The titles, where there are any, and the texts.
    """
    if texts is None or isinstance(texts, str):
        raise NegmineTypeError(f"`{argument}` must be a list of strings, Texts or a dictionary; got {texts!r}.")
    side = as_side(texts, argument)
    if isinstance(texts, Texts) and labeled and isinstance(texts.ids, Strings) == isinstance(labels.ids, Strings):
        side = Side(texts, argument, by_label=True)
    # A list has no labels that could be those of the rows.
    ids = labels.ids if isinstance(texts, Texts | Mapping) else labels.indices
    return side.passages(labels.indices, ids).joined()


def _int32(values: Int64s) -> npt.NDArray[np.int32]:
    return values.astype(np.int32)


def _grades(qrels: object, contents: Contents, query: Int64s, document: Int64s) -> npt.NDArray[np.int32]:
    """Return the highest grade of every pair, or NOT_JUDGED."""
    if not isinstance(qrels, Qrels):
        raise NegmineTypeError(f"`qrels` must be Qrels; got {type(qrels).__name__}.")
    n = max(len(contents.documents), 1)
    queries = find_labels(like(qrels.query_ids, contents.queries.ids, "query_ids"), contents.queries.ids)
    documents = find_labels(like(qrels.document_ids, contents.documents.ids, "document_ids"), contents.documents.ids)
    if len(contents.rows) and not (queries >= 0).any():
        raise NegmineValueError("`qrels` must judge queries that were mined; no judgment mentions any of them.")
    inside = (queries >= 0) & (documents >= 0)
    keys, grades = queries[inside] * n + documents[inside], qrels.grades[inside]
    order = np.lexsort((grades, keys))
    keys, grades = keys[order], grades[order]
    pairs = query * n + document
    # The last of equal keys has the highest grade.
    place = np.searchsorted(keys, pairs, side="right") - 1
    found = (place >= 0) & (document >= 0)
    found[found] = keys[place[found]] == pairs[found]
    result = np.full(len(pairs), NOT_JUDGED, dtype=np.int32)
    result[found] = np.clip(grades[place[found]], NOT_JUDGED + 1, 2**31 - 1)
    return result


def _compared(rows: Rows, other: Rows, documents: Int64s) -> dict[str, npt.NDArray[Any]]:
    """Return the negatives that the other run has for the same query and, where queries repeat, positives."""
    places = {key: place for place, key in reversed(list(enumerate(_keys(other))))}
    place = np.array([places.get(key, -1) for key in _keys(rows)], dtype=np.int64)
    if len(rows) and len(other) and not (place >= 0).any():
        raise NegmineValueError("`against` must be of the same queries as `negatives`; got no query of them.")
    found = other.records.negatives
    counts = np.where(place >= 0, found.counts[place], 0) if len(other) else np.zeros(len(rows), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    starts = found.offsets[:-1][place] if len(other) else counts
    entries = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    return {
        "againstOffsets": _int32(offsets),
        "againstDocument": _int32(documents[entries]),
        "againstScore": found.scores[entries].astype(np.float32),
        "againstMissing": (place < 0).astype(np.uint8),
    }


def _keys(rows: Rows) -> list[tuple[object, ...]]:
    """Return a key per row that another run of the same data has too."""
    records = rows.records
    queries = records.query_ids.tolist()
    if len(set(queries)) == len(queries):
        return [(query,) for query in queries]
    ids, offsets = records.positives.ids.tolist(), records.positives.offsets.tolist()
    return [(query, *ids[offsets[row] : offsets[row + 1]]) for row, query in enumerate(queries)]


def _values(contents: Contents, qrels: Qrels | None, other: Rows | None) -> dict[str, Any]:
    rows = contents.rows
    mined: Mapping[str, Any] = rows.provenance
    return {
        "queryIds": _shown(contents.queries.ids),
        "documentIds": _shown(contents.documents.ids),
        "queryIdsAreNumbers": not isinstance(contents.queries.ids, Strings),
        "documentIdsAreNumbers": not isinstance(contents.documents.ids, Strings),
        "nDocuments": mined.get("n_documents"),
        "metric": mined.get("metric"),
        "epoch": mined.get("epoch"),
        "width": mined.get("width"),
        "numNegatives": rows.num_negatives,
        "options": {name: value for name in _OPTIONS if (value := rows.option(name)) is not None},
        "sampling": _policy(rows.option("sampling")),
        "hasPool": rows.pool is not None,
        "hasRejected": rows.records.rejected is not None,
        "hasGrades": qrels is not None,
        "hasAgainst": other is not None,
        "reasons": [reason.name.lower() for reason in Reason],
        "sources": [source.name.lower() for source in Source],
        "rules": [rule.name.lower() for rule in Rejection],
        "flags": {"cut": CUT, "gap": GAP},
        "notJudged": NOT_JUDGED,
    }


def _shown(ids: Ids) -> list[str]:
    """Return labels as strings: integers of 64 bits are no numbers of JavaScript."""
    return [str(label) for label in ids.tolist()]


def _policy(sampling: object) -> str | None:
    """Return the name of a policy, as files describe it."""
    if isinstance(sampling, Mapping):
        return str(sampling.get("name", next(iter(sampling.values()), "")))
    return None if sampling is None else str(sampling)
