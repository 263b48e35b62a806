"""Files that are kept next to shards: packed documents, and rows of shards that have none to read at random.

Both begin with a header of `BODY` bytes, which carries the fingerprint of the file that they were made from: its size,
its time of modification, and a digest of evenly spread blocks. A file appears whole or not at all, and the same shard
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import files, headers
from negmine._core.arrays import KINDS, as_rows
from negmine._core.extras import require
from negmine._core.formats import SHARD_PACK, SHARD_ROWS, Format, corrupt
from negmine._core.parsing import map_array
from negmine.errors import CorpusChangedError, NegmineError, NegmineOSError, NegmineTypeError, NegmineValueError
from negmine.search.results import Metric
from negmine.search.shards import RowPlace

__all__ = ["BODY", "cached_path", "ensure_pack", "ensure_rows", "fingerprint"]

#: Byte at which panels or rows begin.
BODY = 4096

#: Blocks of a file that its fingerprint reads, and bytes of each.
_BLOCKS, _BLOCK = 16, 4096

#: Rows that are converted at once.
_ROWS_AT_ONCE = 4096


def cached_path(shard: Path, column: str | None, cache: Path | None, ending: str) -> Path:
    """Return the path of a file that belongs to a shard.

    Parameters
    ----------
    shard : Path
        The shard.
    column : str or None
        Tensor or column that was requested.
    cache : Path or None
        Folder of such files; None for the folder of the shard. In a folder of their own, names carry a digest of the
        shard's path, because shards of several folders may have one name.
    ending : str
        End of the name.

    Returns
    -------
    Path
    """
    name = shard.name + ("" if column is None else f".{quote(column, safe='')}")
    if cache is None:
        return shard.with_name(f"{name}.{ending}")
    digest = hashlib.sha256(os.fsencode(shard.resolve())).hexdigest()[:12]
    return cache / f"{name}.{digest}.{ending}"


def fingerprint(path: Path) -> dict[str, Any]:
    """Describe a file, or a folder of files, so that a change of it is noticed.

    Parameters
    ----------
    path : Path
        The file or folder.

    Returns
    -------
    dict
        Size, time of modification in nanoseconds, and the SHA-256 of evenly spread blocks; of a folder, those of the
        list of its files.

    Raises
    ------
    NegmineOSError
        The system refuses to read it.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        with files.open_file(path) as file:
            about = os.fstat(file.fileno())
            hashed = hashlib.sha256()
            for place in sorted({i * max(about.st_size - _BLOCK, 0) // (_BLOCKS - 1) for i in range(_BLOCKS)}):
                file.seek(place)
                hashed.update(file.read(_BLOCK))
        return {"bytes": about.st_size, "modified_ns": about.st_mtime_ns, "sample": hashed.hexdigest()}
    except OSError as error:
        raise NegmineOSError(error.errno, error.strerror or str(error), str(path)) from error


def _of_folder(folder: Path) -> dict[str, Any]:
    found = [(path.relative_to(folder).as_posix(), path.stat()) for path in folder.rglob("*") if path.is_file()]
    listed = sorted((name, about.st_size, about.st_mtime_ns) for name, about in found)
    return {
        "bytes": sum(size for _, size, _ in listed),
        "modified_ns": max((modified for _, _, modified in listed), default=0),
        "sample": hashlib.sha256(repr(listed).encode()).hexdigest(),
    }


# ---- packed documents


def ensure_pack(
    rows: _native.RowFiles,
    number: int,
    shard: Path,
    place: RowPlace,
    pack: Path,
    metric: Metric,
    *,
    tile_rows: int | None,
    memory_limit: int | None,
    num_threads: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Pack the rows of one shard, unless they are packed already.

    Parameters
    ----------
    rows : _native.RowFiles
        Rows of all shards.
    number : int
        Number of the shard.
    shard : Path
        The shard.
    place : RowPlace
        Where its rows lie.
    pack : Path
        File of packed documents.
    metric : {"cosine", "ip", "l2"}
        Similarity measure.
    tile_rows : int or None
        Number of documents packed at once; None for the core's own choice.
    memory_limit : int or None
        Bytes of working memory.
    num_threads : int
        Number of threads.
    progress : callable or None
        Called as ``progress(done, total)`` with documents of the shard.

    Returns
    -------
    int
        Number of documents of norm zero.

    Raises
    ------
    CorpusChangedError
        The shard changed after it was packed, or while it was.
    NegmineValueError
        The file is damaged or belongs to other documents, or a document holds NaN or infinity.
    NegmineOSError
        The system refuses to write, for example on a full disk.
    """
    # Converted rows are those of the shard as it was then, which may have changed since.
    now = fingerprint(shard) if place.source is None else place.source
    content = {"metric": metric, "rows": place.shape[0], "width": place.shape[1], "shard": now}
    if pack.exists():
        found = _header(SHARD_PACK, pack)
        _check_source(found, now, shard, pack, "packed")
        zero_rows = found.get("zero_rows")
        if {**content, "zero_rows": zero_rows} != found or type(zero_rows) is not int or zero_rows < 0:
            raise NegmineValueError(f"`shards` must have packs of their own; {pack} is one of other documents.")
        return zero_rows
    with _writing(pack) as temporary:
        zero_rows = _native.write_panels(
            rows, number, metric, tile_rows, memory_limit, str(temporary), str(pack), BODY, num_threads, progress
        )
        if fingerprint(shard) != now:
            raise CorpusChangedError(f"`shards` must not change; {shard} changed while it was packed.")
        with temporary.open("rb+") as file:
            _write_header(file, SHARD_PACK, {**content, "zero_rows": zero_rows})
    return zero_rows


# ---- rows of shards that are converted


def ensure_rows(shard: Path, column: str | None, converted: Path) -> RowPlace:
    """Convert the rows of one shard, unless they are converted already.

    Parameters
    ----------
    shard : Path
        The shard.
    column : str or None
        Column of a table. None for the only one that can hold embeddings.
    converted : Path
        File of the rows: contiguous, little-endian, of the type that the shard has.

    Returns
    -------
    RowPlace

    Raises
    ------
    CorpusChangedError
        The shard changed after it was converted.
    NegmineValueError, NegmineTypeError
        The shard cannot be read, or the column does not hold embeddings.
    NegmineOSError
        The system refuses to write, for example on a full disk.
    MissingExtraError
        pyarrow or pylance is needed and not installed.
    """
    now = fingerprint(shard)
    if not converted.exists():
        with _writing(converted) as temporary:
            n, width, kind = 0, 0, "float32"
            with temporary.open("rb+") as file:
                file.seek(BODY)
                for block in _blocks(shard, column):
                    if n and block.shape[1] != width:
                        raise NegmineValueError(
                            f"`shards` must have one width; {shard} has {width} and {block.shape[1]}."
                        )
                    n, width, kind = n + len(block), block.shape[1], block.dtype.name
                    file.write(np.ascontiguousarray(block, dtype=block.dtype.newbyteorder("<")).data)
                _write_header(file, SHARD_ROWS, {"shard": now, "shape": [n, width], "kind": kind})
            if fingerprint(shard) != now:
                raise CorpusChangedError(f"`shards` must not change; {shard} changed while it was converted.")
    found = _header(SHARD_ROWS, converted)
    _check_source(found, now, shard, converted, "converted")
    advice = "Delete the file to convert the shard again."
    shape, element = found.get("shape"), found.get("kind")
    if element not in KINDS or not (isinstance(shape, list) and len(shape) == 2):
        raise corrupt(converted, advice)
    if any(type(n) is not int or n < 0 for n in shape):
        raise corrupt(converted, advice)
    place = RowPlace(converted, BODY, (shape[0], shape[1]), str(element), source=now)
    if converted.stat().st_size != max(place.end, BODY):
        raise corrupt(converted, advice)
    return place


def _blocks(shard: Path, column: str | None) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of a shard in blocks."""
    if shard.suffix == ".npy":
        array = map_array(shard, "shards")
        for begin in range(0, max(len(array), 1), _ROWS_AT_ONCE):
            yield array[begin : begin + _ROWS_AT_ONCE]
        return
    arrow = require("pyarrow", "io", f"reading {shard.suffix} shards")
    try:
        if shard.suffix == ".parquet":
            with require("pyarrow.parquet", "io", "reading Parquet").ParquetFile(shard) as file:
                name = _embedding_column(arrow, file.schema_arrow, column, shard)
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[name]):
                    yield _matrix(arrow, batch.column(name), shard)
            return
        dataset = require("lance", "lance", "reading Lance shards").dataset(str(shard))
        name = _embedding_column(arrow, dataset.schema, column, shard)
        for batch in dataset.to_batches(columns=[name], batch_size=_ROWS_AT_ONCE, scan_in_order=True):
            yield _matrix(arrow, batch.column(name), shard)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, NegmineError):
            raise
        raise NegmineValueError(f"`shards` must be files that can be read; got {shard}: {error}") from error


def _embedding_column(
    arrow: Any,  # noqa: ANN401 (pyarrow is not a dependency)
    schema: Any,  # noqa: ANN401
    column: str | None,
    shard: Path,
) -> str:
    """Return the requested column, or the only one of lists of numbers."""
    if column is not None and schema.names.count(column) == 1:
        return column
    fitting = [field.name for field in schema if _is_numbers(arrow, field.type)]
    listed = ", ".join(map(repr, schema.names)) or "nothing"
    if column is not None:
        raise NegmineValueError(
            f"`column` must name one column of every shard; got {column!r}, and {shard} has {listed}."
        )
    if len(fitting) != 1:
        raise NegmineValueError(f"`column` must say which column holds embeddings; {shard} has {listed}.")
    return str(fitting[0])


def _is_numbers(arrow: Any, kind: Any) -> bool:  # noqa: ANN401
    types = arrow.types
    kind = kind.storage_type if isinstance(kind, arrow.FixedShapeTensorType) else kind
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    return bool(types.is_floating(kind.value_type) or kind.value_type in (arrow.int8(), arrow.uint8()))


def _matrix(arrow: Any, values: Any, shard: Path) -> npt.NDArray[Any]:  # noqa: ANN401
    try:
        if arrow.types.is_list(values.type) or arrow.types.is_large_list(values.type):
            lengths = values.value_lengths().unique().to_pylist()
            if len(lengths) > 1:
                raise NegmineValueError(
                    f"`shards` must have one width; got lists of {lengths[0]} and {lengths[1]} numbers."
                )
            values = values.cast(arrow.list_(values.type.value_type, lengths[0] if lengths and lengths[0] else 0))
        return as_rows(values, "shards").values()
    except (NegmineValueError, NegmineTypeError) as error:
        raise type(error)(f"{error} The shard is {shard}.") from None


# ---- both


def _header(form: Format, path: Path) -> dict[str, Any]:
    try:
        with files.open_file(path) as file:
            return headers.unpack(form, file.read(BODY), "shards", path)[0]
    except OSError as error:
        raise NegmineOSError(error.errno, error.strerror or str(error), str(path)) from error


def _write_header(file: BinaryIO, form: Format, content: dict[str, Any]) -> None:
    head = headers.pack(form, content)
    if len(head) > BODY:
        raise NegmineValueError(f"the header of a {form.kind} file must have at most {BODY} bytes; got {len(head)}.")
    file.seek(0)
    file.write(head.ljust(BODY, b"\0"))


def _check_source(found: dict[str, Any], now: dict[str, Any], shard: Path, made: Path, verb: str) -> None:
    """Refuse a file that was made from an older state of its shard."""
    before = found.get("shard")
    if before == now:
        return
    names = {"bytes": "size", "modified_ns": "time of modification", "sample": "content"}
    changed = [name for key, name in names.items() if not isinstance(before, dict) or before.get(key) != now[key]]
    raise CorpusChangedError(
        f"`shards` must stay as they were when they were {verb}; shard {shard} changed after it was {verb}: "
        f"it has another {', '.join(changed)}. Delete {made} if the change is intended."
    )


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Write a file that appears whole or not at all; a folder that accepts no files is an error of ``cache``."""
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(files.atomic_file(path))
        except NegmineValueError as error:
            raise NegmineValueError(
                f"`cache` must be a folder where files can be made, if that of the shards is not; got {path.parent}."
            ) from error
        yield temporary
