"""``negmine mine``: mine negatives or training rows from files of embeddings and judgments."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from negmine import io
from negmine._core import files
from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_epoch, check_integer
from negmine.cli import inputs as inputs_of
from negmine.cli import sources
from negmine.cli.encoding import CACHE_NAME, Model
from negmine.cli.errors import ArgumentError, arguments, check_out
from negmine.cli.inputs import INPUTS, RULES, file_option, option
from negmine.cli.output import Json, counted, put
from negmine.cli.progress import shown
from negmine.cli.sources import Sources, Task
from negmine.cli.weights import read_weights
from negmine.data import fingerprint
from negmine.errors import NegmineError
from negmine.job import inputs, mine_to
from negmine.mining import policies
from negmine.mining.formats import FORMATS, IDS_ONLY, NESTED
from negmine.mining.fusion import METHODS, fuse
from negmine.mining.miner import HardNegativeMiner
from negmine.mining.policies import Sampling
from negmine.mining.task import MiningTask
from negmine.search.lists import ScoredLists
from negmine.search.results import METRICS

__all__ = ["command"]

OUTPUT, JOB, MACHINE = "Output", "Resumable jobs", "Machine"

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Destination and format of the result."""

    out: Path | None
    job: Path | None
    form: str | None
    with_scores: bool
    force: bool
    resume: bool
    shard: tuple[int, int] | None
    tile_queries: int | None

    def __post_init__(self) -> None:
        if self.out is None and self.job is None:
            raise ArgumentError("`--out` or `--job` must say where the result goes; got neither.")
        if self.job is None:
            for name in ("resume", "shard", "tile_queries"):
                if getattr(self, name) not in (None, False):
                    raise ArgumentError(f"`--{name.replace('_', '-')}` must come with `--job`, which was not given.")
        if self.form is not None and self.form not in FORMATS:
            raise ArgumentError(f"`--format` must be one of {', '.join(FORMATS)}; got {self.form!r}.")
        if self.form is not None and self.out is None:
            raise ArgumentError("`--format` must come with `--out`, the file of training rows; got none.")
        if self.with_scores and self.form is None:
            raise ArgumentError("`--scores` must come with `--format`; mined negatives have scores anyway.")
        if self.out is not None:
            self._check_file(self.out)

    @property
    def folder(self) -> Path:
        """Folder in which the result lies."""
        path = self.out if self.out is not None else self.job
        assert path is not None
        return path.parent

    def _check_file(self, out: Path) -> None:
        if self.form is None and self.job is not None:
            raise ArgumentError("`--out` must come with `--format` where `--job` is given, whose folder has the rest.")
        suffixes: tuple[str, ...] = (".parquet", ".npz") if self.form is None else (".parquet", ".jsonl")
        if self.form in NESTED:
            suffixes = (".jsonl",)
        check_out(out, suffixes, force=self.force)


