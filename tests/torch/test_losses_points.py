"""`pointwise`: against loops, golden gradients of NBPO, cross entropy without flips, gradients, and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.torch.losses import pointwise
from oracle_losses import reduced, slow_pointwise

FORMS = ("surrogate", "likelihood", "linear")
NUMBERS = st.sampled_from([-20.0, -1.0, 0.0, 0.5, 20.0])
R, G = 0.8, 0.1


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(1, 5))

    def vector(element: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(element, min_size=n, max_size=n))

    return {
        "scores": vector(NUMBERS),
        "flips": vector(NUMBERS),
        "labels": vector(st.booleans()),
        "form": draw(st.sampled_from(FORMS)),
        "mask": vector(st.booleans()),
        "weights": vector(st.sampled_from([0.0, 0.5, 2.0])),
    }


@given(problems(), st.sampled_from(["mean", "weighted_mean", "sum"]))
def test_losses_are_those_of_the_slow_twin(problem: dict[str, Any], reduction: str) -> None:
    terms = slow_pointwise(**problem)
    given_ = {
        name: torch.tensor(value, dtype=torch.bool if name in ("labels", "mask") else torch.float64)
        if isinstance(value, list)
        else value
        for name, value in problem.items()
    }
    loss, counts = pointwise(**given_, reduction=reduction, return_counts=True)  # type: ignore[call-overload]
    assert loss.item() == pytest.approx(reduced(terms, reduction), rel=1e-9, abs=1e-12)
    assert counts.terms.item() == len(terms)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("likelihood", [0.2, -0.1, -0.514286, 0.257143]),
        ("surrogate", [0.18, -0.08, -0.78, 0.72]),
        ("linear", [0.144, -0.072, -0.144, 0.072]),
    ],
)
def test_golden_gradients_of_nbpo(form: Any, expected: list[float]) -> None:
    """They point uphill: for a positive by its score and its flip, then for a negative."""
    scores = torch.full((2,), math.log(R / (1 - R)), dtype=torch.float64, requires_grad=True)
    flips = torch.full((2,), math.log(G / (1 - G)), dtype=torch.float64, requires_grad=True)
    loss = pointwise(scores, flips, torch.tensor([True, False]), form=form, reduction="sum")
    of_scores, of_flips = torch.autograd.grad(-loss, (scores, flips))
    found = torch.stack([of_scores, of_flips], dim=1).ravel().tolist()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["surrogate", "likelihood"])
def test_without_flips_it_is_cross_entropy(form: Any) -> None:
    scores = torch.tensor([[-3.0, 0.0], [2.0, 40.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[True, False], [True, False]])
    found = pointwise(scores, torch.full_like(scores, -math.inf), labels, form=form)
    expected = functional.binary_cross_entropy_with_logits(scores, labels.double())
    torch.testing.assert_close(found, expected)
    for one, other in zip(torch.autograd.grad(found, scores), torch.autograd.grad(expected, scores), strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_of_the_method_are_those_of_cross_entropy_with_soft_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, flips = (torch.randn(8, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2))
    negatives = torch.zeros(8, dtype=torch.bool)
    (found,) = torch.autograd.grad(pointwise(scores, flips, negatives, reduction="sum"), scores)
    soft = (torch.sigmoid(flips) * (1 - torch.sigmoid(scores))).detach()
    cross = functional.binary_cross_entropy_with_logits(scores, soft, reduction="sum")
    torch.testing.assert_close(found, torch.autograd.grad(cross, scores)[0])


@pytest.mark.parametrize("form", ["likelihood", "linear"])
def test_gradients_are_those_of_the_loss(form: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    scores, flips, weights = (
        torch.randn(2, 3, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(3)
    )
    labels = torch.tensor([[True, False, False], [False, True, True]])
    mask = torch.tensor([[False, True, False], [False, False, False]])

    def compute(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        return pointwise(x, y, labels, form=form, mask=mask, weights=w)

    assert torch.autograd.gradcheck(compute, (scores, flips, weights))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "sum", "none"])
def test_a_loss_without_pairs_is_zero_with_zero_gradient(form: Any, reduction: Any) -> None:
    for n in (0, 3):
        scores = torch.full((n,), math.nan, requires_grad=True)
        flips = torch.full((n,), math.inf, requires_grad=True)
        everything = torch.ones(n, dtype=torch.bool)
        loss, counts = pointwise(
            scores, flips, everything, form=form, mask=everything, reduction=reduction, return_counts=True
        )
        assert (loss == 0).all()
        assert counts.terms.item() == 0
        loss.sum().backward()
        for leaf in (scores, flips):
            assert leaf.grad is not None
            assert (leaf.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_of_16_bits_are_computed_in_float32(dtype: torch.dtype) -> None:
    scores, flips = torch.tensor([30.0, -30.0]).to(dtype), torch.tensor([-6.0, -6.0]).to(dtype)
    labels = torch.tensor([False, True])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pointwise(scores, flips, labels, form="likelihood")
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(pointwise(scores.double(), flips.double(), labels).item(), rel=5e-3)


X, Y, L = torch.zeros(2), torch.zeros(2), torch.zeros(2, dtype=torch.bool)
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError

BAD: dict[str, Case] = {
    "scores": (lambda: pointwise([0.0], Y, L), Type, "`scores` tensor list"),  # type: ignore[call-overload]
    "scores shape": (lambda: pointwise(torch.zeros(1, 1, 1), Y, L), Value, "`scores` (B,) (B, N) got (1, 1, 1)"),
    "scores NaN": (lambda: pointwise(X + math.nan, Y, L), Value, "`scores` NaN place (0,)"),
    "flips": (lambda: pointwise(X, Y.long(), L), Type, "`flips` floating-point torch.int64"),
    "flips shape": (lambda: pointwise(X, Y[:1], L), Value, "`flips` shape (2,) got (1,)"),
    "flips NaN": (lambda: pointwise(X, Y + math.nan, L), Value, "`flips` NaN place (0,)"),
    "labels": (lambda: pointwise(X, Y, L.long()), Type, "`labels` bool torch.int64"),
    "labels shape": (lambda: pointwise(X, Y, L[:1]), Value, "`labels` shape (2,) got (1,)"),
    "form": (lambda: pointwise(X, Y, L, form="em"), Value, "`form` 'surrogate' got 'em'"),  # type: ignore[call-overload]
    "mask": (lambda: pointwise(X, Y, L, mask=X), Type, "`mask` bool torch.float32"),
    "weights": (lambda: pointwise(X, Y, L, weights=X[:1]), Value, "`weights` shape (2,) got (1,)"),
    "option": (lambda: pointwise(X, Y, L, alpha=1), Type, "`pointwise` no option 'alpha'"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        call()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"
