"""Mined negatives as a Parquet table: one row per result row, with the provenance in its metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import files
from negmine._core.arrays import CsrLike
from negmine._core.formats import MINED_NEGATIVES
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io.lines import parse_json
from negmine.io.records import check_columns, from_table, to_table
from negmine.io.row_groups import METADATA_KEY, CheckedFile, open_tables, write_tables
from negmine.mining import policies
from negmine.mining.miner import MINER_OPTIONS, HardNegativeMiner
from negmine.mining.negatives import HardNegatives
from negmine.mining.records import Records, RecordSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MinedRows", "Written", "describe_miner", "open_mined", "read_negatives", "write_negatives"]


#: Result rows per batch, unless the rows are wide.
BATCH_ROWS = 65_536

#: Rules that remove documents in addition to the positives, by their lines in the report.
_RULES = {"excluded": "exclude", "self": "exclude_self", "group": "groups", "ineligible": "eligible"}

#: Upper bound on entries per batch: Arrow's lists count them in 31 bits.
BATCH_ENTRIES = 1 << 24


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class MinedRows:
    """Mined negatives for files: batches of :class:`Records`, and their provenance.

    Attributes
    ----------
    n_rows : int
        Number of result rows.
    provenance : dict
        What is known about the origin of the rows. "width" is the number of negatives of a full row; "rules" are the
        rules that removed documents in addition to the positives: "exclude", "exclude_self", "groups", "eligible".
        "unlabeled" are the sides without labels, "queries" or "documents", whose ids are row numbers.
    """

    n_rows: int
    provenance: Mapping[str, Any]
    _batches: Callable[[], Iterator[Records]]

    def __len__(self) -> int:
        return self.n_rows

    def batches(self) -> Iterator[Records]:
        """Iterate over the rows in order; there is at least one batch, which may be empty.

        Returns
        -------
        iterator of Records
        """
        return self._batches()

    @classmethod
    def from_negatives(
        cls,
        negatives: HardNegatives,
        *,
        positives: CsrLike | None = None,
        query_ids: npt.ArrayLike | None = None,
        query_offset: int = 0,
        document_ids: npt.ArrayLike | None = None,
        miner: HardNegativeMiner | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> MinedRows:
        """Take the result of a miner.

        Parameters
        ----------
        negatives : HardNegatives
            Result of a miner.
        positives : Positives, optional
            Positives of the mining call. Default: those of the pool that the negatives refer to.
        query_ids : int64 or str (n_queries,), optional
            Labels of all queries. Default: those of the negatives, or the rows.
        query_offset : int, default 0
            Row of the query that the first label belongs to, and the first positives of negatives without a pool.
        document_ids : int64 or str (n_documents,), optional
            Labels of all documents. Default: those of the pool.
        miner : HardNegativeMiner, optional
            The miner, whose options become part of the provenance. Default: only the options of the draw do.
        provenance : mapping of str to Any, optional
            Further entries of the provenance.

        Returns
        -------
        MinedRows
        """
        if not isinstance(negatives, HardNegatives):
            raise NegmineTypeError(f"`negatives` must be HardNegatives; got {type(negatives).__name__}.")
        width = negatives.indices.shape[1]
        origin = None if negatives.pool is None else negatives.pool.origin
        known: dict[str, Any] = {
            "negmine": str(_native.build_info()["version"]),
            "metric": None if origin is None else getattr(origin.source, "metric", None),
            "n_documents": negatives.report.n_documents,
            "width": width,
            "epoch": negatives.epoch,
            "options": _describe_draw(negatives) if miner is None else describe_miner(miner),
            "rules": [rule for line, rule in _RULES.items() if negatives.report.lines[line].any()],
        }
        source = RecordSource.of(negatives, positives, query_ids, query_offset, document_ids)
        known["unlabeled"] = source.unlabeled()
        step = max(1, min(BATCH_ROWS, BATCH_ENTRIES // max(width, 1)))

        def batches() -> Iterator[Records]:
            for begin in range(0, max(len(negatives), 1), step):
                yield source.records(begin, min(begin + step, len(negatives)))

        return cls(len(negatives), {**known, **(provenance or {})}, batches)


def describe_miner(miner: HardNegativeMiner) -> dict[str, Any]:
    """Describe all options of a miner as values that JSON can represent.

    Parameters
    ----------
    miner : HardNegativeMiner
        The miner.

    Returns
    -------
    dict
        Options by name.
    """
    options = {name: getattr(miner, name) for name in MINER_OPTIONS}
    return {name: _plain(value) for name, value in options.items()} | {"sampling": policies.to_json(miner.sampling)}


def _describe_draw(negatives: HardNegatives) -> dict[str, Any]:
    return asdict(negatives.draw) | {"sampling": policies.to_json(negatives.draw.sampling)}


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True, slots=True)
class Written:
    """Result of a writer.

    Attributes
    ----------
    path : Path
        The file.
    n_rows : int
        Number of rows or lines in the file.
    n_dropped : int
        Number of result rows that were left out, because the format needs more negatives or positives than they have.
    """

    path: Path
    n_rows: int
    n_dropped: int = 0


def write_negatives(negatives: HardNegatives | MinedRows, path: object) -> Written:
    """Write mined negatives as Parquet, one row per result row; short and empty rows are kept.

    Columns: query_index, query_id, positive_indices, positive_ids, positive_scores, reference_score (null without
    positives), reason (null if the row is full), negative_indices, negative_ids, negative_scores, negative_sources
    ("mined" or "random"). Queries and documents without labels have their row numbers as ids, and the provenance names
    them as "unlabeled". The schema's metadata holds the provenance as JSON, under "negmine". The same negatives give
    the same bytes.

    Parameters
    ----------
    negatives : HardNegatives or MinedRows
        Result of a miner. :class:`MinedRows` may have other labels and more provenance than :class:`HardNegatives`.
    path : path
        File to write. It is written under a temporary name and renamed, so it is either complete or unchanged.

    Returns
    -------
    Written

    Raises
    ------
    NegmineValueError
        ``path`` does not end in ".parquet" or its folder does not exist.
    """
    mined = as_mined(negatives)
    target = files.as_path(path, "path")
    if files.suffix_of(target) != ".parquet":
        raise NegmineValueError(f"`path` must end in .parquet; got {target}.")
    write_tables(target, (to_table(batch, mined.provenance) for batch in mined.batches()))
    return Written(target, len(mined))


def read_negatives(path: object) -> MinedRows:
    """Open a file of :func:`write_negatives` or of a job; rows are read when they are requested.

    Parameters
    ----------
    path : path
        Parquet file of mined negatives.

    Returns
    -------
    MinedRows

    Raises
    ------
    NegmineValueError
        The file has another format or version, or is corrupt; reading its rows may raise this too.
    """
    file = files.input_file(path, "path")
    if files.suffix_of(file) != ".parquet":
        raise NegmineValueError(f"`path` must end in .parquet; got {file}.")
    with open_mined(file, "path") as opened:
        provenance = _provenance(opened.schema, file)
        n_rows = opened.n_rows

    def batches() -> Iterator[Records]:
        with open_mined(file, "path") as opened:
            for table in opened.tables():
                yield from_table(table, file)

    return MinedRows(n_rows, provenance, batches)


def open_mined(path: Path, argument: str) -> AbstractContextManager[CheckedFile]:
    """Open a file of mined negatives, after a check of its kind, version and columns.

    Parameters
    ----------
    path : Path
        Existing Parquet file.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    context manager of CheckedFile
    """

    def check(schema: pa.Schema) -> None:
        _provenance(schema, path)
        check_columns(schema, path)

    return open_tables(path, argument, check)


def _provenance(schema: pa.Schema, path: Path) -> dict[str, Any]:
    try:
        provenance = dict(parse_json((schema.metadata or {}).get(METADATA_KEY, b"{}")))
    except (ValueError, TypeError):
        provenance = {}
    kind = provenance.pop("kind", None)
    if kind != MINED_NEGATIVES.kind:
        raise NegmineValueError(f"`path` must be a file of mined negatives; {path} does not say that it is one.")
    MINED_NEGATIVES.check(kind, provenance.pop("version", 1), "path", path)
    return provenance


def as_mined(negatives: HardNegatives | MinedRows) -> MinedRows:
    """Return mined rows from either type."""
    return negatives if isinstance(negatives, MinedRows) else MinedRows.from_negatives(negatives)
