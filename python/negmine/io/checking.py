"""Check training rows and mined negatives: duplicates, negatives that are positives, empty texts, wrong types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import files
from negmine._core.extras import require
from negmine._core.labels import Ids, Strings, to_arrow
from negmine.errors import NegmineValueError
from negmine.io.training_layout import Layout
from negmine.io.training_tables import SUFFIXES, is_mined, read_tables, sides
from negmine.io.verification import find_answer, open_answer
from negmine.mining.negatives import HardNegatives
from negmine.mining.pool import CandidatePool

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TrainingRowsCheck", "check_training_rows"]

UInt64s = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class TrainingRowsCheck:
    """Result of [`check_training_rows`][].

    Attributes
    ----------
    path : Path
        The file.
    format : str
        Name of the training format, or "mined negatives".
    n_rows : int
        Number of rows or lines.
    n_positives, n_negatives : int
        Number of positives and negatives in all rows; pairs that have scores instead of labels count as negatives.
    n_repeated_positives : int
        Positives that their query has before, except in triplets, where a positive has a row per negative.
    n_repeated_negatives : int
        Negatives that their row has before; in triplets, the rows of a positive count as one, in pairs those of a
        query.
    n_own_positives : int
        Negatives that are a positive of the same query in any row.
    n_other_positives : int
        Other negatives that are a positive of another query. This is usual where documents are few, and no fault.
    n_empty : int
        Rows with a text that is empty or white space.
    first : dict of str to int
        First row of each fault that was found, by its name without "n_": line numbers from 1 in JSON lines, row
        numbers from 0 in other files.
    """

    path: Path
    format: str
    n_rows: int
    n_positives: int
    n_negatives: int
    n_repeated_positives: int
    n_repeated_negatives: int
    n_own_positives: int
    n_other_positives: int
    n_empty: int
    first: Mapping[str, int]

    @property
    def is_sound(self) -> bool:
        """Whether there are no repeated documents, no negatives that are positives of their query, no empty texts."""
        return not (self.n_repeated_positives or self.n_repeated_negatives or self.n_own_positives or self.n_empty)

    @property
    def shares(self) -> dict[str, float]:
        """Share of each fault, by its name without "n_": of the positives, of the negatives, or of the rows."""
        totals = {
            "repeated_positives": self.n_positives,
            "repeated_negatives": self.n_negatives,
            "own_positives": self.n_negatives,
            "other_positives": self.n_negatives,
            "empty": self.n_rows,
        }
        return {name: getattr(self, f"n_{name}") / total if total else 0.0 for name, total in totals.items()}

    def __repr__(self) -> str:
        state = "sound" if self.is_sound else "not sound"
        return f"TrainingRowsCheck({self.format}, {self.n_rows} rows, {self.n_negatives} negatives, {state})"


def check_training_rows(path: object) -> TrainingRowsCheck:
    """Check a file of training rows or of mined negatives, in a single pass.

    The format follows from the columns or keys. Queries and documents are compared by their texts, or by their labels
    where the file has labels. Texts are not kept, only 32 bytes per document.

    Parameters
    ----------
    path : path
        Training rows as ``.parquet``, ``.jsonl`` or ``.jsonl.gz``, in any format of [`write_training_rows`][]; mined
        negatives as ``.parquet`` or ``.npz``; a pool, of which all documents count as negatives; or the folder of a
        job.

    Returns
    -------
    TrainingRowsCheck

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The file is of no format, lacks a column or a value, or a value has another type. The message names the column
        and, for JSON lines, the number of the line.
    """
    file = files.as_path(path, "path")
    if file.is_dir():
        file = find_answer(file, "path")
    file = files.input_file(file, "path")
    suffix = files.suffix_of(file)
    if suffix not in (*SUFFIXES, ".npz"):
        raise NegmineValueError(f"`path` must end in .parquet, .jsonl, .jsonl.gz or .npz; got {file}.")
    found = _Counter()
    if suffix == ".npz" or is_mined(file):
        name = "mined negatives"
        for rows in _mined_rows(file):
            found.add(rows)
    else:
        name = "no rows"
        for layout, table, places in read_tables(file):
            name = layout.format
            found.add(_rows_of(layout, table, places))
    return found.result(file, name)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Keys of some rows. Documents with equal ``group`` belong together when repetitions are counted."""

    n: int
    positive_pairs: UInt64s
    positives: UInt64s
    positive_places: Int64s
    count_positives: bool
    negative_pairs: UInt64s
    negatives: UInt64s
    negative_groups: UInt64s
    negative_places: Int64s
    empty_places: Int64s


