"""Commands of the command line; each ends with one clear line and an exit code, never with a traceback of negmine."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from negmine import _native
from negmine._core.reprs import printable
from negmine.cli import check, cluster, convert, dedup, demo, evaluate, info, inspect, merge, mine, sweep, verify
from negmine.cli.errors import ArgumentError, OptionNames
from negmine.errors import NegmineError, NegmineWarning

__all__ = ["app", "run"]

app = typer.Typer(
    name="negmine",
    help="Exact, certified mining of hard negatives.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("mine")(mine.command)
app.command("merge")(merge.command)
app.command("check")(check.command)
app.command("cluster")(cluster.command)
app.command("convert")(convert.command)
app.command("dedup")(dedup.command)
app.command("demo")(demo.command)
app.command("evaluate")(evaluate.command)
app.command("inspect")(inspect.command)
app.command("sweep")(sweep.command)
app.command("verify")(verify.command)
app.command("info")(info.command)

INTERRUPTED = 130


def _version(value: bool) -> None:
    if value:
        typer.echo(f"negmine {_native.build_info()['version']}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """Exact, certified mining of hard negatives."""


#: Environment variable that enables the traceback of an unexpected error.
TRACEBACK = "NEGMINE_TRACEBACK"


def run(arguments: list[str]) -> int:
    """Run a command, and return its exit code."""
    names = _option_names(arguments)

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        sys.stderr.write(f"negmine: warning: {printable(names.rewrite(str(message)))}\n")

    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        warnings.simplefilter("always", NegmineWarning)
        return _run(arguments, names)


def _option_names(arguments: list[str]) -> OptionNames:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    command = next((argument for argument in arguments if argument in commands), "")
    return OptionNames(command, commands[command].params if command else [])


def _run(arguments: list[str], names: OptionNames) -> int:
    try:
        # By default, typer prints usage errors in a box of several lines.
        code = app(arguments, prog_name="negmine", standalone_mode=False)
    except ArgumentError as error:
        return _failed(names.rewrite(str(error)), 2)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except typer.Exit as exit_:
        code = exit_.exit_code
    except NegmineError as error:
        return _failed(names.rewrite(str(error)), 1)
    except (OSError, MemoryError) as error:
        return _failed(f"{type(error).__name__}: {error}", 1)
    except Exception as error:
        message = getattr(error, "format_message", None)  # typer's own errors, whose classes moved between versions
        if message is None:
            if os.environ.get(TRACEBACK):
                raise
            kind = type(error).__name__
            return _failed(f"unexpected {kind}: {error}; please report it, with what {TRACEBACK}=1 shows", 1)
        return _failed(message() or "no command was given", int(getattr(error, "exit_code", 2)))
    if code == INTERRUPTED:  # some versions of typer turn Ctrl-C into this code
        return _failed("stopped; what a job has finished is kept, and --resume goes on", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int) -> int:
    sys.stderr.write(f"negmine: error: {printable(' '.join(message.split()))}\n")
    return code
