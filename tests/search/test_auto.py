"""The index that chooses: what decides, what it says, and that it searches and mines like the index that it chose."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import AutoIndex, ExactIndex, HnswIndex, demo
from negmine.errors import NegmineError
from negmine.search import CandidateSource, IndexChoice, Searcher, auto
from negmine.testing import check_candidate_source

DATA = demo.load()
CORPUS = np.ascontiguousarray(DATA.document_embeddings[:1500], dtype=np.float32)
QUERIES = np.ascontiguousarray(DATA.query_embeddings[:100], dtype=np.float32)


class SlowExact(AutoIndex):
    """An index on a machine whose exact search takes a second per query, so that any graph is faster."""

    def _measure_exact(self) -> float:
        return super()._measure_exact() and 1.0


class FastExact(AutoIndex):
    """An index on a machine whose exact search takes a nanosecond per query, so that no graph is faster."""

    def _measure_exact(self) -> float:
        return super()._measure_exact() and 1e-9


def test_a_small_task_gets_the_exact_index_without_hnswlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    index = FastExact(CORPUS, n_queries=100, k=5)
    assert isinstance(index.index, ExactIndex)
    assert index.exact
    assert index.choice.kind == "exact"
    assert index.choice.search_seconds is None
    assert "100 queries x 1500 documents take" in repr(index)
    assert "building a graph takes at least" in index.choice.reason


def test_the_exact_index_is_chosen_where_building_alone_takes_longer() -> None:
    pytest.importorskip("hnswlib")
    # The first bound does not decide for so many queries; the build of the first graph does.
    n_queries = int(len(CORPUS) * 100 * auto.LEAST_INSERT_SECONDS / 1e-9 * 2)
    index = FastExact(CORPUS, n_queries=n_queries, k=5)
    assert index.choice.kind == "exact"
    assert "building the graph takes more than" in index.choice.reason
    assert index.choice.build_seconds > index.choice.exact_seconds
    assert index.choice.search_seconds is None


def test_the_exact_index_is_chosen_where_searching_the_graph_takes_longer() -> None:
    pytest.importorskip("hnswlib")
    index = FastExact(CORPUS, n_queries=10**15, k=5)
    assert index.choice.kind == "exact"
    assert index.choice.search_seconds is not None
    assert index.choice.search_seconds > index.choice.exact_seconds > index.choice.build_seconds
    assert "and searching it" in index.choice.reason


def test_the_graph_is_chosen_at_the_recall_asked_for_and_says_its_measured_recall() -> None:
    pytest.importorskip("hnswlib")
    index = SlowExact(CORPUS, n_queries=10_000, k=5, recall=0.98, queries=QUERIES)
    choice = index.choice
    assert isinstance(index.index, HnswIndex)
    assert (index.exact, choice.kind, choice.exact_seconds) == (False, "hnsw", 10_000.0)
    assert choice.search_seconds is not None
    assert choice.build_seconds + choice.search_seconds < choice.exact_seconds
    assert choice.audit is not None
    assert choice.audit.recall >= 0.98
    assert index.search(QUERIES, 5).audit == choice.audit
    assert f"recall@5 {choice.audit.recall:.4f} measured on 100 queries" in repr(index)
    verified = negmine.verify(QUERIES, CORPUS, index.search(QUERIES, 5).indices, 5)
    assert verified.recall == pytest.approx(choice.audit.recall)


def test_reuses_divide_the_build() -> None:
    pytest.importorskip("hnswlib")
    once, often = (SlowExact(CORPUS, n_queries=1000, k=5, reuses=reuses).choice for reuses in (1, 1000))
    assert often.build_seconds < once.build_seconds / 50


def test_a_graph_that_misses_the_recall_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hnswlib")
    monkeypatch.setattr("negmine.search.trial.LONGEST_LIST", 6)
    index = SlowExact(CORPUS, n_queries=1000, k=5, M=2, ef_construction=2, recall=0.99, queries=QUERIES)
    assert index.choice.kind == "exact"
    assert index.choice.audit is not None
    assert index.choice.audit.recall < 0.99
    assert "the graph was built, but does not reach a recall of 0.99" in index.choice.reason
    assert np.array_equal(index.search(QUERIES, 5).indices, ExactIndex(CORPUS).search(QUERIES, 5).indices)


def test_a_larger_corpus_is_extrapolated_from_two_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hnswlib")
    monkeypatch.setattr(auto, "TRIAL_SIZES", (200, 600))
    index = SlowExact(CORPUS, n_queries=1000, k=5, queries=QUERIES)
    assert index.choice.kind == "hnsw"
    assert index.choice.build_seconds > 0


def test_a_recall_of_one_is_the_exact_index() -> None:
    index = SlowExact(CORPUS, n_queries=10**9, k=5, recall=1)
    assert index.choice.kind == "exact"
    assert "a recall of 1 was asked for" in index.choice.reason


def test_it_keeps_the_contract_of_candidate_sources() -> None:
    check_candidate_source(lambda documents, ids: FastExact(documents, ids=ids, n_queries=10, k=6))


@pytest.mark.parametrize("kind", [AutoIndex, SlowExact])
def test_it_searches_and_mines_like_the_index_that_it_chose(kind: Any) -> None:
    pytest.importorskip("hnswlib")
    index = kind(CORPUS, n_queries=100, k=5, ids=np.arange(1500) * 3, metric="ip")
    assert isinstance(index, Searcher)
    assert isinstance(index, CandidateSource)
    assert (len(index), index.metric) == (1500, "ip")
    found, chosen = (one.search(QUERIES, 4, exclude=[[0]] * 100, dtype="float64") for one in (index, index.index))
    assert np.array_equal(found.indices, chosen.indices)
    assert np.array_equal(found.scores, chosen.scores)
    assert np.array_equal(found.ids, np.where(found.indices >= 0, found.indices * 3, -1))
    positives = index.search(QUERIES, 1).indices
    mined, expected = (negmine.mine(QUERIES, source, positives, num_random=1) for source in (index, index.index))
    assert np.array_equal(mined.indices, expected.indices)
    # Queries that are rows of the corpus leave themselves out.
    own = negmine.mine(CORPUS[:50], index, positives[:50], exclude_self=True)
    assert not (own.indices == np.arange(50)[:, None]).any()


@pytest.mark.parametrize("kind", [AutoIndex, SlowExact])
@pytest.mark.parametrize(("n", "n_queries"), [(0, 5), (1, 5), (3, 0)])
def test_there_may_be_no_documents_or_no_queries(kind: Any, n: int, n_queries: int) -> None:
    pytest.importorskip("hnswlib")
    index = kind(CORPUS[:n], n_queries=n_queries, k=2)
    assert index.search(QUERIES[:2], 2).counts.tolist() == [min(n, 2)] * 2


def test_a_choice_is_a_plain_record() -> None:
    choice = FastExact(CORPUS, n_queries=3, k=2).choice
    assert isinstance(choice, IndexChoice)
    assert (choice.n_documents, choice.n_queries, choice.k, choice.recall) == (1500, 3, 2, 0.95)
    assert 0 < choice.exact_seconds <= choice.build_seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_queries": -1}, "`n_queries` must be at least 0; got -1"),
        ({"k": 0}, "`k` must be at least 1; got 0"),
        ({"recall": 0}, "`recall` must be greater than 0"),
        ({"recall": 1.5}, "`recall` must be at most 1; got 1.5"),
        ({"reuses": 0}, "`reuses` must be at least 1; got 0"),
        ({"metric": "dot"}, "`metric` must be one of"),
        ({"ef_construction": 0}, "`ef_construction` must be at least 1"),
        ({"M": 1}, "`M` must be at least 2; got 1"),
        ({"build_threads": 0}, "`build_threads` must be at least 1"),
        ({"seed": 2**64}, "`seed` must be at most"),
        ({"queries": QUERIES[:, :5]}, "`queries` must have the width of `corpus`, 384; got 5"),
        ({"progress": 4}, "`progress` must be callable"),
        ({"ef_search": 4}, "`AutoIndex` has no option 'ef_search'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NegmineError, match=message):
        AutoIndex(CORPUS, **{"n_queries": 5, "k": 2, **options})