def command(
    queries: inputs_of.Queries = None,
    corpus: inputs_of.Corpus = None,
    positives: inputs_of.Positives = None,
    beir: inputs_of.Beir = None,
    split: inputs_of.Split = None,
    embeddings: inputs_of.Embeddings = None,
    query_texts: inputs_of.QueryTexts = None,
    document_texts: inputs_of.DocumentTexts = None,
    run: Annotated[
        list[Path] | None,
        file_option(INPUTS, "Ranked lists, which give the candidates: .trec, .run or .json. May be repeated.", "--run"),
    ] = None,
    model: Annotated[
        str | None, option(INPUTS, "Model of sentence-transformers, a name or a folder, that encodes the texts.")
    ] = None,
    query_prompt: Annotated[str | None, option(INPUTS, "Prompt of the model for queries. Default: its own.")] = None,
    document_prompt: Annotated[str | None, option(INPUTS, "Prompt of the model for documents, likewise.")] = None,
    fuse: Annotated[str, option(INPUTS, "How several runs are joined: rrf, sum, min or max.")] = "rrf",
    embedding_name: inputs_of.EmbeddingName = None,
    id_name: inputs_of.IdName = None,
    min_grade: inputs_of.MinGrade = 1,
    unknown: inputs_of.Unknown = "error",
    exclude: inputs_of.Exclude = None,
    exclude_lower_grades: inputs_of.ExcludeLowerGrades = False,
    exclude_self: inputs_of.ExcludeSelf = False,
    same_text: inputs_of.SameText = True,
    groups: inputs_of.Groups = None,
    metric: inputs_of.Metric = "cosine",
    num_negatives: inputs_of.NumNegatives = 5,
    absolute_margin: Annotated[float | None, option(RULES, "Score at least this much below the reference.")] = None,
    relative_margin: Annotated[float | None, option(RULES, "Score at least this share below it: 0.05 is 5 %.")] = None,
    max_score: Annotated[float | None, option(RULES, "Highest score of a negative.")] = None,
    min_score: Annotated[float | None, option(RULES, "Lowest score of a negative.")] = None,
    absolute_floor: Annotated[float | None, option(RULES, "Score at most this much below the reference.")] = None,
    relative_floor: Annotated[float | None, option(RULES, "Score at most this share below the reference.")] = None,
    reference: inputs_of.Reference = "min",
    range_min: inputs_of.RangeMin = 0,
    range_max: inputs_of.RangeMax = None,
    sampling: Annotated[str, option(RULES, f"{policies.usage()}.")] = "top",
    num_random: Annotated[
        int, option(RULES, "Further negatives, drawn from all candidates; uniformly without --random-weights.")
    ] = 0,
    random_weights: Annotated[
        str | None,
        option(RULES, "Weights that these are drawn by: popularity, or a .npy file of one per document."),
    ] = None,
    limit_per_document: Annotated[int | None, option(RULES, "Queries that a document may serve at most.")] = None,
    keep_rejected: Annotated[
        int, option(RULES, "Rejected documents to keep per row, with their rules, in a .parquet file.")
    ] = 0,
    seed: Annotated[int, option(RULES, "Seed of every draw.")] = 0,
    epoch: Annotated[int, option(RULES, "Epoch of the draws.")] = 0,
    out: Annotated[Path | None, option(OUTPUT, "Result: .parquet or .npz; with --format .parquet or .jsonl.")] = None,
    format: Annotated[str | None, option(OUTPUT, f"Training rows: {', '.join(FORMATS)}.")] = None,
    scores: Annotated[bool, option(OUTPUT, "Scores in training rows.", "--scores")] = False,
    force: Annotated[bool, option(OUTPUT, "Overwrite --out where it exists.", "--force")] = False,
    job: Annotated[Path | None, option(JOB, "Folder of a job that survives being killed.")] = None,
    resume: Annotated[bool, option(JOB, "Go on with a job that was begun; begins one otherwise.", "--resume")] = False,
    shard: Annotated[str | None, option(JOB, "I/N: part I of N, counted from 0; merge joins them.")] = None,
    tile_queries: Annotated[int | None, option(JOB, "Queries written at a time. Default: 8192.")] = None,
    device: Annotated[str | None, option(MACHINE, "Device of the model, such as cuda. Default: its own.")] = None,
    batch_size: Annotated[int | None, option(MACHINE, "Texts that the model encodes at once. Default: 32.")] = None,
    num_threads: Annotated[int | None, option(MACHINE, "Threads. Default: every usable core.")] = None,
    memory_limit: Annotated[str | None, option(MACHINE, "Working memory, such as 512MiB. Default: no limit.")] = None,
    json: Json = False,
) -> None:
    """Mine hard negatives from files, exactly.

    negmine mine --beir scifact --split train --relative-margin 0.05 --out negatives.parquet
    """
    with arguments():
        target = _Target(
            out=out,
            job=job,
            form=format,
            with_scores=scores,
            force=force,
            resume=resume,
            shard=_shard(shard),
            tile_queries=tile_queries,
        )
        source = Sources(
            beir=beir,
            split=split,
            embeddings=embeddings,
            queries=queries,
            corpus=corpus,
            positives=positives,
            query_texts=query_texts,
            document_texts=document_texts,
            runs=tuple(run or ()),
            model=Model(
                name=model,
                device=device,
                batch_size=batch_size,
                query_prompt=query_prompt,
                document_prompt=document_prompt,
                cache=target.folder / CACHE_NAME,
            ),
            embedding_name=embedding_name,
            id_name=id_name,
            exclude=exclude,
            min_grade=min_grade,
            exclude_lower_grades=exclude_lower_grades,
            unknown=unknown,
            same_text=same_text,
            groups=groups,
        )
        miner = HardNegativeMiner(
            num_negatives,
            absolute_margin=absolute_margin,
            relative_margin=relative_margin,
            max_score=max_score,
            min_score=min_score,
            absolute_floor=absolute_floor,
            relative_floor=relative_floor,
            reference=reference,  # type: ignore[arg-type]
            range_min=range_min,
            range_max=range_max,
            sampling=_sampling(sampling),
            num_random=num_random,
            limit_per_document=limit_per_document,
            seed=seed,
        )
        check_choice(metric, "metric", METRICS)
        _check_runs(run or [], job=job, memory_limit=memory_limit, metric=metric)
        check_choice(fuse, "fuse", METHODS)
        if job is not None and limit_per_document is not None:
            raise ArgumentError(
                "`--limit-per-document` must not be given with `--job`: it looks at all queries at once, and a tile "
                "does not."
            )
        if check_integer(keep_rejected, "keep_rejected", least=0):
            _check_rejected(target, run or [])
        if format in NESTED:
            source.check_texts(format)
        if target.tile_queries is not None:
            inputs.check_tile(target.tile_queries, miner)
        options = {
            "metric": metric,
            "exclude_self": exclude_self,
            "epoch": check_epoch(epoch),
            "num_threads": resolve_num_threads(num_threads),
            "memory_limit": _bytes(memory_limit),
            "fuse": fuse,
            "keep_rejected": keep_rejected,
            "random_weights": read_weights(random_weights, num_random),
        }
    task = sources.read(source)
    result, lines = (_mine if job is None else _mine_job)(task, miner, options, target)
    if unknown == "drop":
        n = task.positives.unknown_judgments
        lines.append(f"  {n:,} of {counted(task.n_judgments, 'judgment')} dropped: labels that are not among the rows")
        if exclude is not None:
            lines.append(f"  {task.n_unknown_excluded:,} entries of --exclude dropped likewise")
    if task.n_grouped:
        shared = "in groups; those" if groups else "share a text with another; copies"
        lines.append(f"  {counted(task.n_grouped, 'document')} {shared} of a positive are out")
    judgments = {
        "n_judgments": task.n_judgments,
        "unknown_judgments": task.positives.unknown_judgments,
        "unknown_excluded": task.n_unknown_excluded,
    }
    put(
        {**result, **judgments, "n_grouped" if groups else "n_same_text": task.n_grouped},
        "\n".join(lines),
        as_json=json,
    )


