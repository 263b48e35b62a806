"""Texts and their labels, from JSONL or tables, and which documents hold the same text."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import Ids, as_ids
from negmine._core.extras import require
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io import tables

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TEXT_SUFFIXES", "Texts", "read_texts", "same_text_groups"]

#: Suffixes of files that hold texts.
TEXT_SUFFIXES = (".jsonl", *tables.TABLE_SUFFIXES)

#: What labels are usually called, the first that is there being taken.
ID_NAMES = ("_id", "id", "doc_id", "query_id")

#: Bytes that pyarrow parses at once, at first: no line may be longer.
BLOCK_BYTES = 1 << 24

LARGEST_BLOCK = (1 << 31) - 1


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Labeled texts, one per row.

    Attributes
    ----------
    ids : int64 or str (n,)
        Unique labels.
    texts : pyarrow.LargeStringArray (n,)
    titles : pyarrow.LargeStringArray (n,) or None
        None where the source has no titles; '' where a single one is missing.
    """

    ids: Ids
    texts: pa.LargeStringArray
    titles: pa.LargeStringArray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def from_lists(
        cls, texts: Sequence[str], *, ids: npt.ArrayLike | None = None, titles: Sequence[str] | None = None
    ) -> Texts:
        """Take lists of strings: ``texts``, ``titles`` where there are any, and unique ``ids``, by default the rows."""
        arrow = require("pyarrow", "io", "holding texts")
        for argument, strings in (("texts", texts), ("titles", titles)):
            if isinstance(strings, str):
                raise NegmineTypeError(f"`{argument}` must be a list of strings; got the string {strings!r}.")
            for row, string in enumerate(strings or ()):
                if not isinstance(string, str):
                    raise NegmineTypeError(f"`{argument}` must hold strings; got {string!r} at row {row}.")
        if titles is not None and len(titles) != len(texts):
            raise NegmineValueError(f"`titles` must have length {len(texts)}; got {len(titles)}.")
        return cls(
            np.arange(len(texts)) if ids is None else as_ids(ids, "ids", len(texts)),
            arrow.array(texts, arrow.large_string()),
            None if titles is None else arrow.array(titles, arrow.large_string()),
        )

    def joined(self) -> pa.LargeStringArray:
        """Title, a space and text of every row, stripped of what a missing half leaves: the text that BEIR encodes.

        Returns
        -------
        pyarrow.LargeStringArray (n,)
        """
        if self.titles is None:
            return self.texts
        arrow = require("pyarrow", "io", "joining titles and texts")
        compute = require("pyarrow.compute", "io", "joining titles and texts")
        space = arrow.scalar(" ", arrow.large_string())
        return compute.utf8_trim_whitespace(compute.binary_join_element_wise(self.titles, self.texts, space))

    def take(self, rows: npt.NDArray[np.int64]) -> Texts:
        """Some ``rows``, in the order given."""
        return Texts(self.ids[rows], self.texts.take(rows), None if self.titles is None else self.titles.take(rows))


def read_texts(
    path: object,
    *,
    id_name: str | None = None,
    text_name: str = "text",
    title_name: str = "title",
    argument: str = "path",
) -> Texts:
    """Read labeled texts.

    Parameters
    ----------
    path : path
        ``.jsonl`` (one object per line), ``.parquet``, ``.arrow``, ``.feather`` or ``.ipc``.
    id_name
        Key or column of the labels, unique integers or strings. Default: the first of "_id", "id", "doc_id" and
        "query_id" that is there; where none is, the labels are the rows.
    text_name
        Key or column of the texts; a row without one is an error that names it.
    title_name
        Key or column of the titles; it may be missing.
    argument
        The name that errors use.

    Raises
    ------
    NegmineValueError
        No such file, no such column, a row without text or label, labels that repeat.
    NegmineTypeError
        Texts that are no strings, labels that are neither integers nor strings.
    """
    file = files.input_file(path, argument)
    if file.suffix not in TEXT_SUFFIXES:
        raise NegmineValueError(f"`{argument}` must end in one of {', '.join(TEXT_SUFFIXES)}; got {file}.")
    id_names = ID_NAMES if id_name is None else (id_name,)
    if file.suffix == ".jsonl":
        table = _read_jsonl(file, argument, id_names, (text_name, title_name))
    else:
        known = tables.read_schema(file, argument).names
        wanted = [name for name in (*id_names, title_name) if name in known]
        table = tables.read_table(file, argument, [*wanted, text_name])
    present = [name for name in id_names if name in table.column_names]
    if id_name is not None and not present:
        raise NegmineValueError(f"`{argument}` must label every row; {file} has no {id_name!r}.")
    if text_name not in table.column_names:
        raise NegmineValueError(f"`{argument}` must hold a text in every row; {file} has no {text_name!r}.")
    texts = tables.string_column(table[text_name], argument, text_name)
    titles = None
    if title_name in table.column_names:
        compute = require("pyarrow.compute", "io", "reading texts")
        titles = tables.string_column(compute.fill_null(table[title_name], ""), argument, title_name)
    ids = tables.id_column(table[present[0]], argument, present[0]) if present else np.arange(len(texts))
    return Texts(ids, texts, titles)


