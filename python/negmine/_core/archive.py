"""Archives of results: one ``.npz`` file each, written whole or not at all, and validated before arrays are read.

The file is a ZIP archive of ``.npy`` members, stored without compression, as ``numpy.load`` reads it; pickle is never
used. Its member ``header`` lists all others with their types, shapes and CRC-32, and carries a SHA-256 of itself. A
reader compares the sizes of members with the header before it allocates memory for them, so that a small file cannot
request a large allocation.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from negmine._core import files, headers
from negmine._core.formats import Format, corrupt
from negmine._core.npy import MALFORMED
from negmine.errors import NegmineError, NegmineValueError

__all__ = ["Entries", "read", "together", "whole", "write"]

#: Types of the entries of a header, by name; a float may be written as an integer, and a bool is not an integer.
Entries = Mapping[str, type | tuple[type, ...]]

_HEADER = "header"

#: Maximum size of the header's member, in bytes.
_LONGEST = 1 << 22

#: Exceptions that readers raise for corrupt archives and for archives of other programs.
_UNREADABLE = (
    *MALFORMED,
    zipfile.BadZipFile,
    AttributeError,
    NotImplementedError,
    OSError,
    RuntimeError,
    struct.error,
)

#: First bytes of other files that hold results, and descriptions for error messages.
_OTHERS = {
    b"PAR1": "it is a Parquet file, of which `negmine.io.read_negatives` reads those of mined negatives",
    b"ARROW1": "it is an Arrow file",
    b"\x93NUMPY": "it is a single array, which `numpy.load` reads",
}


def write(path: str | os.PathLike[str], form: Format, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write arrays and a JSON header; the file appears whole or not at all.

    The same content gives the same bytes.

    Parameters
    ----------
    path : path
        File to write.
    form : Format
        Format of the file.
    header : mapping of str to Any
        Entries of the header, which JSON can represent.
    arrays : mapping of str to array or None
        Arrays by name; those that are None are left out.

    Raises
    ------
    NegmineTypeError
        ``path`` is not a path.
    NegmineValueError
        The folder of ``path`` does not exist, or ``path`` is a folder.
    NegmineOSError
        The system refuses to write.
    """
    with files.atomic_file(files.as_path(path, "path")) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        members = {
            name: _write_member(archive, name, np.asarray(array)) for name, array in arrays.items() if array is not None
        }
        sealed = headers.seal(form, {**header, "arrays": members})
        _write_member(archive, _HEADER, np.array(json.dumps(sealed, sort_keys=True)))


def _write_member(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> dict[str, Any]:
    """Write an array, and return its entry in the header."""
    info = zipfile.ZipInfo(_file_name(name))
    with archive.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)
    return {"dtype": array.dtype.str, "shape": list(array.shape), "crc32": info.CRC}


def _file_name(name: str) -> str:
    return f"{name}.npy"


