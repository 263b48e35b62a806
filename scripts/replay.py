"""Replay a page: run its snippets in order, and compare what they print with the page.

Python blocks share one interpreter and a temporary folder, in which shell blocks run as well. A ``text`` block right
after a snippet is what the snippet writes to stdout; without one, the snippet must print nothing. White space at the
end of lines does not count, and ``...`` stands for one word that varies, such as seconds. Warnings are errors.

Shell blocks after a ``<!-- run -->`` line change the environment, so they run only with ``--environment``, before all
others and in the root of the repository, and what they print is not compared. ``--write`` puts what the snippets print
into the page.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(
    r"^(?P<mark><!-- run -->\n)?```(?P<language>python|bash)\n(?P<text>.*?)^```\n"
    r"(?P<output>\n```text\n(?P<shown>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A block of code of a page, and what the page says that it prints."""

    page: Path
    line: int
    language: str
    text: str
    shown: str
    changes_environment: bool
    output: slice

    @property
    def place(self) -> str:
        """Page and line, as compilers write them."""
        return f"{self.page}:{self.line}"


def snippets(page: Path) -> list[Snippet]:
    """Return the snippets of a page."""
    source = page.read_text(encoding="utf-8")
    return [
        Snippet(
            page=page,
            line=source.count("\n", 0, block.start("text")) + 1,
            language=block["language"],
            text=block["text"],
            shown=block["shown"] or "",
            changes_environment=block["mark"] is not None,
            output=slice(block.end() if block["output"] is None else block.start("output"), block.end()),
        )
        for block in BLOCK.finditer(source)
    ]


def printed_by(snippet: Snippet, module: types.ModuleType) -> str:
    """Run a snippet, and return what it and its processes write to stdout."""
    if snippet.language == "bash":
        return run_shell(snippet)
    # Lines before the snippet make a traceback name the line of the page.
    code = compile("\n" * (snippet.line - 1) + snippet.text, str(snippet.page), "exec", dont_inherit=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        sys.stdout.flush()
        stdout = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            exec(code, vars(module))
        finally:
            sys.stdout.flush()
            os.dup2(stdout, 1)
            os.close(stdout)
        file.seek(0)
        return file.read()


def run_shell(snippet: Snippet) -> str:
    """Run a shell snippet, with the commands of this interpreter's environment first."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", snippet.text],
        cwd=ROOT if snippet.changes_environment else None,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=None if snippet.changes_environment else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{snippet.place}: exit code {done.returncode}\n{done.stdout or ''}")
    return done.stdout or ""


def difference(snippet: Snippet, printed: str) -> str:
    """Return how the output differs from what the page shows; empty if it does not."""
    shown, came = ([line.rstrip() for line in text.rstrip().splitlines()] for text in (snippet.shown, printed))
    if len(shown) == len(came) and all(map(fits, shown, came)):
        return ""
    return "\n".join(difflib.unified_diff(shown, came, f"{snippet.place} shows", "and prints", lineterm=""))


def fits(shown: str, came: str) -> bool:
    """Whether a line is as shown."""
    return re.fullmatch(r"\S+".join(map(re.escape, shown.split("..."))), came) is not None


def replay(page: Path, *, environment: bool) -> Iterator[tuple[Snippet, str]]:
    """Run the snippets of a page, and yield each with what it prints, except those that change the environment."""
    found = snippets(page)
    for snippet in found:
        if snippet.changes_environment and environment:
            print(f"--- {snippet.place}\n{snippet.text.rstrip()}", flush=True)
            run_shell(snippet)
    importlib.invalidate_caches()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    os.environ["COLUMNS"] = "80"  # the width of a terminal, where there is none
    folder = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("error")
        os.chdir(scratch)
        try:
            for snippet in found:
                if not snippet.changes_environment:
                    yield snippet, printed_by(snippet, module)
        finally:
            os.chdir(folder)


def rewritten(page: Path, outputs: list[tuple[Snippet, str]]) -> str:
    """Return the page with the outputs that came; lines that fit stay as they are."""
    source = page.read_text(encoding="utf-8")
    for snippet, printed in reversed(outputs):
        if difference(snippet, printed):
            text = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
            block = f"\n```text\n{text}```\n" if text else ""
            source = source[: snippet.output.start] + block + source[snippet.output.stop :]
    return source


def main() -> int:
    """Replay one page; 1 if an output differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--environment", action="store_true", help="run the blocks that change the environment, too")
    parser.add_argument("--write", action="store_true", help="put the outputs into the page")
    options = parser.parse_args()
    return run(options.page.resolve(), environment=options.environment, write=options.write)


def run(page: Path, *, environment: bool, write: bool = False) -> int:
    """Replay a page, and report or write what differs."""
    outputs = list(replay(page, environment=environment))
    if write:
        page.write_text(rewritten(page, outputs), encoding="utf-8")
        return 0
    differences = [found for snippet, printed in outputs if (found := difference(snippet, printed))]
    print("\n".join(differences) or f"{page.name}: {len(outputs)} snippets print what the page shows")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
