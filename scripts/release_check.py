"""Check that the tree is ready for a release: one version everywhere, and a section of the changelog that has a date.

python scripts/release_check.py TAG
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def faults(tag: str) -> list[str]:
    """List what keeps a tag from being released."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## ")[0].strip()
    found = []
    if tag != f"v{version}":
        found.append(f"The tag must be v{version}, the version of Cargo.toml; got {tag}.")
    if citation is None or citation[1] != version:
        found.append(f"CITATION.cff must name the version {version}.")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md must have a section [{version}] with its date.")
    if unreleased:
        found.append("CHANGELOG.md must have nothing under [Unreleased].")
    return found


def main() -> int:
    """Print the faults; the exit code is 1 if there are any."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    found = faults(sys.argv[1])
    print("\n".join(found) or f"{sys.argv[1]} may be released.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