@dataclass(slots=True)
class _Counter:
    """Keys of all rows."""

    parts: list[_Rows] = field(default_factory=list)

    def add(self, rows: _Rows) -> None:
        self.parts.append(rows)

    def _all(self, name: str) -> Any:  # noqa: ANN401 (an array of either type)
        dtype = np.int64 if name.endswith("places") else np.uint64
        return np.concatenate([np.empty(0, dtype=dtype), *(getattr(part, name) for part in self.parts)])

    def result(self, path: Path, name: str) -> TrainingRowsCheck:
        pairs, negative_pairs = self._all("positive_pairs"), self._all("negative_pairs")
        positives, negatives = self._all("positives"), self._all("negatives")
        own = np.isin(negative_pairs, pairs)
        places = self._all("negative_places")
        repeated = _repeats(pairs) if all(part.count_positives for part in self.parts) else np.zeros(0, dtype=bool)
        faults = {
            "repeated_positives": self._all("positive_places")[repeated] if len(repeated) else places[:0],
            "repeated_negatives": places[_repeats(_mixed(self._all("negative_groups"), negatives))],
            "own_positives": places[own],
            "other_positives": places[~own & np.isin(negatives, positives)],
            "empty": self._all("empty_places"),
        }
        counts: dict[str, Any] = {f"n_{fault}": len(at) for fault, at in faults.items()}
        return TrainingRowsCheck(
            path=path,
            format=name,
            n_rows=sum(part.n for part in self.parts),
            n_positives=len(positives),
            n_negatives=len(negatives),
            **counts,
            first={fault: int(at.min()) for fault, at in faults.items() if len(at)},
        )


def _repeats(keys: UInt64s) -> npt.NDArray[np.bool_]:
    """Return which keys occur before."""
    repeated = np.ones(len(keys), dtype=np.bool_)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated


def _mixed(first: UInt64s, second: UInt64s) -> UInt64s:
    """Combine two keys into one; the finalizer of splitmix64 keeps small numbers apart."""
    z = first * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) + second


def _keys(values: pa.Array) -> UInt64s:
    """Return a key per string or integer: a hash of 64 bits, or the number itself."""
    arrow = require("pyarrow", "io", "checking training rows")
    if arrow.types.is_integer(values.type):
        numbers: Int64s = values.cast(arrow.int64()).to_numpy(zero_copy_only=False)
        return numbers.view(np.uint64)
    coded = values.dictionary_encode()
    hashes = _native.hash_strings(Strings.from_arrow(coded.dictionary))
    keys: UInt64s = hashes[coded.indices.to_numpy(zero_copy_only=False)]
    return keys


# ---- mined negatives


def _mined_rows(path: Path) -> Iterator[_Rows]:
    negatives: HardNegatives | Path = path
    if files.suffix_of(path) == ".npz":
        try:
            pool = CandidatePool.load(path)
        except NegmineValueError:
            pass  # the file is of negatives, or the error about these is the one to report
        else:
            negatives = pool.select(max(pool.indices.shape[1], 1))
    begin = 0
    for records in open_answer(negatives).mined.batches():
        n = len(records)
        queries, places = _label_keys(records.query_ids), begin + np.arange(n)
        own, mined = (np.repeat(np.arange(n), lists.counts) for lists in (records.positives, records.negatives))
        # Positives outside the corpus have no labels to compare.
        inside = records.positives.indices >= 0
        own, positives = own[inside], _label_keys(records.positives.ids)[inside]
        found = _label_keys(records.negatives.ids)
        yield _Rows(
            n=n,
            positive_pairs=_mixed(queries[own], positives),
            positives=positives,
            positive_places=places[own],
            count_positives=True,
            negative_pairs=_mixed(queries[mined], found),
            negatives=found,
            negative_groups=places[mined].astype(np.uint64),
            negative_places=places[mined],
            empty_places=places[:0],
        )
        begin += n


def _label_keys(labels: Ids) -> UInt64s:
    return _keys(to_arrow(labels)) if isinstance(labels, Strings) else labels.view(np.uint64)


# ---- training rows


def _rows_of(layout: Layout, table: pa.Table, places: Int64s) -> _Rows:
    """Return the keys of training rows."""
    n = len(table)
    query_texts = table[layout.query].combine_chunks()
    queries = _keys(query_texts)
    empty = _empty(query_texts)
    known, others = sides(layout, table)
    for rows, values in (*known, *others):
        empty[rows[_empty(values)]] = True
    own, mined = (np.concatenate([rows for rows, _ in parts]) for parts in (known, others))
    positives, negatives = (np.concatenate([_keys(values) for _, values in parts]) for parts in (known, others))
    pairs = _mixed(queries[own], positives)
    groups = {"triplet": pairs, "ids": pairs if layout.negatives == ("negative_id",) else None, "labeled-pair": queries}
    group = groups.get(layout.format)
    return _Rows(
        n=n,
        positive_pairs=pairs,
        positives=positives,
        positive_places=places[own],
        count_positives=group is not pairs,
        negative_pairs=_mixed(queries[mined], negatives),
        negatives=negatives,
        negative_groups=places[mined].astype(np.uint64) if group is None else group[mined],
        negative_places=places[mined],
        empty_places=places[empty],
    )


def _empty(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which texts are empty or white space."""
    arrow = require("pyarrow", "io", "checking training rows")
    compute = require("pyarrow.compute", "io", "checking training rows")
    if arrow.types.is_integer(values.type):
        return np.zeros(len(values), dtype=np.bool_)
    lengths = compute.binary_length(compute.utf8_trim_whitespace(values))
    return np.asarray(lengths.to_numpy(zero_copy_only=False) == 0)
