"""Results on stdout: as text, or as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from negmine._core.reprs import printable

__all__ = ["Force", "Json", "Threads", "counted", "put"]

#: Option of every command.
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of text.")]

#: Options of the commands that write a file, and of the commands that compute.
Force = Annotated[bool, typer.Option("--force", help="Overwrite --out where it exists.")]
Threads = Annotated[int | None, typer.Option("--num-threads", help="Threads. Default: every usable core.")]


def put(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Write a result to stdout; what it says of files of others cannot command the terminal."""
    typer.echo(json.dumps(result, indent=1, default=str) if as_json else printable(text))


def counted(n: int, what: str) -> str:
    """Return a number with its noun, in the plural with -s unless the number is 1."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
