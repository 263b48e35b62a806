"""The folder of a job: a manifest, a lock, parts, and in the end a result and a report.

Every file appears whole or not at all, and what has appeared survives a crash of the machine. A process that is killed
leaves at most a temporary file, which the next one removes.

What is not protected: a folder on a file system without `flock`; a child that was forked while a job ran, and outlives
it, keeps the lock; and files that somebody edits.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negmine._core import files
from negmine.data import fingerprint
from negmine.errors import JobError, NegmineValueError

__all__ = ["JobFolder", "Manifest"]

#: Raised when manifests change their meaning.
FORMAT = 1

KIND = "negmine job"

#: What a report says of every part, to be summed.
REPORT = (
    "n_rows",
    "n_negatives",
    "n_unscanned",
    "zero_queries",
    "zero_documents",
    "duplicate_pairs",
    "documents",
    "short",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a job is.

    Attributes
    ----------
    version : str
        The negmine that began it.
    inputs : dict
        Digests and options.
    n_queries : int
        Queries of the whole set.
    tile_queries : int
        Queries of a tile.
    shard : tuple of int or None
        ``(i, n)`` where the job is one of several.
    """

    version: str
    inputs: Mapping[str, Any]
    n_queries: int
    tile_queries: int
    shard: tuple[int, int] | None

    @property
    def fingerprint(self) -> str:
        """Digest of the inputs."""
        return fingerprint.of_inputs(self.inputs)

    @property
    def tiles(self) -> range:
        """Numbers of the job's tiles, counted over the whole set: a shard takes an even share of them."""
        n_tiles = -(-self.n_queries // self.tile_queries)
        i, n = self.shard or (0, 1)
        return range(i * n_tiles // n, (i + 1) * n_tiles // n)

    def queries(self, tile: int) -> tuple[int, int]:
        """First query of a tile, and the one behind its last."""
        begin = tile * self.tile_queries
        return begin, min(begin + self.tile_queries, self.n_queries)

    def to_json(self) -> str:
        """The manifest as a file holds it."""
        content = {
            "kind": KIND,
            "format": FORMAT,
            "negmine": self.version,
            "fingerprint": self.fingerprint,
            "inputs": self.inputs,
            "n_queries": self.n_queries,
            "tile_queries": self.tile_queries,
            "shard": self.shard,
        }
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Names and states of a job's files."""

    path: Path
    #: What errors call it.
    argument: str = "folder"

    @property
    def manifest_path(self) -> Path:
        """What the job is."""
        return self.path / "manifest.json"

    @property
    def result_path(self) -> Path:
        """What it found."""
        return self.path / "result.parquet"

    @property
    def report_path(self) -> Path:
        """What it did; written last."""
        return self.path / "report.json"

    @property
    def lock_path(self) -> Path:
        """Who writes."""
        return self.path / "lock"

    def part_path(self, tile: int) -> Path:
        """What one tile found."""
        return self.path / "parts" / f"{tile:08d}.parquet"

    def refuse_other_folders(self) -> None:
        """Refuse a folder that holds other things and is no job."""
        if self.path.exists() and not self.path.is_dir():
            raise JobError(f"`{self.argument}` must be a folder; got the file {self.path}.")
        if self.path.is_dir() and not self.manifest_path.exists():
            others = sorted(
                entry.name
                for entry in self.path.iterdir()
                if entry.name != self.lock_path.name and not files.is_leftover(entry)
            )
            if others:
                raise JobError(
                    f"`{self.argument}` must be a job's, new or empty; {self.path} holds {others[0]!r} and no "
                    f"{self.manifest_path.name}."
                )

    def read_manifest(self) -> Manifest | None:
        """The manifest, or None where there is none yet."""
        try:
            content = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            if content["kind"] != KIND or content["format"] != FORMAT:
                raise JobError(
                    f"`{self.argument}` must be a job of format {FORMAT}; {self.path} says {content['kind']!r} of "
                    f"format {content['format']}."
                )
            shard, inputs = content["shard"], content["inputs"]
            numbers = [content["n_queries"], content["tile_queries"], *(shard or (0, 1))]
            if not isinstance(inputs, dict) or len(numbers) != 4 or any(type(number) is not int for number in numbers):
                raise ValueError("entries of other types than a job writes")
            return Manifest(
                content["negmine"], inputs, numbers[0], numbers[1], None if shard is None else (numbers[2], numbers[3])
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, NegmineValueError):
                raise
            raise JobError(
                f"`{self.argument}` must hold a readable manifest; got {self.manifest_path}: {error}"
            ) from error

    def read_report(self) -> dict[str, Any] | None:
        """The report, or None where the job is not finished."""
        try:
            report: dict[str, Any] = json.loads(self.report_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise JobError(f"`{self.argument}` must hold a readable report; got {self.report_path}: {error}") from error
        missing = [name for name in REPORT if not isinstance(report, dict) or name not in report]
        if missing:
            raise JobError(f"`{self.argument}` must hold a whole report; {self.report_path} has no {missing[0]!r}.")
        return report if self.result_path.exists() else None

    def clean(self, *, finished: bool) -> None:
        """Remove what killed processes left, and the parts of a finished job."""
        parts = self.path / "parts"
        for folder in (self.path, parts):
            for entry in folder.iterdir() if folder.is_dir() else ():
                if files.is_leftover(entry) or (finished and folder == parts):
                    entry.unlink()
        if finished and parts.is_dir():
            parts.rmdir()
            files.sync_folder(self.path)

    def make(self) -> list[Path]:
        """Make the folder, and those that it lies in; what is made, from the inside out."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            return []
        except OSError as error:
            raise JobError(f"`{self.argument}` must be a folder that can be made; got {self.path}: {error}") from error
        files.sync_folder(self.path.parent)
        return missing

    def has_parts(self) -> bool:
        """Whether any tile is finished."""
        return next((self.path / "parts").glob("*.parquet"), None) is not None

    def make_parts(self) -> None:
        """Make the folder of parts."""
        parts = self.path / "parts"
        if not parts.is_dir():
            parts.mkdir()
            files.sync_folder(self.path)

    def undo(self, folders: list[Path]) -> None:
        """Remove what beginning a job made, with the ``folders`` of :meth:`make`; only under the lock."""
        self.clean(finished=True)
        for path in (self.manifest_path, self.lock_path):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for folder in folders:
                folder.rmdir()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. The lock names its owner; the system takes it back when the process ends, however."""
        try:
            import fcntl
        except ImportError as error:
            raise JobError(f"`{self.argument}` must be locked, which needs a POSIX system.") from error
        while True:
            handle = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_open_at(handle, self.lock_path):
                    break
                os.close(handle)  # removed between opening and locking
            except BlockingIOError:
                owner = _owner(os.pread(handle, 4096, 0))
                os.close(handle)
                raise JobError(
                    f"`{self.argument}` must have one writer at a time; {self.path} is held by {owner}."
                ) from None
            except OSError as error:
                os.close(handle)
                raise JobError(
                    f"`{self.argument}` must lie where files can be locked; got {self.path}: {error}"
                ) from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({"host": os.uname().nodename, "pid": os.getpid()}).encode(), 0)
            yield
        finally:
            os.ftruncate(handle, 0)
            os.close(handle)


def _is_open_at(handle: int, path: Path) -> bool:
    """Whether a handle is that of the file which now has this path."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _owner(text: bytes) -> str:
    try:
        owner = json.loads(text)
        return f"process {owner['pid']} on {owner['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
