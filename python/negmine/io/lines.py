"""Lines of text files: one way to read them, so that every format skips blank lines and takes gzip alike."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from negmine._core import files
from negmine.errors import NegmineValueError

__all__ = ["compressed", "parse_integer", "parse_real", "read_lines"]

#: Python reads "1_0" as 10, and digits of other scripts.
_INTEGER = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)


def compressed(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Add the gzipped form of every suffix of text files."""
    return (*suffixes, *(f"{suffix}.gz" for suffix in suffixes))


def _open(path: Path) -> IO[bytes]:
    """Open a text file, decompressed where its name ends in ``.gz``."""
    return gzip.open(path, "rb") if files.suffix_of(path).endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def read_lines(path: Path, argument: str) -> Iterator[tuple[int, str]]:
    """Yield the number, counted from 1, and the text of every line that is not blank.

    Lines end in LF or CRLF; a byte order mark is dropped.

    Parameters
    ----------
    path : Path
        A file that exists.
    argument : str
        The name that errors use.

    Raises
    ------
    NegmineValueError
        A line is not UTF-8, or the file is not whole gzip.
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
    """Read an int64, or a float that is whole; None where the text is neither."""
    if _INTEGER.fullmatch(text):
        # Python refuses to read very long integers.
        number = int(text) if len(text) < 100 else 2**63
    else:
        real = parse_real(text)
        if real is None or not real.is_integer():
            return None
        number = int(real)
    return number if -(2**63) <= number < 2**63 else None


def parse_real(text: str) -> float | None:
    """Read a number, which may be infinite; None where the text is none."""
    return float(text) if _REAL.fullmatch(text) else None
