"""Tables of docs/performance.md from the records of benchmarks in benches/record.

    python scripts/performance.py            # print the tables
    python scripts/performance.py --write    # write them into the page
    python scripts/performance.py --check    # fail if the page differs from the records

A record is named by processor, script and case: `zen5_search_real10.json`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benches" / "record"
PAGE = ROOT / "docs" / "performance.md"


def records(pattern: str) -> Iterator[tuple[str, Any]]:
    """Yield the records whose names match a pattern, by name."""
    for path in sorted(RECORDS.glob(pattern)):
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def figure(value: float, digits: int = 2) -> str:
    """Return a number as the page writes it: 1.14, and .88 without the zero."""
    return f"{value:,.{digits}f}".removeprefix("0") if value else "0"


def engine() -> str:
    """Shares of the peak: one row per record and kind of data."""
    lines = [
        "| record | processor | VNNI peak, GOPS | data | k = 1 | k = 10 | k = 100 | width 768 |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, record in records("*_engine.json"):
        processor = record["processor"].replace("model name ", "").replace("cpu ", "")
        machine = f"{processor}; {record['isa']}; second cache of {record['caches']['l2'] / 2**20:g} MiB"
        for kind, shares in record["shares of the VNNI peak, width 384, by k"].items():
            cells = [f"{figure(share['chosen'])} ({figure(share['full'])})" for share in shares.values()]
            wide = figure(record["share of the VNNI peak, width 768, full"]) if kind == "real" else ""
            front = [f"`{name}`", machine, f"{record['peaks']['vnni_gops']:,.0f}"] if kind == "real" else [""] * 3
            lines.append(f"| {' | '.join([*front, kind, *cells, wide])} |")
    return "\n".join(lines)


def search() -> str:
    """Searches against peers: one row per peer."""
    lines = [
        "| record | library | seconds | times ours | preparation, s | memory, MB | recall |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, record in records("*_search_*.json"):
        for case in record["results"]:
            for number, row in enumerate(case["rows"]):
                front = f"`{name}`: {case['case']}" if number == 0 else ""
                values = [
                    figure(row["seconds"]),
                    figure(row["times_negmine"], 1),
                    figure(row["prepare"]),
                    f"{row['megabytes']:,.0f}",
                    f"{row['recall']:g}",
                ]
                lines.append(f"| {' | '.join([front, row['peer'], *values])} |")
    return "\n".join(lines)


def clusters() -> str:
    """K-means against peers: one row per record, seconds and inertia relative to faiss."""
    peers = ("negmine k-means, l2", "faiss", "faiss SuperKMeans (best)", "faiss SuperKMeans (as installed)")
    lines = [
        "| record | clusters | negmine, s | faiss, s | SuperKMeans, best, s | SuperKMeans, as installed, s "
        "| inertia, times faiss's: negmine, best, installed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, runs in records("*_clusters*.json"):
        for run in runs:
            results = [run["results"][peer] for peer in peers]
            seconds = [figure(result["seconds"]) for result in results]
            inertia = ", ".join(
                figure(result["inertia_against_faiss"], 4) for place, result in enumerate(results) if place != 1
            )
            cells = [f"`{name}`", format(run["k"], ","), *seconds, inertia]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {"engine": engine, "search": search, "clusters": clusters}


def page(text: str) -> str:
    """Put every table between its marks on the page."""
    for name, table in TABLES.items():
        begin, end = f"<!-- records: {name} -->", "<!-- end -->"
        text, count = re.subn(f"{begin}.*?{end}", f"{begin}\n\n{table()}\n\n{end}", text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE.name} must have `{begin}` and `{end}` once; got {count}.")
    return text


def main() -> int:
    """Print the tables, or write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables of docs/performance.md")
    parser.add_argument("--check", action="store_true", help="compare them, and write nothing")
    given = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    if given.check:
        return int(page(text) != text)
    if given.write:
        PAGE.write_text(page(text), encoding="utf-8")
    else:
        print(*(table() for table in TABLES.values()), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
