"""``negmine convert``: convert mined negatives, or training rows, to training rows of another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negmine import io
from negmine._core.options import check_choice
from negmine.cli.errors import arguments, check_out
from negmine.cli.output import Force, Json, counted, put
from negmine.io.texts import load_texts
from negmine.mining.formats import FORMATS, NESTED

__all__ = ["command"]


def command(
    source: Annotated[
        Path,
        typer.Argument(
            exists=True, help="Mined negatives (.parquet, .npz, a job folder) or training rows.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Training rows: .parquet or .jsonl.", show_default=False)],
    format: Annotated[str, typer.Option(help=f"Format: {', '.join(FORMATS)}.", show_default=False)],
    query_texts: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Texts of mined queries: JSONL, TSV or a table.")
    ] = None,
    document_texts: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Likewise for the documents.")
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Scores of mined negatives in the rows.")] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Convert mined negatives, with their texts, or training rows to training rows of another format.

    negmine convert mined.parquet rows.jsonl --format triplet --query-texts queries.jsonl --document-texts corpus.jsonl
    """
    with arguments():
        check_choice(format, "format", FORMATS)
        check_out(out, (".jsonl",) if format in NESTED else (".parquet", ".jsonl"), force=force)
    written = io.convert_training_rows(
        source,
        out,
        format=format,  # type: ignore[arg-type]
        queries=None if query_texts is None else load_texts(query_texts, "query_texts"),
        documents=None if document_texts is None else load_texts(document_texts, "document_texts"),
        scores=scores,
    )
    dropped = f", {counted(written.n_dropped, 'row')} without a place there" if written.n_dropped else ""
    result = {"out": written.path, "n_written": written.n_rows, "n_dropped": written.n_dropped}
    put(result, f"{out}: {counted(written.n_rows, f'{format} row')}{dropped}", as_json=json)
