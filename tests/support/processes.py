"""Programs run under a limit: nothing that they started outlives it, and a failure shows what they wrote and where."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: What a failure shows of each stream: a traceback stands before what a launcher adds to it.
TAIL = 20_000

#: Seconds to write tracebacks and to end children, once the limit is over.
GRACE = 15


def output_of(
    command: Sequence[str | Path], *, seconds: float, env: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a program that must succeed in so many seconds; what it printed."""
    environment = {**(os.environ if env is None else env), "PYTHONFAULTHANDLER": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd
    ) as running:
        late = ""
        try:
            output, errors = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            late = f"; it was stopped after its limit of {seconds} s"
            output, errors = stop(running)
        except BaseException:  # pytest's own limit, or Ctrl-C
            stop(running)
            raise
    assert running.returncode == 0 and not late, (  # noqa: PT018 (one message)
        f"{' '.join(map(str, command))}\nended with return code {running.returncode}{late}.\n"
        f"--- stderr\n{errors[-TAIL:]}\n--- stdout\n{output[-TAIL:]}"
    )
    return output


def stop(running: subprocess.Popen[str]) -> tuple[str, str]:
    """End a program and all that it started, in whatever session; what they wrote, with a traceback of each."""
    family = descendants(running.pid)
    for number in (signal.SIGABRT, signal.SIGKILL):
        for pid in reversed(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return running.communicate(timeout=GRACE)
    return "", "its output never ended"


def descendants(pid: int) -> list[int]:
    """A process and what it started, parents first; itself alone where there is no /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    family = [pid]
    for parent in family:
        family += children.get(parent, [])
    return family
