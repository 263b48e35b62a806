"""Random order of the rows of an epoch: a Feistel permutation (Black and Rogaway, CT-RSA 2002)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.options import check_epoch, check_integer, check_seed, refuse_unknown_options
from negmine.errors import NegmineValueError

__all__ = ["epoch_permutation"]

#: Largest number of rows: row numbers are int64.
_MOST_ROWS = 2**63 - 1


@refuse_unknown_options("epoch_permutation")
def epoch_permutation(
    n: int, *, seed: int, epoch: int, start: int = 0, stop: int | None = None
) -> npt.NDArray[np.int64]:
    """Return the random order of ``n`` rows in one epoch, or any part of it.

    The row at position ``x`` depends only on ``(n, seed, epoch, x)``. A resumed run, another rank or a worker can
    therefore compute the positions that it needs, at a cost proportional to their number, and without stored state.

    Parameters
    ----------
    n : int
        Number of rows, at least 0.
    seed, epoch : int
        Seed and epoch, in [0, 2**64); each pair has a different order.
    start : int, default 0
        First position to return.
    stop : int, optional
        End of the positions, exclusive; ``0 <= start <= stop <= n``. Default: ``n``.

    Returns
    -------
    int64 (stop - start,)
        The rows at these positions.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        An argument is not an integer or is out of range.
    MemoryLimitError
        The result would not fit in memory.

    Notes
    -----
    The permutation is a two-radix Feistel cipher of eight rounds with cycle walking (Black and Rogaway, CT-RSA 2002),
    keyed by Philox. Up to 256 rows, it is the Fisher-Yates shuffle.

    Examples
    --------
    >>> import negmine
    >>> negmine.batches.epoch_permutation(10, seed=42, epoch=0).tolist()
    [8, 6, 3, 4, 7, 2, 0, 1, 9, 5]
    >>> negmine.batches.epoch_permutation(10**12, seed=42, epoch=3, start=5 * 10**11, stop=5 * 10**11 + 2).shape
    (2,)
    """
    rows = check_integer(n, "n", least=0, most=_MOST_ROWS)
    last = rows if stop is None else check_integer(stop, "stop", least=0, most=_MOST_ROWS)
    if last > rows:
        raise NegmineValueError(f"`stop` must be at most `n`; got stop={last}, n={rows}.")
    first = check_integer(start, "start", least=0, most=_MOST_ROWS)
    if first > last:
        raise NegmineValueError(f"`start` must be at most `stop`; got start={first}, stop={last}.")
    ensure_fits_in_memory(last - first, 1, "stop" if stop is not None else "n")
    return _native.epoch_permutation(rows, check_seed(seed), check_epoch(epoch), first, last)