def _read_jsonl(path: Path, argument: str, id_names: Sequence[str], names: Sequence[str]) -> pa.Table:
    """Read the keys that matter as strings (labels as integers where they are none); columns of nulls are dropped."""
    arrow = require("pyarrow", "io", "reading JSONL")
    if path.stat().st_size == 0:
        return arrow.table({name: arrow.array([], arrow.large_string()) for name in (*id_names[:1], names[0])})
    try:
        table = _parse_jsonl(path, id_names, names, arrow.large_string())
    except arrow.ArrowInvalid as error:
        if "from string to number" not in str(error):
            raise NegmineValueError(f"`{argument}` must hold one JSON object per line; got {path}: {error}") from error
        try:
            table = _parse_jsonl(path, id_names, names, arrow.int64())
        except arrow.ArrowInvalid:
            raise NegmineTypeError(
                f"`{argument}` must hold strings, and labels that are all strings or all integers; got {path}: {error}"
            ) from error
    try:
        table.validate(full=True)
    except arrow.ArrowInvalid as error:
        raise NegmineValueError(f"`{argument}` must be UTF-8; got {path}: {error}") from error
    return table.select([name for name in table.column_names if table[name].null_count < max(len(table), 1)])


def _parse_jsonl(path: Path, id_names: Sequence[str], names: Sequence[str], labels: pa.DataType) -> pa.Table:
    arrow = require("pyarrow", "io", "reading JSONL")
    json = require("pyarrow.json", "io", "reading JSONL")
    columns = [(name, labels) for name in id_names] + [(name, arrow.large_string()) for name in names]
    # With a schema, a text that looks like a date stays a text.
    options = json.ParseOptions(explicit_schema=arrow.schema(columns), unexpected_field_behavior="ignore")
    block = BLOCK_BYTES
    while True:
        try:
            return json.read_json(path, read_options=json.ReadOptions(block_size=block), parse_options=options)
        except arrow.ArrowInvalid as error:
            if "straddl" not in str(error) or block == LARGEST_BLOCK:
                raise
            block = min(16 * block, LARGEST_BLOCK)


def same_text_groups(texts: Texts) -> npt.NDArray[np.int64]:
    """Group documents that hold the same text, for ``groups=``: a copy of a positive is then never its negative.

    Two documents are the same if their titles and their texts are equal after Unicode normalization to NFC and the
    removal of white space at both ends, and nothing else: case, punctuation and inner white space count.

    Parameters
    ----------
    texts
        The documents, in the order of the corpus.

    Returns
    -------
    int64 (n,)
        The first row that holds the same text; -1 where no other row does.

    Examples
    --------
    >>> same_text_groups(Texts.from_lists(["a cat", "a dog", " a cat", "A cat"])).tolist()
    [0, -1, 0, -1]
    """
    n = len(texts)
    groups = np.full(n, -1, dtype=np.int64)
    # Short digests find the few rows that can be copies, so that the texts are not held a second time.
    digests = np.fromiter((_digest(_normal(texts, row)) for row in range(n)), dtype=np.int64, count=n)
    order = np.argsort(digests, kind="stable")
    repeats = digests[order][1:] == digests[order][:-1]
    suspects = np.zeros(n, dtype=bool)
    suspects[order[1:][repeats]] = suspects[order[:-1][repeats]] = True
    first: dict[tuple[str, str], int] = {}
    for row in np.flatnonzero(suspects).tolist():
        leader = first.setdefault(_normal(texts, row), row)
        if leader != row:
            groups[leader] = groups[row] = leader
    return groups


def _normal(texts: Texts, row: int) -> tuple[str, str]:
    title = "" if texts.titles is None else texts.titles[row].as_py()
    text = texts.texts[row].as_py()
    return unicodedata.normalize("NFC", title).strip(), unicodedata.normalize("NFC", text).strip()


def _digest(title_and_text: tuple[str, str]) -> int:
    digest = hashlib.blake2b("\0".join(title_and_text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
