"""Figures of a margin sweep, from one pool that was mined without caps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.math import exp
from negmine._core.options import check_choice, check_real
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.pool import CandidatePool
from negmine.mining.recommendation import FalseNegativeFigures, RankWindow
from negmine.mining.shares import wilson_interval
from negmine.mining.sweep import MarginKind, Sweep
from negmine.mining.sweep_evidence import KnownPairs
from negmine.search.request import PoolRequest

__all__ = ["evaluate_margins", "read_margins"]

#: Quantiles of hardness that a sweep reports.
QUANTILES = (0.1, 0.5, 0.9)

#: Ranks by which the windows of a sweep start later than the miner's.
RANKS = (0, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500)

#: Temperature of the loss that weighs negatives.
TEMPERATURE = 0.05

_SHARES = ("share", "bounds", "n_judged", "represented", "loss_share", "signal")


def evaluate_margins(
    pool: CandidatePool,
    request: PoolRequest,
    num_negatives: int,
    margins: npt.NDArray[np.float64],
    kind: MarginKind,
    known: KnownPairs | None,
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
        Margins in ascending order; -inf is no margin.
    kind : {"relative", "absolute"}
        Which margin of the request is replaced.
    known : KnownPairs or None
        Pairs that are false negatives or were judged.

    Returns
    -------
    Sweep
    """
    rows = [_figures(pool, _caps(request, pool, kind, margin), request, num_negatives, known) for margin in margins]
    columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    false_negatives = None
    if known is not None:
        windows = tuple(_windows(pool, request, num_negatives, kind, known))
        figures = {name: columns.pop(name) for name in _SHARES}
        false_negatives = FalseNegativeFigures(known.evidence, windows=windows, **figures)
    return Sweep(kind=kind, margins=margins, false_negatives=false_negatives, **columns)


def read_margins(margins: Iterable[float | None], kind: MarginKind) -> npt.NDArray[np.float64]:
    """Validate margins and sort them.

    Parameters
    ----------
    margins : iterable of float or None
        At least one margin; None is no margin.
    kind : {"relative", "absolute"}
        Kind of the margins; relative margins must be at least 0.

    Returns
    -------
    float64 (m,)
        The margins in ascending order, -inf for None.
    """
    check_choice(kind, "kind", ("relative", "absolute"))
    if isinstance(margins, str | bytes) or not isinstance(margins, Iterable) or getattr(margins, "ndim", 1) != 1:
        raise NegmineTypeError(f"`margins` must be a list of numbers or None; got {margins!r}.")
    least = 0.0 if kind == "relative" else -math.inf
    values = np.sort(
        [-math.inf if margin is None else check_real(margin, "margins", least=least) for margin in margins]
    )
    if len(values) == 0:
        raise NegmineValueError("`margins` must hold at least one margin; got none.")
    return values


def _caps(request: PoolRequest, pool: CandidatePool, kind: MarginKind, margin: float) -> npt.NDArray[np.float64]:
    """Return the cap of every row, computed with ``margin`` in place of the request's margin of the same kind."""
    reference = pool.reference_scores
    swept: float | None = None if margin == -math.inf else margin
    absolute = swept if kind == "absolute" else request.absolute_margin
    relative = swept if kind == "relative" else request.relative_margin
    caps = np.full(len(reference), np.inf if request.max_score is None else request.max_score)
    if absolute is not None:
        caps = np.minimum(caps, reference - absolute)
    if relative is not None:
        caps = np.minimum(caps, reference - np.abs(reference) * relative)
    return caps


def _windows(
    pool: CandidatePool, request: PoolRequest, n: int, kind: MarginKind, known: KnownPairs
) -> Iterable[RankWindow]:
    """Compute the rank windows within the pool, without a margin of this kind."""
    caps = _caps(request, pool, kind, -math.inf)
    for later in RANKS:
        range_min, range_max = request.range_min + later, request.range_max + later
        if later and range_min + n > pool.indices.shape[1]:
            return
        row = _figures(pool, caps, replace(request, range_min=range_min, range_max=range_max), n, known)
        low, high = row["bounds"].tolist()
        yield RankWindow(range_min, row["hardness"], row["share"], low, high, row["represented"])


