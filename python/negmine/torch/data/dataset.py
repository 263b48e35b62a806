"""Mined negatives as a map-style dataset that is read a batch at a time.

A DataLoader hands ``__getitems__`` all indices of a batch, so a batch costs a few array look-ups, not a Python call per
row, and all of it is of one generation. What comes back is still a sequence of samples, so that any collating function
works; :func:`collate` takes the columns as they are. Workers index arrays and do nothing else: no thread starts, and
nothing native runs that a fork could hurt.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, get_worker_info

from negmine._core.arrays import as_int64s
from negmine.data.positives import Positives
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining.negatives import HardNegatives
from negmine.store.negatives_table import NegativesTable
from negmine.store.table_file import TableRows
from negmine.torch.data import payload
from negmine.torch.data.payload import Column, Rows

__all__ = ["NegativesDataset", "Samples", "collate"]

#: A copy through a pipe and a file in shared memory cost the process that trains the same at 0.3 MB, and at 1.3 MB the
#: copy costs a third more (two loaded cores, November 2026).
_LIGHT_BYTES = 256 << 10


class Samples(Sequence[dict[str, Any]]):
    """Samples that are kept as columns: ``samples[i]`` is one of them, a dictionary.

    Parameters
    ----------
    columns : dict
        Name to array, tensor or list, all of one length.

    Attributes
    ----------
    columns : dict
        Likewise.
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
    """Queries, positives and mined negatives, one sample per result row.

    A sample is a dictionary; :func:`collate` makes the same names of a batch of B, arrays as tensors:

    - ``query_index``, ``positive_index`` : int64 (B,), the positive -1 where there is none
    - ``negative_indices`` : int64 (B, n), padded with -1
    - ``scores`` : float32 (B, n), padded with -inf
    - ``count`` : int32 (B,), negatives of the sample
    - ``mask`` : bool (B, n), True where there is a negative and no padding
    - ``generation`` : int64 (B,), that of the table which the batch was read from
    - ``query``, ``positive``, ``negatives`` : what ``queries`` and ``documents`` hold at these rows, where given. From
      an array or a tensor of shape (n_documents, ...) come (B, ...), (B, ...) and (B, n, ...), zeros where a row is
      -1. From any other sequence, such as texts, come lists: ``negatives`` then has ``count`` entries, without padding,
      in the order of ``mask``, and ``positive`` is None where its row is -1.

    Parameters
    ----------
    queries : sequence, array or CPU tensor (n_queries, ...), or None
        What a query row stands for: texts, token ids, embeddings, labels. None leaves ``query`` out.
    documents : sequence, array or CPU tensor (n_documents, ...), or None
        Likewise for document rows. With None a batch holds row numbers alone, to look up on the device that has the
        embeddings.
    negatives : HardNegatives or NegativesTable
        A table is asked for its newest generation at each batch; negatives in memory stay as they are.
    positives : Positives or int64 (n_rows,), optional
        Document row of the positive of every result row, -1 for none; of :class:`negmine.Positives` the first of every
        query. Default: that of mining with ``reference="each"``, which has one result row per positive; otherwise none.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        An argument that breaks its rule: fewer payloads than rows that refer to them, a tensor on another device, an
        array that torch has no type for.

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
    ) -> None:
        rows, n_documents, self._source = _open(negatives)
        self._n_rows = len(rows)
        self._queries = payload.read(queries, "queries", int(rows.query_indices.max(initial=-1)) + 1)
        self._documents = payload.read(documents, "documents", n_documents, exactly=True)
        self._positives = None if positives is None else _positive_rows(positives, rows, n_documents)

    def __len__(self) -> int:
        """Result rows."""
        return self._n_rows

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One sample; a negative index counts from the end."""
        try:
            place = operator.index(index)
        except TypeError:
            raise NegmineTypeError(f"`index` must be an integer; got {index!r}.") from None
        n = len(self)
        if not -n <= place < n:
            raise IndexError(f"`index` must lie in [{-n}, {n}); got {place}.")
        sample: dict[str, Any] = self.__getitems__([place % n])[0]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        """Samples of a whole batch, of one generation; ``indices`` lie in [0, len(dataset))."""
        batch = self._source.read(indices)
        positive_indices = batch.positive_indices
        if self._positives is not None:
            positive_indices = self._positives[np.asarray(indices, dtype=np.int64)]
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
        return f"NegativesDataset({len(self)} rows of {self._source!r})"


def collate(samples: Samples | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one dictionary of a batch: numbers become tensors, which a DataLoader can pin, the rest lists.

    Parameters
    ----------
    samples : Samples or sequence of dict
        What a dataset gives for a batch, or a list of samples, as :class:`torch.utils.data.ConcatDataset` gives it.

    Returns
    -------
    dict
        As :class:`NegativesDataset` tells.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        What are no samples; samples of different names or widths.
    """
    columns = samples.columns if isinstance(samples, Samples) else _columns(samples)
    batch = {name: torch.from_numpy(of) if isinstance(of, np.ndarray) else of for name, of in columns.items()}
    return batch if get_worker_info() is None else _Parcel(batch)


class _Parcel(dict[str, Any]):
    """A batch that is to leave a worker; where it arrives, it is a plain dictionary.

    Torch sends each tensor as a file in shared memory, whose handle is asked for over a socket of its own: half a
    millisecond of the process that trains, for every tensor. Light ones travel in the message instead.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        light = {name: array for name, value in self.items() if (array := _light(value)) is not None}
        heavy = {name: value for name, value in self.items() if name not in light}
        return _unpack, (list(self), light, heavy)


def _light(value: object) -> npt.NDArray[Any] | None:
    """The memory of a tensor that is not worth a file of its own."""
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
    """Columns of samples that come one by one."""
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
    """All rows as they are now, the number of documents, and what is asked for batches."""
    if isinstance(negatives, NegativesTable):
        return negatives.current(), negatives.n_documents, negatives
    if isinstance(negatives, HardNegatives):
        rows = TableRows.of(negatives)
        return rows, negatives.report.n_documents, rows
    raise NegmineTypeError(f"`negatives` must be HardNegatives or a NegativesTable; got {type(negatives).__name__}.")


def _positive_rows(positives: Positives | npt.ArrayLike, rows: TableRows, n_documents: int) -> Rows:
    """Document row of the positive of every result row."""
    if (rows.positive_indices >= 0).any():
        raise NegmineValueError(
            '`positives` must be None where the result rows name theirs, as those of `reference="each"` do; '
            f"got {type(positives).__name__}."
        )
    if isinstance(positives, Positives):
        filled = positives.offsets[:-1] < positives.offsets[1:]
        first = np.full(len(positives), -1, dtype=np.int64)
        first[filled] = positives.items[positives.offsets[:-1][filled]]
        n_queries = int(rows.query_indices.max(initial=-1)) + 1
        if len(first) < n_queries:
            raise NegmineValueError(f"`positives` must have {n_queries} queries or more; got {len(first)}.")
        chosen = first[rows.query_indices]
    else:
        chosen = as_int64s(positives, "positives", len(rows))
    outside = (chosen < -1) | (chosen >= n_documents)
    if outside.any():
        row = int(np.argmax(outside))
        raise NegmineValueError(
            f"`positives` must be rows of the {n_documents} documents, or -1; got {chosen[row]} at result row {row}."
        )
    return chosen
