"""Runs: ranked lists of a retrieval system."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from negmine._core.labels import Ids, as_labels, codes_of
from negmine._core.options import check_integer
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.data.qrels import Unknown, match
from negmine.data.translation import read_known

__all__ = ["Run"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Ranked lists that a retrieval system returned.

    Attributes
    ----------
    query_ids, document_ids : int64 (n,) or Strings
        Labels, in the order of the file.
    ranks : int64 (n,)
        Ranks, as in the file.
    scores : float64 (n,)
        Scores of the system, as in the file.
    tag : str
        Name of the system in the first line.
    """

    query_ids: Ids
    document_ids: Ids
    ranks: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    tag: str

    def __post_init__(self) -> None:
        for name in ("query_ids", "document_ids"):
            object.__setattr__(self, name, as_labels(getattr(self, name), name))

    def __len__(self) -> int:
        return len(self.ranks)

    def lists(
        self,
        *,
        query_ids: npt.ArrayLike,
        document_ids: npt.ArrayLike,
        depth: int | None = None,
        unknown: Unknown = "error",
    ) -> Positives:
        """Return the document rows per query, for ``exclude=``.

        Parameters
        ----------
        query_ids : int64 or str (n_queries,)
            Labels of all queries, in row order.
        document_ids : int64 or str (n_documents,)
            Labels of all documents, in row order.
        depth : int, optional
            Number of documents to take per query, by (score descending, place in the file), as trec_eval orders them.
            Default: all.
        unknown : {"error", "drop"}, default "error"
            Handling of labels that are not among the rows.

        Returns
        -------
        Positives
        """
        known_queries, known_documents = read_known(query_ids, "query_ids"), read_known(document_ids, "document_ids")
        queries, documents, keep = match(self.query_ids, self.document_ids, known_queries, known_documents, unknown)
        chosen = np.arange(len(self))
        if depth is not None:
            check_integer(depth, "depth", least=0)
            _, group = codes_of(queries)
            order = np.lexsort((-self.scores, group))
            starts = np.searchsorted(group[order], group[order], side="left")
            chosen = order[np.arange(len(order)) - starts < depth]
        kept = chosen[keep[chosen]]
        found = Positives.from_pairs(
            queries[kept], documents[kept], query_ids=known_queries, document_ids=known_documents
        )
        return replace(found, unknown_judgments=len(chosen) - len(kept))
