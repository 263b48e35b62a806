"""What every long call takes: a number of threads, a progress function, and memory for its result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from negmine._core.options import check_integer
from negmine.errors import MemoryLimitError, NegmineTypeError

__all__ = ["Progress", "check_progress", "ensure_fits_in_memory", "resolve_num_threads"]


#: Called as ``progress(done, total)`` about every 50 ms, in pieces of work whose size is not promised.
Progress = Callable[[int, int], None]


def check_progress(value: Progress | None) -> Progress | None:
    """Read a function that is told how far a call is; it may be needed only after a while, so it is looked at now."""
    if value is not None and not callable(value):
        raise NegmineTypeError(f"`progress` must be callable as progress(done, total); got {value!r}.")
    return value


def resolve_num_threads(num_threads: int | None) -> int:
    """Read a thread count; by default every core that this process may use, and one inside a DataLoader worker."""
    if num_threads is not None:
        return check_integer(num_threads, "num_threads", least=1)
    data = sys.modules.get("torch.utils.data")
    if data is not None and data.get_worker_info() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ensure_fits_in_memory(n_rows: int, width: int, argument: str, *, entry: int = 16, instead: str = "") -> None:
    """Refuse an answer that this machine has no memory for, where ``argument`` sets its width.

    An entry takes ``entry`` bytes; a row number and a score take 16. ``instead`` says what to do.
    """
    needed = n_rows * width * entry
    if "SC_PHYS_PAGES" in os.sysconf_names and needed > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise MemoryLimitError(
            f"`{argument}` must leave an answer that fits memory; got {width} for each of {n_rows} rows, "
            f"which take {needed} bytes.{instead and ' '}{instead}"
        )
