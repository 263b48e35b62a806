"""SDIM against the same in torch, eager and compiled, against full attention, and FuxiCTR's where it is installed.

    python benches/python/sdim.py [--rounds N] [--case NAME] [--no-compile]

One thread, one process. Rounds visit the peers in turn; a figure is the least of the rounds, a ratio the median of the
rounds' ratios. Times are the thread's own processor time, which a machine that others share inflates least. Every
answer is held against float64. FuxiCTR's form repeats the history for every candidate, as its model does, and takes
part where that fits memory.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import negmine
from negmine.behavior import BehaviorTable
from negmine.torch import SDIM, TargetAttention

#: Users, behaviors, candidates, width.
CASES = {
    "1k x 100 x 64": (1, 1_000, 100, 64),
    "1k x 1k x 64": (1, 1_000, 1_000, 64),
    "10k x 500 x 64": (1, 10_000, 500, 64),
    "50k x 1k x 64": (1, 50_000, 1_000, 64),
    "10k x 500 x 128": (1, 10_000, 500, 128),
    "1,000 users x 200 x 20 x 64": (1_000, 200, 20, 64),
    "short: 50 x 1 x 64": (1, 50, 1, 64),
    "short: 200 x 20 x 64": (1, 200, 20, 64),
    "short: 200 x 100 x 64": (1, 200, 100, 64),
}

M, TAU = 48, 3
GROUPS, BUCKETS = M // TAU, 2**TAU


def torch_sdim(candidates: Tensor, behaviors: Tensor, values: Tensor, projections: Tensor) -> Tensor:
    """The method in plain torch, as one would write it: float32 bits, `index_add`, `normalize`, a gather."""
    users, length, width = values.shape
    powers = torch.tensor([1, 2, 4])
    groups = torch.arange(GROUPS) * BUCKETS
    cells = GROUPS * BUCKETS

    def place(x: Tensor) -> Tensor:
        with torch.no_grad():
            bits = (x @ projections > 0).reshape(users, -1, GROUPS, TAU)
            words = (bits * powers).sum(dim=-1) + groups
            return (words + torch.arange(users)[:, None, None] * cells).reshape(-1)

    rows = values[:, :, None].expand(users, length, GROUPS, width).reshape(-1, width)
    sums = values.new_zeros(users * cells, width).index_add(0, place(behaviors), rows)
    read = functional.normalize(sums, dim=-1, eps=1e-12)[place(candidates)]
    return read.reshape(users, -1, GROUPS, width).mean(dim=2)


def fuxictr() -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """FuxiCTR's attention, one row a candidate, if it is installed."""
    try:
        from model_zoo.LongCTR.SDIM.SDIM import SDIM as Model
    except ImportError:
        return None

    def pool(candidates: Tensor, behaviors: Tensor, projections: Tensor) -> Tensor:
        n = candidates.shape[1]
        model = Model.__new__(Model)
        torch.nn.Module.__init__(model)
        model.hash_bits, model.l2_norm, model.reuse_hash, model.num_hashes = TAU, True, True, GROUPS
        model.powers_of_two = torch.tensor([2.0**i for i in range(TAU)])
        model.random_rotations = projections.reshape(1, -1, GROUPS, TAU)
        sequence = behaviors.expand(n, -1, -1)
        return model.lsh_attentioin(model.random_rotations, candidates[0], sequence, torch.ones(sequence.shape[:2]))

    return pool


def seconds(function: Callable[[], object]) -> float:
    """Processor time of one call, from as many as fill 20 ms."""
    begin, n = time.thread_time(), 0
    while n == 0 or time.thread_time() - begin < 0.02:
        function()
        n += 1
    return (time.thread_time() - begin) / n


def exact(candidates: Tensor, behaviors: Tensor, projections: Tensor) -> Tensor:
    """The answer in float64, user by user."""
    return torch_sdim(candidates.double(), behaviors.double(), behaviors.double(), projections.double())


def peers(case: tuple[int, int, int, int], compiled: Callable[..., Tensor] | None) -> dict[str, list[Callable]]:
    """For every peer its forward pass, and its forward and backward pass."""
    users, length, n, dim = case
    rng = torch.Generator().manual_seed(0)
    behaviors, candidates = (torch.randn(users, k, dim, generator=rng) for k in (length, n))
    module, attention = SDIM(dim, m=M, tau=TAU), TargetAttention(dim)
    projections = torch.from_numpy(module.hasher.projections.T.copy())
    leaf = behaviors.clone().requires_grad_()
    weights = torch.randn(users, n, dim, generator=rng)
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "negmine": lambda values: module(candidates, behaviors, None, values),
        "torch eager": lambda values: torch_sdim(candidates, behaviors, values, projections),
        "full attention (sdpa)": lambda values: attention(candidates, behaviors, None, values),
    }
    if compiled is not None:
        forms["torch compiled"] = lambda values: compiled(candidates, behaviors, values, projections)
    theirs = fuxictr()
    if theirs is not None and users == 1 and length * n * GROUPS <= 1 << 25:
        forms["FuxiCTR"] = lambda values: theirs(candidates, values, projections)
    if users == 1:
        table = BehaviorTable.build(module.hasher, behaviors[0].numpy(), num_threads=1)
        looked = candidates[0].numpy()
        forms["negmine, table built before"] = lambda values: table.query(looked, num_threads=1)
    if users * length * n <= 50_000_000:
        truth = exact(candidates, behaviors, projections)
        # A bit that float32 has wrong changes a row of the torch form, not of ours.
        assert torch.allclose(forms["negmine"](behaviors).double(), truth, atol=2e-6)

    def both(form: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        def run() -> None:
            leaf.grad = None
            form(leaf).backward(weights)

        return run

    found: dict[str, list[Callable]] = {}
    for name, form in forms.items():
        found[name] = [lambda form=form: form(behaviors)]
        if name not in ("negmine, table built before", "FuxiCTR"):
            found[name].append(both(form))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", choices=list(CASES))
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes a minute")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = {arguments.case: CASES[arguments.case]} if arguments.case else CASES
    info = negmine.build_info()
    print(f"negmine {info['version']}, {info['isa']}; torch {torch.__version__}; NumPy {np.__version__}; one thread\n")
    print("| behaviors x candidates x width | pass | form | us | x negmine |\n| --- | --- | --- | ---: | ---: |")
    for name, case in cases.items():
        compiled = None if arguments.no_compile else torch.compile(torch_sdim, dynamic=False)
        torch.compiler.reset()
        runs = peers(case, compiled)
        for forms in runs.values():
            for form in forms:
                form()
        for i in range(2):
            taking = {peer: forms[i] for peer, forms in runs.items() if len(forms) > i}
            times = [{peer: seconds(form) for peer, form in taking.items()} for _ in range(arguments.rounds)]
            for peer in taking:
                least = min(round_[peer] for round_ in times)
                ratio = median(round_[peer] / round_["negmine"] for round_ in times)
                both = ("forward", "with backward")[i]
                print(f"| {name} | {both} | {peer} | {least * 1e6:,.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
