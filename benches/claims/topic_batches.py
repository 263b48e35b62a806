"""Batches of queries of one topic against random batches (TAS-Balanced), on disjoint corpora.

    NEGMINE_DATA=... python benches/claims/topic_batches.py [--again]

A linear map on each side; the softmax over the positives of a batch of 64. Topics are k-means clusters of the frozen
queries, about 64 queries each, of 600 training queries. The share of a batch that is drawn by topic goes from
0 (the baseline) to 1, with the mask of labeled answers and without. TAS-Balanced distills teachers in such batches;
here, only the batches are judged. Random extra negatives, one per query, say what harder batches must beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from claim import run
from verdict import Verdict

import negmine
from negmine.batches import topic_plan
from negmine.torch.losses import listwise
from training import BATCH_SIZE, Arm, Line, Task, Training, random, verdicts

TAS = "TAS-Balanced (Hofstätter et al., SIGIR 2021)"


@dataclass(frozen=True)
class Topics(Arm):
    """Batches of a plan, which replace those that a training offers."""

    share: float = 0.0
    masked: bool = True

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        if not training.state:
            x = training.part.x
            topics = negmine.kmeans(x, n_clusters=len(x) // BATCH_SIZE, seed=training.seed, num_threads=1)
            fraction = 1.0 - self.share
            plan = topic_plan(topics, batch_size=BATCH_SIZE, random_fraction=fraction, seed=training.seed)
            training.state.update(plan=plan, step=0)
        plan, step = training.state["plan"], training.state["step"]
        training.state["step"] += 1
        rows = plan.batch(step // len(plan), step % len(plan))
        columns = training.columns(rows)
        mask = training.masked(rows, columns) if self.masked else None
        return listwise(training.logits(rows, columns), np.arange(len(rows)), mask=mask)


def lines() -> list[Line]:
    """List the comparisons."""
    found = []
    for name in ("scifact", "medquad"):
        task = Task(name, both=True, n_train=600)
        for masked in (True, False):
            baseline, said = Topics(masked=masked), "masked" if masked else "no mask"
            found += [
                Line(f"topics, {share:.0%} by cluster, {said}", TAS, task, baseline, Topics(share=share, masked=masked))
                for share in (0.5, 1.0)
            ]
        found.append(
            Line("random extra negatives, against in-batch, masked", TAS, task, Topics(), Topics(random(1).miner))
        )
    return found


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(lines())


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/topic_batches.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/batches/topics.py",
        "python/negmine/torch/losses/lists.py",
        "rust/negmine-core/src/batch/topic.rs",
        "rust/negmine-core/src/cluster/kmeans/*.rs",
    ]
    run("topic_batches", sources, experiment)
