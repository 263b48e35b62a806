"""Mined negatives as a map-style dataset that is read a batch at a time.

A DataLoader passes all indices of a batch to ``__getitems__``, so a batch costs a few array look-ups, not a Python call
per row, and all of it is of one generation. The result is still a sequence of samples, so any collate function works;
[`collate`][] takes the columns as they are. Workers only index arrays: they start no thread and run no native code
that a fork could break.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, get_worker_info

from negmine._core.arrays import as_int64s
from negmine._core.options import check_flag
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.mining.negatives import HardNegatives
from negmine.store.negatives_table import NegativesTable
from negmine.store.table_file import TableRows, integers_in_range
from negmine.torch.data import payload
from negmine.torch.data.payload import Column, Rows

__all__ = ["NegativesDataset", "Samples", "collate"]

#: A copy through a pipe and a file in shared memory cost the training process the same at 0.3 MB; at 1.3 MB the copy
#: costs a third more (two loaded cores, November 2026).
_LIGHT_BYTES = 256 << 10


class Samples(Sequence[dict[str, Any]]):
    """Samples stored as columns: ``samples[i]`` is one sample, a dictionary.

    Parameters
    ----------
    columns : dict of str to array, tensor or list
        Columns by name, all of one length.

    Attributes
    ----------
    columns : dict of str to array, tensor or list
        Columns by name.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: dict[str, Column]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 (a sample, or samples for a slice)
        if isinstance(place, slice):
            return Samples({name: column[place] for name, column in self.columns.items()})
        return {name: column[place] for name, column in self.columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[place] for place in range(len(self)))


