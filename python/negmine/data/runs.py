"""Runs: ranked lists of a retrieval system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Ids
from negmine._core.options import check_integer
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.data.qrels import like

if TYPE_CHECKING:
    pass

__all__ = ["Run"]


@short_repr
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
            check_integer(depth, "depth", least=0)
            _, group = np.unique(queries, return_inverse=True)
            order = np.lexsort((-self.scores, group))
            starts = np.searchsorted(group[order], group[order], side="left")
            order = order[np.arange(len(order)) - starts < depth]
            queries, documents = queries[order], documents[order]
        return Positives.from_pairs(queries, documents, query_ids=query_ids, document_ids=document_ids)
