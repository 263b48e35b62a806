"""``negmine sweep``: what every margin would cost, from one scan."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from negmine._core import files
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_real
from negmine.cli import inputs, sources
from negmine.cli.encoding import Model
from negmine.cli.errors import ArgumentError, arguments, check_out
from negmine.cli.inputs import INPUTS, RULES, file_option, option
from negmine.cli.output import Json, Threads, put
from negmine.cli.progress import shown
from negmine.cli.sources import Sources, Task
from negmine.data.positives import Positives
from negmine.io.qrels import load_qrels
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.sweep import Sweep
from negmine.mining.verdicts import Verdicts
from negmine.search.exact import ExactIndex
from negmine.search.results import METRICS

__all__ = ["command"]

#: Suffixes of plots.
PLOTS = (".png", ".svg", ".pdf")


def command(
    margins: Annotated[str, typer.Argument(help="Margins to compare, such as none,0,0.05,0.1.", show_default=False)],
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
    hidden: Annotated[
        Path | None, file_option(INPUTS, "Judgments that were held out: their documents are false negatives.")
    ] = None,
    verdicts: Annotated[
        Path | None, file_option(INPUTS, "Verdicts on a sample of pairs, in place of --hidden.")
    ] = None,
    max_false_negatives: Annotated[float, option(RULES, "Share of false negatives that is accepted.")] = 0.05,
    plot: Annotated[Path | None, typer.Option(help="Plot the table: .png, .svg or .pdf.")] = None,
    num_threads: Threads = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite --plot where it exists.")] = False,
    json: Json = False,
) -> None:
    """Compare margins: candidates rejected, hardness of the negatives, short rows, and false negatives if known.

    negmine sweep none,0,0.05,0.1 --beir scifact --split train --hidden held_out.tsv
    """
    with arguments():
        values = _margins(margins)
        check_choice(kind, "kind", ("relative", "absolute"))
        check_choice(metric, "metric", METRICS)
        check_real(max_false_negatives, "max_false_negatives", least=0.0)
        if hidden is not None and verdicts is not None:
            raise ArgumentError("`--hidden` must not be given with `--verdicts`; got both.")
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
            hidden=None if hidden is None else _hidden(hidden, task, min_grade),
            verdicts=None if verdicts is None else Verdicts(verdicts),
            num_threads=threads,
            progress=progress,
        )
    if plot is not None:
        _plot(found, plot)
    result = {name: _plain(value) for name, value in asdict(found).items()}
    text, recommended = str(found), None
    if found.false_negatives is not None:
        advice = found.recommend(max_false_negatives=max_false_negatives)
        recommended = {name: _plain(value) for name, value in asdict(advice).items()}
        text += f"\nrecommended: {'nothing' if advice.margin is None else f'{advice.margin:g}'}; {advice.reason}"
    put({**result, "recommended": recommended, "plot": plot}, text, as_json=json)


def _margins(text: str) -> list[float | None]:
    try:
        return [None if part == "none" else float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(f"`MARGINS` must be numbers such as 0,0.05,0.1, or none; got {text!r}.") from None


def _hidden(path: Path, task: Task, min_grade: int) -> Positives:
    """Read the judgments that were held out; those of other queries and documents are left out."""
    qrels = load_qrels(path, "hidden")
    query_ids = np.arange(len(task.positives)) if task.query_ids is None else task.query_ids
    document_ids = np.arange(len(task.corpus)) if task.document_ids is None else task.document_ids
    return qrels.positives(
        query_ids=query_ids,
        document_ids=document_ids,
        min_grade=min_grade,
        unknown="drop",
    )


def _plain(value: Any) -> object:  # noqa: ANN401 (arrays, numbers and figures)
    """Return what JSON can represent: no margin and unknown numbers are null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plot(found: Sweep, path: Path) -> None:
    figure: Any = found.plot().figure
    with files.atomic_file(path) as temporary:
        figure.savefig(temporary, format=files.suffix_of(path)[1:])
