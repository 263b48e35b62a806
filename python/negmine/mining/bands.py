"""Bands of scores that are applied to a pool after the scan, and the documents of a pool as positives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.calls import ensure_fits_in_memory
from negmine._core.options import check_choice, check_integer, check_real
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.mining.references import Reference, check_reference, reference_scores
from negmine.mining.report import Reason, count_reasons

if TYPE_CHECKING:
    from negmine.mining.pool import CandidatePool

__all__ = ["restrict", "take", "to_positives"]


def restrict(
    pool: CandidatePool,
    *,
    by: str,
    given: Mapping[str, float | None],
    reference: Reference | None,
    range_min: int,
    range_max: int | None,
) -> CandidatePool:
    """Apply a band to a pool; see [`CandidatePool.restrict`][].

    Parameters
    ----------
    pool : CandidatePool
        The pool.
    by : {"score", "guide"}
        Which scores decide.
    given : mapping of str to float or None
        The options of the band: scores, margins and floors.
    reference : {"min", "max", "mean", "each"} or None
        The score that margins and floors refer to.
    range_min : int
        First rank to keep.
    range_max : int or None
        End of the ranks to keep, exclusive.

    Returns
    -------
    CandidatePool
    """
    scores, positive_scores = _deciding(pool, by)
    least = {"relative_margin": 0.0}
    band = {
        name: check_real(value, name, least=least.get(name, -np.inf))
        for name, value in given.items()
        if value is not None
    }
    if "min_score" in band and "max_score" in band and band["min_score"] > band["max_score"]:
        raise NegmineValueError(
            f"`min_score` must be at most `max_score`; got min_score={band['min_score']}, "
            f"max_score={band['max_score']}."
        )
    kind = check_reference(reference, pool.each)
    range_min, range_max = _window(pool, range_min, range_max)
    queries = pool.query_indices - pool.query_offset
    references = reference_scores(pool.rules.positives, positive_scores, queries, pool.positive_indices, kind)
    low, cap = _limits(references, band)
    within = (pool.indices >= 0) & (low[:, None] <= scores) & (scores <= cap[:, None])
    # Columns of the kept documents, in the order of the pool, padded with -1.
    rank = np.cumsum(within, axis=1) - 1
    kept = within & (range_min <= rank) & (rank < range_max)
    places = np.full((len(pool), range_max - range_min), -1, dtype=np.int64)
    rows, columns = np.nonzero(kept)
    places[rows, rank[rows, columns] - range_min] = columns
    needs = any(name.startswith(("absolute", "relative")) for name in band)
    return _kept(pool, places, np.isnan(references) if needs else np.zeros(len(pool), dtype=bool))


def _deciding(pool: CandidatePool, by: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the scores that decide, of documents and of positives."""
    if check_choice(by, "by", ("score", "guide")) == "score":
        return pool.scores, pool.positive_scores
    if pool.guide_scores is None or pool.guide_positive_scores is None:
        raise NegmineValueError(
            "`by` must be 'score' for a pool without guide scores; got 'guide'. "
            "Call `.rescore(scorer, as_guide=True)` first."
        )
    return pool.guide_scores, pool.guide_positive_scores


def _window(pool: CandidatePool, range_min: int, range_max: int | None) -> tuple[int, int]:
    """Validate the ranks to keep."""
    first = check_integer(range_min, "range_min", least=0)
    end = pool.indices.shape[1] if range_max is None else check_integer(range_max, "range_max", least=1)
    if end <= first and (range_max is not None or first):
        default = "" if range_max is not None else ", the width of the pool"
        raise NegmineValueError(
            f"`range_max` must be greater than `range_min`; got range_min={first}, range_max={end}{default}."
        )
    ensure_fits_in_memory(len(pool), end - first, "range_max")
    return first, end


def _limits(
    references: npt.NDArray[np.float64], band: dict[str, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the floor and the cap of every row; NaN, which admits nothing, where a needed reference is missing."""
    low = np.full(len(references), band.get("min_score", -np.inf))
    cap = np.full(len(references), band.get("max_score", np.inf))
    size = np.abs(references)
    if "absolute_margin" in band:
        cap = np.minimum(cap, references - band["absolute_margin"])
    if "relative_margin" in band:
        cap = np.minimum(cap, references - size * band["relative_margin"])
    if "absolute_floor" in band:
        low = np.maximum(low, references - band["absolute_floor"])
    if "relative_floor" in band:
        low = np.maximum(low, references - size * band["relative_floor"])
    return low, cap


def _kept(pool: CandidatePool, places: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_]) -> CandidatePool:
    """Return the pool with the documents of ``places``, and say why rows are short."""
    counts = (places >= 0).sum(axis=1, dtype=np.int32)
    dropped = pool.counts.astype(np.int64) - counts
    was_full = np.isin(pool.reasons, (Reason.NONE, Reason.RANK_WINDOW))
    later = np.where(was_full, Reason.RANK_WINDOW, np.where(dropped > 0, Reason.RESTRICTED, pool.reasons))
    no_positive = np.diff(pool.rules.positives.offsets)[pool.query_indices - pool.query_offset] == 0
    without = np.where(no_positive, Reason.NO_POSITIVE, Reason.NO_REFERENCE)
    later = np.where(missing & (pool.reasons != Reason.NO_POSITIVE), without, later)
    reasons = np.where(counts == places.shape[1], Reason.NONE, later).astype(np.uint8)
    lines = {**pool.report.lines, "restricted": pool.report.lines["restricted"] + dropped}
    return replace(
        take(pool, places),
        counts=counts,
        reasons=reasons,
        report=replace(pool.report, lines=lines, short=count_reasons(reasons)),
    )


def take(pool: CandidatePool, places: npt.NDArray[np.int64]) -> CandidatePool:
    """Return the pool with some documents of every row, in a given order; counts and reasons are left as they are.

    Parameters
    ----------
    pool : CandidatePool
        The pool.
    places : int64 (n_rows, width)
        Columns of the documents, padded with -1.

    Returns
    -------
    CandidatePool
    """
    fills = {"indices": np.int64(-1), "scores": np.float64(-np.inf), "guide_scores": np.float64(-np.inf)}
    arrays: dict[str, Any] = {}
    for name, fill in fills.items():
        if (array := getattr(pool, name)) is not None:
            padded = np.concatenate([array, np.full((len(pool), 1), fill)], axis=1)
            arrays[name] = np.take_along_axis(padded, places % padded.shape[1], axis=1)
    sources = None if pool.sources is None else pool.sources.take(places)
    return replace(pool, **arrays, sources=sources, skipped=None)


def to_positives(pool: CandidatePool, indices: npt.NDArray[np.int64]) -> Positives:
    """Return documents of result rows as positives of their queries.

    Parameters
    ----------
    pool : CandidatePool
        The pool whose result rows they are.
    indices : int64 (n_rows, any)
        Documents of every result row, padded with -1.

    Returns
    -------
    Positives
        Per query, the documents of all of its result rows, without its positives.
    """
    old, n_documents = pool.rules.positives, max(pool.report.n_documents, 1)
    n_queries = len(old.offsets) - 1
    real = indices >= 0
    queries = np.broadcast_to((pool.query_indices - pool.query_offset)[:, None], indices.shape)[real]
    pairs = np.unique(queries * n_documents + indices[real])
    inside = old.items >= 0
    known = np.repeat(np.arange(n_queries), np.diff(old.offsets))[inside] * n_documents + old.items[inside]
    pairs = np.setdiff1d(pairs, known, assume_unique=True)
    return Positives.from_pairs(pairs // n_documents, pairs % n_documents, n_queries=n_queries)
