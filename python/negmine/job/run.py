"""``mine_to``: one tile after the other, each written before the next is begun."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Unpack

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
from negmine.errors import JobError, NegmineError
from negmine.io.negatives import MinedRows, write_tables
from negmine.io.records import Lists, Records
from negmine.job import inputs, result
from negmine.job.folder import JobFolder, Manifest
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

_TILE_KEY = b"negmine.tile"


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
        The folder is no job, another process writes to it, it holds an unfinished job and ``resume`` is false, or its
        job was begun with other inputs: the message tells which part changed.
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
    made = job.make()
    with job.lock():
        job.refuse_other_folders()
        found = job.read_manifest()
        try:
            manifest = _begin(job, found, task, tile, part, resume=resume, num_threads=threads)
            report = job.read_report()
            if report is not None:
                job.clean(finished=True)
                return result.result(job, manifest, report, 0, was_finished=True)
            n_mined = _mine_tiles(job, manifest, task, memory_limit, threads, progress)
        except NegmineError:
            if found is None and not job.has_parts():
                job.undo(made)  # begun by this call, with arguments that turned out to be bad
            raise
        report = result.finish(job, manifest, _parts(job, manifest, task))
        return result.result(job, manifest, report, n_mined, was_finished=False)


def _begin(
    job: JobFolder,
    found: Manifest | None,
    task: MiningTask,
    tile_queries: int | None,
    shard: tuple[int, int] | None,
    *,
    resume: bool,
    num_threads: int,
) -> Manifest:
    """The manifest of the folder, which must be of this job, or a new one."""
    if found is not None and not resume and job.read_report() is None:
        raise JobError(
            f"`resume` must be True to go on with an unfinished job; got False, and {job.path} holds one with "
            f"{sum(job.part_path(tile).exists() for tile in found.tiles)} of {len(found.tiles)} tiles."
        )
    digests = inputs.digests(task, num_threads)
    if found is None:
        version = str(_native.build_info()["version"])
        manifest = Manifest(version, digests, task.n_queries, tile_queries or TILE_QUERIES, shard)
        files.write_text(job.manifest_path, manifest.to_json())
        return manifest
    changed = fingerprint.differences(found.inputs, digests)
    if tile_queries is not None and tile_queries != found.tile_queries:
        changed.append(f"`tile_queries` was {found.tile_queries} and is {tile_queries}")
    if shard != found.shard:
        changed.append(f"`shard` was {found.shard} and is {shard}")
    if changed:
        raise JobError(f"`folder` must hold a job of these inputs; in the one in {job.path} {', '.join(changed)}.")
    return found


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
    missing = [tile for tile in manifest.tiles if not _is_part(job, manifest, tile)]
    if not missing:
        return 0
    sizes = {tile: end - begin for tile in manifest.tiles for begin, end in [manifest.queries(tile)]}
    total, done = sum(sizes.values()), sum(sizes.values()) - sum(sizes[tile] for tile in missing)
    source = task.source(num_threads=num_threads, memory_limit=memory_limit)
    report = progress or (lambda _done, _total: None)
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
    report = negatives.report
    header = {
        "tile": tile,
        "fingerprint": manifest.fingerprint,
        "n_rows": report.n_rows,
        "n_negatives": int(negatives.counts.sum()),
        "n_unscanned": report.n_unscanned,
        "zero_documents": report.zero_documents,
        "zero_queries": report.zero_queries,
        "duplicate_pairs": task.rules.positives.duplicates,
        "documents": report.totals(),
        "short": dict(report.short),
    }
    metadata = {_TILE_KEY: json.dumps(header, sort_keys=True).encode()}
    write_tables(job.part_path(tile), [table.replace_schema_metadata(metadata)])


def _is_part(job: JobFolder, manifest: Manifest, tile: int) -> bool:
    """Whether a tile is there; what cannot be read or belongs elsewhere is mined again."""
    arrow = require("pyarrow", "io", "a job")
    parquet = require("pyarrow.parquet", "io", "a job")
    try:
        header = json.loads(parquet.read_schema(job.part_path(tile)).metadata[_TILE_KEY])
        return bool(header["tile"] == tile and header["fingerprint"] == manifest.fingerprint)
    except (FileNotFoundError, arrow.ArrowException, OSError, KeyError, TypeError, ValueError):
        return False


def _parts(job: JobFolder, manifest: Manifest, task: MiningTask) -> Iterator[result.Part]:
    """What tiles found and said, in order; where there is no tile, an empty table."""
    parquet = require("pyarrow.parquet", "io", "a job")
    for tile in manifest.tiles:
        with parquet.ParquetFile(job.part_path(tile)) as file:
            table = file.read()
        yield table, json.loads(table.schema.metadata[_TILE_KEY])
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
