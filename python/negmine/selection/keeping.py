"""Filters of scores by bounds and by a share of the best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_float64s
from negmine._core.options import check_real, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError

__all__ = ["Kept", "keep"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Items that [`keep`][] kept.

    Attributes
    ----------
    mask : bool (n,)
        True for items that are kept.
    threshold : float
        Lowest score that is kept; NaN if none is. Items of this score may be left out, because ties go by row.
    """

    mask: npt.NDArray[np.bool_]
    threshold: float


@refuse_unknown_options("keep")
def keep(
    scores: npt.ArrayLike, *, low: float | None = None, high: float | None = None, share: float | None = None
) -> Kept:
    """Keep the items whose scores are within bounds, and of these a share of the best.

    Parameters
    ----------
    scores : float64 (n,)
        Score of every item; infinities are allowed.
    low : float, optional
        Lowest score that is kept.
    high : float, optional
        Highest score that is kept.
    share : float, optional
        Share, in (0, 1], of the items within bounds: of n items the ``max(1, floor(share * n))`` with the highest
        scores are kept, ties by row, so their number is exact.

    Returns
    -------
    Kept
        The mask of the kept items, and the lowest score among them.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A score is NaN, ``low`` exceeds ``high``, or ``share`` is out of range.

    Examples
    --------
    >>> from negmine.selection import keep
    >>> kept = keep([3.0, 2.0, 2.0, 1.0], share=0.5)
    >>> kept.mask.tolist(), kept.threshold
    ([True, True, False, False], 2.0)
    """
    values = as_float64s(scores, "scores")
    missing = np.isnan(values)
    if missing.any():
        raise NegmineValueError(f"`scores` must not be NaN; got NaN at row {int(missing.argmax())}.")
    lowest = -math.inf if low is None else check_real(low, "low")
    highest = math.inf if high is None else check_real(high, "high")
    if lowest > highest:
        raise NegmineValueError(f"`low` must be at most `high`; got low={lowest}, high={highest}.")
    mask = (values >= lowest) & (values <= highest)
    if share is not None:
        mask = _best(values, mask, share_of(check_share(share), np.array([mask.sum()]))[0])
    return Kept(mask, float(values[mask].min()) if mask.any() else math.nan)


def _best(values: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_], number: np.int64) -> npt.NDArray[np.bool_]:
    """Keep the highest values of those in the mask, ties by row."""
    within = values[mask]
    if number >= len(within):
        return mask
    lowest = np.partition(within, len(within) - number)[len(within) - number]
    best: npt.NDArray[np.bool_] = mask & (values > lowest)
    equal = np.flatnonzero(mask & (values == lowest))
    best[equal[: number - best.sum()]] = True
    return best


def check_share(value: object) -> float:
    """Validate a share of items."""
    share = check_real(value, "share", above=0.0)
    if share > 1.0:
        raise NegmineValueError(f"`share` must be at most 1.0; got {share}.")
    return share


def share_of(share: float, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of items that a share of each size is: at least 1."""
    # A share such as .29 of 100 is 28.999999999999996 in floating point.
    number: npt.NDArray[np.int64] = np.maximum(1, np.floor(share * sizes + 1e-9)).astype(np.int64)
    return number
