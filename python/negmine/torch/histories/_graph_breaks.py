"""Rust calls that `torch.compile` leaves out of its graphs.

`torch.compiler.disable` imports the compiler, which takes as long as torch itself. Only code that is being compiled
imports this module.
"""

from __future__ import annotations

import torch

from negmine.torch.histories.attention import native_nearest
from negmine.torch.histories.sdim import native_pool

__all__ = ["uncompiled_nearest", "uncompiled_pool"]

uncompiled_nearest = torch.compiler.disable(native_nearest)  # type: ignore[no-untyped-call]
uncompiled_pool = torch.compiler.disable(native_pool)  # type: ignore[no-untyped-call]
