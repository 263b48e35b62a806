"""Pages whose snippets are replayed, with all that they print: README, first page of the site, tutorial, how-tos."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (
        ROOT / "README.md",
        ROOT / "docs" / "index.md",
        ROOT / "docs" / "tutorial.md",
        *sorted((ROOT / "docs" / "howto").glob("*.md")),
    )
}


def replay(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Replay a page in a process of its own."""
    # Threads gain nothing on models of this size, and lose much where cores are shared.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "scripts" / "replay.py"), str(page), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=environment)
