"""The largest tensor that torch makes inside a block."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Largest(TorchDispatchMode):
    """Record the number of entries of the largest tensor that an operation returns, views of inputs left out."""

    entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {value.untyped_storage().data_ptr() for value in tree_leaves((args, kwargs)) if torch.is_tensor(value)}
        for value in tree_leaves(result):
            if torch.is_tensor(value) and value.untyped_storage().data_ptr() not in given:
                self.entries = max(self.entries, value.untyped_storage().nbytes() // value.element_size())
        return result
