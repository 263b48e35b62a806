"""Who may import whom: kernels <- core <- bindings <- `negmine` <- `negmine.torch` <- recipes <- integrations."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "negmine"
CRATES = {name: ROOT / "rust" / name for name in ("negmine-kernels", "negmine-core", "negmine-python")}

# ---- Python

#: Lowest first; a module of none of these folders is of the first layer.
LAYERS = ("negmine", "negmine.torch", "negmine.recipes", "negmine.integrations")
#: Not even a function of the first layer imports these; what is handed over is looked up in `sys.modules`.
ONLY_ABOVE = {"torch", "sentence_transformers", "transformers", "lightning", "accelerate", "ray"}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
NATIVE = "negmine._native"


def layer(module: str) -> int:
    """Find the place of a module among the layers."""
    return max(i for i, name in enumerate(LAYERS) if module == name or module.startswith(f"{name}."))


def imports(path: Path, *, at_import_time: bool) -> Iterator[str]:
    """Yield the modules that a file imports; with `at_import_time`, only those that importing the file imports."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES or name == NATIVE else node.module for name in inner)
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not at_import_time or not (function or typing_only):
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_a_higher_layer(module: str) -> None:
    imported = {name for name in imports(MODULES[module], at_import_time=False) if name.split(".")[0] == "negmine"}
    assert not {name for name in imported if layer(name) > layer(module)}


@pytest.mark.parametrize("module", [module for module in MODULES if layer(module) == 0])
def test_the_first_layer_knows_no_torch(module: str) -> None:
    roots = {name.split(".")[0] for name in imports(MODULES[module], at_import_time=False)}
    assert not roots & ONLY_ABOVE


def test_modules_import_each_other_in_no_circle() -> None:
    graph = {
        module: {name for name in imports(path, at_import_time=True) if name in MODULES}
        for module, path in MODULES.items()
    }
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {module for module in graph if module not in done and graph[module] <= done}
        assert ready, f"a circle among {sorted(set(graph) - done)}"
        done |= ready


def test_importing_negmine_imports_numpy_and_nothing_else() -> None:
    code = """
import sys
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
    lowest = [path for module, path in MODULES.items() if layer(module) == 0]
    assert {str(path) for path in lowest if TRANSCENDENTAL.search(path.read_text())} == set()


# ---- Rust

#: What each folder of the core may use, itself aside.
CORE = {
    "base": set(),
    "scoring": {"base"},
    "exact": {"base", "scoring"},
    "mine": {"base", "scoring", "exact"},
    "cluster": {"base", "scoring", "exact"},
    "batch": {"base"},
    "sketch": {"base"},
    "behavior": {"base", "sketch"},
    "sampling": {"base"},
    "synthesis": {"base"},
}


def code_of(path: Path) -> str:
    """Read a Rust file without comments and strings."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text, flags=re.DOTALL)


def heads(text: str, root: str) -> set[str]:
    """Find the first names after `root::`, groups in braces taken apart."""
    found = set()
    for match in re.finditer(rf"\b{root}::(\{{|\w+)", text):
        if match[1] != "{":
            found.add(match[1])
            continue
        depth, item = 1, ""
        for character in text[match.end() :]:
            depth += (character == "{") - (character == "}")
            if depth == 0 or (depth == 1 and character == ","):
                found.add(item.strip().split("::")[0])
                item = ""
            else:
                item += character
            if depth == 0:
                break
    return found - {"", "*", "self"}


def used_folders(path: Path) -> set[str]:
    """Find the folders of the core that a file names, by `crate::` or by climbing with `super::`."""
    text = code_of(path)
    parts = path.relative_to(CRATES["negmine-core"] / "src").with_suffix("").parts
    depth = len(parts) - (parts[-1] == "mod")  # how many `super::` reach the root of the crate
    climbs = r"super::" * depth
    return heads(text, "crate") | heads(text.replace(climbs, "up::") if depth else text, "up")


def core_files() -> list[Path]:
    """List the files of the core that lie in a folder."""
    source = CRATES["negmine-core"] / "src"
    return [path for path in sorted(source.rglob("*.rs")) if path.parent != source]


@pytest.mark.parametrize("path", core_files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_folders_of_the_core_keep_their_arrows(path: Path) -> None:
    folder = path.relative_to(CRATES["negmine-core"] / "src").parts[0]
    assert folder in CORE, f"{folder} has no place in the picture: give it one"
    assert (used_folders(path) & CORE.keys()) <= CORE[folder] | {folder}


def test_the_reader_of_paths_reads_groups_and_climbs() -> None:
    assert heads("use crate::{base::{Error, Result}, exact::Found}; crate::mine::x()", "crate") == {
        "base",
        "exact",
        "mine",
    }
    assert heads("use crate::base;", "crate") == {"base"}


@pytest.mark.parametrize(
    ("crate", "allowed"),
    [
        ("negmine-kernels", set()),
        ("negmine-core", {"negmine-kernels"}),
        ("negmine-python", {"negmine-kernels", "negmine-core"}),
    ],
)
def test_crates_depend_downwards(crate: str, allowed: set[str]) -> None:
    manifest = tomllib.loads((CRATES[crate] / "Cargo.toml").read_text())
    tables = ("dependencies", "dev-dependencies", "build-dependencies")
    named = {name for table in tables for name in manifest.get(table, {})}
    assert {name for name in named if name.startswith("negmine")} <= allowed
    if crate != "negmine-python":
        assert not named & {"pyo3", "numpy"}
    sources = [code_of(path) for path in (CRATES[crate] / "src").rglob("*.rs")]
    used = set(re.findall(r"\bnegmine_(kernels|core|python)\b", "\n".join(sources)))
    assert {f"negmine-{name}" for name in used} <= allowed


@pytest.mark.parametrize("crate", ["negmine-core", "negmine-python"])
def test_unsafe_code_lives_in_the_kernels_alone(crate: str) -> None:
    assert "#![forbid(unsafe_code)]" in (CRATES[crate] / "src" / "lib.rs").read_text()
