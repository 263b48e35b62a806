"""The command line: ``negmine`` with ``mine``, ``sweep``, ``check``, ``convert``, ``evaluate``, ``verify`` and others.

Progress and errors go to stderr, results to stdout or to files. The exit code is 0 on success, 1 if the work failed, 2
if the arguments are invalid, and 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from negmine._core.extras import require
from negmine.errors import MissingExtraError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command and options. Default: the arguments of the process.

    Returns
    -------
    int
    """
    try:
        for module in ("typer", "rich"):
            require(module, "cli", "the command line")
    except MissingExtraError as error:
        sys.stderr.write(f"negmine: error: {error}\n")
        return 1
    from negmine.cli.app import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
