"""Merge the shards of a job into the folder that the unsharded job would have made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from negmine._core import files
from negmine._core.extras import require
from negmine._core.options import refuse_unknown_options
from negmine.data import fingerprint
from negmine.errors import JobError, NegmineError, NegmineTypeError
from negmine.io.negatives import open_mined
from negmine.job import result
from negmine.job.folder import JobFolder
from negmine.job.manifest import Manifest
from negmine.job.parts import Coverage
from negmine.job.result import JobResult, Part

__all__ = ["merge"]


@refuse_unknown_options("merge")
def merge(folders: Sequence[object], out: object) -> JobResult:
    """Join the shards of a job into one folder, equal to that of a job without shards.

    Parameters
    ----------
    folders : sequence of path
        All shards, in any order; every one must be finished.
    out : path
        New or empty folder; one that already holds the same result stays as it is.

    Returns
    -------
    JobResult

    Raises
    ------
    JobError
        A folder is not a finished shard, the shards have different inputs (the message names them), or a shard is
        missing, repeated or corrupt (the message names the file).
    """
    if isinstance(folders, str | Path) or not isinstance(folders, Sequence) or not folders:
        raise NegmineTypeError(f"`folders` must be a list of at least one path; got {folders!r}.")
    require("pyarrow", "io", "a job")
    shards = _shards([JobFolder(files.as_path(folder, "folders"), "folders") for folder in folders])
    first = shards[0][1]
    manifest = Manifest(first.version, first.inputs, first.n_queries, first.tile_queries, None)
    job = JobFolder(files.as_path(out, "out"), "out")
    job.refuse_other_folders()
    report = _finished(job, manifest)  # without the lock: the folder may lie on a read-only medium
    if report is not None:
        return result.result(job, manifest, report, 0, was_finished=True)
    made = job.make()
    with job.lock():
        report = _finished(job, manifest)  # by another process, until the lock was free
        if report is not None:
            return result.result(job, manifest, report, 0, was_finished=True)
        found = job.read_manifest()
        try:
            if found is None:
                job.write_manifest(manifest)
            job.clean(finished=False)
            report = result.finish(job, manifest, _shard_parts(shards))
        except NegmineError:
            if found is None:
                job.undo(made)
            raise
        return result.result(job, manifest, report, 0, was_finished=False)


def _finished(job: JobFolder, manifest: Manifest) -> dict[str, Any] | None:
    """Return the report of a folder that already holds the merged job, or None."""
    found = job.read_manifest()
    if found is None:
        return None
    changed = fingerprint.differences(found.inputs, manifest.inputs)
    if changed or found.shard is not None or found.tile_queries != manifest.tile_queries:
        why = ", ".join(changed) or f"`shard` is {found.shard}, `tile_queries` {found.tile_queries}"
        raise JobError(f"`out` must be new, empty or of the same job; in the one in {job.path} {why}.")
    report = job.read_report(found)
    if report is not None:
        job.check_result(report)
    return report


#: Folder, manifest and report of a shard.
Shard = tuple[JobFolder, Manifest, dict[str, Any]]


def _shards(folders: list[JobFolder]) -> list[Shard]:
    """Validate the shards, and return them in order."""
    found: dict[int, Shard] = {}
    for job in folders:
        manifest = job.read_manifest()
        if manifest is None:
            raise JobError(f"`folders` must hold shards of a job; {job.path} has no {job.manifest_path.name}.")
        report = job.read_report(manifest)
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


def _shard_parts(shards: list[Shard]) -> Iterator[Part]:
    for job, manifest, report in shards:
        job.check_result(report)
        coverage = Coverage(*manifest.all_queries)
        try:
            with open_mined(job.result_path, "folders") as file:
                tables = file.tables()
                for place, table in enumerate(tables):
                    coverage.add(table)
                    yield table, report if place == 0 else None
        except JobError:
            raise
        except NegmineError as error:
            raise JobError(str(error)) from error
        if not coverage.is_complete(report["n_rows"]):
            raise JobError(f"`folders` must hold whole results; {job.result_path} has not all rows of its queries.")
