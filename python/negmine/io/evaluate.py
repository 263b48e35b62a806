"""Evaluate mined negatives against qrels: false-negative rate and hardness."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, codes_of, find_labels
from negmine._core.options import check_flag, check_integer
from negmine.data.qrels import Qrels, like
from negmine.errors import NegmineValueError
from negmine.io.negatives import MinedRows, as_mined, read_negatives
from negmine.mining.negatives import HardNegatives
from negmine.mining.records import Lists, Records

__all__ = ["NegativesEvaluation", "evaluate_negatives"]


@dataclass(frozen=True, slots=True)
class NegativesEvaluation:
    """False-negative rate and hardness of mined negatives. Read the two together: each alone says little.

    Attributes
    ----------
    n_rows, n_judged_rows, n_unjudged_rows : int
        Number of result rows; of rows whose query has a relevant document in the judgments; and of the other rows,
        about which nothing is known.
    n_negatives, n_judged_negatives : int
        Number of negatives of all rows, and of the judged rows, over which rates and hardness are computed.
    n_without_judgment : int
        Negatives of judged rows that have no judgment for their query: the false-negative rate is a lower bound.
    n_known : int
        Negatives that are positives of their own row, as they were mined with: a fault of the miner.
    n_false_negatives : int
        Other negatives that are relevant by the judgments.
    n_rows_hit : int
        Rows with at least one known positive or false negative.
    hardness : float or None
        Mean score of the negatives of judged rows that have a score; None without any.
    false_negative_hardness : float or None
        Mean score of the negatives that are known positives or false negatives; None without any.
    gap : float or None
        Mean of reference minus score, over judged rows that have a reference; None without any.
    """

    n_rows: int
    n_judged_rows: int
    n_unjudged_rows: int
    n_negatives: int
    n_judged_negatives: int
    n_without_judgment: int
    n_known: int
    n_false_negatives: int
    n_rows_hit: int
    hardness: float | None
    false_negative_hardness: float | None
    gap: float | None

    @property
    def false_negative_rate(self) -> float | None:
        """Share of the judged rows' negatives that are false negatives; None if there are no such negatives."""
        return _ratio(self.n_false_negatives, self.n_judged_negatives)

    @property
    def known_rate(self) -> float | None:
        """Share of the judged rows' negatives that are known positives; None if there are no such negatives."""
        return _ratio(self.n_known, self.n_judged_negatives)


def evaluate_negatives(
    negatives: HardNegatives | MinedRows | str | Path,
    qrels: Qrels,
    *,
    min_grade: int = 1,
    rows_are_labels: bool = False,
) -> NegativesEvaluation:
    """Evaluate mined negatives against judgments that have more positives than the mining used.

    Parameters
    ----------
    negatives : HardNegatives, MinedRows or path
        Result of a miner or of [`read_negatives`][], or the path of its file. Its labels of queries and documents
        must be those of the judgments. Negatives that were mined without ``query_ids`` or ``document_ids`` have no
        labels to compare, only row numbers, and are refused: a label that looks like a number is not a row number.
    qrels : Qrels
        The judgments.
    min_grade : int, default 1
        Lowest grade of a relevant document.
    rows_are_labels : bool, default False
        Whether row numbers are the labels of the judgments on the sides without labels.

    Returns
    -------
    NegativesEvaluation

    Raises
    ------
    NegmineValueError
        No query of the negatives has a relevant document in the judgments, or no judgment mentions any of their
        documents, so the labels belong to another data set. The queries or the documents have no labels and
        ``rows_are_labels`` is false, or both have labels and it is true.
    """
    check_integer(min_grade, "min_grade", least=-(2**31))
    mined = read_negatives(negatives) if isinstance(negatives, str | Path) else as_mined(negatives)
    _check_labels(mined.provenance.get("unlabeled", []), check_flag(rows_are_labels, "rows_are_labels"))
    judgments: _Judgments | None = None
    counts: Counter[str] = Counter()
    sums: defaultdict[str, float] = defaultdict(float)
    examples: dict[str, object] = {}
    for records in mined.batches():
        if judgments is None:
            judgments = _Judgments(qrels, records, min_grade)
        for name, labels in (("query", records.query_ids), ("document", records.negatives.ids)):
            if len(labels):
                examples.setdefault(name, labels[:1].tolist()[0])
        judgments.count(records, counts, sums)
    if len(mined) and not counts["judged_rows"]:
        raise NegmineValueError(
            "`qrels` must judge queries that were mined; no query has a relevant document there, such as "
            f"{examples.get('query', 'none')!r}."
        )
    if counts["documents"] and not counts["judged_documents"]:
        raise NegmineValueError(
            "`qrels` must judge documents that were mined; no judgment mentions any of them, such as "
            f"{examples.get('document', 'none')!r}."
        )
    return NegativesEvaluation(
        n_rows=len(mined),
        n_judged_rows=counts["judged_rows"],
        n_unjudged_rows=len(mined) - counts["judged_rows"],
        n_negatives=counts["negatives"],
        n_judged_negatives=counts["judged"],
        n_without_judgment=counts["without_judgment"],
        n_known=counts["known"],
        n_false_negatives=counts["false"],
        n_rows_hit=counts["rows_hit"],
        hardness=_ratio(sums["scores"], counts["scored"]),
        false_negative_hardness=_ratio(sums["hit_scores"], counts["hit_scored"]),
        gap=_ratio(sums["gaps"], counts["with_reference"]),
    )


