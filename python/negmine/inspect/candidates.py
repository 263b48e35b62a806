"""Stored candidates of every row, from which the page recomputes the effect of a margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine.inspect.rows import Rows
from negmine.mining.rejected import Rejection
from negmine.mining.report import Reason, Source

__all__ = ["CUT", "GAP", "Candidates", "caps_of", "find_candidates"]

#: Flag of a row with more candidates than are stored, below the stored ones.
CUT = 1
#: Flag of a row of which candidates above the cap may be missing.
GAP = 2

#: Number of scores that a page stores, over all rows.
MOST_SCORES = 1 << 20

Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Scores of the candidates that a margin would decide on.

    Attributes
    ----------
    offsets : int64 (n_rows + 1,)
        The scores of row ``i`` are those of ``offsets[i]`` to ``offsets[i + 1]``.
    scores : float64 (m,)
        Scores per row, in descending order: documents that a margin rejected, if they are known, and the pool.
    flags : uint8 (n_rows,)
        Sum of CUT and GAP.
    """

    offsets: npt.NDArray[np.int64]
    scores: Float64s
    flags: npt.NDArray[np.uint8]


def caps_of(rows: Rows) -> Float64s:
    """Return the highest admitted score of every row.

    Parameters
    ----------
    rows : Rows
        The result rows.

    Returns
    -------
    float64 (n_rows,)
        +inf without caps, or if the options of the miner are not known; NaN if the reference is missing.
    """
    if rows.pool is not None:
        return rows.pool.cap_scores
    reference = rows.records.reference_scores
    caps = np.full(len(rows), np.inf if rows.option("max_score") is None else float(rows.option("max_score")))
    absolute, relative = rows.option("absolute_margin"), rows.option("relative_margin")
    if absolute is not None:
        caps = np.minimum(caps, reference - float(absolute))
    if relative is not None:
        caps = np.minimum(caps, reference - np.abs(reference) * float(relative))
    return caps


def find_candidates(rows: Rows) -> Candidates:
    """Collect the stored candidates: those of the pool, or the mined negatives of a file, which has no pool.

    Parameters
    ----------
    rows : Rows
        The result rows.

    Returns
    -------
    Candidates
    """
    records, n = rows.records, len(rows)
    if rows.pool is None:
        mined = records.sources == Source.MINED
        row = np.repeat(np.arange(n), records.negatives.counts)[mined]
        scores = records.negatives.scores[mined].astype(np.float64)
        # A full row may have more candidates than its negatives, which the file does not hold.
        cut = records.reasons == Reason.NONE
    else:
        row, column = np.nonzero(rows.pool.indices >= 0)
        scores = rows.pool.scores[row, column]
        cut = rows.pool.counts == rows.pool.indices.shape[1]
    gap = np.isfinite(caps_of(rows))
    if records.rejected is not None and records.rejections is not None:
        rejected_row = np.repeat(np.arange(n), records.rejected.counts)
        by_margin = records.rejections >= Rejection.ABOVE_ABSOLUTE_MARGIN
        row = np.concatenate([row, rejected_row[by_margin]])
        scores = np.concatenate([scores, records.rejected.scores[by_margin]])
        # A list that is shorter than the longest one holds all rejected documents of its row.
        gap &= records.rejected.counts == records.rejected.counts.max(initial=0)
    order = np.lexsort((-scores, row))
    row, scores = row[order], scores[order]
    counts = np.bincount(row, minlength=n)
    depth = _depth(counts, rows.num_negatives)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    flags = np.where(cut | (counts > depth), CUT, 0) + np.where(gap, GAP, 0)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, depth))]).astype(np.int64)
    return Candidates(offsets, scores[rank < depth], flags.astype(np.uint8))


def _depth(counts: npt.NDArray[np.int64], num_negatives: int) -> int:
    """Return how many scores per row are stored: all, or what keeps the page small."""
    if counts.sum() <= MOST_SCORES:
        return int(counts.max(initial=0))
    return max(MOST_SCORES // len(counts), 2 * num_negatives)
