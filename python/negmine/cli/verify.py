"""``negmine verify``: verify mined negatives against the embeddings that they were mined from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_integer
from negmine.cli.errors import ArgumentError, arguments
from negmine.cli.output import Json, Threads, counted, put
from negmine.cli.progress import shown
from negmine.cli.sources import read_folder
from negmine.io.embeddings import load_embeddings
from negmine.io.verification import CHECKS, NegativesVerification, verify_negatives
from negmine.search.results import METRICS

__all__ = ["command"]


def command(
    answer: Annotated[
        Path, typer.Argument(exists=True, help="Mined negatives: .parquet, .npz or a job folder.", show_default=False)
    ],
    queries: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Embeddings of all queries, as they were mined.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Embeddings of all documents, likewise.")
    ] = None,
    beir: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="The folder that was mined, in BEIR's layout.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of the folder.")] = None,
    embeddings: Annotated[str | None, typer.Option(help="NAME of the folder's embeddings.")] = None,
    embedding_name: Annotated[str | None, typer.Option(help="Column or tensor of the embeddings.")] = None,
    metric: Annotated[str | None, typer.Option(help="cosine, ip or l2. Default: what the file says.")] = None,
    sample: Annotated[int | None, typer.Option(help="Check the rows of only so many queries.")] = None,
    num_threads: Threads = None,
    json: Json = False,
) -> None:
    """Verify mined negatives by exact search; the exit code is 1 where a row does not hold up.

    negmine verify negatives.parquet --queries queries.npy --corpus corpus.npy
    """
    with arguments():
        threads = resolve_num_threads(num_threads)
        if metric is not None:
            check_choice(metric, "metric", METRICS)
        if sample is not None:
            check_integer(sample, "sample", least=1)
    if beir is not None:
        rows = read_folder(beir, split, embeddings, queries, corpus, embedding_name)[1]
    elif queries is None or corpus is None or split is not None or embeddings is not None:
        raise ArgumentError(
            "`--queries` and `--corpus`, or `--beir`, must be given; `--split` and `--embeddings` come with `--beir`."
        )
    else:
        rows = (
            load_embeddings(queries, "queries", name=embedding_name).rows,
            load_embeddings(corpus, "corpus", name=embedding_name).rows,
        )
    with shown("verifying", len(rows[0]) if sample is None else sample, "queries") as progress:
        found = verify_negatives(
            answer,
            *rows,
            metric=metric,  # type: ignore[arg-type]
            sample=sample,
            num_threads=threads,
            progress=progress,
        )
    put(asdict(found), _text(found), as_json=json)
    if found.n_sound < found.n_checked:
        raise typer.Exit(1)


def _text(found: NegativesVerification) -> str:
    checked = counted(found.n_checked, "row")
    lines = [f"{found.n_sound:,} of {checked} hold up; the file has {counted(found.n_rows, 'row')}"]
    lines += [
        f"  {check:<9} {n:>10,}  {CHECKS[check]}{_first(found.first.get(check))}" for check, n in found.failed.items()
    ]
    lines += [f"  {check:<9}  unchecked  {why}" for check, why in found.unchecked.items()]
    return "\n".join(lines)


def _first(query: int | None) -> str:
    return "" if query is None else f", first of query row {query}"
