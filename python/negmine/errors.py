"""Errors and warnings that negmine raises."""

from __future__ import annotations

__all__ = [
    "CorpusChangedError",
    "JobError",
    "MemoryLimitError",
    "MissingExtraError",
    "NegmineError",
    "NegmineOSError",
    "NegmineTypeError",
    "NegmineValueError",
    "NegmineWarning",
]


class NegmineError(Exception):
    """Base class of all negmine errors."""


class NegmineValueError(NegmineError, ValueError):
    """An argument has an accepted type but an invalid value."""


class NegmineTypeError(NegmineError, TypeError):
    """An argument has a type that is not accepted, or a name that does not exist."""


class NegmineOSError(NegmineError, OSError):
    """The operating system refused to read or write a file, for example on a full disk.

    ``errno`` and ``filename`` are set.
    """


class CorpusChangedError(NegmineValueError):
    """The corpus is not the one that was indexed: a score fell outside its certified interval, or a shard changed."""


class MemoryLimitError(NegmineValueError):
    """A call does not fit in ``memory_limit`` or in the memory of the machine."""


class JobError(NegmineValueError):
    """A job folder cannot be used: it is not a job, another process uses it, or the job has different inputs."""


class MissingExtraError(NegmineError, ImportError):
    """An optional dependency is not installed; the message names the extra that installs it."""


class NegmineWarning(UserWarning):
    """Category of all negmine warnings: a call is allowed, but may not do what is intended."""
