"""Run the README: its shell commands as they stand, and its Python examples.

Shell blocks that follow a ``<!-- run -->`` line run in the current environment, in order; Python blocks run in one
fresh interpreter each. Without ``--run`` the blocks are listed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(?P<run><!-- run -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    """The commands of all blocks, with the text that they came from."""
    found = []
    for block in BLOCK.finditer(README.read_text(encoding="utf-8")):
        if block["language"] == "bash" and block["run"]:
            found.append((block["text"], ["bash", "-euo", "pipefail", "-c", block["text"]]))
        elif block["language"] == "python":
            found.append((block["text"], [sys.executable, "-c", block["text"]]))
    return found


def main() -> int:
    """List or run the blocks; the exit code of the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="run the blocks")
    run = parser.parse_args().run
    for text, command in commands():
        print(f"--- README\n{text.rstrip()}", flush=True)
        if run:
            started = time.perf_counter()
            outcome = subprocess.run(command, cwd=README.parent, check=False)
            print(f"--- exit code {outcome.returncode} after {time.perf_counter() - started:.1f} s", flush=True)
            if outcome.returncode:
                return outcome.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
