"""`listwise`: against loops, golden values of the papers, gradients, and bad input."""

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
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.torch.losses import listwise
from negmine.weights import hardness, ipw
from oracle_losses import reduced, slow_listwise

NUMBERS = st.sampled_from([-30.0, -2.0, -1.0, 0.0, 0.0, 0.5, 1.0, 3.0, 30.0])


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 5))

    def matrix(element: st.SearchStrategy[Any]) -> list[list[Any]]:
        return draw(st.lists(st.lists(element, min_size=columns, max_size=columns), min_size=rows, max_size=rows))

    kind = draw(st.sampled_from(["column", "mass", "teacher"]))
    target = {
        "column": lambda: draw(st.lists(st.integers(-1, columns - 1), min_size=rows, max_size=rows)),
        "mass": lambda: matrix(st.sampled_from([0.0, 0.0, 0.25, 1.0, 2.0])),
        "teacher": lambda: None,
    }[kind]()
    return {
        "scores": matrix(NUMBERS),
        "target": target,
        "mask": matrix(st.booleans()),
        "weights": draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=rows, max_size=rows)),
        "bias": matrix(NUMBERS),
        "teacher": matrix(NUMBERS) if kind == "teacher" else None,
        "temperature": draw(st.sampled_from([0.5, 1.0, 2.0])),
    }


def as_tensors(problem: dict[str, Any]) -> dict[str, Any]:
    def convert(name: str, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        tensor = torch.tensor(value)
        return tensor if name == "mask" or (name == "target" and tensor.ndim == 1) else tensor.double()

    return {name: convert(name, value) for name, value in problem.items()}


@given(problems(), st.sampled_from(["mean", "weighted_mean", "sum"]))
def test_losses_are_those_of_the_slow_twin(problem: dict[str, Any], reduction: str) -> None:
    terms, dropped = slow_listwise(**problem)
    loss, counts = listwise(**as_tensors(problem), reduction=reduction, return_counts=True)  # type: ignore[call-overload]
    assert loss.item() == pytest.approx(reduced(terms, reduction), rel=1e-12, abs=1e-13)
    assert counts.terms.item() == len(terms)
    assert counts.dropped.item() == pytest.approx(dropped)
    each = listwise(**as_tensors(problem), reduction="none")
    assert each.shape == (len(problem["scores"]),)
    assert each.sum().item() == pytest.approx(reduced(terms, "sum"), rel=1e-12, abs=1e-13)


def test_golden_both_phases_of_ar2() -> None:
    retriever, ranker = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[3.0, 1.0, 2.0]])
    reward = functional.logsigmoid(ranker[:, :1] - ranker)
    adversarial = listwise(retriever, reward.abs())
    distillation = listwise(retriever, teacher=ranker)
    assert adversarial.item() == pytest.approx(1.215406, abs=1e-6)
    assert distillation.item() == pytest.approx(0.987093, abs=1e-6)
    assert float(0.5 * adversarial + 0.5 * distillation) == pytest.approx(1.101249, abs=1e-6)
    ranking = listwise(ranker, torch.tensor([0]))
    assert ranking.item() == pytest.approx(functional.cross_entropy(ranker, torch.tensor([0])).item())


@pytest.mark.parametrize(
    ("kind", "margin", "expected"), [("a", 0.0, 0.697209), ("a", 0.1, 0.517395), ("r", 0.05, 0.697209)]
)
def test_golden_gist_embed(kind: str, margin: float, expected: float) -> None:
    guide = [
        torch.tensor([[0.8, 0.85], [0.3, 0.7]]),
        torch.tensor([[1.0, 0.4], [0.4, 1.0]]),
        torch.tensor([[1.0, 0.75], [0.75, 1.0]]),
    ]
    student = [
        torch.tensor([[0.6, 0.5], [0.2, 0.7]]),
        torch.tensor([[1.0, 0.3], [0.3, 1.0]]),
        torch.tensor([[1.0, 0.4], [0.4, 1.0]]),
    ]
    own = guide[0].diagonal()[:, None]
    limit = own - margin if kind == "a" else own - own.abs() * margin
    masks = [block > limit for block in guide]
    masks[1].fill_diagonal_(True)
    masks[2].fill_diagonal_(True)
    loss = listwise(torch.cat(student, 1), torch.arange(2), mask=torch.cat(masks, 1), temperature=0.5)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_gist_embed_with_a_guide_that_knows_the_labels_is_info_nce_with_a_label_mask() -> None:
    labels = [[0, 2], [1], [2], [3, 1]]
    positives = negmine.Positives.from_lists(labels)
    by_labels = negmine.batches.false_negative_mask(range(4), range(4), positives)
    guide = torch.full((4, 4), 0.1) + 0.4 * torch.eye(4)
    for query, documents in enumerate(labels):
        guide[query, documents[1:]] = 0.9
    by_guide = guide > guide.diagonal()[:, None]
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    assert listwise(scores, torch.arange(4), mask=by_guide) == listwise(scores, torch.arange(4), mask=by_labels)


