"""The first pass in torch operations: no pair is lost, every interval holds its score, and products are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import negmine
from negmine._core.arrays import as_rows
from negmine.errors import NegmineValueError
from negmine.testing import check_offers
from negmine.torch import _int8_scan
from negmine.torch._int8_scan import (
    LEFT_ROWS,
    DocumentTile,
    QuantizedRows,
    TileScan,
    exact_product,
    float32_product,
    int8_product,
)
from problems import METRICS
from strategies import SEEDS
from vectors import KINDS, queries_for

CPU = torch.device("cpu")


def quantized(rows: Any, metric: Any) -> QuantizedRows:
    return QuantizedRows.of(as_rows(rows, "rows"), np.arange(len(rows), dtype=np.int64), metric, 1)


class Scan:
    """All documents as one tile."""

    def __init__(self, queries: Any, documents: Any, metric: Any) -> None:
        self.queries = quantized(queries, metric)
        self.codes = self.queries.padded_codes(LEFT_ROWS, CPU)
        self.tile = DocumentTile(quantized(documents, metric), np.arange(len(documents)), metric, CPU)

    def scan(self) -> TileScan:
        buffer = torch.empty(len(self.queries.norms) * len(self.tile.rows) + 5)
        return self.tile.scan(self.queries, self.codes, int8_product, buffer)

    def candidates(self, thresholds: Any) -> Any:
        scan = self.scan()
        found = list(scan.intervals(scan.reaching(thresholds), 1 << 20))
        return [np.concatenate(column) for column in zip(*found, strict=True)] or [np.empty(0)] * 4


def scores_of(queries: Any, documents: Any, metric: Any) -> Any:
    pairs = np.indices((len(queries), len(documents))).reshape(2, -1).T
    return negmine.score_pairs(queries, documents, pairs, metric=metric).reshape(len(queries), len(documents))


def assert_sound(queries: Any, documents: Any, metric: Any) -> None:
    """Check that every interval holds its score, and that a pair is kept under its own score as the threshold."""
    scan, scores = Scan(queries, documents, metric), scores_of(queries, documents, metric)
    every = np.arange(len(queries))
    q, d, low, high = scan.candidates(np.full(len(queries), -np.inf))
    assert len(q) == scores.size
    assert (low <= scores[q, d]).all()
    assert (scores[q, d] <= high).all()
    for document in range(len(documents)):
        q, d, *_ = scan.candidates(scores[:, document])
        assert np.isin(every, q[d == document]).all(), f"lost a pair with document {document}"


@given(
    seed=SEEDS,
    kind=st.sampled_from(list(KINDS)),
    query_kind=st.sampled_from(list(KINDS)),
    metric=st.sampled_from(METRICS),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.one_of(st.integers(1, 40), st.integers(1, 600))),
)
def test_no_pair_is_lost(seed: int, kind: str, query_kind: str, metric: Any, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(seed)
    n, m, width = shape
    documents = KINDS[kind](rng, m, width)
    assert_sound(queries_for(rng, documents, n, query_kind), documents, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_no_pair_of_alternating_or_equal_coordinates_is_lost(metric: Any) -> None:
    for width in (1, 2, 15, 16, 17, 600, 4097):
        signs = np.where(np.arange(width) % 2, -1.0, 1.0)
        rows = np.stack([np.ones(width), signs, -signs, np.zeros(width), np.eye(1, width)[0] * 1e4 + 1e-4])
        for scale in (1e-30, 1.0, 1e30):
            assert_sound((rows * scale).astype(np.float32), rows.astype(np.float32), metric)
            assert_sound(rows.astype(np.float32), (rows * scale).astype(np.float32), metric)


@pytest.mark.parametrize("metric", METRICS)
def test_flushed_denormals_lose_no_pair(metric: Any) -> None:
    rng = np.random.default_rng(5)
    mixed = np.concatenate([KINDS[kind](rng, 6, 9) for kind in ("denormal", "magnitudes", "normal")])
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        assert_sound(mixed, mixed, metric)
    finally:
        torch.set_flush_denormal(False)


def test_the_slack_for_rounding_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Quantization loses nothing of these rows, and float32 cannot represent their products.
    rows = 11 * np.random.default_rng(0).integers(90, 128, (20, 2049)).astype(np.float32)
    rows[:, 0] = 11 * 127
    assert_sound(rows, rows, "ip")
    monkeypatch.setattr(_int8_scan, "ROUNDING", 0.0)
    with pytest.raises(AssertionError, match="lost a pair"):
        assert_sound(rows, rows, "ip")


def test_thresholds_rule_out_what_lies_below() -> None:
    rng = np.random.default_rng(0)
    documents = rng.standard_normal((500, 64)).astype(np.float32)
    scan, scores = Scan(documents[:3], documents, "cosine"), scores_of(documents[:3], documents, "cosine")
    tenth = np.sort(scores, axis=1)[:, -10]
    q, *_ = scan.candidates(tenth)
    assert (np.bincount(q) < 40).all()
    assert len(scan.candidates(np.full(3, np.inf))[0]) == 0


def test_candidates_come_in_parts() -> None:
    rows = np.random.default_rng(0).standard_normal((9, 5)).astype(np.float32)
    scan = Scan(rows[:4], rows, "l2").scan()
    parts = list(scan.intervals(scan.reaching(np.full(4, -np.inf)), 5))
    assert [len(part[0]) for part in parts] == [5] * 7 + [1]
    pairs = np.concatenate([np.stack(part[:2]) for part in parts], axis=1)
    assert pairs.T.tolist() == [[q, d] for q in range(4) for d in range(9)]


def test_the_best_are_as_many_as_asked_for_and_high() -> None:
    rows = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    scan = Scan(rows[:4], rows, "cosine").scan()
    assert scan.best(7).sum(1).tolist() == [7] * 4
    assert scan.best(7).diagonal().all()
    assert scan.best(100).all()


def test_the_first_pass_keeps_the_contract_of_offers() -> None:
    def first_pass(offers: Any, queries: Any, documents: Any, metric: Any) -> None:
        scan = Scan(queries, documents, metric)
        # Each call may only offer documents that were not offered before.
        for begin in range(0, len(documents), 16):
            rows = np.arange(begin, min(begin + 16, len(documents)))
            scan.tile = DocumentTile(quantized(documents[rows], metric), rows, metric, CPU)
            offers.offer(*scan.candidates(offers.thresholds()))

    check_offers(first_pass)


@pytest.mark.parametrize("product", [int8_product, float32_product])
@pytest.mark.parametrize("width", [16, 1024, 1040, 65536])
def test_products_are_exact(product: Any, width: int) -> None:
    rng = np.random.default_rng(width)
    left, right = (rng.integers(-127, 128, (n, width), dtype=np.int8) for n in (32, 8))
    left[0], right[0], right[1] = 127, 127, -127
    found = product(torch.from_numpy(left), torch.from_numpy(right))
    assert found.dtype == torch.int32
    np.testing.assert_array_equal(found.numpy(), left.astype(np.int64) @ right.astype(np.int64).T)


def saturated(left: Any, right: Any) -> Any:
    """Multiply as processors without instructions for int8 products may do it."""
    pairs = (left[:, None].to(torch.int32) * right[None].to(torch.int32)).unflatten(-1, (-1, 2)).sum(-1)
    return pairs.clamp(-(2**14), 2**14 - 1).sum(-1).to(torch.int32)


def missing(left: Any, right: Any) -> Any:
    raise NotImplementedError("no such product")


def test_a_product_that_is_not_exact_is_not_chosen() -> None:
    assert exact_product(CPU, 16) in (int8_product, float32_product)
    assert exact_product(CPU, 400, (saturated, missing, float32_product)) is float32_product
    with pytest.raises(NegmineValueError, match="`device` must multiply int8 codes exactly; got 'cpu'"):
        exact_product(CPU, 400, (saturated, missing))
