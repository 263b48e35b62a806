"""The losses under `torch.compile`: one graph, and the same values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from negmine.torch.losses import bank, lambda_mrr, listwise, pairwise, preference

EYE = torch.eye(4, dtype=torch.bool)

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pairwise": lambda q, d: pairwise((q * d).sum(1), q @ d.T, mask=EYE, hardest=2),
    "listwise": lambda q, d: listwise(q @ d.T, torch.arange(4), mask=EYE, temperature=0.5),
    "lambda_mrr": lambda q, d: lambda_mrr(q @ d.T, EYE, cut=3),
    "preference": lambda q, d: preference(q[0], d[0]),
    "bank": lambda q, d: bank(q, d, torch.arange(4), temperature=0.5, tile=3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_compiles_to_one_graph(name: str) -> None:
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(0)
    queries, documents = (torch.randn(4, 6, generator=generator, requires_grad=True) for _ in range(2))
    found = []
    for loss in (LOSSES[name], torch.compile(LOSSES[name], fullgraph=True, backend="eager")):
        value = loss(queries, documents)
        found.append((value, *torch.autograd.grad(value, (queries, documents))))
    torch.testing.assert_close(found[1], found[0])
