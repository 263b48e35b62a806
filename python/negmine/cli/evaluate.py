"""``negmine evaluate``: evaluate mined negatives against judgments, for false negatives and hardness."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from negmine import io
from negmine.cli.errors import arguments
from negmine.cli.output import Json, counted, put
from negmine.io.qrels import load_qrels
from negmine.io.verification import find_answer

__all__ = ["command"]


def command(
    answer: Annotated[
        Path,
        typer.Argument(exists=True, help="Parquet of mined negatives, or the folder of a job.", show_default=False),
    ],
    qrels: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Judgments: TSV, TREC or Parquet.", show_default=False)
    ],
    split: Annotated[str | None, typer.Option(help="Rows of a table of judgments.")] = None,
    min_grade: Annotated[int, typer.Option(help="Lowest grade of a relevant document.")] = 1,
    rows_are_labels: Annotated[
        bool, typer.Option("--rows-are-labels", help="Row numbers are the labels of queries or documents without any.")
    ] = False,
    json: Json = False,
) -> None:
    """Count mined negatives that judgments call relevant, together with their hardness.

    Known positives are those that the row was mined with: a fault. The others are false negatives.
    """
    path = find_answer(answer, "answer")
    with arguments("split"):
        judgments = load_qrels(qrels, "qrels", split=split)
    with arguments("min_grade", "rows_are_labels"):
        found = io.evaluate_negatives(path, judgments, min_grade=min_grade, rows_are_labels=rows_are_labels)
    result = {**asdict(found), "false_negative_rate": found.false_negative_rate, "known_rate": found.known_rate}
    lines = [
        f"{counted(found.n_negatives, 'negative')} of {counted(found.n_rows, 'row')}; {qrels.name} judges "
        f"{counted(found.n_judged_rows, 'row')} with {counted(found.n_judged_negatives, 'negative')}, and nothing is "
        f"known of {counted(found.n_unjudged_rows, 'row')}:",
        f"  known positives   {found.n_known:>10,}  {_percent(found.known_rate)}  mined with and yet chosen: a fault",
        f"  false negatives   {found.n_false_negatives:>10,}  {_percent(found.false_negative_rate)}  relevant",
        f"  rows with either  {found.n_rows_hit:>10,}",
        f"  without judgment  {found.n_without_judgment:>10,}           negatives that no judgment of their query "
        "mentions",
        f"  hardness          {_number(found.hardness):>10}  mean score of the negatives{_below(found.gap)}",
    ]
    if found.false_negative_hardness is not None:
        lines.append(
            f"                    {_number(found.false_negative_hardness):>10}  mean score of those that are positives"
        )
    put(result, "\n".join(lines), as_json=json)


def _below(gap: float | None) -> str:
    if gap is None:
        return ""
    return f", on average {abs(gap):.4f} {'below' if gap >= 0 else 'above'} what margins refer to"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _percent(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:>7.2%}"
