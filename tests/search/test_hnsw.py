"""The approximate index: exact rules and scores, honest recall, widening, changes of the documents, and its file."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import negmine
from damage import outcomes
from negmine import CandidatePool, Eligibility, ExactIndex, HardNegativeMiner, HnswIndex, demo
from negmine._core import archive, formats
from negmine.errors import MissingExtraError, NegmineError, NegmineTypeError, NegmineValueError
from negmine.mining import Reason
from negmine.search import CandidateSource, Searcher, widening
from negmine.search.graph import Graph
from negmine.search.results import METRICS, Metric
from negmine.testing import check_candidate_source
from processes import output_of

hnswlib = pytest.importorskip("hnswlib")

DATA = demo.load()
#: Real sentence vectors: 2,000 documents and 150 queries.
CORPUS = np.ascontiguousarray(DATA.document_embeddings[:2000], dtype=np.float32)
QUERIES = np.ascontiguousarray(DATA.query_embeddings[:150], dtype=np.float32)
#: A graph that is too sparse and a list that is too short to find everything.
POOR: dict[str, Any] = {"M": 4, "ef_construction": 20, "ef_search": 12}
INDEX = HnswIndex(CORPUS, **POOR)
EXACT = ExactIndex(CORPUS)
KEYS = np.arange(len(CORPUS)) % 40


def some(n: int, width: int = 8, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


def equal(one: Any, other: Any) -> bool:
    return np.array_equal(one.indices, other.indices) and np.array_equal(one.scores, other.scores)


# ---- contract


@pytest.mark.parametrize("metric", METRICS)
def test_it_keeps_the_contract_of_candidate_sources_where_its_list_holds_all_documents(metric: Metric) -> None:
    check_candidate_source(lambda documents, ids: HnswIndex(documents, ids=ids, metric=metric))


@pytest.mark.parametrize("metric", METRICS)
def test_a_search_of_a_dense_graph_equals_the_exact_one(metric: Metric) -> None:
    documents, queries = some(400), some(60, seed=1)
    index = HnswIndex(documents, metric=metric, M=40, ef_search=380)
    exact = ExactIndex(documents, metric=metric)
    assert equal(index.search(queries, 12, dtype="float64"), exact.search(queries, 12, dtype="float64"))


def test_it_has_both_protocols_and_says_that_it_is_approximate() -> None:
    assert isinstance(INDEX, Searcher)
    assert isinstance(INDEX, CandidateSource)
    found = HnswIndex(CORPUS[:300], **POOR).search(QUERIES[:3], 4)
    assert (found.exact, found.audit) == (False, None)
    assert "approximate: recall not measured" in repr(found)
    assert EXACT.search(QUERIES[:3], 4).exact


# ---- what comes back


def by_hand(documents: NDArray[np.float32], metric: Metric, options: dict[str, Any]) -> Any:
    """Build hnswlib's graph as the index does."""
    vectors = documents.astype(np.float64)
    if metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    graph = hnswlib.Index("l2" if metric == "l2" else "ip", documents.shape[1])
    graph.init_index(len(documents), M=options["M"], ef_construction=options["ef_construction"], random_seed=0)
    graph.add_items(vectors.astype(np.float32), num_threads=1)
    graph.set_ef(options["ef_search"])
    return graph


@given(
    n=st.integers(30, 200),
    k=st.integers(1, 10),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 1000),
    cap=st.none() | st.floats(-1, 1, width=32),
    excluded=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_among_the_proposals_everything_is_exact(
    n: int, k: int, metric: Metric, seed: int, cap: float | None, excluded: int
) -> None:
    """The proposals are those of hnswlib by hand; the brute force ranks, caps and excludes among them alone."""
    documents, queries = some(n, seed=seed), some(5, seed=seed + 1)
    options = {"M": 3, "ef_construction": 10, "ef_search": k + excluded}  # no list is cut
    index = HnswIndex(documents, metric=metric, **options, max_ef_search=1)
    left_out = np.random.default_rng(seed).integers(n, size=(5, excluded)).tolist()
    found = index.search(queries, k, exclude=left_out, max_score=cap, dtype="float64")
    vectors = queries.astype(np.float64)
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = min(k + excluded, n)
    proposed, _ = by_hand(documents, metric, options).knn_query(vectors.astype(np.float32), k=wanted, num_threads=1)
    for query in range(5):
        # Without a cap, documents that no rule names are as many as are needed among the first ones.
        rows = np.sort(np.setdiff1d(proposed[query].astype(int), left_out[query]))
        scores = negmine.score_pairs(queries, documents, [[query, row] for row in rows], metric=metric)
        kept = [
            (score, row)
            for score, row in zip(scores.tolist(), rows.tolist(), strict=True)
            if cap is None or score <= cap
        ]
        best = sorted(kept, key=lambda pair: (-pair[0], pair[1]))[:k]
        assert found.indices[query, : len(best)].tolist() == [row for _, row in best]
        assert found.scores[query, : len(best)].tolist() == [score for score, _ in best]
        assert (found.indices[query, len(best) :] == -1).all()
        assert found.counts[query] == len(best)


