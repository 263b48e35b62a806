"""Errors in the arguments of the command line, and messages that name options."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from negmine._core import files
from negmine.errors import NegmineError

__all__ = ["ArgumentError", "OptionNames", "arguments", "check_out"]

#: Names in messages for labels that no option gives directly.
_LABELS = {"query_ids": "the labels of the queries", "document_ids": "the labels of the documents"}

#: Options for arguments of the library that have another name on the command line.
ALIASES: dict[str, dict[str, str]] = {
    "mine": {
        "folder": "`--job`",
        "path": "`--out`",
        "name": "`--embedding-name`",
        "documents": "`--document-texts`",
        "ids": _LABELS["document_ids"],
        "cache": "the folder `negmine-embeddings`",
        **_LABELS,
    },
    "check": {"path": "`FILE`"},
    "convert": {"path": "`SOURCE`", "queries": "`--query-texts`", "documents": "`--document-texts`"},
    "cluster": {"path": "`--out`", "name": "`--embedding-name`"},
    "dedup": {"path": "`--out`", "name": "`--embedding-name`"},
    "evaluate": {"path": "`ANSWER`", "negatives": "`ANSWER`", **_LABELS},
    "inspect": {"path": "`--out`", "negatives": "`ANSWER`", **_LABELS},
    "sweep": {
        "name": "`--embedding-name`",
        "path": "`--plot`",
        "documents": "`--document-texts`",
        "ids": _LABELS["document_ids"],
        **_LABELS,
    },
    "verify": {"path": "`ANSWER`", "negatives": "`ANSWER`", "name": "`--embedding-name`"},
}


class ArgumentError(Exception):
    """Error for an invalid argument; the exit code is 2."""


@contextlib.contextmanager
def arguments(*names: str) -> Iterator[None]:
    """Turn errors of the library into errors of the command line.

    Parameters
    ----------
    *names : str
        Only errors about these arguments. Default: all errors.

    Yields
    ------
    None

    Raises
    ------
    ArgumentError
        The block raised such an error.
    """
    try:
        yield
    except NegmineError as error:
        if names and not str(error).startswith(tuple(f"`{name}`" for name in names)):
            raise
        raise ArgumentError(str(error)) from error


def check_out(out: Path, suffixes: Sequence[str], *, force: bool, name: str = "out") -> None:
    """Refuse, before the work, a file that cannot be written or that exists and may not be overwritten."""
    if files.suffix_of(out) not in suffixes:
        raise ArgumentError(f"`--{name}` must end in {' or '.join(suffixes)}; got {out}.")
    if not out.resolve().parent.is_dir():
        raise ArgumentError(f"`--{name}` must lie in a folder that exists; got {out}.")
    if out.is_dir():
        raise ArgumentError(f"`--{name}` must be a file; got the folder {out}.")
    if out.exists() and not force:
        raise ArgumentError(f"`--{name}` must not exist, or `--force` must be given to overwrite it; got {out}.")


class OptionNames:
    """Rewriter of the library's messages, which name arguments, so that they name the options of a command.

    Parameters
    ----------
    command : str
        Name of the command.
    parameters : sequence
        Parameters of the command, as objects of typer.
    """

    def __init__(self, command: str, parameters: Sequence[Any]) -> None:
        options = {}
        for parameter in parameters:
            is_option = parameter.param_type_name == "option"
            options[parameter.name] = f"`{parameter.opts[0] if is_option else parameter.name.upper()}`"
        self._names: Mapping[str, str] = {**ALIASES.get(command, {}), **options}
        self._flags = {options[parameter.name] for parameter in parameters if getattr(parameter, "is_flag", False)}

    def rewrite(self, message: str) -> str:
        """Replace names of arguments by names of options.

        Parameters
        ----------
        message : str
            Message of the library.

        Returns
        -------
        str
        """

        def option(found: re.Match[str]) -> str:
            return self._names.get(found[1], found[0])

        def assignment(found: re.Match[str]) -> str:
            return f"{self._names[found[1]].strip('`')}=" if found[1] in self._names else found[0]

        message = re.sub(r"(?<![\w`.])([a-z_]+)=(?=\S)", assignment, re.sub(r"`([a-z_]+)`", option, message))
        for flag in self._flags:
            message = message.replace(f"{flag} must be True", f"{flag} must be given")
        for name in self._names.values():
            message = message.replace(f"{name} must be None", f"{name} must not be given")
        return message[:1].upper() + message[1:] if message.startswith("the labels") else message
