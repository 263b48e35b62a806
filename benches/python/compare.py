"""The main comparisons in one record per machine: exact search and mining against other libraries.

    python benches/python/compare.py [--quick] [--threads N] [--out FOLDER]

`make bench-peers` runs it in an environment of its own. The vectors are made, so that nothing has to be downloaded:
100,000 documents and 2,000 queries of width 384, in clusters and without structure; 5,000 and 100,000 queries to mine
for. It writes KIND_peers.json and the same as tables into KIND_peers.md, where KIND names the processor.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
from engine import processor

import negmine

HERE = Path(__file__).parent

#: Scripts with their arguments; each takes `--threads`, `--quick` and `--json`.
PARTS = {
    "search": ["search.py", "--case", "small", "--case", "isotropic"],
    "mining": ["mining.py", "--synthetic"],
}

#: Packages whose versions the record states.
PACKAGES = ("numpy", "torch", "faiss-cpu", "usearch", "turbovec", "sentence-transformers", "pyarrow")


def machine() -> dict[str, Any]:
    """Describe the machine and the libraries."""
    build = negmine.build_info()
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "caches": build["caches"],
        "isa": build["isa"],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "negmine": build["version"],
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def measured(arguments: list[str], threads: int, quick: bool) -> dict[str, Any]:
    """Run one script in a process of its own and return what it measured."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "measured.json")
        command = [
            sys.executable,
            str(HERE / arguments[0]),
            *arguments[1:],
            "--threads",
            str(threads),
            "--json",
            str(path),
        ]
        subprocess.run([*command, *(["--quick"] if quick else [])], check=True)
        return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Measure all parts, write the record and the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of every library")
    parser.add_argument("--quick", action="store_true", help="small cases: answers are checked, times mean nothing")
    parser.add_argument("--out", type=Path, default=HERE.parent / "record")
    arguments = parser.parse_args()
    record: dict[str, Any] = {"machine": machine(), "threads": arguments.threads, "quick": arguments.quick}
    tables = []
    for name, part in PARTS.items():
        found = record[name] = measured(part, arguments.threads, arguments.quick)
        peaks = {unit: value * arguments.threads for unit, value in found["peaks"].items()}
        tables += [harness.table(results, peaks) for results in found["results"]]
    kind = record["machine"]["processor"].removeprefix("model name ") or platform.machine()
    kind = re.sub(r"[^a-z0-9]+", "_", kind.lower()).strip("_")
    target = arguments.out / f"{kind}_peers.json"
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    about = "\n".join(f"- {name}: {value}" for name, value in record["machine"].items())
    target.with_suffix(".md").write_text(f"{about}\n\n" + "\n\n".join(tables) + "\n", encoding="utf-8")
    print(f"written: {target} and {target.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
