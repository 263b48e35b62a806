"""`cached`: losses and gradients of one pass over all inputs, from chunks, with any of the losses."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from largest import Largest
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.torch.losses import bank, cached, lambda_mrr, listwise, pairwise, preference
from ranks import loss_of_share, train_on_a_rank

#: Losses of embeddings of queries and documents, (12, 4) each.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pairwise": lambda q, d: pairwise((q * d).sum(1), q @ d.T, mask=torch.eye(12, dtype=torch.bool), hardest=3),
    "listwise": lambda q, d: listwise(q @ d.T, torch.arange(12), temperature=0.5),
    "lambda_mrr": lambda q, d: lambda_mrr(q @ d.T, torch.eye(12, dtype=torch.bool), cut=12),
    "bank": lambda q, d: bank(q, d, torch.arange(12), temperature=0.5, tile=5),
    "preference": lambda q, d: preference(q.sum(1), d.sum(1)),
}


def encoder(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 4)).double()


def inputs(n: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(n, 6, dtype=torch.float64, generator=generator) for _ in range(2))
    return first, second


def gradients(module: nn.Module) -> list[Tensor]:
    found = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    module.zero_grad()
    return found


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=5)
@given(chunk=st.integers(1, 13))
def test_loss_and_gradients_are_those_of_one_pass(name: str, chunk: int) -> None:
    module, (queries, documents) = encoder(), inputs()
    expected = LOSSES[name](module(queries), module(documents))
    expected.backward()
    wanted = gradients(module)
    loss = cached(LOSSES[name], module, chunk)(queries, documents)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradients(module), wanted)


def test_dropout_repeats_itself_and_leaves_the_generator_alone() -> None:
    module, (queries, documents) = encoder(0.5), inputs()
    torch.manual_seed(3)
    parts = [torch.cat([module(part) for part in batch.split(5)]) for batch in (queries, documents)]
    expected = LOSSES["listwise"](*parts)
    expected.backward()
    after, wanted = torch.rand(3), gradients(module)
    torch.manual_seed(3)
    loss = cached(LOSSES["listwise"], module, 5)(queries, documents)
    loss.backward()
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(loss, expected)
    torch.testing.assert_close(gradients(module), wanted)


def test_a_retained_graph_repeats_the_same_draws() -> None:
    module, (queries, documents) = encoder(0.5), inputs()
    loss = cached(LOSSES["listwise"], module, 5)(queries, documents)
    loss.backward(retain_graph=True)
    first = gradients(module)
    loss.backward()
    torch.testing.assert_close(gradients(module), first)


def test_an_error_in_the_second_pass_leaves_the_generator_alone() -> None:
    calls = []

    def encode(x: Tensor) -> Tensor:
        calls.append(torch.rand(()).item())
        if len(calls) == 2:
            raise KeyError("second")
        return x * 2

    x = torch.ones(3, 2, requires_grad=True)
    loss = cached(lambda e: (e**2).sum(), lambda part: encode(part) ** 2, 3)(x)
    state = torch.get_rng_state()
    with pytest.raises(KeyError, match="second"):
        loss.backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert calls[0] == calls[1]


def test_activations_of_one_chunk_are_in_memory_at_a_time() -> None:
    module, (queries, documents) = encoder(), inputs(60)
    saved = []

    def pack(x: Tensor) -> Tensor:
        saved.append(x.numel())
        return x

    compute = cached(lambda q, d: (q * d).sum(), module, 10)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = compute(queries, documents)
    # The embeddings alone are kept for the backward pass; activations have 16 columns, and inputs are not copied.
    assert sum(saved) <= 2 * 60 * 4 + 2 * 60 * 6
    with Largest() as largest:
        loss.backward()
    assert largest.entries <= 60 * 4


def test_eighty_thousand_negatives_fit_a_small_machine() -> None:
    module = nn.Linear(8, 8)
    queries, documents = torch.randn(64, 8), torch.randn(80_000, 8)
    target = torch.arange(64)
    compute = cached(lambda q, d: bank(q, d, target, temperature=0.5, tile=2048), module, 4096)
    with Largest() as largest:
        loss = compute(queries, documents)
        loss.backward()
    assert largest.entries <= documents.numel()  # the embeddings, not 64 x 80,000 scores
    assert module.weight.grad is not None
    found = module.weight.grad.clone()
    module.zero_grad()
    expected = listwise(module(queries) @ module(documents).T, target, temperature=0.5)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(found, module.weight.grad, rtol=1e-3, atol=1e-5)


def test_inputs_may_be_mappings_or_lists_with_encoders_of_their_own() -> None:
    module, (queries, documents) = encoder(), inputs()

    def of_tokens(part: Any) -> Tensor:
        return module(part["a"] + part["b"])

    def of_texts(part: list[str]) -> Tensor:
        return module(torch.stack([documents[int(text)] for text in part]))

    tokens = UserDict({"a": queries / 2, "b": queries / 2})
    compute = cached(LOSSES["listwise"], [of_tokens, of_texts], 5)
    loss = compute(tokens, [str(row) for row in range(12)])
    assert loss.item() == pytest.approx(LOSSES["listwise"](module(queries), module(documents)).item())


def test_counts_come_through_and_evaluation_needs_no_gradient() -> None:
    module, (queries, documents) = encoder(), inputs()
    compute = cached(lambda q, d: listwise(q @ d.T, torch.arange(12), return_counts=True), module, 5)
    with torch.no_grad():
        loss, counts = compute(queries, documents)
    assert not loss.requires_grad
    assert counts.terms.item() == 12
    loss, counts = cached(lambda q: pairwise(q[:, 0], q, return_counts=True), module, 5)(queries[:0])
    assert (loss.item(), counts.terms.item()) == (0.0, 0)


def test_autocast_of_the_first_pass_is_that_of_the_second() -> None:
    module = nn.Linear(6, 4)
    seen = []

    def encode(part: Tensor) -> Tensor:
        made = module(part)
        seen.append(made.dtype)
        return made.float().exp()  # reads the output, so that the second pass gets here

    queries = torch.randn(4, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cached(lambda q: listwise(q, torch.arange(4)), encode, 2)(queries)
    loss.backward()
    assert len(seen) >= 2
    assert set(seen) == {torch.bfloat16}
    assert module.weight.grad is not None


X = torch.zeros(4, 2)
Case = tuple[Callable[[], object], type[NegmineError], str]
Value, Type = NegmineValueError, NegmineTypeError
BAD: dict[str, Case] = {
    "loss": (lambda: cached(None, abs, 1), Type, "`loss` callable NoneType"),  # type: ignore[arg-type]
    "encode": (lambda: cached(sum, 3, 1), Type, "`encode` callable int"),  # type: ignore[arg-type]
    "encode list": (lambda: cached(sum, [torch.abs, None], 1), Type, "`encode` callables NoneType"),  # type: ignore[list-item]
    "chunk": (lambda: cached(sum, torch.abs, 0), Value, "`chunk` at least 1 got 0"),
    "chunk float": (lambda: cached(sum, torch.abs, 1.5), Type, "`chunk` integer 1.5"),  # type: ignore[arg-type]
    "inputs number": (lambda: cached(sum, [torch.abs], 1)(X, X), Value, "`inputs` 1 per encoder got 2"),
    "inputs type": (lambda: cached(sum, torch.abs, 1)((1, 2)), Type, "`inputs` tensors, mappings lists tuple"),
    "inputs mapping": (lambda: cached(sum, torch.abs, 1)({"a": 1}), Type, "`inputs` mappings of tensors"),
    "inputs lengths": (lambda: cached(sum, torch.abs, 1)({"a": X, "b": X[:1]}), Value, "`inputs` length 'a': 4"),
    "output rows": (lambda: cached(sum, torch.sum, 2)(X), Value, "`encode` row per example, 2 got ()"),
    "output type": (lambda: cached(sum, lambda x: None, 2)(X), Type, "`encode` tensor NoneType"),  # type: ignore[arg-type, return-value]
    "option": (lambda: cached(sum, torch.abs, 1, size=1), Type, "`cached` no option 'size'"),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, expected, words = BAD[name]
    with pytest.raises(expected) as caught:
        call()
    for word in words.split():
        assert word in str(caught.value), f"{word!r} is missing in: {caught.value}"


@pytest.mark.slow
def test_gradients_are_averaged_over_ranks(tmp_path: Path) -> None:
    module, parts, results = encoder(), [torch.chunk(part, 2) for part in inputs(24)], tmp_path / "gradients.pt"
    shares = [(parts[0][rank], parts[1][rank]) for rank in range(2)]
    torch.multiprocessing.spawn(train_on_a_rank, args=(tmp_path / "rendezvous", results, module, shares), nprocs=2)
    torch.stack([loss_of_share(module(queries), module(documents)) for queries, documents in shares]).mean().backward()
    for found, parameter in zip(torch.load(results), module.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad)
