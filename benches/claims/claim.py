"""What a claim is: a baseline, a method, several seeds, and the verdict that their paired differences allow.

    python benches/claims/claim.py

prints every verdict that is on record, and says which are stale. A script of this folder makes one record, under
`results/`; it runs again only where a source that the record depends on has changed, or with `--again`.

The verdicts, of the 95 % interval of the paired difference (Student's t):

- "reproduced" and "reversed": the interval lies above, or below, zero;
- "no difference": it holds zero, is narrower than the margin that the script fixed, and the baseline was tuned over the
  same grid as the method;
- "underpowered": anything else; the question stays open.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"


def digest(sources: Sequence[str]) -> str:
    """Digest of the files that some patterns, relative to the repository, name."""
    found = hashlib.sha256()
    for pattern in sorted(sources):
        files = sorted(path for path in ROOT.glob(pattern) if path.is_file())
        if not files:
            raise FileNotFoundError(pattern)
        for path in files:
            found.update(f"{path.relative_to(ROOT)}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


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


def table(paths: Sequence[Path]) -> str:
    """Records as Markdown."""
    lines = [
        "| claim | data | metric | seeds | baseline | method | 95 % of the difference | margin | verdict |",
        "| --- | --- | --- | ---: | ---: | ---: | --- | ---: | --- |",
    ]
    for path in paths:
        mark = " (stale)" if stale(path) else ""
        for row in json.loads(path.read_text(encoding="utf-8"))["verdicts"]:
            lines.append(
                f"| {row['claim']} | {row['data']} | {row['metric']} | {row['seeds']} | {row['baseline']:.4f} | "
                f"{row['method']:.4f} | {row['low']:+.4f} to {row['high']:+.4f} | {row['margin']} | "
                f"{row['verdict']}{mark} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(sorted(RESULTS.glob("*.json"))))
