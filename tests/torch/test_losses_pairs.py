"""`pairwise`: every form against loops, golden values of the papers, gradients, and bad input."""

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

from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.torch.losses import pairwise
from negmine.weights import hardness, ipw, selection_propensity
from oracle_losses import reduced, slow_pairwise

FORMS = ("logistic", "hinge", "margin_mse")
NUMBERS = st.sampled_from([-30.0, -2.0, -1.0, 0.0, 0.0, 0.5, 1.0, 3.0, 30.0])


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 5))

    def matrix(element: st.SearchStrategy[Any]) -> list[list[Any]]:
        return draw(st.lists(st.lists(element, min_size=columns, max_size=columns), min_size=rows, max_size=rows))

    form = draw(st.sampled_from(FORMS))
    return {
        "positive": draw(st.lists(NUMBERS, min_size=rows, max_size=rows)),
        "negative": matrix(NUMBERS),
        "form": form,
        "margin": 0.0 if form == "margin_mse" else draw(st.sampled_from([0.0, 0.3, -1.0])),
        "mask": matrix(st.booleans()),
        "weights": matrix(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
        "hardest": draw(st.sampled_from([None, 1, 2, 9])),
        "teacher": matrix(NUMBERS) if form == "margin_mse" else None,
    }


def as_tensors(problem: dict[str, Any]) -> dict[str, Any]:
    numbers = ("positive", "negative", "weights", "teacher")
    return {
        name: torch.tensor(value, dtype=torch.float64 if name in numbers else None)
        if isinstance(value, list)
        else value
        for name, value in problem.items()
    }


@given(problems(), st.sampled_from(["mean", "weighted_mean", "sum"]))
def test_losses_are_those_of_the_slow_twin(problem: dict[str, Any], reduction: str) -> None:
    terms = slow_pairwise(**problem)
    loss, counts = pairwise(**as_tensors(problem), reduction=reduction, return_counts=True)  # type: ignore[call-overload]
    assert loss.item() == pytest.approx(reduced(terms, reduction), rel=1e-12, abs=1e-14)
    assert counts.terms.item() == len(terms)
    each = pairwise(**as_tensors(problem), reduction="none")
    found = sorted(each.flatten().tolist())
    expected = [value * weight for value, weight in terms]
    assert found == pytest.approx(sorted(expected + [0.0] * (len(found) - len(expected))), rel=1e-12, abs=1e-14)


def test_golden_star() -> None:
    queries, documents, hard = (
        torch.eye(2),
        torch.tensor([[0.8, 0.1], [0.2, 0.9]]),
        torch.tensor([[0.5, 0.4], [0.3, 0.6]]),
    )
    scores = queries @ torch.cat([documents, hard]).T
    mask = torch.tensor([[True, False, False, False], [False, True, True, False]])
    loss, counts = pairwise(scores[:, :2].diagonal(), scores, mask=mask, return_counts=True)
    assert loss.item() == pytest.approx(0.478275, abs=1e-6)
    assert counts.terms.item() == 5


def test_golden_tas_balanced() -> None:
    sp, sn = torch.tensor([[3.0, 1.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.5], [0.2, 1.5]])
    tp, tn = torch.tensor([[10.0, 2.0], [1.0, 9.0]]), torch.tensor([[6.0, 1.0], [2.0, 8.0]])
    own = sp.diagonal()
    pair = pairwise(own, sn.diagonal(), form="margin_mse", teacher=torch.tensor([8.0, 7.0]) - torch.tensor([3.0, 6.0]))
    eye = torch.eye(2, dtype=torch.bool)
    parts = [
        pairwise(own, scores, form="margin_mse", mask=eye, teacher=tp.diagonal()[:, None] - teacher)
        for scores, teacher in ((sp, tp), (sn, tn))
    ]
    in_batch = sum(parts) / 2
    assert pair.item() == pytest.approx(4.625)
    assert float(in_batch) == pytest.approx(35.3225)
    assert float(pair + 0.75 * in_batch) == pytest.approx(31.116875)


def test_golden_loss_over_loss() -> None:
    losses = torch.tensor([[0.9, 0.7, 1.1]])
    first, second = losses[:, [0, 0, 1]], losses[:, [1, 2, 2]]
    each = pairwise(second, first, form="hinge", reduction="none")
    assert each.flatten().tolist() == pytest.approx([0.2, 0.0, 0.0])
    assert pairwise(second, first, form="hinge").item() == pytest.approx(0.066667, abs=1e-6)


def test_golden_online_hard_negatives_of_ngame() -> None:
    scores = torch.tensor(
        [[0.7, 0.6, 0.5, 0.1], [0.3, 0.9, 0.85, 0.4], [0.2, 0.1, 0.8, 0.75], [0.6, 0.2, 0.3, 0.5]], dtype=torch.float64
    )
    mask = torch.eye(4, dtype=torch.bool)
    mask[0, 1] = True
    weights = hardness(scores.numpy(), mask.numpy(), kind="ngame", beta=10.0, margin=0.3, hardest=2)
    options: dict[str, Any] = {"form": "hinge", "margin": 0.3, "mask": mask, "weights": weights, "hardest": 2}
    each = pairwise(scores.diagonal(), scores, reduction="none", **options)
    expected = [[0.099331, 0], [0.249949, 0], [0.249862, 0], [0.381030, 0.004743]]
    np.testing.assert_allclose(each.numpy(), expected, atol=1e-6)
    assert pairwise(scores.diagonal(), scores, **options).item() == pytest.approx(0.123114, abs=1e-6)


def test_coupled_estimation_is_the_logistic_form_with_inverse_propensities() -> None:
    negative = torch.tensor([0.0, 2.0, -1.0, 6.0], dtype=torch.float64)
    positive = torch.ones(4, dtype=torch.float64)
    weights = ipw(selection_propensity(negative.numpy(), 2.0), clip=0.1)
    expected = np.mean([w * math.log1p(math.exp(n - 1)) for w, n in zip(weights, negative.tolist(), strict=True)])
    assert pairwise(positive, negative, weights=weights).item() == pytest.approx(expected)


def test_the_mean_divides_by_the_number_of_terms_and_the_weighted_mean_by_the_weights() -> None:
    positive, negative = torch.zeros(2), torch.tensor([1.0, 2.0])
    weights = torch.tensor([1.0, 3.0])
    assert pairwise(positive, negative, form="hinge", weights=weights).item() == 3.5
    assert pairwise(positive, negative, form="hinge", weights=weights, reduction="weighted_mean").item() == 1.75
    nothing = pairwise(positive, negative, weights=torch.zeros(2), reduction="weighted_mean")
    assert nothing.item() == 0.0


@given(problems(), st.sampled_from([-100.0, 0.25, 7.0]))
def test_a_constant_that_is_added_to_a_row_changes_nothing(problem: dict[str, Any], constant: float) -> None:
    given_, moved = as_tensors(problem), as_tensors(problem)
    moved["positive"], moved["negative"] = moved["positive"] + constant, moved["negative"] + constant
    assert pairwise(**moved).item() == pytest.approx(pairwise(**given_).item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "sum", "none"])
