"""Weights where labels are doubtful: wrong positives, and negatives without a judgment.

    NEGMINE_DATA=... python benches/claims/doubts.py [--again]

600 training queries.

- PEG-like weights: a fifth of the labeled answers of training are replaced by random documents. A query weighs more the
  harder it is, the more so the further the training is (`hardness` with `kind="sample"`), or less (its inverse),
  against equal weights. The formula of the paper is not public: both are ours.
- CET: pairs by softplus with one of the 20 best candidates, whose hidden answers are false negatives. A negative weighs
  1 + exp(score / 10), with the score of a second model that selects, at most 10, against equal weights. The selection
  model is a map of WordLlama's vectors, and learns with the weights of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from claim import run
from disjoint import Corpus, vectors
from verdict import Verdict

import negmine
from negmine.selection import select
from negmine.torch.losses import listwise, pairwise
from negmine.weights import hardness, ipw, selection_propensity
from training import TEMPERATURE, Arm, Line, Maps, Task, Training, random, verdicts

PEG = "PEG (Wu et al., 2023), a weight like it"
CET = "CET (Cai et al., CIKM 2022)"
NOISE = 0.2
SCALE = 10.0


@dataclass(frozen=True)
class Noisy(Arm):
    """Labels with noise; `weigh` is "equal", "hard" or "easy"."""

    weigh: str = "equal"

    def prepare(self, part: Corpus, seed: int) -> Corpus:
        n = len(part.labeled)
        chosen = select(round(NOISE * n), groups=np.zeros(n, dtype=np.int64), within="random", seed=seed).indices
        labeled = part.labeled.copy()
        labeled[chosen] = np.random.default_rng(seed).integers(len(part.documents), size=len(chosen))
        return replace(part, labeled=labeled)

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        columns = training.columns(rows)
        mask, scores = training.masked(rows, columns), training.logits(rows, columns)
        weights = None
        if self.weigh != "equal":
            progress = training.epoch / (self.epochs - 1)
            weights = hardness(scores.detach().numpy(), mask, kind="sample", progress=progress)
            if self.weigh == "easy":
                weights = 1 / weights
        return listwise(scores, np.arange(len(rows)), mask=mask, weights=weights, reduction="weighted_mean")


@dataclass(frozen=True)
class Pooled(Arm):
    """Pairs of the labeled answer and one negative; with `corrected`, weighted by a selection model and the reverse."""

    corrected: bool = False

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        part = training.part
        columns = np.stack([part.labeled[rows], training.negatives[rows, 0]], axis=1)
        scores = pair_scores(training.model, part, rows, columns)
        if not self.corrected:
            return pairwise(scores[:, 0], scores[:, 1])
        if not training.state:
            x, documents = vectors(training.task.name, "WordLlama")
            weaker = replace(part, x=x[part.query_rows], documents=documents[part.document_rows])
            model = Maps(weaker, both=False)
            optimizer = torch.optim.AdamW(model.parameters(), lr=training.rate)
            training.state.update(part=weaker, model=model, optimizer=optimizer)
        state = training.state
        selected = pair_scores(state["model"], state["part"], rows, columns)
        state["optimizer"].zero_grad()
        pairwise(selected[:, 0], selected[:, 1], weights=weights_of(scores)).backward()
        state["optimizer"].step()
        return pairwise(scores[:, 0], scores[:, 1], weights=weights_of(selected))


def pair_scores(model: Maps, part: Corpus, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
    """Return the scores of every query's two documents."""
    documents = torch.from_numpy(part.documents[columns])
    return torch.einsum("qd,qnd->qn", model.embed_queries(part.x[rows]), documents) / TEMPERATURE


def weights_of(scores: torch.Tensor) -> np.ndarray:
    """Return the weights of negatives by the scores of the other model."""
    return ipw(selection_propensity(scores[:, 1].detach().numpy(), SCALE), clip=0.1)


FOUR = negmine.HardNegativeMiner(4, sampling="random", range_max=100)
OF_20 = negmine.HardNegativeMiner(1, sampling="random", range_max=20)
MEDQUAD = Task("medquad", n_train=600)
EQUAL, RANDOM, POOLED = Noisy(), Noisy(random(4).miner), Pooled(OF_20)

LINES = (
    Line("more weight on hard queries, against equal, 20 % wrong labels", PEG, MEDQUAD, EQUAL, Noisy(weigh="hard")),
    Line("more weight on easy queries, against equal, 20 % wrong labels", PEG, MEDQUAD, EQUAL, Noisy(weigh="easy")),
    Line("random extra negatives, against in-batch, 20 % wrong labels", PEG, MEDQUAD, EQUAL, RANDOM),
    Line("4 of the 100 best, against in-batch, 20 % wrong labels", PEG, MEDQUAD, EQUAL, Noisy(FOUR)),
    Line("corrected weights, against equal", CET, MEDQUAD, POOLED, Pooled(OF_20, corrected=True)),
    Line("random negatives, against 1 of the 20 best", CET, MEDQUAD, POOLED, Pooled(random(1).miner)),
)


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(LINES)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/doubts.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/torch/losses/lists.py",
        "python/negmine/torch/losses/pairs.py",
        "python/negmine/weights/difficulty.py",
        "python/negmine/weights/propensities.py",
        "rust/negmine-core/src/mine/select.rs",
    ]
    run("doubts", sources, experiment)
