"""Stop training in the middle of an epoch and resume it in another process, with the same order of the batches.

A DataLoader with workers reads ahead of the model, so the state to save is that of the batches that the model was
trained on, `state_dict_at`. (torchdata's StatefulDataLoader counts the batches itself: save and load the loader.) The
first half of the training runs on one rank and the second half on two; the order of the batches stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from negmine.torch import NoDuplicateBatchSampler

ROWS = torch.randn(960, 8, generator=torch.Generator().manual_seed(0))
TARGETS = ROWS @ torch.linspace(-1, 1, 8)


def make(num_replicas: int = 1, rank: int = 0) -> NoDuplicateBatchSampler:
    """Return the sampler of one rank; every second row has the same anchor as the row before it."""
    anchors = torch.arange(960) // 2
    return NoDuplicateBatchSampler(
        anchors, torch.arange(960), batch_size=32, batches_per_step=2, num_replicas=num_replicas, rank=rank
    )


def train(model: torch.nn.Linear, loaders: list[DataLoader[torch.Tensor]]) -> Iterator[list[int]]:
    """Train for one epoch, with one step per batches of all ranks, and yield the rows of each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for batches in zip(*loaders, strict=True):
        rows = torch.cat(batches)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(ROWS[rows])[:, 0], TARGETS[rows]).backward()
        optimizer.step()
        yield rows.tolist()


def main() -> None:
    """Train in two parts, and compare the order of the rows with that of an uninterrupted epoch."""
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 1)
    sampler = make()
    loader = DataLoader(torch.arange(960), batch_sampler=sampler, num_workers=2)
    seen: list[int] = []
    steps = train(model, [loader])
    for _ in range(14):
        seen += next(steps)
    checkpoint = {"model": model.state_dict(), "sampler": sampler.state_dict_at(epoch=0, n_batches=14)}
    print(
        f"stopped after 14 of {len(sampler)} batches; the loader had read ahead to {sampler.state_dict()['position']}"
    )

    resumed = torch.nn.Linear(8, 1)
    resumed.load_state_dict(checkpoint["model"])
    loaders = []
    for rank in range(2):
        sampler = make(num_replicas=2, rank=rank)
        sampler.load_state_dict(checkpoint["sampler"])
        loaders.append(DataLoader(torch.arange(960), batch_sampler=sampler))
    for rows in train(resumed, loaders):
        seen += rows
    whole = [row for batch in make() for row in batch]
    print(f"rows in the order of an uninterrupted epoch: {seen == whole}")


if __name__ == "__main__":
    main()
