"""Layouts of training rows in files: which columns hold queries, positives and negatives, and of which types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negmine._core.extras import require
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Layout"]

_NEGATIVE = re.compile(r"negative(_id)?(_[0-9]+)?")
_SCORES = ("label", "labels", "score", "scores")

#: What a column holds, by its kind, for error messages.
_WORDS = {
    "text": "a string or an integer",
    "texts": "a list of strings or of integers",
    "passages": "a list of objects with 'text'",
    "label": "an integer",
    "labels": "a list of integers",
    "score": "a number",
    "scores": "a list of numbers",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of training rows.

    Attributes
    ----------
    format : str
        Name of the format.
    query : str
        Column of the queries.
    positives, negatives : tuple of str
        Columns of the documents; in labeled formats, both are the column of all documents.
    kinds : mapping of str to str
        Kind of every column: "text", "texts", "passages", "label", "labels", "score" or "scores".
    """

    format: str
    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    kinds: Mapping[str, str]

    @classmethod
    def of(cls, names: Sequence[str], path: Path, place: str) -> Layout:
        """Find the layout of columns or keys.

        Parameters
        ----------
        names : sequence of str
            Columns of a table, or keys of the first line.
        path : Path
            The file, for error messages.
        place : str
            "columns", or the line with the keys.

        Returns
        -------
        Layout

        Raises
        ------
        NegmineValueError
            The columns are those of no format, or one is missing or repeated.
        """
        found = cls._find(names)
        if found is None:
            raise NegmineValueError(
                f"`path` must hold training rows or mined negatives; the {place} of {path} are "
                f"{', '.join(map(repr, names)) or 'none'}."
            )
        for name in found.kinds:
            if list(names).count(name) != 1:
                have = "repeat it" if name in names else f"are {', '.join(map(repr, names))}"
                raise NegmineValueError(
                    f"`path` must have one {name!r}, as {found.format!r} has; the {place} of {path} {have}."
                )
        return found

    @classmethod
    def _find(cls, names: Sequence[str]) -> Layout | None:
        given = set(names)
        if given & {"pos", "neg"}:
            kinds = {"query": "text", "pos": "texts", "neg": "texts"}
            kinds |= {name: "scores" for name in ("pos_scores", "neg_scores") if name in given}
            return cls("flagembedding", "query", ("pos",), ("neg",), kinds)
        if given & {"positive_passages", "negative_passages"}:
            kinds = {"query": "text", "positive_passages": "passages", "negative_passages": "passages"}
            return cls("tevatron", "query", ("positive_passages",), ("negative_passages",), kinds)
        last = {name: name for name in _SCORES if name in given}
        numbered = sorted((name for name in given if _NEGATIVE.fullmatch(name)), key=lambda name: (len(name), name))
        if "document_ids" in given:
            kinds = {"query_id": "text", "document_ids": "texts", **(last or {"labels": "labels"})}
            return cls("id-list", "query_id", ("document_ids",), ("document_ids",), kinds)
        if "positive_id" in given or any(name.startswith("negative_id") for name in numbered):
            negatives = _counted("negative_id", numbered)
            kinds = dict.fromkeys(("query_id", "positive_id", *negatives), "text") | last
            return cls("ids", "query_id", ("positive_id",), negatives, kinds)
        free = [name for name in names if name not in _SCORES and name not in numbered]
        if len(free) < 2:
            return None
        anchor, positive = ("anchor", "positive") if {"anchor", "positive"} <= given else free[:2]
        kinds = {anchor: "text", positive: "text", **last}
        if numbered == ["negative"]:
            return cls("triplet", anchor, (positive,), ("negative",), kinds | {"negative": "text"})
        if numbered:
            negatives = _counted("negative", numbered)
            return cls("n-tuple", anchor, (positive,), negatives, kinds | dict.fromkeys(negatives, "text"))
        if given & {"label", "score"}:
            return cls("labeled-pair", anchor, (positive,), (positive,), kinds)
        if given & {"labels", "scores"}:
            return cls("labeled-list", anchor, (positive,), (positive,), kinds | {positive: "texts"})
        return None

    @property
    def documents(self) -> tuple[str, ...]:
        """All columns of documents, each once."""
        return tuple(dict.fromkeys((*self.positives, *self.negatives)))

    def schema(self, first: Mapping[str, Any]) -> pa.Schema:
        """Return the Arrow types in which JSON lines are parsed.

        Parameters
        ----------
        first : mapping of str to Any
            The first line, which decides whether labels are integers or strings.

        Returns
        -------
        pyarrow.Schema
        """
        arrow = require("pyarrow", "io", "checking training rows")
        text = arrow.large_string()
        passage = arrow.struct([("docid", text), ("title", text), ("text", text)])
        kinds = {
            "passages": arrow.list_(passage),
            "label": arrow.int64(),
            "labels": arrow.list_(arrow.int64()),
            "score": arrow.float64(),
            "scores": arrow.list_(arrow.float64()),
        }
        types = {}
        for name, kind in self.kinds.items():
            if kind in kinds:
                types[name] = kinds[kind]
                continue
            value = first.get(name)
            one = value[0] if isinstance(value, list) and value else value
            entry = arrow.int64() if type(one) is int else text
            types[name] = arrow.list_(entry) if kind == "texts" else entry
        return arrow.schema(list(types.items()))

    def check_types(self, schema: pa.Schema, path: Path) -> None:
        """Refuse columns of a table that have another type.

        Parameters
        ----------
        schema : pyarrow.Schema
            Schema of the table.
        path : Path
            The file, for error messages.

        Raises
        ------
        NegmineTypeError
            A column has another type.
        """
        types = require("pyarrow", "io", "checking training rows").types

        def fits(kind: str, found: Any) -> bool:  # noqa: ANN401 (a type of Arrow)
            if kind in ("texts", "labels", "scores", "passages"):
                if not (types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)):
                    return False
                entry = found.value_type
                if kind == "passages":
                    return bool(types.is_struct(entry)) and "text" in [entry.field(i).name for i in range(len(entry))]
                return fits(kind[:-1], entry)
            if kind == "text":
                return bool(types.is_string(found) or types.is_large_string(found) or types.is_integer(found))
            return bool(types.is_integer(found) or (kind == "score" and types.is_floating(found)))

        for name, kind in self.kinds.items():
            found = schema.field(name).type
            if not fits(kind, found):
                raise NegmineTypeError(f"`path` must hold {_WORDS[kind]} in every row of {name!r}; {path} has {found}.")

    def fault_of(self, line: object, place: str, first: Mapping[str, Any]) -> NegmineError | None:
        """Find the first rule that a parsed line breaks.

        Parameters
        ----------
        line : object
            What the line holds.
        place : str
            Number of the line and name of the file.
        first : mapping of str to Any
            The first line, which decides whether labels are integers or strings.

        Returns
        -------
        NegmineError or None
        """
        if not isinstance(line, dict):
            return NegmineValueError(f"`path` must hold one JSON object per line; {place} is {str(line)[:80]!r}.")
        for name, kind in self.kinds.items():
            value = line.get(name)
            if value is None:
                return NegmineValueError(f"`path` must have {name!r} in every line; {place} has none.")
            if not _is(value, kind):
                return NegmineTypeError(f"`path` must hold {_WORDS[kind]} under {name!r}; {place} has {_short(value)}.")
            if kind in ("text", "texts") and _first_type(value) != (_first_type(first.get(name)) or _first_type(value)):
                return NegmineTypeError(
                    f"`path` must hold all strings or all integers under {name!r}; {place} has {_short(value)}."
                )
        for name, other in self._aligned():
            if len(line[name]) != len(line[other]):
                return NegmineValueError(
                    f"`path` must hold lists of one length under {other!r} and {name!r}; {place} has "
                    f"{len(line[other])} and {len(line[name])}."
                )
        return None

    def _aligned(self) -> list[tuple[str, str]]:
        """List the columns of labels or scores that go with a list of documents."""
        pairs = [("pos_scores", "pos"), ("neg_scores", "neg")]
        if self.format in ("labeled-list", "id-list"):
            pairs = [(name, self.documents[0]) for name in ("labels", "scores")]
        return [pair for pair in pairs if pair[0] in self.kinds]

    def misaligned(self, table: pa.Table) -> str | None:
        """Return the column of labels or scores whose lists are not as long as those of the documents.

        Parameters
        ----------
        table : pyarrow.Table
            Some rows.

        Returns
        -------
        str or None
        """
        compute = require("pyarrow.compute", "io", "checking training rows")
        for name, other in self._aligned():
            if not compute.list_value_length(table[name]).equals(compute.list_value_length(table[other])):
                return name
        return None


