"""Headers with a checksum: JSON objects, and the first bytes of binary files.

A header says what kind of file it belongs to and of which version, and a SHA-256 covers all of it. The kind and the
version are looked at first, so that a file of another version is refused by its version, and not as damaged.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from negmine._core.formats import Format, corrupt
from negmine._core.parsing import parse_json
from negmine.errors import NegmineValueError

__all__ = ["ALIGNMENT", "LONGEST", "aligned", "pack", "seal", "unpack", "unseal"]

#: Binary headers end, and columns begin, at multiples of a cache line.
ALIGNMENT = 64

#: Bytes of a binary header at most.
LONGEST = 1 << 16

#: Magic, version, and bytes of the JSON that follows; then the SHA-256 of both.
_PREFIX = struct.Struct("<8sII")

_DIGEST_BYTES = hashlib.sha256().digest_size


def seal(form: Format, content: Mapping[str, Any]) -> dict[str, Any]:
    """Add kind, version and checksum to the content of a JSON object."""
    labeled = {**content, "kind": form.kind, "version": form.version}
    return {**labeled, "checksum": _checksum(labeled)}


def unseal(
    form: Format,
    sealed: object,
    argument: str,
    source: str | Path,
    *,
    advice: str = "",
    error: type[NegmineValueError] = NegmineValueError,
) -> dict[str, Any]:
    """Return the content of what [`seal`][] made.

    Parameters
    ----------
    form : Format
        What is expected.
    sealed : object
        What JSON gave.
    argument, source : str
        The argument and the file that errors name.
    advice : str, default ""
        What to do about a damaged file.
    error : type, default NegmineValueError
        What is raised.

    Raises
    ------
    NegmineValueError
        Another kind or version, or a checksum that is not that of the content.
    """
    content = dict(sealed) if isinstance(sealed, dict) else {}
    # What the first version wrote calls its version the format, or has none.
    form.check(content.get("kind"), content.get("version", content.get("format", 1)), argument, source, error)
    expected = content.pop("checksum", None)
    try:
        found = _checksum(content)
    except RecursionError:  # JSON is written with less depth than it is read
        found = ""
    if found != expected:
        raise corrupt(source, advice, error)
    del content["kind"], content["version"]
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def pack(form: Format, content: Mapping[str, Any]) -> bytes:
    """Make the first bytes of a binary file: magic, version, ``content`` as JSON, and their SHA-256, aligned."""
    text = json.dumps(content, sort_keys=True).encode()
    head = _PREFIX.pack(form.magic, form.version, len(text)) + text
    head += hashlib.sha256(head).digest()
    return head.ljust(aligned(len(head)), b"\0")


def unpack(
    form: Format,
    start: bytes,
    argument: str,
    path: Path,
    error: type[NegmineValueError] = NegmineValueError,
) -> tuple[dict[str, Any], int]:
    """Return the content of a header, and the byte at which what follows it begins.

    Parameters
    ----------
    form : Format
        What is expected.
    start : bytes
        The first [`LONGEST`][] bytes of the file, or all of it.
    argument, path : str, Path
        The argument and the file that errors name.
    error : type, default NegmineValueError
        What is raised.

    Raises
    ------
    NegmineValueError
        Another kind or version, or a checksum that is not that of the header.
    """
    if len(start) < _PREFIX.size or not start.startswith(form.magic):
        raise error(f"`{argument}` must be a {form.kind} file of negmine; got {path}, which is none.")
    _, version, length = _PREFIX.unpack_from(start)
    form.check(form.kind, version, argument, path, error)
    end = _PREFIX.size + length
    if hashlib.sha256(start[:end]).digest() != start[end : end + _DIGEST_BYTES]:
        raise corrupt(path, error=error)
    try:
        content: dict[str, Any] = dict(parse_json(start[_PREFIX.size : end]))
    except (ValueError, TypeError) as problem:
        raise error(f"`{argument}` must have a header of JSON; got {path}: {problem}.") from problem
    return content, aligned(end + _DIGEST_BYTES)


def aligned(n: int) -> int:
    """Round up to a multiple of [`ALIGNMENT`][]."""
    return -(-n // ALIGNMENT) * ALIGNMENT
