"""Small pools for tests of what is done with pools, and the product's pools in the terms of `oracle_pools`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import negmine
from compare import ragged, reason_names, same
from negmine.mining import Reason
from oracle_pools import PoolRow

LINES = ("positives", "excluded", "self", "group", "ineligible")


def teacher(queries: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.float64]:
    """Score pairs with few distinct values, so that many are equal."""
    return ((queries % 97 * 7 + documents * 13 + queries % 97 * documents) % 9) / 8 - 0.5


def one(query: int, document: int) -> float:
    """Score one pair."""
    return float(teacher(np.array([query]), np.array([document]))[0])


def line_pool(scores: Sequence[Sequence[float]], positives: Any, n_documents: int | None = None, **options: Any) -> Any:
    """Mine one query per list, whose documents score as the list says, in row order."""
    width = n_documents or len(scores[0])
    corpus = np.eye(width, dtype=np.float32)
    queries = np.array(scores, dtype=np.float32)
    document_ids = options.pop("ids", None)
    rules = {name: options.pop(name) for name in ("query_offset", "exclude") if name in options}
    index = negmine.ExactIndex(corpus, metric="ip", ids=document_ids)
    options = {"range_max": width, **options}
    return negmine.HardNegativeMiner(1, **options).candidates(index, queries, positives, **rules)


def lists(pool: negmine.CandidatePool) -> list[list[int]]:
    """Positives per query."""
    offsets, items = pool.rules.positives.offsets.tolist(), pool.rules.positives.items.tolist()
    return [items[begin:end] for begin, end in itertools.pairwise(offsets)]


def known_scores(pool: negmine.CandidatePool, scores: NDArray[np.float64]) -> list[list[float | None]]:
    """Scores of the positives per query, None for NaN."""
    offsets = pool.rules.positives.offsets.tolist()
    values = [None if np.isnan(score) else float(score) for score in scores]
    return [values[begin:end] for begin, end in itertools.pairwise(offsets)]


def as_rows(pool: negmine.CandidatePool) -> list[PoolRow]:
    """Give the rows of a pool in the terms of the oracle."""
    rows, known, turns = [], lists(pool), dict[tuple[int, int], int]()
    for r in range(len(pool)):
        n, query = int(pool.counts[r]), int(pool.query_indices[r]) - pool.query_offset
        positive = int(pool.positive_indices[r])
        places = [place for place, document in enumerate(known[query]) if document == positive]
        turn = turns.get((query, positive), 0)
        turns[query, positive] = turn + 1
        rows.append(
            PoolRow(
                query=query,
                positive=places[turn] if pool.each and places else -1,
                documents=tuple(pool.indices[r, :n].tolist()),
                scores=tuple(pool.scores[r, :n].tolist()),
                guides=() if pool.guide_scores is None else tuple(pool.guide_scores[r, :n].tolist()),
                full=pool.reasons[r] in (Reason.NONE, Reason.RANK_WINDOW),
                reason=reason_names(pool.reasons[r : r + 1])[0],
                restricted=int(pool.report.lines["restricted"][r]),
            )
        )
    return rows


def assert_rows(pool: negmine.CandidatePool, expected: Sequence[PoolRow], width: int) -> None:
    """Hold documents, scores, guide scores, counts, reasons and the line `restricted` of every row."""
    same(pool.indices, ragged([row.documents for row in expected], width, -1, np.int64), np.int64, "indices")
    same(pool.scores, ragged([row.scores for row in expected], width, -np.inf, np.float64), np.float64, "scores")
    if pool.guide_scores is not None:
        guides = ragged([row.guides for row in expected], width, -np.inf, np.float64)
        same(pool.guide_scores, guides, np.float64, "guide_scores")
    same(pool.counts, [len(row.documents) for row in expected], np.int32, "counts")
    assert reason_names(pool.reasons) == [row.reason for row in expected]
    same(pool.report.lines["restricted"], [row.restricted for row in expected], np.int64, "restricted")


def assert_adds_up(pool: negmine.CandidatePool) -> None:
    """Every document of a scanned row lies on one line, or in the rest; the rest holds at least what the row holds."""
    lines = sum(pool.report.lines.values(), np.zeros(len(pool), dtype=np.int64))
    scanned = ~np.isnan(pool.cap_scores)
    assert (pool.report.n_documents - lines >= pool.counts)[scanned].all()
    assert pool.report.n_unscanned == (~scanned).sum()
    short: dict[str, int] = {}
    for reason in reason_names(pool.reasons):
        if reason:
            short[reason] = short.get(reason, 0) + 1
    assert pool.report.short == short


def assert_equal_pools(actual: negmine.CandidatePool, expected: negmine.CandidatePool) -> None:
    """Equal bits of all fields but the origin."""
    for field in dataclasses.fields(actual):
        if field.name in ("rules", "origin", "_ids", "_query_labels"):
            continue
        value, other = getattr(actual, field.name), getattr(expected, field.name)
        if isinstance(value, np.ndarray):
            same(value, other, other.dtype, field.name)
        elif field.name == "sources" and value is not None:
            same(value.ranks, other.ranks, np.int32, "ranks")
            same(value.scores, other.scores, np.float64, "scores of sources")
        else:
            assert value == other, field.name
