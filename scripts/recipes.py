"""Write docs/recipes.md, the tables of operations and of recipes, from the scripts in examples/recipes.

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
#: Modules that the recipes share.
SHARED = ("common", "query_map")
#: Classes whose methods count as used where an attribute has their name.
KINDS = (CandidatePool, HardNegatives)
FIELDS = ("Paper", "Options", "Differs", "Prints")

#: Where the files of the repository are read; pages link to them in full, because the site has no files but its pages.
REPOSITORY = "https://github.com/negmine/negmine/blob/main"

#: What methods are made of: each operation with its rooms, or with the names that it has of a room.
OPERATIONS: dict[str, dict[str, set[str] | None]] = {
    "Search and pools of candidates": {
        "search": None,
        "data": None,
        "mining": {"CandidatePool", "HardNegativeMiner", "fuse", "mine", "rescore", "restrict"},
    },
    "Policies, quotas and redraws": {
        "mining": {"Quota", "SimANS", "Softmax", "Stride", "Typical", "redraw", "select"},
        "torch": {"BackgroundRefresh", "NegativesTable"},
    },
    "Selection of items by group and score": {"selection": None},
    "Random negatives and corrupted triples": {"sampling": None},
    "Weights of examples": {"weights": None},
    "Guards against false negatives and wrong labels": {
        "mining": {"Verdicts", "exclude_near", "false_negatives", "label_issues"},
        "batches": {"false_negative_mask", "false_negative_pairs", "guided_mask", "guided_pairs"},
    },
    "Clusters and batch plans": {
        "clustering": None,
        "batches": {
            "NgameSchedule",
            "class_balanced_plan",
            "cluster_plan",
            "epoch_permutation",
            "mixture_plan",
            "no_duplicate_plan",
            "sample_balanced_margins",
            "topic_plan",
        },
    },
    "New vectors": {"synthesis": None},
    "Pairs of responses": {"pairs": None},
    "Losses": {"torch": {"bank", "cached", "lambda_mrr", "listwise", "pairwise", "pointwise", "preference"}},
    "Contexts for readers": {"context": None},
}

HEAD = """\
# Papers and recipes

One paper is one script of at most 60 lines, which runs in seconds on the demo set, without a download. The docstring
of a script names the options that it uses, what differs from the paper and why. To use a method, copy its script and
replace the demo set by your data. The scripts show how methods work, on one small data set and with one seed;
[claims.md](claims.md) has what was measured about training.

```bash
python examples/recipes/rocketqa.py
```

Scripts that train need torch. `pytest tests/docs/test_recipes.py -k rocketqa` runs the test of a recipe, which checks
what it prints. `scripts/recipes.py` writes this page.

## What methods are made of

The methods of the papers are combinations of a few operations:

| operation | functions and classes | recipes |
| --- | --- | --- |
"""

PAPERS = """
## One paper, one recipe

| recipe | paper | what it uses | what it prints |
| --- | --- | --- | --- |
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
    methods = {name for kind in KINDS for name, _ in inspect.getmembers(kind, inspect.isfunction)}
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


def operation_of(room: str, name: str) -> str:
    """Return the operation that a name belongs to."""
    for operation, rooms in OPERATIONS.items():
        if room in rooms and name in (rooms[room] or {name}):
            return operation
    raise SystemExit(f"`{name}` of {room} must belong to an operation of `OPERATIONS`.")


def link(name: str) -> str:
    """Return a link to the script of a recipe."""
    return f"[{name}]({REPOSITORY}/examples/recipes/{name}.py)"


def documented() -> dict[str, list[tuple[str, str]]]:
    """Map every name of the reference to its pages, each with the anchor of the name there."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted((PAGE.parent / "reference").glob("*.md")):
        for anchor in re.findall(r"^::: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[anchor.rpartition(".")[2]].append((path.stem, anchor))
    return found


def reference(room: str, name: str) -> str:
    """Return a link to the documentation of a name, or of a method of pools or negatives."""
    places = documented()[name]
    if room == "mining" and room not in dict(places):
        kind = next(kind.__name__ for kind in KINDS if hasattr(kind, name))
        return f"[`{name}`](reference/mining.md#negmine.{kind}.{name})"
    stem, anchor = next((place for place in places if place[0] == room), places[0])
    return f"[`{name}`](reference/{stem}.md#{anchor})"


def page() -> str:
    """Return the text of the page."""
    functions: defaultdict[str, set[str]] = defaultdict(set)
    users: defaultdict[str, set[str]] = defaultdict(set)
    papers = []
    for path in scripts():
        fields, uses = fields_of(path), uses_of(path)
        for room, names in uses.items():
            for operation in (operation_of(room, name) for name in names):
                users[operation].add(path.stem)
            for name in names:
                functions[operation_of(room, name)].add(reference(room, name))
        used = "; ".join(f"{room}: {', '.join(f'`{name}`' for name in names)}" for room, names in uses.items())
        papers.append(f"| {link(path.stem)} | {fields['Paper']} | {used} | {fields['Prints']} |\n")
    operations = [
        f"| {operation} | {', '.join(sorted(functions[operation], key=str.lower))} "
        f"| {', '.join(link(name) for name in sorted(users[operation]))} |\n"
        for operation in OPERATIONS
    ]
    return HEAD + "".join(operations) + PAPERS + "".join(papers)


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