def _figures(
    pool: CandidatePool, caps: npt.NDArray[np.float64], request: PoolRequest, n: int, known: KnownPairs | None
) -> dict[str, Any]:
    """Return the figures of one margin, given the cap of every row."""
    range_min, range_max = request.range_min, request.range_max
    counted = ~np.isnan(pool.reference_scores)
    scores, rows, counts = pool.scores[counted], pool.indices[counted], pool.counts[counted]
    above = (scores > caps[counted, None]).sum(axis=1)
    survivors = counts - above
    # Scores descend, so the survivors are the last `survivors` documents of a row, and the selected negatives are
    # consecutive among them.
    first = above + range_min
    place = first[:, None] + np.arange(min(n, range_max - range_min))
    chosen = place < counts[:, None]
    inside = np.minimum(place, scores.shape[1] - 1)
    hard = np.take_along_axis(scores, inside, axis=1)[chosen]
    full = counts == pool.indices.shape[1]
    censored = full & (survivors < range_max)
    short = ~censored & (chosen.sum(axis=1) < n)
    total = max(len(counts), 1)
    figures = {
        "rejected": float((above / np.maximum(counts, 1)).mean()) if len(counts) else np.nan,
        "hardness": float(hard.mean()) if len(hard) else np.nan,
        "hardness_quantiles": np.quantile(hard, QUANTILES) if len(hard) else np.full(len(QUANTILES), np.nan),
        "negatives_per_row": float(chosen.sum()) / total,
        "short_rows": float(short.sum()) / total,
        "censored_rows": float(censored.sum()) / total,
    }
    if known is None:
        return figures
    query = np.broadcast_to((pool.query_indices[counted] - pool.query_offset)[:, None], place.shape)[chosen]
    keys = query * pool.report.n_documents + np.take_along_axis(rows, inside, axis=1)[chosen]
    excess = hard - np.broadcast_to(pool.reference_scores[counted, None], place.shape)[chosen]
    return figures | _false_negatives(keys, excess, known, total)


def _false_negatives(
    keys: npt.NDArray[np.int64], excess: npt.NDArray[np.float64], known: KnownPairs, n_rows: int
) -> dict[str, Any]:
    """Return the figures of false negatives of selected pairs, given their scores above the reference."""
    at = np.searchsorted(known.keys, keys)
    found = np.zeros(len(keys), dtype=np.bool_)
    found[at < len(known.keys)] = known.keys[at[at < len(known.keys)]] == keys[at < len(known.keys)]
    if known.evidence == "hidden":
        relevant, weights, judged = found, np.ones(len(keys)), np.ones(len(keys), dtype=np.bool_)
    else:
        relevant, weights, judged = known.relevant[at[found]], known.weights[at[found]], found
    total = float(weights.sum())
    if total == 0.0:
        empty = dict.fromkeys(("share", "loss_share", "signal", "represented"), np.nan)
        return empty | {"bounds": np.array([np.nan, np.nan]), "n_judged": 0}
    share = float(weights[relevant].sum()) / total
    # The sum of the weights estimates how many of the negatives the exported pool holds.
    spread = math.sqrt(float((weights * (weights - 1.0)).sum()))
    # A pair of several rows, as under reference="each", is one judgment.
    pairs = np.bincount(np.unique(keys[judged], return_inverse=True)[1], weights)
    effective = total * total / float((pairs * pairs).sum())
    loss = weights * _sigmoid(excess[judged] / TEMPERATURE)
    return {
        "share": share,
        "bounds": np.array(wilson_interval(share, effective)),
        "n_judged": int(judged.sum()),
        "represented": min((total + 2.0 * spread) / len(keys), 1.0),
        "loss_share": float(loss[relevant].sum()) / max(float(loss.sum()), np.finfo(np.float64).tiny),
        "signal": float(loss[~relevant].sum()) / total * len(keys) / n_rows,
    }


def _sigmoid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the logistic function, without overflow."""
    small = exp(-np.abs(values))
    return np.where(values >= 0.0, 1.0, small) / (1.0 + small)
