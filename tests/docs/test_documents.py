"""Documents: the files, commands and names that they mention exist, links lead somewhere, and code in them runs."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import negmine
import replayed
from negmine._core import formats

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: How pages of the site link to files that are no pages.
REPOSITORY = "https://github.com/negmine/negmine/"
PAGES = {str(path.relative_to(ROOT)): path for path in (ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))}
#: The page whose tables name other libraries in their first column.
FOREIGN = "docs/coming_from.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
NAME = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::)[A-Za-z_]\w*)*(?:\(.*\))?")
#: Suffixes of files that are part of the repository wherever a document names them.
SOURCE = (".py", ".pyi", ".rs", ".md", ".toml", ".sh", ".yml", ".cff")

#: Suffixes of files that users have.
DATA = (".json", ".jsonl", ".npy", ".npz", ".parquet", ".part", ".table")


@cache
def files() -> tuple[str, ...]:
    """List the files of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(name for name in listed if (ROOT / name).exists())


@cache
def words() -> frozenset[str]:
    """Collect the identifiers of all sources."""
    found: set[str] = set()
    for name in files():
        if name.endswith((".py", ".pyi", ".rs")) and not name.endswith("test_documents.py"):
            found.update(re.findall(r"[A-Za-z_]\w*", (ROOT / name).read_text(encoding="utf-8")))
    return frozenset(found)


