"""Write docs/recipes.md, the table of the recipes, from the scripts in examples/recipes.

A recipe is a script whose docstring has the lines "Paper:", "Options:", "Differs:" and "Prints:". What it uses is read
from its imports and attributes. With ``--check``, nothing is written, and the exit code is 1 if the page is outdated.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections import defaultdict
from pathlib import Path

import negmine
from negmine.mining import CandidatePool, HardNegatives

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "recipes.md"
TESTS = ROOT / "tests" / "docs" / "test_recipes.py"
#: Modules that the recipes share.
SHARED = ("common", "query_map")
FIELDS = ("Paper", "Options", "Differs", "Prints")

HEAD = """\
# Recipes

One paper is one script of at most 60 lines, which runs in seconds on the demo set, without a download. The docstring
of a script names the options that it uses, what differs from the paper and why. To use a method, copy its script and
replace the demo set by your data. The scripts show how methods work, on one small data set and with one seed;
[claims.md](claims.md) has what was measured about training.

```bash
python examples/recipes/rocketqa.py
```

Scripts that train need torch. `pytest tests/docs/test_recipes.py -k rocketqa` runs the test of a recipe, which checks
what it prints. `scripts/recipes.py` writes this page.

| recipe | paper | what it uses | what it prints | test |
| --- | --- | --- | --- | --- |
"""


def scripts() -> list[Path]:
    """Return the recipes by name."""
    folder = ROOT / "examples" / "recipes"
    return sorted(path for path in folder.glob("*.py") if path.stem not in SHARED)


def fields_of(path: Path) -> dict[str, str]:
    """Return the fields of a recipe's docstring, each on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = re.findall(rf"^({'|'.join(FIELDS)}): (.*?)(?=^\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(body.split()) for name, body in found}


def uses_of(path: Path) -> dict[str, list[str]]:
    """Return the public names that a recipe uses, by room, and the methods of pools and negatives."""
    kinds = (CandidatePool, HardNegatives)
    methods = {name for kind in kinds for name, _ in inspect.getmembers(kind, inspect.isfunction)}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("negmine."):
            found[str(node.module).split(".")[1]] |= {name.name for name in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "negmine":
            found[room_of(node.attr)].add(node.attr)
        elif isinstance(node, ast.Attribute) and node.attr in methods:
            found["mining"].add(node.attr)
    return {room: sorted(names, key=str.lower) for room, names in sorted(found.items())}


def room_of(name: str) -> str:
    """Return the room of a name of the package's top level."""
    value = getattr(negmine, name)
    if inspect.ismodule(value):
        raise SystemExit(
            f"`negmine.{name}` must be imported by `from negmine.{name} import ...`, so that uses are found."
        )
    return str(value.__module__).split(".")[1]


def page() -> str:
    """Return the text of the page."""
    lines = []
    for path in scripts():
        fields = fields_of(path)
        uses = "; ".join(f"{room}: {', '.join(f'`{name}`' for name in names)}" for room, names in uses_of(path).items())
        link = f"[{path.stem}](../{path.relative_to(ROOT).as_posix()})"
        test = f"[`-k {path.stem}`](../{TESTS.relative_to(ROOT).as_posix()})"
        lines.append(f"| {link} | {fields['Paper']} | {uses} | {fields['Prints']} | {test} |\n")
    return HEAD + "".join(lines)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    if parser.parse_args().check:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