def _mine(
    task: Task, miner: HardNegativeMiner, options: dict[str, Any], target: _Target
) -> tuple[dict[str, Any], list[str]]:
    """Mine in one call."""
    assert target.out is not None  # checked by _Target
    threads = options["num_threads"]
    tasks = [_task_of(task, source, miner, options) for source in _sources_of(task)]
    mining = tasks[0]
    digest = fingerprint.of_inputs(_digests(tasks, options))
    started = time.perf_counter()
    with shown("mining", mining.n_queries, "queries") as progress:
        source = mining.source(num_threads=threads, memory_limit=options["memory_limit"])
        if len(tasks) == 1:
            negatives = mining.mine(source, num_threads=threads, progress=progress)
        else:
            pools = [one.pool(one.source(), num_threads=threads) for one in tasks]
            joined = fuse(pools, method=options["fuse"])
            negatives = miner.select(joined, epoch=options["epoch"], num_threads=threads)
    seconds = time.perf_counter() - started
    rows = io.MinedRows.from_negatives(
        negatives,
        positives=task.positives,
        miner=miner,
        provenance={"fingerprint": digest, "n_queries": mining.n_queries},
    )
    if files.suffix_of(target.out) == ".npz":
        negatives.save(target.out)
        written = io.Written(target.out, len(negatives))
    elif target.form is None:
        written = io.write_negatives(rows, target.out)
    else:
        written = _write_training_rows(rows, task, target)
    report = negatives.report
    counts = {
        "n_rows": report.n_rows,
        "n_negatives": int(negatives.counts.sum()),
        "short": dict(report.short),
        "documents": report.totals(),
    }
    result = {"out": written.path, "n_written": written.n_rows, "n_dropped": written.n_dropped, **counts}
    pairs = mining.n_queries * len(source)
    lines = [
        *_report_lines(counts, written, target.form),
        f"  {seconds:.2f} s for {pairs:,} pairs, {pairs / max(seconds, 1e-9) / 1e6:,.0f} million a second "
        f"on {counted(threads, 'thread')}, building the index included",
    ]
    return {**result, "fingerprint": digest, "seconds": seconds, "num_threads": threads}, lines


def _sources_of(task: Task) -> tuple[Any, ...]:
    """Return the embeddings of the documents, or the lists of every run."""
    return task.corpus if isinstance(task.corpus, tuple) else (task.corpus,)


def _task_of(task: Task, source: object, miner: HardNegativeMiner, options: dict[str, Any]) -> MiningTask:
    """Return the mining task of one source."""
    is_lists = isinstance(source, ScoredLists)
    return MiningTask.read(
        task.queries,
        source,
        task.positives,
        miner,
        metric=options["metric"],
        document_ids=None if is_lists else task.document_ids,
        query_ids=task.query_ids,
        exclude=task.exclude,
        exclude_self=options["exclude_self"],
        groups=task.groups,
        epoch=options["epoch"],
        keep_rejected=options["keep_rejected"],
        random_weights=options["random_weights"],
    )


def _digests(tasks: list[MiningTask], options: dict[str, Any]) -> dict[str, Any]:
    """Digest the inputs: those of one source as a job has them, or of several runs together."""
    digests = [inputs.digests(task, options["num_threads"]) for task in tasks]
    return digests[0] if len(digests) == 1 else {"runs": digests, "fuse": options["fuse"]}


