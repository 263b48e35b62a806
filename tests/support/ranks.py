"""What two ranks do in a test of distributed training; processes that are spawned import it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from negmine.torch.losses import bank, cached


def loss_of_share(queries: Tensor, documents: Tensor) -> Tensor:
    return bank(queries, documents, torch.arange(len(queries)), temperature=0.5, tile=5)


def train_on_a_rank(
    rank: int, rendezvous: Path, results: Path, module: nn.Module, shares: list[tuple[Tensor, Tensor]]
) -> None:
    """Take the gradients of one rank, which are averaged over the ranks, and save them."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=len(shares))
    model = nn.parallel.DistributedDataParallel(module)
    cached(loss_of_share, model, 5)(*shares[rank]).backward()
    if rank == 0:
        torch.save([parameter.grad for parameter in module.parameters()], results)
    torch.distributed.destroy_process_group()
