"""What every margin would do, from one scan without caps.

A margin is a trade: it takes out false negatives and hard ones alike. Mining once per margin would show that too, at
the price of a scan each. The figures inform a choice and decide no negative; a row whose list was too short to tell is
counted as such, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine._core.options import check_choice, check_real
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.pool import CandidatePool
from negmine.search.request import PoolRequest

__all__ = ["MarginKind", "Recommendation", "Sweep", "judge_margins", "read_hidden", "read_margins"]

MarginKind = Literal["relative", "absolute"]

#: Quantiles of hardness that a sweep reports.
QUANTILES = (0.1, 0.5, 0.9)

#: A margin that leaves more rows short than this is not recommended.
SHORT_ROWS = 0.05

#: Without known false negatives, the share of the top candidates that a margin should reject at least.
REJECTED = 0.05


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A margin, and why."""

    margin: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep:
    """Figures per margin, rising margins; all are over result rows that have a reference.

    Attributes
    ----------
    kind : "relative" or "absolute"
    margins : float64 (m,)
    rejected : float64 (m,)
        Mean share of a row's ``depth`` best candidates above the cap.
    hardness : float64 (m,)
        Mean score of the negatives that "top" would choose.
    hardness_quantiles : float64 (m, 3)
        Their 10 %, 50 % and 90 % quantiles.
    short_rows : float64 (m,)
        Share of rows with fewer than ``num_negatives``, censored ones not counted.
    censored_rows : float64 (m,)
        Share of rows whose list is full at ``depth`` while fewer than ``range_max`` of it survive: they might not be
        short in a deeper scan.
    false_negatives : float64 (m,) or None
        Share of the chosen that are hidden positives, where those were given.

    Examples
    --------
    >>> import negmine
    >>> from negmine import demo
    >>> data = demo.load()
    >>> index = negmine.ExactIndex(data.document_embeddings)
    >>> known = data.labeled[:, None].tolist()
    >>> miner = negmine.HardNegativeMiner(5)
    >>> sweep = miner.sweep(index, data.query_embeddings, known, [0.0, 0.1, 0.2], hidden=data.positives)
    >>> sweep.false_negatives.round(3).tolist(), sweep.recommend().margin
    ([0.039, 0.026, 0.02], 0.2)
    """

    kind: MarginKind
    margins: npt.NDArray[np.float64]
    rejected: npt.NDArray[np.float64]
    hardness: npt.NDArray[np.float64]
    hardness_quantiles: npt.NDArray[np.float64]
    short_rows: npt.NDArray[np.float64]
    censored_rows: npt.NDArray[np.float64]
    false_negatives: npt.NDArray[np.float64] | None

    def __repr__(self) -> str:
        return f"Sweep({len(self.margins)} {self.kind} margins, {self.margins[0]:g} to {self.margins[-1]:g})"

    def __str__(self) -> str:
        columns = {"rejected": self.rejected, "short": self.short_rows, "censored": self.censored_rows}
        if self.false_negatives is not None:
            columns["false negatives"] = self.false_negatives
        head = f"{self.kind + ' margin':>16}{'hardness':>10}" + "".join(f"{name:>{len(name) + 4}}" for name in columns)
        lines = [head]
        for i, margin in enumerate(self.margins):
            shares = "".join(f"{column[i]:>{len(name) + 4}.1%}" for name, column in columns.items())
            lines.append(f"{margin:>16g}{self.hardness[i]:>10.3f}{shares}")
        return "\n".join(lines)

    def recommend(self) -> Recommendation:
        """Name a margin, and why: few rows short, and then as clean as the figures can tell.

        With hidden positives: the smallest margin within a tenth of the best false-negative share. Without: the
        smallest margin that rejects 5 % of the top candidates.

        Raises
        ------
        NegmineValueError
            There is nothing to go by: no row has a reference.
        """
        if np.isnan(self.rejected).all():
            raise NegmineValueError("`recommend` must have rows with a reference to go by; got a sweep without any.")
        allowed = np.flatnonzero(self.short_rows <= SHORT_ROWS)
        if len(allowed) == 0:
            best = int(np.argmin(self.short_rows))
            return Recommendation(
                float(self.margins[best]),
                f"every margin leaves more than {SHORT_ROWS:.0%} of rows short; this one the fewest, "
                f"{self.short_rows[best]:.1%}",
            )
        if self.false_negatives is not None and not np.isnan(self.false_negatives[allowed]).all():
            shares = self.false_negatives[allowed]
            place = int(allowed[np.flatnonzero(shares <= 1.1 * np.nanmin(shares))[0]])
            return Recommendation(
                float(self.margins[place]),
                "the smallest margin within a tenth of the best false-negative share, "
                f"{self.false_negatives[place]:.1%}{self._beside(place)}",
            )
        strict = allowed[self.rejected[allowed] >= REJECTED]
        place = int(strict[0] if len(strict) else allowed[-1])
        why = (
            f"the smallest margin that rejects {REJECTED:.0%} of the top candidates"
            if len(strict)
            else "the largest margin that leaves few rows short: none rejects many candidates"
        )
        return Recommendation(float(self.margins[place]), why + self._beside(place))

    def _beside(self, place: int) -> str:
        """What else the figures of a margin say."""
        unknown = f", {self.censored_rows[place]:.1%} unknown at this depth" if self.censored_rows[place] else ""
        return (
            f"; {self.rejected[place]:.1%} rejected, hardness {self.hardness[place]:.3f}, "
            f"{self.short_rows[place]:.1%} of rows short{unknown}"
        )


