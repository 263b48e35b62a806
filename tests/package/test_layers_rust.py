"""Which Rust file may name which: kernels <- core <- bindings, folders in one order, and no circle among files.

The reader follows `use` (groups, renames, globs), paths inside functions, `super::`, and names that a `mod.rs` hands
on: such a name counts as a name of the file that defines it.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CRATES = {name: ROOT / "rust" / name for name in ("negmine-kernels", "negmine-core", "negmine-python")}

Module = tuple[str, ...]

#: Comments, strings, raw strings and characters.
NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|\bb?r(#*)".*?"\1|"(?:\\.|[^"\\])*"' + r"|'(?:\\[^']+|[^'\\])'", flags=re.DOTALL
)


@dataclass
class Scope:
    """What one file names."""

    #: The module that the file is.
    module: Module
    #: Whether it is a `mod.rs` or the root of the crate.
    face: bool
    #: Paths and the module, inline ones included, in which they stand.
    paths: list[tuple[Module, Module]] = field(default_factory=list)
    #: Names that `use` binds, and their paths.
    bound: dict[str, tuple[Module, Module]] = field(default_factory=dict)
    #: Of these, what the file hands on; a glob is bound to `*` and its path.
    handed_on: list[tuple[str, Module]] = field(default_factory=list)


def tree(tokens: list[str], i: int, prefix: Module) -> tuple[list[tuple[str, Module]], int]:
    """Read a `use` tree from token `i` on: the names that it binds and their paths."""
    path = prefix
    while True:
        token = tokens[i]
        if token == "{":
            found: list[tuple[str, Module]] = []
            i += 1
            while tokens[i] != "}":
                inner, i = tree(tokens, i, path)
                found += inner
                i += tokens[i] == ","
            return found, i + 1
        if token == "*":
            return [("*", path)], i + 1
        if token != "::" and not (token == "self" and path):
            path = (*path, token)
        i += 1
        if tokens[i] == "as":
            return [(tokens[i + 1], path)], i + 2
        if tokens[i] != "::" and token != "::":
            return [(path[-1], path)], i


def read(text: str, module: Module, face: bool) -> Scope:
    """Read what a file of that module names."""
    tokens = re.findall(r"\w+|::|[^\s\w]", NO_CODE.sub(" ", text))
    scope = Scope(module, face)
    inline: list[tuple[str, int]] = []
    depth = i = 0
    while i < len(tokens):
        token, here = tokens[i], (*module, *(name for name, _ in inline))
        if token == "mod" and tokens[i + 2] == "{":
            inline.append((tokens[i + 1], depth))
            i += 2
        elif token == "use" and tokens[i + 1] != "<":
            public = tokens[i - 1] == "pub" or tokens[i - 1] == ")"
            names, i = tree(tokens, i + 1, ())
            for name, path in names:
                scope.bound[name] = (here, path)
                if public and not inline:
                    scope.handed_on.append((name, path))
                if not (public and face):
                    scope.paths.append((here, (*path, "*") if name == "*" else path))
        elif token in "{}":
            depth += 1 if token == "{" else -1
            if inline and token == "}" and inline[-1][1] == depth:
                inline.pop()
            i += 1
        elif token.isidentifier() and tokens[i + 1 : i + 2] == ["::"]:
            path = (token,)
            while tokens[i + 1] == "::" and tokens[i + 2].isidentifier():
                path, i = (*path, tokens[i + 2]), i + 2
            scope.paths.append((here, path))
            i += 1
        else:
            i += 1
    return scope


class Crate:
    """The files of a crate and what each of them names."""

    def __init__(self, source: Path) -> None:
        self.scopes: dict[Module, Scope] = {}
        for path in sorted(source.rglob("*.rs")):
            parts = path.relative_to(source).with_suffix("").parts
            face = parts[-1] == "mod" or parts == ("lib",)
            module = parts[:-1] if face else parts
            self.scopes[module] = read(path.read_text(), module, face)

    def absolute(self, scope: Scope, here: Module, path: Module) -> Module | None:
        """Find the path from the crate's root, or None where it leads out of the crate."""
        first, rest = path[0], path[1:]
        if first == "crate":
            return rest
        if first in ("self", "super"):
            base = here if first == "self" else here[:-1]
            while rest and rest[0] == "super":
                base, rest = base[:-1], rest[1:]
            return base + rest
        bound = scope.bound.get(first)
        if bound and bound[1] != path and bound[1][0] != first:
            full = self.absolute(scope, *bound)
            return None if full is None else full + rest
        return scope.module + path if scope.module + path[:1] in self.scopes else None

    def files(self, path: Module) -> Iterator[Module]:
        """Find the files that a path from the root names."""
        n = next(n for n in range(len(path), -1, -1) if path[:n] in self.scopes)
        scope, rest = self.scopes[path[:n]], path[n:]
        if not scope.face:
            yield scope.module
        elif rest:
            defined = True
            for name, handed in scope.handed_on:
                if name == rest[0] or "*" in (name, rest[0]):
                    full = self.absolute(scope, scope.module, handed)
                    if full is not None:
                        yield from self.files(full + (("*",) if name == "*" == rest[0] else rest[1:]))
                    defined &= name != rest[0]
            if defined:
                yield scope.module

    def arrows(self) -> dict[Module, set[Module]]:
        """Find which files every file names."""
        found: dict[Module, set[Module]] = {}
        for module, scope in self.scopes.items():
            full = (self.absolute(scope, here, path) for here, path in scope.paths)
            found[module] = {target for path in full if path is not None for target in self.files(path)} - {module}
        return found


