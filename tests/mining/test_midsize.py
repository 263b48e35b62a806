"""Larger problems, where a first pass has something to get wrong: clusters of near-ties, several tiles, many rows."""

from __future__ import annotations

import numpy as np
import pytest

import compare
import negmine
import oracle
from compare import How, Problem
from problems import Features, make_problem
from vectors import LAYOUTS, clusters, queries_for

PLAIN = Features(depth=20)
MARGINS = Features(exclude=True, absolute=True, lowest=True, groups=True, depth=50, range_min=2)
EACH = Features(reference="each", relative=True, outside="embeddings", eligible=True, itself="labels", depth=10)
ITSELF = Features(itself="slice", highest=True, depth=100, reference="mean")

CASES = [
    # kind, metric, (queries, documents, width), features, seed
    ("clusters", "cosine", (50, 3000, 128), PLAIN, 0),
    ("clusters", "ip", (50, 3000, 130), MARGINS, 1),
    ("clusters", "l2", (30, 2000, 96), EACH, 2),
    ("near", "cosine", (20, 2500, 64), EACH, 3),
    ("near", "ip", (20, 1500, 33), PLAIN, 4),
    ("near", "l2", (20, 3000, 70), MARGINS, 5),
    ("copies", "cosine", (40, 1000, 17), MARGINS, 6),
    ("grid", "ip", (40, 3000, 48), EACH, 7),
    ("basis", "cosine", (40, 3000, 100), MARGINS, 8),
    ("outlier", "ip", (30, 2000, 128), PLAIN, 9),
    ("outlier", "cosine", (30, 2000, 65), MARGINS, 10),
    ("magnitudes", "ip", (30, 2000, 40), PLAIN, 11),
    ("magnitudes", "l2", (30, 2000, 40), MARGINS, 12),
    ("far", "l2", (30, 3000, 128), PLAIN, 13),
    ("far", "cosine", (30, 1000, 31), MARGINS, 14),
    ("huge", "l2", (20, 1000, 20), MARGINS, 15),
    ("denormal", "ip", (20, 1000, 20), EACH, 16),
    ("normal", "cosine", (3, 3000, 130), ITSELF, 17),
    ("clusters", "cosine", (60, 1500, 64), ITSELF, 18),
]


def problem_of(kind: str, metric: oracle.Metric, shape: tuple[int, int, int], features: Features, seed: int) -> Problem:
    return make_problem(np.random.default_rng(seed), kind, metric, shape, features)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[4]}")
def test_candidates(case: tuple[str, oracle.Metric, tuple[int, int, int], Features, int]) -> None:
    problem = problem_of(*case)
    expected = compare.expected_pool(problem)
    hows = [How(threads=threads) for threads in compare.THREADS]
    hows += [How(threads=2, tile_rows=tile_rows) for tile_rows in (1, 100, 1000)]
    hows += [How(threads=threads, tight=True) for threads in (1, 3)]
    for how in hows:
        compare.assert_same_pool(compare.actual_pool(problem, how), expected, problem)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts(layout: str) -> None:
    problem = problem_of("clusters", "cosine", (20, 1100, 70), MARGINS, 19)
    how = How(threads=2, corpus_layout=LAYOUTS[layout], query_layout=LAYOUTS[layout])
    compare.assert_same_pool(compare.actual_pool(problem, how), compare.expected_pool(problem), problem)


@pytest.mark.parametrize("k", [1, 2, 7, 64, 2000])
def test_search_depths(k: int) -> None:
    problem = problem_of("clusters", "cosine", (12, 1700, 90), PLAIN, 20)
    found = compare.index_of(problem, How(threads=2)).search(problem.queries, k)
    rows, scores, counts = oracle.search(problem.queries, problem.corpus, k)
    compare.same(found.indices, rows, np.int64, "indices")
    compare.same(found.scores, scores, np.float32, "scores")
    compare.same(found.counts, counts, np.int32, "counts")


@pytest.mark.parametrize("width", [257, 384, 768, 1000, 1024, 4097])
@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_wide_rows(metric: oracle.Metric, width: int) -> None:
    problem = problem_of("near", metric, (3, 150, width), MARGINS, width)
    compare.assert_same_pool(compare.actual_pool(problem, How()), compare.expected_pool(problem), problem)


