"""Run the README as a fresh clone does: its shell commands, and its examples, which must print what it shows.

The commands are the shell blocks that follow a ``<!-- run -->`` line; `scripts/replay.py` has the rules. Without
``--run`` the blocks are listed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from replay import run, snippets

README = Path(__file__).resolve().parent.parent / "README.md"


def main() -> int:
    """List or run the blocks; 1 if an example prints something else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="run the blocks")
    if parser.parse_args().run:
        return run(README, environment=True)
    for snippet in snippets(README):
        print(f"--- README, line {snippet.line}\n{snippet.text.rstrip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
