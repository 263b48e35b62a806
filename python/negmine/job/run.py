"""``mine_to``: one tile after the other, each written before the next is begun."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import files
from negmine._core.calls import Progress, check_progress, resolve_num_threads
from negmine._core.extras import require
from negmine._core.options import check_flag, refuse_unknown_options
from negmine.data import fingerprint
from negmine.data.eligibility import Eligibility
from negmine.data.positives import Positives
from negmine.errors import JobError, NegmineError, NegmineWarning
from negmine.io.negatives import MinedRows
from negmine.io.records import Lists, Records
from negmine.job import inputs, result
from negmine.job.folder import JobFolder
from negmine.job.manifest import Manifest
from negmine.job.parts import read_part, write_part
from negmine.job.result import JobResult
from negmine.mining.miner import MINER_OPTIONS, HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.options import MinerOptions
from negmine.mining.task import MiningTask, read_miner
from negmine.search.results import Metric

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["mine_to"]

#: Queries of a tile, unless the caller says otherwise: what an interruption costs at most.
TILE_QUERIES = 8192


@refuse_unknown_options("mine_to", MINER_OPTIONS)
def mine_to(
    folder: object,
    queries: object,
    corpus: object,
    positives: Positives | Iterable[Iterable[int]] | Iterable[int],
    *,
    miner: HardNegativeMiner | None = None,
    metric: Metric = "cosine",
    document_ids: npt.ArrayLike | None = None,
    query_ids: npt.ArrayLike | None = None,
    exclude: Positives | Iterable[Iterable[int]] | None = None,
    exclude_self: bool = False,
    groups: npt.ArrayLike | None = None,
    eligible: Eligibility | None = None,
    epoch: int = 0,
    tile_queries: int | None = None,
    shard: tuple[int, int] | None = None,
    resume: bool = False,
    memory_limit: int | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[MinerOptions],
) -> JobResult:
    """Mine hard negatives into a folder, tile by tile, so that a killed job goes on where it stopped.

    Parameters
    ----------
    folder : path
        New or empty, or that of the same job.
    queries : array (n_queries, width)
    corpus : array (n_documents, width)
    positives
        Known relevant document rows per query: :class:`Positives` or one list per query.
    miner
        What to mine. Default: ``HardNegativeMiner(**options)``. ``limit_per_document`` is refused: it looks at all
        queries at once, and a tile does not.
    metric, memory_limit
        As for :class:`ExactIndex`.
    document_ids : int64 or str (n_documents,), optional
        Unique labels of the documents.
    query_ids : int64 or str (n_queries,), optional
        Labels of the queries, for the result and for ``exclude_self``.
    exclude, exclude_self, groups, eligible
        As for :meth:`HardNegativeMiner.candidates`.
    epoch
        Epoch of the draws.
    tile_queries
        Queries of a tile. Default: 8192, and what the manifest says where a job goes on.
    shard
        ``(i, n)``: only part ``i`` of ``n`` (counted from 0) of the tiles. All arguments are still those of the whole;
        :func:`merge` joins the shards.
    resume
        Whether to go on with a job that was begun. A folder that is new or empty is begun either way.
    num_threads, progress
        Threads, and a function called as ``progress(queries done, queries of this job)``.
    **options
        Options of :class:`HardNegativeMiner`, where ``miner`` is not task.

    Returns
    -------
    JobResult
        Of a job that was finished before, ``was_finished`` is true and nothing was done.

    Raises
    ------
    JobError
        The folder is no job, another process writes to it, it holds an unfinished job and ``resume`` is false, its
        job was begun with other inputs (the message names what changed), or one of its files is damaged (the
        message names it). The tile of a damaged part is mined again, with a warning.
    NegmineValueError, NegmineTypeError
        An argument that breaks its rule; nothing is left in the folder.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> folder = tempfile.mkdtemp()
    >>> result = mine_to(folder, corpus[:1], corpus, [[0]], num_negatives=2)
    >>> next(result.rows().batches()).negatives.indices.tolist()
    [1, 2]
    >>> mine_to(folder, corpus[:1], corpus, [[0]], num_negatives=2).was_finished
    True
    """
    require("pyarrow", "io", "a job")
    task = MiningTask.read(
        queries,
        corpus,
        positives,
        read_miner(miner, options),
        metric=metric,
        document_ids=document_ids,
        query_ids=query_ids,
        exclude=exclude,
        exclude_self=exclude_self,
        groups=groups,
        eligible=eligible,
        epoch=epoch,
    )
    inputs.refuse_limit(task.miner)
    check_flag(resume, "resume")
    tile = None if tile_queries is None else inputs.check_tile(tile_queries, task.miner)
    part = None if shard is None else inputs.check_shard(shard)
    threads = resolve_num_threads(num_threads)
    check_progress(progress)
    job = JobFolder(files.as_path(folder, "folder"))
    job.refuse_other_folders()
    call = _Call(job, task, tile, part, resume, threads)
    done = call.finished()  # without the lock: the folder may lie on a read-only medium
    if done is not None:
        return done
    made = job.make()
    with job.lock():
        done = call.finished()  # by another process, until the lock was free
        if done is not None:
            return done
        job.refuse_other_folders()
        found = job.read_manifest()
        try:
            manifest = call.begin(found)
            n_mined = _mine_tiles(job, manifest, task, memory_limit, threads, progress)
            report = result.finish(job, manifest, _parts(job, manifest, task))
        except NegmineError:
            if found is None and not job.has_parts():
                job.undo(made)  # begun by this call, with arguments that turned out to be bad
            raise
        return result.result(job, manifest, report, n_mined, was_finished=False)


@dataclass
class _Call:
    """What a call was given, compared with what is in its folder."""

    job: JobFolder
    task: MiningTask
    tile_queries: int | None
    shard: tuple[int, int] | None
    resume: bool
    num_threads: int

    @cached_property
    def digests(self) -> dict[str, Any]:
        """Digests of the inputs."""
        return inputs.digests(self.task, self.num_threads)

    def finished(self) -> JobResult | None:
        """The result of a job that is finished, which must be of this call; None of one that is not."""
        found = self.job.read_manifest()
        report = None if found is None else self.job.read_report(found)
        if found is None or report is None:
            return None
        self._refuse_changes(found)
        self.job.check_result(report)
        if self.job.has_leftovers():
            # Nothing needs their removal: a read-only medium and another process that does it are no errors.
            with contextlib.suppress(JobError), self.job.lock():
                self.job.clean(finished=True)
        return result.result(self.job, found, report, 0, was_finished=True)

    def begin(self, found: Manifest | None) -> Manifest:
        """The manifest of the folder, which must be of this job, or a new one."""
        if found is None:
            version = str(_native.build_info()["version"])
            size = self.tile_queries or TILE_QUERIES
            manifest = Manifest(version, self.digests, self.task.n_queries, size, self.shard)
            self.job.write_manifest(manifest)
            return manifest
        if not self.resume:
            raise JobError(
                f"`resume` must be True to go on with an unfinished job; got False, and {self.job.path} holds one with "
                f"{sum(self.job.part_path(tile).exists() for tile in found.tiles)} of {len(found.tiles)} tiles."
            )
        self._refuse_changes(found)
        return found

    def _refuse_changes(self, found: Manifest) -> None:
        changed = fingerprint.differences(found.inputs, self.digests)
        if self.tile_queries is not None and self.tile_queries != found.tile_queries:
            changed.append(f"`tile_queries` was {found.tile_queries} and is {self.tile_queries}")
        if self.shard != found.shard:
            changed.append(f"`shard` was {found.shard} and is {self.shard}")
        if changed:
            raise JobError(
                f"`folder` must hold a job of these inputs; in the one in {self.job.path} {', '.join(changed)}."
            )


def _mine_tiles(
    job: JobFolder,
    manifest: Manifest,
    task: MiningTask,
    memory_limit: int | None,
    num_threads: int,
    progress: Progress | None,
) -> int:
    """Mine the tiles that are not there yet."""
    job.clean(finished=False)
    job.make_parts()
    missing = []
    for tile in manifest.tiles:
        if not _is_part(job, manifest, tile):
            missing.append(tile)  # noqa: PERF401 (a loop, so that the warning knows how deep the caller is)
    if not missing:
        return 0
    sizes = {tile: end - begin for tile in manifest.tiles for begin, end in [manifest.queries(tile)]}
    total, done = sum(sizes.values()), sum(sizes.values()) - sum(sizes[tile] for tile in missing)
    report = progress or (lambda _done, _total: None)
    source = task.source(
        num_threads=num_threads, memory_limit=memory_limit, progress=lambda _done, _total: report(done, total)
    )
    for tile in missing:
        begin, end = manifest.queries(tile)

        def within(part: int, whole: int, done: int = done, size: int = sizes[tile]) -> None:
            # The last query of a tile counts as done when the tile is written.
            report(done + min(size * part // max(whole, 1), size - 1), total)

        report(done, total)
        negatives = task.mine(source, begin, end, num_threads=num_threads, progress=within)
        _write_part(job, manifest, tile, negatives, task)
        done += sizes[tile]
    report(done, total)
    return len(missing)


def _write_part(job: JobFolder, manifest: Manifest, tile: int, negatives: HardNegatives, task: MiningTask) -> None:
    begin, end = manifest.queries(tile)
    source = MinedRows.from_negatives(
        negatives,
        positives=task.rules.positives.slice(begin, end),
        query_ids=None if task.query_ids is None else task.query_ids[begin:end],
        query_offset=begin,
    )
    table = require("pyarrow", "io", "a job").concat_tables([batch.to_table({}) for batch in source.batches()])
    said = negatives.report
    report = {
        "n_rows": said.n_rows,
        "n_negatives": int(negatives.counts.sum()),
        "n_unscanned": said.n_unscanned,
        "zero_documents": said.zero_documents,
        "zero_queries": said.zero_queries,
        "duplicate_pairs": task.rules.positives.duplicates,
        "unknown_judgments": task.rules.positives.unknown_judgments,
        "documents": said.totals(),
        "short": dict(said.short),
    }
    write_part(job, manifest, tile, table, report)


def _is_part(job: JobFolder, manifest: Manifest, tile: int) -> bool:
    """Whether a tile is there; what is damaged or belongs elsewhere is mined again."""
    try:
        read_part(job, manifest, tile)
    except FileNotFoundError:
        return False
    except JobError as error:
        warnings.warn(f"The tile of {job.part_path(tile)} is mined again: {error}", NegmineWarning, stacklevel=5)
        return False
    return True


def _parts(job: JobFolder, manifest: Manifest, task: MiningTask) -> Iterator[result.Part]:
    """What tiles found and said, in order; where there is no tile, an empty table."""
    for tile in manifest.tiles:
        yield read_part(job, manifest, tile)
    if not manifest.tiles:
        yield _empty(task), None


def _empty(task: MiningTask) -> pa.Table:
    """The table of a job without queries."""
    rows, offsets = np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    reals, codes = np.empty(0, dtype=np.float64), np.empty(0, dtype=np.uint8)
    ids, query_ids = (rows if labels is None else labels[:0] for labels in (task.document_ids, task.query_ids))
    positives = Lists(offsets, rows, ids, reals)
    negatives = Lists(offsets, rows, ids, reals.astype(np.float32))
    return Records(rows, query_ids, reals, codes, positives, negatives, codes).to_table({})
