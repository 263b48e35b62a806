"""Result and report of a job: joined from its parts, and equal for equal jobs, however often they were interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negmine._core.formats import MINED_NEGATIVES
from negmine.io import negatives
from negmine.io.records import with_provenance
from negmine.io.row_groups import write_tables
from negmine.job.folder import JobFolder
from negmine.job.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["JobResult", "Part", "finish", "result"]


@dataclass(frozen=True, slots=True)
class JobResult:
    """Result of a finished job.

    Attributes
    ----------
    folder : Path
        Folder of the job.
    path : Path
        Parquet file of the result, in the format that [`negmine.io.read_negatives`][] reads.
    report : dict
        Content of ``report.json``: counts that are equal on every machine, and the SHA-256 of the result.
    fingerprint : str
        Digest of the inputs.
    n_tiles : int
        Number of tiles of this job.
    n_mined : int
        Number of tiles that this call mined; the others existed.
    was_finished : bool
        Whether the job was already finished, so that this call did nothing.
    """

    folder: Path
    path: Path
    report: Mapping[str, Any]
    fingerprint: str
    n_tiles: int
    n_mined: int
    was_finished: bool

    def rows(self) -> negatives.MinedRows:
        """Open the result.

        Returns
        -------
        MinedRows
        """
        return negatives.read_negatives(self.path)

    def __str__(self) -> str:
        if self.was_finished:
            return f"the job in {self.folder} was finished before; nothing was done"
        if self.n_tiles == 0 and "shard" in self.report:
            (i, n), n_queries, size = (self.report[name] for name in ("shard", "n_queries", "tile_queries"))
            return (
                f"the job in {self.folder} is finished: no tile falls to shard {i} of {n}, since {n_queries:,} queries "
                f"make too few tiles of {size:,}; `tile_queries` makes them smaller"
            )
        found = self.n_tiles - self.n_mined
        tiles = f"{self.n_mined} tile{'' if self.n_mined == 1 else 's'}"
        return f"the job in {self.folder} is finished: {tiles} mined now, {found} found there"


@dataclass(slots=True)
class _Sum:
    """Sums over the reports of tiles or shards."""

    numbers: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)
    short: Counter[str] = field(default_factory=Counter)
    same: dict[str, int] = field(default_factory=dict)

    def add(self, report: Mapping[str, Any]) -> None:
        """Add one report."""
        for name in ("n_rows", "n_negatives", "n_unscanned", "zero_queries"):
            self.numbers[name] += report[name]
        self.documents.update(report["documents"])
        self.short.update(report["short"])
        for name in ("zero_documents", "duplicate_pairs", "unknown_judgments"):
            # Every part that mined anything has the same number; a shard without tiles has 0.
            self.same[name] = max(report[name], self.same.get(name, 0))

    def finish(self, manifest: Manifest) -> dict[str, Any]:
        """Return the report of the whole job."""
        numbers = {name: self.numbers[name] for name in ("n_rows", "n_negatives", "n_unscanned", "zero_queries")}
        same = {name: self.same.get(name, 0) for name in ("zero_documents", "duplicate_pairs", "unknown_judgments")}
        return {
            **manifest.provenance(),
            **numbers,
            **same,
            "documents": dict(sorted(self.documents.items())),
            "short": dict(sorted(self.short.items())),
        }


#: A table, and its report if the table is the first one that the report covers.
Part = tuple["pa.Table", Mapping[str, Any] | None]


def finish(job: JobFolder, manifest: Manifest, parts: Iterator[Part]) -> dict[str, Any]:
    """Join the parts, write the report, and remove the parts, in this order; each file appears whole or not at all.

    Parameters
    ----------
    job : JobFolder
        Folder of the job.
    manifest : Manifest
        Manifest of the folder.
    parts : iterator of (pyarrow.Table, mapping or None)
        Tables in the order of the queries, with their reports; at least one table, which may be empty.

    Returns
    -------
    dict
        Report of the job.
    """
    total, source = _Sum(), manifest.provenance()

    def tables() -> Iterator[pa.Table]:
        empty = None
        n_tables = 0
        for table, report in parts:
            if report is not None:
                total.add(report)
            if len(table):
                n_tables += 1
                yield with_provenance(table, MINED_NEGATIVES, source)
            else:
                empty = table
        if n_tables == 0 and empty is not None:
            yield with_provenance(empty, MINED_NEGATIVES, source)

    write_tables(job.result_path, tables())
    report = job.write_report(total.finish(manifest))
    job.clean(finished=True)
    return report


def result(
    job: JobFolder, manifest: Manifest, report: Mapping[str, Any], n_mined: int, *, was_finished: bool
) -> JobResult:
    """Make the result that the caller receives.

    Parameters
    ----------
    job : JobFolder
        Folder of the job.
    manifest : Manifest
        Manifest of the folder.
    report : mapping of str to Any
        Report of the job.
    n_mined : int
        Number of tiles that the call mined.
    was_finished : bool
        Whether the job was already finished.

    Returns
    -------
    JobResult
    """
    return JobResult(
        folder=job.path,
        path=job.result_path,
        report=report,
        fingerprint=manifest.fingerprint,
        n_tiles=len(manifest.tiles),
        n_mined=n_mined,
        was_finished=was_finished,
    )