class NegativesDataset(Dataset[dict[str, Any]]):
    """Queries, positives and mined negatives, one sample per positive pair.

    A sample is a dictionary; [`collate`][] returns the same names for a batch of B samples, arrays as tensors:

    - ``query_index``, ``positive_index`` : int64 (B,), the positive is -1 if there is none
    - ``negative_indices`` : int64 (B, n), padded with -1
    - ``scores`` : float32 (B, n), padded with -inf
    - ``count`` : int32 (B,), number of negatives of the sample
    - ``mask`` : bool (B, n), True for negatives, False for padding
    - ``generation`` : int64 (B,), generation of the table that the batch was read from
    - ``query``, ``positive``, ``negatives`` : the entries of ``queries`` and ``documents`` at these rows, if given. An
      array or a tensor of shape (n_documents, ...) gives (B, ...), (B, ...) and (B, n, ...), with zeros where a row is
      -1. Any other sequence, such as texts, gives lists: ``negatives`` then has ``count`` entries, without padding, in
      the order of ``mask``, and ``positive`` is None where its row is -1.

    Parameters
    ----------
    queries : sequence, array or CPU tensor (n_queries, ...), or None
        Entry of each query row: text, token ids, embedding or label. None omits ``query``.
    documents : sequence, array or CPU tensor (n_documents, ...), or None
        Entry of each document row. With None a batch holds only row numbers, to look up on the device that has the
        embeddings.
    negatives : HardNegatives or NegativesTable
        The negatives. Each batch reads the newest generation of a table; negatives in memory stay as they are.
    positives : Positives or int64 (n_rows,), optional
        Positives of the samples. With [`negmine.Positives`][], each positive document of a query makes one sample,
        with the same negatives; samples are sorted by result row, then by document row. An array holds the document
        row of each result row, -1 for none, and each result row makes one sample: pass an array to train with a single
        positive per query. Default: the positives of mining with ``reference="each"``, which has one result row per
        positive; otherwise none.
    drop_unpositive : bool, default False
        Whether to drop samples without a positive, such as those of queries without any: mining with
        ``reference="each"`` has a result row for these too. By default they are kept with ``positive_index`` -1, which
        an ``Embedding`` refuses.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If an argument is invalid: fewer entries than rows that refer to them, a tensor on another device, an array
        that torch has no type for, or ``drop_unpositive`` if no sample has a positive.

    Warns
    -----
    NegmineWarning
        If ``positives`` has entries outside the corpus: they have no document row, so they make no sample.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> from torch.utils.data import DataLoader
    >>> from negmine.torch import NegativesDataset, collate
    >>> corpus = np.eye(4, dtype=np.float32)
    >>> negatives = negmine.mine(corpus[:2], corpus, [[0], [1]], num_negatives=2)
    >>> dataset = NegativesDataset(["a", "b"], ["A", "B", "C", "D"], negatives, positives=[0, 1])
    >>> batch = next(iter(DataLoader(dataset, batch_size=2, collate_fn=collate)))
    >>> batch["query"], batch["positive"], batch["negatives"]
    (['a', 'b'], ['A', 'B'], [['B', 'C'], ['A', 'C']])
    >>> batch["negative_indices"].shape, batch["mask"].all().item()
    (torch.Size([2, 2]), True)
    """

    def __init__(
        self,
        queries: object,
        documents: object,
        negatives: HardNegatives | NegativesTable,
        *,
        positives: Positives | npt.ArrayLike | None = None,
        drop_unpositive: bool = False,
    ) -> None:
        rows, n_documents, self._source = _open(negatives)
        pairs = _pairs(positives, rows, n_documents)
        if check_flag(drop_unpositive, "drop_unpositive"):
            pairs = _with_positive(pairs, rows)
        self._result_rows, self._positives = pairs
        self._n_rows = len(rows)
        self._queries = payload.read(queries, "queries", int(rows.query_indices.max(initial=-1)) + 1)
        self._documents = payload.read(documents, "documents", n_documents, exactly=True)

    @property
    def result_rows(self) -> Rows:
        """Result row of each sample, int64 (n_samples,)."""
        return np.arange(self._n_rows) if self._result_rows is None else self._result_rows

    @property
    def query_indices(self) -> Rows:
        """Query row of each sample, int64 (n_samples,); pass it to batch plans with [`positive_indices`][]."""
        found: Rows = self._columns().query_indices
        return found if self._result_rows is None else found[self._result_rows]

    @property
    def positive_indices(self) -> Rows:
        """Document row of the positive of each sample, int64 (n_samples,), -1 if there is none."""
        return self._columns().positive_indices if self._positives is None else self._positives

    def _columns(self) -> TableRows:
        return self._source if isinstance(self._source, TableRows) else self._source.current()

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._n_rows if self._result_rows is None else len(self._result_rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one sample; a negative index counts from the end."""
        sample: dict[str, Any] = self.__getitems__([place_of(index, len(self))])[0]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        """Return the samples of a batch, all of one generation; ``indices`` are in [0, len(dataset))."""
        samples = integers_in_range(indices, len(self))
        batch = self._source.read(samples if self._result_rows is None else self._result_rows[samples])
        positive_indices = batch.positive_indices if self._positives is None else self._positives[samples]
        mask = batch.indices >= 0
        columns: dict[str, Column] = {
            "query_index": batch.query_indices,
            "positive_index": positive_indices,
            "negative_indices": batch.indices,
            "scores": batch.scores,
            "count": batch.counts,
            "mask": mask,
            "generation": np.full(len(batch), batch.generation, dtype=np.int64),
        }
        if self._queries is not None:
            columns["query"] = self._queries.take(batch.query_indices)
        if self._documents is not None:
            columns["positive"] = self._documents.take(positive_indices)
            columns["negatives"] = self._documents.take_ragged(batch.indices)
        return Samples(columns)

    def __repr__(self) -> str:
        return f"NegativesDataset({len(self)} samples of {self._n_rows} rows of {self._source!r})"


def place_of(index: SupportsIndex, n: int) -> int:
    """Return the place of a sample among ``n``, as a list reads an index.

    Parameters
    ----------
    index : int
        Index; a negative one counts from the end.
    n : int
        Number of samples.

    Returns
    -------
    int
        The place, in [0, n).

    Raises
    ------
    NegmineTypeError
        The index is no integer.
    IndexError
        The index is out of range.
    """
    try:
        place = operator.index(index)
    except TypeError:
        raise NegmineTypeError(f"`index` must be an integer; got {index!r}.") from None
    if not -n <= place < n:
        raise IndexError(f"`index` must lie in [{-n}, {n}); got {place}.")
    return place % n


def collate(samples: Samples | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Collate the samples of a batch: numbers become tensors, which a DataLoader can pin; other entries become lists.

    Parameters
    ----------
    samples : Samples or sequence of dict
        Samples of a batch, or a list of samples, as ``torch.utils.data.ConcatDataset`` returns it.

    Returns
    -------
    dict
        Columns by name, as described in [`NegativesDataset`][].

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If ``samples`` are not samples, or differ in names or widths.
    """
    columns = samples.columns if isinstance(samples, Samples) else _columns(samples)
    batch = {name: torch.from_numpy(of) if isinstance(of, np.ndarray) else of for name, of in columns.items()}
    return batch if get_worker_info() is None else _Parcel(batch)


class _Parcel(dict[str, Any]):
    """A batch that a worker sends; it unpickles to a plain dictionary.

    Torch sends each tensor as a file in shared memory and requests its handle over a separate socket, which costs the
    training process half a millisecond per tensor. Small tensors are sent in the message instead.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        light = {name: array for name, value in self.items() if (array := _light(value)) is not None}
        heavy = {name: value for name, value in self.items() if name not in light}
        return _unpack, (list(self), light, heavy)


def _light(value: object) -> npt.NDArray[Any] | None:
    """Return the memory of a tensor that is too small for a separate file."""
    if not isinstance(value, torch.Tensor) or value.numel() * value.element_size() > _LIGHT_BYTES:
        return None
    try:
        array: npt.NDArray[Any] = value.numpy()
    except (TypeError, RuntimeError):
        return None
    return array


def _unpack(names: list[str], light: dict[str, npt.NDArray[Any]], heavy: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(light[name]) if name in light else heavy[name] for name in names}


def _columns(samples: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """Stack separate samples into columns."""
    if not isinstance(samples, Sequence):
        raise NegmineTypeError(f"`samples` must be Samples or a list of dictionaries; got {type(samples).__name__}.")
    for sample in samples:
        if not isinstance(sample, Mapping):
            raise NegmineTypeError(f"`samples` must hold dictionaries; got {type(sample).__name__}.")
    names = samples[0].keys() if samples else ()
    if any(sample.keys() != names for sample in samples):
        raise NegmineValueError(f"`samples` must have the same names; got {sorted({*map(tuple, samples)})}.")
    columns: dict[str, Column] = {}
    for name in names:
        values = [sample[name] for sample in samples]
        try:
            if isinstance(values[0], np.ndarray | np.generic):
                columns[name] = np.stack(values)
            else:
                columns[name] = torch.stack(values) if isinstance(values[0], torch.Tensor) else values
        except (ValueError, RuntimeError) as error:
            raise NegmineValueError(f"`samples` must have `{name}` of one shape: {error}") from error
    return columns


def _open(negatives: object) -> tuple[TableRows, int, TableRows | NegativesTable]:
    """Return all current rows, the number of documents, and the source that batches are read from."""
    if isinstance(negatives, NegativesTable):
        return negatives.current(), negatives.n_documents, negatives
    if isinstance(negatives, HardNegatives):
        rows = TableRows.of(negatives)
        return rows, negatives.report.n_documents, rows
    raise NegmineTypeError(f"`negatives` must be HardNegatives or a NegativesTable; got {type(negatives).__name__}.")


#: Result row and positive of each sample; None if they are those of the result rows themselves.
Pairs = tuple[Rows | None, Rows | None]


def _pairs(positives: Positives | npt.ArrayLike | None, rows: TableRows, n_documents: int) -> Pairs:
    """Combine result rows and positives into samples."""
    if positives is None:
        return None, None
    if (rows.positive_indices >= 0).any():
        raise NegmineValueError(
            '`positives` must be None where the result rows name theirs, as those of `reference="each"` do; '
            f"got {type(positives).__name__}."
        )
    result_rows = None
    if isinstance(positives, Positives):
        result_rows, chosen = _every_pair(positives, rows)
    else:
        chosen = as_int64s(positives, "positives", len(rows))
    outside = (chosen < -1) | (chosen >= n_documents)
    if outside.any():
        sample = int(np.argmax(outside))
        row = sample if result_rows is None else int(result_rows[sample])
        raise NegmineValueError(
            f"`positives` must be rows of the {n_documents} documents, or -1; got {chosen[sample]} at result row {row}."
        )
    return result_rows, chosen


def _every_pair(positives: Positives, rows: TableRows) -> tuple[Rows, Rows]:
    """Return the result row and the document row of each positive pair; -1 for a query without positives."""
    n_queries = int(rows.query_indices.max(initial=-1)) + 1
    if len(positives) < n_queries:
        raise NegmineValueError(f"`positives` must have {n_queries} queries or more; got {len(positives)}.")
    outside = np.append(0, np.cumsum(positives.items < 0))
    first, last = positives.offsets[:-1][rows.query_indices], positives.offsets[1:][rows.query_indices]
    n_outside = outside[last] - outside[first]
    if n_outside.any():
        warnings.warn(
            f"{int(n_outside.sum())} of {int((last - first).sum())} positive pairs are outside the corpus and have no "
            "document row: no sample is made of them.",
            NegmineWarning,
            stacklevel=4,
        )
    # Entries outside the corpus come first in a query's list.
    begin = first + n_outside
    lengths = np.maximum(last - begin, 1)
    result_rows = np.repeat(np.arange(len(rows)), lengths)
    place = np.arange(len(result_rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    entries = begin[result_rows] + place
    inside = entries < last[result_rows]
    chosen = np.full(len(result_rows), -1, dtype=np.int64)
    chosen[inside] = positives.items[entries[inside]]
    return result_rows, chosen


def _with_positive(pairs: Pairs, rows: TableRows) -> Pairs:
    """Keep the samples that have a positive."""
    result_rows, positives = pairs
    chosen = rows.positive_indices if positives is None else positives
    present = np.flatnonzero(chosen >= 0)
    if len(present) == 0:
        raise NegmineValueError(f"`drop_unpositive` must be False where no sample has a positive; got {len(chosen)}.")
    if len(present) == len(chosen):
        return pairs
    return present if result_rows is None else result_rows[present], chosen[present]
