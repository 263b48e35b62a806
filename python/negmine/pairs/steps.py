"""The step at which a sequence of values is lowest: where a wrong solution went wrong (Setlur et al., 2024)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_float64s, as_offsets
from negmine._core.options import refuse_unknown_options
from negmine.errors import NegmineValueError

__all__ = ["first_pit"]


@refuse_unknown_options("first_pit")
def first_pit(values: npt.ArrayLike, offsets: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the first step with the lowest value, for every sequence.

    Parameters
    ----------
    values : float64 (n_steps,)
        Values of the steps of all sequences, one sequence after the other: for a solution in steps, the chance that it
        ends well after each step. Infinities are allowed.
    offsets : int64 (n_sequences + 1,)
        Position at which each sequence begins, then the end of the last one.

    Returns
    -------
    int64 (n_sequences,)
        Step of the lowest value, from 0; the first one if there are several, and -1 for an empty sequence. The rejected
        response of a pair is the solution up to this step, inclusive.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A value is NaN, or the offsets are not ascending from 0 to the number of values.

    References
    ----------
    Setlur et al.: "RL on Incorrect Synthetic Data Scales the Efficiency of LLM Math Reasoning by Eight-Fold", 2024.

    Examples
    --------
    >>> from negmine.pairs import first_pit
    >>> first_pit([0.6, 0.7, 0.4, 0.1, 0.1], [0, 5]).tolist()
    [3]
    """
    steps = as_float64s(values, "values")
    missing = np.isnan(steps)
    if missing.any():
        raise NegmineValueError(f"`values` must not be NaN; got NaN at step {int(missing.argmax())}.")
    bounds = as_offsets(offsets, "offsets", len(steps), "values")
    lengths = np.diff(bounds)
    filled = np.flatnonzero(lengths)
    pits = np.full(len(lengths), -1, dtype=np.int64)
    if len(filled):
        lowest = np.repeat(np.minimum.reduceat(steps, bounds[filled]), lengths[filled])
        places = np.flatnonzero(steps == lowest)
        pits[filled] = places[np.searchsorted(places, bounds[filled])] - bounds[filled]
    return pits
