"""Weights of negatives, or of rows, by how hard the negatives are: RotatE, NGAME, and weights like those of PEG."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_array, as_int64s
from negmine._core.math import exp, ln
from negmine._core.options import check_choice, check_flag, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.weights._numbers import Numbers, as_numbers, refuse

__all__ = ["hardness"]

Kind = Literal["self", "sample", "negative", "ngame"]

KINDS = ("self", "sample", "negative", "ngame")

#: Smallest and largest weight of a row under "sample", before the weights are scaled to a mean of 1.
LOWEST, HIGHEST = 0.1, 10.0

Mask = npt.NDArray[np.bool_]


@overload
def hardness(
    scores: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    kind: Kind = "self",
    beta: float = 1.0,
    progress: float = 1.0,
    target: npt.ArrayLike | None = None,
    margin: float = 0.0,
    hardest: int | None = None,
    return_counts: Literal[False] = False,
) -> Numbers: ...


@overload
def hardness(
    scores: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    kind: Kind = "self",
    beta: float = 1.0,
    progress: float = 1.0,
    target: npt.ArrayLike | None = None,
    margin: float = 0.0,
    hardest: int | None = None,
    return_counts: Literal[True],
) -> tuple[Numbers, int]: ...


@refuse_unknown_options("hardness")
def hardness(
    scores: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    kind: Kind = "self",
    beta: float = 1.0,
    progress: float = 1.0,
    target: npt.ArrayLike | None = None,
    margin: float = 0.0,
    hardest: int | None = None,
    return_counts: bool = False,
) -> Numbers | tuple[Numbers, int]:
    """Return weights that grow with the scores of negatives.

    Let ``s`` be the scores of a row, over its negatives: the columns that ``mask`` leaves and that are not the target.

    Parameters
    ----------
    scores : float64 (n_rows, n_columns)
        Scores of the columns of every row, divided by the temperature of the loss if it has one.
    mask : bool (n_rows, n_columns), optional
        True where a column is not a negative of the row, as [`negmine.batches.false_negative_mask`][] returns it. Its
        score is not read. Default: no column is masked.
    kind : {"self", "sample", "negative", "ngame"}, default "self"
        ``"self"``: ``softmax(beta * s)``, which sums to 1 per row. ``"negative"``: the same, times the number of
        negatives. ``"ngame"``: softmax of ``beta * s`` over the ``hardest`` negatives, with 0 in place of the score
        where ``s + margin`` is not above the target's score. ``"sample"``: one weight per row, from the softmax over
        rows of ``beta * (logsumexp(s) - the target's score)``, clipped to [.1, 10] and then scaled to a mean of 1.
    beta : float, default 1.0
        Factor of the scores, at least 0.
    progress : float, default 1.0
        Part of the training that is done, in [0, 1]. 0 gives equal weights; ``"sample"`` mixes them with the final
        ones, and the others multiply ``beta`` by it.
    target : int64 (n_rows,), optional
        Column of every row's positive, which is never a negative. Default: under ``"sample"`` and ``"ngame"``, the
        row's own number; otherwise, no column is a positive.
    margin : float, default 0.0
        Margin of the hinge loss under ``"ngame"``.
    hardest : int, optional
        Number of negatives per row that get a weight under ``"ngame"``, ties by column. Default: all.
    return_counts : bool, default False
        Whether to return the number of rows that have a negative as well.

    Returns
    -------
    float64 (n_rows, n_columns), or (n_rows,) under "sample"
        Weights; 0 where a column is not a negative, and for rows without any.
    n_counted : int
        Number of rows with a negative, if ``return_counts``.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A score that counts is not finite, shapes differ, a target is out of range, or an option belongs to another
        kind.

    Notes
    -----
    ``"self"`` is the self-adversarial weight of Sun et al., "RotatE", ICLR 2019. ``"ngame"`` is that of the loss of
    Dahiya et al., "NGAME", WSDM 2023, whose code has a ``beta`` of 10; its gradient passes through the weights, and
    here it does not. ``"sample"`` and ``"negative"`` follow the idea of Wu et al., "Towards Robust Text Retrieval with
    Progressive Learning" (2023), whose formula is not public. For InfoNCE with the weights of ``"negative"``, pass
    their logarithms as the ``bias`` of [`negmine.torch.losses.listwise`][], with 0 for the target.

    Examples
    --------
    >>> from negmine.weights import hardness
    >>> hardness([[1.0, 0.0, -1.0]], beta=0.5).round(4).tolist()
    [[0.5065, 0.3072, 0.1863]]
    """
    check_choice(kind, "kind", KINDS)
    factor = check_real(beta, "beta", least=0.0)
    done = check_real(progress, "progress", least=0.0)
    if done > 1.0:
        raise NegmineValueError(f"`progress` must be at most 1; got {done}.")
    gap = check_real(margin, "margin")
    if kind != "ngame":
        for name, value, default in (("margin", gap, 0.0), ("hardest", hardest, None)):
            if value != default:
                raise NegmineValueError(f"`{name}` must be {default} unless `kind` is 'ngame'; got {value!r}.")
    most = None if hardest is None else check_integer(hardest, "hardest", least=1)
    counted = check_flag(return_counts, "return_counts")
    values = as_numbers(scores, "scores")
    if values.ndim != 2:
        raise NegmineValueError(f"`scores` must have shape (n_rows, n_columns); got shape {values.shape}.")
    own = _targets(target, values, needed=kind in ("sample", "ngame"))
    negatives = ~_mask(mask, values.shape)
    references = np.zeros(len(values))
    if own is not None:
        rows = np.arange(len(values))
        negatives[rows, own] = False
        references = values[rows, own]
        refuse(~np.isfinite(references), references, "scores", "be finite for targets")
    refuse(negatives & ~np.isfinite(values), values, "scores", "be finite where they count")
    values = np.where(negatives, values, 0.0)
    if kind == "sample":
        weights = _of_rows(values, references, negatives, factor, done)
    elif kind == "ngame":
        weights = _ngame(values, references, negatives, factor * done, gap, most)
    else:
        weights = _softmax(factor * done * values, negatives)
        if kind == "negative":
            weights *= negatives.sum(axis=1, keepdims=True)
    return (weights, int(negatives.any(axis=1).sum())) if counted else weights


def _mask(mask: object, shape: tuple[int, ...]) -> Mask:
    if mask is None:
        return np.zeros(shape, dtype=np.bool_)
    read = as_array(mask, "mask")
    if read.dtype.kind != "b" and read.size:
        raise NegmineTypeError(f"`mask` must hold True or False; got dtype {read.dtype.name}.")
    if read.shape != shape:
        raise NegmineValueError(f"`mask` must have the shape of `scores`, {shape}; got shape {read.shape}.")
    return read.astype(np.bool_)


def _targets(target: object, values: Numbers, *, needed: bool) -> npt.NDArray[np.int64] | None:
    n_rows, n_columns = values.shape
    if target is None:
        if needed and n_rows > n_columns:
            raise NegmineValueError(
                f"`target` must be given if `scores` has fewer columns than rows; got shape {values.shape}."
            )
        return np.arange(n_rows) if needed else None
    own = as_int64s(target, "target", n_rows)
    refuse((own < 0) | (own >= n_columns), own, "target", f"be columns, from 0 to {n_columns - 1}")
    return own


def _softmax(logits: Numbers, where: Mask, axis: int = 1) -> Numbers:
    """Return the softmax over the entries that count; 0 for the others, and where none counts."""
    if logits.size == 0:
        return np.zeros(logits.shape)
    highest = np.where(where, logits, -np.inf).max(axis=axis, keepdims=True)
    parts = np.where(where, exp(np.where(where, logits - np.where(np.isneginf(highest), 0.0, highest), 0.0)), 0.0)
    totals = parts.sum(axis=axis, keepdims=True)
    return np.asarray(parts / np.where(totals == 0.0, 1.0, totals))


def _of_rows(values: Numbers, references: Numbers, negatives: Mask, gamma: float, progress: float) -> Numbers:
    """Return one weight per row: uniform at progress 0, by difficulty at 1."""
    present: Mask = np.asarray(negatives.any(axis=1))
    number = int(present.sum())
    if number == 0:
        return np.zeros(len(values))
    highest = np.where(negatives, values, -np.inf).max(axis=1, where=present[:, None], initial=-np.inf)
    highest = np.where(present, highest, 0.0)
    totals = np.where(negatives, exp(np.where(negatives, values - highest[:, None], 0.0)), 0.0).sum(axis=1)
    difficulty = highest + ln(np.where(present, totals, 1.0)) - references
    raw = 1.0 - progress + progress * number * _softmax(gamma * difficulty, present, axis=0)
    clipped = np.where(present, np.clip(raw, LOWEST, HIGHEST), 0.0)
    return np.asarray(clipped * (number / clipped.sum()))


def _ngame(
    values: Numbers, references: Numbers, negatives: Mask, beta: float, margin: float, hardest: int | None
) -> Numbers:
    """Return the softmax over the hardest negatives, with logit 0 for those that do not violate the margin."""
    if hardest is not None and hardest < values.shape[1]:
        order = np.lexsort((np.broadcast_to(np.arange(values.shape[1]), values.shape), -values, ~negatives), axis=1)
        chosen = np.zeros_like(negatives)
        np.put_along_axis(chosen, order[:, :hardest], True, axis=1)
        negatives = np.asarray(negatives & chosen)
    violates: Mask = np.asarray(values + margin > references[:, None])
    return _softmax(np.where(violates, beta * values, 0.0), negatives)
