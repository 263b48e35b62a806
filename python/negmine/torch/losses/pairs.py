"""Losses of pairs of a positive and a negative: RankNet, hinge, and MarginMSE."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, overload

import torch
from torch import Tensor
from torch.nn import functional

from negmine._core.options import check_choice, check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.losses import _terms
from negmine.torch.losses._terms import Counts, Reduction, Values

__all__ = ["pairwise"]

Form: TypeAlias = Literal["logistic", "hinge", "margin_mse"]

FORMS = ("logistic", "hinge", "margin_mse")


class _Pairs(NamedTuple):
    """Scores, teacher and weights of pairs, of one shape, and which pairs are left out."""

    positive: Tensor
    negative: Tensor
    mask: Tensor
    weights: Tensor | None
    teacher: Tensor | None


@overload
def pairwise(
    positive: Tensor,
    negative: Tensor,
    *,
    form: Form = "logistic",
    margin: float = 0.0,
    mask: Values | None = None,
    weights: Values | None = None,
    hardest: int | None = None,
    teacher: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[False] = False,
) -> Tensor: ...


@overload
def pairwise(
    positive: Tensor,
    negative: Tensor,
    *,
    form: Form = "logistic",
    margin: float = 0.0,
    mask: Values | None = None,
    weights: Values | None = None,
    hardest: int | None = None,
    teacher: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[True],
) -> tuple[Tensor, Counts]: ...


@refuse_unknown_options("pairwise")
def pairwise(
    positive: Tensor,
    negative: Tensor,
    *,
    form: Form = "logistic",
    margin: float = 0.0,
    mask: Values | None = None,
    weights: Values | None = None,
    hardest: int | None = None,
    teacher: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, Counts]:
    """Compute the loss of pairs of a positive score p and a negative score n.

    Parameters
    ----------
    positive : float Tensor (B,), (B, 1) or (B, M)
        Scores of the positives: one per row, or one per pair.
    negative : float Tensor (B, M) or (B,)
        Scores of the negatives.
    form : {"logistic", "hinge", "margin_mse"}, default "logistic"
        ``"logistic"``: ``softplus(n - p + margin)``, which is RankNet. ``"hinge"``: ``max(0, n - p + margin)``.
        ``"margin_mse"``: ``(p - n - teacher) ** 2``.
    margin : float, default 0.0
        Margin of the first two forms.
    mask : bool Tensor or array, of the shape of ``negative``, optional
        True where a pair must not count, as [`negmine.batches.false_negative_mask`][] returns it; the target's own
        column must be True too, because a positive is no negative of itself. What is masked may hold anything.
    weights : float Tensor or array, of the shape of ``negative``, (B,) or (B, 1), optional
        Weight of every pair, or of every row.
    hardest : int, optional
        Count only this many negatives per row: those of the highest scores, ties by column. Default: all.
    teacher : float Tensor or array, of the shape of ``negative``, optional
        Margins of a teacher, its score of the positive minus that of the negative; for ``"margin_mse"`` only.
    reduction : {"mean", "weighted_mean", "sum", "none"}, default "mean"
        ``"mean"``: sum of weight times loss, over the number of pairs that count. ``"weighted_mean"``: over the sum of
        their weights. ``"sum"``. ``"none"``: one loss per pair, 0 where it does not count; with ``hardest``, of shape
        (B, hardest), hardest first.
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
        An argument has a type that is not accepted, or a teacher is missing.
    NegmineValueError
        Shapes or devices differ, an option belongs to another form, or, on the CPU, a score that counts is NaN.

    Notes
    -----
    STAR (Zhan et al., "Optimizing Dense Retrieval Model Training with Hard Negatives", SIGIR 2021) is the mean of the
    logistic form over all documents of a batch; ANCE has one negative per pair; NGAME is the hinge of the hardest, with
    weights of [`negmine.weights.hardness`][]; CET is the logistic form with weights of [`negmine.weights.ipw`][];
    TAS-Balanced (Hofstätter et al., SIGIR 2021) is MarginMSE, with the diagonal of in-batch scores masked. Gradients
    pass through ``weights`` if they require it.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import pairwise
    >>> positive, negative = torch.tensor([2.0, 1.0]), torch.tensor([[1.0, 5.0], [0.0, 2.5]])
    >>> mask = torch.tensor([[False, True], [False, False]])
    >>> pairwise(positive, negative, form="hinge", margin=0.5, mask=mask)
    tensor(0.6667)
    """
    check_choice(form, "form", FORMS)
    gap = check_real(margin, "margin")
    how, counted = _terms.check_reduction(reduction, return_counts)
    if form == "margin_mse":
        if teacher is None:
            raise NegmineTypeError("`teacher` must be given if `form` is 'margin_mse'; got None.")
        if gap != 0.0:
            raise NegmineValueError(f"`margin` must be 0 if `form` is 'margin_mse'; got {gap}.")
    elif teacher is not None:
        raise NegmineValueError(f"`teacher` must be None unless `form` is 'margin_mse'; got form={form!r}.")
    pairs = _read(positive, negative, mask, weights, teacher)
    if hardest is not None:
        pairs = _hardest(pairs, check_integer(hardest, "hardest", least=1))
    zero = torch.zeros((), dtype=pairs.negative.dtype, device=pairs.negative.device)
    difference = torch.where(pairs.mask, zero, pairs.negative) - torch.where(pairs.mask, zero, pairs.positive)
    if pairs.teacher is not None:
        losses = (difference + torch.where(pairs.mask, zero, pairs.teacher)) ** 2
    else:
        losses = functional.softplus(difference + gap) if form == "logistic" else (difference + gap).relu()
    return _terms.reduce(losses, ~pairs.mask, pairs.weights, how, counted)


def _read(positive: Tensor, negative: Tensor, mask: object, weights: object, teacher: object) -> _Pairs:
    """Validate scores, mask, weights and teacher, and give all of them the shape of the pairs."""
    scores = _terms.as_scores(negative, "negative", (1, 2), "(B, M) or (B,)")
    references = _terms.as_scores(positive, "positive", (1, 2), "(B,), (B, 1) or (B, M)")
    shape = tuple(scores.shape)
    per_row = [(shape[0],), (shape[0], 1)] if scores.ndim == 2 else []
    references = _terms.as_numbers(references, "positive", scores, shape, *per_row)
    left_out = _terms.as_mask(mask, scores, shape)
    own = _terms.as_weights(weights, scores, shape, *per_row)
    margins = None if teacher is None else _terms.as_numbers(teacher, "teacher", scores, shape)
    references = _expand(references, shape)
    _terms.refuse_nan(scores, "negative", ~left_out)
    _terms.refuse_nan(references, "positive", ~left_out)
    return _Pairs(references, scores, left_out, None if own is None else _expand(own, shape), margins)


def _expand(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Give values per row the shape of the pairs."""
    if values.ndim == 1 and len(shape) == 2:
        values = values[:, None]
    return values.expand(shape)


def _hardest(pairs: _Pairs, number: int) -> _Pairs:
    """Keep the pairs with the highest negative scores of every row, ties by column, masked ones last."""
    if pairs.negative.ndim != 2:
        raise NegmineValueError(
            f"`negative` must have shape (B, M) if `hardest` is given; got {tuple(pairs.negative.shape)}."
        )
    scores = pairs.negative.detach().masked_fill(pairs.mask, -torch.inf)
    order = scores.argsort(dim=1, descending=True, stable=True)
    # Scores of -inf that count come before masked ones.
    order = order.gather(1, pairs.mask.gather(1, order).to(torch.uint8).argsort(dim=1, stable=True))
    chosen = order[:, :number]
    return _Pairs(*(None if part is None else part.gather(1, chosen) for part in pairs))  # type: ignore[arg-type]
