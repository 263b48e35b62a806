"""Pools and negatives in one ``.npz`` file each: written to the side and renamed, read without pickle."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from negmine._core import files
from negmine.errors import NegmineError, NegmineValueError

__all__ = ["read", "together", "whole", "write"]

#: Raised when what the files hold changes its meaning.
VERSION = 1

_HEADER = "header"


def write(path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write ``arrays`` (those that are None are left out) and a JSON header, whole or not at all.

    The same content gives the same bytes.

    Raises
    ------
    NegmineTypeError
        ``path`` is no path.
    NegmineValueError
        Its folder does not exist, or it is a folder.
    """
    text = json.dumps({"kind": kind, "version": VERSION, **header}, sort_keys=True)
    contents = {
        _HEADER: np.array(text),
        **{name: array for name, array in arrays.items() if array is not None},
    }
    with files.atomic_file(files.as_path(path, "path")) as temporary, temporary.open("wb") as file:
        np.savez(file, **contents)


def read(
    path: str | os.PathLike[str], kind: str, entries: Iterable[str] = (), names: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read what :func:`write` wrote: a header with these ``entries``, and arrays of which some have these ``names``.

    Raises
    ------
    NegmineValueError
        There is no such file, it is no such archive, holds something else, or comes from a later version.
    """
    source = files.input_file(path, "path")
    try:
        # Opened here, since NumPy leaves a broken archive open.
        with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header: dict[str, Any] = dict(json.loads(str(arrays.pop(_HEADER))))
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise NegmineValueError(f"`path` must be a {kind} file of negmine; got {os.fspath(path)!r}: {error}") from error
    if header.get("kind") != kind or header.get("version") != VERSION:
        raise NegmineValueError(
            f"`path` must be a {kind} file of version {VERSION}; "
            f"got {header.get('kind')!r} of version {header.get('version')!r}."
        )
    missing = [name for name in entries if name not in header] + [name for name in names if name not in arrays]
    if missing:
        raise _lacking(path, kind, missing[0])
    return header, arrays


def _lacking(path: str | os.PathLike[str], kind: str, name: str) -> NegmineValueError:
    return NegmineValueError(f"`path` must be a whole {kind} file; {os.fspath(path)!r} has no {name!r}.")


def together(
    path: str | os.PathLike[str], kind: str, arrays: Mapping[str, npt.NDArray[Any]], *names: str
) -> list[npt.NDArray[Any]] | None:
    """Arrays that a file has all of, or none: None then.

    Raises
    ------
    NegmineValueError
        It has some of them.
    """
    missing = [name for name in names if name not in arrays]
    if missing and len(missing) < len(names):
        raise _lacking(path, kind, missing[0])
    return None if missing else [arrays[name] for name in names]


@contextlib.contextmanager
def whole(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Say of which file the arrays do not fit each other."""
    try:
        yield
    except NegmineError as error:
        raise NegmineValueError(f"`path` must be a whole {kind} file; got {os.fspath(path)!r}: {error}") from error
