"""Common parts of the losses: validation of tensors, masks, and the mean over the terms that count.

Every loss upcasts float16 and bfloat16 to float32 before it computes. Masked entries are replaced before any
arithmetic, so they may hold anything, NaN included, and get a gradient of 0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from negmine._core.options import check_choice, check_flag
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = [
    "REDUCTIONS",
    "Counts",
    "Reduction",
    "Values",
    "as_mask",
    "as_numbers",
    "as_scores",
    "as_targets",
    "as_weights",
    "check_reduction",
    "mean_of",
    "moved",
    "reduce",
    "refuse_nan",
]

#: A tensor on the device of the scores, or a NumPy array, which is copied there.
Values: TypeAlias = Tensor | npt.NDArray[Any]

Reduction: TypeAlias = Literal["mean", "weighted_mean", "sum", "none"]

REDUCTIONS = ("mean", "weighted_mean", "sum", "none")


class Counts(NamedTuple):
    """What a loss counted; a second return value under ``return_counts=True``.

    Attributes
    ----------
    terms : int64 Tensor ()
        Number of terms: pairs of [`pairwise`][], rows of the other losses.
    dropped : Tensor ()
        Sum of the target's mass on masked columns, which [`listwise`][] drops; otherwise 0.
    """

    terms: Tensor
    dropped: Tensor


def as_scores(value: object, argument: str, ndim: tuple[int, ...], shape: str) -> Tensor:
    """Validate a tensor of floating-point scores, and widen 16 bits to 32."""
    if not isinstance(value, Tensor):
        raise NegmineTypeError(f"`{argument}` must be a tensor; got {type(value).__name__}.")
    if value.layout is not torch.strided or value.is_nested:
        got = "a nested tensor" if value.is_nested else f"layout {value.layout}"
        raise NegmineTypeError(f"`{argument}` must be a dense tensor; got {got}.")
    if not value.is_floating_point():
        raise NegmineTypeError(f"`{argument}` must hold floating-point numbers; got {value.dtype}.")
    if value.ndim not in ndim:
        raise NegmineValueError(f"`{argument}` must have shape {shape}; got {tuple(value.shape)}.")
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def moved(value: object, argument: str, device: torch.device) -> Tensor:
    """Validate a tensor of the device of the scores; a NumPy array is copied there."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value)).to(device)
    if not isinstance(value, Tensor):
        raise NegmineTypeError(f"`{argument}` must be a tensor or a NumPy array; got {type(value).__name__}.")
    if value.device != device:
        raise NegmineValueError(f"`{argument}` must be on {device}, as the scores are; got {value.device}.")
    return value


def as_numbers(value: object, argument: str, like: Tensor, *shapes: tuple[int, ...]) -> Tensor:
    """Validate numbers of one of several shapes, and give them the dtype of the scores."""
    read = moved(value, argument, like.device)
    if read.dtype is torch.bool or read.is_complex():
        raise NegmineTypeError(f"`{argument}` must hold numbers; got {read.dtype}.")
    if tuple(read.shape) not in shapes:
        raise NegmineValueError(
            f"`{argument}` must have shape {' or '.join(map(str, dict.fromkeys(shapes)))}; got {tuple(read.shape)}."
        )
    return read.to(like.dtype)


