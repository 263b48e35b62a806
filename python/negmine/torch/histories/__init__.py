"""Attention over long behavior histories."""

from __future__ import annotations

from negmine.torch.histories.attention import ETA, TargetAttention
from negmine.torch.histories.sdim import SDIM

__all__ = ["ETA", "SDIM", "TargetAttention"]