def circles(arrows: dict[Module, set[Module]]) -> list[str]:
    """Find files that name each other by way of others, one line a circle."""
    found = []
    for start in arrows:
        came: dict[Module, Module] = {}
        waiting = [start]
        while waiting and start not in came:
            file = waiting.pop(0)
            for target in sorted(arrows[file]):
                if target not in came:
                    came[target] = file
                    waiting.append(target)
        if start in came:
            circle = [start, came[start]]
            while circle[-1] != start:
                circle.append(came[circle[-1]])
            if start == min(circle):
                found.append(" -> ".join("::".join(file) for file in reversed(circle)))
    return found


# ---- No circles


@cache
def arrows_of(crate: str) -> dict[Module, set[Module]]:
    """Read a crate once."""
    return Crate(CRATES[crate] / "src").arrows()


@pytest.mark.parametrize("crate", CRATES)
def test_no_files_of_a_crate_name_each_other_in_a_circle(crate: str) -> None:
    assert circles(arrows_of(crate)) == []


def planted(crate: str, files: dict[str, str], folder: Path) -> dict[Module, set[Module]]:
    """Read a copy of a crate to whose files something is appended."""
    source = shutil.copytree(CRATES[crate] / "src", folder / "src")
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)
    return Crate(source).arrows()


@pytest.mark.parametrize(
    "text",
    [
        "use crate::exact::search::SearchRequest;",
        "use crate::{base::Result, exact::{search::{self, SearchRequest as Request}}};",
        "use super::super::exact::search::SearchRequest;",
        "fn planted() { let _ = crate::exact::search::SearchRequest::default(); }",
        "fn planted() { use crate::exact::search; search::run(); }",
        "mod planted { use super::super::super::exact::search::SearchRequest; }",
        # `exact/mod.rs` hands these on.
        "use crate::exact::SearchRequest;",
        "use crate::exact::*;",
        "use crate::exact;\nfn planted(_: &exact::SearchRequest) {}",
        "use crate::exact as other;\nfn planted(_: &other::SearchRequest) {}",
    ],
)
def test_a_planted_circle_is_found(text: str, tmp_path: Path) -> None:
    found = circles(planted("negmine-core", {"base/order.rs": f"\n{text}\n"}, tmp_path))
    assert any("base::order" in circle and "exact::" in circle for circle in found)


def test_names_in_comments_and_strings_plant_no_circle(tmp_path: Path) -> None:
    text = """
// crate::exact::SearchRequest
/* crate::exact::SearchRequest */
const NAMES: [&str; 2] = ["crate::exact::SearchRequest", r#"crate::exact::"SearchRequest"#];
const QUOTE: char = '"'; // crate::exact::SearchRequest
fn lifetime<'a>(name: &'a str) -> &'a str { name }
"""
    assert circles(planted("negmine-core", {"base/order.rs": text}, tmp_path)) == []


def test_a_circle_inside_one_folder_is_found_through_its_mod_rs(tmp_path: Path) -> None:
    # `scoring/mod.rs` hands on `Slack` of `bound.rs`, which uses `score.rs`.
    found = circles(planted("negmine-core", {"scoring/score.rs": "\nuse super::Slack;\n"}, tmp_path))
    assert found == ["scoring::bound -> scoring::score -> scoring::bound"]


# ---- Folders

#: What each folder of the core may use besides itself.
CORE: dict[str, set[str]] = {
    "base": set(),
    "scoring": {"base"},
    "exact": {"base", "scoring"},
    "mine": {"base", "scoring", "exact", "sampling"},
    "cluster": {"base", "scoring"},
    "batch": {"base"},
    "sampling": {"base"},
    "selection": {"base", "scoring"},
    "sketch": {"base"},
    "synthesis": {"base"},
    "behavior": {"base", "sketch"},
}


