"""Mined negatives held against judgments: which of them are relevant after all, and how hard they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Ids, find_labels
from negmine._core.options import check_integer
from negmine.data.qrels import Qrels, like
from negmine.errors import NegmineValueError
from negmine.io.negatives import MinedRows, as_mined, read_negatives
from negmine.io.records import Lists, Records
from negmine.mining.negatives import HardNegatives

__all__ = ["NegativesEvaluation", "evaluate_negatives"]


@dataclass(frozen=True, slots=True)
class NegativesEvaluation:
    """How many negatives are relevant documents, and how hard the negatives are. Neither says much without the other.

    Attributes
    ----------
    n_rows, n_judged_rows : int
        Result rows, and those of them whose query has a relevant document in the judgments.
    n_negatives, n_judged_negatives : int
        Negatives of all rows, and of the judged ones: shares and hardness are over the latter, since nothing is known
        of the others.
    n_known : int
        Negatives that are positives of their own row, as they were mined with: a fault, whoever mined.
    n_false_negatives : int
        Other negatives that the judgments call relevant: false negatives.
    n_rows_hit : int
        Rows with at least one of either.
    hardness : float or None
        Mean score of the negatives of judged rows; None without any.
    false_negative_hardness : float or None
        Mean score of those that are known or hidden positives.
    gap : float or None
        Mean of reference minus score, over judged rows that have a reference.
    """

    n_rows: int
    n_judged_rows: int
    n_negatives: int
    n_judged_negatives: int
    n_known: int
    n_false_negatives: int
    n_rows_hit: int
    hardness: float | None
    false_negative_hardness: float | None
    gap: float | None

    @property
    def false_negative_rate(self) -> float:
        """Share of the judged rows' negatives that are hidden positives; 0 without negatives."""
        return self.n_false_negatives / max(self.n_judged_negatives, 1)

    @property
    def known_share(self) -> float:
        """Share of the judged rows' negatives that are known positives; 0 without negatives."""
        return self.n_known / max(self.n_judged_negatives, 1)


def evaluate_negatives(
    negatives: HardNegatives | MinedRows | str | Path, qrels: Qrels, *, min_grade: int = 1
) -> NegativesEvaluation:
    """Hold mined negatives against judgments that know more positives than were mined with.

    Parameters
    ----------
    negatives
        What a miner returned, or what :func:`read_negatives` reads or the path of it. Its labels of queries and
        documents must be those of the judgments.
    qrels
    min_grade
        Lowest grade of a relevant document.

    Returns
    -------
    NegativesEvaluation

    Raises
    ------
    NegmineValueError
        No query of the negatives has a relevant document in the judgments: the labels are others.
    """
    check_integer(min_grade, "min_grade", least=-(2**31))
    mined = read_negatives(negatives) if isinstance(negatives, str | Path) else as_mined(negatives)
    relevant = qrels.grades >= min_grade
    judged: _Pairs | None = None
    counts = dict.fromkeys(("judged_rows", "negatives", "judged", "known", "hidden", "rows_hit", "with_reference"), 0)
    sums = dict.fromkeys(("scores", "hit_scores", "gaps"), 0.0)
    for records in mined.batches():
        if judged is None:
            judged = _Pairs(
                like(qrels.query_ids[relevant], records.query_ids, "query_ids"),
                like(qrels.document_ids[relevant], records.negatives.ids, "document_ids"),
            )
        row = np.repeat(np.arange(len(records)), records.negatives.counts)
        is_judged = judged.has_query(records.query_ids)
        counted = is_judged[row]
        known = counted & _in_lists(records, records.positives)
        hit = known | judged.hold(records.query_ids[row], records.negatives.ids)
        scores = records.negatives.scores.astype(np.float64)
        gaps = (records.reference_scores[row] - scores)[counted]
        counts["judged_rows"] += int(is_judged.sum())
        counts["negatives"] += len(row)
        counts["judged"] += int(counted.sum())
        counts["known"] += int(known.sum())
        counts["hidden"] += int((hit & ~known).sum())
        counts["rows_hit"] += len(np.unique(row[hit]))
        counts["with_reference"] += int((~np.isnan(gaps)).sum())
        sums["scores"] += float(scores[counted].sum())
        sums["hit_scores"] += float(scores[hit].sum())
        sums["gaps"] += float(np.nansum(gaps))
    if len(mined) and not counts["judged_rows"]:
        example = next(_first_label(mined), "none")
        raise NegmineValueError(
            f"`qrels` must judge queries that were mined; no query has a relevant document there, such as {example!r}."
        )
    return NegativesEvaluation(
        n_rows=len(mined),
        n_judged_rows=counts["judged_rows"],
        n_negatives=counts["negatives"],
        n_judged_negatives=counts["judged"],
        n_known=counts["known"],
        n_false_negatives=counts["hidden"],
        n_rows_hit=counts["rows_hit"],
        hardness=_mean(sums["scores"], counts["judged"]),
        false_negative_hardness=_mean(sums["hit_scores"], counts["known"] + counts["hidden"]),
        gap=_mean(sums["gaps"], counts["with_reference"]),
    )


class _Pairs:
    """Pairs of labels, as numbers that can be looked up."""

    def __init__(self, queries: Ids, documents: Ids) -> None:
        self.queries, query = _codes(queries)
        self.documents, document = _codes(documents)
        self.pairs = np.unique(query * max(len(self.documents), 1) + document)

    def has_query(self, queries: Ids) -> npt.NDArray[np.bool_]:
        return find_labels(queries, self.queries) >= 0

    def hold(self, queries: Ids, documents: Ids) -> npt.NDArray[np.bool_]:
        query, document = find_labels(queries, self.queries), find_labels(documents, self.documents)
        pair = query * max(len(self.documents), 1) + document
        return (query >= 0) & (document >= 0) & np.isin(pair, self.pairs)


def _codes(labels: Ids) -> tuple[Ids, npt.NDArray[np.int64]]:
    """Different labels in order, and the place of each label among them."""
    different: Any  # NumPy's types forget the kind of labels
    different, codes = np.unique(labels, return_inverse=True)
    return different, codes.astype(np.int64)


def _in_lists(records: Records, lists: Lists) -> npt.NDArray[np.bool_]:
    """Which negatives are in the lists of their own rows."""
    span = int(max(records.negatives.indices.max(initial=0), lists.indices.max(initial=0))) + 1
    own = np.repeat(np.arange(len(records)), records.negatives.counts) * span + records.negatives.indices
    inside = lists.indices >= 0
    listed = np.repeat(np.arange(len(records)), lists.counts)[inside] * span + lists.indices[inside]
    return np.isin(own, listed)


def _mean(total: float, n: int) -> float | None:
    return total / n if n else None


def _first_label(mined: MinedRows) -> Iterator[object]:
    for records in mined.batches():
        yield from records.query_ids[:1].tolist()