def read(
    path: str | os.PathLike[str], form: Format, entries: Entries | None = None, names: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read a file of :func:`write`.

    Parameters
    ----------
    path : path
        File to read.
    form : Format
        Required format of the file.
    entries : mapping of str to types, optional
        Required entries of the header. Default: none.
    names : iterable of str, default ()
        Names of required arrays.

    Returns
    -------
    tuple of (dict, dict of str to array)
        The header and the arrays.

    Raises
    ------
    NegmineValueError
        The file does not exist, is not such an archive, has another format or version, or is corrupt.
    """
    source = files.input_file(path, "path")
    try:
        with files.open_file(source) as file:
            return _read(file, source, form, entries or {}, names)
    except OSError as error:
        raise NegmineValueError(f"`path` must be a file that can be read; got {source}: {error.strerror}.") from error


def _read(
    file: BinaryIO, path: Path, form: Format, entries: Entries, names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        archive = zipfile.ZipFile(file)
        members = {info.filename: info for info in archive.infolist()}
    except _UNREADABLE as error:
        file.seek(0)
        begin = file.read(8)
        if begin.startswith(b"PK"):
            raise corrupt(path) from error
        what = next((what for magic, what in _OTHERS.items() if begin.startswith(magic)), "it is no .npz archive")
        raise _other(path, form, what) from error
    if _file_name(_HEADER) not in members:
        raise _other(path, form, "no header")
    with archive:
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise _incomplete(path, form, "is compressed")
        try:
            _check_sizes(archive, os.fstat(file.fileno()).st_size)
            text = _read_member(archive, members.pop(_file_name(_HEADER)), most=_LONGEST)
            content = json.loads(str(text))
        except _UNREADABLE as error:
            raise corrupt(path) from error
        header = headers.unseal(form, content, "path", path)
        listed = _listed(header.pop("arrays", None), path, form)
        _check_content(path, form, header, entries, listed, names)
        if members.keys() != {_file_name(name) for name in listed}:
            odd = min(members.keys() ^ {_file_name(name) for name in listed})
            is_extra = odd in members
            raise _incomplete(path, form, f"{'holds' if is_extra else 'has no'} {odd.removesuffix('.npy')!r}")
        try:
            return header, {
                name: _read_member(archive, members[_file_name(name)], description)
                for name, description in listed.items()
            }
        except _UNREADABLE as error:
            raise corrupt(path) from error


def _check_sizes(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Refuse overlapping members, of which a small file may hold many."""
    infos = archive.infolist()
    if sum(info.file_size for info in infos) > n_bytes or len(set(archive.namelist())) < len(infos):
        raise zipfile.BadZipFile("members overlap")
    if any(info.file_size != info.compress_size for info in infos):
        raise zipfile.BadZipFile("members have two sizes")


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, description: Mapping[str, Any] | None = None, most: int = 1 << 62
) -> npt.NDArray[Any]:
    """Read an array, after its own header was compared with the archive's header and with the member's size."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        parse = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = parse(member)
        begin = member.seek(0, os.SEEK_CUR)
    if (
        info.file_size > most
        or begin + math.prod(shape) * dtype.itemsize != info.file_size
        or min(shape, default=0) < 0
    ):
        raise zipfile.BadZipFile(f"{info.filename} has another size than its array")
    if description is not None and description != {"dtype": dtype.str, "shape": list(shape), "crc32": info.CRC}:
        raise zipfile.BadZipFile(f"{info.filename} is not what the header says")
    with archive.open(info) as member:
        array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        member.read(1)  # reading to the end makes zipfile compare the CRC
    return array


def _listed(value: object, path: Path, form: Format) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise _incomplete(path, form, "lists no arrays")
    return value


def _check_content(
    path: Path,
    form: Format,
    header: Mapping[str, Any],
    entries: Entries,
    listed: Mapping[str, object],
    names: Iterable[str],
) -> None:
    """Refuse a file that lacks an entry or an array of its format."""
    missing = [name for name in entries if name not in header] + [name for name in names if name not in listed]
    if missing:
        raise _incomplete(path, form, f"has no {missing[0]!r}")
    for name, kinds in entries.items():
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if type(header[name]) not in allowed + ((int,) if float in allowed else ()):
            words = " or ".join("None" if kind is NoneType else kind.__name__ for kind in allowed)
            raise NegmineValueError(
                f"`path` must be a {form.kind} file whose {name!r} is {words}; got {header[name]!r} in {path}."
            )


def _other(path: Path, form: Format, why: str) -> NegmineValueError:
    return NegmineValueError(f"`path` must be a {form.kind} file of negmine; got '{path}': {why}.")


def _incomplete(path: str | os.PathLike[str], form: Format, what: str) -> NegmineValueError:
    return NegmineValueError(f"`path` must be a whole {form.kind} file; {os.fspath(path)!r} {what}.")


def together(
    path: str | os.PathLike[str], form: Format, arrays: Mapping[str, npt.NDArray[Any]], *names: str
) -> list[npt.NDArray[Any]] | None:
    """Return arrays that a file has all or none of.

    Parameters
    ----------
    path : path
        The file, for error messages.
    form : Format
        Format of the file.
    arrays : mapping of str to array
        Arrays of the file.
    *names : str
        Names of the arrays that belong together.

    Returns
    -------
    list of array or None
        None if the file has none of them.

    Raises
    ------
    NegmineValueError
        The file has only some of them.
    """
    missing = [name for name in names if name not in arrays]
    if missing and len(missing) < len(names):
        raise _incomplete(path, form, f"has no {missing[0]!r}")
    return None if missing else [arrays[name] for name in names]


@contextlib.contextmanager
def whole(path: str | os.PathLike[str], form: Format) -> Iterator[None]:
    """Turn errors from inconsistent entries and arrays into an error that names the file.

    Parameters
    ----------
    path : path
        The file.
    form : Format
        Format of the file.

    Yields
    ------
    None

    Raises
    ------
    NegmineValueError
        The entries and the arrays of the file are inconsistent.
    """
    try:
        yield
    except (NegmineError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NegmineValueError(f"`path` must be a whole {form.kind} file; got {os.fspath(path)!r}: {error}") from error
