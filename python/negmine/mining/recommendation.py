"""Recommendation of a margin from the figures of a sweep: the rule, its answer, and the reason in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from negmine._core.reprs import short_repr

__all__ = [
    "Evidence",
    "FalseNegativeFigures",
    "MarginFigures",
    "RankWindow",
    "Recommendation",
    "margin_text",
    "recommend",
]

#: Where verdicts on negatives come from: arguments of `HardNegativeMiner.sweep`.
Evidence = Literal["hidden", "verdicts"]

#: Judged pairs must stand for at least this share of the negatives of a recommended margin, and at least this share of
#: the rows must be known at the depth of the sweep.
REPRESENTED = 0.9


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended margin or rank window, and the reason for it.

    ``dataclasses.replace(miner, relative_margin=found.margin, range_min=found.range_min)`` follows it unless
    ``range_min`` is None; likewise for ``absolute_margin``. If the miner has a ``range_max``, move that as well.

    Attributes
    ----------
    margin : float or None
        The margin; None if the data support no margin of the sweep.
    range_min : int or None
        The first rank: that of the miner if there is a margin, otherwise that of a rank window. None if the data
        support no window, either.
    reason : str
        Why it is recommended, and what it costs.
    """

    margin: float | None
    range_min: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class RankWindow:
    """Figures of a rank window that takes the place of a margin.

    Attributes
    ----------
    range_min : int
        First rank; the window is as wide as that of the miner.
    hardness : float
        Mean score of the negatives that the policy "top" would select.
    share, low, high : float
        Share of these that are false negatives, and its 95% interval.
    represented : float
        As for a margin in [`FalseNegativeFigures`][].
    """

    range_min: int
    hardness: float
    share: float
    low: float
    high: float
    represented: float


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class FalseNegativeFigures:
    """Figures of false negatives per margin.

    Hidden positives are known for every pair, so their share counts all negatives; it knows no other false negatives.
    Verdicts are a sample, whose pairs are weighted by one over the probability ``p`` that they were exported.

    Attributes
    ----------
    evidence : {"hidden", "verdicts"}
        Where the figures come from.
    share : float64 (m,)
        Share of the negatives that are false negatives.
    bounds : float64 (m, 2)
        Wilson interval of 95% of this share, at the effective number of judgments, ``(sum 1/p)**2 / sum 1/p**2``.
    n_judged : int64 (m,)
        Number of negatives whose verdict is known.
    represented : float64 (m,)
        Highest share of the negatives that the exported pool plausibly holds: the sum of ``1/p`` plus two standard
        errors, divided by the number of negatives, at most 1. It is below 1 if the margin selects documents outside
        that pool.
    loss_share : float64 (m,)
        Share of the loss that falls on false negatives, where the weight of a negative is
        ``sigmoid((score - reference) / 0.05)``, as in a softmax of temperature 0.05.
    signal : float64 (m,)
        Sum of these weights over true negatives, per row.
    windows : tuple of RankWindow
        Rank windows without a margin, from that of the miner on.
    """

    evidence: Evidence
    share: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]
    n_judged: npt.NDArray[np.int64]
    represented: npt.NDArray[np.float64]
    loss_share: npt.NDArray[np.float64]
    signal: npt.NDArray[np.float64]
    windows: tuple[RankWindow, ...]


class MarginFigures(Protocol):
    """Figures per margin that a recommendation weighs; those of [`negmine.mining.Sweep`][]."""

    @property
    def margins(self) -> npt.NDArray[np.float64]:
        """The margins, in ascending order; -inf is no margin."""

    @property
    def hardness(self) -> npt.NDArray[np.float64]:
        """Mean score of the negatives."""

    @property
    def negatives_per_row(self) -> npt.NDArray[np.float64]:
        """Mean number of negatives per row."""

    @property
    def short_rows(self) -> npt.NDArray[np.float64]:
        """Share of rows with too few negatives."""

    @property
    def censored_rows(self) -> npt.NDArray[np.float64]:
        """Share of rows that the depth leaves unknown."""


