"""Margin sweep: the effect of every margin, and which one the known false negatives support.

A margin is a trade-off: it removes false negatives, and hard negatives with them. Mining once per margin would show
the same effect, but each margin would cost one scan. The figures help to choose a margin; they select no negatives. If
the list of a row was too short to decide whether the row is short, the row is counted as censored, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.options import check_real
from negmine.errors import NegmineValueError
from negmine.mining.recommendation import FalseNegativeFigures, Recommendation, margin_text, recommend

if TYPE_CHECKING:
    import matplotlib.axes

__all__ = ["MarginKind", "Sweep"]

MarginKind = Literal["relative", "absolute"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep:
    """Figures per margin, over all result rows that have a reference score.

    Attributes
    ----------
    kind : {"relative", "absolute"}
        Kind of the margins.
    margins : float64 (m,)
        The margins, in ascending order; -inf is no margin (None).
    rejected : float64 (m,)
        Share of a row's ``depth`` best candidates that score above the cap, averaged over rows.
    hardness : float64 (m,)
        Mean score of the negatives that the policy "top" would select.
    hardness_quantiles : float64 (m, 3)
        The 10 %, 50 % and 90 % quantiles of these scores.
    negatives_per_row : float64 (m,)
        Mean number of these negatives per row, at most ``num_negatives``.
    short_rows : float64 (m,)
        Share of rows with fewer than ``num_negatives`` negatives; censored rows are not counted.
    censored_rows : float64 (m,)
        Share of rows whose list is full at ``depth``, but of which fewer than ``range_max`` candidates survive. A
        deeper scan might find enough negatives for these rows.
    false_negatives : FalseNegativeFigures or None
        Figures of false negatives; None without hidden positives and verdicts.

    Examples
    --------
    >>> import negmine
    >>> from negmine import demo
    >>> data = demo.load()
    >>> index = negmine.ExactIndex(data.document_embeddings)
    >>> miner = negmine.HardNegativeMiner(5)
    >>> sweep = miner.sweep(index, data.query_embeddings, data.labeled, [None, 0.0, 0.1, 0.2], hidden=data.positives)
    >>> sweep.false_negatives.share.round(3).tolist(), sweep.recommend().margin
    ([0.103, 0.039, 0.026, 0.02], 0.0)
    """

    kind: MarginKind
    margins: npt.NDArray[np.float64]
    rejected: npt.NDArray[np.float64]
    hardness: npt.NDArray[np.float64]
    hardness_quantiles: npt.NDArray[np.float64]
    negatives_per_row: npt.NDArray[np.float64]
    short_rows: npt.NDArray[np.float64]
    censored_rows: npt.NDArray[np.float64]
    false_negatives: FalseNegativeFigures | None = None

    def __repr__(self) -> str:
        first, last = margin_text(self.margins[0]), margin_text(self.margins[-1])
        return f"Sweep({len(self.margins)} {self.kind} margins, {first} to {last})"

    def __str__(self) -> str:
        head = ["hardness", "per row", "rejected", "short", "censored"]
        columns = [
            [f"{value:.3f}" for value in self.hardness],
            [f"{value:.2f}" for value in self.negatives_per_row],
            *([f"{value:.1%}" for value in share] for share in (self.rejected, self.short_rows, self.censored_rows)),
        ]
        known = self.false_negatives
        if known is not None:
            head += ["false negatives", "95% interval", "of the loss", "signal"]
            columns += [
                [f"{value:.1%}" for value in known.share],
                [f"{low:.1%} to {high:.1%}" for low, high in known.bounds],
                [f"{value:.1%}" for value in known.loss_share],
                [f"{value:.3f}" for value in known.signal],
            ]
        widths = [max(len(text) for text in (name, *column)) + 2 for name, column in zip(head, columns, strict=True)]
        lines = [f"{self.kind + ' margin':>16}" + "".join(f"{n:>{w}}" for n, w in zip(head, widths, strict=True))]
        for margin, *cells in zip(self.margins, *columns, strict=True):
            lines.append(
                f"{margin_text(margin):>16}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
            )
        return "\n".join(lines)

    def recommend(self, *, max_false_negatives: float = 0.05) -> Recommendation:
        """Recommend the smallest margin with few false negatives.

        That is the smallest margin of the sweep, at least 0, for which the upper end of the 95% interval of the
        false-negative share is at most ``max_false_negatives``. Where there is none, a rank window that keeps the limit
        is offered instead. The reason states what the margin costs in hardness.

        Parameters
        ----------
        max_false_negatives : float, default 0.05
            Highest share of false negatives among the negatives, above 0 and at most 1.

        Returns
        -------
        Recommendation
            The margin or the window, and why it is recommended.

        Raises
        ------
        NegmineValueError
            The sweep has neither hidden positives nor verdicts, no row has a reference score, no margin of the sweep is
            at least 0, or ``max_false_negatives`` is out of range.

        Notes
        -----
        Scores alone do not separate hard negatives from false ones, so a sweep without evidence recommends nothing.
        With ``verdicts``, only margins are recommended whose negatives the judged pairs represent. No margin is
        recommended that leaves more than a tenth of the rows unknown at the depth of the sweep. Hidden positives give a
        lower bound: false negatives that have no label are not counted.

        A margin with few false negatives is not always the best one for training. On two data sets that had no part in
        the making of this rule, the recommended margin trained as well as margin 0.05, within 0.01 nDCG@10, and no
        better (``docs/claims.md``). If no margin keeps the limit too, which the reason states, the verdict on a margin
        against none is open: compare both in training.
        """
        limit = check_real(max_false_negatives, "max_false_negatives", above=0.0)
        if limit > 1.0:
            raise NegmineValueError(f"`max_false_negatives` must be at most 1; got {limit}.")
        known = self.false_negatives
        if known is None:
            raise NegmineValueError(
                "`recommend` must have a sweep with `hidden` positives or `verdicts`; got one without. Hardness and "
                "yield do not show which negatives are false: hold out positives, or judge a sample "
                "(`Verdicts.export`). Print or plot the sweep to see the trade-off."
            )
        if np.isnan(self.rejected).all():
            raise NegmineValueError("`recommend` must have rows with a reference score; got a sweep without any.")
        if self.margins[-1] < 0.0:
            raise NegmineValueError(
                f"`recommend` must have a margin of at least 0; got margins up to {margin_text(self.margins[-1])}."
            )
        return recommend(self, known, limit)

    def plot(self) -> matplotlib.axes.Axes:
        """Plot false-negative share and yield against hardness. Needs the extra ``negmine[plot]``.

        Each point is a margin. Yield is the number of negatives per row. Without evidence, only yield is drawn.

        Returns
        -------
        matplotlib.axes.Axes
            The axes of the share; those of yield without evidence.
        """
        pyplot = require("matplotlib.pyplot", "plot", "`plot`")
        axes: matplotlib.axes.Axes = pyplot.subplots(layout="constrained")[1]
        of_yield, shown = axes, self.negatives_per_row
        if self.false_negatives is not None:
            shown = self.false_negatives.share
            ends = np.abs(self.false_negatives.bounds.T - shown)
            axes.errorbar(self.hardness, shown, yerr=ends, marker="o", capsize=3)
            axes.set(ylabel="share of false negatives, 95% interval")
            of_yield = axes.twinx()
        of_yield.plot(self.hardness, self.negatives_per_row, "s:", color="gray")
        of_yield.set(ylabel="negatives per row (dotted)")
        for panel in {axes, of_yield}:
            panel.set_ylim(bottom=0.0)
        for margin, x, y in zip(self.margins, self.hardness, shown, strict=True):
            if np.isfinite([x, y]).all():
                axes.annotate(margin_text(margin), (x, y), textcoords="offset points", xytext=(5, 5))
        axes.set(xlabel="hardness (mean score of the negatives)", title=f"{self.kind} margins")
        return axes
