"""Lines of text files, read in one way, so that every format skips blank lines and accepts gzip."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from negmine._core import files
from negmine.errors import NegmineValueError

__all__ = ["compressed", "parse_integer", "parse_json", "parse_real", "read_lines"]

#: Stricter than Python, which parses "1_0" as 10 and accepts digits of other scripts.
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)


def compressed(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Add the gzipped form of every suffix of text files.

    Parameters
    ----------
    suffixes : tuple of str
        Suffixes, such as ".tsv".

    Returns
    -------
    tuple of str
        The suffixes, then the same with ".gz".
    """
    return (*suffixes, *(f"{suffix}.gz" for suffix in suffixes))


def _open(path: Path) -> IO[bytes]:
    """Open a text file, and decompress it if its name ends in ``.gz``."""
    return gzip.open(path, "rb") if files.suffix_of(path).endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def read_lines(path: Path, argument: str) -> Iterator[tuple[int, str]]:
    """Yield the number, counted from 1, and the text of every line that is not blank.

    Lines end in LF or CRLF; a byte order mark is dropped.

    Parameters
    ----------
    path : Path
        Existing file.
    argument : str
        Name of the argument that gave the path, for error messages.

    Yields
    ------
    tuple of (int, str)
        Number and text of a line.

    Raises
    ------
    NegmineValueError
        A line is not UTF-8, or the file is not complete gzip.
    """
    number = 0
    try:
        with _open(path) as file:
            for raw in file:
                number += 1
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if line and not line.isspace():
                    yield number, line
    except UnicodeDecodeError as error:
        raise NegmineValueError(f"`{argument}` must be UTF-8; line {number} of {path}: {error}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise NegmineValueError(f"`{argument}` must be a readable file; got {path}: {error}") from error


def parse_integer(text: str) -> int | None:
    """Parse an int64, or a float that is a whole number.

    Parameters
    ----------
    text : str
        Field of a line.

    Returns
    -------
    int or None
        None if the text is neither.
    """
    if _INTEGER.fullmatch(text):
        # Python refuses to parse very long integers.
        number = int(text) if len(text) < 100 else 2**63
    else:
        real = parse_real(text)
        if real is None or not real.is_integer():
            return None
        number = int(real)
    return number if -(2**63) <= number < 2**63 else None


def parse_real(text: str) -> float | None:
    """Parse a number, which may be infinite.

    Parameters
    ----------
    text : str
        Field of a line.

    Returns
    -------
    float or None
        None if the text is not a number.
    """
    return float(text) if _REAL.fullmatch(text) else None


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 (a value of JSON)
    """Parse JSON.

    Parameters
    ----------
    text : str or bytes
        Text of a value.

    Returns
    -------
    Any

    Raises
    ------
    ValueError
        The text is malformed, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
