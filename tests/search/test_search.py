"""Search and pair scores against the oracle, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compare
import negmine
import oracle
from compare import How
from problems import METRICS, few, make_ranges
from strategies import HOWS, SEEDS, SHAPES
from vectors import KINDS, LAYOUTS, mixes, queries_for


@given(
    SEEDS,
    st.sampled_from(list(KINDS)),
    st.sampled_from(METRICS),
    SHAPES,
    HOWS,
    st.integers(0, 100),
    st.tuples(*[st.booleans()] * 3),
)
def test_search(
    seed: int,
    kind: str,
    metric: oracle.Metric,
    shape: tuple[int, int, int],
    how: How,
    k: int,
    filters: tuple[bool, bool, bool],
) -> None:
    rng = np.random.default_rng(seed)
    n_queries, n, width = shape
    corpus = KINDS[kind](rng, n, width)
    queries = queries_for(rng, corpus, n_queries, kind)
    scores = oracle.all_scores(queries, corpus, metric)
    cap = float(rng.choice(scores.ravel())) if filters[0] and scores.size else None
    exclude = [few(rng, n) for _ in range(n_queries)] if filters[1] else None
    ranges = make_ranges(rng, n, n_queries) if filters[2] else None
    problem = compare.Problem(queries, corpus, [[]] * n_queries, metric=metric)
    eligible = None if ranges is None else negmine.Eligibility(*(np.array(v, dtype=np.int64) for v in ranges))

    def work(memory_limit: int | None) -> negmine.TopK:
        index = compare.index_of(problem, how, memory_limit)
        asked = how.query_layout(queries)
        return index.search(asked, k, exclude=exclude, max_score=cap, eligible=eligible, num_threads=how.threads)

    found = compare.with_memory(how, work)
    rows, public, counts = oracle.search(
        queries, corpus, k, metric=metric, exclude=exclude, max_score=cap, eligible=ranges
    )
    compare.same(found.indices, rows, np.int64, "indices")
    compare.same(found.scores, public, np.float32, "scores")
    compare.same(found.counts, counts, np.int32, "counts")
    assert (found.ids == rows).all()


@given(SEEDS, st.sampled_from(list(KINDS)), st.sampled_from(METRICS), SHAPES, HOWS)
def test_score_pairs(seed: int, kind: str, metric: oracle.Metric, shape: tuple[int, int, int], how: How) -> None:
    rng = np.random.default_rng(seed)
    n_queries, n, width = shape
    corpus = KINDS[kind](rng, n, width)
    queries = queries_for(rng, corpus, n_queries, kind)
    n_pairs = int(rng.integers(0, 30)) if n and n_queries else 0
    pairs = np.stack([rng.integers(0, max(n_queries, 1), n_pairs), rng.integers(0, max(n, 1), n_pairs)], axis=1)
    scores = negmine.score_pairs(
        how.query_layout(queries), how.corpus_layout(corpus), pairs, metric=metric, num_threads=how.threads
    )
    expected = oracle.pair_scores(queries[pairs[:, 0]], corpus[pairs[:, 1]], metric) if n_pairs else []
    compare.same(scores, expected, np.float64, "scores")


@pytest.mark.parametrize(("corpus_layout", "query_layout"), mixes(LAYOUTS))
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8", "uint8", "bfloat16"])
def test_every_dtype_in_every_layout(dtype: str, corpus_layout: str, query_layout: str) -> None:
    rng = np.random.default_rng(len(dtype))
    if dtype == "bfloat16":
        if "big_endian" in (corpus_layout, query_layout):
            pytest.skip("bfloat16 has no other byte order")
        element = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    else:
        element = np.dtype(dtype)

    def values(n: int) -> np.ndarray:
        if element.kind in "iu":
            limits = np.iinfo(element)
            return rng.integers(limits.min, limits.max, (n, 19), endpoint=True, dtype=element)
        # Products with 2^-20 take float16 into its denormals; float64 holds what float32 cannot.
        return (rng.standard_normal((n, 19)) * 2.0 ** rng.integers(-20, 9, (n, 1))).astype(element)

    corpus, queries = values(40), values(6)
    corpus[7], queries[2] = corpus[3], corpus[3]
    for metric in METRICS:
        index = negmine.ExactIndex(LAYOUTS[corpus_layout](corpus), metric=metric)
        found = index.search(LAYOUTS[query_layout](queries), 9)
        rows, public, _ = oracle.search(queries.astype(np.float32), corpus.astype(np.float32), 9, metric=metric)
        compare.same(found.indices, rows, np.int64, f"{metric} rows")
        compare.same(found.scores, public, np.float32, f"{metric} scores")


def test_a_corpus_and_queries_of_different_dtypes() -> None:
    rng = np.random.default_rng(1)
    corpus, queries = rng.integers(-9, 9, (30, 5)).astype(np.int8), rng.standard_normal((4, 5))
    found = negmine.ExactIndex(corpus, metric="l2").search(queries, 30)
    rows, public, _ = oracle.search(queries, corpus, 30, metric="l2")
    compare.same(found.indices, rows, np.int64, "indices")
    compare.same(found.scores, public, np.float32, "scores")


def test_float64_is_rounded_once_and_before_anything_else() -> None:
    # Apart in float64 and equal in float32: a tie, which the lower row wins.
    corpus = np.array([[1.0], [1.0 + 2.0**-30]])
    found = negmine.ExactIndex(corpus, metric="ip").search(np.ones((1, 1)), 2)
    assert found.indices.tolist() == [[0, 1]]
    assert found.scores.tolist() == [[1.0, 1.0]]


def test_broadcast_and_overlapping_rows_are_read_as_they_stand() -> None:
    rng = np.random.default_rng(2)
    line = rng.standard_normal(60).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(line, 8)
    broadcast = np.broadcast_to(line[:8], (5, 8))
    found = negmine.ExactIndex(windows).search(broadcast, 7)
    rows, public, _ = oracle.search(broadcast, windows, 7)
    compare.same(found.indices, rows, np.int64, "indices")
    compare.same(found.scores, public, np.float32, "scores")