@cache
def public() -> dict[str, Any]:
    """Map every public name of the package to what it is."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(negmine.__path__, "negmine."):
        if module.name.startswith(("negmine.integrations.", "negmine.__main__", "negmine._")):
            continue
        loaded = importlib.import_module(module.name)
        found |= {name: getattr(loaded, name) for name in getattr(loaded, "__all__", ())}
    return found


@cache
def commands() -> dict[str, set[str]]:
    """Map the commands of the command line to their options."""
    typer = pytest.importorskip("typer")
    from negmine.cli.app import app

    group = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in group.commands.items()
    }


def wrong_path(span: str) -> str | None:
    """Say what is wrong with a path."""
    top = {name.partition("/")[0] for name in files()}
    if span.partition("/")[0] in top:
        if "*" in span:
            return None if list(ROOT.glob(span)) else "no file matches"
        return None if (ROOT / span).exists() else "no such file"
    tail = span.rstrip("/")
    ends = any(f"/{name}".endswith(f"/{tail}") or f"/{tail}/" in f"/{name}" for name in files())
    return None if ends else "no file ends so"


def wrong_command(span: str) -> str | None:
    """Say what is wrong with a command line."""
    program, *rest = shlex.split(span)
    if program == "make":
        targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        missing = [target for target in rest if target not in targets]
        return f"no target {missing[0]}" if missing else None
    if program == "negmine":
        command, *arguments = rest
        if command not in commands():
            return f"no command {command}"
        options = {argument.partition("=")[0] for argument in arguments if argument.startswith("-")}
        missing = sorted(options - commands()[command])
        return f"no option {missing[0]}" if missing else None
    paths = [word for word in rest if "/" in word and not word.startswith("-")]
    return next((problem for problem in map(wrong_path, paths) if problem), None)


def wrong_name(span: str) -> str | None:
    """Say what is wrong with a name, or with the keywords of a call."""
    parts = re.split(r"\.|::", span.partition("(")[0])
    if parts[0] == "negmine":
        return wrong_module(parts)
    missing = [part for part in parts if part not in words()]
    if missing:
        return f"no source says {missing[0]}"
    known = public().get(parts[0])
    if known is not None and len(parts) > 1 and not has(known, parts[1]):
        return f"{parts[0]} has no {parts[1]}"
    return wrong_call(span) if "(" in span else None


def wrong_module(parts: list[str]) -> str | None:
    """Say what is wrong with a name that begins with the package."""
    found: Any = negmine
    for number, part in enumerate(parts[1:], 2):
        if inspect.ismodule(found) and not hasattr(found, part):
            try:
                importlib.import_module(".".join(parts[:number]))
            except ModuleNotFoundError as error:
                if not str(error.name).startswith("negmine"):
                    return None  # an adapter whose package is not installed
                return f"{'.'.join(parts[: number - 1])} has no {part}"
        if not has(found, part):
            return f"{'.'.join(parts[: number - 1])} has no {part}"
        found = getattr(found, part, None)
    return None


def has(found: Any, name: str) -> bool:
    """Whether something has an attribute, those of its instances included."""
    fields = [entry.name for entry in dataclasses.fields(found)] if dataclasses.is_dataclass(found) else []
    return hasattr(found, name) or name in fields or name in getattr(found, "__annotations__", {})


def wrong_call(span: str) -> str | None:
    """Say which keyword a call of a public function has that the function has not."""
    try:
        calls = [node for node in ast.walk(ast.parse(span, mode="eval")) if isinstance(node, ast.Call)]
    except SyntaxError:  # mathematics, not a call
        return None
    for call in calls:
        function = resolved(call.func)
        if callable(function):
            parameters = inspect.signature(function).parameters
            takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
            missing = [keyword.arg for keyword in call.keywords if keyword.arg not in parameters and not takes_all]
            if missing:
                return f"no argument {missing[0]}"
    return None


def resolved(node: ast.expr) -> Any:
    """Find what an expression names; of a call of a class, the class; None where that is not known."""
    if isinstance(node, ast.Name):
        return public().get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(resolved(node.value), node.attr, None)
    if isinstance(node, ast.Call):
        made = resolved(node.func)
        return made if inspect.isclass(made) else None
    return None


def problem(span: str) -> str | None:
    """Say what is wrong with what stands in backticks; None where nothing is, or where it is no such thing."""
    first = span.split()[0]
    if span.endswith(DATA):
        return None
    if first in ("make", "negmine", "pytest", "python", "cargo") and " " in span:
        return wrong_command(span)
    if span.startswith("--"):
        known = set().union(*commands().values())
        texts = [ROOT / name for name in files() if name.startswith(("scripts/", "benches/"))]
        is_known = first in known or any(f'"{first}"' in path.read_text("utf-8", "replace") for path in texts)
        return None if is_known else "no such option"
    if re.fullmatch(r"[\w.*/-]+", span) and span[0] != ".":
        top = {name.partition("/")[0] for name in files() if "/" in name}
        if span.endswith((*SOURCE, "/")) or ("/" in span and span.partition("/")[0] in top):
            return wrong_path(span)
    return wrong_name(span) if NAME.fullmatch(span) else None


def spans(page: str) -> Iterator[str]:
    """Yield what stands in backticks on a page."""
    for line in FENCE.sub("", PAGES[page].read_text(encoding="utf-8")).splitlines():
        if page == FOREIGN:
            line = line.partition("|")[2].partition("|")[2]
        yield from SPAN.findall(line)


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language on a page."""
    return [text for name, text in FENCE.findall(PAGES[page].read_text(encoding="utf-8")) if name == language]


@pytest.mark.parametrize("page", PAGES)
def test_what_stands_in_backticks_exists(page: str) -> None:
    found = {span: problem(span) for span in spans(page)}
    assert {span: wrong for span, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in replayed.PAGES])
def test_commands_in_blocks_exist(page: str) -> None:
    lines = [line for text in blocks(page, "bash") for line in text.splitlines() if line]
    assert {line: wrong for line in lines if (wrong := problem(line))} == {}


@pytest.mark.parametrize(
    "span",
    [
        "python/negmine/nowhere.py",
        "nowhere.rs",
        "rust/negmine-core/src/*/nowhere.rs",
        "make nothing",
        "negmine mime",
        "negmine mine --relative-margins 0.1",
        "--relative-margins",
        "pytest tests/mining/test_nothing.py",
        "negmine.mining.nothing",
        "negmine.mining.HardNegativeMiner.nothing",
        "HardNegativeMiner.nothing",
        "nothing_is_called_so",
        "mine::nothing_is_called_so",
        "kmeans(embeddings, clusters=3)",
        "ExactIndex(corpus).search(queries, k, excluded=None)",
    ],
)
def test_what_does_not_exist_is_found(span: str) -> None:
    assert problem(span)