def as_mask(value: object, like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Validate a mask, True where a score must not count; None masks nothing."""
    if value is None:
        return torch.zeros(shape, dtype=torch.bool, device=like.device)
    read = moved(value, "mask", like.device)
    if read.dtype is not torch.bool:
        raise NegmineTypeError(f"`mask` must be bool, True where a score must not count; got {read.dtype}.")
    if tuple(read.shape) != shape:
        raise NegmineValueError(f"`mask` must have shape {shape}; got {tuple(read.shape)}.")
    return read


def as_targets(value: object, like: Tensor, n_rows: int, n_columns: int) -> Tensor:
    """Validate one column per row, -1 for rows that do not count. The range is checked on the CPU only."""
    read = moved(value, "target", like.device)
    if read.dtype is torch.bool or read.is_floating_point() or read.is_complex():
        raise NegmineTypeError(f"`target` must hold integers, one column per row; got {read.dtype}.")
    if tuple(read.shape) != (n_rows,):
        raise NegmineValueError(f"`target` must have shape {(n_rows,)}; got {tuple(read.shape)}.")
    read = read.long()
    if _can_look(read):
        bad = (read < -1) | (read >= n_columns)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise NegmineValueError(
                f"`target` must hold columns from 0 to {n_columns - 1}, or -1 for rows that do not count; got "
                f"{int(read[row])} at row {row}."
            )
    return read


def as_weights(value: object, like: Tensor, *shapes: tuple[int, ...]) -> Tensor | None:
    """Validate weights; None weighs everything with 1."""
    return None if value is None else as_numbers(value, "weights", like, *shapes)


def check_reduction(reduction: object, return_counts: object) -> tuple[str, bool]:
    """Validate the options that all losses share."""
    return check_choice(reduction, "reduction", REDUCTIONS), check_flag(return_counts, "return_counts")


def refuse_nan(values: Tensor, argument: str, counts: Tensor | None = None) -> None:
    """Refuse NaN where a score counts, on the CPU; elsewhere the check would wait for the device."""
    if not _can_look(values) or values.numel() == 0:
        return
    # The smallest value is NaN if any is; this takes one pass and allocates nothing.
    if not bool(values.detach().amin().isnan()):
        return
    bad = values.detach().isnan()
    if counts is not None:
        bad = bad & counts
    if bool(bad.any()):
        place = tuple(bad.nonzero()[0].tolist())
        raise NegmineValueError(f"`{argument}` must not be NaN where it counts; got NaN at place {place}.")


def _can_look(values: Tensor) -> bool:
    """Whether reading values costs no synchronization and breaks no graph."""
    return values.device.type == "cpu" and not torch.compiler.is_compiling()


def reduce(
    losses: Tensor,
    counts: Tensor,
    weights: Tensor | None,
    reduction: str,
    return_counts: bool,
    *,
    total: Tensor | None = None,
    dropped: Tensor | None = None,
) -> Tensor | tuple[Tensor, Counts]:
    """Reduce losses to the result of a call.

    Parameters
    ----------
    losses : Tensor
        Loss of every term, finite where it does not count.
    counts : bool Tensor
        Whether each term counts.
    weights : Tensor or None
        Weights of the shape of the losses.
    reduction : str
        One of [`REDUCTIONS`][].
    return_counts : bool
        Whether to return the counts.
    total : Tensor, optional
        Divisor of the weighted mean. Default: the sum of the weights of the terms that count.
    dropped : Tensor, optional
        Mass of the target that was dropped.

    Returns
    -------
    Tensor or tuple
        The reduced loss, and the counts if asked for.
    """
    zero = torch.zeros((), dtype=losses.dtype, device=losses.device)
    weighted = torch.where(counts, losses, zero)
    if weights is not None:
        # What does not count may have any weight, NaN included.
        weights = torch.where(counts, weights, zero)
        weighted = weighted * weights
    terms = counts.sum()
    if reduction == "none":
        result = weighted
    elif reduction == "sum":
        result = weighted.sum()
    elif reduction == "weighted_mean" and (weights is not None or total is not None):
        if total is None and weights is not None:
            total = weights.sum()
        assert total is not None
        result = mean_of(weighted.sum(), total)
    else:
        result = mean_of(weighted.sum(), terms)
    if not return_counts:
        return result
    return result, Counts(terms, zero if dropped is None else dropped)


def mean_of(total: Tensor, number: Tensor) -> Tensor:
    """Divide, with 0 and a gradient of 0 where the divisor is 0."""
    empty = number == 0
    quotient = total / torch.where(empty, torch.ones_like(number), number)
    return torch.where(empty, torch.zeros_like(quotient), quotient)
