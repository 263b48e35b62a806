"""Groups of documents from files, such as near-duplicates or versions of one document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import as_int64s
from negmine._core.labels import Ids, Strings, as_ids, as_labels, codes_of, find_labels
from negmine._core.parsing import map_array, parse_json
from negmine.data.qrels import like
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io import tables, tsv
from negmine.io.lines import compressed, parse_integer, read_lines
from negmine.io.tables import Names
from negmine.io.texts import ID_NAMES

__all__ = ["load_groups", "read_groups"]

#: Column or key of the groups.
GROUP_NAME = "group"

#: Suffixes of files that hold groups.
SUFFIXES = (".npy", *compressed((".jsonl", ".tsv")), *tables.TABLE_SUFFIXES)

Int64s = npt.NDArray[np.int64]


def read_groups(path: object, *, document_ids: npt.ArrayLike) -> Int64s:
    """Read groups of documents, for ``groups=``: a document that shares a group with a positive is not a negative.

    Parameters
    ----------
    path : path
        ``.npy`` (one integer per document, in the order of the rows), or ``.jsonl``, ``.tsv``, either of them gzipped,
        ``.parquet``, ``.arrow``, ``.feather`` or ``.ipc`` with the labels of documents, under the first of "_id",
        "id", "doc_id" and "query_id" that is present, and their groups under "group": integers or strings. A document
        whose group is -1, "" or null, and a document that the file does not have, is in no group.
    document_ids : int64 or str (n_documents,)
        Unique labels of all documents, in the order of their rows; the row numbers if they have no others.

    Returns
    -------
    int64 (n_documents,)
        Group of every document; -1 for none.

    Raises
    ------
    NegmineValueError
        The file or a column does not exist, a label is unknown or repeats, or the number of rows differs.
    NegmineTypeError
        A label or a group is neither an integer nor a string.
    """
    labels = as_labels(document_ids, "document_ids")
    return load_groups(path, "path", document_ids=as_ids(labels, "document_ids", len(labels)), drop_unknown=False)


def load_groups(path: object, argument: str, *, document_ids: Ids, drop_unknown: bool) -> Int64s:
    """Read groups as [`read_groups`][] does, with error messages that name another argument.

    Parameters
    ----------
    path : path
        File of groups.
    argument : str
        Name of the argument that gave the path, for error messages.
    document_ids : int64 (n_documents,) or Strings
        Labels of all documents.
    drop_unknown : bool
        Whether labels that are not among the documents are left out.

    Returns
    -------
    int64 (n_documents,)
    """
    file = files.input_file(path, argument)
    suffix = files.suffix_of(file)
    if suffix not in SUFFIXES:
        raise NegmineValueError(f"`{argument}` must end in one of {', '.join(SUFFIXES)}; got {file}.")
    if suffix == ".npy":
        return _of_rows(file, argument, len(document_ids))
    labels, groups = _columns(file, argument)
    if len(labels):
        labels = like(labels, document_ids, argument)
    rows = find_labels(labels, document_ids)
    if (rows < 0).any() and not drop_unknown:
        place = int((rows < 0).argmax())
        raise NegmineValueError(
            f"`{argument}` must hold labels of documents; {file} has {labels[place : place + 1].tolist()[0]!r}, which "
            "is none."
        )
    found = np.full(len(document_ids), -1, dtype=np.int64)
    found[rows[rows >= 0]] = groups[rows >= 0]
    return found


def _of_rows(path: Path, argument: str, n: int) -> Int64s:
    return as_int64s(np.array(map_array(path, argument)), argument, n)


def _columns(path: Path, argument: str) -> tuple[Ids, Int64s]:
    """Return labels and numbers of their groups."""
    suffix = files.suffix_of(path)
    names = Names(ID_NAMES, GROUP_NAME, "")
    if suffix in tables.TABLE_SUFFIXES:
        known = tables.read_schema(path, argument).names
        label = names.label(known)
        if label is None:
            raise NegmineValueError(
                f"`{argument}` must label every row; {path} has none of {', '.join(map(repr, ID_NAMES))}."
            )
        columns = tables.read_columns(path, argument, [label, GROUP_NAME])
        return columns[label].ids(), _numbers(columns[GROUP_NAME].values.to_pylist(), argument, path)
    if suffix.startswith(".tsv"):
        columns = tsv.read_columns(path, argument, names)
        label = names.label(columns)
        if label is None:
            raise NegmineValueError(
                f"`{argument}` must label every row; {path} has none of {', '.join(map(repr, ID_NAMES))}."
            )
        groups: list[Any] = columns[GROUP_NAME].strings(missing="").to_pylist()
        numbers = [parse_integer(group) for group in groups]
        # Columns of integers stay integers, so that -1 means no group.
        whole = all(number is not None for number, group in zip(numbers, groups, strict=True) if group)
        return columns[label].ids(), _numbers(numbers if whole else groups, argument, path)
    return _json_columns(path, argument, names)


def _json_columns(path: Path, argument: str, names: Names) -> tuple[Ids, Int64s]:
    labels, groups = [], []
    for number, line in read_lines(path, argument):
        place = f"line {number} of {path}"
        try:
            found = parse_json(line)
        except ValueError as error:
            raise NegmineValueError(f"`{argument}` must hold one JSON object per line; {place}: {error}.") from None
        label = names.label(found) if isinstance(found, dict) else None
        if label is None or GROUP_NAME not in found:
            raise NegmineValueError(
                f"`{argument}` must have a label and {GROUP_NAME!r} in every line; {place} is {line[:80]!r}."
            )
        if type(found[label]) not in (str, int) or type(found[GROUP_NAME]) not in (str, int, type(None)):
            raise NegmineTypeError(
                f"`{argument}` must hold integers or strings as labels and groups; {place} is {line[:80]!r}."
            )
        labels.append(found[label])
        groups.append(found[GROUP_NAME])
    read = as_labels(labels, argument)
    return as_ids(read, argument, len(read)), _numbers(groups, argument, path)


def _numbers(groups: list[Any], argument: str, path: Path) -> Int64s:
    """Return integers as they are, and the numbers of strings; -1 for none."""
    known = [group for group in groups if group is not None and group != ""]
    if not known:
        return np.full(len(groups), -1, dtype=np.int64)
    if all(type(group) is int for group in known):
        filled = [-1 if group is None or group == "" else group for group in groups]
        return as_int64s(filled, argument)
    if not all(isinstance(group, str) for group in known):
        raise NegmineTypeError(f"`{argument}` must hold groups that are all integers or all strings; {path} does not.")
    codes = codes_of(Strings.of(known, argument))[1]
    numbers = np.full(len(groups), -1, dtype=np.int64)
    numbers[[place for place, group in enumerate(groups) if group is not None and group != ""]] = codes
    return numbers
