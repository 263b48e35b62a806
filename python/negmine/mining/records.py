"""Result rows without padding: what files and training rows are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import CsrLike
from negmine._core.labels import Ids, PartialLabels, as_ids, as_labels, take_ids
from negmine._core.options import check_integer
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError
from negmine.mining.report import Source

if TYPE_CHECKING:
    from negmine.mining.negatives import HardNegatives

__all__ = ["Lists", "RecordSource", "Records"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Lists of documents.

    Attributes
    ----------
    offsets : int64 (n + 1,)
        The documents of result row ``i`` are those of ``offsets[i]`` to ``offsets[i + 1]``.
    indices : int64 (m,)
        Rows of the documents.
    ids : int64 (m,) or Strings
        Labels of the documents.
    scores : float64 or float32 (m,)
        Scores of the documents.
    """

    offsets: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    ids: Ids
    scores: npt.NDArray[np.float64] | npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_labels(self.ids, "ids"))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of documents per result row: int64 (n,)."""
        return np.diff(self.offsets)


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Some result rows, without padding.

    Attributes
    ----------
    query_indices : int64 (n,)
        Rows of the queries.
    query_ids : int64 (n,) or Strings
        Labels of the queries; the rows if there are none.
    reference_scores : float64 (n,)
        Scores that margins refer to; NaN without positives.
    reasons : uint8 (n,)
        Why a row is short: [`Reason`][].
    positives : Lists
        Positives of the query (under ``reference="each"``, that of the row), with scores in float64. Row -1 is outside
        the corpus.
    negatives : Lists
        Mined negatives, best first, then random ones, with scores in float32.
    sources : uint8 (m,)
        Origin of each negative: [`Source`][].
    rejected : Lists or None
        Rejected documents, best first, with scores in float64; None if the pool kept none.
    rejections : uint8 (r,) or None
        Rule that rejected each of them: [`Rejection`][].
    """

    query_indices: npt.NDArray[np.int64]
    query_ids: Ids
    reference_scores: npt.NDArray[np.float64]
    reasons: npt.NDArray[np.uint8]
    positives: Lists
    negatives: Lists
    sources: npt.NDArray[np.uint8]
    rejected: Lists | None = None
    rejections: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "query_ids", as_labels(self.query_ids, "query_ids"))

    def __len__(self) -> int:
        return len(self.query_indices)


