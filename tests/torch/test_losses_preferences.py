"""`preference`: against loops, golden values of NPO and D2O, gradients, and bad input."""

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
from negmine.torch.losses import preference
from oracle_losses import reduced, slow_preference

NUMBERS = st.sampled_from([-300.0, -1.0, 0.0, 0.5, 1.0, 300.0])
KINDS = ("dpo", "npo", "d2o")


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    rows, responses = draw(st.integers(1, 4)), draw(st.integers(1, 3))

    def vector(element: st.SearchStrategy[Any], n: int = rows) -> list[Any]:
        return draw(st.lists(element, min_size=n, max_size=n))

    kind = draw(st.sampled_from(KINDS))
    several = kind == "d2o"
    return {
        "chosen": {
            "dpo": lambda: vector(NUMBERS),
            "npo": lambda: None,
            "d2o": lambda: [vector(NUMBERS, responses) for _ in range(rows)],
        }[kind](),
        "rejected": vector(NUMBERS),
        "kind": kind,
        "beta": draw(st.sampled_from([0.1, 1.0, 2.0])),
        "alpha": draw(st.sampled_from([0.0, 0.5])) if several else None,
        "mask": [vector(st.booleans(), responses) for _ in range(rows)] if several else vector(st.booleans()),
        "weights": vector(st.sampled_from([0.0, 0.5, 2.0])),
    }


def as_tensors(problem: dict[str, Any]) -> dict[str, Any]:
    return {
        name: torch.tensor(value, dtype=torch.bool if name == "mask" else torch.float64)
        if isinstance(value, list)
        else value
        for name, value in problem.items()
    }


@given(problems(), st.sampled_from(["mean", "weighted_mean", "sum"]))
def test_losses_are_those_of_the_slow_twin(problem: dict[str, Any], reduction: str) -> None:
    terms = slow_preference(**problem)
    loss, counts = preference(**as_tensors(problem), reduction=reduction, return_counts=True)  # type: ignore[call-overload]
    assert loss.item() == pytest.approx(reduced(terms, reduction), rel=1e-12, abs=1e-14)
    assert counts.terms.item() == len(terms)


def test_golden_npo_and_its_gradient() -> None:
    ratios = torch.tensor([-10.0, -1.0, 0.0, 1.0, 10.0], dtype=torch.float64, requires_grad=True)
    losses = preference(None, ratios, kind="npo", beta=0.1, reduction="none")
    assert losses.tolist() == pytest.approx([6.265234, 12.887933, 13.862944, 14.887933, 26.265234], abs=1e-6)
    losses.sum().backward()
    assert ratios.grad is not None
    assert ratios.grad.tolist() == pytest.approx([0.537883, 0.950042, 1.0, 1.049958, 1.462117], abs=1e-6)


def test_the_weight_of_npo_goes_to_zero_and_to_two() -> None:
    ratios = torch.tensor([-1e5, 1e5], requires_grad=True)
    preference(None, ratios, kind="npo", reduction="sum").backward()
    assert ratios.grad is not None
    assert ratios.grad.tolist() == [0.0, 2.0]


def test_golden_d2o() -> None:
    chosen, rejected = torch.tensor([[0.2, -0.1, 0.3]]), torch.tensor([-0.5])
    assert preference(chosen, rejected, kind="d2o").item() == pytest.approx(0.661982, abs=1e-6)
    assert preference(chosen, rejected, kind="d2o", alpha=0.1).item() == pytest.approx(0.661982, abs=1e-6)


