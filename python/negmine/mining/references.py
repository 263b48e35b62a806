"""Reference scores of pools: the score of the positives that margins and floors refer to."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import Csr
from negmine._core.options import check_choice
from negmine.errors import NegmineValueError

__all__ = ["Reference", "check_reference", "positive_places", "reference_scores"]

#: The score that margins and floors refer to: the lowest, highest or mean score of the query's positives, or the score
#: of each positive separately.
Reference = Literal["min", "max", "mean", "each"]


def check_reference(value: object, each: bool) -> str:
    """Validate the reference of a pool; the default is the row's own positive under "each", else the lowest score.

    Parameters
    ----------
    value : object
        What was given.
    each : bool
        Whether the pool was mined under "each".

    Returns
    -------
    {"min", "max", "mean", "each"}
    """
    if value is None:
        return "each" if each else "min"
    kind = check_choice(value, "reference", ("min", "max", "mean", "each"))
    if kind == "each" and not each:
        raise NegmineValueError(
            "`reference` must be 'min', 'max' or 'mean' for a pool that was not mined under 'each'; got 'each'."
        )
    return kind


def reference_scores(
    positives: Csr,
    positive_scores: npt.NDArray[np.float64],
    queries: npt.NDArray[np.int64],
    positive_indices: npt.NDArray[np.int64],
    kind: str,
) -> npt.NDArray[np.float64]:
    """Return the reference score of every result row.

    Parameters
    ----------
    positives : Csr
        Rows of the positives per query.
    positive_scores : float64 (n_positives,)
        Scores of the positives; NaN for those without a score.
    queries : int64 (n_rows,)
        Query of every result row, counted from the first query of the pool.
    positive_indices : int64 (n_rows,)
        Positive of every result row; used under "each".
    kind : {"min", "max", "mean", "each"}
        Which score.

    Returns
    -------
    float64 (n_rows,)
        The references; NaN if the query has no positive, or one that is needed has no score.
    """
    if kind == "each":
        places = positive_places(positives, queries, positive_indices)
        return np.where(places >= 0, np.append(positive_scores, np.nan)[places], np.nan)
    lengths = np.diff(positives.offsets)
    filled = lengths > 0
    found = np.full(len(lengths), np.nan)
    if filled.any():
        starts = positives.offsets[:-1][filled]
        lowest = np.minimum.reduceat(positive_scores, starts)
        highest = np.maximum.reduceat(positive_scores, starts)
        ends = {"min": lowest, "max": highest}
        found[filled] = ends[kind] if kind in ends else _means(positive_scores, lengths[filled], lowest, highest)
    return found[queries]


def _means(
    scores: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int64],
    lowest: npt.NDArray[np.float64],
    highest: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return the mean of each list, as the core computes it."""
    segment = np.repeat(np.arange(len(lengths)), lengths)
    # `bincount` adds in the order of the array; other sums of NumPy add in pairs.
    means = np.bincount(segment, scores) / lengths
    overflown = ~np.isfinite(means) & np.isfinite(lowest) & np.isfinite(highest)
    if overflown.any():
        small = np.bincount(segment, np.ldexp(scores, -64)) / lengths
        low, high = np.ldexp(lowest, -64), np.ldexp(highest, -64)
        means = np.where(overflown, np.ldexp(np.clip(small, low, high), 64), means)
    return means


def positive_places(
    positives: Csr, queries: npt.NDArray[np.int64], positive_indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the place of every result row's own positive in the lists; -1 if it is not there.

    Parameters
    ----------
    positives : Csr
        Rows of the positives per query.
    queries, positive_indices : int64 (n_rows,)
        Query and positive of every result row. The rows of positives outside the corpus, which are all -1, are in the
        order of the lists.

    Returns
    -------
    int64 (n_rows,)
    """
    entries = np.repeat(np.arange(len(positives.offsets) - 1), np.diff(positives.offsets))
    factor = max(positives.items.max(initial=-1), positive_indices.max(initial=-1)) + 2
    known, wanted = entries * factor + positives.items + 1, queries * factor + positive_indices + 1
    order = np.argsort(wanted, kind="stable")
    ascending = wanted[order]
    turn = np.empty(len(wanted), dtype=np.int64)
    turn[order] = np.arange(len(wanted)) - np.searchsorted(ascending, ascending)
    places = np.searchsorted(known, wanted) + turn
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    found = (places < len(known)) & (known[np.minimum(places, len(known) - 1)] == wanted)
    return np.where(found, places, -1)