def recommend(figures: MarginFigures, known: FalseNegativeFigures, limit: float) -> Recommendation:
    """Recommend the smallest margin, at least 0, whose false-negative share the data hold below a limit.

    Parameters
    ----------
    figures : MarginFigures
        The sweep.
    known : FalseNegativeFigures
        Its figures of false negatives.
    limit : float
        Highest share of false negatives.

    Returns
    -------
    Recommendation
        The margin, or the first rank window that keeps the limit.
    """
    supported = (known.represented >= REPRESENTED) & (figures.censored_rows <= 1.0 - REPRESENTED)
    found = np.flatnonzero((figures.margins >= 0.0) & supported & (known.bounds[:, 1] <= limit))
    return _margin(figures, int(found[0]), known, limit) if len(found) else _window(figures, known, limit)


def _margin(figures: MarginFigures, place: int, known: FalseNegativeFigures, limit: float) -> Recommendation:
    """Recommend a margin, with its price."""
    unknown = f", {figures.censored_rows[place]:.1%} unknown at this depth" if figures.censored_rows[place] else ""
    price = ""
    if place:
        kept = known.bounds[0, 1] <= limit and known.represented[0] >= REPRESENTED
        keeps = " and keeps the limit too" if kept else ""
        price = (
            f" ({figures.hardness[place] - figures.hardness[0]:+.3f} against {_with(figures.margins[0])}, which has "
            f"{known.share[0]:.1%} false negatives{keeps})"
        )
    reason = (
        f"the smallest margin whose false-negative share is at most {limit:.2%} by its upper bound: "
        f"{_share(known, place)}; false negatives are {known.loss_share[place]:.1%} of the loss; "
        f"hardness {figures.hardness[place]:.3f}{price}, {figures.negatives_per_row[place]:.2f} negatives per row, "
        f"{figures.short_rows[place]:.1%} of rows short{unknown}"
    )
    return Recommendation(float(figures.margins[place]), known.windows[0].range_min, reason)


def _window(figures: MarginFigures, known: FalseNegativeFigures, limit: float) -> Recommendation:
    """Say why no margin is recommended, and offer a rank window."""
    reason = (
        f"no margin up to {figures.margins[-1]:g} keeps the upper bound of the false-negative share at or below "
        f"{limit:.2%}; "
    )
    allowed = np.flatnonzero((figures.margins >= 0.0) & (known.n_judged > 0))
    if len(allowed) == 0:
        reason += "none of their negatives was judged"
    else:
        place = int(allowed[np.argmin(known.share[allowed])])
        reason += f"{_with(figures.margins[place])} has the lowest share, {_share(known, place)}"
        if known.represented[place] < REPRESENTED:
            reason += f", which stand for at most {known.represented[place]:.0%} of its negatives: judge a deeper pool"
        elif figures.censored_rows[place] > 1.0 - REPRESENTED:
            reason += f"; {figures.censored_rows[place]:.0%} of its rows are unknown: raise `depth`"
        elif known.share[place] <= limit and known.evidence == "verdicts":
            reason += ": judge more pairs"
    for window in known.windows:
        if window.high <= limit and window.represented >= REPRESENTED:
            reason += (
                f". Ranks from {window.range_min} on, without a margin, have {window.share:.1%}, 95% interval "
                f"{window.low:.1%} to {window.high:.1%}, at hardness {window.hardness:.3f}"
            )
            return Recommendation(None, window.range_min, reason)
    return Recommendation(None, None, reason + ". The same holds for every rank window of the sweep")


def margin_text(margin: float) -> str:
    """Return a margin as text.

    Parameters
    ----------
    margin : float
        The margin; -inf is no margin.

    Returns
    -------
    str
    """
    return "none" if margin == -math.inf else f"{margin:g}"


def _with(margin: float) -> str:
    """Return a margin as a noun."""
    return "no margin" if margin == -math.inf else f"margin {margin:g}"


def _share(known: FalseNegativeFigures, place: int) -> str:
    """Return the share of a margin, its interval and its evidence as text."""
    low, high = known.bounds[place]
    judged = "negatives against hidden positives" if known.evidence == "hidden" else "judged pairs"
    return f"{known.share[place]:.1%}, 95% interval {low:.1%} to {high:.1%}, from {known.n_judged[place]} {judged}"
