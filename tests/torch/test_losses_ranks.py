"""`lambda_mrr`: against loops, golden values, gradients, and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.torch.losses import lambda_mrr
from oracle_losses import reduced, slow_lambda_mrr

NUMBERS = st.sampled_from([-30.0, -1.0, 0.0, 0.0, 0.5, 1.0, 30.0])


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 6))

    def matrix(element: st.SearchStrategy[Any]) -> list[list[Any]]:
        return draw(st.lists(st.lists(element, min_size=columns, max_size=columns), min_size=rows, max_size=rows))

    return {
        "scores": matrix(NUMBERS),
        "labels": matrix(st.integers(0, 2)),
        "cut": draw(st.integers(0, 7)),
        "mask": matrix(st.booleans()),
        "weights": draw(st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=rows, max_size=rows)),
    }


def as_tensors(problem: dict[str, Any]) -> dict[str, Any]:
    def convert(name: str, value: Any) -> Any:
        tensor = torch.tensor(value) if isinstance(value, list) else value
        return tensor.double() if name in ("scores", "weights") else tensor

    return {name: convert(name, value) for name, value in problem.items()}


@given(problems(), st.sampled_from(["mean", "weighted_mean", "sum"]))
def test_losses_are_those_of_the_slow_twin(problem: dict[str, Any], reduction: str) -> None:
    terms = slow_lambda_mrr(**problem)
    loss, counts = lambda_mrr(**as_tensors(problem), reduction=reduction, return_counts=True)  # type: ignore[call-overload]
    assert loss.item() == pytest.approx(reduced(terms, reduction), rel=1e-12, abs=1e-14)
    assert counts.terms.item() == len(terms)


@pytest.mark.parametrize(("cut", "expected"), [(200, 0.279782), (2, 0.450075), (0, 0.0)])
def test_golden_adore(cut: int, expected: float) -> None:
    loss = lambda_mrr(torch.tensor([[2.0, 1.5, 1.0, 0.5, 0.0]]), torch.tensor([[0, 0, 1, 0, 0]]), cut=cut)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_golden_positive_that_was_appended() -> None:
    scores = torch.tensor([[2.0, 1.5, 1.0, 0.5, 0.0, -1.0]])
    labels = torch.tensor([[False] * 5 + [True]])
    assert lambda_mrr(scores, labels, cut=5).item() == pytest.approx(1.147003, abs=1e-6)


@given(problems())
def test_a_constant_that_is_added_to_a_row_changes_nothing(problem: dict[str, Any]) -> None:
    moved = as_tensors(problem)
    moved["scores"] = moved["scores"] + 12.5
    assert lambda_mrr(**moved).item() == pytest.approx(lambda_mrr(**as_tensors(problem)).item(), rel=1e-9, abs=1e-12)


def test_padding_changes_nothing() -> None:
    scores, labels = torch.randn(2, 4), torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1]])
    longer = torch.cat([scores, torch.full((2, 2), math.nan)], 1)
    mask = torch.arange(6).expand(2, 6) >= 4
    padded = lambda_mrr(longer, torch.cat([labels, labels[:, :2]], 1), cut=9, mask=mask)
    assert padded.item() == pytest.approx(lambda_mrr(scores, labels, cut=9).item())


@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "sum", "none"])
def test_rows_without_pairs_do_not_count_and_have_no_gradient(reduction: Any) -> None:
    for labels in (torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(2, 0), torch.zeros(0, 3)):
        scores = torch.randn(labels.shape, requires_grad=True)
        weights = torch.full((len(labels),), math.inf)
        loss, counts = lambda_mrr(
            scores, labels.bool(), cut=3, weights=weights, reduction=reduction, return_counts=True
        )
        assert (loss == 0).all()
        assert counts.terms.item() == 0
        loss.sum().backward()
        assert (scores.grad == 0).all()


def test_gradients_are_those_of_the_loss() -> None:
    generator = torch.Generator().manual_seed(7)
    scores = torch.randn(3, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.rand(3, dtype=torch.float64, generator=generator, requires_grad=True)
    labels = torch.rand(3, 5, generator=generator) < 0.4
    mask = torch.rand(3, 5, generator=generator) < 0.2

    def compute(s: Tensor, w: Tensor) -> Tensor:
        return lambda_mrr(s, labels, cut=3, mask=mask, weights=w)

    assert torch.autograd.gradcheck(compute, (scores, weights))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_of_16_bits_are_computed_in_float32(dtype: torch.dtype) -> None:
    scores = torch.tensor([[-40000.0, 40000.0]]).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = lambda_mrr(scores, torch.tensor([[1, 0]]), cut=1)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(float(scores[0, 1].detach() - scores[0, 0].detach().float()), rel=1e-6)
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1.0, 1.0]]


S, Y = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.long)
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError

BAD: dict[str, Case] = {
    "scores": (lambda: lambda_mrr([[0.0]], Y, cut=1), Type, "`scores` tensor list"),  # type: ignore[call-overload]
    "scores shape": (lambda: lambda_mrr(S[0], Y, cut=1), Value, "`scores` shape (B, K) (3,)"),
    "scores NaN": (lambda: lambda_mrr(S + math.nan, Y, cut=1), Value, "`scores` NaN place (0, 0)"),
    "labels": (lambda: lambda_mrr(S, S, cut=1), Type, "`labels` bool or integers torch.float32"),
    "labels shape": (lambda: lambda_mrr(S, Y[0], cut=1), Value, "`labels` shape (2, 3) got (3,)"),
    "labels list": (lambda: lambda_mrr(S, [[1]], cut=1), Type, "`labels` tensor NumPy list"),  # type: ignore[call-overload]
    "cut": (lambda: lambda_mrr(S, Y, cut=-1), Value, "`cut` at least 0 got -1"),
    "cut None": (lambda: lambda_mrr(S, Y, cut=None), Type, "`cut` integer None"),  # type: ignore[call-overload]
    "mask": (lambda: lambda_mrr(S, Y, cut=1, mask=Y), Type, "`mask` bool torch.int64"),
    "weights": (lambda: lambda_mrr(S, Y, cut=1, weights=S), Value, "`weights` shape (2,) got (2, 3)"),
    "reduction": (lambda: lambda_mrr(S, Y, cut=1, reduction="max"), Value, "`reduction` 'mean' 'max'"),  # type: ignore[call-overload]
    "counts": (lambda: lambda_mrr(S, Y, cut=1, return_counts=1), Type, "`return_counts` True or False got 1"),  # type: ignore[call-overload]
    "option": (lambda: lambda_mrr(S, Y, cuts=1), Type, "`lambda_mrr` no option 'cuts' 'cut'"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        call()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"
