"""Common arguments of long calls: the number of threads, the progress function, and the size of the result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from negmine._core.options import check_integer
from negmine.errors import MemoryLimitError, NegmineTypeError

__all__ = ["Progress", "check_progress", "ensure_fits_in_memory", "resolve_num_threads"]


#: Function that is called as ``progress(done, total)`` about every 50 ms; the size of a unit of work is unspecified.
Progress = Callable[[int, int], None]


def check_progress(value: Progress | None) -> Progress | None:
    """Validate a progress function before the call starts, because it may be called only much later."""
    if value is not None and not callable(value):
        raise NegmineTypeError(f"`progress` must be callable as progress(done, total); got {value!r}.")
    return value


def resolve_num_threads(num_threads: int | None) -> int:
    """Return the number of threads; the default is all cores available to this process, or 1 in a DataLoader worker."""
    if num_threads is not None:
        return check_integer(num_threads, "num_threads", least=1)
    data = sys.modules.get("torch.utils.data")
    if data is not None and data.get_worker_info() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ensure_fits_in_memory(n_rows: int, width: int, argument: str, *, entry: int = 16, instead: str = "") -> None:
    """Raise MemoryLimitError if the result would not fit in memory.

    Parameters
    ----------
    n_rows : int
        Number of rows of the result.
    width : int
        Number of entries per row.
    argument : str
        Name of the argument that determines the width.
    entry : int, default 16
        Bytes of an entry; a row number and a score take 16.
    instead : str, default ""
        Sentence that names an alternative, appended to the message.

    Raises
    ------
    MemoryLimitError
        The result is larger than the memory of this machine.
    """
    needed = n_rows * width * entry
    if "SC_PHYS_PAGES" in os.sysconf_names and needed > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise MemoryLimitError(
            f"`{argument}` must give a result that fits in memory; got {width} for each of {n_rows} rows, "
            f"which take {needed} bytes.{instead and ' '}{instead}"
        )
