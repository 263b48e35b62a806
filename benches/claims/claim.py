"""Records of claims: when they are stale, how they are run, and the table in docs/claims.md.

    python benches/claims/claim.py            # print every verdict on record, and which are stale
    python benches/claims/claim.py --write    # write the table of docs/claims.md
    python benches/claims/claim.py --check    # fail if that table differs from the records

A script of this folder makes one record, under `results/`; it runs again only where a source that the record depends on
has changed, or with `--again`. `verdict.py` has the rules of a verdict.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import sys
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "claims.md"
#: What may have a docstring.
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
#: What stands before and after the table on the page.
BEGIN, END = "<!-- table of the records -->", "<!-- end of the table -->"


def digest(sources: Sequence[str]) -> str:
    """Digest of the code in the files that some patterns, relative to the repository, name."""
    found = hashlib.sha256()
    for pattern in sorted(sources):
        files = sorted(path for path in ROOT.glob(pattern) if path.is_file())
        if not files:
            raise FileNotFoundError(pattern)
        for path in files:
            found.update(f"{path.relative_to(ROOT)}\0".encode())
            found.update(code_of(path) if path.suffix == ".py" else path.read_bytes())
    return found.hexdigest()


def code_of(path: Path) -> bytes:
    """Text of a Python file without docstrings, comments and empty lines, which no result depends on."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            first, last = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
            lines[first:last] = [lines[first][: docstring.col_offset], *[""] * (last - first - 1)]
    return "\n".join(line.rstrip() for line in lines if line.strip()).encode()


def run(name: str, sources: Sequence[str], experiment: Callable[[], list[Verdict]]) -> None:
    """Run an experiment whose record is missing or stale, and print what is on record then."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--again", action="store_true", help="run though nothing has changed")
    again = parser.parse_args().again
    sources = [*sources, "benches/claims/verdict.py"]
    path = RESULTS / f"{name}.json"
    if again or not path.exists() or stale(path):
        verdicts = [asdict(verdict) for verdict in experiment()]
        record = {"sources": sources, "digest": digest(sources), "verdicts": verdicts}
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table([path]))


def stale(path: Path) -> bool:
    """Whether a source of a record has changed, or has moved, since."""
    record = json.loads(path.read_text(encoding="utf-8"))
    try:
        return digest(record["sources"]) != record["digest"]
    except FileNotFoundError:
        return True


def table(paths: Sequence[Path], *, marked: bool = True) -> str:
    """Records as Markdown; with `marked`, stale verdicts say so."""
    lines = [
        "| claim | paper | data | metric | seeds | baseline | method | 95 % of the difference | margin | verdict "
        "| hardness | false negatives | seconds |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for path in paths:
        mark = " (stale)" if marked and stale(path) else ""
        lines += [line(row, mark) for row in json.loads(path.read_text(encoding="utf-8"))["verdicts"]]
    return "\n".join(lines)


def line(row: dict[str, Any], mark: str) -> str:
    """One verdict as a row of the table; what its record does not have is empty."""

    def shown(name: str, form: str) -> str:
        value = row.get(name)
        return "" if value is None else format(value, form)

    cells = [
        row["claim"],
        row.get("paper", ""),
        row["data"],
        row["metric"],
        str(row["seeds"]),
        f"{row['baseline']:.4f}",
        f"{row['method']:.4f}",
        f"{row['low']:+.4f} to {row['high']:+.4f}",
        str(row["margin"]),
        row["verdict"] + mark,
        shown("hardness", ".2f"),
        shown("false_negatives", ".1%"),
        shown("seconds", ".0f"),
    ]
    return f"| {' | '.join(cells)} |"


def page(text: str) -> str:
    """Put the table of all records between the marks of the page."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(records(), marked=False)}\n\n{END}{after}"


def records() -> list[Path]:
    """List the records."""
    return sorted(RESULTS.glob("*.json"))


def main() -> int:
    """Print the table, or write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table of docs/claims.md")
    parser.add_argument("--check", action="store_true", help="compare it, and write nothing")
    given = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    if given.check:
        return int(page(text) != text)
    if given.write:
        PAGE.write_text(page(text), encoding="utf-8")
    else:
        print(table(records()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
