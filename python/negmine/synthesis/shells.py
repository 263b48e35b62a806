"""Vectors in a shell around anchors, at given cosines: the perturbation of RealEra (2024), without rejection."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_rows
from negmine._core.calls import ensure_fits_in_memory, resolve_num_threads
from negmine._core.options import check_integer, check_real, check_seed, refuse_unknown_options
from negmine.errors import NegmineValueError

__all__ = ["shell"]


@refuse_unknown_options("shell")
def shell(
    anchors: object,
    low: float,
    high: float,
    num_points: int,
    *,
    max_distance: float | None = None,
    seed: int = 0,
    num_threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Draw vectors whose cosine with an anchor lies between two bounds, as long as the anchor.

    The cosine is drawn uniformly, then a direction orthogonal to the anchor, so that nothing is rejected in any number
    of dimensions. The nearest documents of such vectors are the neighborhood of the anchor: near it, positives that
    were not labeled; further away, hard negatives.

    Parameters
    ----------
    anchors : array (n_anchors, width)
        Anchors, of the same types as for [`negmine.ExactIndex`][]; none may be zero, and the width is at least 2.
    low, high : float
        Bounds of the cosine, in [-1, 1]; they may be equal.
    num_points : int
        Number of vectors per anchor.
    max_distance : float, optional
        Maximum Euclidean distance to the anchor, which raises ``low`` to ``1 - max_distance**2 / (2 * norm**2)`` where
        that is more.
    seed : int, default 0
        Seed of the draws, in [0, 2**64). A vector depends on the seed, the row of its anchor and its own number only.
    num_threads : int, optional
        Number of threads, which does not change the result. Default: all available cores, or 1 in a DataLoader worker.

    Returns
    -------
    float32 (n_anchors, num_points, width)
        The vectors. Cosines and distances keep their bounds to 1e-6, relative to the norm, which is rounding to
        float32.

    Raises
    ------
    NegmineValueError
        A bound is outside of [-1, 1], ``low`` exceeds ``high``, an anchor is zero or not finite or has an empty shell
        (the message names its row), or the width is below 2.
    NegmineTypeError
        A type or dtype is not accepted.
    MemoryLimitError
        The result would not fit in memory.

    References
    ----------
    Liu et al.: "RealEra: Semantic-level concept erasure via neighbor-concept mining", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.synthesis import shell
    >>> anchor = np.array([[3, 4, 0]], dtype=np.float32)
    >>> points = shell(anchor, 0.8, 0.9, num_points=100)[0]
    >>> cosines = points @ anchor[0] / 25
    >>> bool((cosines > 0.799999).all() and (cosines < 0.900001).all())
    True
    """
    rows = as_rows(anchors, "anchors")
    lowest, highest = check_real(low, "low", least=-1.0), check_real(high, "high", least=-1.0)
    if highest > 1.0:
        raise NegmineValueError(f"`high` must be at most 1.0; got {highest}.")
    if lowest > highest:
        raise NegmineValueError(f"`low` must be at most `high`, {highest}; got {lowest}.")
    num = check_integer(num_points, "num_points", least=0)
    distance = None if max_distance is None else check_real(max_distance, "max_distance", least=0.0)
    n, width = rows.shape
    ensure_fits_in_memory(n, num * width, "num_points", entry=4)
    threads = resolve_num_threads(num_threads)
    values = _native.shell(rows, lowest, highest, num, distance, check_seed(seed), threads)
    return values.reshape(n, num, width)
