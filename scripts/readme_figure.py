"""Draw the picture of the README from the demo set: what a margin rejects for one query, and what it leaves for all.

Writes ``docs/figures/margin-light.svg`` and ``margin-dark.svg``, the same bytes on every machine. ``--check`` compares
the files with what would be drawn.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

import negmine
from negmine import demo

FIGURES = Path(__file__).parents[1] / "docs" / "figures"

WORD, NUM_NEGATIVES, MARGIN = "church", 5, 0.05
MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SCORES = (0.45, 0.5, 0.55, 0.6)
#: Documents that a search in two stages keeps before it filters.
DEPTHS = (100, 50, 20)

PALETTES = {
    "light": {"text": "#1f2328", "muted": "#59636e", "line": "#d1d9e0", "mined": "#0969da", "false": "#cf222e"},
    "dark": {"text": "#f0f6fc", "muted": "#9198a1", "line": "#3d444d", "mined": "#4493f8", "false": "#f85149"},
}
POSITIVE = {"light": "#1a7f37", "dark": "#3fb950"}
FONTS = "-apple-system, BlinkMacSystemFont, Segoe UI, Noto Sans, Helvetica, Arial, sans-serif"
LEGEND = (
    (34, "positive", True, "labeled positive"),
    (156, "mined", True, "mined"),
    (220, "muted", False, "rejected"),
    (300, "false", False, "rejected, and right without a label"),
)
WIDTH, HEIGHT, TOP, STEP = 960, 440, 104, 22


@dataclass(frozen=True)
class Document:
    """A document of the ranking: its text, its score, and what becomes of it."""

    text: str
    score: float
    kind: str  # "positive", "rejected" or "mined"
    is_right: bool


@dataclass(frozen=True)
class Data:
    """What the picture shows."""

    query: str
    positive: float
    cap: float
    documents: list[Document]
    n_documents: int
    n_queries: int
    found: dict[str, list[float]]  # by method, per margin, the share of the requested negatives


def measure() -> Data:
    """Mine the demo set with one known answer per query; the others only color the picture."""
    data = demo.load()
    index = negmine.ExactIndex(data.document_embeddings)
    query = data.lemmas.index(WORD)
    miner = negmine.HardNegativeMiner(NUM_NEGATIVES, relative_margin=MARGIN)
    mined = miner.mine(index, data.query_embeddings, data.labeled, keep_rejected=50)
    rejected = mined.pool.rejected
    reference = float(mined.reference_scores[query])
    ranking = [(int(data.labeled[query]), reference, "positive")]
    for kind, rows, scores in (
        ("rejected", rejected.indices[query], rejected.scores[query]),
        ("mined", mined.indices[query], mined.pool.scores[query]),
    ):
        ranking += [(row, score, kind) for row, score in zip(rows.tolist(), scores.tolist(), strict=True) if row >= 0]
    ranking.sort(key=lambda entry: -entry[1])
    right = set(data.positives[query].tolist())
    found: dict[str, list[float]] = {}
    for margin in MARGINS:
        strict = negmine.HardNegativeMiner(NUM_NEGATIVES, relative_margin=margin)
        inside = strict.mine(index, data.query_embeddings, data.labeled)
        asked = inside.indices.size
        found.setdefault("inside the search", []).append(inside.counts.sum() / asked)
        caps = mined.reference_scores - np.abs(mined.reference_scores) * margin
        for depth in DEPTHS:
            best = index.search(data.query_embeddings, depth, exclude=data.labeled[:, None].tolist())
            kept = np.minimum((best.scores <= caps[:, None]).sum(axis=1), NUM_NEGATIVES)
            found.setdefault(f"best {depth}, then filter", []).append(kept.sum() / asked)
    return Data(
        query=data.queries[query],
        positive=reference,
        cap=float(mined.pool.cap_scores[query]),
        documents=[Document(data.documents[row], score, kind, row in right) for row, score, kind in ranking],
        n_documents=len(data.documents),
        n_queries=len(data.queries),
        found=found,
    )


def draw(data: Data, scheme: str) -> str:
    """Return the picture as SVG."""
    colors = PALETTES[scheme] | {"positive": POSITIVE[scheme]}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="{FONTS}" font-size="12">',
        *ranking(data, colors),
        *yields(data, colors),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text(x: float, y: float, words: str, color: str, **options: object) -> str:
    """Return a line of text."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in options.items())
    return f'<text x="{x:g}" y="{y:g}" fill="{color}"{more}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, color: str, dashed: bool = False) -> str:
    """Return a thin line."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"{dash}/>'


def dot(x: float, y: float, color: str, filled: bool) -> str:
    """Return a dot, filled or as a ring."""
    fill = color if filled else "none"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" stroke="{color}" stroke-width="1.6" fill="{fill}"/>'


def ranking(data: Data, colors: dict[str, str]) -> list[str]:
    """Draw the documents of one query by rank: score, fate and text."""
    left, right, words = 30, 250, 268
    low, high = data.documents[-1].score - 0.02, data.documents[0].score + 0.01

    def at(score: float) -> float:
        return left + (score - low) / (high - low) * (right - left)

    bottom = TOP + STEP * (len(data.documents) - 0.5)
    cap, positive = at(data.cap), at(data.positive)
    parts = [
        text(left, 24, f"One query: “{data.query}”", colors["text"], font_size=15, font_weight=600),
        text(left, 44, "Its documents by score. Only one right answer is labeled.", colors["muted"]),
        f'<rect x="{cap:.1f}" y="{TOP - 14}" width="{right + 8 - cap:.1f}" height="{bottom - TOP + 14:.1f}" '
        f'fill="{colors["muted"]}" fill-opacity=".08"/>',
        line(cap, TOP - 14, cap, bottom, colors["muted"], dashed=True),
        text(cap, TOP - 21, f"rejected: less than {100 * MARGIN:.0f} % below the positive", colors["muted"]),
        *(text(at(score), bottom + 16, f"{score:.2f}", colors["muted"], text_anchor="middle") for score in SCORES),
    ]
    for rank, document in enumerate(data.documents):
        y = TOP + STEP * rank
        is_false = document.is_right and document.kind != "positive"
        color = colors["false"] if is_false else colors.get(document.kind, colors["muted"])
        parts += [
            line(left, y, at(document.score) - 6, y, colors["line"]),
            dot(at(document.score), y, color, document.kind != "rejected"),
            text(words, y + 4, shortened(document.text), colors["muted"] if color == colors["muted"] else color),
        ]
    parts.append(line(positive, TOP - 14, positive, bottom, colors["positive"]))
    for x, name, filled, meaning in LEGEND:
        parts += [dot(x, HEIGHT - 19, colors[name], filled), text(x + 11, HEIGHT - 15, meaning, colors["text"])]
    return parts


def shortened(words: str, length: int = 56) -> str:
    """Cut a text at a word."""
    if len(words) <= length:
        return words
    return words[: words.rindex(" ", 0, length)] + " …"


def yields(data: Data, colors: dict[str, str]) -> list[str]:
    """Draw the share of the requested negatives that a margin leaves, by method."""
    left, right, top, bottom = 650, 820, TOP - 14, 352

    def at(margin: float, share: float) -> tuple[float, float]:
        return left + margin / MARGINS[-1] * (right - left), bottom - (share - 0.3) / 0.7 * (bottom - top)

    parts = [
        text(left - 30, 24, f"All {data.n_queries:,} queries", colors["text"], font_size=15, font_weight=600),
        text(left - 30, 44, "Negatives found, of five per query", colors["muted"]),
    ]
    for share in (0.4, 0.6, 0.8, 1.0):
        y = at(0, share)[1]
        parts += [
            line(left, y, right, y, colors["line"]),
            text(left - 8, y + 4, f"{share:.0%}".replace("%", " %"), colors["muted"], text_anchor="end"),
        ]
    for margin in MARGINS[::2]:
        x = at(margin, 0)[0]
        parts.append(text(x, bottom + 16, f"{100 * margin:.0f} %", colors["muted"], text_anchor="middle"))
    parts.append(text((left + right) / 2, bottom + 34, "relative margin", colors["muted"], text_anchor="middle"))
    for name, shares in data.found.items():
        is_ours = name.startswith("inside")
        color = colors["mined"] if is_ours else colors["muted"]
        points = [at(margin, share) for margin, share in zip(MARGINS, shares, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        x, y = points[-1]
        weight = 2.6 if is_ours else 1.6
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{weight}" stroke-linejoin="round"/>',
            dot(x, y, color, True),
            text(x + 12, y + 4, name, color, **({"font_weight": 600} if is_ours else {})),
        ]
    return parts


def main() -> int:
    """Write both pictures; with ``--check``, 1 if a file is another one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    data = measure()
    for scheme in PALETTES:
        path, drawn = FIGURES / f"margin-{scheme}.svg", draw(data, scheme)
        if not check:
            path.write_text(drawn, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != drawn:
            print(f"{path.name} is not what the demo set gives; run `python scripts/readme_figure.py`")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
