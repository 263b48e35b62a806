"""Who may import whom: rooms lie in layers, arrows point down, and no files import each other in a circle."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "negmine"

#: The rooms, highest first. A room imports rooms of lower lines only; rooms on one line do not know each other.
LAYERS = (
    ("integrations",),
    ("cli", "inspect"),
    ("torch",),
    ("job",),
    ("io", "store", "demo", "testing"),
    ("context", "pairs", "weights"),
    ("mining",),
    ("batches", "sampling", "selection", "behavior", "synthesis"),
    ("sketches",),
    ("search", "clustering"),
    ("data",),
    ("_core",),
    ("errors",),
)
LEVEL = {room: len(LAYERS) - line for line, rooms in enumerate(LAYERS) for room in rooms}
#: The face hands names on, and ``python -m negmine`` starts the command line: they may import every room below torch.
FACES = {"negmine", "negmine.__main__"}
#: Only these rooms import torch and what is built on it, not even inside a function elsewhere.
TORCH_ROOMS = {"torch", "integrations"}
ONLY_ABOVE = {"torch", "sentence_transformers", "transformers", "lightning", "accelerate", "ray"}
NATIVE = "negmine._native"
#: Arrows that look sideways or up but are what the house wants, as (importing room, imported room).
#: `negmine mine --model` encodes with the adapter, which it imports when it is used.
#: `negmine inspect` writes the page.
ALLOWED: set[tuple[str, str]] = {("cli", "integrations"), ("cli", "inspect")}


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Find every module of a package by its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """Name the room of a module: the folder or file right under the package."""
    return module.split(".")[1]


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules that a file imports at any depth, except those that only type checkers import."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known or name == NATIVE else node.module for name in inner)
        waiting.extend(ast.iter_child_nodes(node))


def arrows(known: dict[str, Path]) -> dict[str, set[str]]:
    """Map every module to the modules of the package that it imports."""
    return {
        module: {name for name in imports(path, known) if name in known and name != module}
        for module, path in known.items()
    }


def upward(graph: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Find the arrows that do not point down."""
    return {
        (module, name)
        for module, imported in graph.items()
        for name in imported
        if module not in FACES and (name in FACES or room(module) != room(name))
        if name in FACES or (LEVEL[room(name)] >= LEVEL[room(module)] and (room(module), room(name)) not in ALLOWED)
    }


def circle(graph: dict[str, set[str]]) -> set[str]:
    """Find the modules that import each other in a circle, or import such a module."""
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {module for module in graph if module not in done and graph[module] <= done}
        if not ready:
            return set(graph) - done
        done |= ready
    return set()


def torch_below(known: dict[str, Path]) -> set[str]:
    """Find the modules outside torch's rooms that import torch or what is built on it."""
    return {
        module
        for module, path in known.items()
        if (module in FACES or room(module) not in TORCH_ROOMS)
        and {name.split(".")[0] for name in imports(path, known)} & ONLY_ABOVE
    }


MODULES = modules()
GRAPH = arrows(MODULES)


def test_every_room_has_a_place_in_the_picture() -> None:
    rooms = {room(module) for module in MODULES if module not in FACES}
    assert rooms <= LEVEL.keys(), f"{rooms - LEVEL.keys()} must have a layer"
    assert LEVEL.keys() <= rooms


def test_arrows_point_down() -> None:
    assert upward(GRAPH) == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(GRAPH) == set()


def test_only_the_rooms_of_torch_import_torch() -> None:
    assert torch_below(MODULES) == set()


#: A file and a line planted at its end, by what the plant is.
PLANTED = {
    "at the top level": ("data/positives.py", "from negmine.data.qrels import Qrels"),
    "inside a function": ("_core/arrays.py", "def planted() -> None:\n    from negmine._core.files import as_path"),
    "through an __init__": ("batches/plan.py", "from negmine.batches import NoDuplicatePlan"),
    "through the face": ("_core/options.py", "def planted() -> None:\n    from negmine import mine"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_circle_is_found(plant: str, tmp_path: Path) -> None:
    package = tmp_path / "negmine"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("*.npz", "*.so", "__pycache__"))
    file, line = PLANTED[plant]
    with (package / file).open("a") as source:
        source.write(f"\n{line}\n")
    if plant == "inside a function":
        with (package / "_core/files.py").open("a") as source:
            source.write("\nfrom negmine._core.arrays import as_array\n")
    assert circle(arrows(modules(package)))


@pytest.mark.parametrize(("room", "line"), [("mining", "import torch"), ("io", "def f():\n    import torch.nn")])
def test_torch_planted_below_its_room_is_found(room: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "negmine" / room).mkdir(parents=True)
    (tmp_path / "negmine" / room / "planted.py").write_text(line)
    assert torch_below(modules(tmp_path / "negmine")) == {f"negmine.{room}.planted"}


def test_an_arrow_that_points_up_is_found(tmp_path: Path) -> None:
    for name, text in {
        "data": "",
        "mining": "from negmine.data.x import y",
        "search": "import negmine.mining.x",
    }.items():
        (tmp_path / "negmine" / name).mkdir(parents=True)
        (tmp_path / "negmine" / name / "x.py").write_text(text)
    assert upward(arrows(modules(tmp_path / "negmine"))) == {("negmine.search.x", "negmine.mining.x")}


def test_importing_negmine_imports_numpy_and_nothing_else() -> None:
    code = """
import sys
import tomllib
before = set(sys.modules)
import negmine
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split()) - sys.stdlib_module_names
    assert loaded == {"negmine", "numpy"}
    assert not loaded & {"torch", "pyarrow", "pandas", "matplotlib", "typer", "rich"}


def test_every_name_of_the_face_is_there_and_listed_in_order() -> None:
    for module, path in MODULES.items():
        listed = [
            node.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        if listed:
            names = ast.literal_eval(listed[0])
            # As ruff has it: names in capitals first.
            assert names == sorted(names, key=lambda name: (not name.isupper(), name)), module


#: Their last bits depend on the processor, and the last bit of a key decides a draw.
TRANSCENDENTAL = re.compile(
    r"\b(?:np|numpy|math)\.(?:a(?:cos|sin|tan)\w*|(?:cos|sin|tan)h?|arc\w+|cbrt|exp(?:2|m1)?|float_power|hypot"
    r"|log(?:2|10|1p|addexp2?)?|pow(?:er)?)\b"
)


def test_no_transcendental_function_of_numpy_decides_anything() -> None:
    assert TRANSCENDENTAL.findall("np.exp(x) + math.log2(y), np.logical_not(z)") == ["np.exp", "math.log2"]
    lowest = [path for module, path in MODULES.items() if module in FACES or room(module) not in TORCH_ROOMS]
    assert {str(path) for path in lowest if TRANSCENDENTAL.search(path.read_text())} == set()
