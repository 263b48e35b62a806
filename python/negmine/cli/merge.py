"""``negmine merge``: join the shards of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negmine.cli.output import Json, counted, put
from negmine.job import merge

__all__ = ["command"]


def command(
    folders: Annotated[list[Path], typer.Argument(help="Folders of all shards, in any order.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A new or empty folder for the whole.", show_default=False)],
    json: Json = False,
) -> None:
    """Join the finished shards of a job; the result is that of the uncut job, byte for byte."""
    done = merge(folders, out)
    rows = counted(done.report["n_rows"], "row")
    found = "was there before; nothing was done" if done.was_finished else f"holds {counted(len(folders), 'shard')}"
    result = {"result": done.path, "was_finished": done.was_finished, **done.report}
    put(result, f"{done.path} ({rows}) {found}", as_json=json)
