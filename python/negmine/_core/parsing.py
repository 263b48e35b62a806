"""Parsers of JSON and of npy headers from files of unknown origin: all that is malformed is a `ValueError`.

The parsers below raise errors of other types as well: JSON that is nested too deeply a `RecursionError`, and headers of
arrays, which NumPy reads as Python literals, a `MemoryError` or a `TokenError`.
"""

from __future__ import annotations

import json
import math
import os
import struct
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine.errors import NegmineValueError

__all__ = ["ArrayHeader", "map_array", "parse_json", "read_array_header"]

#: What NumPy raises for headers of arrays that are malformed.
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
)

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 (any JSON)
    """Parse JSON.

    Parameters
    ----------
    text : str or bytes
        The text.

    Returns
    -------
    Any
        The value.

    Raises
    ------
    ValueError
        The text is not JSON, or is nested more deeply than Python's parser allows.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """Header of an array in npy format.

    Attributes
    ----------
    shape : tuple of int
        The shape, of integers from 0 on.
    is_fortran : bool
        Whether the first axis varies fastest.
    dtype : dtype
        Type of the elements, without Python objects.
    begin : int
        Byte of the first element.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    begin: int

    @property
    def end(self) -> int:
        """Byte after the last element."""
        return self.begin + math.prod(self.shape) * self.dtype.itemsize


def read_array_header(file: BinaryIO) -> ArrayHeader:
    """Read the header of an array, up to its first element.

    Parameters
    ----------
    file : binary file
        File at the beginning of the array.

    Returns
    -------
    ArrayHeader

    Raises
    ------
    ValueError
        The header is malformed, or the elements are Python objects, which only pickle can read.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"version {version} of the format is unknown")
        shape, is_fortran, dtype = _READERS[version](file)
    except _MALFORMED as error:
        raise ValueError(str(error) or "its header is malformed") from error
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"shape {shape} must be integers from 0 on")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    return ArrayHeader(shape, is_fortran, dtype, file.seek(0, os.SEEK_CUR))


def map_array(path: Path, argument: str) -> npt.NDArray[Any]:
    """Map the array of a npy file, read-only: a header that claims more than the file holds takes no memory.

    Parameters
    ----------
    path : Path
        Existing file.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    array
        A ``numpy.memmap``.

    Raises
    ------
    NegmineValueError
        The file does not hold one array, is shorter than its header says, or cannot be read.
    """
    try:
        with files.open_file(path) as file:
            if file.read(2) == b"PK":
                raise ValueError("it is a npz archive, which holds several arrays")
            file.seek(0)
            header = read_array_header(file)
            size = os.fstat(file.fileno()).st_size
            if size < header.end:
                raise ValueError(f"its header needs {header.end} bytes and it has {size}")
            # The open file is mapped, not what the path names by now; other processes map it by its name.
            order: Literal["F", "C"] = "F" if header.is_fortran else "C"
            mapped = np.memmap(file, header.dtype, "r", header.begin, header.shape, order)
            mapped.filename = str(path.absolute())
            return mapped
    except (OSError, ValueError) as error:
        raise NegmineValueError(f"`{argument}` must be a readable npy file; got {path}: {error}") from error
