"""Common parts of attention to histories: shapes of a call, softmax attention, and a module with a hash.

SDIM, ETA and TargetAttention share one call, ``module(candidates, behaviors, mask=None, values=None)``, with the shapes
of one of these rows::

    candidates (U, d)     behaviors (U, L, d)   ->  (U, dv)       one candidate for each history
    candidates (U, C, d)  behaviors (U, L, d)   ->  (U, C, dv)    several
    candidates (C, d)     behaviors (L, d)      ->  (C, dv)       one history

``mask`` (U, L) or (L,) is True where a behavior is present; ``values`` (U, L, dv) or (L, dv) are pooled, by default the
behaviors themselves. Padding is not read and gets no gradient, and a history without any behavior gives zeros.

The tensors may be views of any strides and of different floating-point types; the output has the type of ``values``. On
the CPU, NaN and infinity are errors that name the argument. On other devices, where a check would wait for the device,
they make the output NaN: that of the candidate, or of all candidates of the history. On the meta device only the shape
is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from negmine._core.formats import HASH_STATE
from negmine.behavior.hashing import digest_of
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.sketches.simhash import SimHash

__all__ = [
    "Hashed",
    "Histories",
    "attend",
    "mark_non_finite",
    "mask_rows",
    "only_shape",
    "outside_of_graphs",
    "read_histories",
    "refuse_non_finite",
]

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class Histories(NamedTuple):
    """Candidates (U, C, d), behaviors (U, L, d), mask (U, L) or None, values (U, L, dv), and the output's shape."""

    candidates: Tensor
    behaviors: Tensor
    mask: Tensor | None
    values: Tensor
    shape: tuple[int, ...]


def read_histories(
    candidates: Tensor, behaviors: Tensor, mask: Tensor | None, values: Tensor | None, dim: int
) -> Histories:
    """Reshape the arguments of a call to one of three shapes, and refuse any other shape."""
    given = (("candidates", candidates), ("behaviors", behaviors), ("mask", mask), ("values", values))
    for name, tensor in given:
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise NegmineTypeError(f"`{name}` must be a tensor; got {type(tensor).__name__}.")
        if tensor.layout is not torch.strided or tensor.is_nested:
            got = "a nested tensor" if tensor.is_nested else f"layout {tensor.layout}"
            raise NegmineTypeError(f"`{name}` must be a dense tensor; got {got}.")
        if tensor.device != candidates.device:
            raise NegmineValueError(
                f"`{name}` must be on {candidates.device}, as `candidates` are; got {tensor.device}."
            )
        if tensor is not mask and tensor.dtype not in _DTYPES:
            raise NegmineTypeError(
                f"`{name}` must hold floating-point numbers of 16, 32 or 64 bits; got {tensor.dtype}."
            )
    pooled = behaviors if values is None else values
    sizes = behaviors.shape
    if len(sizes) not in (2, 3) or sizes[-1] != dim:
        raise NegmineValueError(f"`behaviors` must have shape (U, L, {dim}) or (L, {dim}); got {tuple(sizes)}.")
    lead = sizes[:-1]
    if mask is not None and (mask.dtype != torch.bool or mask.shape != lead):
        raise NegmineValueError(f"`mask` must be bool of shape {tuple(lead)}; got {mask.dtype} {tuple(mask.shape)}.")
    *first, width = pooled.shape or (0,)
    if tuple(first) != lead or width == 0:
        raise NegmineValueError(f"`values` must have shape {(*lead, 'dv')}; got {tuple(pooled.shape)}.")
    users = sizes[0] if len(sizes) == 3 else None
    looking = candidates.shape
    fits = len(looking) in ((2,) if users is None else (2, 3)) and looking[-1] == dim
    if not fits or (users is not None and looking[0] != users):
        allowed = f"(C, {dim})" if users is None else f"({users}, {dim}) or ({users}, C, {dim})"
        raise NegmineValueError(f"`candidates` must have shape {allowed}; got {tuple(looking)}.")
    shape = (*looking[:-1], width)
    if users is None:
        behaviors, candidates = behaviors[None], candidates[None]
        pooled = behaviors if values is None else pooled[None]
        mask = None if mask is None else mask[None]
    elif len(looking) == 2:
        candidates = candidates[:, None]
    return Histories(candidates, behaviors, mask, pooled, shape)


def mask_rows(read: Histories) -> npt.NDArray[np.bool_] | None:
    """Return the mask as the core takes it, one entry per row of all histories."""
    return None if read.mask is None else np.ascontiguousarray(read.mask.reshape(-1).numpy())


def only_shape(read: Histories) -> Tensor:
    """Return the output on the meta device; a gradient flows to ``values``, as on other devices."""
    pooled = read.values.sum(dim=1, keepdim=True)
    return pooled.expand(-1, read.candidates.shape[1], -1).reshape(read.shape)


def outside_of_graphs(function: Callable[..., Tensor], *arguments: Any) -> Tensor:  # noqa: ANN401 (those of the function)
    """Call a function in Rust, which `torch.compile` leaves out of its graphs."""
    if not torch.compiler.is_compiling():
        return function(*arguments)  # a graph break would cost some microseconds
    from negmine.torch.histories._graph_breaks import uncompiled

    out: Tensor = uncompiled(function, *arguments)
    return out


def refuse_non_finite(out: Tensor, read: Histories) -> None:
    """Refuse NaN and infinity, and name the argument and the row.

    For the values, check the output first, which is much smaller.
    """
    separate = read.values is not read.behaviors
    if _is_finite(read.candidates) and _is_finite(out) and not (separate and _bad_rows(read, "behaviors").any()):
        return
    for name in ("candidates", "behaviors", "values"):
        bad = _bad_rows(read, name).reshape(-1)
        if bad.any():
            row = int(bad.nonzero()[0])
            rows: Tensor = getattr(read, name).detach()
            column = int((~rows.reshape(-1, rows.shape[-1])[row].isfinite()).nonzero()[0])
            raise NegmineValueError(f"`{name}` must be finite; row {row} holds NaN or infinity at column {column}.")


