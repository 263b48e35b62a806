"""Cross entropy of lists of scores: InfoNCE, distillation, and losses with weighted targets."""

from __future__ import annotations

from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor

from negmine._core.options import check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError
from negmine.torch.losses import _terms
from negmine.torch.losses._terms import Counts, Reduction, Values

__all__ = ["listwise"]


class _Target(NamedTuple):
    """What the scores of a list should be: one column per row, or mass per column."""

    column: Tensor | None
    mass: Tensor | None
    #: Columns that are left out of the softmax.
    mask: Tensor
    #: Rows that count.
    counts: Tensor
    dropped: Tensor


@overload
def listwise(
    scores: Tensor,
    target: Values | None = None,
    *,
    mask: Values | None = None,
    weights: Values | None = None,
    bias: Values | None = None,
    teacher: Values | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
    return_counts: Literal[False] = False,
) -> Tensor: ...


@overload
def listwise(
    scores: Tensor,
    target: Values | None = None,
    *,
    mask: Values | None = None,
    weights: Values | None = None,
    bias: Values | None = None,
    teacher: Values | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
    return_counts: Literal[True],
) -> tuple[Tensor, Counts]: ...


@refuse_unknown_options("listwise")
def listwise(
    scores: Tensor,
    target: Values | None = None,
    *,
    mask: Values | None = None,
    weights: Values | None = None,
    bias: Values | None = None,
    teacher: Values | None = None,
    temperature: float = 1.0,
    reduction: Reduction = "mean",
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, Counts]:
    """Compute the cross entropy of a target and the softmax of ``scores / temperature + bias``, per row.

    Parameters
    ----------
    scores : float Tensor (B, M)
        Scores of the columns of every row.
    target : int64 Tensor or array (B,), or float Tensor or array (B, M), optional
        Column of every row's positive, -1 for a row that does not count; or a mass per column, which is used as it is:
        it need not sum to 1, and gets no gradient. Either this or ``teacher`` must be given.
    mask : bool Tensor or array (B, M), optional
        True where a column must not count, as [`negmine.batches.false_negative_mask`][] returns it. A positive that
        ``target`` names counts in any case; mass on other masked columns is dropped, and counted. What is masked may
        hold anything.
    weights : float Tensor or array (B,), optional
        Weight of every row. With a mass per column also (B, M): factors of the mass.
    bias : float Tensor or array (B, M) or (M,), optional
        Numbers that are added to the scores after ``temperature``, such as minus the log-probabilities of sampled
        columns (logQ correction). They get a gradient only if they require it.
    teacher : float Tensor or array (B, M), optional
        Scores of a teacher. Their softmax over the columns that count is the target; it is not divided by
        ``temperature``, and gets no gradient.
    temperature : float, default 1.0
        Divisor of the scores, greater than 0.
    reduction : {"mean", "weighted_mean", "sum", "none"}, default "mean"
        ``"mean"``: sum of weight times loss, over the number of rows that count. ``"weighted_mean"``: over the sum of
        their weights; with weights (B, M), over the sum of the weighted mass. ``"sum"``. ``"none"``: one loss per row,
        0 where it does not count.
    return_counts : bool, default False
        Whether to return how many rows count, and how much mass was dropped, as well.

    Returns
    -------
    Tensor
        The loss: float64 for float64 scores, otherwise float32; 0, with gradient 0, if no row counts.
    Counts
        The number of rows that count and the mass that was dropped, if ``return_counts``.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or not exactly one of ``target`` and ``teacher`` is given.
    NegmineValueError
        Shapes or devices differ, or, on the CPU, a target is out of range or a score that counts is NaN.

    Notes
    -----
    A row counts if it has a target: a column that is not -1, mass on a column that is not masked, or, with a teacher,
    any column that is not masked. A row whose positive has no negatives counts with loss 0.

    With ``target`` a column, this is InfoNCE; with the mask of [`negmine.batches.guided_mask`][], GISTEmbed. Both
    phases of AR2 (Zhang et al., "Adversarial Retriever-Ranker for Dense Text Retrieval", ICLR 2022) are cross entropies
    with a mass, or a teacher. DLA (Ai et al., "Unbiased Learning to Rank with Unbiased Propensity Estimation", SIGIR
    2018) has clicks as ``target``, relative weights of [`negmine.weights.ipw`][], and the weighted mean.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import listwise
    >>> scores = torch.tensor([[2.0, 1.0, 9.0], [0.0, 3.0, 1.0]])
    >>> mask = torch.tensor([[False, False, True], [False, False, False]])
    >>> listwise(scores, torch.tensor([0, 1]), mask=mask)
    tensor(0.2416)
    """
    divisor = check_real(temperature, "temperature", above=0.0)
    how, counted = _terms.check_reduction(reduction, return_counts)
    values = _terms.as_scores(scores, "scores", (2,), "(B, M)")
    n_rows, n_columns = values.shape
    goal = _target(values, target, teacher, _terms.as_mask(mask, values, (n_rows, n_columns)))
    shapes = [(n_rows,)] if goal.mass is None or teacher is not None else [(n_rows,), (n_rows, n_columns)]
    own = _terms.as_weights(weights, values, *shapes)
    logits = values / divisor
    if bias is not None:
        logits = logits + _terms.as_numbers(bias, "bias", values, (n_rows, n_columns), (n_columns,))
    _terms.refuse_nan(logits, "scores", ~goal.mask)
    log_p = _log_softmax(logits, goal.mask)
    total = None
    if goal.column is not None:
        losses = -log_p.gather(1, goal.column.clamp(min=0)[:, None])[:, 0] if n_columns else values.sum(dim=1)
    else:
        mass = goal.mass
        assert mass is not None
        if own is not None and own.ndim == 2:
            mass, own = torch.where(mass == 0, mass, mass * own), None
            total = mass.sum()
        # Where there is no mass, an infinite logarithm must not enter.
        losses = -(mass * torch.where(mass == 0, torch.zeros_like(log_p), log_p)).sum(dim=1)
    return _terms.reduce(losses, goal.counts, own, how, counted, total=total, dropped=goal.dropped)


