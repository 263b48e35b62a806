"""One line of the table of claims: the verdict that the paired differences of seeds allow.

Of the 95 % interval of the paired difference (Student's t):

- "reproduced" and "reversed": the interval lies above, or below, zero;
- "no difference": it holds zero, is narrower than the margin that the script fixed, and the baseline was tuned over the
  same grid as the method;
- "underpowered": anything else; the question stays open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One line of the table; means over seeds."""

    claim: str
    paper: str
    data: str
    metric: str
    seeds: int
    baseline: float
    method: float
    low: float
    high: float
    margin: float
    verdict: str
    #: Mean score of the method's negatives under the start model, and the share of them that are hidden answers; None
    #: where the method chooses no negatives.
    hardness: float | None
    false_negatives: float | None
    #: Time of the processor for both arms with the choice of their rates; an arm that lines share counts in each.
    seconds: float | None


def judge(
    claim: str,
    data: str,
    metric: str,
    baseline: Sequence[float],
    method: Sequence[float],
    *,
    paper: str,
    margin: float,
    tuned: bool,
    hardness: float | None = None,
    false_negatives: float | None = None,
    seconds: float | None = None,
) -> Verdict:
    """Compare a method with its baseline, seed by seed; higher is better."""
    difference = np.asarray(method, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    n = len(difference)
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    low, high = difference.mean() - half, difference.mean() + half
    if low > 0:
        verdict = "reproduced"
    elif high < 0:
        verdict = "reversed"
    elif high - low < margin and tuned:
        verdict = "no difference"
    else:
        verdict = "underpowered"
    return Verdict(
        claim=claim,
        paper=paper,
        data=data,
        metric=metric,
        seeds=n,
        baseline=float(np.mean(baseline)),
        method=float(np.mean(method)),
        low=float(low),
        high=float(high),
        margin=margin,
        verdict=verdict,
        hardness=hardness,
        false_negatives=false_negatives,
        seconds=seconds,
    )