def test_folders_of_the_core_name_only_those_below_them() -> None:
    arrows = {file: targets for file, targets in arrows_of("negmine-core").items() if file}
    assert {file[0] for file in arrows} == CORE.keys(), "a new folder needs a place in this table"
    found = {(file[0], target[0]) for file, targets in arrows.items() for target in targets}
    assert {(folder, used) for folder, used in found if used not in CORE[folder] | {folder}} == set()


#: What each part of the kernels may use besides itself. Any other folder of `arch` is an architecture.
KERNELS = {
    "tools": set(),
    "shared": {"tools"},
    "portable": {"tools", "shared"},
    "architecture": {"tools", "shared", "portable"},
    "dispatch": {"tools", "shared", "portable", "architecture"},
    "public": {"tools", "shared", "portable", "dispatch"},
}


def part(file: Module) -> tuple[str, str]:
    """Find the part of the kernels that a file belongs to, and the architecture."""
    match file:
        case ("arch", "portable", *_):
            return "portable", ""
        case ("arch", name) if (CRATES["negmine-kernels"] / "src" / "arch" / f"{name}.rs").exists():
            return "shared", ""
        case ("arch", name, *_):
            return "architecture", name
        case ("dispatch",):
            return "dispatch", ""
        case ("aligned" | "fpenv" | "isa",):
            return "tools", ""
    return "public", ""


def broken(arrows: dict[Module, set[Module]]) -> list[str]:
    """Find arrows of the kernels that lead up, or from one architecture to another."""
    return [
        f"{'::'.join(file)} -> {'::'.join(target)}"
        for file, targets in arrows.items()
        for target in targets
        if part(target) != part(file) and part(target)[0] not in KERNELS[part(file)[0]]
    ]


def test_kernels_call_dispatch_and_dispatch_calls_an_architecture() -> None:
    assert broken(arrows_of("negmine-kernels")) == []


NEW_ARCHITECTURE = {
    "arch/mod.rs": "\npub(crate) mod riscv64;\n",
    "arch/riscv64/mod.rs": "pub(crate) mod vector;\n",
    "arch/riscv64/vector.rs": "use crate::arch::codes::Panel;\nuse crate::arch::portable::sums;\n",
}


def test_a_new_architecture_touches_no_file_of_another(tmp_path: Path) -> None:
    assert broken(planted("negmine-kernels", NEW_ARCHITECTURE, tmp_path)) == []


@pytest.mark.parametrize(
    ("file", "text", "arrow"),
    [
        (
            "arch/riscv64/vector.rs",
            "use crate::arch::x86_64::avx2::dot_i8::Scan;\n",
            "arch::riscv64::vector -> arch::x86_64::avx2::dot_i8",
        ),
        (
            "arch/x86_64/avx2/widen.rs",
            "fn planted() { crate::arch::riscv64::vector::add(); }\n",
            "arch::x86_64::avx2::widen -> arch::riscv64::vector",
        ),
        ("arch/x86_64/avx2/widen.rs", "use crate::dot_i8::scan_panel;\n", "arch::x86_64::avx2::widen -> dot_i8"),
        (
            "arch/portable/sums.rs",
            "use crate::arch::x86_64::avx2::widen;\n",
            "arch::portable::sums -> arch::x86_64::avx2::widen",
        ),
        ("sums.rs", "use crate::arch::x86_64::avx2::widen as other;\n", "sums -> arch::x86_64::avx2::widen"),
    ],
)
def test_an_arrow_that_leads_up_or_across_is_found(file: str, text: str, arrow: str, tmp_path: Path) -> None:
    files = NEW_ARCHITECTURE | {file: NEW_ARCHITECTURE.get(file, "\n") + text}
    assert broken(planted("negmine-kernels", files, tmp_path)) == [arrow]


# ---- Crates


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
    sources = [NO_CODE.sub(" ", path.read_text()) for path in (CRATES[crate] / "src").rglob("*.rs")]
    used = set(re.findall(r"\bnegmine_(kernels|core|python)\b", "\n".join(sources)))
    assert {f"negmine-{name}" for name in used} <= allowed


@pytest.mark.parametrize("crate", ["negmine-core", "negmine-python"])
def test_unsafe_code_lives_in_the_kernels_alone(crate: str) -> None:
    assert "#![forbid(unsafe_code)]" in (CRATES[crate] / "src" / "lib.rs").read_text()
