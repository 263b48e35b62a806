"""The picture of the README is what its script draws from the demo set, and shows what the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_picture_is_that_of_the_data() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "readme_figure.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_shows_it_in_both_color_schemes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r'(?:srcset|src)="([^"]+)"', readme)
    assert shown == ["docs/figures/margin-dark.svg", "docs/figures/margin-light.svg"]
    assert all((ROOT / path).is_file() for path in shown)
