"""One-line representations of classes that hold arrays, and texts of others as terminals may show them."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

__all__ = ["printable", "short_repr"]

T = TypeVar("T")

#: Maximum number of characters of a value that is not an array.
LONGEST = 40

#: Control characters, which terminals obey, except tabs and line feeds: those of ASCII and of Latin-1.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Write control characters as hexadecimal escapes, so that a text cannot command a terminal.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        The text without control characters other than tabs and line feeds.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


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
