"""Validate the docstrings of the public face with numpydoc: every parameter, type, return value and section.

    python scripts/check_docstrings.py [PREFIX ...]

prints what is wrong, of names that begin with a prefix, and exits with 1 if there is anything.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import negmine

#: Checks that are not part of the house's dialect.
LEFT_OUT = {
    "GL01",  # a docstring begins on its first line
    "SS05",  # numpydoc takes "Address", "Process" and their like for a third person
    "ES01",  # a summary is enough where it says all
    "SA01",  # cross references stand in the text
    "EX01",  # examples are required of the main names only, by tests/docs
    "RT03",  # a returned class has its own page
}


def modules() -> Iterator[str]:
    """Yield the public modules; what the command line shows is its help, not docstrings."""
    yield "negmine"
    for found in pkgutil.walk_packages(negmine.__path__, "negmine."):
        parts = found.name.split(".")
        if not any(part.startswith("_") for part in parts) and parts[1] != "cli":
            yield found.name


def public_names() -> Iterator[str]:
    """Yield the dotted name of every public class, method, property and function."""
    seen = set()
    for module in modules():
        try:
            loaded = importlib.import_module(module)
        except ImportError:  # an extra that is not installed
            continue
        for name in getattr(loaded, "__all__", ()):
            thing = getattr(loaded, name)
            place = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or place in seen:
                continue
            if not place.startswith("negmine."):
                continue
            seen.add(place)
            yield place
            if inspect.isclass(thing):
                yield from (f"{place}.{member}" for member in methods(thing))


def methods(cls: type) -> Iterator[str]:
    """Yield the public methods and properties that a class defines itself."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if not name.startswith("_") and inspect.isfunction(function):
            yield name


def errors(name: str) -> Iterator[str]:
    """Yield what numpydoc finds wrong, except what the class says under Attributes instead of Parameters."""
    found = validate(name)
    for code, message in found["errors"]:
        if code in LEFT_OUT or (code == "PR01" and documents_attributes(name)):
            continue
        yield f"{name}: {code} {message}"


def documents_attributes(name: str) -> bool:
    """Whether a name is a result class, whose fields are documented as attributes."""
    module, _, last = name.rpartition(".")
    thing = getattr(sys.modules.get(module), last, None)
    return inspect.isclass(thing) and bool(get_doc_object(thing)["Attributes"])


def main(prefixes: list[str]) -> int:
    """Print the errors of all names, or of those with a prefix; return the exit code."""
    names = [name for name in public_names() if not prefixes or name.startswith(tuple(prefixes))]
    wrong = [error for name in names for error in errors(name)]
    print(*wrong, sep="\n")
    print(f"{len(names)} public names, {len(wrong)} errors")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
