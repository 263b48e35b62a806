"""Docstrings: every example runs, and every argument and field of the public face is told."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import negmine

for package in ("hnswlib", "pyarrow", "typer", "rich", "torch"):
    pytest.importorskip(package)

MODULES = ["negmine", *(found.name for found in pkgutil.walk_packages(negmine.__path__, "negmine."))]
#: Running it is the command; the other holds no Python.
MODULES = [name for name in MODULES if name not in ("negmine.__main__", "negmine._native")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    if name.startswith("negmine.integrations.") and "._" not in name:
        # Each adapter is named after what it needs.
        pytest.importorskip(name.split(".")[2].replace("torch_distributed", "torch.distributed"))
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0, "the differences stand above"


#: Modules that users import from.
FACES = (
    "negmine",
    "negmine.demo",
    "negmine.integrations.sentence_transformers",
    "negmine.io",
    "negmine.torch",
    "negmine.torch.losses",
    "negmine.torch.testing",
    "negmine.weights",
)


def public() -> Iterator[tuple[str, Any, str]]:
    """Everything that a user calls or reads: its name, the object, and the text that must tell its names."""
    for module in map(importlib.import_module, FACES):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) and not issubclass(thing, Exception):
                yield f"{module.__name__}.{name}", thing, inspect.getdoc(thing) or ""
                for key, member in vars(thing).items():
                    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                    if not key.startswith("_") and inspect.isfunction(function):
                        yield f"{module.__name__}.{name}.{key}", function, inspect.getdoc(function) or ""
            elif inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing, inspect.getdoc(thing) or ""


def sections(text: str) -> dict[str, set[str]]:
    """Names in the NumPy sections of a docstring: ``a, b : type`` tells both."""
    found: dict[str, set[str]] = {}
    heads = list(re.finditer(r"^(\w[\w ]*)\n-{3,}$", text, re.MULTILINE))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=False):
        body = text[head.end() : end]
        lines = [line for line in body.splitlines() if line and not line.startswith(" ")]
        found[head[1]] = {name.strip().lstrip("*") for line in lines for name in line.partition(" :")[0].split(",")}
    return found


def arguments(thing: Callable[..., Any]) -> set[str]:
    """Names that a caller may give, but for what is private."""
    names = set(inspect.signature(thing).parameters) - {"self", "cls"}
    return {name for name in names if not name.startswith("_")}


FACE = list(public())


@pytest.mark.parametrize(("name", "thing", "text"), FACE, ids=[name for name, _, _ in FACE])
def test_every_argument_and_field_is_told(name: str, thing: Any, text: str) -> None:
    assert text, "a docstring"
    if inspect.isclass(thing) and issubclass(thing, int):
        return  # an enumeration
    if getattr(thing, "_is_protocol", False):
        return  # nobody makes one
    told = sections(text)
    if inspect.isclass(thing) and (dataclasses.is_dataclass(thing) or issubclass(thing, tuple)):
        names = thing._fields if issubclass(thing, tuple) else [field.name for field in dataclasses.fields(thing)]
        wanted = {name for name in names if not name.startswith("_")}
        assert wanted <= told.get("Parameters", set()) | told.get("Attributes", set())
    else:
        # A short docstring may tell an argument in its sentence.
        in_sentences = set(re.findall(r"``(\w+)``", text))
        assert arguments(thing) <= told.get("Parameters", set()) | in_sentences


CLASSES = ("CandidatePool", "Eligibility", "ExactIndex", "HardNegativeMiner", "HardNegatives", "Positives", "Softmax")


@pytest.mark.parametrize("name", [*CLASSES, "mine", "mine_to", "score_pairs", "verify"])
def test_the_main_names_have_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(negmine, name)) or "")


def test_the_reader_of_sections() -> None:
    text = "Head.\n\nParameters\n----------\na, b : int\n    What.\n**rest\n    More.\n\nReturns\n-------\nint\n"
    assert sections(text) == {"Parameters": {"a", "b", "rest"}, "Returns": {"int"}}