def _counted(stem: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are counted from 1 to the largest number there is, or the only one without a number."""
    numbers = [int(name.rpartition("_")[2]) for name in names if name.rpartition("_")[2].isdigit()]
    return tuple(f"{stem}_{number}" for number in range(1, max(numbers) + 1)) if numbers else (stem,)


def _is(value: object, kind: str) -> bool:
    if kind == "passages":
        return isinstance(value, list) and all(
            isinstance(one, dict)
            and isinstance(one.get("text"), str)
            and all(one.get(name) is None or isinstance(one[name], str) for name in ("docid", "title"))
            for one in value
        )
    if kind in ("texts", "labels", "scores"):
        return (
            isinstance(value, list)
            and all(_is(one, kind[:-1]) for one in value)
            and len({type(one) is int for one in value if kind == "texts"}) < 2
        )
    if type(value) is bool:
        return False
    if kind == "text":
        return isinstance(value, str | int) and not (isinstance(value, int) and not -(2**63) <= value < 2**63)
    return isinstance(value, int) or (kind == "score" and isinstance(value, float))


def _first_type(value: object) -> str | None:
    one = value[0] if isinstance(value, list) and value else value
    return None if one is None or one == [] else type(one).__name__


def _short(value: object) -> str:
    text = f"the string {value!r}" if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
