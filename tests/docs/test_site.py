"""The site: its reference has every public name once, and its generated pages are those that the scripts write."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "negmine"
REFERENCE = ROOT / "docs" / "reference"

#: Modules that users import from: the rooms, and the public modules of adapters and of torch.
PUBLIC = (
    "[!_]*.py",
    "[!_]*/__init__.py",
    "integrations/[!_]*.py",
    "integrations/[!_]*/__init__.py",
    "torch/*/__init__.py",
)
FACES = ["negmine", "negmine.torch.testing"]
FACES += [
    ".".join(["negmine", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    for pattern in PUBLIC
    for path in PACKAGE.glob(pattern)
]
#: The command line has a page of its own, without Python.
LEFT_OUT = {"negmine.cli"}


def source(module: str) -> ast.Module | None:
    """Parse a module of the package; None where it is no Python file, as the extension module is not."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    files = [path / "__init__.py", path.with_suffix(".py")]
    return next((ast.parse(file.read_text(encoding="utf-8")) for file in files if file.exists()), None)


def names(module: str) -> list[str]:
    """List the names that a module hands out. Sources are read, since some modules need packages that are not here."""
    tree = source(module)
    assert tree is not None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            found: list[str] = ast.literal_eval(node.value)
            return found
    return []


def origin(module: str, name: str) -> str:
    """Find the module where a name is made, by the imports that hand it on."""
    for node in (source(module) or ast.Module([], [])).body:
        if isinstance(node, ast.ImportFrom) and any((one.asname or one.name) == name for one in node.names):
            return origin(str(node.module), name)
    return f"{module}.{name}"


def listed() -> list[str]:
    """List what the pages of the reference document, in their order."""
    pages = sorted(REFERENCE.glob("*.md"))
    found = [
        re.findall(r"^::: (\S+)\n(    options:)?", page.read_text(encoding="utf-8"), re.MULTILINE) for page in pages
    ]
    return [name for page in found for name, is_introduction in page if not is_introduction]


def test_the_reference_has_every_public_name_once() -> None:
    public = {origin(module, name) for module in FACES if module not in LEFT_OUT for name in names(module)}
    documented = Counter(origin(*name.rpartition(".")[::2]) for name in listed())
    assert len(public) > 180
    assert {name: count for name, count in documented.items() if count > 1} == {}
    assert public - set(documented) == set()
    assert set(documented) - public == set()


def test_the_reference_calls_names_as_users_import_them() -> None:
    top = names("negmine")
    for name in listed():
        module, _, last = name.rpartition(".")
        assert last in names(module), name
        is_top = last in top and origin("negmine", last) == origin(module, last)
        assert module == "negmine" or not is_top, f"{name} is negmine.{last}"


@pytest.mark.parametrize("script", ["command_line.py", "performance.py"])
def test_generated_pages_are_up_to_date(script: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, f"run `python scripts/{script}`"
