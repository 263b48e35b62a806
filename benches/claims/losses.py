"""What else enters the loss: the documents of the batch, a bank of documents, a comparison of two revisions.

    NEGMINE_DATA=... python benches/claims/losses.py [--again]

2,000 training queries; 600 for LoL.

- STAR: pairs by softplus over mined negatives and the documents of the batch, against the batch alone; mined negatives
  alone (the best one, or one of the 200 best) against the batch alone. All are mined once, and drawn in every epoch.
- SPN4CIR: the softmax over a bank, which holds the positives of the batch and random documents up to 256 or 1,000, or
  all documents, against the 63 other positives of the batch. The paper trains so in a second stage; here it is the
  only one, of questions and answers in place of images. A bank of 256 is the row of random extra negatives.
- LoL: revisions of a query by the mean of feedback documents, with the comparison of two revisions (weight 1) against
  without. Cross entropy over all documents that are among the 20 best of a query, four epochs; the metric is nDCG@10
  of queries with five feedback documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from claim import run
from disjoint import Corpus
from verdict import Verdict

import negmine
from negmine.batches import false_negative_mask
from negmine.selection import select
from negmine.torch.losses import bank, listwise, pairwise
from training import IN_BATCH, TEMPERATURE, Arm, Line, Task, Training, index_of, ndcg, random, verdicts

#: Other seeds than those of the pilot, which had 600 training queries.
SEEDS = range(40, 48)
STAR = "STAR (Zhan et al., SIGIR 2021)"
SPN4CIR = "SPN4CIR (Feng et al., ACM MM 2024)"
LOL = "LoL (Zhu et al., SIGIR 2022)"


@dataclass(frozen=True)
class Pairs(Arm):
    """Softplus of pairs: over all documents of the batch, or of every query and its own negative alone."""

    alone: bool = False

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        columns = training.columns(rows)
        scores = training.logits(rows, columns)
        positive = scores.diagonal()
        if self.alone:
            return pairwise(positive, scores.diagonal(len(rows)))
        return pairwise(positive, scores, mask=training.masked(rows, columns))


@dataclass(frozen=True)
class Bank(Arm):
    """The softmax over the positives of the batch and random documents; over all documents if `size` is 0."""

    size: int = 0

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        labeled = training.part.labeled[rows]
        columns = np.arange(len(training.part.documents))
        if self.size:
            step = training.state["step"] = training.state.get("step", 0) + 1
            number = self.size - len(rows)
            drawn = select(number, groups=0 * columns, within="random", seed=training.seed, epoch=step).indices
            columns = np.union1d(labeled, drawn)
        return bank(
            training.model.embed_queries(training.part.x[rows]),
            training.model.embed_documents(training.part.documents[columns]),
            np.searchsorted(columns, labeled),
            mask=false_negative_mask(rows, columns, training.positives),
            temperature=TEMPERATURE,
        )


@dataclass(frozen=True)
class Feedback(Arm):
    """Revisions of queries by up to five feedback documents."""

    comparison: float = 0.0

    def prepare(self, part: Corpus, seed: int) -> Corpus:
        return replace(part, x=np.concatenate([part.x, np.zeros_like(part.x)], axis=1))

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        part, state = training.part, training.state
        if not state:
            state["found"] = index_of(part.documents).search(part.x[:, : part.documents.shape[1]], 20).indices
            state["bank"] = np.union1d(state["found"], part.labeled)
            state["draw"] = np.random.default_rng(training.seed)
        feedback = state["draw"].permuted(state["found"][rows, :5], axis=1)
        sizes = np.sort(state["draw"].permuted(np.tile(np.arange(6), (len(rows), 1)), axis=1)[:, :2], axis=1)
        documents = torch.from_numpy(part.documents[state["bank"]])
        target = np.searchsorted(state["bank"], part.labeled[rows])

        def losses_of(size: np.ndarray) -> torch.Tensor:
            queries = training.model.embed_queries(revised(part.x[rows], part.documents, feedback, size))
            return listwise(queries @ documents.T, target, temperature=TEMPERATURE, reduction="none")

        fewer, more = losses_of(sizes[:, 0]), losses_of(sizes[:, 1])
        return (fewer + more).mean() / 2 + self.comparison * pairwise(fewer, more, form="hinge")

    @torch.no_grad()
    def quality(self, training: Training, part: Corpus) -> float:
        found = index_of(part.documents).search(part.x, 5).indices
        inputs = np.concatenate([part.x, np.zeros_like(part.x)], axis=1)
        inputs = revised(inputs, part.documents, found, np.full(len(found), 5))
        return ndcg(part, training.model.embed_queries(inputs).numpy(), part.documents)


def revised(x: np.ndarray, documents: np.ndarray, feedback: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Put the mean of the first feedback documents into the second half of the queries' columns."""
    share = (np.arange(feedback.shape[1]) < sizes[:, None]) / np.maximum(sizes, 1)[:, None]
    mean = np.einsum("qk,qkd->qd", share.astype(np.float32), documents[feedback])
    return np.concatenate([x[:, : documents.shape[1]], mean], axis=1)


BEST = negmine.HardNegativeMiner(1)
OF_200 = replace(BEST, sampling="random", range_max=200)
BATCH, BOTH, RANDOM = Pairs(), Pairs(OF_200), Pairs(random(1).miner)
BEST_ALONE, OF_200_ALONE = Pairs(BEST, alone=True), Pairs(OF_200, alone=True)
MEDQUAD, FEWER = Task("medquad"), Task("medquad", n_train=600)

LINES = (
    Line("1 of the 200 best and in-batch, against in-batch", STAR, MEDQUAD, BATCH, BOTH),
    Line("random extra negatives, against in-batch", STAR, MEDQUAD, BATCH, RANDOM),
    Line("1 of the 200 best and in-batch, against random extra negatives", STAR, MEDQUAD, RANDOM, BOTH),
    Line("the best alone, against in-batch", STAR, MEDQUAD, BATCH, BEST_ALONE),
    Line("1 of the 200 best alone, against in-batch", STAR, MEDQUAD, BATCH, OF_200_ALONE),
    Line("bank of 256 (random extra negatives), against in-batch", SPN4CIR, MEDQUAD, IN_BATCH, Bank(size=256)),
    Line("bank of 1,000, against in-batch", SPN4CIR, MEDQUAD, IN_BATCH, Bank(size=1000)),
    Line("bank of all documents, against in-batch", SPN4CIR, MEDQUAD, IN_BATCH, Bank()),
    Line("with the comparison, against without", LOL, FEWER, Feedback(epochs=4), Feedback(epochs=4, comparison=1.0)),
)


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(LINES, SEEDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/losses.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/torch/losses/banks.py",
        "python/negmine/torch/losses/lists.py",
        "python/negmine/torch/losses/pairs.py",
        "rust/negmine-core/src/mine/select.rs",
    ]
    run("losses", sources, experiment)
