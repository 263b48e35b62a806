"""``merge``: shards of one job into the folder that the uncut job would have made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from negmine._core import files
from negmine._core.extras import require
from negmine._core.options import refuse_unknown_options
from negmine.data import fingerprint
from negmine.errors import JobError, NegmineTypeError
from negmine.job import result
from negmine.job.folder import JobFolder, Manifest
from negmine.job.result import JobResult, Part

__all__ = ["merge"]


@refuse_unknown_options("merge")
def merge(folders: Sequence[object], out: object) -> JobResult:
    """Join the shards of a job into one folder, which then is equal to that of a job that never was cut.

    Parameters
    ----------
    folders : sequence of paths
        All shards, in any order, each finished.
    out : path
        A new or empty folder; one that holds the same result already is left as it is.

    Returns
    -------
    JobResult

    Raises
    ------
    JobError
        A folder is no finished shard, shards are of different inputs (the message tells which part), one is missing
        or given twice.
    """
    if isinstance(folders, str | Path) or not isinstance(folders, Sequence) or not folders:
        raise NegmineTypeError(f"`folders` must be a list of at least one path; got {folders!r}.")
    require("pyarrow", "io", "a job")
    shards = _shards([JobFolder(files.as_path(folder, "folders"), "folders") for folder in folders])
    first = shards[0][1]
    manifest = Manifest(first.version, first.inputs, first.n_queries, first.tile_queries, None)
    job = JobFolder(files.as_path(out, "out"), "out")
    job.refuse_other_folders()
    made = job.make()
    with job.lock():
        found = job.read_manifest()
        if found is not None:
            changed = fingerprint.differences(found.inputs, manifest.inputs)
            if changed or found.shard is not None or found.tile_queries != manifest.tile_queries:
                why = ", ".join(changed) or f"`shard` is {found.shard}, `tile_queries` {found.tile_queries}"
                raise JobError(f"`out` must be new, empty or of the same job; in the one in {job.path} {why}.")
            report = job.read_report()
            if report is not None:
                return result.result(job, manifest, report, 0, was_finished=True)
        else:
            files.write_text(job.manifest_path, manifest.to_json())
        job.clean(finished=False)
        try:
            report = result.finish(
                job, manifest, _shard_parts([shard for shard, _, _ in shards], [r for _, _, r in shards])
            )
        except JobError:
            if found is None:
                job.undo(made)
            raise
        return result.result(job, manifest, report, 0, was_finished=False)


def _shards(folders: list[JobFolder]) -> list[tuple[JobFolder, Manifest, dict[str, Any]]]:
    """The shards in order, checked."""
    found: dict[int, tuple[JobFolder, Manifest, dict[str, Any]]] = {}
    for job in folders:
        manifest, report = job.read_manifest(), job.read_report()
        if manifest is None:
            raise JobError(f"`folders` must hold shards of a job; {job.path} has no {job.manifest_path.name}.")
        if manifest.shard is None:
            raise JobError(f"`folders` must hold shards of a job; the one in {job.path} was not cut.")
        if report is None:
            raise JobError(f"`folders` must hold finished shards; the one in {job.path} is not finished.")
        if manifest.shard[0] in found:
            other = found[manifest.shard[0]][0].path
            raise JobError(f"`folders` must hold every shard once; {other} and {job.path} are both {manifest.shard}.")
        found[manifest.shard[0]] = (job, manifest, report)
        first, first_manifest = next((job, manifest) for job, manifest, _ in found.values())
        changed = fingerprint.differences(first_manifest.inputs, manifest.inputs)
        for name in ("n_queries", "tile_queries"):
            if getattr(manifest, name) != getattr(first_manifest, name):
                changed.append(f"`{name}` is {getattr(manifest, name)}, not {getattr(first_manifest, name)}")
        if manifest.shard[1] != (first_manifest.shard or (0, 1))[1]:
            changed.append(f"`shard` is {manifest.shard}, the first one's {first_manifest.shard}")
        if changed:
            raise JobError(f"`folders` must be of one job; against {first.path}, in {job.path} {', '.join(changed)}.")
    n = next(iter(found.values()))[1].shard
    missing = sorted(set(range(n[1] if n else 1)) - found.keys())
    if missing:
        raise JobError(f"`folders` must hold all {n[1] if n else 1} shards; {', '.join(map(str, missing))} missing.")
    return [found[i] for i in sorted(found)]


def _shard_parts(jobs: list[JobFolder], reports: list[dict[str, Any]]) -> Iterator[Part]:
    arrow, parquet = require("pyarrow", "io", "a job"), require("pyarrow.parquet", "io", "a job")
    for job, report in zip(jobs, reports, strict=True):
        try:
            with parquet.ParquetFile(job.result_path) as file:
                tables = (file.read_row_group(group) for group in range(file.num_row_groups))
                yield next(tables, file.schema_arrow.empty_table()), report
                yield from ((table, None) for table in tables)
        except (arrow.ArrowException, OSError) as error:
            raise JobError(f"`folders` must hold readable results; got {job.result_path}: {error}") from error
