"""One-line representations of classes that hold arrays."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

__all__ = ["short_repr"]

T = TypeVar("T")

#: Maximum number of characters of a value that is not an array.
LONGEST = 40


def short_repr(cls: type[T]) -> type[T]:
    """Decorate a dataclass with a one-line representation: arrays as type and shape, other values truncated."""

    def represent(self: Any) -> str:  # noqa: ANN401 (any dataclass)
        shown = [f"{entry.name}={_short(getattr(self, entry.name))}" for entry in fields(self) if entry.repr]
        return f"{type(self).__name__}({', '.join(shown)})"

    cls.__repr__ = represent  # type: ignore[method-assign]
    return cls


def _short(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}{list(value.shape)}"
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
