"""Shards of a corpus: where the rows of each file lie, and which files a folder holds.

The rows of npy and safetensors files are read in place. Parquet and Lance have no rows to read at random, and a npy
file in Fortran order has no contiguous ones; their rows are converted once, by `shard_cache`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from negmine._core import files
from negmine._core.arrays import KINDS, refuse_unordered
from negmine._core.npy import MALFORMED
from negmine.errors import NegmineOSError, NegmineTypeError, NegmineValueError

__all__ = ["SUFFIXES", "RowPlace", "find_place", "list_shards"]

#: Suffixes of shards; those of Lance are folders.
SUFFIXES = (".npy", ".safetensors", ".parquet", ".lance")

#: Element types of safetensors, as NumPy names them.
_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I8": "int8",
    "U8": "uint8",
}

#: Bytes of an element.
_SIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}

#: Maximum size of a safetensors header, as in its specification.
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where the rows of one shard lie.

    Attributes
    ----------
    path : Path
        File of the rows.
    offset : int
        Byte of the first row.
    shape : tuple of (int, int)
        Number of rows, and width.
    kind : str
        Type of the elements, as NumPy names it.
    is_big_endian : bool
        Order of the bytes of an element.
    source : dict or None
        Fingerprint of the shard that the rows were converted from; None if they lie in the shard itself.
    """

    path: Path
    offset: int
    shape: tuple[int, int]
    kind: str
    is_big_endian: bool = False
    source: dict[str, Any] | None = None

    @property
    def end(self) -> int:
        """Byte after the last row."""
        return self.offset + math.prod(self.shape) * _SIZES[self.kind]


def list_shards(shards: object) -> list[Path]:
    """List the shards of a corpus in the order of their rows.

    Parameters
    ----------
    shards : path or iterable of path
        A folder, whose shards are sorted by name, or the shards in order.

    Returns
    -------
    list of Path

    Raises
    ------
    NegmineValueError
        A path does not exist, is not UTF-8 or has another suffix, a folder has no shards or shards of several
        suffixes, or the order of its names is ambiguous.
    """
    if not isinstance(shards, str | os.PathLike):
        if not isinstance(shards, Iterable):
            raise NegmineTypeError(f"`shards` must be a folder or a list of paths; got {type(shards).__name__}.")
        refuse_unordered(shards, "shards")
        paths = [files.as_path(path, "shards") for path in shards]
        if not paths:
            raise NegmineValueError("`shards` must name at least one file; got none.")
        for path in paths:
            _check_shard(path)
        return paths
    folder = files.as_path(shards, "shards")
    if not folder.is_dir() or folder.suffix == ".lance":
        raise NegmineValueError(
            f"`shards` must be a folder or a list of paths; got {folder}, {files.describe(folder)}."
        )
    found = [path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith(".")]
    suffixes = sorted({path.suffix for path in found})
    if len(suffixes) != 1:
        got = "none" if not suffixes else f"files of {' and '.join(suffixes)}, of which a list of paths can choose"
        raise NegmineValueError(f"`shards` must be a folder of {', '.join(SUFFIXES)} files of one kind; got {got}.")
    by_name = sorted(found, key=lambda path: path.name)
    by_number = sorted(by_name, key=lambda path: _numbers(path.name))
    if by_name != by_number:
        first = next(i for i, (a, b) in enumerate(zip(by_name, by_number, strict=True)) if a != b)
        raise NegmineValueError(
            "`shards` must be a list of paths where names sort in two ways: "
            f"{by_name[first].name} comes first by characters and {by_number[first].name} by numbers, in {folder}."
        )
    for path in by_name:
        _check_shard(path)
    return by_name