@dataclass(frozen=True, slots=True, eq=False)
class RecordSource:
    """Negatives together with their positives and labels.

    Attributes
    ----------
    negatives : HardNegatives
        The negatives.
    each : bool
        Whether result rows are (query, positive) pairs.
    positives : CsrLike
        Positives of the mining call.
    first_query : int
        Row of the query that the first list of positives belongs to.
    query_ids : int64 (n,), Strings, PartialLabels or None
        Labels of the queries.
    document_ids : int64 (n_documents,), Strings or None
        Labels of the documents.
    """

    negatives: HardNegatives
    each: bool
    positives: CsrLike
    first_query: int
    query_ids: Ids | PartialLabels | None
    document_ids: Ids | None

    @classmethod
    def of(
        cls,
        negatives: HardNegatives,
        positives: CsrLike | None,
        query_ids: npt.ArrayLike | None,
        query_offset: int,
        document_ids: npt.ArrayLike | None,
    ) -> RecordSource:
        """Join negatives with their positives and labels.

        Parameters
        ----------
        negatives : HardNegatives
            Result of a miner.
        positives : Positives or None
            Positives of the mining call; None for those of the pool.
        query_ids : int64 or str (n_queries,) or None
            Labels of all queries; None for those of the negatives, or the rows.
        query_offset : int
            Row of the query that the first label belongs to, and the first positives of negatives without a pool.
        document_ids : int64 or str (n_documents,) or None
            Labels of all documents; None for those of the pool.

        Returns
        -------
        RecordSource

        Raises
        ------
        NegmineValueError
            The negatives have no pool and what it knew is missing, or an argument does not fit the negatives.
        """
        pool = negatives.pool
        if positives is None:
            if pool is None:
                raise NegmineValueError(
                    "`positives` must be given for negatives without their pool; got None. Give those they were "
                    "mined with."
                )
            positives = pool.rules.positives
        entries = len(positives.items)
        if entries != len(negatives.positive_scores):
            raise NegmineValueError(
                f"`positives` must be those that were mined with, {len(negatives.positive_scores)}; got {entries}."
            )
        ids: Ids | None
        if document_ids is not None:
            ids = as_ids(document_ids, "document_ids", negatives.report.n_documents)
        elif pool is not None:
            ids = pool.document_ids  # loaded negatives have the labels of their own documents alone
        elif isinstance(negatives.document_ids, PartialLabels):
            raise NegmineValueError("`document_ids` must be given for negatives without their pool; got None.")
        else:
            ids = negatives.document_ids
        labels: PartialLabels | None = negatives.query_ids
        offset = check_integer(query_offset, "query_offset", least=0)
        if query_ids is not None:
            given = as_labels(query_ids, "query_ids")
            labels = PartialLabels(offset + np.arange(len(given), dtype=np.int64), given)
        queries = negatives.query_indices
        if labels is not None and not np.isin(queries, labels.rows).all():
            begin, end = int(queries.min()), int(queries.max())
            raise NegmineValueError(
                f"`query_ids` must label all queries, up to row {end - offset}; got {len(labels.rows)} labels from "
                f"`query_offset`, {offset}, on, for the queries {begin} to {end}."
            )
        first = offset if pool is None else pool.query_offset
        n_lists = len(positives.offsets) - 1
        # Under "each", the rows name their positives.
        # Under "each", result rows are (query, positive) pairs.
        each = bool((negatives.positive_indices >= 0).any()) if pool is None else pool.each
        if len(queries) and not each and not (first <= queries.min() and queries.max() < first + n_lists):
            raise NegmineValueError(
                f"`positives` must have a list for every query, {queries.min()} to {queries.max()}; got {n_lists} from "
                f"`query_offset`, {first}, on."
            )
        return cls(negatives, each, positives, first, labels, ids)

    def unlabeled(self) -> list[str]:
        """Name the sides whose ids are row numbers.

        Returns
        -------
        list of str
            "queries", "documents" or both.
        """
        return [side for side, ids in (("queries", self.query_ids), ("documents", self.document_ids)) if ids is None]

    def records(self, begin: int, end: int) -> Records:
        """Return some result rows.

        Parameters
        ----------
        begin, end : int
            The rows in [begin, end).

        Returns
        -------
        Records
        """
        negatives = self.negatives
        real = negatives.source[begin:end] != Source.PADDING
        offsets = np.concatenate([[0], np.cumsum(negatives.counts[begin:end])]).astype(np.int64)
        queries, rows = negatives.query_indices[begin:end], negatives.indices[begin:end][real]
        return Records(
            query_indices=queries,
            query_ids=take_ids(self.query_ids, queries),
            reference_scores=negatives.reference_scores[begin:end],
            reasons=negatives.reasons[begin:end],
            positives=self._positives(begin, end),
            negatives=Lists(
                offsets,
                rows,
                take_ids(self.document_ids, rows),
                negatives.scores[begin:end][real],
            ),
            sources=negatives.source[begin:end][real],
            **self._rejected(begin, end),
        )

    def _rejected(self, begin: int, end: int) -> dict[str, Any]:
        pool = self.negatives.pool
        if pool is None or pool.rejected is None:
            return {}
        found = pool.rejected.take(np.arange(begin, end))
        real = found.indices >= 0
        offsets = np.concatenate([[0], np.cumsum(found.counts)]).astype(np.int64)
        rows = found.indices[real]
        return {
            "rejected": Lists(offsets, rows, take_ids(self.document_ids, rows), found.scores[real]),
            "rejections": found.rules[real],
        }

    def _positives(self, begin: int, end: int) -> Lists:
        if self.each:
            scores = self.negatives.reference_scores[begin:end]
            present = ~np.isnan(scores)
            offsets = np.concatenate([[0], np.cumsum(present)]).astype(np.int64)
            rows, scores = self.negatives.positive_indices[begin:end][present], scores[present]
        else:
            lists = self.negatives.query_indices[begin:end] - self.first_query
            starts, lengths = self.positives.offsets[lists], np.diff(self.positives.offsets)[lists]
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            entries = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
            rows, scores = self.positives.items[entries], self.negatives.positive_scores[entries]
        return Lists(offsets, rows, take_ids(self.document_ids, rows), scores)
