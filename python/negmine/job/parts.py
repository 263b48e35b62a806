"""Parts: the result of one tile in its own file, whose header and content have checksums.

A part is a header (magic, version, JSON, SHA-256) and a table in Arrow's stream format. Content is compared with its
checksum before it is decoded, so that a corrupt part is detected and its tile is mined again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core import files, headers
from negmine._core.extras import require
from negmine._core.formats import JOB_PART, corrupt
from negmine.errors import JobError
from negmine.io.records import COLUMNS
from negmine.job.folder import REPORT, JobFolder
from negmine.job.manifest import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Coverage", "read_part", "write_part"]


def write_part(job: JobFolder, manifest: Manifest, tile: int, table: pa.Table, report: Mapping[str, Any]) -> None:
    """Write the result of a tile and its report.

    Parameters
    ----------
    job : JobFolder
        Folder of the job.
    manifest : Manifest
        Manifest of the folder.
    tile : int
        Number of the tile.
    table : pyarrow.Table
        Mined rows.
    report : mapping of str to Any
        Counts of the tile, with the entries of ``negmine.job.folder.REPORT``.
    """
    arrow = require("pyarrow", "io", "a job")
    sink = arrow.BufferOutputStream()
    options = arrow.ipc.IpcWriteOptions(compression="zstd")
    with arrow.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    content = sink.getvalue()
    header = {
        **report,
        "tile": tile,
        "fingerprint": manifest.fingerprint,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with files.atomic_file(job.part_path(tile)) as temporary, temporary.open("wb") as file:
        file.write(headers.pack(JOB_PART, header))
        file.write(content)


def read_part(job: JobFolder, manifest: Manifest, tile: int) -> tuple[pa.Table, dict[str, Any]]:
    """Read the result of a tile and its report.

    Parameters
    ----------
    job : JobFolder
        Folder of the job.
    manifest : Manifest
        Manifest of the folder.
    tile : int
        Number of the tile.

    Returns
    -------
    tuple of (pyarrow.Table, dict)
        Mined rows, and the counts of the tile.

    Raises
    ------
    FileNotFoundError
        The tile is not mined yet.
    JobError
        The file cannot be read, is corrupt, or is the part of another tile or job.
    """
    path = job.part_path(tile)
    try:
        with files.open_file(path) as file:
            header, begin = headers.unpack(JOB_PART, file.read(headers.LONGEST), job.argument, path, JobError)
            if header.get("bytes") != os.fstat(file.fileno()).st_size - begin:
                raise corrupt(path, error=JobError)
            file.seek(begin)
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise JobError(f"`{job.argument}` must hold parts that can be read; got {path}: {error}") from error
    if header.get("sha256") != hashlib.sha256(content).hexdigest():
        raise corrupt(path, error=JobError)
    if header.get("tile") != tile or header.get("fingerprint") != manifest.fingerprint:
        raise JobError(f"`{job.argument}` must hold parts of its own tiles; {path} is one of another tile or job.")
    table = _decode(job, path, content)
    coverage = Coverage(*manifest.queries(tile))
    coverage.add(table)
    missing = [name for name in REPORT if name not in header]
    if missing or table.schema.names != list(COLUMNS) or not coverage.is_complete(header["n_rows"]):
        raise JobError(f"`{job.argument}` must hold whole parts; {path} has not all rows of its queries.")
    return table, header


def _decode(job: JobFolder, path: Path, content: bytes) -> pa.Table:
    arrow = require("pyarrow", "io", "a job")
    try:
        with arrow.ipc.open_stream(arrow.py_buffer(content)) as stream:
            table = stream.read_all()
        table.validate(full=True)
    except (arrow.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
        raise JobError(f"`{job.argument}` must hold parts that can be decoded; got {path}: {error}") from error
    return table


class Coverage:
    """Check that consecutive tables have rows of all queries of a range, in order.

    Parameters
    ----------
    begin, end : int
        Range of queries.
    """

    def __init__(self, begin: int, end: int) -> None:
        self._begin, self._end = begin, end
        self._last, self._n_rows, self._in_order = begin - 1, 0, True

    def add(self, table: pa.Table) -> None:
        """Add the next table.

        Parameters
        ----------
        table : pyarrow.Table
            Mined rows.
        """
        if "query_index" not in table.schema.names or len(table) == 0:
            self._in_order &= len(table) == 0
            return
        queries: npt.NDArray[np.int64] = table["query_index"].to_numpy()
        steps = np.diff(queries, prepend=self._last)
        first = self._n_rows == 0
        self._in_order &= bool((steps >= 0).all() and (steps <= 1).all() and not (first and steps[0] != 1))
        self._last, self._n_rows = int(queries[-1]), self._n_rows + len(queries)

    def is_complete(self, n_rows: object) -> bool:
        """Return whether all queries occurred, in the given number of rows.

        Parameters
        ----------
        n_rows : int
            Expected number of rows.

        Returns
        -------
        bool
        """
        return self._in_order and self._last == self._end - 1 and self._n_rows == n_rows
