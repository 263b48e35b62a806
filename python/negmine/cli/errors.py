"""What is wrong with the command line, as opposed to the work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from negmine.errors import NegmineError

__all__ = ["ArgumentError", "arguments", "check_out"]


class ArgumentError(Exception):
    """An argument that breaks its rule; exit code 2."""


@contextlib.contextmanager
def arguments() -> Iterator[None]:
    """Take errors of the library for errors of the command line."""
    try:
        yield
    except NegmineError as error:
        raise ArgumentError(str(error)) from error


def check_out(out: Path, suffixes: Sequence[str]) -> None:
    """Refuse a file that could not be written, before the work."""
    if out.suffix not in suffixes:
        raise ArgumentError(f"`--out` must end in {' or '.join(suffixes)}; got {out}.")
    if not out.resolve().parent.is_dir():
        raise ArgumentError(f"`--out` must lie in a folder that exists; got {out}.")
