"""What a better model adds: a mask, margins to imitate, or a ranker that learns together with the retriever.

    NEGMINE_DATA=... python benches/claims/teachers.py [--again]

600 training queries. The student is a linear map of static vectors (WordLlama); guide and teacher are the vectors of
MiniLM, in place of cross encoders. medquad has natural false negatives: answers of another institute to the same
question.

- GISTEmbed: what the guide scores above the labeled positive is masked (margin 0), with four naive negatives.
- TAS-Balanced: squared errors of the margins of one pair per query, of the 20 best negatives of the student; with .75
  times those of all other pairs of the batch against without; pairs balanced over the margins against uniform ones.
- AR2: a ranker learns from a list of the positive and 15 of the 100 best, mined again in every epoch, and the retriever
  from the frozen ranker, half by its rewards and half by its distribution. Ranker and retriever alternate by steps in
  place of rounds. The baseline is the same retriever with labels only, on lists mined once or again in every epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from claim import run
from disjoint import Corpus, vectors
from torch.nn.functional import logsigmoid
from verdict import Verdict

import negmine
from negmine.batches import guided_mask, sample_balanced_margins
from negmine.torch.losses import listwise, pairwise
from training import IN_BATCH, TEMPERATURE, Arm, Line, Maps, Task, Training, mined, random, verdicts

GIST = "GISTEmbed (Solatorio, 2024)"
TAS = "TAS-Balanced (Hofstätter et al., SIGIR 2021)"
AR2 = "AR2 (Zhang et al., ICLR 2022)"
RANKER_RATE = 1e-3


def teacher_of(training: Training) -> Corpus:
    """Return the corpus with the vectors of MiniLM."""
    if "teacher" not in training.state:
        x, documents = vectors(training.task.name, "MiniLM")
        part = training.part
        training.state["teacher"] = replace(part, x=x[part.query_rows], documents=documents[part.document_rows])
    found: Corpus = training.state["teacher"]
    return found


@dataclass(frozen=True)
class Guided(Arm):
    """The softmax over the batch, under the mask of the guide."""

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        columns = training.columns(rows)
        guide = teacher_of(training)
        mask = guided_mask(guide.x[rows], guide.documents[columns], num_threads=1) | training.masked(rows, columns)
        return listwise(training.logits(rows, columns), np.arange(len(rows)), mask=mask)


@dataclass(frozen=True)
class Distilled(Arm):
    """Squared errors of margins, of one pair per query and, with `in_batch`, of all other pairs of the batch."""

    in_batch: bool = False
    balanced: bool = False

    def negatives(self, training: Training) -> np.ndarray:
        if not self.balanced:
            return super().negatives(training)
        assert self.miner is not None
        pool = mined(self.miner, training.part, False, training.task.name)
        teacher = teacher_of(training)
        n, width = pool.indices.shape
        right = np.einsum("qd,qd->q", teacher.x, teacher.documents[teacher.labeled])
        wrong = np.einsum("qd,qkd->qk", teacher.x, teacher.documents[pool.indices])
        margins = (right[:, None] - wrong).ravel()
        drawn = sample_balanced_margins(margins, np.arange(n + 1) * width, seed=training.seed, epoch=training.epoch)
        return pool.indices.ravel()[drawn][:, None]

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        columns, n = training.columns(rows), len(rows)
        teacher = teacher_of(training)
        scores = training.cosines(rows, columns)
        target = teacher.x[rows] @ teacher.documents[columns].T
        target = np.diagonal(target)[:, None] - target
        right = scores.diagonal()
        pair = pairwise(right, scores.diagonal(n), form="margin_mse", teacher=np.diagonal(target, n).copy())
        if not self.in_batch:
            return pair
        is_pair = np.tile(np.eye(n, dtype=bool), 2)
        return pair + 0.75 * pairwise(right, scores, form="margin_mse", teacher=target, mask=is_pair)


@dataclass(frozen=True)
class Lists(Arm):
    """The softmax over every query's own list, from its label; or, with `adversarial`, from a ranker that learns."""

    adversarial: bool = False

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        part = training.part
        columns = np.concatenate([part.labeled[rows, None], training.negatives[rows]], axis=1)
        scores = listed(training.model, part, rows, columns)
        if not self.adversarial:
            return listwise(scores, np.zeros(len(rows), dtype=np.int64))
        teacher = teacher_of(training)
        if "ranker" not in training.state:
            ranker = training.state["ranker"] = Maps(teacher, both=False)
            training.state["optimizer"] = torch.optim.AdamW(ranker.parameters(), lr=RANKER_RATE)
        ranker, optimizer = training.state["ranker"], training.state["optimizer"]
        with torch.no_grad():
            ranked = listed(ranker, teacher, rows, columns)
        optimizer.zero_grad()
        listwise(listed(ranker, teacher, rows, columns), np.zeros(len(rows), dtype=np.int64)).backward()
        optimizer.step()
        reward = -logsigmoid(ranked[:, :1] - ranked)
        return (listwise(scores, reward) + listwise(scores, teacher=ranked)) / 2


def listed(model: Maps, part: Corpus, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
    """Return the scores of every query's own documents."""
    documents = torch.from_numpy(part.documents[columns])
    return torch.einsum("qd,qnd->qn", model.embed_queries(part.x[rows]), documents) / TEMPERATURE


FOUR, TWENTY = negmine.HardNegativeMiner(4), negmine.HardNegativeMiner(20)
ONE = negmine.HardNegativeMiner(1, sampling="random", range_max=20)
FIFTEEN = negmine.HardNegativeMiner(15, sampling="random", range_max=100)
TASK = Task("medquad", "WordLlama", n_train=600)

NAIVE, RANDOM = Arm(FOUR), random(4)
UNIFORM, WITH_BATCH = Distilled(ONE), Distilled(ONE, in_batch=True)
ONCE, AGAIN = Lists(FIFTEEN), Lists(FIFTEEN, again=True)
RANKED = Lists(FIFTEEN, again=True, adversarial=True)

LINES = (
    Line("mask of the guide, against no mask, 4 naive negatives", GIST, TASK, NAIVE, Guided(FOUR)),
    Line("mask of the guide, against no mask, in-batch", GIST, TASK, IN_BATCH, Guided()),
    Line("random extra negatives without a mask, against 4 naive negatives", GIST, TASK, NAIVE, RANDOM),
    Line("pairs and in-batch, against pairs", TAS, TASK, UNIFORM, WITH_BATCH),
    Line("balanced pairs, against uniform pairs", TAS, TASK, UNIFORM, Distilled(TWENTY, balanced=True)),
    Line(
        "balanced, against uniform pairs, with in-batch",
        TAS,
        TASK,
        WITH_BATCH,
        Distilled(TWENTY, in_batch=True, balanced=True),
    ),
    Line("random pairs, against uniform pairs of the 20 best", TAS, TASK, UNIFORM, Distilled(random(1).miner)),
    Line("with a ranker, against labels and lists mined once", AR2, TASK, ONCE, RANKED),
    Line("with a ranker, against labels and lists mined again", AR2, TASK, AGAIN, RANKED),
    Line("random lists with labels, against lists mined once", AR2, TASK, ONCE, Lists(random(15).miner)),
)


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(LINES)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/teachers.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/batches/guided.py",
        "python/negmine/batches/topics.py",
        "python/negmine/torch/losses/lists.py",
        "python/negmine/torch/losses/pairs.py",
        "rust/negmine-core/src/batch/topic.rs",
        "rust/negmine-core/src/mine/select.rs",
    ]
    run("teachers", sources, experiment)
