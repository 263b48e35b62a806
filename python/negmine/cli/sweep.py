"""``negmine sweep``: what every margin would cost, from one scan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from negmine._core import files
from negmine._core.calls import resolve_num_threads
from negmine._core.extras import require
from negmine._core.options import check_choice
from negmine.cli import inputs, sources
from negmine.cli.encoding import Model
from negmine.cli.errors import ArgumentError, arguments, check_out
from negmine.cli.inputs import RULES, option
from negmine.cli.output import Json, Threads, put
from negmine.cli.progress import shown
from negmine.cli.sources import Sources
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.sweep import Sweep
from negmine.search.exact import ExactIndex
from negmine.search.results import METRICS

__all__ = ["command"]

#: Suffixes of plots.
PLOTS = (".png", ".svg", ".pdf")


def command(
    margins: Annotated[str, typer.Argument(help="Margins to compare, such as 0,0.05,0.1,0.2.", show_default=False)],
    queries: inputs.Queries = None,
    corpus: inputs.Corpus = None,
    positives: inputs.Positives = None,
    beir: inputs.Beir = None,
    split: inputs.Split = None,
    embeddings: inputs.Embeddings = None,
    query_texts: inputs.QueryTexts = None,
    document_texts: inputs.DocumentTexts = None,
    embedding_name: inputs.EmbeddingName = None,
    id_name: inputs.IdName = None,
    min_grade: inputs.MinGrade = 1,
    unknown: inputs.Unknown = "error",
    exclude: inputs.Exclude = None,
    exclude_lower_grades: inputs.ExcludeLowerGrades = False,
    exclude_self: inputs.ExcludeSelf = False,
    same_text: inputs.SameText = True,
    groups: inputs.Groups = None,
    metric: inputs.Metric = "cosine",
    kind: Annotated[str, option(RULES, "Kind of the margins: relative or absolute.")] = "relative",
    num_negatives: inputs.NumNegatives = 5,
    reference: inputs.Reference = "min",
    range_min: inputs.RangeMin = 0,
    range_max: inputs.RangeMax = None,
    depth: Annotated[int, option(RULES, "Candidates per row that the scan keeps.")] = 1000,
    plot: Annotated[Path | None, typer.Option(help="Plot the table: .png, .svg or .pdf.")] = None,
    num_threads: Threads = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite --plot where it exists.")] = False,
    json: Json = False,
) -> None:
    """Compare margins: candidates rejected, hardness of the negatives, and rows that would be short.

    negmine sweep 0,0.05,0.1 --beir scifact --split train
    """
    with arguments():
        values = _margins(margins)
        check_choice(kind, "kind", ("relative", "absolute"))
        check_choice(metric, "metric", METRICS)
        threads = resolve_num_threads(num_threads)
        if plot is not None:
            check_out(plot, PLOTS, force=force, name="plot")
        miner = HardNegativeMiner(
            num_negatives,
            reference=reference,  # type: ignore[arg-type]
            range_min=range_min,
            range_max=range_max,
        )
        miner.check_window()
        if depth < miner.window[1]:
            raise ArgumentError(f"`--depth` must be at least {miner.window[1]}, the last rank; got {depth}.")
        source = Sources(
            beir=beir,
            split=split,
            embeddings=embeddings,
            queries=queries,
            corpus=corpus,
            positives=positives,
            query_texts=query_texts,
            document_texts=document_texts,
            runs=(),
            model=Model(),
            embedding_name=embedding_name,
            id_name=id_name,
            exclude=exclude,
            min_grade=min_grade,
            exclude_lower_grades=exclude_lower_grades,
            unknown=unknown,
            same_text=same_text,
            groups=groups,
        )
    task = sources.read(source)
    with shown("sweeping", len(task.positives), "queries") as progress:
        index = ExactIndex(task.corpus, metric=metric, ids=task.document_ids, num_threads=threads)  # type: ignore[arg-type]
        found = miner.sweep(
            index,
            task.queries,
            task.positives,
            values,
            kind,  # type: ignore[arg-type]
            depth=depth,
            exclude=task.exclude,
            exclude_self=exclude_self,
            query_ids=task.query_ids,
            groups=task.groups,
            num_threads=threads,
            progress=progress,
        )
    advice = found.recommend()
    if plot is not None:
        _plot(found, plot)
    result = {name: _plain(value) for name, value in asdict(found).items()}
    recommended = asdict(advice)
    text = f"{found}\nrecommended: {advice.margin:g}, {advice.reason}"
    put({**result, "recommended": recommended, "plot": plot}, text, as_json=json)


def _margins(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(f"`MARGINS` must be numbers such as 0,0.05,0.1; got {text!r}.") from None


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else value


def _plot(found: Sweep, path: Path) -> None:
    """Plot the shares of the table and the hardness over the margins."""
    pyplot: Any = require("matplotlib.pyplot", "plot", "`--plot`")
    figure, axes = pyplot.subplots(layout="constrained")
    for label, shares in (("rejected", found.rejected), ("short rows", found.short_rows)):
        axes.plot(found.margins, shares, marker="o", label=label)
    axes.set(xlabel=f"{found.kind} margin", ylabel="share")
    hardness = axes.twinx()
    hardness.plot(found.margins, found.hardness, color="black", linestyle="dashed")
    hardness.set_ylabel("hardness, mean score of the negatives (dashed)")
    axes.legend()
    with files.atomic_file(path) as temporary:
        figure.savefig(temporary, format=files.suffix_of(path)[1:])
    pyplot.close(figure)
