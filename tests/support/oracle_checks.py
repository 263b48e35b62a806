"""Brute-force checks of training rows, in plain Python: every fault of every document, one at a time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One row: its query, positives and negatives, and what its repetitions are counted within (None: the row)."""

    query: Hashable
    positives: Sequence[Hashable]
    negatives: Sequence[Hashable]
    group: Hashable = None
    count_positives: bool = True


def faults(lines: Sequence[Line]) -> dict[str, tuple[int, int | None]]:
    """Count every fault, and name the first row that has it."""
    found: dict[str, list[int]] = {name: [] for name in ("repeated_positives", "repeated_negatives")}
    found |= {name: [] for name in ("own_positives", "other_positives")}
    known = {(line.query, document) for line in lines for document in line.positives}
    relevant = {document for _, document in known}
    seen_positives, seen_negatives = set(), set()
    for row, line in enumerate(lines):
        for document in line.positives:
            if line.count_positives and (line.query, document) in seen_positives:
                found["repeated_positives"].append(row)
            seen_positives.add((line.query, document))
        for document in line.negatives:
            group = (row,) if line.group is None else line.group
            if (group, document) in seen_negatives:
                found["repeated_negatives"].append(row)
            seen_negatives.add((group, document))
            if (line.query, document) in known:
                found["own_positives"].append(row)
            elif document in relevant:
                found["other_positives"].append(row)
    return {name: (len(rows), min(rows, default=None)) for name, rows in found.items()}
