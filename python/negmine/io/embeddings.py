"""Embeddings from files: npy, Parquet, Arrow, Feather, safetensors. Files are memory-mapped where possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine._core.arrays import KINDS
from negmine._core.extras import require
from negmine._core.labels import Ids
from negmine._core.parsing import map_array, parse_json
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.io import tables

__all__ = ["EMBEDDING_SUFFIXES", "Embeddings", "load_embeddings", "read_embeddings"]

#: Suffixes of files that hold embeddings.
EMBEDDING_SUFFIXES = (".npy", ".safetensors", *tables.TABLE_SUFFIXES)

#: Element types of safetensors that negmine reads, as NumPy names them.
_SAFETENSORS = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16", "I8": "i1", "U8": "u1"}


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Embeddings from a file.

    Attributes
    ----------
    rows : array (n, width)
        float32, float16, bfloat16, float64, int8 or uint8; a ``numpy.memmap`` for npy and safetensors.
    ids : int64 (n,), Strings or None
        Labels, if a column of them was requested.
    """

    rows: npt.NDArray[Any]
    ids: Ids | None = None

    def __len__(self) -> int:
        return len(self.rows)


def read_embeddings(path: object, *, name: str | None = None, id_name: str | None = None) -> Embeddings:
    """Read embeddings, one per row.

    Parameters
    ----------
    path : path
        ``.npy`` and ``.safetensors`` are memory-mapped; so are ``.arrow``, ``.feather`` and ``.ipc`` if they are not
        compressed and have one batch; ``.parquet`` is decoded into memory.
    name : str, optional
        Column of a table, or tensor of a safetensors file. Default: the only one that can hold embeddings.
    id_name : str, optional
        Column of unique labels, integers or strings; only tables have columns.

    Returns
    -------
    Embeddings

    Raises
    ------
    NegmineValueError
        The file does not exist or has another format, the choice of column or tensor is ambiguous, rows differ in
        length, or a value is null.
    NegmineTypeError
        The elements are not floats, int8 or uint8.
    MissingExtraError
        pyarrow, safetensors or ml_dtypes (for bfloat16) is needed and not installed.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "corpus.npy"
    >>> np.save(path, np.eye(3, dtype=np.float16))
    >>> read_embeddings(path).rows.shape
    (3, 3)
    """
    return load_embeddings(path, "path", name=name, id_name=id_name)


def load_embeddings(path: object, argument: str, *, name: str | None = None, id_name: str | None = None) -> Embeddings:
    """Read embeddings as [`read_embeddings`][] does, with error messages that name another argument.

    Parameters
    ----------
    path : path
        File of embeddings.
    argument : str
        Name of the argument that gave the path, for error messages.
    name : str, optional
        Column or tensor. Default: the only one that can hold embeddings.
    id_name : str, optional
        Column of unique labels. Default: none.

    Returns
    -------
    Embeddings
    """
    file = files.input_file(path, argument)
    suffix = files.suffix_of(file)
    if suffix not in EMBEDDING_SUFFIXES:
        raise NegmineValueError(f"`{argument}` must end in one of {', '.join(EMBEDDING_SUFFIXES)}; got {file}.")
    if suffix in tables.TABLE_SUFFIXES:
        return _from_table(file, name, id_name, argument)
    if id_name is not None:
        raise NegmineValueError(f"`id_name` must be None where the file has no columns; got {id_name!r} for {file}.")
    if suffix == ".safetensors":
        return _two_dimensional(_from_safetensors(file, name, argument), file, argument)
    if name is not None:
        raise NegmineValueError(f"`name` must be None for a npy file, which holds one array; got {name!r} for {file}.")
    return _two_dimensional(map_array(file, argument), file, argument)


def _two_dimensional(rows: npt.NDArray[Any], path: Path, argument: str) -> Embeddings:
    if rows.ndim != 2:
        raise NegmineValueError(f"`{argument}` must hold an array of shape (n, width); {path} has shape {rows.shape}.")
    if rows.dtype.name not in KINDS:
        raise NegmineTypeError(f"`{argument}` must hold one of {', '.join(KINDS)}; {path} holds {rows.dtype.name}.")
    return Embeddings(rows)


def _from_safetensors(path: Path, name: str | None, argument: str) -> npt.NDArray[Any]:
    """Map one tensor. The package checks the file but copies tensors, so the position is read from the header."""
    package = require("safetensors", "io", "reading safetensors")
    try:
        with package.safe_open(path, framework="numpy") as file:
            kinds = {key: file.get_slice(key).get_dtype() for key in sorted(file.keys())}
    except (package.SafetensorError, OSError) as error:
        raise NegmineValueError(f"`{argument}` must be a readable safetensors file; got {path}: {error}") from error
    name = _only(name, list(kinds), f"tensor of {path}", argument)
    if kinds[name] not in _SAFETENSORS:
        raise NegmineTypeError(
            f"`{argument}` must hold one of {', '.join(KINDS)}; tensor {name!r} of {path} is {kinds[name]}."
        )
    if kinds[name] == "BF16":
        dtype = np.dtype(require("ml_dtypes", "io", "reading bfloat16").bfloat16)
    else:
        dtype = np.dtype(_SAFETENSORS[kinds[name]])
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = parse_json(file.read(length))[name]
    shape = tuple(entry["shape"])
    if 0 not in shape:
        return np.memmap(path, mode="r", dtype=dtype, shape=shape, offset=8 + length + entry["data_offsets"][0])
    try:
        return np.empty(shape, dtype=dtype)
    except ValueError as error:
        raise NegmineValueError(f"`{argument}` must be a readable safetensors file; got {path}: {error}") from error


def _from_table(path: Path, name: str | None, id_name: str | None, argument: str) -> Embeddings:
    schema = tables.read_schema(path, argument)
    fitting = [field.name for field in schema if tables.is_embedding_type(field.type)]
    name = _only(name, fitting, f"column of embeddings of {path}", argument, schema.names)
    columns = tables.read_columns(path, argument, [name] if id_name is None else [name, id_name])
    return Embeddings(columns[name].embeddings(), None if id_name is None else columns[id_name].ids())


def _only(name: str | None, fitting: list[str], what: str, argument: str, known: list[str] | None = None) -> str:
    """Return the requested name, or the only one that fits."""
    known = fitting if known is None else known
    if name is not None:
        if name not in known:
            raise NegmineValueError(
                f"`{argument}` must hold what `name` says; there is no {what} called {name!r}, but "
                f"{', '.join(map(repr, known)) or 'none at all'}."
            )
        return name
    if len(fitting) != 1:
        raise NegmineValueError(
            f"`name` must say which {what} to read; there are {', '.join(map(repr, fitting)) or 'none'}."
        )
    return fitting[0]
