"""Where the documents of a fused pool come from: their ranks and scores in every pool that was merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import check_field
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError

__all__ = ["PoolSources"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class PoolSources:
    """Rank and score of the documents of a fused pool in each of the pools that were merged.

    Attributes
    ----------
    ranks : int32 (n_pools, n_rows, width)
        Place of the document in the row of each pool, counted from 1; 0 where the pool does not hold it, and in
        padding.
    scores : float64 (n_pools, n_rows, width)
        Score of the document in each pool; NaN where the pool does not hold it, and in padding.
    """

    ranks: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        ranks = check_field(self.ranks, "source_ranks", np.int32, (None, None, None))
        scores = check_field(self.scores, "source_scores", np.float64, ranks.shape)
        if ranks.size and ranks.min() < 0:
            raise NegmineValueError(f"`source_ranks` must be at least 0; got {ranks.min()}.")
        object.__setattr__(self, "ranks", ranks)
        object.__setattr__(self, "scores", scores)

    def take(self, places: npt.NDArray[np.int64]) -> PoolSources:
        """Return the sources of a pool whose rows are reordered or cut.

        Parameters
        ----------
        places : int64 (n_rows, new_width)
            Column of each kept document; -1 for padding.

        Returns
        -------
        PoolSources
        """
        at, real = np.maximum(places, 0)[None], places >= 0
        shape = (len(self.ranks), *places.shape)
        if not self.ranks.shape[2]:
            return PoolSources(np.zeros(shape, dtype=np.int32), np.full(shape, np.nan))
        ranks, scores = (np.take_along_axis(array, at, axis=2) for array in (self.ranks, self.scores))
        return PoolSources(np.where(real, ranks, 0).astype(np.int32), np.where(real, scores, np.nan))
