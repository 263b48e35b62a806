"""Cluster batches against random batches of the same size: NGAME on labels.

    python benches/claims/cluster_batches.py [--again]

A linear tower on each side is trained on ready embeddings (bags of words for xmc_bibtex): the triplet loss with online
hard negatives of NGAME's released code, clusters of 16 points made anew from the current embeddings every fifth epoch.
The share of a batch that is drawn by cluster goes from 0 (the baseline) to 1, with the mask of known positives and
without. Every arm has its learning rate chosen from the same grid on the tuning split, by one seed. Labels are shared
by training and test, as in extreme classification; queries are not. `topic_batches.py` judges topics.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from claim import run
from sets import Set, Split, load
from verdict import Verdict, judge

import negmine
from negmine.batches import cluster_plan, false_negative_mask

PAPER = "NGAME (Dahiya et al., WSDM 2023)"
#: Points of the metric: what a difference must be held to, to be called none.
MARGIN = 0.01
TUNING_SEEDS = 1
RATES = (3e-4, 1e-3, 3e-3)
SHARES = (0.0, 0.5, 1.0)

BATCH_SIZE = 256
CLUSTER_SIZE = 16
REFRESH = 5
WIDTH = 384


@dataclass(frozen=True, slots=True)
class Arm:
    """What differs between two trainings."""

    share: float
    masked: bool
    rate: float


@dataclass(frozen=True, slots=True)
class Task:
    """What all trainings on a set share."""

    data: Set
    epochs: int
    seeds: int


class Towers(torch.nn.Module):
    """A linear map for points and one for labels, the identity at first where widths allow it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.points = torch.nn.Linear(width, WIDTH, bias=False)
        self.labels = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        torch.nn.init.eye_(self.labels.weight)
        if width == WIDTH:
            torch.nn.init.eye_(self.points.weight)

    def embed(self, tower: torch.nn.Linear, x: np.ndarray) -> torch.Tensor:
        """Unit vectors."""
        return torch.nn.functional.normalize(tower(torch.from_numpy(x)), dim=1)


def ngame_loss(scores: torch.Tensor, banned: torch.Tensor) -> torch.Tensor:
    """Triplet margin over the ten hardest of a batch (released code of NGAME)."""
    hard, _ = scores.masked_fill(banned, -torch.inf).topk(10, dim=1)
    loss = torch.relu(hard - scores.diagonal()[:, None] + 0.3)
    kept = torch.isfinite(hard)
    loss = torch.where(kept, loss, 0.0)
    weight = torch.softmax(torch.where(kept & (loss > 0), hard / 0.1, 0.0), dim=1)
    return (loss * weight).mean()


def train(task: Task, arm: Arm, seed: int) -> Towers:
    """Train one model."""
    torch.manual_seed(seed)
    split = task.data.train
    towers = Towers(split.x.shape[1])
    optimizer = torch.optim.AdamW(towers.parameters(), lr=arm.rate)
    draw = np.random.default_rng(seed)
    for epoch in range(task.epochs):
        if epoch % REFRESH == 0:
            with torch.no_grad():
                vectors = towers.embed(towers.points, split.x).numpy()
            clusters = negmine.balanced_clusters(vectors, cluster_size=CLUSTER_SIZE, quality="fast", seed=seed)
        label_of = positive_of(split, draw)
        for rows in batches(arm, clusters, seed, epoch):
            banned = torch.eye(len(rows), dtype=torch.bool)
            if arm.masked:
                banned |= torch.from_numpy(false_negative_mask(rows, label_of[rows], split.positives))
            points = towers.embed(towers.points, split.x[rows])
            labels = towers.embed(towers.labels, task.data.labels[label_of[rows]])
            optimizer.zero_grad()
            ngame_loss(points @ labels.T, banned).backward()
            optimizer.step()
    return towers


def batches(arm: Arm, clusters: negmine.Clusters, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Batches of one epoch; the baseline draws none of a batch by cluster."""
    share = 1.0 - arm.share
    plan = cluster_plan(clusters, batch_size=BATCH_SIZE, random_fraction=share, remainder="drop", seed=seed)
    return (plan.batch(epoch, index) for index in range(len(plan)))


def positive_of(split: Split, draw: np.random.Generator) -> np.ndarray:
    """One of every point's positives."""
    offsets = split.positives.offsets
    counts = np.diff(offsets)
    return split.positives.items[offsets[:-1] + (draw.random(len(counts)) * counts).astype(np.int64)]


def quality(task: Task, towers: Towers, split: Split) -> float:
    """Return the precision of the first result."""
    with torch.no_grad():
        points = towers.embed(towers.points, split.x).numpy()
        labels = towers.embed(towers.labels, task.data.labels).numpy()
    rows = negmine.ExactIndex(labels).search(points, 1).indices[:, 0]
    known = split.positives.queries() * len(labels) + split.positives.items
    return float(np.isin(np.arange(len(rows)) * len(labels) + rows, known).mean())


def measured(task: Task, arm: Arm) -> list[float]:
    """The arm at its own best learning rate: quality on the test split, seed by seed."""

    def tuned(rate: float) -> float:
        models = (train(task, replace(arm, rate=rate), seed) for seed in range(TUNING_SEEDS))
        return sum(quality(task, model, task.data.tune) for model in models)

    best = replace(arm, rate=max(RATES, key=tuned))
    return [quality(task, train(task, best, seed), task.data.test) for seed in range(task.seeds)]


def experiment() -> list[Verdict]:
    """All sets, shares and masks."""
    tasks = [Task(load("onet_titles"), epochs=10, seeds=12), Task(load("xmc_bibtex"), epochs=15, seeds=6)]
    verdicts = []
    for task, masked in itertools.product(tasks, (True, False)):
        results = {share: measured(task, Arm(share, masked, 0.0)) for share in SHARES}
        for share in SHARES[1:]:
            claim = f"NGAME, {share:.0%} by cluster, {'masked' if masked else 'no mask'}"
            name, base, values = task.data.name, results[0.0], results[share]
            verdict = judge(claim, name, "P@1", base, values, paper=PAPER, margin=MARGIN, tuned=True)
            print(verdict, flush=True)
            verdicts.append(verdict)
    return verdicts


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/cluster_batches.py",
        "benches/claims/sets.py",
        "python/negmine/batches/clusters.py",
        "rust/negmine-core/src/batch/cluster_plan.rs",
        "rust/negmine-core/src/cluster/**/*.rs",
    ]
    run("cluster_batches", sources, experiment)
