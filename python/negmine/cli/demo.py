"""``negmine demo``: mine a small real data set that is part of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from negmine import io
from negmine._core.calls import resolve_num_threads
from negmine.cli.errors import arguments, check_out
from negmine.cli.output import Force, Json, Threads, put
from negmine.demo import run

__all__ = ["command"]


def command(
    out: Annotated[Path | None, typer.Option(help="File for the mined negatives, as Parquet. Default: none.")] = None,
    num_threads: Threads = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Mine dictionary definitions, and count how many naive negatives are right answers without a label."""
    if out is not None:
        check_out(out, (".parquet",), force=force)
    with arguments():
        threads = resolve_num_threads(num_threads)
    report = run.run(num_threads=threads)
    if out is not None:
        _write(report, out)
    if not json:
        console = Console(highlight=False)
        run.render(report, console)
        where = "`--out negatives.parquet` writes" if out is None else f"[bold]{out}[/bold] holds"
        console.print(f"{where} the negatives under all rules.")
        return
    rules = [
        {
            "rule": rule.code,
            "n_negatives": rule.n_negatives,
            "n_false_negatives": rule.n_false_negatives,
            "false_negative_rate": rule.false_negative_rate,
            "n_queries_hit": rule.n_queries_hit,
            "hardness": rule.hardness,
        }
        for rule in report.rules
    ]
    result = {
        "n_queries": len(report.demo.queries),
        "n_documents": len(report.demo.documents),
        "rules": rules,
        "seconds": report.seconds,
        "num_threads": report.num_threads,
        "out": out,
    }
    put(result, "", as_json=True)


def _write(report: run.DemoReport, out: Path) -> None:
    rows = io.MinedRows.from_negatives(
        report.negatives,
        query_ids=report.demo.lemmas,
        document_ids=report.demo.names,
        miner=report.rules[-1].miner,
        provenance={"metric": "cosine"},
    )
    io.write_negatives(rows, out)
