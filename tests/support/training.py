"""Small mined sets with texts, and the training rows that they must give, made one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from negmine import ExactIndex, HardNegativeMiner, HardNegatives, Positives, io

WIDTH = 4


@dataclass(frozen=True)
class Problem:
    negatives: HardNegatives
    mined: io.MinedRows
    queries: io.Texts
    documents: io.Texts
    lists: list[list[int]]


def problem(
    *,
    n_queries: int = 5,
    n_documents: int = 9,
    labels: bool = True,
    seed: int = 0,
    keep_rejected: int = 0,
    **options: Any,
) -> Problem:
    """A small mined set: the last query has no positive, and margins leave some rows short."""
    random = np.random.default_rng(seed)
    corpus = random.integers(-3, 4, (n_documents, 3)).astype(np.float32)
    queries = random.integers(-3, 4, (n_queries, 3)).astype(np.float32)
    lists = [sorted({int(d) for d in random.integers(0, n_documents, 1 + query % 2)}) for query in range(n_queries)]
    if n_queries > 1:
        lists[-1] = []
    document_ids = [f"d{row}" for row in range(n_documents)] if labels else None
    query_ids = [f"q{row}" for row in range(n_queries)] if labels else None
    miner = HardNegativeMiner(WIDTH, **({"absolute_margin": 0.1} | options))
    negatives = miner.mine(
        ExactIndex(corpus, ids=document_ids), queries, Positives.from_lists(lists), keep_rejected=keep_rejected
    )
    return Problem(
        negatives,
        io.MinedRows.from_negatives(negatives, query_ids=query_ids, miner=miner),
        io.Texts.from_lists([f"query {row}" for row in range(n_queries)], ids=query_ids),
        io.Texts.from_lists(
            [f"text {row}" for row in range(n_documents)], ids=document_ids, titles=["t"] * (n_documents - 1) + [""]
        ),
        lists,
    )


def plain_rows(made: Problem, form: str, *, scores: bool, texts: bool) -> list[dict[str, Any]]:
    """What the rows must be, one at a time."""
    lines = []
    negatives, offset = made.negatives, 0

    def document(row: int) -> str:
        return f"{'t ' if row < 8 else ''}text {row}" if texts else f"d{row}"

    def passage(row: int, score: float) -> dict[str, Any]:
        found = {"docid": f"d{row}", "title": "t" if row < 8 else "", "text": f"text {row}"}
        return found | ({"score": score} if scores else {})

    for query, positives in enumerate(made.lists):
        anchor = f"query {query}" if texts else f"q{query}"
        count = negatives.counts[query]
        rows = negatives.indices[query, :count].tolist()
        lows = negatives.scores[query, :count].tolist()
        highs = negatives.positive_scores[offset : offset + len(positives)].tolist()
        offset += len(positives)
        pairs = list(zip(positives, highs, strict=True))
        match form:
            case "triplet":
                for positive, high in pairs:
                    for row, low in zip(rows, lows, strict=True):
                        line = {"anchor": anchor, "positive": document(positive), "negative": document(row)}
                        lines.append(line | ({"scores": [high, low]} if scores else {}))
            case "n-tuple":
                for positive, high in pairs if count == WIDTH else []:
                    named = {f"negative_{n + 1}": document(row) for n, row in enumerate(rows)}
                    line = {"anchor": anchor, "positive": document(positive), **named}
                    lines.append(line | ({"scores": [high, *lows]} if scores else {}))
            case "labeled-pair":
                for label, group in ((1, pairs), (0, list(zip(rows, lows, strict=True)))):
                    for row, score in group:
                        last = {"score": score} if scores else {"label": label}
                        lines.append({"anchor": anchor, "positive": document(row), **last})
            case "labeled-list":
                for positive, high in pairs if count else []:
                    last = {"scores": [high, *lows]} if scores else {"labels": [1] + [0] * count}
                    documents = [document(row) for row in (positive, *rows)]
                    lines.append({"anchor": anchor, "positive": documents, **last})
            case "ids":
                for positive, high in pairs if count == WIDTH else []:
                    named = {f"negative_id_{n + 1}": f"d{row}" for n, row in enumerate(rows)}
                    line = {"query_id": anchor, "positive_id": f"d{positive}", **named}
                    lines.append(line | ({"scores": [high, *lows]} if scores else {}))
            case "id-list":
                for positive, high in pairs if count else []:
                    last = {"scores": [high, *lows]} if scores else {"labels": [1] + [0] * count}
                    documents = [f"d{row}" for row in (positive, *rows)]
                    lines.append({"query_id": anchor, "document_ids": documents, **last})
            case "flagembedding" if count and positives:
                line = {"query": anchor, "pos": [document(p) for p in positives], "neg": [document(n) for n in rows]}
                lines.append(line | ({"pos_scores": highs, "neg_scores": lows} if scores else {}))
            case "tevatron" if count and positives:
                lines.append(
                    {
                        "query_id": f"q{query}",
                        "query": anchor,
                        "positive_passages": [passage(row, score) for row, score in pairs],
                        "negative_passages": [passage(*one) for one in zip(rows, lows, strict=True)],
                    }
                )
    return lines
