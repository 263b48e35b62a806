"""Outcome of a background refresh, and the rule that a table has one refresh at a time."""

from __future__ import annotations

import threading
import warnings
import weakref
from concurrent.futures import CancelledError, Future

from negmine.errors import NegmineValueError, NegmineWarning
from negmine.store.negatives_table import NegativesTable
from negmine.torch.data.refreshed import Refreshed

__all__ = ["Outcome", "begin", "refuse_running"]


class Outcome(Future[Refreshed]):
    """Result or error of a background refresh; warns about an error that was never asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.thread: threading.Thread | None = None
        self.was_read = False

    @property
    def active(self) -> bool:
        """Whether the refresh is not done yet; False in a process that was forked from the one where it runs."""
        return not self.done() and self.thread is not None and self.thread.is_alive()

    def __del__(self) -> None:
        if self.done() and not self.was_read:
            error = self.exception()
            if error is not None and not isinstance(error, CancelledError):
                warnings.warn(
                    f"A background refresh failed, and its result was never read: {type(error).__name__}: {error}",
                    NegmineWarning,
                    stacklevel=1,
                )


#: Refreshes of this process that someone still holds, by the folders of their tables.
_OUTCOMES: weakref.WeakValueDictionary[str, Outcome] = weakref.WeakValueDictionary()


def refuse_running(table: NegativesTable) -> None:
    """Refuse to refresh a table whose background refresh is not done.

    Parameters
    ----------
    table : NegativesTable
        The table.

    Raises
    ------
    NegmineValueError
        The refresh is not done.
    """
    outcome = _OUTCOMES.get(str(table.folder.resolve()))
    if outcome is not None and outcome.active:
        raise NegmineValueError(
            f"`table` must have one refresh at a time; the background refresh of {table.folder} is not done: wait for "
            "its `result()`, or cancel it."
        )


def begin(table: NegativesTable, outcome: Outcome, thread: threading.Thread) -> None:
    """Start the thread of a refresh, as the only one of its table.

    Parameters
    ----------
    table : NegativesTable
        The table.
    outcome : Outcome
        Where the thread leaves its result.
    thread : threading.Thread
        The thread, not started yet.
    """
    refuse_running(table)
    outcome.thread = thread
    _OUTCOMES[str(table.folder.resolve())] = outcome
    thread.start()
