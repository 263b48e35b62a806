"""Loss of single pairs whose negative labels may be flipped positives: NBPO (SIGIR 2020)."""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

import torch
from torch import Tensor
from torch.nn import functional

from negmine._core.options import check_choice, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.losses import _terms
from negmine.torch.losses._terms import Counts, Reduction, Values

__all__ = ["pointwise"]

Form: TypeAlias = Literal["surrogate", "likelihood", "linear"]

FORMS = ("surrogate", "likelihood", "linear")


@overload
def pointwise(
    scores: Tensor,
    flips: Tensor,
    labels: Values,
    *,
    form: Form = "surrogate",
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[False] = False,
) -> Tensor: ...


@overload
def pointwise(
    scores: Tensor,
    flips: Tensor,
    labels: Values,
    *,
    form: Form = "surrogate",
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[True],
) -> tuple[Tensor, Counts]: ...


@refuse_unknown_options("pointwise")
def pointwise(
    scores: Tensor,
    flips: Tensor,
    labels: Values,
    *,
    form: Form = "surrogate",
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, Counts]:
    """Compute the loss of pairs of which some positives are labeled as negatives.

    With ``r = sigmoid(scores)``, the probability that a pair is positive, and ``g = sigmoid(flips)``, that a positive
    is labeled as negative, a positive label has the likelihood ``r * (1 - g)`` and a negative one
    ``1 - r * (1 - g)``.

    Parameters
    ----------
    scores : float Tensor (B,) or (B, N)
        Logits of being positive.
    flips : float Tensor of the same shape
        Logits of a flipped label of a positive; -inf for none. Start them far below 0, such as at -6, and regularize
        them, or they explain all negatives.
    labels : bool Tensor or array of the same shape
        True for positives.
    form : {"surrogate", "likelihood", "linear"}, default "surrogate"
        Gradients of the loss. ``"likelihood"``: those of the negative log-likelihood, which is the loss. ``"linear"``:
        those of the negative likelihood plus 1, which is the loss. ``"surrogate"``: those of the paper's method, which
        are of no function; the loss is the negative log-likelihood. See Notes.
    mask : bool Tensor or array of the same shape, optional
        True where a pair must not count. What is masked may hold anything.
    weights : float Tensor or array of the same shape, optional
        Weight of every pair.
    reduction : {"mean", "weighted_mean", "sum", "none"}, default "mean"
        ``"mean"``: sum of weight times loss, over the number of pairs that count. ``"weighted_mean"``: over the sum of
        their weights. ``"sum"``, as in the released code. ``"none"``: one loss per pair, 0 where it does not count.
    return_counts : bool, default False
        Whether to return how many pairs count as well.

    Returns
    -------
    Tensor
        The loss: float64 for float64 scores, otherwise float32; 0, with gradient 0, if no pair counts.
    Counts
        The number of pairs that count, if ``return_counts``.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        Shapes or devices differ, or, on the CPU, a score that counts is NaN.

    Notes
    -----
    Yu and Qin, "Sampler Design for Implicit Feedback Data by Noisy-label Robust Learning", SIGIR 2020 (NBPO), and its
    released code. The gradients of ``"surrogate"`` are, for a positive, ``-(1 - g) * (1 - r)`` by the score and
    ``g * r`` by the flip; for a negative, ``r - g * (1 - r)`` and ``-(1 - g) * r``: those of cross entropy with a soft
    label ``g * (1 - r)``. The released code sums over 5,000 positives with 4 negatives each and decays the weights of
    all users and items in every step, so its rates do not fit a mean.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import pointwise
    >>> pointwise(torch.tensor([2.0, 2.0]), torch.tensor([-6.0, 0.0]), torch.tensor([True, False]), reduction="none")
    tensor([0.1294, 0.5805])
    """
    name = check_choice(form, "form", FORMS)
    how, counted = _terms.check_reduction(reduction, return_counts)
    x = _terms.as_scores(scores, "scores", (1, 2), "(B,) or (B, N)")
    shape = tuple(x.shape)
    y = _terms.as_numbers(_terms.as_scores(flips, "flips", (1, 2), "(B,) or (B, N)"), "flips", x, shape)
    positive = _labels(labels, x)
    own = _terms.as_weights(weights, x, shape)
    counts = ~_terms.as_mask(mask, x, shape)
    _terms.refuse_nan(x, "scores", counts)
    _terms.refuse_nan(y, "flips", counts)
    x, y = (torch.where(counts, logits, torch.zeros_like(logits)) for logits in (x, y))
    if name == "linear":
        likelihood = torch.sigmoid(x) * torch.sigmoid(-y)
        return _terms.reduce(torch.where(positive, 1.0 - likelihood, likelihood), counts, own, how, counted)
    if name == "likelihood":
        return _terms.reduce(_negative_log_likelihood(x, y, positive), counts, own, how, counted)
    value = _negative_log_likelihood(x.detach(), y.detach(), positive)
    of_score, of_flip = _surrogate(x.detach(), y.detach(), positive)
    # Terms of value 0 that have the gradients of the method.
    finite = torch.where(y.isinf(), torch.zeros_like(y), y)
    losses = value + of_score * (x - x.detach()) + of_flip * (finite - finite.detach())
    return _terms.reduce(losses, counts, own, how, counted)


def _negative_log_likelihood(x: Tensor, y: Tensor, positive: Tensor) -> Tensor:
    """Compute ``-log(r (1 - g))``, or ``-log(1 - r (1 - g))``, without a difference of nearly equal numbers."""
    of_positive = functional.softplus(-x) + functional.softplus(y)
    # 1 - r (1 - g) is (exp(-x) + exp(y) + exp(y - x)) / ((1 + exp(-x)) (1 + exp(y))).
    unlikely = torch.logsumexp(torch.stack([-x, y, y - x]), dim=0)
    return torch.where(positive, of_positive, of_positive - unlikely)


def _surrogate(x: Tensor, y: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the method by scores and by flips."""
    r, g = torch.sigmoid(x), torch.sigmoid(y)
    of_score = torch.where(positive, -(1 - g) * (1 - r), r - g * (1 - r))
    of_flip = torch.where(positive, g * r, -(1 - g) * r)
    return of_score, of_flip


def _labels(labels: object, like: Tensor) -> Tensor:
    read = _terms.moved(labels, "labels", like.device)
    if read.dtype is not torch.bool:
        raise NegmineTypeError(f"`labels` must be bool, True for positives; got {read.dtype}.")
    if read.shape != like.shape:
        raise NegmineValueError(f"`labels` must have shape {tuple(like.shape)}; got {tuple(read.shape)}.")
    return read