def mark_non_finite(out: Tensor, read: Histories) -> Tensor:
    """Make the output (U, C, dv) NaN where a candidate, or any entry of its history, is not finite."""
    bad = _bad_rows(read, "behaviors") | _bad_rows(read, "values")
    bad = _bad_rows(read, "candidates") | bad.any(dim=1, keepdim=True)
    return torch.where(bad[..., None], torch.full((), math.nan, dtype=out.dtype, device=out.device), out)


def _bad_rows(read: Histories, name: str) -> Tensor:
    """Find the rows of an argument that hold NaN or infinity; padding may hold anything."""
    rows: Tensor = getattr(read, name).detach()
    bad = ~rows.isfinite().all(dim=-1)
    return bad if read.mask is None or name == "candidates" else bad & read.mask


def _is_finite(x: Tensor) -> bool:
    # `aminmax` takes one pass and allocates nothing, unlike `isfinite`; it propagates NaN.
    return x.numel() == 0 or all(math.isfinite(end) for end in torch.stack(torch.aminmax(x.detach())).tolist())


def attend(read: Histories, scale: float) -> Tensor:
    """Compute softmax attention, zero for empty histories; padding may hold anything."""
    query, keys, values, mask = read.candidates, read.behaviors, read.values, read.mask
    kind = values.dtype
    if not query.dtype == keys.dtype == kind:
        common = torch.promote_types(torch.promote_types(query.dtype, keys.dtype), kind)
        wide = read._replace(candidates=query.to(common), behaviors=keys.to(common), values=values.to(common))
        return attend(wide, scale).to(kind)
    if keys.shape[1] == 0:
        return values.new_zeros(*query.shape[:2], values.shape[-1])
    if mask is None:
        return functional.scaled_dot_product_attention(query, keys, values, scale=scale)
    keys, values = (
        torch.where(mask[..., None], x, torch.zeros((), dtype=x.dtype, device=x.device)) for x in (keys, values)
    )
    # A row that may attend to nothing would be NaN, so it attends to zeros instead.
    nothing = ~mask.any(dim=1)
    allowed = (mask | nothing[:, None])[:, None].expand(-1, query.shape[1], -1)
    return functional.scaled_dot_product_attention(query, keys, values, attn_mask=allowed, scale=scale)


class Hashed(nn.Module):
    """A module with a hash; its state holds the seed, not the projections.

    Attributes
    ----------
    hasher : SimHash
        The hash. Loading a ``state_dict()`` replaces it.
    """

    hasher: SimHash

    def __init__(self, dim: int, m: int, tau: int, seed: int, center: object) -> None:
        super().__init__()
        if isinstance(center, Tensor):
            center = center.detach().cpu().numpy()
        self.hasher = SimHash(m, tau, dim=dim, seed=seed, center=center)  # type: ignore[arg-type]

    @property
    def hasher_digest(self) -> str:
        """Digest of the hash, as [`negmine.behavior.BehaviorTable.hasher_digest`][]."""
        return digest_of(self.hasher)

    def get_extra_state(self) -> dict[str, Any]:
        """Return everything that the signatures depend on; part of ``state_dict()``."""
        hasher = self.hasher
        center = None if hasher.center is None else torch.from_numpy(hasher.center.copy())
        # A safely loaded state dict holds signed 64-bit integers at most, so the seed is stored as text.
        return {
            "format": HASH_STATE.version,
            "m": hasher.m,
            "tau": hasher.tau,
            "dim": hasher.dim,
            "seed": str(hasher.seed),
            "center": center,
        }

    def set_extra_state(self, state: Any) -> None:  # noqa: ANN401 (torch's signature)
        """Load the hash of a ``state_dict()``: adopt its seed and center, and refuse another size.

        Parameters
        ----------
        state : dict
            State that [`get_extra_state`][] returned.
        """
        if not isinstance(state, dict) or state.get("format") != HASH_STATE.version:
            raise NegmineValueError(f"`state` must be that of a hash, of format {HASH_STATE.version}; got {state!r}.")
        for name in ("m", "tau", "dim"):
            if state[name] != getattr(self.hasher, name):
                raise NegmineValueError(
                    f"`state` must be of a hash with {name}={getattr(self.hasher, name)}; got {name}={state[name]}."
                )
        center = None if state["center"] is None else state["center"].cpu().numpy()
        seed = int(state["seed"])
        self.hasher = SimHash(self.hasher.m, self.hasher.tau, dim=self.hasher.dim, seed=seed, center=center)

    def extra_repr(self) -> str:
        """Return the parameters of the hash, as text."""
        return f"dim={self.hasher.dim}, m={self.hasher.m}, tau={self.hasher.tau}, seed={self.hasher.seed}"

    def bits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the bits of rows by torch operations, on any device.

        Parameters
        ----------
        x : Tensor (..., dim)
            Rows.

        Returns
        -------
        tuple of Tensor
            Bits, bool (..., m), and whether each row has a direction, bool (...).
        """
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            exact = torch.float32 if x.device.type == "mps" else torch.float64
            r = torch.from_numpy(self.hasher.projections).to(x.device, exact)
            x = x.detach().float()
            if self.hasher.center is not None:
                x = x - torch.from_numpy(self.hasher.center).to(x.device)
            return x.to(exact) @ r.T > 0, (x != 0).any(dim=-1)
