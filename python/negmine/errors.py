"""Every error and warning that negmine raises."""

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
    """Base of every negmine error."""


class NegmineValueError(NegmineError, ValueError):
    """An argument has the right type and a value that breaks its rule."""


class NegmineTypeError(NegmineError, TypeError):
    """An argument has a type that is not accepted, or a name that does not exist."""


class NegmineOSError(NegmineError, OSError):
    """The system refused to write a file, as on a full disk; ``errno`` and ``filename`` are set."""


class CorpusChangedError(NegmineValueError):
    """A score fell outside its certified interval: the corpus is not the one that was indexed."""


class MemoryLimitError(NegmineValueError):
    """The work cannot be done within ``memory_limit``."""


class JobError(NegmineValueError):
    """A job folder cannot be used: it is no job, another process holds it, or its inputs were others."""


class MissingExtraError(NegmineError, ImportError):
    """A package is missing that only some of negmine needs; the message names the extra that brings it."""


class NegmineWarning(UserWarning):
    """Something is allowed and worth knowing."""