def judge_margins(
    pool: CandidatePool,
    request: PoolRequest,
    num_negatives: int,
    margins: npt.NDArray[np.float64],
    kind: MarginKind,
    hidden: Positives | None,
) -> Sweep:
    """Report what every margin would do to a pool that was made without caps.

    Parameters
    ----------
    pool : CandidatePool
        Of ranks [0, depth), without margins and highest score.
    request : PoolRequest
        The miner's own: its caps and ranks, of which the margins replace one.
    num_negatives : int
        Negatives per result row.
    margins : float64 (m,)
        In ascending order.
    kind : {"relative", "absolute"}
        Which margin they replace.
    hidden : Positives or None
        Documents whose share among the chosen is reported.
    """
    figures = [_figures(pool, _caps(request, pool, kind, margin), request, num_negatives, hidden) for margin in margins]
    columns = {name: np.array([row[name] for row in figures]) for name in figures[0]}
    shares = columns.pop("false_negatives")
    return Sweep(kind=kind, margins=margins, false_negatives=None if hidden is None else shares, **columns)


def read_margins(margins: Iterable[float], kind: MarginKind) -> npt.NDArray[np.float64]:
    """Validate margins and put them in ascending order."""
    check_choice(kind, "kind", ("relative", "absolute"))
    if isinstance(margins, str | bytes) or not isinstance(margins, Iterable) or getattr(margins, "ndim", 1) != 1:
        raise NegmineTypeError(f"`margins` must be a list of numbers; got {margins!r}.")
    least = 0.0 if kind == "relative" else -np.inf
    values = np.sort([check_real(margin, "margins", least=least) for margin in margins])
    if len(values) == 0:
        raise NegmineValueError("`margins` must hold at least one margin; got none.")
    return values


def read_hidden(hidden: Positives | Iterable[Iterable[int]], n_queries: int, n_documents: int) -> Positives:
    """Validate hidden positives before the scan."""
    lists = Positives.read(hidden, "hidden")
    if len(lists) != n_queries:
        raise NegmineValueError(f"`hidden` must have length {n_queries}; got {len(lists)}.")
    if len(lists.items) and lists.items.max() >= n_documents:
        raise NegmineValueError(f"`hidden` must hold row numbers below {n_documents}; got {lists.items.max()}.")
    return lists


def _caps(request: PoolRequest, pool: CandidatePool, kind: MarginKind, margin: float) -> npt.NDArray[np.float64]:
    """Return every row's cap: that of the request, with ``margin`` instead of its margin of that kind."""
    reference = pool.reference_scores
    absolute = margin if kind == "absolute" else request.absolute_margin
    relative = margin if kind == "relative" else request.relative_margin
    caps = np.full(len(reference), np.inf if request.max_score is None else request.max_score)
    if absolute is not None:
        caps = np.minimum(caps, reference - absolute)
    if relative is not None:
        caps = np.minimum(caps, reference - np.abs(reference) * relative)
    return caps


def _figures(
    pool: CandidatePool, caps: npt.NDArray[np.float64], request: PoolRequest, n: int, hidden: Positives | None
) -> dict[str, Any]:
    """Return the figures of one margin, which gives every row its cap."""
    range_min, range_max = request.range_min, request.range_max
    known = ~np.isnan(pool.reference_scores)
    scores, rows, counts = pool.scores[known], pool.indices[known], pool.counts[known]
    above = (scores > caps[known, None]).sum(axis=1)
    survivors = counts - above
    # Scores fall, so survivors are a row's last `survivors` documents, and the chosen a run of those.
    first = above + range_min
    place = first[:, None] + np.arange(min(n, range_max - range_min))
    chosen = place < counts[:, None]
    hard = np.take_along_axis(scores, np.minimum(place, scores.shape[1] - 1), axis=1)[chosen]
    full = counts == pool.indices.shape[1]
    censored = full & (survivors < range_max)
    short = ~censored & (chosen.sum(axis=1) < n)
    total = max(len(counts), 1)
    share = np.nan
    if hidden is not None and chosen.any():
        documents = np.take_along_axis(rows, np.minimum(place, rows.shape[1] - 1), axis=1)[chosen]
        query = np.broadcast_to((pool.query_indices[known] - pool.query_offset)[:, None], place.shape)[chosen]
        width = pool.report.n_documents
        inside = hidden.items >= 0
        share = float(np.isin(query * width + documents, (hidden.queries() * width + hidden.items)[inside]).mean())
    return {
        "rejected": float((above / np.maximum(counts, 1)).mean()) if len(counts) else np.nan,
        "hardness": float(hard.mean()) if len(hard) else np.nan,
        "hardness_quantiles": np.quantile(hard, QUANTILES) if len(hard) else np.full(len(QUANTILES), np.nan),
        "short_rows": float(short.sum()) / total,
        "censored_rows": float(censored.sum()) / total,
        "false_negatives": share,
    }
