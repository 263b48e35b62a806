"""Arrays in npy files, mapped. NumPy evaluates headers as Python literals, so malformed ones raise many exceptions."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine.errors import NegmineValueError

__all__ = ["MALFORMED", "map_array"]

#: Exceptions that NumPy raises for malformed headers.
MALFORMED = (
    ArithmeticError,
    EOFError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


def map_array(path: Path, argument: str) -> npt.NDArray[Any]:
    """Map an array, so that a header that claims more than the file holds is refused before memory is allocated.

    Parameters
    ----------
    path : Path
        Existing file.
    argument : str
        Name of the argument that gave the path, for error messages.

    Returns
    -------
    array

    Raises
    ------
    NegmineValueError
        The file is no npy file, its header is malformed, or it is cut.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, *MALFORMED) as error:
        raise NegmineValueError(f"`{argument}` must be a readable npy file; got {path}: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise NegmineValueError(f"`{argument}` must be a npy file; got {path}, which is a npz archive.")
    return array