def test_d2o_with_one_response_is_dpo() -> None:
    chosen, rejected = torch.randn(4), torch.randn(4)
    assert torch.equal(preference(chosen[:, None], rejected, kind="d2o"), preference(chosen, rejected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean", "sum", "none"])
def test_a_loss_without_rows_is_zero_with_zero_gradient(kind: Any, reduction: Any) -> None:
    for n in (0, 2):
        rejected = torch.full((n,), math.nan, requires_grad=True)
        shape = (n, 3) if kind == "d2o" else (n,)
        chosen = None if kind == "npo" else torch.full(shape, math.inf, requires_grad=True)
        mask, weights = torch.ones(shape, dtype=torch.bool), torch.full((n,), math.nan)
        loss, counts = preference(
            chosen, rejected, kind=kind, mask=mask, weights=weights, reduction=reduction, return_counts=True
        )
        assert (loss == 0).all()
        assert counts.terms.item() == 0
        loss.sum().backward()
        assert (rejected.grad == 0).all()
        assert chosen is None or (chosen.grad == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_loss(kind: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (3, 2) if kind == "d2o" else (3,)
    chosen, rejected, weights = (
        torch.randn(size, dtype=torch.float64, generator=generator, requires_grad=True) for size in (shape, (3,), (3,))
    )
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[1] = True

    def compute(c: Tensor, r: Tensor, w: Tensor) -> Tensor:
        return preference(None if kind == "npo" else c, r, kind=kind, beta=0.7, mask=mask, weights=w)

    assert torch.autograd.gradcheck(compute, (chosen, rejected, weights))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ratios_of_16_bits_are_computed_in_float32(dtype: torch.dtype) -> None:
    rejected = torch.tensor([50000.0]).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = preference(-rejected.detach(), rejected)
    assert loss.dtype is torch.float32
    assert loss.item() == pytest.approx(0.2 * float(rejected.detach()), rel=1e-6)


C, R, K = torch.zeros(2), torch.zeros(2), torch.zeros(2, 3)
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError

BAD: dict[str, Case] = {
    "chosen": (lambda: preference([0.0, 0.0], R), Type, "`chosen` tensor list"),  # type: ignore[call-overload]
    "chosen missing": (lambda: preference(None, R), Type, "`chosen` given 'dpo' None"),
    "chosen npo": (lambda: preference(C, R, kind="npo"), Value, "`chosen` None 'npo' Tensor"),
    "chosen length": (lambda: preference(C[:1], R), Value, "`chosen` shape (2,) got (1,)"),
    "chosen flat": (lambda: preference(C, R, kind="d2o"), Value, "`chosen` shape (B, K) got (2,)"),
    "chosen NaN": (lambda: preference(C + math.nan, R), Value, "`chosen` NaN place (0,)"),
    "rejected": (lambda: preference(C, R.long()), Type, "`rejected` floating-point torch.int64"),
    "rejected shape": (lambda: preference(C, K), Value, "`rejected` shape (B,) got (2, 3)"),
    "rejected NaN": (lambda: preference(C, R + math.nan), Value, "`rejected` NaN place (0,)"),
    "kind": (lambda: preference(C, R, kind="ipo"), Value, "`kind` 'dpo', 'npo' got 'ipo'"),  # type: ignore[call-overload]
    "beta": (lambda: preference(C, R, beta=0.0), Value, "`beta` greater than 0.0 got 0.0"),
    "alpha": (lambda: preference(K, R, kind="d2o", alpha=-1.0), Value, "`alpha` at least 0.0 got -1.0"),
    "alpha unused": (lambda: preference(C, R, alpha=0.1), Value, "`alpha` None 'd2o' got 0.1"),
    "mask": (lambda: preference(C, R, mask=K.bool()), Value, "`mask` shape (2,) got (2, 3)"),
    "weights": (lambda: preference(C, R, weights=K), Value, "`weights` shape (2,) got (2, 3)"),
    "reduction": (lambda: preference(C, R, reduction="max"), Value, "`reduction` 'mean' got 'max'"),  # type: ignore[call-overload]
    "counts": (lambda: preference(C, R, return_counts=1), Type, "`return_counts` True or False got 1"),  # type: ignore[call-overload]
    "option": (lambda: preference(C, R, gamma=1), Type, "`preference` no option 'gamma'"),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        call()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"
