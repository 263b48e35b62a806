"""The command line: ``negmine`` with ``mine``, ``merge``, ``cluster``, ``dedup``, ``evaluate``, ``verify`` and others.

Progress and errors go to stderr, results to stdout or to files. Exit codes: 0, 1 where the work failed, 2 where the
arguments are wrong, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from negmine._core.extras import require
from negmine.errors import MissingExtraError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; what comes back is the exit code.

    Parameters
    ----------
    arguments
        Default: those of the process.
    """
    try:
        for module in ("typer", "rich"):
            require(module, "cli", "the command line")
    except MissingExtraError as error:
        sys.stderr.write(f"negmine: error: {error}\n")
        return 1
    from negmine.cli.app import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
