"""Files of embeddings in a cache: checksummed, written chunk by chunk, and memory-mapped once they are whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negmine._core import files, headers
from negmine._core.calls import Progress
from negmine._core.formats import EMBEDDING_CACHE, corrupt
from negmine.errors import NegmineOSError, NegmineValueError

__all__ = ["cached"]

#: Texts of a chunk. Chunks of an earlier process are found by this number, so a change encodes unfinished texts again.
CHUNK_TEXTS = 8192

#: Bytes that are hashed or copied at once.
_AT_ONCE = 1 << 24

_NAME, _LOCK, _SUFFIX = "embeddings", "lock", ".negemb"

Embeddings = npt.NDArray[np.float32]


def cached(
    folder: Path,
    key: str,
    n_texts: int,
    compute: Callable[[int, int], Embeddings],
    argument: str,
    progress: Progress | None,
) -> Embeddings:
    """Load embeddings, or compute them chunk by chunk.

    Parameters
    ----------
    folder : Path
        Folder of the cache.
    key : str
        Key of the texts.
    n_texts : int
        Number of texts.
    compute : callable
        Function that returns the embeddings of texts ``begin`` to ``end``.
    argument : str
        Name of the argument that gave the folder, for error messages.
    progress : callable or None
        Called as ``progress(done, total)`` after every chunk.

    Returns
    -------
    float32 (n_texts, width)
        A read-only memory map.
    """
    own = folder / key
    whole = own / f"{_NAME}{_SUFFIX}"
    if own.is_symlink():
        raise NegmineValueError(f"`{argument}` must have folders of its own; got {own}, a symbolic link.")
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NegmineValueError(
            f"`{argument}` must be a folder where files can be made; got {folder}: {error.strerror}."
        ) from error
    if not whole.is_file():
        with _locked(own, argument):
            if not whole.is_file():
                _encode(own, whole, key, n_texts, compute, argument, progress)
    _remove_chunks(own, argument)
    found = _read(whole, key, n_texts, argument)
    if progress is not None:
        progress(n_texts, n_texts)
    return found


def _encode(
    own: Path,
    whole: Path,
    key: str,
    n_texts: int,
    compute: Callable[[int, int], Embeddings],
    argument: str,
    progress: Progress | None,
) -> None:
    """Compute the chunks that are missing, and join all of them."""
    chunks = []
    for begin in range(0, n_texts, CHUNK_TEXTS):
        end = min(begin + CHUNK_TEXTS, n_texts)
        path, name = own / f"{begin}-{end}{_SUFFIX}", f"{key} {begin}-{end}"
        if not path.is_file():
            made = compute(begin, end)
            _write(path, name, end - begin, made.shape[1], [made])
        chunks.append(_read(path, name, end - begin, argument))
        if chunks[-1].shape[1] != chunks[0].shape[1]:
            raise NegmineValueError(
                f"`model` must give embeddings of one width; got {chunks[0].shape[1]} and {chunks[-1].shape[1]}."
            )
        if progress is not None and end < n_texts:
            progress(end, n_texts)
    _write(whole, key, n_texts, chunks[0].shape[1], chunks)


def _write(path: Path, key: str, n_rows: int, width: int, parts: list[Embeddings]) -> None:
    """Write a file of embeddings; its header holds the SHA-256 of what follows."""
    content = {"key": key, "rows": n_rows, "width": width, "sha256": "0" * 64}
    hashed = hashlib.sha256()
    with files.atomic_file(path) as temporary, temporary.open("r+b") as file:
        file.write(headers.pack(EMBEDDING_CACHE, content))
        for part in parts:
            rows = max(1, _AT_ONCE // (4 * width))
            for begin in range(0, len(part), rows):
                block = np.ascontiguousarray(part[begin : begin + rows], dtype="<f4")
                hashed.update(block.data)
                file.write(block.data)
        file.seek(0)
        file.write(headers.pack(EMBEDDING_CACHE, {**content, "sha256": hashed.hexdigest()}))


def _read(path: Path, key: str, n_rows: int, argument: str) -> Embeddings:
    """Map a file of embeddings, and verify its checksum."""
    advice = "Remove the file to encode the texts again."
    try:
        with files.open_file(path) as file:
            content, begin = headers.unpack(EMBEDDING_CACHE, file.read(headers.LONGEST), argument, path)
            file.seek(begin)
            hashed, size = hashlib.sha256(), 0
            while block := file.read(_AT_ONCE):
                hashed.update(block)
                size += len(block)
    except OSError as error:
        raise NegmineValueError(f"`{argument}` must hold files that can be read; got {path}: {error}.") from error
    width = content.get("width")
    if content.get("key") != key or content.get("rows") != n_rows or hashed.hexdigest() != content.get("sha256"):
        raise corrupt(path, advice)
    if type(width) is not int or width < 0 or size != 4 * n_rows * width:
        raise corrupt(path, advice)
    return np.memmap(path, dtype="<f4", mode="r", offset=begin, shape=(n_rows, width))


@contextlib.contextmanager
def _locked(own: Path, argument: str) -> Iterator[None]:
    """Hold the folder of a key as its only writer."""
    try:
        handle = files.open_locked(own / _LOCK)
    except ImportError as error:
        raise NegmineValueError(f"`{argument}` must be locked, which needs a POSIX system.") from error
    except BlockingIOError:
        raise NegmineValueError(
            f"`{argument}` must have one process that encodes the same texts at a time; {own} is held by another one."
        ) from None
    except OSError as error:
        raise NegmineOSError(error.errno, error.strerror or str(error), str(own)) from error
    try:
        yield
    finally:
        os.close(handle)


def _remove_chunks(own: Path, argument: str) -> None:
    """Remove the chunks of embeddings that are whole, and temporary files of processes that were killed."""
    chunks = [path for path in own.glob(f"*{_SUFFIX}") if path.stem != _NAME]
    leftovers = [path for path in own.iterdir() if files.is_leftover(path)]
    if chunks or leftovers:
        # Another process may be removing them.
        with contextlib.suppress(NegmineValueError), _locked(own, argument):
            for path in chunks + leftovers:
                path.unlink(missing_ok=True)