def test_golden_dual_learning() -> None:
    f, g = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[0.5, 0.0, -0.5]])
    clicks = torch.tensor([[1.0, 0.0, 1.0]])
    rank = listwise(f, clicks, weights=ipw(log=g.numpy(), relative_to=0), reduction="weighted_mean")
    examination = listwise(g, clicks, weights=ipw(log=f.numpy(), relative_to=0), reduction="weighted_mean")
    assert rank.item() == pytest.approx(0.676547, abs=1e-6)
    assert examination.item() == pytest.approx(0.949211, abs=1e-6)


def test_golden_positive_with_the_lowest_score_and_the_others_masked() -> None:
    loss = listwise(
        torch.tensor([[3.0, 2.5, 2.0, 0.0]]), torch.tensor([2]), mask=torch.tensor([[True, False, True, False]])
    )
    assert loss.item() == pytest.approx(1.023909, abs=1e-6)


def test_weighted_negatives_enter_as_a_bias() -> None:
    scores = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    target = torch.arange(3)
    factors = torch.from_numpy(hardness(scores.numpy(), kind="negative", target=target.numpy()))
    factors[target, target] = 1.0
    found = listwise(scores, target, bias=factors.log())
    parts = factors * scores.exp()
    assert found.item() == pytest.approx(-(parts[target, target] / parts.sum(1)).log().mean().item())


def test_weights_at_the_start_of_the_training_leave_info_nce_as_it_is() -> None:
    scores = torch.randn(3, 5, generator=torch.Generator().manual_seed(3))
    target = torch.arange(3)
    factors = torch.from_numpy(hardness(scores.numpy(), kind="negative", target=target.numpy(), progress=0.0))
    factors[target, target] = 1.0
    rows = hardness(scores.numpy(), kind="sample", progress=0.0)
    found = listwise(scores, target, bias=factors.log(), weights=rows)
    assert found.item() == pytest.approx(functional.cross_entropy(scores, target).item())


def test_the_log_q_correction_is_a_bias_per_column() -> None:
    scores, log_q = torch.randn(3, 5), torch.rand(5).log()
    expected = functional.cross_entropy(scores / 0.5 - log_q, torch.arange(3))
    assert listwise(scores, torch.arange(3), bias=-log_q, temperature=0.5).item() == pytest.approx(expected.item())


def test_targets_and_teachers_get_no_gradient_and_biases_only_if_they_require_it() -> None:
    scores, mass, bias = (torch.rand(2, 3, requires_grad=True) for _ in range(3))
    listwise(scores, mass, bias=bias).backward()
    listwise(scores, teacher=mass).backward()
    assert mass.grad is None
    assert bias.grad is not None


def test_weights_of_rows_and_of_the_mass() -> None:
    scores = torch.zeros(2, 2)
    weights = torch.tensor([1.0, 3.0])
    assert listwise(scores, torch.tensor([0, 1]), weights=weights).item() == pytest.approx(2 * math.log(2))
    loss = listwise(scores, torch.tensor([0, 1]), weights=weights, reduction="weighted_mean")
    assert loss.item() == pytest.approx(math.log(2))
    hole = torch.tensor([[1.0, math.nan], [2.0, 1.0]])
    loss = listwise(scores, torch.tensor([[1.0, 0.0], [1.0, 1.0]]), weights=hole, reduction="sum")
    assert loss.item() == pytest.approx(4 * math.log(2))


def test_a_row_without_negatives_counts_with_loss_zero() -> None:
    scores = torch.tensor([[5.0, math.nan], [1.0, 1.0]], requires_grad=True)
    mask = torch.tensor([[True, True], [False, False]])
    loss, counts = listwise(scores, torch.tensor([0, 1]), mask=mask, return_counts=True)
    assert loss.item() == pytest.approx(math.log(2) / 2)
    assert counts.terms.item() == 2
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[0.0, 0.0], [0.25, -0.25]]


@pytest.mark.parametrize("kind", ["column", "mass", "teacher"])
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "sum", "none"])
def test_a_loss_without_rows_is_zero_with_zero_gradient(kind: str, reduction: Any) -> None:
    for shape in ((2, 3), (2, 0), (0, 3)):
        scores = torch.full(shape, math.nan, requires_grad=True)
        mask = torch.ones(shape, dtype=torch.bool) if kind != "column" else None
        target = {"column": torch.full(shape[:1], -1), "mass": torch.ones(shape), "teacher": None}[kind]
        teacher = torch.ones(shape) if kind == "teacher" else None
        loss, counts = listwise(
            scores,
            target,
            mask=mask,
            teacher=teacher,
            weights=torch.full(shape[:1], math.nan),
            reduction=reduction,
            return_counts=True,
        )
        assert (loss == 0).all()
        assert counts.terms.item() == 0
        loss.sum().backward()
        assert (scores.grad == 0).all()