def test_a_loss_without_pairs_is_zero_with_zero_gradient(form: Any, reduction: Any) -> None:
    for shape in ((2, 3), (2, 0), (0, 3)):
        positive = torch.zeros(shape[0], requires_grad=True)
        negative = torch.full(shape, math.nan, requires_grad=True)
        every = torch.ones(shape, dtype=torch.bool)
        options: dict[str, Any] = {"weights": torch.full(shape, math.inf), "mask": every, "reduction": reduction}
        teacher = torch.full(shape, math.nan) if form == "margin_mse" else None
        loss, counts = pairwise(positive, negative, form=form, teacher=teacher, return_counts=True, **options)
        assert (loss == 0).all()
        assert counts.terms.item() == 0
        loss.sum().backward()
        assert (positive.grad == 0).all()
        assert (negative.grad == 0).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hardest", [None, 2])
def test_gradients_are_those_of_the_loss(form: Any, hardest: int | None) -> None:
    generator = torch.Generator().manual_seed(3)
    positive, negative, weights, teacher = (
        torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for shape in ((3,), (3, 4), (3, 4), (3, 4))
    )
    mask = torch.rand(3, 4, generator=generator) < 0.3

    def compute(p: Tensor, n: Tensor, w: Tensor, t: Tensor) -> Tensor:
        given_ = t if form == "margin_mse" else None
        return pairwise(p, n, form=form, mask=mask, weights=w, hardest=hardest, teacher=given_)

    assert torch.autograd.gradcheck(compute, (positive, negative, weights, teacher))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_of_16_bits_are_computed_in_float32(dtype: torch.dtype) -> None:
    positive = torch.tensor([100.0, -100.0]).to(dtype).requires_grad_()
    negative = torch.tensor([[100.0, -300.0], [300.0, math.inf]]).to(dtype).requires_grad_()
    mask = torch.tensor([[False, False], [False, True]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = pairwise(positive, negative, mask=mask, reduction="sum")
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(math.log(2) + 400, rel=1e-6)
    loss.backward()
    assert negative.grad is not None
    assert negative.grad.dtype is dtype
    assert negative.grad.tolist() == [[0.5, 0.0], [1.0, 0.0]]


def test_ties_of_the_hardest_go_by_column_and_masked_ones_come_last() -> None:
    negative = torch.tensor([[1.0, 2.0, 2.0, -math.inf, 5.0]], requires_grad=True)
    mask = torch.tensor([[False, False, False, False, True]])
    loss, counts = pairwise(
        torch.zeros(1), negative, form="hinge", mask=mask, hardest=1, reduction="sum", return_counts=True
    )
    loss.backward()
    assert negative.grad is not None
    assert negative.grad.tolist() == [[0, 1, 0, 0, 0]]
    assert counts.terms.item() == 1
    _, counts = pairwise(torch.zeros(1), negative, mask=mask, hardest=9, return_counts=True)
    assert counts.terms.item() == 4


def test_positives_and_weights_may_be_given_per_row_or_per_pair() -> None:
    positive, negative = torch.randn(3), torch.randn(3, 2)
    weights = torch.rand(3)
    expected = pairwise(positive, negative, weights=weights)
    for p in (positive[:, None], positive[:, None].expand(3, 2)):
        for w in (weights[:, None], weights[:, None].expand(3, 2), weights.numpy()):
            assert torch.equal(pairwise(p, negative, weights=w), expected)


P, N = torch.zeros(2), torch.zeros(2, 3)
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError

BAD: dict[str, Case] = {
    "positive list": (lambda: pairwise([0.0, 0.0], N), Type, "`positive` tensor list"),  # type: ignore[call-overload]
    "positive integers": (lambda: pairwise(P.long(), N), Type, "`positive` floating-point torch.int64"),
    "positive shape": (lambda: pairwise(torch.zeros(3), N), Value, "`positive` (2, 3) or (2,) or (2, 1) got (3,)"),
    "positive NaN": (lambda: pairwise(P + math.nan, N), Value, "`positive` NaN place (0, 0)"),
    "positive device": (lambda: pairwise(P.to("meta"), N), Value, "`positive` on cpu got meta"),
    "negative": (lambda: pairwise(P, None), Type, "`negative` tensor NoneType"),  # type: ignore[call-overload]
    "negative shape": (lambda: pairwise(P, torch.zeros(2, 3, 1)), Value, "`negative` shape (B, M) (2, 3, 1)"),
    "negative sparse": (lambda: pairwise(P, N.to_sparse()), Type, "`negative` dense torch.sparse_coo"),
    "negative NaN": (lambda: pairwise(P, N + math.nan), Value, "`negative` NaN place (0, 0)"),
    "form": (lambda: pairwise(P, N, form="exp"), Value, "`form` 'logistic', 'hinge' got 'exp'"),  # type: ignore[call-overload]
    "margin": (lambda: pairwise(P, N, margin=math.inf), Value, "`margin` finite got inf"),
    "margin unused": (
        lambda: pairwise(P, N, form="margin_mse", margin=1.0, teacher=N),
        Value,
        "`margin` 0 'margin_mse' 1.0",
    ),
    "mask numbers": (lambda: pairwise(P, N, mask=N), Type, "`mask` bool, True must not count torch.float32"),
    "mask list": (lambda: pairwise(P, N, mask=[[True]]), Type, "`mask` tensor NumPy list"),  # type: ignore[call-overload]
    "mask shape": (lambda: pairwise(P, N, mask=P.bool()), Value, "`mask` shape (2, 3) got (2,)"),
    "weights": (lambda: pairwise(P, N, weights=torch.zeros(3)), Value, "`weights` (2, 3) or (2,) or (2, 1) got (3,)"),
    "weights bool": (lambda: pairwise(P, N, weights=N.bool()), Type, "`weights` numbers torch.bool"),
    "hardest": (lambda: pairwise(P, N, hardest=0), Value, "`hardest` at least 1 got 0"),
    "hardest flat": (lambda: pairwise(P, P, hardest=1), Value, "`negative` (B, M) `hardest` (2,)"),
    "teacher": (lambda: pairwise(P, N, form="margin_mse", teacher=P), Value, "`teacher` shape (2, 3) got (2,)"),
    "teacher missing": (lambda: pairwise(P, N, form="margin_mse"), Type, "`teacher` 'margin_mse' None"),
    "teacher unused": (lambda: pairwise(P, N, teacher=N), Value, "`teacher` None 'margin_mse' form='logistic'"),
    "reduction": (lambda: pairwise(P, N, reduction="max"), Value, "`reduction` 'mean', 'weighted_mean' got 'max'"),  # type: ignore[call-overload]
    "counts": (lambda: pairwise(P, N, return_counts=1), Type, "`return_counts` True or False got 1"),  # type: ignore[call-overload]
    "option": (lambda: pairwise(P, N, weight=P), Type, "`pairwise` no option 'weight' 'weights'"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        call()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"
