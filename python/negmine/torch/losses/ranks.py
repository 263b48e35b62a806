"""LambdaLoss for the reciprocal rank, as in ADORE (Zhan et al., SIGIR 2021)."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor
from torch.nn import functional

from negmine._core.options import check_integer, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.losses import _terms
from negmine.torch.losses._terms import Counts, Reduction, Values

__all__ = ["lambda_mrr"]


@overload
def lambda_mrr(
    scores: Tensor,
    labels: Values,
    *,
    cut: int,
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[False] = False,
) -> Tensor: ...


@overload
def lambda_mrr(
    scores: Tensor,
    labels: Values,
    *,
    cut: int,
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[True],
) -> tuple[Tensor, Counts]: ...


@refuse_unknown_options("lambda_mrr")
def lambda_mrr(
    scores: Tensor,
    labels: Values,
    *,
    cut: int,
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, Counts]:
    """Compute the loss of the pairs of a ranked list, each weighted by the reciprocal rank that a swap would change.

    For a relevant document a and another document b of one row, the loss is
    ``abs(rr[a] - rr[b]) * softplus(score[b] - score[a])``, where ``rr`` is 1 / rank up to rank ``cut`` and 0 beyond.
    The loss of a row is the mean over its pairs.

    Parameters
    ----------
    scores : float Tensor (B, K)
        Scores of the documents, computed with gradient, in the order in which they were retrieved: the rank of a
        document is its column, from 1, not the place of its score. A positive that was not retrieved is appended.
    labels : bool or int Tensor or array (B, K)
        Whether each document is relevant: True, or above 0.
    cut : int
        Last rank with a reciprocal rank above 0, at least 0; 0 makes every loss 0.
    mask : bool Tensor or array (B, K), optional
        True where a document must not count, such as the padding of shorter lists. What is masked may hold anything.
    weights : float Tensor or array (B,), optional
        Weight of every row.
    reduction : {"mean", "weighted_mean", "sum", "none"}, default "mean"
        ``"mean"``: sum of weight times loss, over the number of rows that count. ``"weighted_mean"``: over the sum of
        their weights. ``"sum"``. ``"none"``: one loss per row, 0 where it does not count.
    return_counts : bool, default False
        Whether to return how many rows count as well.

    Returns
    -------
    Tensor
        The loss: float64 for float64 scores, otherwise float32; 0, with gradient 0, if no row counts.
    Counts
        The number of rows that count, if ``return_counts``: those with a relevant document and another one.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        Shapes or devices differ, ``cut`` is below 0, or, on the CPU, a score that counts is NaN.

    Notes
    -----
    Zhan et al., "Optimizing Dense Retrieval Model Training with Hard Negatives", SIGIR 2021: document embeddings are
    frozen, the query is searched at every step, and ``cut`` is the number of retrieved documents. Memory is that of
    B x K x K scores.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import lambda_mrr
    >>> lambda_mrr(torch.tensor([[2.0, 1.5, 1.0, 0.5, 0.0]]), torch.tensor([[0, 0, 1, 0, 0]]), cut=200)
    tensor(0.2798)
    """
    last = check_integer(cut, "cut", least=0)
    how, counted = _terms.check_reduction(reduction, return_counts)
    values = _terms.as_scores(scores, "scores", (2,), "(B, K)")
    n_rows, n_columns = values.shape
    relevant = _terms.moved(labels, "labels", values.device)
    if relevant.is_floating_point() or relevant.is_complex():
        raise NegmineTypeError(f"`labels` must be bool or integers; got {relevant.dtype}.")
    if relevant.shape != values.shape:
        raise NegmineValueError(f"`labels` must have shape {(n_rows, n_columns)}; got {tuple(relevant.shape)}.")
    left_out = _terms.as_mask(mask, values, (n_rows, n_columns))
    own = _terms.as_weights(weights, values, (n_rows,))
    _terms.refuse_nan(values, "scores", ~left_out)
    values = torch.where(left_out, torch.zeros_like(values), values)
    ranks = torch.arange(1, n_columns + 1, device=values.device)
    gain = ranks.to(values.dtype).reciprocal() * (ranks <= last)
    pairs = ((relevant > 0) & ~left_out)[:, :, None] & ((relevant <= 0) & ~left_out)[:, None, :]
    swap = (gain[:, None] - gain[None, :]).abs()
    each = swap * functional.softplus(values[:, None, :] - values[:, :, None])
    number = pairs.sum(dim=(1, 2))
    losses = _terms.mean_of(torch.where(pairs, each, torch.zeros_like(each)).sum(dim=(1, 2)), number)
    return _terms.reduce(losses, number > 0, own, how, counted)
