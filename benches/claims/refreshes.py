"""Negatives that follow the model: mined again in every epoch, or searched in every step.

    NEGMINE_DATA=... python benches/claims/refreshes.py [--again]

600 training queries.

- ANCE: four negatives, uniform among the 200 best candidates of the current model, mined again in every epoch, against
  the 200 best of the start; both are drawn again in every epoch. The loss is the softmax over the batch, not over the
  paper's pairs, and mining takes place between epochs, so that negatives do not lag behind.
- ADORE: eight epochs with the negatives of the batch, then four with `lambda_mrr` over the 200 best documents of every
  query in every step, against four further epochs of the first kind. Documents are frozen. The optimizer goes on, and
  the arm has one rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from claim import run
from verdict import Verdict

import negmine
from negmine.torch.losses import lambda_mrr
from training import EPOCHS, IN_BATCH, Arm, Line, Task, Training, index_of, random, verdicts

NUM_NEGATIVES = 4
DEPTH = 200
ANCE = "ANCE (Xiong et al., ICLR 2021)"
ADORE = "ADORE (Zhan et al., SIGIR 2021)"


@dataclass(frozen=True)
class LiveSearch(Arm):
    """From epoch `EPOCHS` on, the loss of the best documents of the current queries."""

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        if training.epoch < EPOCHS:
            return super().loss(training, rows)
        part = training.part
        if "index" not in training.state:
            training.state["index"] = index_of(part.documents)
        with torch.no_grad():
            queries = training.model.embed_queries(part.x[rows]).numpy()
        miner = negmine.HardNegativeMiner(DEPTH)
        found = miner.mine(training.state["index"], queries, part.labeled[rows]).indices
        columns = np.concatenate([part.labeled[rows, None], found], axis=1)
        documents = training.model.embed_documents(part.documents[columns])
        scores = torch.einsum("qd,qnd->qn", training.model.embed_queries(part.x[rows]), documents)
        # The answer takes its place in the list, and the first one where scores are equal.
        places = scores.detach().argsort(dim=1, descending=True, stable=True)
        return lambda_mrr(scores.gather(1, places) / 0.05, places == 0, cut=DEPTH)


UNIFORM = Arm(negmine.HardNegativeMiner(NUM_NEGATIVES, sampling="random", range_max=DEPTH))
AGAIN = replace(UNIFORM, again=True)
RANDOM = random(NUM_NEGATIVES)
LONGER, LIVE = Arm(epochs=EPOCHS + 4), LiveSearch(epochs=EPOCHS + 4)

TASKS = (Task("medquad", "WordLlama", n_train=600), Task("medquad", n_train=600), Task("onet_titles", n_train=600))


def lines() -> list[Line]:
    """List the comparisons."""
    found = []
    for task in TASKS:
        found += [
            Line("mined again each epoch, against mined once", ANCE, task, UNIFORM, AGAIN),
            Line("random extra negatives, against mined once", ANCE, task, UNIFORM, RANDOM),
        ]
    task = Task("medquad", n_train=600)
    return [
        *found,
        Line("four epochs of live search, against in-batch as long", ADORE, task, LONGER, LIVE),
        Line("random extra negatives, against in-batch", ADORE, task, LONGER, replace(RANDOM, epochs=LONGER.epochs)),
        Line("in-batch for four more epochs, against eight", ADORE, task, IN_BATCH, LONGER),
    ]


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(lines())


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/refreshes.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/torch/losses/lists.py",
        "python/negmine/torch/losses/ranks.py",
        "rust/negmine-core/src/mine/select.rs",
    ]
    run("refreshes", sources, experiment)
