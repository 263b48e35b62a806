"""Margin sweep: the effect of every margin, computed from one scan without caps.

A margin is a trade-off: it removes false negatives, and hard negatives with them. Mining once per margin would show
the same effect, but each margin would cost one scan. The figures help to choose a margin; they select no negatives. If
the list of a row was too short to decide whether the row is short, the row is counted as censored, not guessed.
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

__all__ = ["MarginKind", "Recommendation", "Sweep", "evaluate_margins", "read_hidden", "read_margins"]

MarginKind = Literal["relative", "absolute"]

#: Quantiles of hardness that a sweep reports.
QUANTILES = (0.1, 0.5, 0.9)

#: A margin is not recommended if it leaves a larger share of rows short than this.
SHORT_ROWS = 0.05

#: Without known false negatives: the minimum share of the top candidates that a recommended margin rejects.
REJECTED = 0.05


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A recommended margin and the reason for it.

    Attributes
    ----------
    margin : float
        The margin.
    reason : str
        Why it is recommended.
    """

    margin: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sweep:
    """Figures per margin, over all result rows that have a reference score.

    Attributes
    ----------
    kind : {"relative", "absolute"}
        Kind of the margins.
    margins : float64 (m,)
        The margins, in ascending order.
    rejected : float64 (m,)
        Share of a row's ``depth`` best candidates that score above the cap, averaged over rows.
    hardness : float64 (m,)
        Mean score of the negatives that the policy "top" would select.
    hardness_quantiles : float64 (m, 3)
        The 10 %, 50 % and 90 % quantiles of these scores.
    short_rows : float64 (m,)
        Share of rows with fewer than ``num_negatives`` negatives; censored rows are not counted.
    censored_rows : float64 (m,)
        Share of rows whose list is full at ``depth``, but of which fewer than ``range_max`` candidates survive. A
        deeper scan might find enough negatives for these rows.
    false_negatives : float64 (m,) or None
        Share of the selected negatives that are hidden positives; None if no hidden positives were given.

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
        """Recommend a margin that leaves few rows short and few false negatives.

        Only margins that leave at most 5 % of the rows short are considered. With hidden positives, the recommended
        margin is the smallest one within a tenth of the best false-negative share; without them, it is the smallest
        one that rejects 5 % of the top candidates.

        Returns
        -------
        Recommendation
            The margin, and why it is recommended.

        Raises
        ------
        NegmineValueError
            No row has a reference score.
        """
        if np.isnan(self.rejected).all():
            raise NegmineValueError("`recommend` must have rows with a reference score; got a sweep without any.")
        allowed = np.flatnonzero(self.short_rows <= SHORT_ROWS)
        if len(allowed) == 0:
            best = int(np.argmin(self.short_rows))
            return Recommendation(
                float(self.margins[best]),
                f"every margin leaves more than {SHORT_ROWS:.0%} of rows short; this one leaves the fewest, "
                f"{self.short_rows[best]:.1%}",
            )
        if self.false_negatives is not None and not np.isnan(self.false_negatives[allowed]).all():
            shares = self.false_negatives[allowed]
            place = int(allowed[np.flatnonzero(shares <= 1.1 * np.nanmin(shares))[0]])
            return Recommendation(
                float(self.margins[place]),
                "the smallest margin within a tenth of the best false-negative share, "
                f"{self.false_negatives[place]:.1%}{self._figures_of(place)}",
            )
        strict = allowed[self.rejected[allowed] >= REJECTED]
        place = int(strict[0] if len(strict) else allowed[-1])
        why = (
            f"the smallest margin that rejects {REJECTED:.0%} of the top candidates"
            if len(strict)
            else "the largest margin that leaves few rows short: none rejects many candidates"
        )
        return Recommendation(float(self.margins[place]), why + self._figures_of(place))

    def _figures_of(self, place: int) -> str:
        """Return the other figures of a margin as text."""
        unknown = f", {self.censored_rows[place]:.1%} unknown at this depth" if self.censored_rows[place] else ""
        return (
            f"; {self.rejected[place]:.1%} rejected, hardness {self.hardness[place]:.3f}, "
            f"{self.short_rows[place]:.1%} of rows short{unknown}"
        )


def evaluate_margins(
    pool: CandidatePool,
    request: PoolRequest,
    num_negatives: int,
    margins: npt.NDArray[np.float64],
    kind: MarginKind,
    hidden: Positives | None,
) -> Sweep:
    """Compute the effect of every margin on a pool that was mined without caps.

    Parameters
    ----------
    pool : CandidatePool
        Pool of the ranks [0, depth), mined without margins and without a highest score.
    request : PoolRequest
        The miner's request with its caps and ranks; each margin replaces the margin of the same kind in it.
    num_negatives : int
        Negatives per result row.
    margins : float64 (m,)
        Margins in ascending order.
    kind : {"relative", "absolute"}
        Which margin of the request is replaced.
    hidden : Positives or None
        Documents whose share among the selected negatives is reported.

    Returns
    -------
    Sweep
    """
    figures = [_figures(pool, _caps(request, pool, kind, margin), request, num_negatives, hidden) for margin in margins]
    columns = {name: np.array([row[name] for row in figures]) for name in figures[0]}
    shares = columns.pop("false_negatives")
    return Sweep(kind=kind, margins=margins, false_negatives=None if hidden is None else shares, **columns)


def read_margins(margins: Iterable[float], kind: MarginKind) -> npt.NDArray[np.float64]:
    """Validate margins and sort them.

    Parameters
    ----------
    margins : iterable of float
        At least one margin.
    kind : {"relative", "absolute"}
        Kind of the margins; relative margins must be at least 0.

    Returns
    -------
    float64 (m,)
        The margins in ascending order.
    """
    check_choice(kind, "kind", ("relative", "absolute"))
    if isinstance(margins, str | bytes) or not isinstance(margins, Iterable) or getattr(margins, "ndim", 1) != 1:
        raise NegmineTypeError(f"`margins` must be a list of numbers; got {margins!r}.")
    least = 0.0 if kind == "relative" else -np.inf
    values = np.sort([check_real(margin, "margins", least=least) for margin in margins])
    if len(values) == 0:
        raise NegmineValueError("`margins` must hold at least one margin; got none.")
    return values


def read_hidden(hidden: Positives | Iterable[Iterable[int]], n_queries: int, n_documents: int) -> Positives:
    """Validate hidden positives before the scan.

    Parameters
    ----------
    hidden : Positives or one list of document rows per query
        The hidden positives.
    n_queries : int
        Number of queries.
    n_documents : int
        Number of documents.

    Returns
    -------
    Positives
    """
    lists = Positives.read(hidden, "hidden")
    if len(lists) != n_queries:
        raise NegmineValueError(f"`hidden` must have length {n_queries}; got {len(lists)}.")
    if len(lists.items) and lists.items.max() >= n_documents:
        raise NegmineValueError(f"`hidden` must hold row numbers below {n_documents}; got {lists.items.max()}.")
    return lists


def _caps(request: PoolRequest, pool: CandidatePool, kind: MarginKind, margin: float) -> npt.NDArray[np.float64]:
    """Return the cap of every row, computed with ``margin`` in place of the request's margin of the same kind."""
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
    """Return the figures of one margin, given the cap of every row."""
    range_min, range_max = request.range_min, request.range_max
    known = ~np.isnan(pool.reference_scores)
    scores, rows, counts = pool.scores[known], pool.indices[known], pool.counts[known]
    above = (scores > caps[known, None]).sum(axis=1)
    survivors = counts - above
    # Scores descend, so the survivors are the last `survivors` documents of a row, and the selected negatives are
    # consecutive among them.
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
