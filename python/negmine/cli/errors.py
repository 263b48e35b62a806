"""What is wrong with the command line, as opposed to the work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from negmine.errors import NegmineError

__all__ = ["ArgumentError", "arguments"]


class ArgumentError(Exception):
    """An argument that breaks its rule; exit code 2."""


@contextlib.contextmanager
def arguments() -> Iterator[None]:
    """Take errors of the library for errors of the command line."""
    try:
        yield
    except NegmineError as error:
        raise ArgumentError(str(error)) from error
