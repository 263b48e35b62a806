"""Attention to all behaviors, and to the nearest by Hamming distance (ETA, Chen et al.): baselines of SDIM."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from negmine import _native
from negmine._core.arrays import as_rows
from negmine._core.options import check_integer, check_real
from negmine.torch.histories._attention import (
    Hashed,
    Histories,
    attend,
    mark_non_finite,
    mask_rows,
    only_shape,
    outside_of_graphs,
    read_histories,
    refuse_non_finite,
)

__all__ = ["ETA", "TargetAttention"]


def _checked(out: Tensor, read: Histories) -> Tensor:
    """Refuse NaN and infinity if the check does not wait for a device; otherwise mark them in the output."""
    if not out.is_cpu or torch.compiler.is_compiling():
        return out if out.is_meta else mark_non_finite(out, read)
    refuse_non_finite(out, read)
    return out


def _scale(scale: float | None, dim: int) -> float:
    """Return the factor of scores before the softmax."""
    return dim**-0.5 if scale is None else check_real(scale, "scale", above=0.0)


class TargetAttention(nn.Module):
    """Softmax attention of candidates to whole histories: the exact baseline of SDIM and ETA.

    Weights are ``softmax(candidate . behavior * scale)`` over the behaviors that are present. The module has no
    parameters.

    Parameters
    ----------
    dim : int
        Width of candidates and behaviors.
    scale : float, optional
        Factor of scores before the softmax. Default: ``dim ** -0.5``.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch import TargetAttention
    >>> TargetAttention(16)(torch.randn(5, 16), torch.randn(100, 16)).shape
    torch.Size([5, 16])
    """

    def __init__(self, dim: int, *, scale: float | None = None) -> None:
        super().__init__()
        self.dim = check_integer(dim, "dim", least=1)
        self.scale = _scale(scale, self.dim)

    def forward(
        self, candidates: Tensor, behaviors: Tensor, mask: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        """Pool each history for each of its candidates.

        Parameters
        ----------
        candidates : Tensor (U, d), (U, C, d) or (C, d)
            Candidates that attend to the histories.
        behaviors : Tensor (U, L, d), or (L, d) for one history
            Behaviors that candidates are compared with.
        mask : bool Tensor (U, L) or (L,), optional
            True where a behavior is present. Default: all are.
        values : Tensor (U, L, dv) or (L, dv), optional
            Values to pool. Default: ``behaviors``.

        Returns
        -------
        Tensor (U, dv), (U, C, dv) or (C, dv)
            Pooled values, of the dtype of ``values``.
        """
        read = read_histories(candidates, behaviors, mask, values, self.dim)
        return _checked(attend(read, self.scale), read).reshape(read.shape)


class ETA(Hashed):
    """End-to-end target attention (ETA): softmax attention to the nearest behaviors by Hamming distance.

    Parameters
    ----------
    dim : int
        Width of candidates and behaviors.
    top_k : int
        Number of behaviors that a candidate attends to; ties go to the earlier one.
    m : int, default 48
        Number of bits of the hash.
    seed : int, default 0
        Seed of the projections.
    scale : float, optional
        As in [`TargetAttention`][].
    center : float (dim,), optional
        As in [`negmine.SimHash`][].

    Attributes
    ----------
    hasher : SimHash
        The hash. Loading a ``state_dict()`` replaces it.

    Notes
    -----
    Chen et al., arXiv 2108.04468. The distance is the number of bits that differ (XOR and population count), not a
    difference of packed integers.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch import ETA
    >>> ETA(16, top_k=10)(torch.randn(5, 16), torch.randn(100, 16)).shape
    torch.Size([5, 16])
    """

    def __init__(
        self,
        dim: int,
        *,
        top_k: int,
        m: int = 48,
        seed: int = 0,
        scale: float | None = None,
        center: object = None,
    ) -> None:
        # Use the widest signatures that divide m: fewer words to compare.
        bits = check_integer(m, "m", least=1)
        super().__init__(dim, bits, next(tau for tau in range(31, 0, -1) if bits % tau == 0), seed, center)
        self.top_k = check_integer(top_k, "top_k", least=1)
        self.scale = _scale(scale, dim)

    def forward(
        self, candidates: Tensor, behaviors: Tensor, mask: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        """Pool the nearest behaviors of each candidate.

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
        users, n, dim = read.candidates.shape
        if read.candidates.is_meta:
            return only_shape(read)
        if read.behaviors.shape[1] == 0:
            return read.values.new_zeros(read.shape)
        rows = outside_of_graphs(_native_nearest, read, self) if read.candidates.is_cpu else self.nearest(read)
        near = rows.shape[-1]
        found = rows >= 0
        rows = rows.clamp(min=0).reshape(users, n * near)
        keys, values = (
            x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1])).reshape(users * n, near, x.shape[-1])
            for x in (read.behaviors, read.values)
        )
        nearest = Histories(
            read.candidates.reshape(users * n, 1, dim), keys, found.reshape(users * n, near), values, ()
        )
        out = attend(nearest, self.scale).reshape(users, n, values.shape[-1])
        return _checked(out, read).reshape(read.shape)

    def nearest(self, read: Histories) -> Tensor:
        """Find the nearest behaviors by torch operations, on any device.

        Parameters
        ----------
        read : Histories
            Candidates (U, C, d), behaviors (U, L, d), mask (U, L) or None.

        Returns
        -------
        int64 Tensor (U, C, k)
            Rows of behaviors, nearest first, ties by row, padded with -1.
        """
        (wanted, wanting), (known, there) = self.bits(read.candidates), self.bits(read.behaviors)
        there = there if read.mask is None else there & read.mask
        # With bits as -1 and 1, m minus the product is twice the distance; exact in float32.
        signs = [2.0 * bits.float() - 1.0 for bits in (wanted, known)]
        distance = (self.hasher.m - signs[0] @ signs[1].transpose(1, 2)).long() // 2
        length = known.shape[1]
        allowed = there[:, None] & wanting[..., None]
        order = torch.where(allowed, distance, self.hasher.m + 1) * length + torch.arange(length, device=known.device)
        best = order.topk(min(self.top_k, length), dim=-1, largest=False, sorted=True).values
        return torch.where(best < (self.hasher.m + 1) * length, best % length, -1)


def _native_nearest(read: Histories, module: ETA) -> Tensor:
    """Find the nearest behaviors (U, C, k) in Rust."""
    users, length, dim = read.behaviors.shape
    threads = torch.get_num_threads()
    mask = mask_rows(read)
    hasher = module.hasher
    known = hasher.hash_rows(as_rows(read.behaviors.reshape(-1, dim).detach(), "behaviors"), "behaviors", mask, threads)
    wanted = hasher.hash_rows(
        as_rows(read.candidates.reshape(-1, dim).detach(), "candidates"), "candidates", None, threads
    )
    rows = _native.nearest(wanted, known, users, min(module.top_k, length), threads)
    first = np.repeat(np.arange(users) * length, len(wanted) // max(users, 1))[:, None]
    near = torch.from_numpy(np.where(rows < 0, -1, rows - first))
    return near.reshape(*read.candidates.shape[:2], rows.shape[1])
