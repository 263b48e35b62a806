"""Losses of log-ratios of a model and a reference model: DPO, NPO and D2O."""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

import torch
from torch import Tensor
from torch.nn import functional

from negmine._core.options import check_choice, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.losses import _terms
from negmine.torch.losses._terms import Counts, Reduction, Values

__all__ = ["preference"]

Kind: TypeAlias = Literal["dpo", "npo", "d2o"]

KINDS = ("dpo", "npo", "d2o")


@overload
def preference(
    chosen: Tensor | None,
    rejected: Tensor,
    *,
    kind: Kind = "dpo",
    beta: float = 0.1,
    alpha: float | None = None,
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[False] = False,
) -> Tensor: ...


@overload
def preference(
    chosen: Tensor | None,
    rejected: Tensor,
    *,
    kind: Kind = "dpo",
    beta: float = 0.1,
    alpha: float | None = None,
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: Literal[True],
) -> tuple[Tensor, Counts]: ...


@refuse_unknown_options("preference")
def preference(
    chosen: Tensor | None,
    rejected: Tensor,
    *,
    kind: Kind = "dpo",
    beta: float = 0.1,
    alpha: float | None = None,
    mask: Values | None = None,
    weights: Values | None = None,
    reduction: Reduction = "mean",
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, Counts]:
    """Compute a preference loss of log-ratios: log-probabilities of a model minus those of a reference model.

    Parameters
    ----------
    chosen : float Tensor (B,) or (B, K), or None
        Log-ratios of the chosen responses, summed over the tokens of each; under ``"d2o"`` those of K responses per
        row, which the model itself gave; under ``"npo"`` None.
    rejected : float Tensor (B,)
        Log-ratios of the rejected responses, summed over the tokens of each.
    kind : {"dpo", "npo", "d2o"}, default "dpo"
        ``"dpo"``: ``softplus(beta * (rejected - chosen))``. ``"npo"``: ``2 / beta * softplus(beta * rejected)``.
        ``"d2o"``: ``softplus(alpha * rejected - beta * mean(chosen))``.
    beta : float, default 0.1
        Factor of the log-ratios, greater than 0.
    alpha : float, optional
        Factor of the rejected ones under ``"d2o"``, at least 0. Default: ``beta``.
    mask : bool Tensor or array (B,), or (B, K) under "d2o", optional
        True where a row, or a chosen response, must not count. What is masked may hold anything.
    weights : float Tensor or array (B,), optional
        Weight of every row.
    reduction : {"mean", "weighted_mean", "sum", "none"}, default "mean"
        ``"mean"``: sum of weight times loss, over the number of rows that count. ``"weighted_mean"``: over the sum of
        their weights. ``"sum"``. ``"none"``: one loss per row, 0 where it does not count.
    return_counts : bool, default False
        Whether to return how many rows count as well; under ``"d2o"``, those with a chosen response.

    Returns
    -------
    Tensor
        The loss: float64 for float64 log-ratios, otherwise float32; 0, with gradient 0, if no row counts.
    Counts
        The number of rows that count, if ``return_counts``.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or ``chosen`` is missing.
    NegmineValueError
        Shapes or devices differ, an option belongs to another kind, or, on the CPU, a log-ratio that counts is NaN.

    Notes
    -----
    Rafailov et al., "Direct Preference Optimization", NeurIPS 2023; Zhang et al., "Negative Preference Optimization",
    COLM 2024; Duan et al., "Negating Negatives" (2024), on distributional dispreference optimization. The gradient of
    NPO weighs a row by ``2 * sigmoid(beta * rejected)``, which vanishes as the response is forgotten. Compute
    log-ratios in float32: sums over many tokens lose digits in 16 bits.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import preference
    >>> preference(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]))
    tensor(0.6688)
    >>> preference(None, torch.tensor([-10.0, 0.0]), kind="npo")
    tensor(10.0641)
    """
    check_choice(kind, "kind", KINDS)
    factor = check_real(beta, "beta", above=0.0)
    if alpha is not None and kind != "d2o":
        raise NegmineValueError(f"`alpha` must be None unless `kind` is 'd2o'; got {alpha!r}.")
    other = factor if alpha is None else check_real(alpha, "alpha", least=0.0)
    how, counted = _terms.check_reduction(reduction, return_counts)
    ratios = _terms.as_scores(rejected, "rejected", (1,), "(B,)")
    own = _terms.as_weights(weights, ratios, tuple(ratios.shape))
    preferred = _chosen(chosen, ratios, kind)
    left_out = _terms.as_mask(mask, ratios, tuple(ratios.shape if preferred is None else preferred.shape))
    counts = ~left_out.all(dim=1) if left_out.ndim == 2 else ~left_out
    _terms.refuse_nan(ratios, "rejected", counts)
    ratios = torch.where(counts, ratios, torch.zeros_like(ratios))
    if preferred is None:
        return _terms.reduce(2.0 / factor * functional.softplus(factor * ratios), counts, own, how, counted)
    _terms.refuse_nan(preferred, "chosen", ~left_out)
    preferred = torch.where(left_out, torch.zeros_like(preferred), preferred)
    if kind == "d2o":
        preferred = _terms.mean_of(preferred.sum(dim=1), (~left_out).sum(dim=1))
    scale = other if kind == "d2o" else factor
    return _terms.reduce(functional.softplus(scale * ratios - factor * preferred), counts, own, how, counted)


def _chosen(chosen: Tensor | None, rejected: Tensor, kind: str) -> Tensor | None:
    """Validate the chosen log-ratios, of the shape that the kind of loss has."""
    if kind == "npo":
        if chosen is not None:
            raise NegmineValueError(f"`chosen` must be None if `kind` is 'npo'; got {type(chosen).__name__}.")
        return None
    if chosen is None:
        raise NegmineTypeError(f"`chosen` must be given if `kind` is {kind!r}; got None.")
    n = len(rejected)
    if kind == "dpo":
        read = _terms.as_scores(chosen, "chosen", (1,), "(B,)")
        return _terms.as_numbers(read, "chosen", rejected, (n,))
    read = _terms.as_scores(chosen, "chosen", (2,), "(B, K)")
    return _terms.as_numbers(read, "chosen", rejected, (n, read.shape[1]))
