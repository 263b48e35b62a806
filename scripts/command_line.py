"""Write docs/reference/command_line.md, the reference of the command line, from the help of every command.

With ``--check``, nothing is written, and the exit code is 1 if the page is outdated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer

from negmine.cli.app import app

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "command_line.md"

HEAD = """\
# Command line

`pip install 'negmine[cli]'` installs the command `negmine`. Results go to stdout or to files, progress and errors to
stderr. The exit code is 0 for success, 1 for an error or for a check that found a fault, 2 for a wrong option, and 130
after Ctrl-C. With -h, a command prints its part of this page, which `scripts/command_line.py` writes.
"""

#: Groups of parameters, in the order of the page.
GROUPS = ("Arguments", "Inputs", "Which negatives", "Output", "Resumable jobs", "Machine", "Options")

#: Words for the types of parameters.
WORDS = {Path: "path", bool: "flag", float: "number", int: "integer", str: "text"}


def page() -> str:
    """Return the text of the page."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    functions = {registered.name: registered.callback for registered in app.registered_commands}
    return HEAD + "".join(section(name, command, functions[name]) for name, command in commands.items())


def section(name: str, command: Any, function: Callable[..., Any] | None) -> str:
    """Return the section of a command: what it does, an example, and its options in their groups."""
    types = get_type_hints(function)
    arguments = [f" {one.name.upper()}" for one in command.params if one.param_type_name == "argument"]
    text = [f"\n## {name}\n", f"```text\nnegmine {name} [OPTIONS]{''.join(arguments)}\n```\n"]
    text += [paragraph(part) for part in command.help.split("\n\n")]
    for group, parameters in groupby(sorted(command.params, key=group_of), key=group_of):
        text += [f"| {group[1]} | type | default | meaning |\n| --- | --- | --- | --- |"]
        text += [row(parameter, types[parameter.name]) for parameter in parameters] + [""]
    return "\n".join(text)


def paragraph(text: str) -> str:
    """Return a paragraph of a help text; one that is a command becomes a block."""
    return f"```bash\n{text}\n```\n" if text.startswith("negmine ") else f"{text}\n"


def group_of(parameter: Any) -> tuple[int, str]:
    """Return the place and the title of a parameter's group."""
    title = "Arguments" if parameter.param_type_name == "argument" else parameter.rich_help_panel or "Options"
    return GROUPS.index(title), title


def row(parameter: Any, kind: Any) -> str:
    """Return a parameter as a row of the table of its group."""
    names = [f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts)]
    is_argument = parameter.param_type_name == "argument"
    cells = [
        parameter.name.upper() if is_argument else ", ".join(names),
        type_of(kind),
        default_of(parameter),
        parameter.help,
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def default_of(parameter: Any) -> str:
    """Return the default of a parameter, empty where there is none."""
    if isinstance(parameter.default, bool):
        return "on" if parameter.default else "off"
    return "required" if parameter.required else "" if parameter.default is None else str(parameter.default)


def type_of(kind: Any) -> str:
    """Return the word for a type: that of the items of a list, and of what may also be None."""
    for part in get_args(kind):
        if part is not type(None):
            return f"{type_of(part)}, repeated" if get_origin(kind) is list else type_of(part)
    return WORDS[kind]


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
