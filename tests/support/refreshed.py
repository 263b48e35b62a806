"""Negatives that say which generation they are of, and what writers and readers of tables do in their own processes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import negmine
from negmine.store import TableRows
from negmine.torch import NegativesTable

N_QUERIES, N_DOCUMENTS, N = 60, 97, 4


def mined(n_queries: int = N_QUERIES, **options: Any) -> negmine.HardNegatives:
    """Mine a small problem; the second query has few candidates, so that rows are padded."""
    draw = np.random.default_rng(5)
    corpus = draw.standard_normal((N_DOCUMENTS, 8), dtype=np.float32)
    queries = draw.standard_normal((n_queries, 8), dtype=np.float32)
    exclude = [list(range(2, N_DOCUMENTS - 1)) if query == 1 else [] for query in range(n_queries)]
    options = {"num_negatives": N, "sampling": "random", "range_max": 30, **options}
    positives = [[query % N_DOCUMENTS, (query + 1) % N_DOCUMENTS] for query in range(n_queries)]
    return negmine.mine(queries, corpus, positives, exclude=exclude, **options)


def marked(negatives: negmine.HardNegatives, mark: int) -> negmine.HardNegatives:
    """Make every value of the negatives say `mark`."""
    return replace(
        negatives,
        indices=np.full_like(negatives.indices, mark % N_DOCUMENTS),
        scores=np.full_like(negatives.scores, mark),
        counts=np.full_like(negatives.counts, mark),
        epoch=mark,
    )


def is_of(rows: TableRows, mark: int) -> bool:
    """Whether all values say `mark`."""
    values = {*np.unique(rows.scores).tolist(), *np.unique(rows.counts).tolist(), rows.epoch}
    return values <= {mark} and set(np.unique(rows.indices).tolist()) <= {mark % N_DOCUMENTS}


def read_until(folder: Path, last: int, answers: Any) -> None:
    """Read batches until generation `last`; send how many generations were seen, or what was wrong."""
    table, seen, newest = NegativesTable(folder), set(), 0
    draw = np.random.default_rng(0)
    until = time.monotonic() + 60
    while newest < last and time.monotonic() < until:
        batch = table.read(draw.integers(0, len(table), 40))
        if not is_of(batch, batch.generation) or batch.generation < newest:
            answers.send(f"torn: generation {batch.generation} after {newest}, scores {np.unique(batch.scores)}")
            return
        newest = batch.generation
        seen.add(newest)
    answers.send(len(seen))


def publish_many(folder: Path, times: int) -> None:
    """Publish `times` times."""
    table, negatives = NegativesTable(folder), mined()
    for _ in range(times):
        table.publish(negatives)
