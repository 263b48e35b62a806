"""Compute ids of the values of a ``datasets.Dataset``, and a digest of its rows. Values stay in Arrow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core.calls import ensure_fits_in_memory
from negmine._core.extras import require
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["check_dataset", "id_columns", "rows_digest", "whole_values"]

#: Columns that the trainer adds.
_RESERVED = {"dataset_name", "return_loss"}

#: Rows per chunk of the digest, which depends on this number.
_ROWS_AT_A_TIME = 10_000

Ids = npt.NDArray[np.int64]


def check_dataset(dataset: object, argument: str) -> None:
    """Refuse an object that is not a ``datasets.Dataset``."""
    columnar = all(hasattr(dataset, name) for name in ("column_names", "num_rows", "select_columns", "with_format"))
    if not columnar or isinstance(dataset, Mapping):
        raise NegmineTypeError(f"`{argument}` must be a datasets.Dataset; got {type(dataset).__name__}.")


def id_columns(
    dataset: Any,  # noqa: ANN401 (a datasets.Dataset)
    label_columns: Sequence[str],
) -> tuple[Ids, Ids, Ids | None]:
    """Number anchors (n,), positives (n, p) and negatives (n, k): equal values get equal numbers; -1 means none."""
    check_dataset(dataset, "dataset")
    names = [name for name in dataset.column_names if name not in label_columns and name not in _RESERVED]
    if len(names) < 2:
        raise NegmineValueError(f"`dataset` must have columns of anchor and positive; got {dataset.column_names}.")
    anchor, *documents = names
    (anchors,) = _numbered(dataset, [anchor])
    positives, *negatives = _numbered(dataset, documents)
    return whole_values(anchors), positives, np.concatenate(negatives, axis=1) if negatives else None


def whole_values(numbers: Ids) -> Ids:
    """Number rows (n, k): rows get equal numbers if all their entries are equal; -1 for a row without entries."""
    if numbers.shape[1] == 1:
        return numbers[:, 0]
    _, whole = np.unique(numbers, axis=0, return_inverse=True)
    whole = whole.reshape(-1).astype(np.int64)
    whole[(numbers == -1).all(axis=1)] = -1
    return whole


def _numbered(
    dataset: Any,  # noqa: ANN401 (a datasets.Dataset)
    names: list[str],
) -> list[Ids]:
    """Number the values of columns, (n, 1), or (n, longest list) for lists; -1 means null, or no entry."""
    pa = require("pyarrow", "arrow", "comparing texts")
    table = dataset.select_columns(names).with_format("arrow")[:]
    flat, lengths, kinds = [], [], []
    for name in names:
        values, length = _flat(pa, table.column(name))
        kinds.append(_kind(pa, values.type, name, table.column(name).type))
        flat.append(values)
        lengths.append(length)
    if len(set(kinds)) > 1:
        raise NegmineTypeError(f"`dataset` must hold texts or integers alike in columns {names}; got both.")
    chunks = []
    for name, values in zip(names, flat, strict=True):
        try:
            chunks.append(values.cast(kinds[0]))
        except pa.ArrowInvalid as error:
            raise NegmineValueError(f"`dataset` must fit int64 in column {name!r}; {error}") from error
    codes = pa.chunked_array(chunks, type=kinds[0]).dictionary_encode().unify_dictionaries()
    numbers = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) for chunk in codes.chunks]
    return [
        column.reshape(-1, 1) if length is None else _rectangle(column, length)
        for column, length in zip(numbers, lengths, strict=True)
    ]


def _flat(
    pa: Any,  # noqa: ANN401 (pyarrow)
    column: Any,  # noqa: ANN401 (a ChunkedArray)
) -> tuple[Any, Ids | None]:
    """Flatten a column; return its entries, and the lengths of its lists if it has lists; null is an empty list."""
    # The offsets of all chunks together may not fit 32 bits.
    whole = column.cast(_widened(pa, column.type)).combine_chunks()
    if not _is_list(pa, whole.type):
        return whole, None
    lengths = whole.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return whole.flatten(), lengths.astype(np.int64)


def _is_list(
    pa: Any,  # noqa: ANN401 (pyarrow)
    kind: Any,  # noqa: ANN401 (a DataType)
) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _widened(
    pa: Any,  # noqa: ANN401 (pyarrow)
    kind: Any,  # noqa: ANN401 (a DataType)
) -> Any:  # noqa: ANN401 (a DataType)
    """Return the same type with 64-bit offsets."""
    if _is_list(pa, kind):
        return pa.large_list(_widened(pa, kind.value_type))
    return pa.large_string() if pa.types.is_string(kind) else kind


def _kind(
    pa: Any,  # noqa: ANN401 (pyarrow)
    kind: Any,  # noqa: ANN401 (a DataType)
    name: str,
    whole: Any,  # noqa: ANN401 (a DataType)
) -> Any:  # noqa: ANN401 (a DataType)
    """Return the type in which entries are compared."""
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.large_string()
    raise NegmineTypeError(f"`dataset` must hold texts, integers or lists of them in column {name!r}; got {whole}.")


def _rectangle(numbers: Ids, lengths: Ids) -> Ids:
    """Arrange lists as rows, padded with -1."""
    width = max(1, int(lengths.max(initial=0)))
    ensure_fits_in_memory(len(lengths), width, "dataset", entry=8)
    out = np.full((len(lengths), width), -1, dtype=np.int64)
    out[np.arange(width) < lengths[:, None]] = numbers
    return out


def rows_digest(
    dataset: Any,  # noqa: ANN401 (a datasets.Dataset)
) -> str:
    """Compute a hexadecimal digest of all rows in order, independent of how the data set is stored or was selected."""
    pa = require("pyarrow", "arrow", "digesting rows")
    names = [name for name in dataset.column_names if name not in _RESERVED]
    hashed = hashlib.sha256(repr(["negmine rows", names, len(dataset)]).encode())
    rows = dataset.select_columns(names).with_format("arrow")
    for begin in range(0, len(dataset), _ROWS_AT_A_TIME):
        table = rows[begin : begin + _ROWS_AT_A_TIME]
        for name in names:
            _hash_values(pa, hashed, table.column(name).combine_chunks())
    return hashed.hexdigest()


def _hash_values(
    pa: Any,  # noqa: ANN401 (pyarrow)
    hashed: Any,  # noqa: ANN401 (a hash of hashlib)
    values: Any,  # noqa: ANN401 (an Array)
) -> None:
    """Hash only the values of an array: not chunks, offsets, widths of offsets, or the content of null slots."""
    kind = values.type
    nulls = values.is_null().to_numpy(zero_copy_only=False)
    hashed.update(np.packbits(nulls).tobytes())
    entries, lengths = _flat(pa, pa.chunked_array([values], type=kind))
    if lengths is not None:
        hashed.update(lengths.tobytes())
        _hash_values(pa, hashed, entries)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = values.cast(pa.large_string()).fill_null("")
        _, offsets, content = texts.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)
        hashed.update(np.diff(ends).tobytes())
        hashed.update(memoryview(content or b"")[int(ends[0]) : int(ends[-1])])
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        hashed.update(values.fill_null(0).to_numpy(zero_copy_only=False).tobytes())
    else:
        hashed.update(repr(values.to_pylist()).encode())
