"""Shares of false negatives in judged samples, with Wilson intervals for few judgments (Wilson, 1927)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine._core.reprs import short_repr

__all__ = ["FalseNegativeShare", "weighted_share", "wilson_interval"]

#: Normal quantile of an interval of 95%.
_Z = 1.959963984540054


@short_repr
@dataclass(frozen=True, slots=True)
class FalseNegativeShare:
    """Estimated share of false negatives among the pairs of an exported pool.

    Attributes
    ----------
    share : float
        The share of pairs whose verdict is "positive" or "drop", each weighted by one over its probability.
    low, high : float
        Wilson interval of 95%, at the effective number of judgments.
    effective : float
        Effective number of judgments, ``(sum 1/p)**2 / sum 1/p**2``.
    n_judged : int
        Number of judged pairs with a probability.
    """

    share: float
    low: float
    high: float
    effective: float
    n_judged: int


def weighted_share(relevant: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]) -> FalseNegativeShare:
    """Estimate a share from judged pairs.

    Parameters
    ----------
    relevant : bool (n,)
        Whether a pair is a false negative; at least one pair.
    weights : float64 (n,)
        One over the probability that the pair was judged.

    Returns
    -------
    FalseNegativeShare
    """
    total = math.fsum(weights.tolist())
    share = math.fsum(weights[relevant].tolist()) / total
    effective = total * total / math.fsum((weights * weights).tolist())
    return FalseNegativeShare(share, *wilson_interval(share, effective), effective, len(weights))


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return the Wilson interval of 95% of a share.

    Parameters
    ----------
    share : float
        The share in the sample, in [0, 1].
    n : float
        Number of judgments, above 0; effective numbers need not be whole.

    Returns
    -------
    low : float
        Lower end, at least 0.
    high : float
        Upper end, at most 1.
    """
    center = (share + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * math.sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)
