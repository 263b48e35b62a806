"""``negmine inspect``: one HTML page to read, compare and judge mined negatives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negmine import inspect
from negmine.cli.errors import ArgumentError, arguments, check_out
from negmine.cli.output import Force, Json, counted, put
from negmine.inspect.page import SUFFIXES
from negmine.io.qrels import load_qrels
from negmine.io.texts import load_texts

__all__ = ["command"]


def command(
    answer: Annotated[
        Path,
        typer.Argument(
            exists=True, help="Mined negatives (.parquet, .npz with its pool, a job folder).", show_default=False
        ),
    ],
    queries: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="Texts of the queries: JSONL, TSV or a table.", show_default=False
        ),
    ],
    documents: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Texts of the documents, likewise.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="The page: .html.", show_default=False)] = None,
    qrels: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Judgments that mark relevant negatives: TSV, TREC or Parquet."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Rows of a table of judgments.")] = None,
    against: Annotated[Path | None, typer.Option(exists=True, help="Negatives of another run, to compare.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page. Default: the name of ANSWER.")] = None,
    atlas: Annotated[Path | None, typer.Option(help="A table for Embedding Atlas: .parquet.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a page on which mined negatives are read, compared and judged; it opens without a network.

    negmine inspect mined.parquet --queries queries.jsonl --documents corpus.jsonl --out page.html
    """
    if out is None and atlas is None:
        raise ArgumentError("`--out` must be given, or `--atlas`; got neither.")
    if out is not None:
        check_out(out, SUFFIXES, force=force)
    if atlas is not None:
        check_out(atlas, (".parquet",), force=force, name="atlas")
    with arguments("split"):
        judgments = None if qrels is None else load_qrels(qrels, "qrels", split=split)
    texts = {"queries": load_texts(queries, "queries"), "documents": load_texts(documents, "documents")}
    page = table = None
    if out is not None:
        page = inspect.to_html(answer, out, **texts, qrels=judgments, against=against, title=title or answer.stem)
    if atlas is not None:
        table = inspect.to_atlas(answer, atlas, **texts)
    result = {
        "out": out,
        "n_rows": None if page is None else page.n_rows,
        "n_bytes": None if out is None else out.stat().st_size,
        "atlas": atlas,
        "n_atlas_rows": None if table is None else table.n_rows,
    }
    lines = []
    if page is not None and out is not None:
        lines.append(f"{out}: {counted(page.n_rows, 'row')}, {out.stat().st_size / 1e6:.1f} MB")
    if table is not None:
        lines.append(f"{atlas}: {counted(table.n_rows, 'row')} for Embedding Atlas")
    put(result, "\n".join(lines), as_json=json)
