"""`bank`: against loops and `listwise`, tiles, the size of what it holds, gradients, and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import negmine
from largest import Largest
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.torch.losses import bank, listwise
from oracle_losses import reduced, slow_bank

NUMBERS = st.sampled_from([-20.0, -1.0, 0.0, 0.5, 1.0, 20.0])


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    n, m, width = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 3))

    def matrix(element: st.SearchStrategy[Any], rows: int, columns: int) -> list[list[Any]]:
        return draw(st.lists(st.lists(element, min_size=columns, max_size=columns), min_size=rows, max_size=rows))

    return {
        "queries": matrix(NUMBERS, n, width),
        "bank": matrix(NUMBERS, m, width),
        "target": draw(st.lists(st.integers(-1, m - 1), min_size=n, max_size=n)),
        "mask": matrix(st.booleans(), n, m),
        "weights": draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=n, max_size=n)),
        "temperature": draw(st.sampled_from([0.5, 1.0, 20.0])),
    }


def as_tensors(problem: dict[str, Any]) -> dict[str, Any]:
    kinds = {"mask": torch.bool, "target": torch.int64}
    return {
        name: torch.tensor(value, dtype=kinds.get(name, torch.float64)) if isinstance(value, list) else value
        for name, value in problem.items()
    }


def as_lists(mask: Tensor) -> tuple[Any, Any]:
    counts = mask.sum(dim=1).numpy()
    return np.concatenate([[0], np.cumsum(counts)]), np.nonzero(mask.numpy())[1]


@given(problems(), st.integers(1, 10), st.booleans(), st.sampled_from(["mean", "weighted_mean", "sum"]))
def test_losses_are_those_of_the_slow_twin(problem: dict[str, Any], tile: int, lists: bool, reduction: str) -> None:
    terms = slow_bank(**problem)
    given_ = as_tensors(problem)
    if lists:
        given_["mask"] = as_lists(given_["mask"])
    loss, counts = bank(**given_, tile=tile, reduction=reduction, return_counts=True)  # type: ignore[call-overload]
    assert loss.item() == pytest.approx(reduced(terms, reduction), rel=1e-12, abs=1e-11)
    assert counts.terms.item() == len(terms)


@given(problems(), st.integers(1, 10), st.booleans())
def test_gradients_are_those_of_the_whole_matrix(problem: dict[str, Any], tile: int, frozen: bool) -> None:
    found = []
    for tiled in (True, False):
        given_ = as_tensors(problem)
        queries, documents = given_.pop("queries").requires_grad_(), given_.pop("bank").requires_grad_(not frozen)
        if tiled:
            bank(queries, documents, tile=tile, **given_).backward()
        else:
            listwise(queries @ documents.T, **given_).backward()
        found.append((queries.grad, documents.grad))
    for tiled_one, whole in zip(*found, strict=True):
        if whole is not None:
            torch.testing.assert_close(tiled_one, whole, rtol=1e-9, atol=1e-9)


def test_golden_bank() -> None:
    documents = torch.tensor([[0.6, 0.8], [0.8, 0.6], [0.0, 1.0]])
    for tile in (1, 2, 3, 100):
        loss = bank(torch.tensor([[0.6, 0.8]]), documents, torch.tensor([0]), temperature=0.02, tile=tile)
        assert loss.item() == pytest.approx(0.126968, abs=1e-6)


def unit(n: int, width: int, seed: int) -> Tensor:
    rows = torch.randn(n, width, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(rows, dim=1)


@pytest.mark.parametrize("temperature", [1.0, 0.05, 0.02])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tiles_change_no_more_than_a_millionth(temperature: float, dtype: torch.dtype) -> None:
    queries, documents, target = unit(8, 32, 0).to(dtype), unit(1000, 32, 1).to(dtype), torch.arange(8)
    whole = bank(queries, documents, target, temperature=temperature, tile=1000, reduction="none")
    for tile in (1, 7, 64, 999):
        tiled = bank(queries, documents, target, temperature=temperature, tile=tile, reduction="none")
        # Of losses up to 48, whose last bit in float32 is 3.8e-6.
        least = 1e-6 if dtype is torch.float32 else 1e-12
        torch.testing.assert_close(tiled, whole, rtol=least, atol=least)


@pytest.mark.parametrize("lists", [False, True])
def test_no_tensor_is_larger_than_a_tile_of_scores(lists: bool) -> None:
    queries, documents = unit(64, 8, 0).requires_grad_(), unit(4096, 8, 1)
    mask = (np.arange(65), np.arange(64)) if lists else None
    with Largest() as largest:
        bank(queries, documents, torch.arange(64), mask=mask, temperature=0.05, tile=128).backward()
    assert largest.entries <= 64 * 128
    documents.requires_grad_()
    with Largest() as largest:
        bank(queries, documents, torch.arange(64), mask=mask, temperature=0.05, tile=128).backward()
    assert largest.entries <= documents.numel()
    with Largest() as largest:
        listwise(queries @ documents.T, torch.arange(64)).backward()
    assert largest.entries >= 64 * 4096  # what is avoided


def test_lists_of_false_negatives_equal_their_mask() -> None:
    positives = negmine.Positives.from_lists([[0, 5], [1], [], [3, 2, 0]])
    queries, documents, target = unit(4, 8, 2), unit(6, 8, 3), torch.tensor([0, 1, -1, 3])
    dense = negmine.batches.false_negative_mask(range(4), range(6), positives)
    lists = negmine.batches.false_negative_pairs(range(4), range(6), positives)
    expected = bank(queries, documents, target, mask=dense, temperature=0.1, tile=4)
    for one in (lists, tuple(map(torch.from_numpy, lists))):
        assert torch.equal(bank(queries, documents, target, mask=one, temperature=0.1, tile=4), expected)


def test_a_query_without_negatives_has_no_loss_and_no_gradient() -> None:
    queries, documents = unit(2, 5, 4).requires_grad_(), unit(9, 5, 5).requires_grad_()
    mask = torch.ones(2, 9, dtype=torch.bool)
    loss, counts = bank(
        queries, documents, torch.tensor([3, 8]), mask=mask, temperature=0.01, tile=4, return_counts=True
    )
    assert loss.item() == 0.0
    assert counts.terms.item() == 2
    loss.backward()
    assert (queries.grad == 0).all()
    assert (documents.grad == 0).all()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "sum", "none"])
def test_a_loss_without_queries_is_zero_with_zero_gradient(reduction: Any, frozen: bool) -> None:
    for n, m in ((2, 5), (2, 0), (0, 5)):
        queries = torch.full((n, 3), math.nan, requires_grad=True)
        documents = torch.ones(m, 3, requires_grad=not frozen)
        for mask in (None, torch.ones(n, m, dtype=torch.bool)):
            loss, counts = bank(
                queries,
                documents,
                torch.full((n,), -1),
                mask=mask,
                weights=torch.full((n,), math.inf),
                temperature=0.1,
                tile=2,
                reduction=reduction,
                return_counts=True,
            )
            assert (loss == 0).all()
            assert counts.terms.item() == 0
            queries.grad = documents.grad = None
            loss.sum().backward()
            assert (queries.grad == 0).all()
            assert frozen or (documents.grad == 0).all()


def test_gradients_are_those_of_the_loss() -> None:
    generator = torch.Generator().manual_seed(6)
    queries, documents, weights = (
        torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for shape in ((3, 2), (5, 2), (3,))
    )
    mask = torch.rand(3, 5, generator=generator) < 0.3

    def compute(q: Tensor, d: Tensor, w: Tensor) -> Tensor:
        return bank(q, d, torch.tensor([0, -1, 4]), mask=mask, weights=w, temperature=0.7, tile=2)

    assert torch.autograd.gradcheck(compute, (queries, documents, weights))
    assert torch.autograd.gradcheck(compute, (queries, documents.detach(), weights))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_embeddings_of_16_bits_are_computed_in_float32(dtype: torch.dtype) -> None:
    queries, documents = unit(4, 16, 7).to(dtype).requires_grad_(), unit(50, 16, 8).to(dtype).requires_grad_()
    target = torch.arange(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = bank(queries, documents, target, temperature=0.01, tile=16)
        loss.backward()
    expected = bank(queries.detach().float(), documents.detach().float(), target, temperature=0.01)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert queries.grad is not None
    assert documents.grad is not None
    assert queries.grad.dtype is documents.grad.dtype is dtype
    assert documents.grad.isfinite().all()


Q, D, T = torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor([0, 1])
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError


def call(queries: Any = Q, documents: Any = D, target: Any = T, **options: Any) -> Callable[[], object]:
    return lambda: bank(queries, documents, target, **{"temperature": 1.0, **options})


BAD: dict[str, Case] = {
    "queries": (call([[0.0]]), Type, "`queries` tensor list"),
    "queries shape": (call(Q[0]), Value, "`queries` shape (B, width) got (3,)"),
    "queries NaN": (call(Q + math.nan), Value, "`queries` NaN place (0, 0)"),
    "bank": (call(documents=D.numpy()), Type, "`bank` tensor ndarray"),
    "bank shape": (call(documents=D[0]), Value, "`bank` shape (M, width)"),
    "bank integers": (call(documents=D.long()), Type, "`bank` floating-point torch.int64"),
    "bank width": (call(documents=D[:, :2]), Value, "`bank` wide as the queries, 3 got (4, 2)"),
    "bank device": (call(documents=D.to("meta")), Value, "`bank` on cpu got meta"),
    "bank NaN": (call(documents=D + math.nan), Value, "`bank` NaN place (0, 0)"),
    "target": (call(target=T + 3), Value, "`target` columns 0 to 3 got 4 at row 1"),
    "target floats": (call(target=Q), Type, "`target` integers torch.float32"),
    "mask": (call(mask=Q.bool()), Value, "`mask` shape (2, 4) got (2, 3)"),
    "mask three": (call(mask=(T, T, T)), Type, "`mask` offsets and columns tuple of 3"),
    "mask offsets": (call(mask=([0, 1], [0])), Value, "`mask[0]` shape (3,) got (2,)"),
    "mask falls": (call(mask=([0, 2, 1], [0])), Value, "`mask[0]` start at 0"),
    "mask columns": (call(mask=([0, 1, 2], [0, 4])), Value, "`mask[1]` columns 0 to 3 got 4 at place 1"),
    "weights": (call(weights=Q), Value, "`weights` shape (2,) got (2, 3)"),
    "temperature": (call(temperature=0.0), Value, "`temperature` greater than 0.0 got 0.0"),
    "tile": (call(tile=0), Value, "`tile` at least 1 got 0"),
    "reduction": (call(reduction="max"), Value, "`reduction` 'mean' got 'max'"),
    "counts": (call(return_counts=1), Type, "`return_counts` True or False got 1"),
    "option": (call(tau=1.0), Type, "`bank` no option 'tau'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    bad, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        bad()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"
