"""Common arguments of long calls: the number of threads, the progress function, and the size of the result."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from negmine._core.options import check_integer
from negmine.errors import MemoryLimitError, NegmineTypeError

__all__ = [
    "Progress",
    "available_memory",
    "check_progress",
    "ensure_fits_in_memory",
    "memory_errors",
    "resolve_num_threads",
]

#: Results up to this number of bytes are not checked: reading the limits would take longer than computing the result.
NEVER_CHECKED = 1 << 24

#: Function that is called as ``progress(done, total)`` about every 50 ms, and as ``progress(total, total)`` at the end
#: of every stage; the size of a unit of work is unspecified.
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
        The result is larger than the memory that this process may still use.
    """
    needed = n_rows * width * entry
    if needed > NEVER_CHECKED and needed > (available := available_memory()):
        raise MemoryLimitError(
            f"`{argument}` must give a result that fits in memory; got {width} for each of {n_rows} rows, "
            f"which take {needed} bytes of {available} that this process may use.{instead and ' '}{instead}"
        )


@contextlib.contextmanager
def memory_errors(argument: str) -> Iterator[None]:
    """Raise MemoryLimitError if NumPy cannot allocate a result whose size ``argument`` determines."""
    try:
        yield
    except MemoryError as error:
        raise MemoryLimitError(f"`{argument}` must give a result that fits in memory; {error}") from error


def available_memory() -> int:
    """Return the bytes that this process may still use: the minimum of the machine's memory and all limits."""
    found = [sys.maxsize]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):  # Windows has none
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(*found, *_process_limits(), *_group_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))


def _process_limits() -> Iterator[int]:
    """Yield the limits of address space and of data, minus the bytes in use."""
    try:
        import resource

        pages = [int(number) for number in Path("/proc/self/statm").read_text().split()]
    except (ImportError, OSError, ValueError):
        return
    for limit, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            yield max(0, soft - used * os.sysconf("SC_PAGE_SIZE"))


def _group_limits(groups: Path, mounted: Path) -> Iterator[int]:
    """Yield the limits of the control group, version 1 or 2, and of its parents."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = root / path.strip("/")
        # In a container, the path may be that of the host, which is not mounted; the root is then the group of the
        # container.
        for group in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):
                yield int((group / name).read_text())
            if group == root:
                break