def has_anchor(text: str, anchor: str) -> bool:
    """Whether a page has an anchor: that of a heading, or a name of the reference or one of its members."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    names = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    if anchor.startswith("negmine."):
        is_there = any(f"{anchor}.".startswith(f"{name}.") for name in names)
        return is_there and wrong_module(anchor.split(".")) is None
    return anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path, link: str) -> bool:
    """Whether a link of a page leads nowhere; links to other sites are not followed."""
    if link.startswith(REPOSITORY):
        return not (ROOT / link.removeprefix(REPOSITORY).partition("/main/")[2]).exists()
    if re.match(r"[a-z]+:", link):
        return False
    file, _, anchor = link.partition("#")
    target = (path.parent / file).resolve() if file else path
    if path.is_relative_to(DOCS) and not target.is_relative_to(DOCS):
        return True  # the site has no other files
    if not anchor or target.suffix != ".md":  # what follows the name of a picture chooses light or dark
        return not target.exists()
    return not target.exists() or not has_anchor(target.read_text(encoding="utf-8"), anchor)


@pytest.mark.parametrize("page", [*PAGES, "README.md", "benches/README.md", "benches/python/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = LINK.findall(FENCE.sub("", (ROOT / page).read_text(encoding="utf-8")))
    assert [link for link in links if broken(ROOT / page, link)] == []


def test_broken_links_are_found() -> None:
    page = PAGES["docs/architecture.md"]
    assert broken(page, "nothing.md")
    assert broken(page, "glossary.md#nothing")
    assert broken(page, "reference/mining.md#negmine.ExactIndex")
    assert broken(page, "reference/mining.md#negmine.CandidatePool.nothing")
    assert broken(page, "../CHANGELOG.md")
    assert broken(page, f"{REPOSITORY}blob/main/nothing.md")
    assert not broken(page, "glossary.md#mining")
    assert not broken(page, "reference/mining.md#negmine.CandidatePool.rescore")
    assert not broken(page, f"{REPOSITORY}blob/main/CHANGELOG.md")


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python") and page not in replayed.PAGES])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in blocks(page, "python"):
        module = types.ModuleType("example")
        monkeypatch.setitem(sys.modules, "example", module)
        exec(compile(text, page, "exec", dont_inherit=True), vars(module))


def test_the_example_of_a_policy_applies() -> None:
    (change,) = blocks("docs/extend/policy.md", "diff")
    command = ["git", "apply", "--check", "-"]
    applied = subprocess.run(command, input=change, cwd=ROOT, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr


def test_every_format_is_listed() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| ([^|]+) \| (\d+) \|", PAGES["docs/file_formats.md"].read_text(), re.MULTILINE
    )
    assert {name: (kind, int(version)) for name, kind, version in rows} == {
        name: (form.kind, form.version) for name, form in formats.TABLE.items()
    }


def test_every_argument_of_another_miner_is_listed() -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.util import mine_hard_negatives

    text = PAGES[FOREIGN].read_text(encoding="utf-8")
    table = text[text.index("| argument of") :].split("\n\n")[0]
    named = {name for line in table.splitlines() for name in SPAN.findall(line.split("|")[1])}
    assert set(inspect.signature(mine_hard_negatives).parameters) <= named


def test_the_tree_of_contributing_is_there() -> None:
    tree = blocks("CONTRIBUTING.md", "text")[0]
    parents: list[str] = []
    missing = []
    for line in tree.splitlines():
        folder = re.match(r"( *)(\S+/)", line)
        assert folder, line
        parents[len(folder[1]) // 4 :] = [folder[2]]
        if not (ROOT / "".join(parents)).is_dir():
            missing.append("".join(parents))
    assert missing == []
    listed = {match[1] for match in re.finditer(r"^    (\w+)/ ", tree.split("rust/")[0], re.MULTILINE)}
    assert listed == {path.parent.name for path in (ROOT / "python" / "negmine").glob("*/__init__.py")}
