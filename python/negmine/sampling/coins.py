"""A seeded coin per row and epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_float64s, as_int64s
from negmine._core.options import check_epoch, check_real, check_seed, refuse_unknown_options
from negmine.errors import NegmineValueError

__all__ = ["coin"]


@refuse_unknown_options("coin")
def coin(rows: npt.ArrayLike, p: float | npt.ArrayLike, *, seed: int = 0, epoch: int = 0) -> npt.NDArray[np.bool_]:
    """Toss a coin for each of some rows, as a pure function of (seed, epoch, row).

    Use it to replace some targets of an epoch, such as one in twenty by a negative form.

    Parameters
    ----------
    rows : int64 (n,)
        Rows of the whole data set, at least 0.
    p : float or float64 (n,)
        Probability of True, in [0, 1], of all rows or of each.
    seed : int, default 0
        Seed of the coins, in [0, 2**64).
    epoch : int, default 0
        Epoch of the coins, in [0, 2**64).

    Returns
    -------
    bool (n,)

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An argument is invalid; the message names it.

    Examples
    --------
    >>> from negmine.sampling import coin
    >>> coin([0, 1, 2, 3], 0.5, epoch=1).tolist()
    [True, True, False, False]
    """
    numbers = as_int64s(rows, "rows")
    if len(numbers) and numbers.min() < 0:
        raise NegmineValueError(f"`rows` must be at least 0; got {numbers.min()}.")
    n = len(numbers)
    probabilities = np.full(n, check_real(p, "p")) if np.ndim(p) == 0 else as_float64s(p, "p", n)
    bad = ~((probabilities >= 0) & (probabilities <= 1))
    if bad.any():
        raise NegmineValueError(f"`p` must lie in [0, 1]; got {probabilities[bad][0]}.")
    return _native.coin(numbers, probabilities, check_seed(seed), check_epoch(epoch))