def _numbers(name: str) -> list[tuple[int, str]]:
    """Return the key that sorts the numbers in names by value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _check_shard(path: Path) -> None:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise NegmineValueError(f"`shards` must have paths in UTF-8; got {str(path)!r}.") from None
    if path.suffix not in SUFFIXES:
        raise NegmineValueError(f"`shards` must end in one of {', '.join(SUFFIXES)}; got {path}.")
    is_right = path.is_dir() if path.suffix == ".lance" else path.is_file()
    if not is_right:
        raise NegmineValueError(
            f"`shards` must be files that exist; got {path}, where there is {files.describe(path)}."
        )


def find_place(path: Path, column: str | None) -> RowPlace | None:
    """Find the rows of a shard.

    Parameters
    ----------
    path : Path
        The shard.
    column : str or None
        Tensor of a safetensors file, or column of a table. None for the only one.

    Returns
    -------
    RowPlace or None
        None if the shard must be converted.

    Raises
    ------
    NegmineValueError
        The file is not what its suffix says, has no such tensor, or is shorter than its header says.
    NegmineTypeError
        The elements have another type.
    NegmineOSError
        The system refuses to read the file.
    """
    if path.suffix not in (".npy", ".safetensors"):
        return None
    try:
        place = _of_npy(path, column) if path.suffix == ".npy" else _of_safetensors(path, column)
        size = path.stat().st_size
    except OSError as error:
        raise NegmineOSError(error.errno, error.strerror or str(error), str(path)) from error
    if place is not None and size < place.end:
        raise NegmineValueError(
            f"`shards` must be whole files; {path} was cut: its header needs {place.end} bytes and it has {size}."
        )
    return place


def _of_npy(path: Path, column: str | None) -> RowPlace | None:
    if column is not None:
        raise NegmineValueError(
            f"`column` must be None for npy files, which hold one array; got {column!r} for {path}."
        )
    with files.open_file(path) as file:
        try:
            version = np.lib.format.read_magic(file)
            parse = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, is_fortran, dtype = parse(file)
            if any(n < 0 for n in shape):
                raise ValueError(f"shape {shape} must be integers from 0 on")
        except MALFORMED as error:
            raise NegmineValueError(f"`shards` must be readable npy files; got {path}: {error}") from error
        offset = file.seek(0, os.SEEK_CUR)
    _check_matrix(path, shape, dtype.name)
    if is_fortran and min(shape) > 1:
        return None
    return RowPlace(path, offset, (shape[0], shape[1]), dtype.name, dtype.str.startswith(">"))


def _of_safetensors(path: Path, column: str | None) -> RowPlace:
    with files.open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header: dict[str, Any] = json.loads(file.read(min(length, _LONGEST_HEADER)))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            name = _only(column, list(tensors), path)
            shape, kind = tuple(tensors[name]["shape"]), str(tensors[name]["dtype"])
            begin, end = tensors[name]["data_offsets"]
            if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)) or begin > end:
                raise ValueError(f"shape {shape} and data_offsets {[begin, end]} must be integers from 0 on, in order")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, NegmineValueError):
                raise
            raise NegmineValueError(f"`shards` must be readable safetensors files; got {path}: {error!r}") from error
    _check_matrix(path, shape, _SAFETENSORS.get(kind, kind))
    place = RowPlace(path, 8 + length + begin, (shape[0], shape[1]), _SAFETENSORS[kind])
    if place.end != 8 + length + end:
        raise NegmineValueError(
            f"`shards` must be readable safetensors files; got {path}: a shape and its bytes differ."
        )
    return place


def _check_matrix(path: Path, shape: tuple[int, ...], kind: str) -> None:
    if len(shape) != 2:
        raise NegmineValueError(f"`shards` must hold arrays of shape (n, width); {path} has shape {shape}.")
    if kind not in KINDS:
        raise NegmineTypeError(f"`shards` must hold one of {', '.join(KINDS)}; {path} holds {kind}.")


def _only(name: str | None, known: list[str], path: Path) -> str:
    """Return the requested name, or the only one."""
    if name is not None and name in known:
        return name
    listed = ", ".join(map(repr, sorted(known))) or "nothing"
    if name is not None:
        raise NegmineValueError(f"`column` must name a tensor of every shard; got {name!r}, and {path} has {listed}.")
    if len(known) != 1:
        raise NegmineValueError(f"`column` must say which tensor to read; {path} has {listed}.")
    return known[0]
