"""Result of a refresh: which rows it mined, how many of their negatives changed, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine.mining.negatives import HardNegatives

__all__ = ["Refreshed"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Refreshed:
    """Negatives that a refresh published, and what changed.

    Attributes
    ----------
    negatives : HardNegatives
        The mined negatives with their pool, of the mined queries only.
    generation : int
        Generation of the table that holds them.
    result_rows : int64 (n,)
        Rows of the table that were mined; row i of ``negatives`` is row ``result_rows[i]`` of the table.
    replaced : int64 (n,)
        Number of negatives of every mined row that were replaced, as [`negmine.store.TableRows.changes_since`][]
        counts them.
    query_embeddings : array (n_queries, width)
        Embeddings of the mined queries, in order.
    turn : float64 (n_queries,) or None
        How far the embedding of every mined query turned: 1 - cosine to its previous embedding, 0 for the same
        direction. None without ``previous_embeddings``.
    encode_seconds, mine_seconds, publish_seconds : float
        Wall time of embedding, of indexing and mining, and of publishing.
    """

    negatives: HardNegatives
    generation: int
    result_rows: npt.NDArray[np.int64]
    replaced: npt.NDArray[np.int64]
    query_embeddings: npt.NDArray[Any]
    turn: npt.NDArray[np.float64] | None
    encode_seconds: float
    mine_seconds: float
    publish_seconds: float

    @property
    def replaced_fraction(self) -> float:
        """Fraction of the negatives of the mined rows that were replaced; 0 if they have none."""
        return float(self.replaced.sum() / max(int(self.negatives.counts.sum()), int(self.replaced.sum()), 1))

    def __repr__(self) -> str:
        turn = ""
        if self.turn is not None and len(self.turn):
            turn = "turn median {:.2g}, 95 % {:.2g}, max {:.2g}; ".format(*np.quantile(self.turn, [0.5, 0.95, 1.0]))
        return (
            f"Refreshed(generation {self.generation}: {100 * self.replaced_fraction:.1f} % of negatives replaced in "
            f"{np.count_nonzero(self.replaced)} of {len(self.replaced)} rows; {turn}encoded {self.encode_seconds:.2f} "
            f"s, mined {self.mine_seconds:.2f} s, published {self.publish_seconds:.2f} s)"
        )
