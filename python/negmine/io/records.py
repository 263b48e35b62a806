"""The Arrow table that holds result rows without padding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine._core.extras import require
from negmine._core.formats import MINED_NEGATIVES, Format
from negmine._core.labels import Strings
from negmine.errors import NegmineValueError
from negmine.io import tables
from negmine.io.row_groups import METADATA_KEY
from negmine.mining.records import Lists, Records
from negmine.mining.rejected import Rejection
from negmine.mining.report import Reason, Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "check_columns", "from_table", "to_table", "with_provenance"]


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

#: Columns of mined negatives that keep rejected documents, likewise; a file has all of them or none.
REJECTED_COLUMNS = {
    "rejected_indices": ("int64",),
    "rejected_ids": ("int64", "string"),
    "rejected_scores": ("double",),
    "rejected_rules": ("string",),
}

#: Prefixes of the columns that hold a list per result row.
_LISTS = ("positive_", "negative_", "rejected_")

#: Columns in which a value may be null.
_NULLABLE = ("reference_score", "reason")


def to_table(records: Records, provenance: Mapping[str, Any]) -> pa.Table:
    """Return the rows as a table whose schema carries the provenance.

    Parameters
    ----------
    records : Records
        The rows.
    provenance : mapping of str to Any
        Values that JSON can represent.

    Returns
    -------
    pyarrow.Table
    """
    arrow = require("pyarrow", "io", "writing mined negatives")
    reasons = [None if reason == Reason.NONE else Reason(reason).name.lower() for reason in records.reasons.tolist()]
    names = np.array([source.name.lower() for source in Source])
    missing = np.isnan(records.reference_scores)
    columns = {
        "query_index": arrow.array(records.query_indices),
        "query_id": tables.to_array(records.query_ids),
        "positive_indices": _list_array(records.positives.offsets, records.positives.indices),
        "positive_ids": _list_array(records.positives.offsets, records.positives.ids),
        "positive_scores": _list_array(records.positives.offsets, records.positives.scores),
        "reference_score": arrow.array(records.reference_scores, mask=missing),
        "reason": arrow.array(reasons, arrow.string()),
        "negative_indices": _list_array(records.negatives.offsets, records.negatives.indices),
        "negative_ids": _list_array(records.negatives.offsets, records.negatives.ids),
        "negative_scores": _list_array(records.negatives.offsets, records.negatives.scores),
        "negative_sources": _list_array(records.negatives.offsets, names[records.sources]),
    }
    if records.rejected is not None:
        rules = np.array([rule.name.lower() for rule in Rejection])
        offsets = records.rejected.offsets
        columns |= {
            "rejected_indices": _list_array(offsets, records.rejected.indices),
            "rejected_ids": _list_array(offsets, records.rejected.ids),
            "rejected_scores": _list_array(offsets, records.rejected.scores),
            "rejected_rules": _list_array(offsets, rules[records.rejections]),
        }
    return with_provenance(arrow.table(columns), MINED_NEGATIVES, provenance)


def from_table(table: pa.Table, path: Path) -> Records:
    """Restore rows.

    Parameters
    ----------
    table : pyarrow.Table
        Result of [`to_table`][].
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
    names = [*COLUMNS, *(name for name in REJECTED_COLUMNS if name in table.column_names)]
    flat = {name: table[name].combine_chunks() for name in names}
    _check_lists(flat, path)
    reasons = {reason.name.lower(): int(reason) for reason in Reason} | {None: int(Reason.NONE)}
    sources = {source.name.lower(): int(source) for source in Source}
    rules = {rule.name.lower(): int(rule) for rule in Rejection}
    has_rejected = "rejected_rules" in flat
    return Records(
        query_indices=flat["query_index"].to_numpy(),
        query_ids=tables.Column(table["query_id"], "path", path, "query_id").labels(),
        reference_scores=flat["reference_score"].fill_null(np.nan).to_numpy(),
        reasons=_codes(flat["reason"], reasons, path),
        positives=_lists(flat, "positive", path),
        negatives=_lists(flat, "negative", path),
        sources=_codes(flat["negative_sources"].flatten(), sources, path),
        rejected=_lists(flat, "rejected", path) if has_rejected else None,
        rejections=_codes(flat["rejected_rules"].flatten(), rules, path) if has_rejected else None,
    )


def _codes(names: pa.Array, known: Mapping[Any, int], path: Path) -> npt.NDArray[np.uint8]:
    """Return the numbers of names; refuse names that are not known."""
    found = names.to_pylist()
    unknown = {*found} - known.keys()
    if unknown:
        raise NegmineValueError(
            f"`path` must hold reasons, sources and rules that negmine knows; {path} has {min(unknown)!r}."
        )
    return np.array([known[name] for name in found], dtype=np.uint8)


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
    rejected = REJECTED_COLUMNS if any(name in schema.names for name in REJECTED_COLUMNS) else {}
    for name, kinds in (COLUMNS | rejected).items():
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
