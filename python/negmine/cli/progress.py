"""Progress on stderr: a bar on a terminal, otherwise a line at intervals; both show the rate and the remaining time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from negmine._core import calls

__all__ = ["shown"]

#: Seconds between lines if stderr is not a terminal.
LINE_SECONDS = 10.0


@contextlib.contextmanager
def shown(what: str, n: int, unit: str) -> Iterator[calls.Progress]:
    """Show progress while the block runs.

    Parameters
    ----------
    what : str
        Name of the work, such as "mining".
    n : int
        Total number of units; the progress that the core reports is scaled to it.
    unit : str
        Name of the units, such as "queries".

    Yields
    ------
    callable
        Function to pass as ``progress``.
    """
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), _Rate(unit), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield _Bar(bar, what, n)
    else:
        yield _Lines(what, n, unit)


class _Rate(ProgressColumn):
    """Column with the units done, their total, and the rate per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        rate = f", {task.speed:,.0f}/s" if task.speed else ""
        return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f} {self.unit}{rate}")


class _Bar:
    """Progress bar; the first report sets where it begins, which is not 0 if a job is resumed."""

    def __init__(self, bar: Progress, what: str, n: int) -> None:
        self.bar, self.what, self.n = bar, what, n
        self.task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        completed = self.n * done / max(total, 1)
        if self.task is None:
            self.task = self.bar.add_task(self.what, total=self.n, completed=completed)  # type: ignore[arg-type]
        else:
            self.bar.update(self.task, completed=completed)


class _Lines:
    """Progress as a line at intervals."""

    def __init__(self, what: str, n: int, unit: str) -> None:
        self.what, self.n, self.unit = what, n, unit
        self.started = self.said = time.monotonic()
        self.first: float | None = None

    def __call__(self, done: int, total: int) -> None:
        completed = self.n * done / max(total, 1)
        if self.first is None:
            self.first, self.started, self.said = completed, time.monotonic(), time.monotonic()
        now = time.monotonic()
        if now - self.said < LINE_SECONDS:
            return
        self.said = now
        rate = (completed - self.first) / (now - self.started)
        left = f"{(self.n - completed) / rate:,.0f} s left" if rate else "time left unknown"
        sys.stderr.write(f"{self.what}: {completed:,.0f} of {self.n:,} {self.unit}, {rate:,.0f}/s, {left}\n")
        sys.stderr.flush()
