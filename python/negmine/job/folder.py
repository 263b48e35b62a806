"""Folder of a job: a manifest, a lock, parts and, once the job is finished, a result and a report.

Every file appears whole or not at all, and a complete file survives a crash of the machine. A process that is killed
leaves at most a temporary file, which the next process removes. Manifest and report carry checksums of themselves, and
the report carries the checksum of the result.

Two cases are not protected: a folder on a file system without `flock`, and a child process that was forked while a job
ran and that outlives it, which keeps the lock.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negmine._core import files, headers
from negmine._core.formats import JOB, JOB_REPORT, corrupt
from negmine._core.parsing import parse_json
from negmine.errors import JobError, NegmineError
from negmine.job.manifest import Manifest

__all__ = ["JobFolder"]

#: Entries of every part's report; the report of the job sums them.
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

#: Advice for a corrupt file of a finished job.
_AGAIN = "Remove it, and resume the job to mine it again."


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Paths and states of a job's files.

    Attributes
    ----------
    path : Path
        The folder.
    argument : str, default "folder"
        Name of the argument that gave the folder, for error messages.
    """

    path: Path
    argument: str = "folder"

    @property
    def manifest_path(self) -> Path:
        """Path of the manifest, which describes the job."""
        return self.path / "manifest.json"

    @property
    def result_path(self) -> Path:
        """Path of the result."""
        return self.path / "result.parquet"

    @property
    def report_path(self) -> Path:
        """Path of the report, which is written last."""
        return self.path / "report.json"

    @property
    def lock_path(self) -> Path:
        """Path of the lock, which names the process that writes."""
        return self.path / "lock"

    @property
    def parts_path(self) -> Path:
        """Path of the folder of parts."""
        return self.path / "parts"

    def part_path(self, tile: int) -> Path:
        """Return the path of the result of one tile.

        Parameters
        ----------
        tile : int
            Number of the tile.

        Returns
        -------
        Path
        """
        return self.parts_path / f"{tile:08d}.part"

    @contextlib.contextmanager
    def _system(self) -> Iterator[None]:
        """Turn errors of the system into errors of the job that name the file."""
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
        """Refuse a folder that holds other files and no job.

        Raises
        ------
        JobError
            The path is not a folder, or the folder holds other files and no manifest.
        """
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
        """Read a JSON file; return None if it does not exist."""
        try:
            with files.open_file(path) as file:
                return parse_json(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise JobError(f"`{self.argument}` must hold a readable {what}; got {path}: {error}") from error

    def read_manifest(self) -> Manifest | None:
        """Read the manifest.

        Returns
        -------
        Manifest or None
            None if the folder has no manifest yet.

        Raises
        ------
        JobError
            The manifest cannot be read or is corrupt.
        """
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
        """Write the manifest.

        Parameters
        ----------
        manifest : Manifest
            Description of the job.
        """
        self._write_json(self.manifest_path, headers.seal(JOB, manifest.to_content()))

    def read_report(self, manifest: Manifest) -> dict[str, Any] | None:
        """Read the report.

        Parameters
        ----------
        manifest : Manifest
            Manifest of the folder.

        Returns
        -------
        dict or None
            None if the job is not finished.

        Raises
        ------
        JobError
            The report cannot be read, is corrupt, or belongs to another job.
        """
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
        """Write the report of the result, which must exist.

        Parameters
        ----------
        report : mapping of str to Any
            Counts of the job.

        Returns
        -------
        dict
            The report as [`read_report`][] returns it, with the SHA-256 of the result.
        """
        with self._system():
            whole = {**report, "result_sha256": files.sha256(self.result_path)}
        self._write_json(self.report_path, headers.seal(JOB_REPORT, whole))
        return whole

    def check_result(self, report: Mapping[str, Any]) -> None:
        """Refuse a result that differs from the one that was written.

        Parameters
        ----------
        report : mapping of str to Any
            Report of the job.

        Raises
        ------
        JobError
            The checksum of the result is not that of the report.
        """
        with self._system():
            if files.sha256(self.result_path) != report["result_sha256"]:
                raise corrupt(self.result_path, _AGAIN, JobError)

    def _write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        files.write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def has_leftovers(self) -> bool:
        """Return whether [`clean`][] has something to remove from a finished job.

        Returns
        -------
        bool
        """
        with self._system():
            return self._has_own_parts() or any(files.is_leftover(entry) for entry in self.path.iterdir())

    def _has_own_parts(self) -> bool:
        """Return whether there is a folder of parts; a symbolic link may name a folder of other files."""
        return self.parts_path.is_dir() and not self.parts_path.is_symlink()

    def clean(self, *, finished: bool) -> None:
        """Remove temporary files that killed processes left, and the parts of a finished job.

        Parameters
        ----------
        finished : bool
            Whether the job is finished.
        """
        parts = self.parts_path
        with self._system():
            for folder in (self.path, parts) if self._has_own_parts() else (self.path,):
                for entry in folder.iterdir():
                    is_part = finished and folder == parts and entry.suffix == ".part"
                    if (files.is_leftover(entry) or is_part) and not entry.is_dir():
                        entry.unlink()
            if finished and self._has_own_parts():
                # Files that are not parts stay, and then the folder stays too.
                with contextlib.suppress(OSError):
                    parts.rmdir()
                files.sync_folder(self.path)

    def make(self) -> list[Path]:
        """Make the folder and its parents.

        Returns
        -------
        list of Path
            The folders that were made, innermost first.

        Raises
        ------
        JobError
            The folder cannot be made.
        """
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
        """Return whether any tile is finished.

        Returns
        -------
        bool
        """
        with self._system():
            return next(self.parts_path.glob("*.part"), None) is not None

    def make_parts(self) -> None:
        """Make the folder of parts, unless it exists."""
        with self._system():
            if self.parts_path.is_symlink():
                raise JobError(
                    f"`{self.argument}` must have a folder of parts of its own; got {self.parts_path}, a symbolic link."
                )
            if not self.parts_path.is_dir():
                self.parts_path.mkdir()
                files.sync_folder(self.path)

    def undo(self, folders: list[Path]) -> None:
        """Remove everything that the start of a job made; call it only under the lock.

        Parameters
        ----------
        folders : list of Path
            Result of [`make`][].
        """
        with contextlib.suppress(OSError, JobError):
            self.clean(finished=True)
        with contextlib.suppress(OSError):
            for path in (self.manifest_path, self.lock_path):
                path.unlink(missing_ok=True)
            for folder in folders:
                folder.rmdir()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the folder, as its only writer.

        The lock names its owner. The system releases it when the process ends, in any way.

        Yields
        ------
        None

        Raises
        ------
        JobError
            Another process holds the lock, or the folder cannot be locked.
        """
        handle = self._take_lock()
        try:
            # Only error messages of other processes need the owner, and a full disk does not allow the write.
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
            return files.open_locked(self.lock_path)
        except ImportError as error:
            raise JobError(f"`{self.argument}` must be locked, which needs a POSIX system.") from error
        except BlockingIOError:
            raise JobError(
                f"`{self.argument}` must have one writer at a time; {self.path} is held by {_owner(self.lock_path)}."
            ) from None
        except OSError:
            with self._system():
                raise


def _owner(path: Path) -> str:
    try:
        owner = parse_json(path.read_bytes())
        return f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
