"""Rows moved toward or away from others: CLAPS (ICLR 2021), Perp-Neg (2023) and NegToMe (2024) on embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Rows, as_rows, refuse_not_finite
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_flag, check_real, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.search.exact import ExactIndex

__all__ = ["Moved", "move"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Rows that [`move`][] moved.

    Attributes
    ----------
    X : float32 (n, width)
        The rows, moved or unchanged.
    indices : int64 (n,)
        Row of ``toward`` that each row was matched with; -1 where none is above the threshold, so that the row is
        unchanged.
    num_degenerate : int
        Number of matched rows that are unchanged because they have no direction to move in: a row of zeros on either
        side, or parallel rows.
    """

    X: npt.NDArray[np.float32]
    indices: npt.NDArray[np.int64]
    num_degenerate: int


@refuse_unknown_options("move")
def move(
    x: object,
    toward: Any = None,  # noqa: ANN401 (an array of NumPy, torch or Arrow)
    *,
    angle: float | None = None,
    cosine: float | None = None,
    alpha: float | None = None,
    threshold: float | None = None,
    unit_norm: bool = False,
    num_threads: int | None = None,
) -> Moved:
    """Move rows toward other rows, or away from them: by an angle, to a cosine, or on the line between them.

    Parameters
    ----------
    x : array (n, width)
        Rows to move, of the same types as for [`negmine.ExactIndex`][].
    toward : array (width,), (n, width) or (m, width), optional
        One row for all, or one row for each of ``x``. With ``threshold``, a set of any size in which each row of ``x``
        is matched with the row of the highest cosine, ties by row. Default: the rows of ``x`` themselves, in which a
        row is not matched with itself; it needs a ``threshold``.
    angle : float, optional
        Angle in radians by which each row is rotated toward its match; negative: away from it. The norm stays, and the
        rotation does not stop at the match. A small angle makes a negative harder (CLAPS).
    cosine : float, optional
        Cosine with its match that each row gets, in (-1, 1). The part orthogonal to the match stays as it is: 0 removes
        everything else (Perp-Neg), so that repelling the result never repels the match.
    alpha : float, optional
        Position on the line from the row (0) to its match (1): ``(1 - alpha) * x + alpha * y``. Negative values move
        away: NegToMe with its strength ``a`` is ``alpha=-a``. Exactly one of ``angle``, ``cosine`` and ``alpha`` must
        be given.
    threshold : float, optional
        Rows are moved only if their cosine with the best match is above this.
    unit_norm : bool, default False
        Whether all rows of the result are divided by their norms, except rows of zeros.
    num_threads : int, optional
        Number of threads, which does not change the result. Default: all available cores, or 1 in a DataLoader worker.

    Returns
    -------
    Moved
        The rows, their matches, and the number of rows without a direction.

    Raises
    ------
    NegmineValueError
        Not exactly one of ``angle``, ``cosine`` and ``alpha`` is given, a value is not finite or out of range, shapes
        do not fit, or a moved row is not finite in float32.
    NegmineTypeError
        A type or dtype is not accepted, or ``toward`` is missing without ``threshold``.

    Notes
    -----
    Rows are parallel if the part of one that is orthogonal to the other is at most 2**-22 of it, which is rounding to
    float32. The released code of NegToMe takes, for position ``m`` of a frame, the row of the reference whose number is
    that of the frame's own best position for reference ``m``; here each row is matched with its own best row, as the
    paper says. CLAPS moves decoder states by gradients; rotating embeddings is its analogue.

    References
    ----------
    Lee, Lee and Hwang: "Contrastive learning with adversarial perturbations for conditional text generation", ICLR
    2021. Armandpour et al.: "Re-imagine the negative prompt algorithm", 2023. Singh et al.: "Negative token merging:
    Image-based adversarial feature guidance", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.synthesis import move
    >>> negative = np.array([[1, 2, 2]], dtype=np.float32)
    >>> positive = np.array([1, 1, 0], dtype=np.float32)
    >>> move(negative, positive, cosine=0.0).X.tolist()
    [[-0.5, 0.5, 2.0]]
    """
    rows = as_rows(x, "x")
    refuse_not_finite(rows, "x")
    by, amount = _motion(angle, cosine, alpha)
    normed, threads = check_flag(unit_norm, "unit_norm"), resolve_num_threads(num_threads)
    others = rows if toward is None else _toward(toward, rows)
    if toward is not None:
        refuse_not_finite(others, "toward")
    if threshold is not None:
        partners = _matches(rows, others, check_real(threshold, "threshold"), own=toward is None, num_threads=threads)
    elif toward is None:
        raise NegmineTypeError("`toward` must be given if `threshold` is not; got None.")
    else:
        partners = _aligned(others, rows)
    values, degenerate = _native.move_rows(rows, others, partners, by, amount, normed, threads)
    return Moved(values, partners, degenerate)


def _motion(angle: object, cosine: object, alpha: object) -> tuple[str, float]:
    """Validate the one of three numbers that is given."""
    given = {"angle": angle, "cosine": cosine, "alpha": alpha}
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) != 1:
        got = " and ".join(f"{name}={value!r}" for name, value in named.items()) or "none"
        raise NegmineValueError(f"exactly one of `angle`, `cosine` and `alpha` must be given; got {got}.")
    name, value = named.popitem()
    amount = check_real(value, name)
    if name == "cosine" and not -1.0 < amount < 1.0:
        raise NegmineValueError(f"`cosine` must be greater than -1.0 and less than 1.0; got {amount}.")
    return name, amount


def _toward(value: Any, rows: Rows) -> Rows:  # noqa: ANN401 (an array of NumPy, torch or Arrow)
    """Validate the rows to move toward; a single one may be one-dimensional."""
    one = getattr(value, "ndim", 2) == 1 and hasattr(value, "reshape")
    others = as_rows(value.reshape(1, -1) if one else value, "toward")
    if others.shape[1] != rows.shape[1]:
        raise NegmineValueError(f"`toward` must be as wide as `x`, {rows.shape[1]}; got width {others.shape[1]}.")
    return others


def _aligned(others: Rows, rows: Rows) -> npt.NDArray[np.int64]:
    """Match every row with the only other one, or with that of its own number."""
    n, m = rows.shape[0], others.shape[0]
    if m not in (1, n):
        raise NegmineValueError(f"`toward` must have one row, or one per row of `x`, {n}; got {m}.")
    return np.zeros(n, dtype=np.int64) if m == 1 else np.arange(n)


def _matches(rows: Rows, others: Rows, threshold: float, *, own: bool, num_threads: int) -> npt.NDArray[np.int64]:
    """Match every row with the one of the highest cosine above the threshold, or -1."""
    index = ExactIndex(others.values(), metric="cosine", num_threads=num_threads)
    n = rows.shape[0]
    exclude = Positives(np.arange(n + 1), np.arange(n)) if own else None
    found = index.search(rows.values(), 1, exclude=exclude, dtype="float64")
    return np.where(found.scores[:, 0] > threshold, found.indices[:, 0], -1)
