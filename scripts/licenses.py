"""Collect the licenses of everything that the extension module is linked from, for the wheel.

    python scripts/licenses.py [--check]

writes `THIRD_PARTY_LICENSES.txt`, which every wheel carries; with `--check` it only compares. Packages are those that
`cargo metadata` resolves for `negmine-python` on any platform, without those of builds, tests and macros, whose code is
in no wheel. Where a package may be used under the MIT license among others, only that one is listed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "THIRD_PARTY_LICENSES.txt"

#: Beginnings of the names of files that hold a license or a notice.
NAMES = ("licen", "copying", "notice")

HEADER = """\
The extension module of negmine is linked from the packages below, whose sources are on crates.io under these
names and versions. `scripts/licenses.py` writes this file.
"""

#: For the standard library of Rust, and for packages that name the MIT license but do not contain its text.
MIT = """\
Copyright (c) {owner}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def linked() -> list[dict[str, Any]]:
    """List the packages that are linked into the extension module, without those of this repository."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    packages = {package["id"]: package for package in found["packages"]}
    needed = {node["id"]: [edge for edge in node["deps"] if _is_linked(edge)] for node in found["resolve"]["nodes"]}
    pending = [package["id"] for package in packages.values() if package["name"] == "negmine-python"]
    reached: set[str] = set()
    while pending:
        package = pending.pop()
        is_macro = any("proc-macro" in target["kind"] for target in packages[package]["targets"])
        if package not in reached and not is_macro:
            reached.add(package)
            pending += [edge["pkg"] for edge in needed[package]]
    others = [packages[name] for name in reached if packages[name]["source"] is not None]
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def _is_linked(edge: dict[str, Any]) -> bool:
    """Return whether a dependency is more than one of builds or tests."""
    return any(kind["kind"] is None for kind in edge["dep_kinds"])


def licenses(package: dict[str, Any]) -> list[str]:
    """Return the texts under which a package is used."""
    folder = Path(package["manifest_path"]).parent
    texts = {
        path.name.lower(): path.read_text(encoding="utf-8").strip() + "\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name.lower().startswith(NAMES)
    }
    if package["license"] is None:
        raise SystemExit(f"{package['name']} names no license.")
    alternatives = package["license"].replace("/", " OR ").split(" OR ")
    if "MIT" in alternatives:
        own = [text for name, text in texts.items() if name.startswith("license-mit")]
        if own:
            return own
        if not texts:
            return [MIT.format(owner=", ".join(package["authors"]) or f"the authors of {package['name']}")]
        if len(alternatives) == 1:
            # A license of other works, of which parts were ported, is no license of the package itself.
            is_own = any(name.startswith("license") for name in texts)
            own = [] if is_own else [MIT.format(owner=", ".join(package["authors"]))]
            return own + list(texts.values())
    if not texts:
        raise SystemExit(f"{package['name']} has no text of its license, {package['license']}.")
    return list(texts.values())


def content() -> str:
    """Return the content of the file: each text once, under the packages that it belongs to."""
    users = defaultdict(list)
    users[MIT.format(owner="The Rust Project contributors")].append("the standard library of Rust (MIT OR Apache-2.0)")
    for package in linked():
        for text in licenses(package):
            users[text].append(f"{package['name']} {package['version']} ({package['license']})")
    parts = [HEADER]
    for text, names in users.items():
        parts += ["-" * 120 + "\n", "\n".join(names) + "\n", text]
    return "\n".join(parts)


def main() -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    text = content()
    if not check:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        print(f"{TARGET.name} is not current: run `python scripts/licenses.py`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
