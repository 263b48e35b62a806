"""``negmine demo``: mining on a small real set that comes along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from negmine import io
from negmine._core.calls import resolve_num_threads
from negmine.cli.errors import arguments, check_out
from negmine.cli.output import Json, put
from negmine.demo import run

__all__ = ["command"]


def command(
    out: Annotated[Path, typer.Option(help="Where the mined negatives go, as Parquet.")] = Path("negmine-demo.parquet"),
    num_threads: Annotated[int | None, typer.Option(help="Threads. Default: all that there are.")] = None,
    json: Json = False,
) -> None:
    """Mine dictionary definitions, and count how many naive negatives are right answers that nobody labeled."""
    check_out(out, (".parquet",))
    with arguments():
        threads = resolve_num_threads(num_threads)
    report = run.run(num_threads=threads)
    rows = io.MinedRows.from_negatives(
        report.negatives,
        query_ids=report.demo.lemmas,
        document_ids=report.demo.names,
        miner=report.rules[-1].miner,
        provenance={"metric": "cosine"},
    )
    written = io.write_negatives(rows, out)
    if not json:
        console = Console(highlight=False)
        run.render(report, console)
        console.print(f"The negatives under all rules are in [bold]{written.path}[/bold].")
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
        "out": written.path,
    }
    put(result, "", as_json=True)
