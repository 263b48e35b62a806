"""Picture of mined negatives: scores, scores by rank, hubs, and why rows are short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine.mining.report import Reason, Source

if TYPE_CHECKING:
    import matplotlib.axes

    from negmine.mining.negatives import HardNegatives

__all__ = ["draw_negatives"]

#: Documents that the panel of hubs shows.
MOST_HUBS = 100

#: Quantiles of the scores of a rank.
QUANTILES = (0.1, 0.5, 0.9)


def draw_negatives(negatives: HardNegatives) -> npt.NDArray[np.object_]:
    """Draw four panels.

    Parameters
    ----------
    negatives : HardNegatives
        The negatives.

    Returns
    -------
    matplotlib.axes.Axes (4,)
        Axes of the scores, the scores by rank, the hubs and the reasons.
    """
    pyplot = require("matplotlib.pyplot", "plot", "`plot`")
    figure, grid = pyplot.subplots(2, 2, figsize=(9.0, 6.0), layout="constrained")
    n = int((negatives.source != Source.PADDING).sum())
    figure.suptitle(f"{n} negatives of {len(negatives)} rows")
    axes: npt.NDArray[np.object_] = grid.reshape(-1)
    for draw, panel in zip((_scores, _ranks, _hubs, _reasons), axes, strict=True):
        draw(negatives, panel)
    return axes


def _scores(negatives: HardNegatives, axes: matplotlib.axes.Axes) -> None:
    found = negatives.scores[negatives.source != Source.PADDING]
    everything = np.concatenate([negatives.positive_scores, found])
    bins = np.histogram_bin_edges(everything[np.isfinite(everything)], bins=60).tolist()
    for label, scores in (("positives", negatives.positive_scores), ("negatives", found)):
        axes.hist(scores, bins=bins, alpha=0.6, density=len(scores) > 0, label=label)
    axes.set(xlabel="score", ylabel="density", title="Scores")
    axes.legend()


def _ranks(negatives: HardNegatives, axes: matplotlib.axes.Axes) -> None:
    """Draw the quantiles of the scores of mined negatives per rank; random ones have no rank."""
    mined = np.where(negatives.source == Source.MINED, negatives.scores, np.nan).astype(np.float64)
    columns = [column[np.isfinite(column)] for column in mined.T]
    ranks = [rank for rank, column in enumerate(columns) if len(column)]
    low, middle, high = np.array([np.quantile(columns[rank], QUANTILES) for rank in ranks]).reshape(-1, 3).T
    axes.fill_between(ranks, low, high, alpha=0.25, label="10% to 90%")
    axes.plot(ranks, middle, marker=".", label="median")
    reference = negatives.reference_scores[np.isfinite(negatives.reference_scores)]
    if len(reference):
        axes.axhline(float(np.median(reference)), color="gray", linestyle=":", label="median reference")
    axes.set(xlabel="rank", ylabel="score", title="Scores by rank")
    axes.legend()


def _hubs(negatives: HardNegatives, axes: matplotlib.axes.Axes) -> None:
    """Draw the number of rows of the documents that are negatives of most rows."""
    documents = negatives.indices[negatives.source != Source.PADDING]
    uses = np.sort(np.unique(documents, return_counts=True)[1])[::-1][:MOST_HUBS]
    axes.step(np.arange(1, len(uses) + 1), uses, where="mid")
    axes.fill_between(np.arange(1, len(uses) + 1), uses, step="mid", alpha=0.25)
    axes.set(xlabel="document, most used first", ylabel="rows", title="Hubs")
    axes.set_ylim(bottom=0.0)


def _reasons(negatives: HardNegatives, axes: matplotlib.axes.Axes) -> None:
    counts = np.bincount(negatives.reasons, minlength=len(Reason))
    shown = [reason for reason in Reason if counts[reason]]
    names = ["full" if reason == Reason.NONE else reason.name.lower().replace("_", " ") for reason in shown]
    bars: Any = axes.barh(names, [int(counts[reason]) for reason in shown])
    axes.bar_label(bars, padding=3)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set(xlabel="rows", title="Why rows are short")