def _target(scores: Tensor, target: Values | None, teacher: Values | None, mask: Tensor) -> _Target:
    """Read the target, which columns are left out, and which rows count."""
    n_rows, n_columns = scores.shape
    nothing = torch.zeros((), dtype=scores.dtype, device=scores.device)
    if (target is None) == (teacher is None):
        raise NegmineTypeError(f"Give `target` or `teacher`; got {'neither' if target is None else 'both'}.")
    if teacher is not None:
        given = _terms.as_numbers(teacher, "teacher", scores, (n_rows, n_columns)).detach()
        _terms.refuse_nan(given, "teacher", ~mask)
        mass = torch.where(mask, nothing, _log_softmax(given, mask).exp())
        return _Target(None, mass, mask, ~mask.all(dim=1), nothing)
    if getattr(target, "ndim", 1) == 1:
        column = _terms.as_targets(target, scores, n_rows, n_columns)
        counts = column >= 0
        columns = torch.arange(n_columns, device=scores.device)
        # A row that does not count is masked as a whole, so that nothing of it can make a gradient.
        left_out = (mask & (columns != column[:, None])) | ~counts[:, None]
        return _Target(column, None, left_out, counts, nothing)
    given = _terms.as_numbers(target, "target", scores, (n_rows, n_columns)).detach()
    _terms.refuse_nan(given, "target")
    mass = torch.where(mask, nothing, given)
    counts = (mass != 0).any(dim=1)
    return _Target(None, mass, mask | ~counts[:, None], counts, torch.where(mask, given, nothing).sum())


def _log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the columns that are not masked, and 0 for the others."""
    if logits.shape[1] == 0:
        return logits
    # The fill is finite: a row that is masked as a whole has neither NaN nor a gradient.
    filled = logits.masked_fill(mask, torch.finfo(logits.dtype).min)
    return torch.where(mask, torch.zeros_like(filled), filled - filled.logsumexp(dim=1, keepdim=True))
