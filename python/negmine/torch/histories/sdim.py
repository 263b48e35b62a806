"""SDIM: attention of candidates to long histories by hashing (Cao et al., CIKM 2022, arXiv 2205.10249).

On the CPU it runs in Rust, forward and backward, with the same bits for any number of threads and any instruction set.
On other devices it uses torch operations, which take signs from float64 products in torch's order: a bit can differ
only where a product is within ``d * 2**-52`` of its norms (on ``mps``, which has no float64, ``d * 2**-23``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from negmine import _native
from negmine._core.arrays import Rows, as_rows
from negmine._core.options import check_choice, check_flag
from negmine.behavior.table import NORMALIZE, Normalize
from negmine.torch.histories._attention import (
    Hashed,
    Histories,
    mark_non_finite,
    mask_rows,
    only_shape,
    outside_of_graphs,
    read_histories,
)

__all__ = ["SDIM"]

#: Lower bound of norms: smaller ones are replaced by it.
_LEAST_NORM = 1e-12


class SDIM(Hashed):
    """Sampling-based deep interest modeling (SDIM): attention over long histories by hashing.

    Behaviors and candidates are hashed into ``m / tau`` groups of ``2 ** tau`` buckets. In each group, a candidate
    reads the behaviors in its bucket. The cost per candidate does not depend on the length of the history. Bits carry
    no gradient: it flows to ``values``, and to everything that computed them.

    Parameters
    ----------
    dim : int
        Width of candidates and behaviors.
    m : int, default 48
        Number of bits of the hash.
    tau : int, default 3
        Bits per signature; must divide ``m``.
    seed : int, default 0
        Seed of the projections, which are not trained.
    normalize : {"l2", "mean", "sum", "ratio"}, default "l2"
        What a candidate reads from its buckets, as in [`negmine.behavior.BehaviorTable.query`][].
    skip_empty : bool, default False
        Whether to average only over groups whose bucket is not empty.
    center : float (dim,), optional
        As in [`negmine.SimHash`][].

    Attributes
    ----------
    hasher : SimHash
        The hash. For serving, build a [`negmine.behavior.BehaviorTable`][] with it, after loading a
        ``state_dict()``, which replaces the hash. ``table.query(candidates, hasher=module.hasher)`` refuses a table of
        another hash; with the module's ``normalize`` and ``skip_empty`` it returns what the module returns.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As [`negmine.SimHash`][], and if shapes do not fit.

    Notes
    -----
    Cao et al., arXiv 2205.10249, CIKM 2022, section 3.2. ``state_dict()`` holds the seed instead of the projections,
    and loading one adopts its seed. The computation is in float32 even under autocast; the output has the dtype of
    ``values``. On the CPU a call is a graph break under ``torch.compile``, and runs on ``torch.get_num_threads()``
    threads.

    SDIM does not pay off for short histories. The forward pass on one Zen 4 thread at width 64, for 1,000 users with
    200 behaviors and 20 candidates each, takes a tenth longer than full attention; SDIM is twice as fast for 200
    behaviors with 100 candidates. With the backward pass it is two and three times as fast
    (``benches/python/sdim.py``).

    Examples
    --------
    >>> import torch
    >>> from negmine.torch import SDIM
    >>> pool = SDIM(16)
    >>> history = torch.randn(2, 100, 16, requires_grad=True)
    >>> mask = torch.arange(100) < torch.tensor([[100], [60]])
    >>> interest = pool(torch.randn(2, 5, 16), history, mask)
    >>> interest.shape
    torch.Size([2, 5, 16])
    >>> interest.sum().backward()
    >>> bool((history.grad[1, 60:] == 0).all())
    True
    """

    def __init__(
        self,
        dim: int,
        *,
        m: int = 48,
        tau: int = 3,
        seed: int = 0,
        normalize: Normalize = "l2",
        skip_empty: bool = False,
        center: object = None,
    ) -> None:
        super().__init__(dim, m, tau, seed, center)
        self.normalize = check_choice(normalize, "normalize", NORMALIZE)
        self.skip_empty = check_flag(skip_empty, "skip_empty")

    def extra_repr(self) -> str:
        """Return the parameters of the module, as text.

        Returns
        -------
        str
            Parameters of the hash, ``normalize`` and ``skip_empty``.
        """
        return f"{super().extra_repr()}, normalize={self.normalize!r}, skip_empty={self.skip_empty}"

    def forward(
        self, candidates: Tensor, behaviors: Tensor, mask: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        """Pool each history for each of its candidates.

        Parameters
        ----------
        candidates : Tensor (U, d), (U, C, d) or (C, d)
            Candidates that attend to the histories.
        behaviors : Tensor (U, L, d), or (L, d) for one history
            Behaviors to hash.
        mask : bool Tensor (U, L) or (L,), optional
            True where a behavior is present. Default: all are.
        values : Tensor (U, L, dv) or (L, dv), optional
            Values to pool. Default: ``behaviors``.

        Returns
        -------
        Tensor (U, dv), (U, C, dv) or (C, dv)
            Pooled values, of the dtype of ``values``.
        """
        read = read_histories(candidates, behaviors, mask, values, self.hasher.dim)
        if read.candidates.is_meta:
            out = only_shape(read)
        elif not read.candidates.is_cpu:
            out = self.pool(read.candidates, read.behaviors, read.mask, read.values).reshape(read.shape)
        else:
            out = outside_of_graphs(_native_pool, read, self)
        return out if out.dtype is read.values.dtype else out.to(read.values.dtype)

    def pool(self, candidates: Tensor, behaviors: Tensor, mask: Tensor | None, values: Tensor) -> Tensor:
        """Pool histories by torch operations, on any device.

        Parameters
        ----------
        candidates : Tensor (U, C, d)
            Candidates that attend to the histories.
        behaviors : Tensor (U, L, d)
            Behaviors to hash.
        mask : bool Tensor (U, L) or None
            True where a behavior is present.
        values : Tensor (U, L, dv)
            Values to pool.

        Returns
        -------
        float32 Tensor (U, C, dv)
            Pooled values.
        """
        known, there = self._cells(behaviors)
        wanted, wanting = self._cells(candidates)
        there = there if mask is None else there & mask
        users, length, groups = known.shape
        width, cells = values.shape[-1], groups * self.hasher.buckets
        with torch.autocast(values.device.type, enabled=False):
            # Each user has separate cells, and one more for behaviors that are not present.
            first = torch.arange(users, device=known.device)[:, None, None] * (cells + 1)
            place = (torch.where(there[..., None], known, cells) + first).reshape(-1)
            rows = torch.where(there[..., None], values.float(), 0.0)
            rows = rows[:, :, None].expand(users, length, groups, width).reshape(-1, width)
            sums = rows.new_zeros(users * (cells + 1), width).index_add(0, place, rows)
            counts = torch.bincount(place, minlength=len(sums)).float()
            if self.normalize == "l2":
                sums = functional.normalize(sums, dim=-1, eps=_LEAST_NORM)
            elif self.normalize == "mean":
                sums = sums / counts.clamp(min=1)[:, None]
            place = (torch.where(wanting[..., None], wanted, cells) + first).reshape(-1)
            # Behaviors that are not present are zeros, but they were counted.
            counts = torch.where(torch.arange(len(sums), device=sums.device) % (cells + 1) == cells, 0, counts)
            out = sums[place].reshape(users, -1, groups, width).sum(dim=2)
            hits = counts[place].reshape(users, -1, groups)
            if self.normalize == "ratio":
                out = out / hits.sum(dim=2).clamp(min=1)[..., None]
            elif self.skip_empty:
                out = out / (hits > 0).sum(dim=2).clamp(min=1)[..., None]
            else:
                out = out / groups
            return mark_non_finite(out, Histories(candidates, behaviors, there, values, ()))

    def _cells(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the cell of each row in each group, and whether the row has one."""
        bits, there = self.bits(x)
        powers = 2 ** torch.arange(self.hasher.tau, device=x.device)
        words = (bits.reshape(*bits.shape[:-1], self.hasher.groups, self.hasher.tau) * powers).sum(dim=-1)
        return words + torch.arange(self.hasher.groups, device=x.device) * self.hasher.buckets, there