def test_one_query_against_many_documents_and_many_against_one() -> None:
    for shape in ((1, 3000, 64), (300, 1, 64), (300, 2, 5)):
        problem = problem_of("clusters", "ip", shape, PLAIN, 21)
        compare.assert_same_pool(compare.actual_pool(problem, How(threads=3)), compare.expected_pool(problem), problem)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_a_streamed_corpus_gives_the_same_answers(metric: oracle.Metric) -> None:
    rng = np.random.default_rng(26)
    corpus = clusters(rng, 150_000, 64)
    queries = queries_for(rng, corpus, 250, "clusters")
    kept = negmine.ExactIndex(corpus, metric=metric)
    assert kept.nbytes > 11_000_000
    expected = kept.search(queries, 4)
    rows, scores, _ = oracle.search(queries[:3], corpus, 4, metric=metric)
    compare.same(expected.indices[:3], rows, np.int64, "indices")
    compare.same(expected.scores[:3], scores, np.float32, "scores")
    passes = set()
    for limit in (8_000_000, 16_000_000):
        index = negmine.ExactIndex(corpus, metric=metric, memory_limit=limit)
        plan = index.plan(len(queries), 4)
        passes.add(plan.passes)
        assert index.nbytes == 0
        assert plan.total_bytes <= limit
        found = index.search(queries, 4)
        assert compare.digest(found.indices, found.scores) == compare.digest(expected.indices, expected.scores)
    assert len(passes) > 1


def test_an_index_serves_many_calls_alike() -> None:
    problem = problem_of("clusters", "cosine", (10, 800, 64), MARGINS, 22)
    index = compare.index_of(problem, How(threads=2))
    miner = compare.miner_of(problem.limits)
    positives, rules = compare.positives_of(problem), compare.rules_of(problem)
    pools = [miner.candidates(index, problem.queries, positives, **rules) for _ in range(3)]
    assert len({compare.digest_pool(pool) for pool in pools}) == 1
    assert negmine.ExactIndex(problem.corpus).search(problem.queries, 5).indices.shape == (10, 5)


# ---- metamorphic: what must hold whatever the oracle thinks


def test_permuting_the_corpus_permutes_the_answer() -> None:
    rng = np.random.default_rng(23)
    corpus, queries = rng.standard_normal((900, 40)), rng.standard_normal((15, 40))
    order = rng.permutation(900)
    plain = negmine.mine(queries, corpus, [[i] for i in range(15)], num_negatives=9, absolute_margin=0.01)
    where = np.argsort(order)
    moved = negmine.mine(queries, corpus[order], [[where[i]] for i in range(15)], num_negatives=9, absolute_margin=0.01)
    real = plain.indices >= 0
    assert (np.where(moved.indices >= 0, order[moved.indices], -1) == plain.indices).all()
    assert real.any()
    assert (moved.scores == plain.scores).all()


def test_scaling_by_a_power_of_two_leaves_the_cosine() -> None:
    problem = problem_of("clusters", "cosine", (10, 700, 50), PLAIN, 24)
    plain = negmine.ExactIndex(problem.corpus).search(problem.queries, 30)
    scaled = negmine.ExactIndex(problem.corpus * np.float32(2.0**-20)).search(problem.queries * np.float32(2.0**9), 30)
    assert (plain.indices == scaled.indices).all()
    assert (plain.scores == scaled.scores).all()


def test_a_worse_document_changes_nothing_and_k_is_a_prefix() -> None:
    problem = problem_of("normal", "l2", (10, 700, 50), PLAIN, 25)
    index = negmine.ExactIndex(problem.corpus, metric="l2")
    plain = index.search(problem.queries, 12)
    worse = np.concatenate([problem.corpus, np.full((5, 50), 1e6, dtype=np.float32)])
    assert (negmine.ExactIndex(worse, metric="l2").search(problem.queries, 12).indices == plain.indices).all()
    assert (index.search(problem.queries, 3).indices == plain.indices[:, :3]).all()