def _check_labels(unlabeled: Sequence[str], rows_are_labels: bool) -> None:
    """Refuse row numbers that are not declared to be labels, and the declaration where there are labels."""
    if unlabeled and not rows_are_labels:
        arguments = {"queries": "query_ids", "documents": "document_ids"}
        names = " and ".join(f"`{arguments[side]}`" for side in unlabeled)
        raise NegmineValueError(
            f"`negatives` must have labels to be compared with those of `qrels`; got row numbers of "
            f"{' and '.join(unlabeled)}. Mine with {names}, or give `rows_are_labels` if row numbers are the labels "
            "of the judgments."
        )
    if rows_are_labels and not unlabeled:
        raise NegmineValueError("`rows_are_labels` must be False for negatives with labels; got True.")


class _Judgments:
    """Judgments for lookup by result rows, with labels of the same type as those of the rows."""

    def __init__(self, qrels: Qrels, records: Records, min_grade: int) -> None:
        queries = like(qrels.query_ids, records.query_ids, "query_ids")
        documents = like(qrels.document_ids, records.negatives.ids, "document_ids")
        relevant = qrels.grades >= min_grade
        self.relevant = _Pairs(queries[relevant], documents[relevant])
        self.any_grade = _Pairs(queries, documents)

    def count(self, records: Records, counts: Counter[str], sums: defaultdict[str, float]) -> None:
        """Add the counts and sums of some rows."""
        negatives = records.negatives
        row = np.repeat(np.arange(len(records)), negatives.counts)
        is_judged = self.relevant.has_query(records.query_ids)
        counted = is_judged[row]
        known = counted & _in_own_lists(records, records.positives)
        hit = known | self.relevant.hold(records.query_ids[row], negatives.ids)
        scores = negatives.scores.astype(np.float64)
        gaps = (records.reference_scores[row] - scores)[counted]
        counts["judged_rows"] += int(is_judged.sum())
        counts["negatives"] += len(row)
        counts["judged"] += int(counted.sum())
        counts["without_judgment"] += int((counted & ~self.any_grade.hold(records.query_ids[row], negatives.ids)).sum())
        counts["known"] += int(known.sum())
        counts["false"] += int((hit & ~known).sum())
        counts["rows_hit"] += len(np.unique(row[hit]))
        counts["with_reference"] += int((~np.isnan(gaps)).sum())
        for lists in (negatives, records.positives):
            counts["documents"] += len(lists.ids)
            counts["judged_documents"] += int(self.any_grade.has_document(lists.ids).sum())
        # Random negatives of a source without their scores have none.
        scored = ~np.isnan(scores)
        counts["scored"] += int((counted & scored).sum())
        counts["hit_scored"] += int((hit & scored).sum())
        sums["scores"] += float(np.nansum(scores[counted]))
        sums["hit_scores"] += float(np.nansum(scores[hit]))
        sums["gaps"] += float(np.nansum(gaps))


class _Pairs:
    """Pairs of labels, encoded as sorted numbers for lookup."""

    def __init__(self, queries: Ids, documents: Ids) -> None:
        self.queries, query = codes_of(queries)
        self.documents, document = codes_of(documents)
        self.pairs = np.unique(query * max(len(self.documents), 1) + document)

    def has_query(self, queries: Ids) -> npt.NDArray[np.bool_]:
        return find_labels(queries, self.queries) >= 0

    def has_document(self, documents: Ids) -> npt.NDArray[np.bool_]:
        return find_labels(documents, self.documents) >= 0

    def hold(self, queries: Ids, documents: Ids) -> npt.NDArray[np.bool_]:
        query, document = find_labels(queries, self.queries), find_labels(documents, self.documents)
        pair = query * max(len(self.documents), 1) + document
        return (query >= 0) & (document >= 0) & np.isin(pair, self.pairs)


def _in_own_lists(records: Records, lists: Lists) -> npt.NDArray[np.bool_]:
    """Find the negatives that are in the lists of their own rows."""
    span = int(max(records.negatives.indices.max(initial=0), lists.indices.max(initial=0))) + 1
    own = np.repeat(np.arange(len(records)), records.negatives.counts) * span + records.negatives.indices
    inside = lists.indices >= 0
    listed = np.repeat(np.arange(len(records)), lists.counts)[inside] * span + lists.indices[inside]
    return np.isin(own, listed)


def _ratio(total: float, n: int) -> float | None:
    return total / n if n else None