def _native_pool(read: Histories, module: SDIM) -> Tensor:
    """Pool in Rust."""
    values = read.values.float()
    if values.requires_grad and torch.is_grad_enabled():
        pooled: Tensor = _Pool.apply(values, read, module)
        return pooled
    return _forward(values, read, module, keep=False)[0]


def _forward(values: Tensor, read: Histories, module: SDIM, *, keep: bool) -> tuple[Tensor, _native.SdimPass | None]:
    """Hash, fill tables and read them in one call."""
    keys = _rows(read.behaviors, "behaviors")
    out, kept = _native.sdim_forward(
        module.hasher._native,
        keys,
        mask_rows(read),
        _matrix(keys if values is read.behaviors else _rows(values, "values")),
        _rows(read.candidates, "candidates"),
        read.behaviors.shape[0],
        read.shape,
        module.normalize,
        module.skip_empty,
        keep,
        torch.get_num_threads(),
    )
    return torch.from_numpy(out), kept


# These conversions dominate a call on a short history, so the common kind of tensor takes a short path.
def _rows(x: Tensor, argument: str) -> Rows | npt.NDArray[np.float32]:
    """Flatten (U, n, width) to rows."""
    if x.dtype is torch.float32 and x.layout is torch.strided and not x.is_neg() and x.numel():
        rows: npt.NDArray[np.float32] = x.detach().numpy()
        return rows.reshape(-1, rows.shape[-1])
    return as_rows(x.reshape(-1, x.shape[-1]), argument)


def _matrix(rows: Rows | npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return rows as contiguous float32."""
    return np.ascontiguousarray(rows.array if isinstance(rows, Rows) else rows)


class _Pool(torch.autograd.Function):
    """Pooling with a gradient; the forward pass keeps signatures and tables for the backward pass."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, read: Histories, module: SDIM) -> Tensor:  # noqa: ANN401 (torch's signature)
        out, ctx.kept = _forward(values, read, module, keep=True)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 (torch's signature)
        # Gradients are recorded only if the caller differentiates them.
        return (_recorded if torch.is_grad_enabled() else _backward)(ctx, gradient)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 (torch's signature)
    found = ctx.kept.backward(_matrix(_rows(gradient, "gradient")), torch.get_num_threads())
    return torch.from_numpy(found), None, None


_recorded = torch.autograd.function.once_differentiable(_backward)