def test_every_document_of_a_pool_passes_every_rule_and_has_its_canonical_score() -> None:
    positives = EXACT.search(QUERIES, 2).indices
    eligible = Eligibility.equal(KEYS % 2, np.arange(len(QUERIES)) % 2)
    miner = HardNegativeMiner(5, range_max=20, relative_margin=0.05, min_score=0.1)
    options: dict[str, Any] = {"exclude": EXACT.search(QUERIES, 6).indices[:, 2:], "eligible": eligible}
    options |= {"groups": np.arange(len(CORPUS)) // 3}
    pool = miner.candidates(INDEX, QUERIES, positives, **options)
    exact = miner.candidates(EXACT, QUERIES, positives, **options)
    assert np.array_equal(pool.cap_scores, exact.cap_scores)
    assert np.array_equal(pool.positive_scores, exact.positive_scores)
    assert pool.counts.sum() > 1000
    for row in range(len(pool)):
        n = pool.counts[row]
        documents, scores = pool.indices[row, :n], pool.scores[row, :n]
        pairs = np.column_stack([np.full(n, row), documents])
        assert np.array_equal(scores, negmine.score_pairs(QUERIES, CORPUS, pairs))
        assert np.array_equal(np.lexsort((documents, -scores)), np.arange(n))
        assert (scores <= exact.cap_scores[row]).all()
        assert (scores >= 0.1).all()
        assert eligible.admits(row, documents).all()
        assert not np.isin(documents, options["exclude"][row]).any()
        assert not np.isin(documents // 3, positives[row] // 3).any()
    # A sparse graph misses some, and whatever it finds is no better than the exact pool.
    filled = exact.counts > 0
    assert (pool.scores[filled, 0] <= exact.scores[filled, 0]).all()
    assert str(pool.report).count("approximate candidates: recall not measured") == 1


def test_lines_and_reasons_of_the_report_add_up() -> None:
    pool = HardNegativeMiner(3, range_max=9).candidates(INDEX, QUERIES, EXACT.search(QUERIES, 1).indices)
    totals = pool.report.totals()
    assert totals["positives"] == len(QUERIES)
    assert totals["unlisted"] > 0
    assert sum(totals.values()) == len(QUERIES) * len(CORPUS)
    assert pool.report.diagnostics["proposed"] >= 9 * len(QUERIES)


def test_a_saved_pool_still_says_that_it_is_approximate(tmp_path: Path) -> None:
    index = HnswIndex(CORPUS, **POOR)
    said = str(index.audit(QUERIES, 10))
    pool = HardNegativeMiner(3, range_max=9).candidates(index, QUERIES, EXACT.search(QUERIES, 1).indices)
    pool.save(tmp_path / "pool.npz")
    loaded = CandidatePool.load(tmp_path / "pool.npz")
    assert loaded.report == pool.report
    assert loaded.report.approximation == said
    assert negmine.fuse([pool, pool]).report.approximation == said
    assert pool.select(2).report.approximation == said


@pytest.mark.parametrize("sampling", ["top", "random"])
def test_the_miner_takes_it_like_any_source(sampling: Any) -> None:
    positives = EXACT.search(QUERIES, 1).indices
    rich = HnswIndex(CORPUS, M=32, ef_search=1000)
    options: dict[str, Any] = {"num_negatives": 4, "range_max": 10, "sampling": sampling, "num_random": 2}
    found, exact = (negmine.mine(QUERIES, source, positives, **options) for source in (rich, EXACT))
    assert np.mean(found.indices == exact.indices) > 0.99


def test_margins_under_each_positive_give_one_row_each() -> None:
    positives = EXACT.search(QUERIES, 3).indices
    miner = HardNegativeMiner(3, range_max=6, relative_margin=0.02, reference="each")
    pool, exact = (miner.candidates(source, QUERIES, positives) for source in (INDEX, EXACT))
    for name in ("query_indices", "positive_indices", "reference_scores", "cap_scores"):
        assert np.array_equal(getattr(pool, name), getattr(exact, name))


# ---- widening


def test_a_query_is_searched_again_until_its_rare_documents_are_found() -> None:
    rare = Eligibility.equal(KEYS, np.zeros(len(QUERIES), dtype=np.int64))  # 1 document of 40
    wide = replace_budget(2000).search(QUERIES, 10, eligible=rare)
    assert (wide.counts == 10).all()
    assert equal(wide, EXACT.search(QUERIES, 10, eligible=rare)) or (KEYS[wide.indices] == 0).all()
    narrow = replace_budget(50).search(QUERIES, 10, eligible=rare)
    assert (narrow.counts < 10).any()
    assert (KEYS[narrow.indices[narrow.indices >= 0]] == 0).all()


def replace_budget(most: int) -> HnswIndex:
    return HnswIndex(CORPUS, **POOR, max_ef_search=most)


def test_a_row_that_the_budget_leaves_short_has_a_reason_and_unlisted_candidates() -> None:
    positives = EXACT.search(QUERIES, 1).indices
    rare = Eligibility.equal(KEYS, np.zeros(len(QUERIES), dtype=np.int64))
    pool = HardNegativeMiner(10).candidates(replace_budget(50), QUERIES, positives, eligible=rare)
    short = pool.counts < 10
    assert short.any()
    assert (pool.reasons[short] == Reason.LIST_EXHAUSTED).all()
    assert (pool.report.lines["unlisted"][short] > 0).all()
    assert pool.report.diagnostics["widened_queries"] > 0


def test_a_budget_of_all_documents_gives_the_exact_answer() -> None:
    """The last search scores all documents, so that rows that are short are short in the exact index as well."""
    none = [[] for _ in QUERIES]
    miner = HardNegativeMiner(5, max_score=-0.05)
    pool, exact = (miner.candidates(source, QUERIES, none) for source in (replace_budget(2000), EXACT))
    searched = pool.report.lines["unlisted"] == 0
    assert searched.any()
    assert np.array_equal(pool.indices[searched], exact.indices[searched])
    assert np.array_equal(pool.reasons[searched], exact.reasons[searched])


@pytest.mark.parametrize("k", [0, 1, 299, 300, 500])
def test_any_number_of_documents_may_be_asked_for(k: int) -> None:
    documents = some(300)
    found = HnswIndex(documents, **POOR).search(documents[:4], k)
    assert found.indices.shape == (4, k)
    assert (found.counts == min(k, 300)).all()
    if k >= 300:
        assert equal(found, ExactIndex(documents).search(documents[:4], k))


def test_fewer_are_found_where_the_graph_reaches_fewer() -> None:
    """Links of equal documents lead to each other alone; hnswlib raises an error where it finds fewer than asked."""
    documents = np.repeat(some(20), 30, axis=0)
    index = HnswIndex(documents, M=2, ef_construction=4, ef_search=5)
    found = index.search(documents[::30], 400)
    assert (found.counts <= 400).all()
    assert (found.counts > 0).all()
    for row, n in zip(found.indices, found.counts, strict=True):
        assert len(set(row[:n])) == n


def test_an_empty_index_grows(tmp_path: Path) -> None:
    index = HnswIndex(CORPUS[:0], **POOR)
    index.add(CORPUS[:0])
    index.add(CORPUS)
    assert equal(index.search(QUERIES, 5), INDEX.search(QUERIES, 5))
    assert index.audit(QUERIES, 5).recall == INDEX.audit(QUERIES, 5).recall
    index.save(tmp_path / "index.npz")
    assert equal(HnswIndex.load(tmp_path / "index.npz", CORPUS).search(QUERIES, 5), INDEX.search(QUERIES, 5))
    INDEX.ef_search = POOR["ef_search"]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_small_and_empty_corpora(n: int) -> None:
    documents = some(n)
    index = HnswIndex(documents)
    found, exact = index.search(some(3, seed=2), 2), ExactIndex(documents).search(some(3, seed=2), 2)
    assert equal(found, exact)
    assert index.search(some(0), 2).indices.shape == (0, 2)
    with pytest.raises(NegmineValueError, match="`queries` must not be empty, nor the index"):
        HnswIndex(some(0)).audit(some(2), 1)


# ---- determinism


@pytest.mark.parametrize("num_threads", [2, 5])
def test_results_do_not_depend_on_the_threads_of_a_search(num_threads: int) -> None:
    assert equal(INDEX.search(QUERIES, 10), INDEX.search(QUERIES, 10, num_threads=num_threads))


def test_the_same_options_give_the_same_graph_and_another_seed_another() -> None:
    again, other = HnswIndex(CORPUS, **POOR), HnswIndex(CORPUS, **POOR, seed=9)
    assert equal(again.search(QUERIES, 10), INDEX.search(QUERIES, 10))
    assert not equal(other.search(QUERIES, 10), INDEX.search(QUERIES, 10))


def test_results_do_not_depend_on_how_many_queries_are_searched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    miner = HardNegativeMiner(3, range_max=9, relative_margin=0.1, reference="each")
    positives = EXACT.search(QUERIES, 2).indices
    eligible = Eligibility.equal(KEYS % 3, np.arange(len(QUERIES)) % 3)
    whole = miner.candidates(INDEX, QUERIES, positives, eligible=eligible)
    monkeypatch.setattr(widening, "PAIRS_AT_ONCE", 7 * INDEX.ef_search)
    parts = miner.candidates(INDEX, QUERIES, positives, eligible=eligible)
    assert np.array_equal(whole.indices, parts.indices)
    assert np.array_equal(whole.positive_scores, parts.positive_scores)
    assert whole.report == parts.report


def test_a_query_gets_the_same_documents_in_any_company() -> None:
    exclude = [list(range(60 * (row % 3))) for row in range(len(QUERIES))]
    rare = Eligibility.equal(KEYS % 4, np.zeros(len(QUERIES), dtype=np.int64))
    together = INDEX.search(QUERIES, 8, exclude=exclude, eligible=rare)
    for row in range(0, 30, 7):
        alone = INDEX.search(
            QUERIES[row : row + 1], 8, exclude=exclude[row : row + 1], eligible=rare.slice(row, row + 1)
        )
        assert np.array_equal(alone.indices[0], together.indices[row])


def test_the_documents_of_a_query_do_not_depend_on_how_many_are_excluded_of_others() -> None:
    """The longest list of exclusions decides how many documents a search returns of every query."""
    top = EXACT.search(QUERIES, 20).indices
    exclude = [row[: t % 21].tolist() for t, row in enumerate(top)]
    together = INDEX.search(QUERIES, 5, exclude=exclude)
    for t in range(0, len(QUERIES), 7):
        alone = INDEX.search(QUERIES[t : t + 1], 5, exclude=exclude[t : t + 1])
        assert np.array_equal(alone.indices[0], together.indices[t])


def test_several_threads_may_build() -> None:
    index = HnswIndex(CORPUS, build_threads=3)
    assert index.audit(QUERIES, 10).recall > 0.9


def _searched(index: HnswIndex, queue: Any) -> None:
    queue.put(index.search(QUERIES, 5).indices)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_process_searches() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_searched, args=(INDEX, queue))
    child.start()
    found = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert np.array_equal(found, INDEX.search(QUERIES, 5).indices)


# ---- types and special rows


@pytest.mark.parametrize("kind", ["float16", "float64", "int8", "uint8", "fortran", "strided"])
def test_other_types_of_embeddings_are_scored_as_the_exact_index_scores_them(kind: str) -> None:
    documents: Any = some(200) * 20
    if kind == "fortran":
        documents = np.asfortranarray(documents)
    elif kind == "strided":
        documents = np.repeat(documents, 2, axis=1)[:, ::2]
    else:
        documents = (np.abs(documents) if kind == "uint8" else documents).astype(kind)
    index, exact = HnswIndex(documents, M=40, ef_search=190), ExactIndex(documents)
    assert equal(index.search(documents[:20], 5, dtype="float64"), exact.search(documents[:20], 5, dtype="float64"))


def test_rows_of_zeros_are_counted_as_the_exact_index_counts_them() -> None:
    documents, queries = some(200), some(6, seed=1)
    documents[[3, 150]] = 0
    queries[2] = 0
    miner = HardNegativeMiner(2)
    reports = [miner.candidates(make(documents), queries, [[0]] * 6).report for make in (HnswIndex, ExactIndex)]
    assert [(report.zero_documents, report.zero_queries) for report in reports] == [(2, 1), (2, 1)]


def test_rows_are_zero_where_they_are_zero_in_float32() -> None:
    documents, queries = some(200).astype(np.float64), some(6, seed=1).astype(np.float64)
    documents[3] *= 1e-60
    queries[2] *= 1e-60
    miner = HardNegativeMiner(2)
    reports = [miner.candidates(make(documents), queries, [[0]] * 6).report for make in (HnswIndex, ExactIndex)]
    assert [(report.zero_documents, report.zero_queries) for report in reports] == [(1, 1), (1, 1)]


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_very_small_and_very_large_embeddings_have_a_graph(scale: float) -> None:
    index = HnswIndex(some(500) * np.float32(scale), M=16, ef_search=300)
    assert index.audit(some(50, seed=1), 5).recall > 0.95


# ---- recall


def test_the_audit_equals_the_verification() -> None:
    index = HnswIndex(CORPUS, **POOR)
    assert index.recall is None
    found = index.audit(QUERIES, 10, None)
    verified = negmine.verify(QUERIES, CORPUS, index.search(QUERIES, 10).indices, 10)
    assert found.recall == pytest.approx(verified.recall)
    assert 0.2 < found.recall < 1
    assert (found.k, found.ef_search, found.n_queries) == (10, 12, len(QUERIES))
    assert 0 < found.standard_error < 0.1
    assert min(found.seconds_per_query, found.exact_seconds_per_query) > 0
    assert index.recall == found.recall


def test_results_say_the_recall_until_the_index_changes() -> None:
    index = HnswIndex(CORPUS[:500], **POOR)
    found = index.audit(QUERIES, 10, sample=50)
    assert found.n_queries == 50
    assert index.search(QUERIES, 3).audit is found
    assert f"recall@10 {found.recall:.4f} measured on 50 queries at ef_search=12" in repr(index.search(QUERIES, 3))
    assert str(found) in repr(index)
    changes: list[Callable[[], object]] = [
        lambda: index.add(CORPUS[500:600]),
        lambda: index.delete([3]),
        lambda: setattr(index, "ef_search", 30),
    ]
    for change in changes:
        index.audit(QUERIES, 10, sample=20)
        change()
        assert index.last_audit is None
        assert "recall not measured" in repr(index)


def test_a_longer_list_finds_more() -> None:
    index = HnswIndex(CORPUS, **POOR)
    poor = index.audit(QUERIES, 10).recall
    index.ef_search = 300
    assert index.audit(QUERIES, 10).recall > poor + 0.1


def test_the_audit_counts_added_and_deleted_documents() -> None:
    index = HnswIndex(CORPUS[:700], M=40, ef_search=900)
    index.add(CORPUS[700:1000])
    index.delete(np.unique(EXACT.search(QUERIES, 3).indices[EXACT.search(QUERIES, 3).indices < 1000]))
    assert index.audit(QUERIES, 10).recall > 0.99
    assert index.audit(QUERIES[:1], 10).n_queries == 1


# ---- documents come and go


def test_added_documents_are_found_as_if_they_had_been_there() -> None:
    whole, parts = HnswIndex(CORPUS, **POOR), HnswIndex(CORPUS[:1200], **POOR)
    parts.add(CORPUS[1200:1900].astype(np.float64))
    parts.add(CORPUS[1900:])
    assert len(parts) == len(CORPUS)
    assert equal(parts.search(QUERIES, 10, dtype="float64"), whole.search(QUERIES, 10, dtype="float64"))
    query, document = np.array([3, 1, 1]), np.array([1999, 1300, 5])
    assert np.array_equal(
        parts.score_pairs(QUERIES, query, document),
        negmine.score_pairs(QUERIES, CORPUS, np.stack([query, document], 1)),
    )


def test_labels_are_added_with_documents() -> None:
    index = HnswIndex(CORPUS[:50], ids=[f"d{row}" for row in range(50)])
    index.add(CORPUS[50:60], ids=[f"d{row}" for row in range(50, 60)])
    assert index.search(CORPUS[55:56], 1).ids.tolist() == [["d55"]]
    with pytest.raises(NegmineTypeError, match="`ids` must be given, as the index has labels; got none"):
        index.add(CORPUS[:1])
    with pytest.raises(NegmineTypeError, match="`ids` must be strings, as those of the index; got dtype int64"):
        index.add(CORPUS[:1], ids=[1])
    with pytest.raises(NegmineValueError, match="`ids` must be unique; got 'd7'"):
        index.add(CORPUS[:1], ids=["d7"])
    with pytest.raises(NegmineTypeError, match="`ids` must not be given, as the index has no labels; got labels"):
        HnswIndex(CORPUS[:9]).add(CORPUS[:1], ids=[1])
    assert len(index) == 60


def test_deleted_documents_are_not_returned_and_the_others_keep_their_rows() -> None:
    index = HnswIndex(CORPUS, M=32, ef_search=1000)
    gone = np.unique(EXACT.search(QUERIES, 4).indices)
    index.delete(gone)
    found = index.search(QUERIES, 10)
    left = EXACT.search(QUERIES, 10, eligible=index.live(len(QUERIES)))
    assert not np.isin(found.indices, gone).any()
    assert np.mean(found.indices == left.indices) > 0.99
    assert (len(index), index.n_deleted) == (len(CORPUS), len(gone))
    with pytest.raises(NegmineValueError, match=f"`rows` must hold documents once .* got {gone[0]}"):
        index.delete(gone[:1])
    with pytest.raises(NegmineValueError, match="must hold documents once"):
        index.delete([1998, 1998])
    with pytest.raises(NegmineValueError, match="`rows` must hold rows below 2000; got 2000"):
        index.delete([2000])
    assert index.n_deleted == len(gone)


def test_an_index_may_lose_all_its_documents() -> None:
    index = HnswIndex(CORPUS[:100], **POOR)
    index.delete(np.arange(99))
    assert index.search(QUERIES[:2], 3).indices.tolist() == [[99, -1, -1]] * 2
    index.delete([99])
    assert index.search(QUERIES[:2], 3).counts.tolist() == [0, 0]
    index.add(CORPUS[100:102])
    assert sorted(index.search(QUERIES[:1], 3).indices[0].tolist()) == [-1, 100, 101]


def test_random_negatives_leave_deleted_documents_out_or_say_so() -> None:
    index = HnswIndex(CORPUS[:40])
    index.delete(np.arange(20))
    positives = [[25]] * 30
    with pytest.raises(NegmineValueError, match="must not hold deleted documents; got"):
        negmine.mine(QUERIES[:30], index, positives, num_negatives=2, num_random=5)
    mined = negmine.mine(QUERIES[:30], index, positives, num_negatives=2, num_random=5, eligible=index.live(30))
    assert (mined.indices >= 20).all()


# ---- interrupts


def test_ctrl_c_while_documents_are_added_leaves_those_of_whole_chunks() -> None:
    def stop(done: int, total: int) -> None:
        if done >= 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HnswIndex(CORPUS, **POOR, progress=stop)
    index = HnswIndex(CORPUS[:100], **POOR, ids=range(100))
    with pytest.raises(KeyboardInterrupt):
        index.add(CORPUS[100:], ids=range(100, len(CORPUS)), progress=stop)
    assert len(index) == 612
    assert index.document_ids is not None
    assert len(index.document_ids) == 612
    index.add(CORPUS[612:], ids=range(612, len(CORPUS)))
    assert equal(index.search(QUERIES, 10), INDEX.search(QUERIES, 10))
    with pytest.raises(KeyboardInterrupt):
        index.search(np.tile(QUERIES, (5, 1)), 3, progress=stop)


def test_ctrl_c_right_after_an_insertion_leaves_graph_and_documents_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    insert = Graph.add

    def interrupted(graph: Graph, vectors: np.ndarray, first: int, num_threads: int) -> None:
        insert(graph, vectors, first, num_threads)
        if first >= 300:
            raise KeyboardInterrupt

    index = HnswIndex(CORPUS[:100], **POOR)
    monkeypatch.setattr(Graph, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.add(CORPUS[100:])
    monkeypatch.undo()
    assert len(index) == 612
    index.add(CORPUS[612:])
    assert equal(index.search(QUERIES, 10), INDEX.search(QUERIES, 10))


def test_progress_counts_documents_and_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []
    index = HnswIndex(CORPUS[:600], **POOR, progress=lambda done, total: said.append((done, total)))
    monkeypatch.setattr(widening, "PAIRS_AT_ONCE", 512 * index.ef_search)
    tiled = np.tile(QUERIES, (5, 1))
    index.search(tiled, 3, num_threads=1, progress=lambda done, total: said.append((done, total)))
    assert said == [(256, 600), (512, 600), (600, 600), (512, 750), (750, 750)]


# ---- the file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    index = HnswIndex(CORPUS[:80], **POOR, ids=[f"d{row}" for row in range(80)], max_ef_search=70, seed=4)
    index.add(CORPUS[80:120], ids=[f"d{row}" for row in range(80, 120)])
    index.delete([7, 100])
    index.audit(QUERIES, 5)
    index.save(tmp_path / "index.npz")
    return tmp_path / "index.npz"


def graphs(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.hnsw"))


def test_a_loaded_index_is_the_saved_one(saved: Path) -> None:
    index = HnswIndex.load(saved, CORPUS[:120])
    assert (len(index), index.n_deleted, index.ef_search, index.max_ef_search, index.seed) == (120, 2, 12, 70, 4)
    assert index.last_audit is not None
    assert index.last_audit.n_queries == len(QUERIES)
    fresh = HnswIndex(CORPUS[:80], **POOR, ids=[f"d{row}" for row in range(80)], max_ef_search=70, seed=4)
    fresh.add(CORPUS[80:120], ids=[f"d{row}" for row in range(80, 120)])
    fresh.delete([7, 100])
    assert equal(index.search(QUERIES, 10), fresh.search(QUERIES, 10))
    assert index.search(QUERIES, 10).ids.tolist() == fresh.search(QUERIES, 10).ids.tolist()
    index.add(CORPUS[120:130], ids=[f"d{row}" for row in range(120, 130)])
    assert index.search(CORPUS[125:126], 1).ids.tolist() == [["d125"]]


def test_the_same_index_gives_the_same_files_and_a_new_graph_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "in[de]x.npz"
    index = HnswIndex(CORPUS[:50], **POOR)
    index.save(path)
    before = [path.read_bytes(), graphs(path)]
    index.save(path)
    assert [path.read_bytes(), graphs(path)] == before
    index.add(CORPUS[50:60])
    index.save(path)
    assert len(graphs(path)) == 1
    assert graphs(path) != before[1]
    assert sorted(tmp_path.iterdir()) == sorted([path, *graphs(path)])
    assert len(HnswIndex.load(path, CORPUS[:60])) == 60


def test_another_corpus_is_refused(saved: Path) -> None:
    with pytest.raises(NegmineValueError, match=r"`corpus` must have the shape of the saved one, \(120, 384\)"):
        HnswIndex.load(saved, CORPUS[:119])
    changed = CORPUS[:120].copy()
    changed[90] = changed[91]
    with pytest.raises(NegmineValueError, match="must be that of the saved index; got other values in rows 80 to 120"):
        HnswIndex.load(saved, changed)


def test_a_missing_graph_and_that_of_another_index_are_refused(saved: Path) -> None:
    (graph,) = graphs(saved)
    other = HnswIndex(CORPUS[:120], **POOR)
    other.save(saved.with_name("other.npz"))
    swapped = next(path for path in graphs(saved) if path != graph)
    swapped.replace(graph)
    with pytest.raises(NegmineValueError, match="corrupt: checksum mismatch in"):
        HnswIndex.load(saved, CORPUS[:120])
    graph.unlink()
    with pytest.raises(NegmineValueError, match=r"must have its graph next to it, index\.npz\..* got nothing there"):
        HnswIndex.load(saved, CORPUS[:120])


def test_a_damaged_archive_or_graph_is_refused(saved: Path) -> None:
    def read() -> Any:
        index = HnswIndex.load(saved, CORPUS[:120])
        return index.search(QUERIES[:20], 5).ids.tolist(), index.last_audit

    for path, n in ((saved, 60), (graphs(saved)[0], 30)):
        content = path.read_bytes()
        found = outcomes(path, n, read)
        path.write_bytes(content)
        assert (found["other"], found["raw"]) == ([], [])
        assert len(found["refused"]) > n


HEADER = struct.Struct("<QQQQQQiIQQQdQ")


def planted(content: bytes, seed: int) -> bytes:
    """Change a few words of a graph: of its header, of links and of lengths of lists, more often than of embeddings."""
    draw, words = np.random.default_rng(seed), np.frombuffer(content, "<u4").copy()
    n_header = HEADER.size // 4
    places = [
        draw.integers(n_header),
        n_header + draw.integers(60),
        draw.integers(len(words)),
        len(words) - 1 - draw.integers(400),
    ]
    values = [0, 1, 8, 119, 120, 2**16 - 1, 2**31, 2**32 - 1, int(draw.integers(2**32)), int(draw.integers(130))]
    for place in draw.choice(places, 1 + seed % 2):
        words[place] = draw.choice(values)
    return words.tobytes()[: len(content) - (seed % 5 == 0) * int(draw.integers(2000))]


@pytest.mark.parametrize("n_seeds", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_graph_of_strangers_is_refused_or_leads_nowhere_else(n_seeds: int, saved: Path) -> None:
    header, arrays = archive.read(saved, formats.HNSW_INDEX)
    (graph,) = graphs(saved)
    content = graph.read_bytes()
    n = 0
    for seed in range(n_seeds):
        changed = planted(content, seed)
        if changed != content:
            digest = hashlib.sha256(changed).hexdigest()
            path = saved.with_name(f"{n}.npz")
            path.with_name(f"{path.name}.{digest[:16]}.hnsw").write_bytes(changed)
            archive.write(path, formats.HNSW_INDEX, {**header, "graph": digest}, arrays)
            n += 1
    # hnswlib reads beyond its memory and ends the process, if it is misled.
    printed = output_of([sys.executable, "-c", STRANGER, str(saved.parent), str(n)], seconds=280)
    refused, taken = map(int, printed.split())
    assert refused + taken == n
    assert refused > n // 3


#: A process that loads indexes of strangers, and searches and extends those that it may load.
STRANGER = """
import sys
from pathlib import Path
import numpy as np
from negmine import HnswIndex, demo
from negmine.errors import NegmineError

rows = np.ascontiguousarray(demo.load().document_embeddings[:130], dtype=np.float32)
folder, n, taken = Path(sys.argv[1]), int(sys.argv[2]), 0
for number in range(n):
    try:
        index = HnswIndex.load(folder / f"{number}.npz", rows[:120])
    except NegmineError:
        continue
    taken += 1
    try:
        index.search(rows[:20], 10)
        index.add(rows[120:], ids=[f"d{row}" for row in range(120, 130)])
        index.search(rows[:20], 50)
    except NegmineError:
        pass
print(n - taken, taken)
"""


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    pool = HardNegativeMiner(2).candidates(EXACT, QUERIES[:3], [[0], [1], [2]])
    pool.save(tmp_path / "pool.npz")
    with pytest.raises(NegmineValueError, match="must be a hnsw index file of version 1; got 'candidate pool'"):
        HnswIndex.load(tmp_path / "pool.npz", CORPUS)
    with pytest.raises(NegmineValueError, match="`path` must be a file"):
        HnswIndex.load(tmp_path / "none.npz", CORPUS)
    with pytest.raises(NegmineValueError, match="`path` must lie in a folder that exists"):
        INDEX.save(tmp_path / "no" / "index.npz")
    with pytest.raises(NegmineTypeError, match="`HnswIndex` must be saved with `save`"):
        pickle.dumps(INDEX)


# ---- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"M": 1}, "`M` must be at least 2; got 1"),
        ({"ef_construction": 0}, "`ef_construction` must be at least 1; got 0"),
        ({"ef_search": 0}, "`ef_search` must be at least 1; got 0"),
        ({"max_ef_search": 0.5}, "`max_ef_search` must be an integer; got 0.5"),
        ({"metric": "dot"}, "`metric` must be one of 'cosine', 'ip', 'l2'; got 'dot'"),
        ({"seed": -1}, "`seed` must be at least 0; got -1"),
        ({"build_threads": 0}, "`build_threads` must be at least 1; got 0"),
        ({"num_threads": 0}, "`num_threads` must be at least 1; got 0"),
        ({"ids": [1, 1, *range(5, 43)]}, "`ids` must be unique; got 1"),
        ({"progress": 3}, "`progress` must be callable"),
        ({"ef": 3}, "`HnswIndex` has no option 'ef'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NegmineError, match=message):
        HnswIndex(CORPUS[:40], **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HnswIndex(np.zeros((3, 0), np.float32)), "`corpus` must have a width of at least 1; got shape"),
        (lambda: HnswIndex([[1.0]]), "`corpus` must be a NumPy array"),
        (lambda: HnswIndex(np.array([[1.0], [np.nan]])), "`corpus` must be finite in float32; row 1 is not"),
        (lambda: INDEX.add(CORPUS[:, :3]), "`embeddings` must have width 384; got 3"),
        (lambda: INDEX.add(np.full((1, 384), np.inf)), "`embeddings` must be finite in float32; row 0 is not"),
        (lambda: INDEX.search(CORPUS[:, :3], 2), "`queries` must have the width of the corpus, 384; got 3"),
        (lambda: INDEX.search(np.full((2, 384), np.nan), 2), "`queries` must be finite in float32; row 0 is not"),
        (lambda: INDEX.search(QUERIES, -1), "`k` must be at least 0; got -1"),
        (lambda: INDEX.search(QUERIES, 1, dtype="f4"), "`dtype` must be one of"),
        (lambda: INDEX.search(QUERIES, 1, exclude=[[0]]), "`exclude` must have length 150, one list per query; got 1"),
        (lambda: INDEX.search(QUERIES[:1], 1, exclude=[[2000]]), "`exclude` must hold"),
        (lambda: INDEX.search(QUERIES, 1, max_score=np.nan), "`max_score` must be finite"),
        (lambda: INDEX.search(QUERIES, 1, eligible=3), "`eligible` must be an Eligibility"),
        (
            lambda: INDEX.search(QUERIES, 1, eligible=Eligibility(KEYS[1:], KEYS[:150], KEYS[:150])),
            "`eligible` must have 2000 keys and 150 ranges; got 1999 and 150",
        ),
        (lambda: INDEX.score_pairs(QUERIES, [150], [0]), "`query_indices` must hold rows below 150; got 150"),
        (lambda: INDEX.score_pairs(QUERIES, [0], [-1]), "`document_indices` must hold rows below 2000; got -1"),
        (lambda: INDEX.audit(QUERIES, 0), "`k` must be at least 1; got 0"),
        (lambda: INDEX.audit(QUERIES, 1, 0), "`sample` must be at least 1; got 0"),
        (lambda: INDEX.audit(QUERIES[:0], 1), "`queries` must not be empty, nor the index; got 0 queries"),
        (lambda: INDEX.delete([0.5]), "`rows` must hold integers"),
        (lambda: INDEX.search(QUERIES, 10**9), "`k` must give a result that fits in memory"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(NegmineError, match=message):
        call()
    assert len(INDEX) == len(CORPUS)
    assert INDEX.n_deleted == 0


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    with pytest.raises(MissingExtraError, match=r"HnswIndex needs hnswlib, .* pip install 'negmine\[hnsw\]'"):
        HnswIndex(CORPUS[:9])


def test_importing_the_package_does_not_import_hnswlib() -> None:
    code = "import sys, negmine; negmine.HnswIndex, negmine.AutoIndex; print('hnswlib' in sys.modules)"
    assert output_of([sys.executable, "-c", code], seconds=60) == "False\n"


def test_the_request_of_a_pool_may_have_a_warm_start_and_given_scores() -> None:
    miner = HardNegativeMiner(3, range_max=9, absolute_margin=0.1)
    positives = negmine.Positives.from_lists([[0], [-1]], positive_scores=[np.nan, 0.4])
    plain = miner.candidates(INDEX, QUERIES[:2], positives)
    warm = miner.candidates(INDEX, QUERIES[:2], positives, warm_start=plain)
    assert equal(plain, warm)
    assert plain.cap_scores[1] == 0.4 - 0.1
    request = replace(miner.request(plain.rules), warm_start=None)
    with pytest.raises(NegmineValueError, match="`positives` must have 3 lists; got 2"):
        INDEX.candidates(QUERIES[:3], request)
