"""Result rows without padding, and the Arrow table that holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.formats import MINED_NEGATIVES, Format
from negmine._core.labels import Ids, Strings, as_labels
from negmine._core.reprs import short_repr
from negmine.errors import NegmineValueError
from negmine.io import tables
from negmine.io.row_groups import METADATA_KEY
from negmine.mining.report import Reason, Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "Lists", "Records", "check_columns", "with_provenance"]


#: Columns of mined negatives, and the allowed Arrow types of their values or of the entries of their lists.
COLUMNS = {
    "query_index": ("int64",),
    "query_id": ("int64", "string"),
    "positive_indices": ("int64",),
    "positive_ids": ("int64", "string"),
    "positive_scores": ("double",),
    "reference_score": ("double",),
    "reason": ("string",),
    "negative_indices": ("int64",),
    "negative_ids": ("int64", "string"),
    "negative_scores": ("float",),
    "negative_sources": ("string",),
}

#: Prefixes of the columns that hold a list per result row.
_LISTS = ("positive_", "negative_")

#: Columns in which a value may be null.
_NULLABLE = ("reference_score", "reason")


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Lists of documents.

    Attributes
    ----------
    offsets : int64 (n + 1,)
        The documents of result row ``i`` are those of ``offsets[i]`` to ``offsets[i + 1]``.
    indices : int64 (m,)
        Rows of the documents.
    ids : int64 (m,) or Strings
        Labels of the documents.
    scores : float64 or float32 (m,)
        Scores of the documents.
    """

    offsets: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    ids: Ids
    scores: npt.NDArray[np.float64] | npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_labels(self.ids, "ids"))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of documents per result row: int64 (n,)."""
        return np.diff(self.offsets)


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Some result rows, without padding.

    Attributes
    ----------
    query_indices : int64 (n,)
        Rows of the queries.
    query_ids : int64 (n,) or Strings
        Labels of the queries; the rows if there are none.
    reference_scores : float64 (n,)
        Scores that margins refer to; NaN without positives.
    reasons : uint8 (n,)
        Why a row is short: :class:`Reason`.
    positives : Lists
        Positives of the query (under ``reference="each"``, that of the row), with scores in float64. Row -1 is outside
        the corpus.
    negatives : Lists
        Mined negatives, best first, then random ones, with scores in float32.
    sources : uint8 (m,)
        Origin of each negative: :class:`Source`.
    """

    query_indices: npt.NDArray[np.int64]
    query_ids: Ids
    reference_scores: npt.NDArray[np.float64]
    reasons: npt.NDArray[np.uint8]
    positives: Lists
    negatives: Lists
    sources: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        object.__setattr__(self, "query_ids", as_labels(self.query_ids, "query_ids"))

    def __len__(self) -> int:
        return len(self.query_indices)

    def to_table(self, provenance: Mapping[str, Any]) -> pa.Table:
        """Return the rows as a table whose schema carries the provenance.

        Parameters
        ----------
        provenance : mapping of str to Any
            Values that JSON can represent.

        Returns
        -------
        pyarrow.Table
        """
        arrow = require("pyarrow", "io", "writing mined negatives")
        reasons = [None if reason == Reason.NONE else Reason(reason).name.lower() for reason in self.reasons.tolist()]
        names = np.array([source.name.lower() for source in Source])
        missing = np.isnan(self.reference_scores)
        columns = {
            "query_index": arrow.array(self.query_indices),
            "query_id": tables.to_array(self.query_ids),
            "positive_indices": _list_array(self.positives.offsets, self.positives.indices),
            "positive_ids": _list_array(self.positives.offsets, self.positives.ids),
            "positive_scores": _list_array(self.positives.offsets, self.positives.scores),
            "reference_score": arrow.array(self.reference_scores, mask=missing),
            "reason": arrow.array(reasons, arrow.string()),
            "negative_indices": _list_array(self.negatives.offsets, self.negatives.indices),
            "negative_ids": _list_array(self.negatives.offsets, self.negatives.ids),
            "negative_scores": _list_array(self.negatives.offsets, self.negatives.scores),
            "negative_sources": _list_array(self.negatives.offsets, names[self.sources]),
        }
        return with_provenance(arrow.table(columns), MINED_NEGATIVES, provenance)

    @classmethod
    def from_table(cls, table: pa.Table, path: Path) -> Records:
        """Restore rows.

        Parameters
        ----------
        table : pyarrow.Table
            Result of :meth:`to_table`.
        path : Path
            File of the table, for error messages.

        Returns
        -------
        Records

        Raises
        ------
        NegmineValueError
            The table holds nulls, lists of unequal length, or unknown reasons or sources.
        """
        flat = {name: table[name].combine_chunks() for name in COLUMNS}
        _check_lists(flat, path)
        reasons = {reason.name.lower(): int(reason) for reason in Reason} | {None: int(Reason.NONE)}
        sources = {source.name.lower(): int(source) for source in Source}
        names = flat["negative_sources"].flatten().to_pylist()
        unknown = {*flat["reason"].to_pylist()} - reasons.keys() | {*names} - sources.keys()
        if unknown:
            raise NegmineValueError(
                f"`path` must hold reasons and sources that negmine knows; {path} has {min(unknown)!r}."
            )
        return cls(
            query_indices=flat["query_index"].to_numpy(),
            query_ids=tables.Column(table["query_id"], "path", path, "query_id").labels(),
            reference_scores=flat["reference_score"].fill_null(np.nan).to_numpy(),
            reasons=np.array([reasons[reason] for reason in flat["reason"].to_pylist()], dtype=np.uint8),
            positives=_lists(flat, "positive", path),
            negatives=_lists(flat, "negative", path),
            sources=np.array([sources[name] for name in names], dtype=np.uint8),
        )