@pytest.mark.parametrize("kind", ["column", "mass", "teacher"])
def test_gradients_are_those_of_the_loss(kind: str) -> None:
    generator = torch.Generator().manual_seed(5)
    scores, bias = (torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2))
    weights = torch.rand(3, dtype=torch.float64, generator=generator, requires_grad=True)
    mask = torch.rand(3, 4, generator=generator) < 0.4
    other = torch.rand(3, 4, dtype=torch.float64, generator=generator)
    target = {"column": torch.tensor([1, -1, 3]), "mass": other, "teacher": None}[kind]

    def compute(s: Tensor, b: Tensor, w: Tensor) -> Tensor:
        teacher = other if kind == "teacher" else None
        return listwise(s, target, mask=mask, weights=w, bias=b, teacher=teacher, temperature=0.7)

    assert torch.autograd.gradcheck(compute, (scores, bias, weights))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_of_16_bits_are_computed_in_float32(dtype: torch.dtype) -> None:
    scores = torch.tensor([[60000.0, 0.0, 60000.0], [0.0, 0.0, 0.0]]).to(dtype).requires_grad_()
    mask = torch.tensor([[False, False, True], [False, False, False]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = listwise(scores, torch.tensor([1, 2]), mask=mask, temperature=0.01)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx((float(scores[0, 0].detach()) * 100 + math.log(3)) / 2, rel=1e-6)
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


S, T = torch.zeros(2, 3), torch.tensor([0, 1])
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError

BAD: dict[str, Case] = {
    "scores": (lambda: listwise(np.zeros((2, 3)), T), Type, "`scores` tensor ndarray"),  # type: ignore[call-overload]
    "scores shape": (lambda: listwise(S[0], T), Value, "`scores` shape (B, M) got (3,)"),
    "scores NaN": (lambda: listwise(S + math.nan, T), Value, "`scores` NaN place (0, 0)"),
    "target": (lambda: listwise(S, torch.tensor([0, 3])), Value, "`target` columns 0 to 2 got 3 at row 1"),
    "target below": (lambda: listwise(S, torch.tensor([-2, 0])), Value, "`target` columns -1 got -2 at row 0"),
    "target floats": (lambda: listwise(S, T.float()), Type, "`target` integers torch.float32"),
    "target rows": (lambda: listwise(S, T[:1]), Value, "`target` shape (2,) got (1,)"),
    "target mass": (lambda: listwise(S, torch.zeros(2, 2)), Value, "`target` shape (2, 3) got (2, 2)"),
    "target NaN": (lambda: listwise(S, S + math.nan), Value, "`target` NaN place (0, 0)"),
    "target list": (lambda: listwise(S, [0, 1]), Type, "`target` tensor NumPy list"),  # type: ignore[call-overload]
    "neither": (lambda: listwise(S), Type, "`target` `teacher` got neither"),
    "both": (lambda: listwise(S, T, teacher=S), Type, "`target` `teacher` got both"),
    "mask": (lambda: listwise(S, T, mask=S[:1].bool()), Value, "`mask` shape (2, 3) got (1, 3)"),
    "weights": (lambda: listwise(S, T, weights=S), Value, "`weights` shape (2,) got (2, 3)"),
    "weights mass": (lambda: listwise(S, S, weights=S[0]), Value, "`weights` shape (2,) or (2, 3) got (3,)"),
    "bias": (lambda: listwise(S, T, bias=torch.zeros(2)), Value, "`bias` shape (2, 3) or (3,) got (2,)"),
    "teacher": (lambda: listwise(S, teacher=S[:, :2]), Value, "`teacher` shape (2, 3) got (2, 2)"),
    "teacher NaN": (lambda: listwise(S, teacher=S + math.nan), Value, "`teacher` NaN place (0, 0)"),
    "temperature": (lambda: listwise(S, T, temperature=0.0), Value, "`temperature` greater than 0.0 got 0.0"),
    "reduction": (lambda: listwise(S, T, reduction="max"), Value, "`reduction` 'mean' got 'max'"),  # type: ignore[call-overload]
    "counts": (lambda: listwise(S, T, return_counts=None), Type, "`return_counts` True or False None"),  # type: ignore[call-overload]
    "option": (lambda: listwise(S, T, tau=1.0), Type, "`listwise` no option 'tau'"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        call()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"
