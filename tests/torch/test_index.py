"""TorchIndex against ExactIndex: the same results, bit for bit, whatever the tiles, threads, rules and types."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import negmine
from compare import How, Problem, digest_pool, index_of, labels, miner_of, positives_of, rules_of
from negmine.errors import CorpusChangedError, NegmineError, NegmineTypeError, NegmineValueError
from negmine.search import CandidateSource, PoolArrays, PoolRequest, Searcher
from negmine.testing import check_candidate_source
from negmine.torch import TorchIndex
from problems import METRICS
from strategies import SEEDS, problems
from vectors import KINDS, queries_for

ROOT = Path(os.environ.get("NEGMINE_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDER = ROOT / "summaries_100k"


def tiled(patch: pytest.MonkeyPatch, queries: int = 3, documents: int = 16, sample: int = 8, offered: int = 7) -> None:
    """Force small tiles."""
    sizes = {"QUERIES": queries, "DOCUMENTS": documents, "OFFERED": offered}
    for name, size in sizes.items():
        patch.setattr(f"negmine.torch.index.{name}_AT_ONCE", size)
    patch.setattr("negmine.torch.index.SAMPLE", sample)


def same_top_k(found: Any, expected: Any) -> None:
    for name in ("indices", "scores", "counts"):
        actual, known = getattr(found, name), getattr(expected, name)
        assert actual.dtype == known.dtype
        np.testing.assert_array_equal(actual, known, err_msg=name)


def same_arrays(found: PoolArrays, expected: PoolArrays) -> None:
    for field in fields(PoolArrays):
        actual, known = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "lines":
            assert actual.keys() == known.keys()
            for line in known:
                np.testing.assert_array_equal(actual[line], known[line], err_msg=line)
        elif field.name != "counters":
            np.testing.assert_array_equal(actual, known, err_msg=field.name)
            assert np.asarray(actual).dtype == np.asarray(known).dtype


def made(n: int = 300, width: int = 24, **options: Any) -> tuple[TorchIndex, negmine.ExactIndex, Any]:
    rows = np.random.default_rng(2).standard_normal((n, width)).astype(np.float32)
    return TorchIndex(rows, device="cpu", **options), negmine.ExactIndex(rows, **options), rows


@pytest.mark.parametrize("metric", METRICS)
def test_the_index_keeps_the_contract(metric: Any) -> None:
    check_candidate_source(lambda documents, ids: TorchIndex(documents, device="cpu", metric=metric, ids=ids))


def test_the_index_is_a_searcher_and_a_source() -> None:
    index, exact, rows = made()
    assert isinstance(index, Searcher)
    assert isinstance(index, CandidateSource)
    assert index.exact
    assert (len(index), index.width, index.corpus is rows) == (300, 24, True)
    assert repr(index) == "TorchIndex(300 x 24, metric='cosine', device='cpu')"
    some = np.array([2, 0, 2])
    assert index.score_pairs(rows, some, some[::-1]).tolist() == exact.score_pairs(rows, some, some[::-1]).tolist()


@given(
    seed=SEEDS,
    kind=st.sampled_from(list(KINDS)),
    metric=st.sampled_from(METRICS),
    shape=st.tuples(st.integers(0, 7), st.integers(0, 90), st.integers(1, 70)),
    k=st.integers(0, 100),
    sizes=st.sampled_from([(1024, 8192, 1024, 1 << 20), (3, 16, 8, 7), (1, 1, 1, 1), (2, 64, 24, 50)]),
)
def test_searches_equal_those_of_the_exact_index(
    seed: int, kind: str, metric: Any, shape: tuple[int, int, int], k: int, sizes: tuple[int, int, int, int]
) -> None:
    rng = np.random.default_rng(seed)
    n, m, width = shape
    documents = KINDS[kind](rng, m, width)
    queries = queries_for(rng, documents, n, kind)
    exact = negmine.ExactIndex(documents, metric=metric, num_threads=1)
    options: dict[str, Any] = {"dtype": "float64"}
    if rng.random() < 0.5:
        options["exclude"] = [rng.choice(m, min(m, 5), replace=False).tolist() for _ in range(n)]
    if rng.random() < 0.5:
        options["eligible"] = negmine.Eligibility.equal(rng.integers(0, 3, m), rng.integers(0, 3, n))
    if rng.random() < 0.5 and n and m:
        options["max_score"] = float(exact.search(queries[:1], m, dtype="float64").scores[0, m // 2])
    with pytest.MonkeyPatch.context() as patch:
        tiled(patch, *sizes)
        index = TorchIndex(documents, metric=metric, device="cpu", num_threads=1)
        found = index.search(queries, k, **options)
    same_top_k(found, exact.search(queries, k, **options))


@settings(max_examples=100)
@given(problem=problems(), small=st.booleans())
def test_pools_equal_those_of_the_exact_index(problem: Problem, *, small: bool) -> None:
    exact = index_of(problem, How())
    queries: Any = problem.queries
    if problem.self_is_slice:
        corpus: Any = exact.corpus
        queries = corpus[problem.query_offset : problem.query_offset + len(queries)]
    miner, positives = miner_of(problem.limits), positives_of(problem)
    with pytest.MonkeyPatch.context() as patch:
        if small:
            tiled(patch)
        index = TorchIndex(exact.corpus, metric=problem.metric, ids=labels(problem.ids), device="cpu", num_threads=1)
        pools = [miner.candidates(source, queries, positives, **rules_of(problem)) for source in (index, exact)]
    assert digest_pool(pools[0]) == digest_pool(pools[1])
    np.testing.assert_array_equal(pools[0].ids, pools[1].ids)


def test_the_miner_takes_the_index_as_its_corpus() -> None:
    index, exact, rows = made(ids=np.arange(300) * 3)
    options: dict[str, Any] = {"num_negatives": 3, "num_random": 1, "relative_margin": 0.05, "sampling": "top"}
    found, expected = (negmine.mine(rows[:50], source, np.arange(50), **options) for source in (index, exact))
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.ids, expected.ids)


@pytest.mark.parametrize("reference", ["min", "each"])
def test_parts_of_a_request_join_to_the_whole(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index, exact, rows = made()
    miner = negmine.HardNegativeMiner(4, absolute_margin=0.05, reference=reference)
    lists = [[i, (7 * i) % 300] if i % 3 else [] for i in range(20)]
    groups = np.arange(300) // 4
    rules = miner.candidates(exact, rows[:20], lists, exclude=[[i + 1] for i in range(20)], groups=groups).rules
    request = miner.request(rules)
    warm = PoolRequest(
        **{f.name: getattr(request, f.name) for f in fields(request)} | {"warm_start": np.full((20, 2), 3)}
    )
    whole = exact.candidates(rows[:20], request)
    tiled(monkeypatch)
    for asked in (request, warm):
        same_arrays(index.candidates(rows[:20], asked), whole)
    counts = [7, 0, 13]
    parts = [
        exact.candidates(rows[begin : begin + count], request.slice(begin, begin + count))
        for begin, count in zip((0, 7, 7), counts, strict=True)
    ]
    same_arrays(PoolArrays.join(parts, counts), whole)


def test_threads_change_nothing() -> None:
    index, _, rows = made(3000)
    found = [index.search(rows[:100], 10, num_threads=threads) for threads in (1, 2)]
    same_top_k(found[0], found[1])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint8"])
def test_every_type_of_embedding_is_read(dtype: str) -> None:
    rows = torch.from_numpy(np.random.default_rng(0).integers(0, 9, (70, 6))).to(getattr(torch, dtype))
    found = TorchIndex(rows, device="cpu", metric="ip").search(rows[:9], 5)
    same_top_k(found, negmine.ExactIndex(rows, metric="ip").search(rows[:9], 5))


def test_ties_of_many_copies_go_to_the_lower_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tiled(monkeypatch, offered=50)
    rows = np.concatenate([np.zeros((40, 3)), np.ones((400, 3))]).astype(np.float32)
    for metric in METRICS:
        index, exact = TorchIndex(rows, device="cpu", metric=metric), negmine.ExactIndex(rows, metric=metric)
        same_top_k(index.search(rows[[0, 50]], 12), exact.search(rows[[0, 50]], 12))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="NEGMINE_DATA has no summaries_100k")
@pytest.mark.parametrize("metric", METRICS)
def test_real_embeddings(metric: Any) -> None:
    documents = np.load(FOLDER / "corpus.minilm.npy", mmap_mode="r")[:20_000]
    queries = np.load(FOLDER / "queries.minilm.npy", mmap_mode="r")[:100]
    index, exact = TorchIndex(documents, device="cpu", metric=metric), negmine.ExactIndex(documents, metric=metric)
    for k in (1, 10, 100):
        same_top_k(index.search(queries, k, dtype="float64"), exact.search(queries, k, dtype="float64"))


def test_tensors_flushing_denormals_change_nothing() -> None:
    tiny = (np.random.default_rng(1).integers(-9, 9, (40, 6)) * 2.0**-149).astype(np.float32)
    expected = negmine.ExactIndex(tiny).search(tiny[:5], 9)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        found = TorchIndex(tiny, device="cpu").search(tiny[:5], 9)
    finally:
        torch.set_flush_denormal(False)
    same_top_k(found, expected)


def test_progress_ends_at_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    index, _, rows = made(20_000, 4)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr("negmine.torch.index.QUERIES_AT_ONCE", 2)
    index.search(rows[:5], 1, progress=lambda *done: seen.append(done))
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.search(rows[:5], 1, progress=stop)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused_as_by_the_exact_index(bad: float) -> None:
    index, exact, rows = made()
    broken = rows.copy()
    broken[17, 3] = bad
    for make in (lambda rows: TorchIndex(rows, device="cpu"), negmine.ExactIndex):
        with pytest.raises(NegmineValueError, match=r"`corpus` must be finite.*row 17"):
            make(broken)
    for source in (index, exact):
        with pytest.raises(NegmineValueError, match=r"`queries` must be finite.*row 17"):
            source.search(broken[:20], 3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"k": -1},
        {"k": 1.5},
        {"dtype": "float16"},
        {"max_score": "high"},
        {"exclude": [[0]]},
        {"exclude": [[300], [0], [1]]},
        {"exclude": negmine.Positives.from_lists([[-1], [], []], positive_scores=[0.5])},
        {"eligible": [1, 2]},
        {"eligible": negmine.Eligibility.equal([0] * 9, [0] * 3)},
        {"queries": np.zeros((3, 25), dtype=np.float32)},
        {"queries": np.zeros(24, dtype=np.float32)},
        {"queries": [[1.0] * 24]},
        {"num_threads": 0},
        {"progress": 3},
        {"top": 3},
    ],
)
def test_bad_input_is_refused_as_by_the_exact_index(arguments: dict[str, Any]) -> None:
    index, exact, rows = made()
    messages = []
    for source in (index, exact):
        with pytest.raises((NegmineError, TypeError)) as caught:
            source.search(**{"queries": rows[:3], "k": 2} | arguments)
        messages.append((type(caught.value), str(caught.value)))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [
        ("cpu:x", NegmineValueError, "`device` must be available to PyTorch; got 'cpu:x'"),
        (3, NegmineTypeError, "`device` must be a torch.device or a string; got int"),
        ("meta", NegmineValueError, "`device` must multiply int8 codes exactly; got 'meta'"),
    ],
)
def test_devices_that_cannot_search_are_refused(device: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        TorchIndex(np.eye(3, dtype=np.float32), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_missing_device_is_refused() -> None:
    with pytest.raises(NegmineValueError, match="`device` must be available to PyTorch; got 'cuda'"):
        TorchIndex(np.eye(3, dtype=np.float32), device="cuda")


def test_lists_of_other_lengths_are_refused_before_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    index, exact, rows = made()
    tiled(monkeypatch)
    miner = negmine.HardNegativeMiner(2)
    request = miner.request(miner.candidates(exact, rows[:9], [[i] for i in range(9)]).rules)
    with pytest.raises(NegmineValueError, match="`positives` must have length 7, one entry per query; got 9"):
        index.candidates(rows[:7], request)


def test_a_query_that_is_not_finite_is_named_by_its_row_in_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    index, _, rows = made()
    tiled(monkeypatch)
    queries = np.concatenate([rows[:9], np.full((1, rows.shape[1]), np.nan, dtype=np.float32)])
    with pytest.raises(NegmineValueError, match=r"`queries`.*row 9 "):
        index.search(queries, 2)


def test_a_corpus_that_changed_is_found() -> None:
    index, _, rows = made()
    queries = rows[:5].copy()
    rows[3] = -rows[3]
    with pytest.raises(CorpusChangedError, match="row 3"):
        index.search(queries, 5)
    with pytest.raises(CorpusChangedError, match="row 3"):
        index.score_pairs(queries, np.array([1]), np.array([3]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    for metric in METRICS:
        for kind in KINDS.values():
            rows = kind(np.random.default_rng(4), 3000, 40)
            index = TorchIndex(rows, device="cuda", metric=metric)
            same_top_k(index.search(rows[:70], 10), negmine.ExactIndex(rows, metric=metric).search(rows[:70], 10))