def check_columns(schema: pa.Schema, path: Path) -> None:
    """Refuse a file of mined negatives that lacks a column, or has a column of another type.

    Parameters
    ----------
    schema : pyarrow.Schema
        Schema of the file.
    path : Path
        The file, for error messages.

    Raises
    ------
    NegmineValueError
        A column is missing, repeated or of another type.
    """
    for name, kinds in COLUMNS.items():
        if schema.names.count(name) != 1:
            raise NegmineValueError(
                f"`path` must hold every column of mined negatives; {path} has {schema.names.count(name) or 'no'} "
                f"{name!r}."
            )
        allowed = [f"list<element: {kind}>" if name.startswith(_LISTS) else kind for kind in kinds]
        if str(schema.field(name).type) not in allowed:
            raise NegmineValueError(
                f"`path` must hold mined negatives, whose {name!r} is {' or '.join(allowed)}; {path} has "
                f"{schema.field(name).type}."
            )


def _check_lists(flat: Mapping[str, Any], path: Path) -> None:
    """Refuse nulls, and lists of one row that differ in length."""
    for name, column in flat.items():
        entries = column.flatten().null_count if name.startswith(_LISTS) else 0
        if (name not in _NULLABLE and column.null_count) or entries:
            raise NegmineValueError(
                f"`path` must hold no nulls in column {name!r}; {path} has {column.null_count or entries}."
            )
        whole = f"{name.split('_')[0]}_indices"
        if name.startswith(_LISTS) and not column.value_lengths().equals(flat[whole].value_lengths()):
            raise NegmineValueError(
                f"`path` must hold lists in {name!r} as long as those in {whole!r}; {path} has others."
            )


def with_provenance(table: pa.Table, form: Format, provenance: Mapping[str, Any], detail: str = "") -> pa.Table:
    """Put a format and the provenance into the metadata of a table's schema.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    form : Format
        Format of the file.
    provenance : mapping of str to Any
        Values that JSON can represent.
    detail : str, default ""
        Addition to the kind of the format.

    Returns
    -------
    pyarrow.Table
    """
    kind = f"{form.kind}, {detail}" if detail else form.kind
    text = json.dumps({**provenance, "kind": kind, "version": form.version}, sort_keys=True)
    return table.replace_schema_metadata({METADATA_KEY: text.encode()})


def _list_array(offsets: npt.NDArray[np.int64], values: npt.NDArray[Any] | Strings) -> pa.ListArray:
    arrow = require("pyarrow", "io", "writing mined negatives")
    entries = tables.to_array(values)
    # Parquet uses this name for the entries of a list, so the type is the same when the file is read.
    kind = arrow.list_(arrow.field("element", entries.type))
    return arrow.ListArray.from_arrays(arrow.array(offsets.astype(np.int32)), entries, type=kind)


def _lists(flat: Mapping[str, Any], side: str, path: Path) -> Lists:
    arrow = require("pyarrow", "io", "reading mined negatives")
    lengths = flat[f"{side}_indices"].value_lengths().to_numpy()
    ids = arrow.chunked_array([flat[f"{side}_ids"].flatten()])
    return Lists(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        flat[f"{side}_indices"].flatten().to_numpy(),
        tables.Column(ids, "path", path, f"{side}_ids").labels(),
        flat[f"{side}_scores"].flatten().to_numpy(),
    )
