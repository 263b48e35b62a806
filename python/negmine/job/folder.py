"""The folder of a job: a manifest, a lock, parts, and in the end a result and a report.

Every file appears whole or not at all, and what has appeared survives a crash of the machine. A process that is killed
leaves at most a temporary file, which the next one removes. Manifest and report carry checksums of themselves, and the
report one of the result.

What is not protected: a folder on a file system without `flock`; and a child that was forked while a job ran, and
outlives it, keeps the lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negmine._core import files, headers
from negmine._core.formats import JOB, JOB_REPORT, corrupt
from negmine.errors import JobError, NegmineError
from negmine.job.manifest import Manifest

__all__ = ["JobFolder"]

#: What a report says of every part, to be summed.
REPORT = (
    "n_rows",
    "n_negatives",
    "n_unscanned",
    "zero_queries",
    "zero_documents",
    "duplicate_pairs",
    "unknown_judgments",
    "documents",
    "short",
)

#: What to do about a file of a finished job that is damaged.
_AGAIN = "Remove it, and resume the job to mine it again."


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

    @property
    def parts_path(self) -> Path:
        """Folder of what tiles found."""
        return self.path / "parts"

    def part_path(self, tile: int) -> Path:
        """What one tile found."""
        return self.parts_path / f"{tile:08d}.part"

    @contextlib.contextmanager
    def _system(self) -> Iterator[None]:
        """Make errors of the system errors of the job that name the file."""
        try:
            yield
        except OSError as error:
            if isinstance(error, NegmineError):
                raise
            raise JobError(
                f"`{self.argument}` must be a folder whose files can be read and written; got "
                f"{error.filename or self.path}: {error.strerror or error}."
            ) from error

    def refuse_other_folders(self) -> None:
        """Refuse a folder that holds other things and is no job."""
        with self._system():
            if self.path.exists() and not self.path.is_dir():
                raise JobError(
                    f"`{self.argument}` must be a folder; got {self.path}, where there is {files.describe(self.path)}."
                )
            if self.path.is_dir() and not os.path.lexists(self.manifest_path):
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

    def _read_json(self, path: Path, what: str) -> object:
        """Read a JSON file; None where there is none."""
        try:
            with files.open_file(path) as file:
                return json.loads(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise JobError(f"`{self.argument}` must hold a readable {what}; got {path}: {error}") from error

    def read_manifest(self) -> Manifest | None:
        """The manifest, or None where there is none yet."""
        found = self._read_json(self.manifest_path, "manifest")
        if found is None:
            return None
        content = headers.unseal(JOB, found, self.argument, self.manifest_path, error=JobError)
        try:
            return Manifest.from_content(content)
        except (LookupError, TypeError, ValueError) as error:
            raise JobError(
                f"`{self.argument}` must hold a readable manifest; got {self.manifest_path}: {error}"
            ) from error

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest."""
        self._write_json(self.manifest_path, headers.seal(JOB, manifest.to_content()))

    def read_report(self, manifest: Manifest) -> dict[str, Any] | None:
        """The report, or None where the job is not finished."""
        found = self._read_json(self.report_path, "report")
        if found is None:
            return None
        report = headers.unseal(JOB_REPORT, found, self.argument, self.report_path, advice=_AGAIN, error=JobError)
        missing = [name for name in (*REPORT, "result_sha256") if name not in report]
        if missing:
            raise JobError(f"`{self.argument}` must hold a whole report; {self.report_path} has no {missing[0]!r}.")
        if report.get("fingerprint") != manifest.fingerprint:
            raise JobError(f"`{self.argument}` must hold the report of its job; {self.report_path} is of another.")
        with self._system():
            return report if self.result_path.exists() else None

    def write_report(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Write the report of the result, which must be there; what is read from then on."""
        with self._system():
            whole = {**report, "result_sha256": files.sha256(self.result_path)}
        self._write_json(self.report_path, headers.seal(JOB_REPORT, whole))
        return whole

    def check_result(self, report: Mapping[str, Any]) -> None:
        """Refuse a result that is not the one that was written."""
        with self._system():
            if files.sha256(self.result_path) != report["result_sha256"]:
                raise corrupt(self.result_path, _AGAIN, JobError)

    def _write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        files.write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def has_leftovers(self) -> bool:
        """Whether :meth:`clean` has something to remove from a finished job."""
        with self._system():
            return self.parts_path.is_dir() or any(files.is_leftover(entry) for entry in self.path.iterdir())

    def clean(self, *, finished: bool) -> None:
        """Remove what killed processes left, and the parts of a finished job."""
        parts = self.parts_path
        with self._system():
            for folder in (self.path, parts):
                for entry in folder.iterdir() if folder.is_dir() else ():
                    is_part = finished and folder == parts and entry.suffix == ".part"
                    if (files.is_leftover(entry) or is_part) and not entry.is_dir():
                        entry.unlink()
            if finished and parts.is_dir():
                # Files of others stay, and so does the folder then.
                with contextlib.suppress(OSError):
                    parts.rmdir()
                files.sync_folder(self.path)

    def make(self) -> list[Path]:
        """Make the folder, and those that it lies in; what is made, from the inside out."""
        try:
            missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(parents=True)
        except FileExistsError:
            return []
        except OSError as error:
            raise JobError(f"`{self.argument}` must be a folder that can be made; got {self.path}: {error}") from error
        files.sync_folder(self.path.parent)
        return missing

    def has_parts(self) -> bool:
        """Whether any tile is finished."""
        with self._system():
            return next(self.parts_path.glob("*.part"), None) is not None

    def make_parts(self) -> None:
        """Make the folder of parts."""
        with self._system():
            if not self.parts_path.is_dir():
                self.parts_path.mkdir()
                files.sync_folder(self.path)

    def undo(self, folders: list[Path]) -> None:
        """Remove what beginning a job made, with the ``folders`` of :meth:`make`; only under the lock."""
        with contextlib.suppress(OSError, JobError):
            self.clean(finished=True)
        with contextlib.suppress(OSError):
            for path in (self.manifest_path, self.lock_path):
                path.unlink(missing_ok=True)
            for folder in folders:
                folder.rmdir()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer. The lock names its owner; the system takes it back when the process ends, however."""
        handle = self._take_lock()
        try:
            # Only errors of other processes need it, and a full disk does not allow it.
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps({"host": os.uname().nodename, "pid": os.getpid()}).encode(), 0)
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            os.close(handle)

    def _take_lock(self) -> int:
        try:
            import fcntl
        except ImportError as error:
            raise JobError(f"`{self.argument}` must be locked, which needs a POSIX system.") from error
        while True:
            with self._system():
                handle = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise JobError(
                        f"`{self.argument}` must have a file as its lock; got {self.lock_path}, where there is "
                        f"{files.describe(self.lock_path)}."
                    )
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_open_at(handle, self.lock_path):
                    return handle
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
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # removed between opening and locking


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
