"""Brute-force rejected documents: every document of a row that a rule or a cap of the oracle takes out, best first."""

from __future__ import annotations

from collections.abc import Sequence

import oracle

#: Rules of the product's `Rejection`, in its order; the first is padding.
NAMES = ("", *oracle.RULES[2:6], *oracle.CAPS)


def rejected(
    rows: Sequence[oracle.Row],
    rules: oracle.Rules,
    limits: oracle.Limits,
    known: Sequence[Sequence[oracle.Positive]],
    n: int,
) -> list[list[tuple[int, float, int]]]:
    """List (document, score, number of the rule) per result row."""
    result = []
    for row in rows:
        found: list[tuple[int, float, int]] = []
        first = oracle.first_rule(len(row.scores), row.query, known[row.query], rules)
        caps = limits.caps(row.reference)
        for document, score in enumerate(row.scores.tolist()):
            if row.no_positive or score != score or first[document] == 1:
                continue
            name = oracle.RULES[first[document]]
            if not first[document]:
                over = [(cap, place) for place, cap in enumerate(caps.values()) if score > min(caps.values())]
                if not over:
                    continue
                name = list(caps)[min(over)[1]]
            found.append((document, score, NAMES.index(name)))
        result.append(sorted(found, key=lambda one: (-one[1], one[0]))[:n])
    return result
