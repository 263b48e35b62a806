"""An eligibility of single keys is scanned group by group, with the answer of an index per group."""

from __future__ import annotations

import numpy as np
import pytest

import negmine
from negmine import Eligibility, HardNegativeMiner
from negmine.errors import CorpusChangedError, NegmineValueError

N_QUERIES, N_DOCUMENTS, N_KEYS = 9_000, 2_000, 120


@pytest.fixture(scope="module")
def sides() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    queries = draw.integers(-3, 4, size=(N_QUERIES, 12)).astype(np.float32)
    corpus = draw.integers(-3, 4, size=(N_DOCUMENTS, 12)).astype(np.float32)
    # Key 0 is that of no document, and the last one that of no query.
    own = draw.integers(N_KEYS - 1, size=N_QUERIES)
    return queries, corpus, own, 1 + draw.integers(N_KEYS - 1, size=N_DOCUMENTS)


@pytest.mark.parametrize("memory_limit", [None, 8 << 20])
def test_groups_are_searched_like_an_index_of_their_own(
    sides: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], memory_limit: int | None
) -> None:
    queries, corpus, own, keys = sides
    exclude = [[query % N_DOCUMENTS] for query in range(N_QUERIES)]
    index = negmine.ExactIndex(corpus, memory_limit=memory_limit)
    found = index.search(
        queries, 5, exclude=exclude, max_score=0.9, eligible=Eligibility(keys, own, own), dtype="float64"
    )
    for key in range(N_KEYS):
        mine, documents = np.flatnonzero(own == key), np.flatnonzero(keys == key)
        if len(documents) == 0:
            assert not found.counts[mine].any()
            continue
        part = negmine.ExactIndex(corpus[documents])
        barred = [np.flatnonzero(documents == query % N_DOCUMENTS).tolist() for query in mine]
        expected = part.search(queries[mine], 5, exclude=barred, max_score=0.9, dtype="float64")
        rows = np.where(expected.indices >= 0, documents[expected.indices], -1)
        assert np.array_equal(found.indices[mine], rows)
        assert np.array_equal(found.scores[mine], expected.scores)


def test_mining_reports_what_no_group_holds(sides: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    queries, corpus, own, keys = sides
    positives = np.arange(N_QUERIES) % N_DOCUMENTS
    index = negmine.ExactIndex(corpus)
    miner = HardNegativeMiner(3, relative_margin=0.05)
    found = miner.candidates(index, queries, positives, eligible=Eligibility(keys, own, own))
    # A further range makes the same rule one of several keys, which is scanned as a whole.
    wide = Eligibility(keys, np.where(np.arange(N_QUERIES) == 0, 0, own), np.where(np.arange(N_QUERIES) == 0, 1, own))
    whole = miner.candidates(index, queries, positives, eligible=wide)
    for name in ("indices", "scores", "counts", "reasons", "reference_scores", "cap_scores"):
        assert np.array_equal(getattr(found, name)[1:], getattr(whole, name)[1:], equal_nan=True), name
    for line, counts in found.report.lines.items():
        assert np.array_equal(counts[1:], whole.report.lines[line][1:]), line


def test_an_error_of_a_group_names_the_rows_of_the_call(
    sides: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    queries, corpus, own, keys = sides
    bad = queries.copy()
    bad[4_321, 7] = np.nan
    with pytest.raises(NegmineValueError, match=r"`queries`.*row 4321"):
        negmine.ExactIndex(corpus).search(bad, 5, eligible=Eligibility(keys, own, own))
    changing = corpus.copy()
    index = negmine.ExactIndex(changing)
    changing[1_234, 3] = np.inf
    with pytest.raises(CorpusChangedError, match="1234"):
        index.search(queries, 5, eligible=Eligibility(keys, own, own))
