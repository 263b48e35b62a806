"""Hard negatives: the arrays that training code reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._coerce import Ids
from negmine.errors import NegmineValueError
from negmine.policies import Sampling
from negmine.report import Report

if TYPE_CHECKING:
    from negmine.pool import CandidatePool

__all__ = ["HardNegatives"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """How negatives were chosen from their pool, the epoch aside."""

    n: int
    sampling: Sampling = "top"
    num_random: int = 0
    seed: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class HardNegatives:
    """Negatives per result row.

    Attributes
    ----------
    rows : int64 (n_rows, n + num_random)
        Document rows: mined ones best first, then random ones in the order drawn; padded with -1.
    ids : int64 or str (n_rows, n + num_random)
        Their labels, padded with -1 or ''; the rows where the index has no labels.
    scores : float32 (n_rows, n + num_random)
        Canonical scores rounded to float32, padded with -inf.
    counts : int32 (n_rows,)
        Negatives per row.
    reasons : uint8 (n_rows,)
        Why a row is short: :class:`Reason`.
    source : uint8 (n_rows, n + num_random)
        Where each comes from: :class:`Source`.
    reference_scores, positive_scores, query_rows, positive_rows, report
        As in :class:`CandidatePool`.
    epoch : int
        Epoch of the draws.
    """

    rows: npt.NDArray[np.int64]
    ids: Ids
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]
    reasons: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint8]
    reference_scores: npt.NDArray[np.float64]
    positive_scores: npt.NDArray[np.float64]
    query_rows: npt.NDArray[np.int64]
    positive_rows: npt.NDArray[np.int64]
    report: Report
    epoch: int
    chosen: Chosen
    pool: CandidatePool | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.counts)

    def redraw(self, epoch: int, *, num_threads: int | None = None) -> HardNegatives:
        """Choose again from the same pool in another epoch, without a scan."""
        if self.pool is None:
            raise NegmineValueError("`redraw` must have the pool; got negatives that were saved without `pool=True`.")
        return self.pool.redraw(self.chosen, epoch=epoch, num_threads=num_threads)
