"""``negmine check``: check a file of training rows or mined negatives."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from negmine import io
from negmine.cli.output import Json, counted, put

__all__ = ["command"]

#: What is counted, by its name in the result.
_LINES = {
    "repeated_positives": "positives that their query has before",
    "repeated_negatives": "negatives that their row has before",
    "own_positives": "negatives that are a positive of the same query",
    "other_positives": "negatives that are a positive of another query; usual, and no fault",
    "empty": "rows with an empty text",
}


def command(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="Training rows (.parquet, .jsonl, .jsonl.gz), mined negatives (.parquet, .npz) or a job folder.",
            show_default=False,
        ),
    ],
    json: Json = False,
) -> None:
    """Check training rows or mined negatives; the exit code is 1 if a row is at fault.

    negmine check triplets.jsonl
    """
    found = io.check_training_rows(file)
    lines = [
        f"{file}: {found.format}, {counted(found.n_rows, 'row')} with {counted(found.n_positives, 'positive')} and "
        f"{counted(found.n_negatives, 'negative')}"
    ]
    kind = "line" if ".jsonl" in file.name.lower() else "row"
    for name, words in _LINES.items():
        first = f", first in {kind} {found.first[name]}" if name in found.first else ""
        lines.append(f"  {getattr(found, f'n_{name}'):>10,}  {found.shares[name]:>7.2%}  {words}{first}")
    put({**asdict(found), "shares": found.shares, "is_sound": found.is_sound}, "\n".join(lines), as_json=json)
    if not found.is_sound:
        raise typer.Exit(1)
