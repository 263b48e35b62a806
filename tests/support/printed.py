"""Run a script of the repository, and find numbers in what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

#: Numbers that a pattern finds, match by match.
Numbers = list[list[float]]


def output_of(path: Path) -> str:
    """Run a script under a limit, and return what it prints."""
    # Threads gain nothing on models of this size, and lose much where cores are shared.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers_of(pattern: str, printed: str) -> Numbers:
    """Return the groups of all matches as numbers."""
    return [[float(number) for number in found.groups()] for found in re.finditer(pattern, printed)]
