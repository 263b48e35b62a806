"""Options of the commands that mine: their input files, and the options that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "INPUTS",
    "RULES",
    "Beir",
    "Corpus",
    "DocumentTexts",
    "EmbeddingName",
    "Embeddings",
    "Exclude",
    "ExcludeLowerGrades",
    "ExcludeSelf",
    "Groups",
    "IdName",
    "Metric",
    "MinGrade",
    "NumNegatives",
    "Positives",
    "Queries",
    "QueryTexts",
    "RangeMax",
    "RangeMin",
    "Reference",
    "SameText",
    "Split",
    "Unknown",
    "file_option",
    "option",
]

INPUTS, RULES = "Inputs", "Which negatives"


def file_option(panel: str, text: str, *names: str) -> Any:  # noqa: ANN401 (typer's own)
    """Return an option that takes an existing file."""
    return typer.Option(*names, exists=True, dir_okay=False, help=text, rich_help_panel=panel)


def option(panel: str, text: str, *names: str) -> Any:  # noqa: ANN401 (typer's own)
    """Return an option of a panel of the help."""
    return typer.Option(*names, help=text, rich_help_panel=panel)


Queries = Annotated[
    Path | None, file_option(INPUTS, "Embeddings of the queries: .npy, .safetensors, .parquet, .arrow.")
]
Corpus = Annotated[Path | None, file_option(INPUTS, "Embeddings of the documents, likewise.")]
Positives = Annotated[Path | None, file_option(INPUTS, "Judgments: BEIR or TREC qrels, or a table.")]
Beir = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="A folder in BEIR's layout: texts, judgments, embeddings.",
        rich_help_panel=INPUTS,
    ),
]
Split = Annotated[str | None, option(INPUTS, "Split of the folder or of a table of judgments.")]
Embeddings = Annotated[str | None, option(INPUTS, "NAME of the folder's corpus.NAME.npy and queries.NAME.npy.")]
QueryTexts = Annotated[Path | None, file_option(INPUTS, "Texts and labels: JSONL or a table, row by row.")]
DocumentTexts = Annotated[Path | None, file_option(INPUTS, "Likewise for the documents.")]
EmbeddingName = Annotated[str | None, option(INPUTS, "Column or tensor of the embeddings.")]
IdName = Annotated[str | None, option(INPUTS, "Column of labels in tables of embeddings.")]
MinGrade = Annotated[int, option(INPUTS, "Lowest grade of a positive.")]
Unknown = Annotated[str, option(INPUTS, "Judgments of labels without a row: error or drop.")]
Exclude = Annotated[Path | None, file_option(INPUTS, "Judgments, or a run (.run, .trec), to use no document of.")]
ExcludeLowerGrades = Annotated[bool, option(INPUTS, "Use no document judged below --min-grade.")]
ExcludeSelf = Annotated[bool, option(INPUTS, "A query is no negative of itself (equal labels).")]
SameText = Annotated[bool, option(INPUTS, "Copies of a positive's text are no negatives; --groups takes its place.")]
Groups = Annotated[
    Path | None,
    file_option(INPUTS, "Groups of documents, as dedup writes them: none of a positive's group is its negative."),
]
Metric = Annotated[str, option(RULES, "cosine, ip or l2.")]
NumNegatives = Annotated[int, option(RULES, "Negatives per query.", "--num-negatives", "-n")]
Reference = Annotated[str, option(RULES, "What margins refer to: the positives' min, max or mean score, or each.")]
RangeMin = Annotated[int, option(RULES, "First rank among what the rules leave, from 0.")]
RangeMax = Annotated[int | None, option(RULES, "Rank behind the last. Default: as far as --num-negatives needs.")]
