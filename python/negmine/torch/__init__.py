"""What is for PyTorch: attention over behaviours by hashing, and the forms it is compared with."""

from __future__ import annotations

from negmine.torch.attention import ETA, TargetAttention
from negmine.torch.sdim import SDIM

__all__ = ["ETA", "SDIM", "TargetAttention"]
