"""InfoNCE over a bank of embeddings, with a log-sum-exp that streams over tiles, as SPN4CIR's second stage needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from negmine._core.arrays import as_int64s, as_offsets
from negmine._core.options import check_integer, check_real, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch.losses import _terms
from negmine.torch.losses._terms import Counts, Reduction, Values

__all__ = ["bank"]

#: Offsets and columns, as [`negmine.batches.false_negative_pairs`][] returns them.
Lists: TypeAlias = tuple[Values, Values]


class _Scores(NamedTuple):
    """What defines the scores that count: scaled, masked, a tile at a time."""

    target: Tensor
    #: True where a column must not count; or None.
    dense: Tensor | None
    #: Masked pairs, sorted by column, with where each tile's begin; or None.
    pairs: tuple[Tensor, Tensor, list[int]] | None
    temperature: float
    tile: int

    def tiles(self, queries: Tensor, bank: Tensor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
        """Yield, per tile, its first column, its rows of the bank, its scores (B, tile), and the target's place.

        The place is (B, 1), with -1 where the target is in another tile. The caller may overwrite the scores.
        """
        scaled = queries / self.temperature
        for number, begin in enumerate(range(0, len(bank), self.tile)):
            rows = bank[begin : begin + self.tile].to(queries.dtype)
            scores = scaled @ rows.T
            place = self.target[:, None] - begin
            place = torch.where((place >= 0) & (place < len(rows)), place, -1)
            mask = self._mask(number, begin, scores)
            if mask is not None:
                columns = torch.arange(len(rows), device=scores.device)
                scores = scores.masked_fill_(mask & (columns != place), -torch.inf)
            yield begin, rows, scores, place

    def _mask(self, number: int, begin: int, scores: Tensor) -> Tensor | None:
        if self.dense is not None:
            return self.dense[:, begin : begin + self.tile]
        if self.pairs is None:
            return None
        rows, columns, bounds = self.pairs
        inside = slice(bounds[number], bounds[number + 1])
        mask = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
        mask[rows[inside], columns[inside] - begin] = True
        return mask


@overload
def bank(
    queries: Tensor,
    bank: Tensor,
    target: Values,
    *,
    mask: Values | Lists | None = None,
    weights: Values | None = None,
    temperature: float,
    tile: int = 8192,
    reduction: Reduction = "mean",
    return_counts: Literal[False] = False,
) -> Tensor: ...


@overload
def bank(
    queries: Tensor,
    bank: Tensor,
    target: Values,
    *,
    mask: Values | Lists | None = None,
    weights: Values | None = None,
    temperature: float,
    tile: int = 8192,
    reduction: Reduction = "mean",
    return_counts: Literal[True],
) -> tuple[Tensor, Counts]: ...


@refuse_unknown_options("bank")
def bank(
    queries: Tensor,
    bank: Tensor,
    target: Values,
    *,
    mask: Values | Lists | None = None,
    weights: Values | None = None,
    temperature: float,
    tile: int = 8192,
    reduction: Reduction = "mean",
    return_counts: bool = False,
) -> Tensor | tuple[Tensor, Counts]:
    """Compute InfoNCE of queries over all rows of a bank, without a matrix of all scores.

    It equals [`listwise`][] of ``queries @ bank.T``, but holds the scores of one tile at a time, forward and
    backward: memory is that of B x tile scores and of the gradients. Scores are computed once if the bank is frozen,
    and again in the backward pass if it requires a gradient.

    Parameters
    ----------
    queries : float Tensor (B, width)
        Embeddings of the queries; normalize them for cosine similarity.
    bank : float Tensor (M, width)
        Embeddings of all documents, usually frozen; they get a gradient if they require it.
    target : int64 Tensor or array (B,)
        Row of the bank that is each query's positive, or -1 for a query that does not count.
    mask : bool Tensor or array (B, M), or a tuple of two int64 arrays, optional
        True where a row of the bank must not count; or the same as lists, ``(offsets, columns)``, as
        [`negmine.batches.false_negative_pairs`][] returns them, which need no memory for what is not masked. A
        query's own positive counts in any case.
    weights : float Tensor or array (B,), optional
        Weight of every query.
    temperature : float
        Divisor of the scores, greater than 0; the released script of SPN4CIR has .02.
    tile : int, default 8192
        Number of rows of the bank that are scored at once. It changes the loss by rounding only.
    reduction : {"mean", "weighted_mean", "sum", "none"}, default "mean"
        ``"mean"``: sum of weight times loss, over the number of queries that count. ``"weighted_mean"``: over the sum
        of their weights. ``"sum"``. ``"none"``: one loss per query, 0 where it does not count.
    return_counts : bool, default False
        Whether to return how many queries count as well.

    Returns
    -------
    Tensor
        The loss: float64 for float64 queries, otherwise float32; 0, with gradient 0, if no query counts.
    Counts
        The number of queries that count, if ``return_counts``.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        Shapes or devices differ, a masked column is out of range, or, on the CPU, a target is or an embedding is NaN.

    Notes
    -----
    Feng et al., "Improving Composed Image Retrieval via Contrastive Learning with Scaling Positives and Negatives", ACM
    MM 2024: the bank holds all images, encoded once. A row of zeros that was never filled scores 0 like any other, so
    mask it. The scores are computed in the dtype of ``queries``, float32 for 16 bits, also under autocast; a bank of 16
    bits is widened by tiles. Second derivatives are not available.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import bank
    >>> images = torch.tensor([[0.6, 0.8], [0.8, 0.6], [0.0, 1.0]])
    >>> bank(torch.tensor([[0.6, 0.8]]), images, torch.tensor([0]), temperature=0.02)
    tensor(0.1270)
    """
    divisor = check_real(temperature, "temperature", above=0.0)
    width = check_integer(tile, "tile", least=1)
    how, counted = _terms.check_reduction(reduction, return_counts)
    rows = _terms.as_scores(queries, "queries", (2,), "(B, width)")
    # Only its shape is needed here: the bank itself is widened by tiles.
    _terms.as_scores(bank[:0] if isinstance(bank, Tensor) and bank.ndim else bank, "bank", (2,), "(M, width)")
    if bank.shape[1] != rows.shape[1]:
        raise NegmineValueError(f"`bank` must be as wide as the queries, {rows.shape[1]}; got {tuple(bank.shape)}.")
    if bank.device != rows.device:
        raise NegmineValueError(f"`bank` must be on {rows.device}, as the queries are; got {bank.device}.")
    columns = _terms.as_targets(target, rows, len(rows), len(bank))
    own = _terms.as_weights(weights, rows, (len(rows),))
    counts = columns >= 0
    _terms.refuse_nan(rows, "queries", counts[:, None])
    _terms.refuse_nan(bank, "bank")
    # What does not count may hold anything, so it must not enter the gradient of the bank.
    rows = torch.where(counts[:, None], rows, torch.zeros_like(rows))
    dense = lists = None
    if isinstance(mask, tuple):
        lists = _pairs(mask, len(rows), len(bank), width, rows.device)
    elif mask is not None:
        dense = _terms.as_mask(mask, rows, (len(rows), len(bank)))
    frozen = torch.is_grad_enabled() and rows.requires_grad and not bank.requires_grad
    losses = _Bank.apply(rows, bank, _Scores(columns, dense, lists, divisor, width), frozen)
    return _terms.reduce(losses, counts, own, how, counted)


def _pairs(
    mask: tuple[object, ...], n_rows: int, n_columns: int, tile: int, device: torch.device
) -> tuple[Tensor, Tensor, list[int]]:
    """Validate masked lists, and sort their pairs by column, so that those of a tile follow each other."""
    if len(mask) != 2:
        raise NegmineTypeError(f"`mask` must be a tensor, or offsets and columns; got a tuple of {len(mask)}.")
    first, second = (part.cpu().numpy() if isinstance(part, Tensor) else part for part in mask)
    columns = as_int64s(second, "mask[1]")
    offsets = as_offsets(first, "mask[0]", len(columns), "columns")
    if len(offsets) != n_rows + 1:
        raise NegmineValueError(f"`mask[0]` must have shape ({n_rows + 1},); got {offsets.shape}.")
    bad = (columns < 0) | (columns >= n_columns)
    if bad.any():
        place = int(bad.argmax())
        raise NegmineValueError(
            f"`mask[1]` must hold columns from 0 to {n_columns - 1}; got {columns[place]} at place {place}."
        )
    rows = np.repeat(np.arange(n_rows), np.diff(offsets))
    order = np.argsort(columns, kind="stable")
    bounds: npt.NDArray[Any] = np.searchsorted(columns[order], np.arange(0, n_columns + tile, tile))
    sorted_rows, sorted_columns = (torch.from_numpy(part[order]).to(device) for part in (rows, columns))
    return sorted_rows, sorted_columns, bounds.tolist()


def _full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Switch autocast off, which would multiply in 16 bits."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


class _Bank(torch.autograd.Function):
    """Loss of every query, 0 where it has no target.

    If the bank is frozen, the forward pass also sums the rows of the bank, weighted by their softmax, which is the
    gradient of the queries but for the target's row. Otherwise the backward pass computes the scores again.
    """

    @staticmethod
    def forward(ctx: Any, queries: Tensor, bank: Tensor, scores: _Scores, frozen: bool) -> Tensor:  # noqa: ANN401
        # Sums in float64, so that the tiles change nothing that float32 shows; not every device has it.
        wide = torch.float32 if queries.device.type == "mps" else torch.float64
        highest = torch.full((len(queries), 1), -torch.inf, dtype=queries.dtype, device=queries.device)
        total = torch.zeros((len(queries), 1), dtype=wide, device=queries.device)
        own = torch.zeros_like(highest)
        mean = torch.zeros_like(queries) if frozen else None
        with _full_precision(queries.device):
            for _, rows, values, place in scores.tiles(queries, bank):
                own = torch.where(place >= 0, values.gather(1, place.clamp(min=0)), own)
                higher = torch.maximum(highest, values.amax(dim=1, keepdim=True))
                # Where everything so far is masked, the highest score is -inf, and a difference would be NaN.
                shift = torch.where(higher == -torch.inf, torch.zeros_like(higher), higher)
                rescale = (highest - shift).to(wide).exp()
                total = total * rescale + values.sub_(shift).exp_().sum(dim=1, keepdim=True, dtype=wide)
                if mean is not None:
                    mean = torch.addmm(mean * rescale.to(mean.dtype), values, rows)
                highest = higher
        if mean is not None:
            mean = mean / total.to(mean.dtype)
        ctx.save_for_backward(queries, bank, highest, total, mean)
        ctx.scores = scores
        losses = (highest - own).to(wide) + total.log()
        return torch.where(scores.target[:, None] >= 0, losses, torch.zeros_like(losses))[:, 0].to(queries.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # noqa: ANN401
        queries, bank, highest, total, mean = ctx.saved_tensors
        if mean is not None:
            return _of_frozen(mean, bank, ctx.scores, gradient), None, None, None
        of_queries = torch.zeros_like(queries) if ctx.needs_input_grad[0] else None
        of_bank = torch.zeros_like(bank) if ctx.needs_input_grad[1] else None
        counts = ctx.scores.target >= 0
        factor = torch.where(counts, gradient, torch.zeros_like(gradient))[:, None] / ctx.scores.temperature
        with _full_precision(queries.device):
            for begin, rows, values, place in ctx.scores.tiles(queries, bank):
                values = values.sub_(highest).exp_().div_(total.to(values.dtype))
                ones = torch.where(place >= 0, -torch.ones_like(factor), torch.zeros_like(factor))
                values = values.scatter_add_(1, place.clamp(min=0), ones).mul_(factor)
                # A row without a target may have all columns masked, and is NaN then.
                values = values.masked_fill_(~counts[:, None], 0.0)
                if of_queries is not None:
                    of_queries += values @ rows
                if of_bank is not None:
                    of_bank[begin : begin + len(rows)] = (values.T @ queries).to(bank.dtype)
        return of_queries, of_bank, None, None


def _of_frozen(mean: Tensor, bank: Tensor, scores: _Scores, gradient: Tensor) -> Tensor:
    """Return the gradient of the queries: the mean row of the bank under their softmax, minus the row of the target."""
    if len(bank) == 0:
        return torch.zeros_like(mean)
    counts = scores.target >= 0
    factor = torch.where(counts, gradient, torch.zeros_like(gradient))[:, None] / scores.temperature
    difference = mean - bank[scores.target.clamp(min=0)].to(mean.dtype)
    # A row without a target may have all columns masked, and is NaN then.
    return factor * difference.masked_fill(~counts[:, None], 0.0)