def _check_runs(run: list[Path], *, job: Path | None, memory_limit: str | None, metric: str) -> None:
    """Refuse options that have no meaning for runs."""
    if run and memory_limit is not None:
        raise ArgumentError("`--memory-limit` must not be given with `--run`, which has no index.")
    if run and metric != "cosine":
        raise ArgumentError("`--metric` must not be given with `--run`, whose scores are taken as they are.")
    if len(run) > 1 and job is not None:
        raise ArgumentError("`--job` must have one `--run`; got several.")


def _check_rejected(target: _Target, run: list[Path]) -> None:
    """Refuse results that have no place for rejected documents."""
    if target.job is not None or target.form is not None or (target.out and files.suffix_of(target.out) != ".parquet"):
        raise ArgumentError("`--keep-rejected` must come with `--out` of mined negatives as .parquet, and no `--job`.")
    if len(run) > 1:
        raise ArgumentError("`--keep-rejected` must have one `--run`; got several, whose scores are joined.")


def _mine_job(
    task: Task, miner: HardNegativeMiner, options: dict[str, Any], target: _Target
) -> tuple[dict[str, Any], list[str]]:
    """Mine into a folder."""
    options = {name: value for name, value in options.items() if name not in ("fuse", "keep_rejected")}
    (source,) = _sources_of(task)
    with shown("mining", len(task.positives), "queries") as progress:
        done = mine_to(
            target.job,
            task.queries,
            source,
            task.positives,
            miner=miner,
            document_ids=None if isinstance(source, ScoredLists) else task.document_ids,
            query_ids=task.query_ids,
            exclude=task.exclude,
            groups=task.groups,
            tile_queries=target.tile_queries,
            shard=target.shard,
            resume=target.resume,
            progress=progress,
            **options,
        )
    result = {
        "result": done.path,
        "was_finished": done.was_finished,
        "n_tiles": done.n_tiles,
        "n_tiles_mined": done.n_mined,
        **done.report,
    }
    what = str(done).replace("`tile_queries`", "`--tile-queries`")
    lines = [what, *_report_lines(done.report, io.Written(done.path, done.report["n_rows"]), None)]
    if target.form is not None:
        written = _write_training_rows(done.rows(), task, target)
        result |= {"out": written.path, "n_written": written.n_rows, "n_dropped": written.n_dropped}
        lines.append(_rows_line(written, target.form))
    return result, lines


def _write_training_rows(rows: io.MinedRows, task: Task, target: _Target) -> io.Written:
    labels_only = target.form in IDS_ONLY
    return io.write_training_rows(
        rows,
        target.out,
        format=target.form,  # type: ignore[arg-type]
        queries=None if labels_only else task.query_texts,
        documents=None if labels_only else task.document_texts,
        scores=target.with_scores,
    )


def _report_lines(counts: Any, written: io.Written, form: str | None) -> list[str]:  # noqa: ANN401 (a mapping from JSON)
    short = sum(counts["short"].values())
    reasons = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in counts["short"].items())
    taken = [f"{line.replace('_', ' ')} {n:,}" for line, n in counts["documents"].items() if n and line != "rest"]
    return [
        _rows_line(written, form),
        f"  {counted(counts['n_negatives'], 'negative')} for {counted(counts['n_rows'], 'row')}"
        + (f"; {counted(short, 'row')} short: {reasons}" if short else ""),
        f"  documents that rules took out, over all rows: {', '.join(taken) or 'none'}",
    ]


def _rows_line(written: io.Written, form: str | None) -> str:
    what = "row" if form is None else f"{form} row"
    dropped = f", {counted(written.n_dropped, 'mined row')} without a place there" if written.n_dropped else ""
    return f"{written.path}: {counted(written.n_rows, what)}{dropped}"


def _sampling(text: str) -> Sampling:
    """Parse the policy of `--sampling`."""
    try:
        return policies.from_text(text)
    except NegmineError as error:
        # The fields of a policy are not options, so the message names `--sampling`.
        where = "" if str(error).startswith("`sampling`") else f"`--sampling {text}`: "
        raise ArgumentError(f"{where}{error}") from None


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None:
        raise ArgumentError(f"`--shard` must be I/N, such as 0/4; got {text!r}.")
    return inputs.check_shard((int(found[1]), int(found[2])))


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)\s*([kmg]i?)?b?", text.strip().lower())
    if found is None:
        raise ArgumentError(f"`--memory-limit` must be a size such as 512MiB or 2GB; got {text!r}.")
    return check_integer(int(found[1]) * _UNITS[found[2] or ""], "memory_limit", least=0, most=2**63 - 1)
