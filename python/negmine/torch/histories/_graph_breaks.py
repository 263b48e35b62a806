"""Calls that `torch.compile` leaves out of its graphs.

`torch.compiler.disable` imports the compiler, which takes as long as torch itself. Only code that is being compiled
imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["uncompiled"]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def uncompiled(function: Callable[..., Tensor], *arguments: Any) -> Tensor:  # noqa: ANN401 (those of the function)
    """Call a function outside of the graph."""
    return function(*arguments)
