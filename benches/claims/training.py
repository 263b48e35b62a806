"""Training on frozen vectors: linear maps, arms that say what negatives and which loss, and their results over seeds.

Every arm has its learning rate chosen on the tuning corpora of TUNING_SEEDS, which no verdict uses. All arms walk the
same ladder of rates, from its middle outward until the best rate is not the last one that was tried. A batch has all
its positives and negatives as columns, as `MultipleNegativesRankingLoss` of sentence-transformers has them; known
positives are masked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from disjoint import Corpus, Start, corpora, groups_of
from verdict import Verdict, judge

import negmine
from negmine.batches import epoch_permutation, false_negative_mask
from negmine.torch.losses import listwise

#: Points of nDCG@10 that would matter: a narrower interval around zero means "no difference".
MARGIN = 0.005
TUNING_SEEDS = range(4)
SEEDS = range(20, 28)
LADDER = tuple(5e-4 * 2.0**step for step in range(-8, 9))
N_TUNE, N_TEST = 1000, 1500
EPOCHS = 8
BATCH_SIZE = 64
TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True)
class Task:
    """A set, the model whose vectors are frozen, whether documents have a map as queries have, and training queries."""

    name: str
    start: Start = "MiniLM"
    both: bool = False
    n_train: int = 2000

    def parts(self, seed: int) -> list[Corpus]:
        """Cut the set."""
        return parts_of(self.name, self.start, seed, self.n_train)

    def __str__(self) -> str:
        return f"{self.name}, {self.start}, {'both sides' if self.both else 'query side'}"


@lru_cache(maxsize=16)
def parts_of(name: str, start: Start, seed: int, n_train: int) -> list[Corpus]:
    """Cut a set, once per seed."""
    return corpora(name, start, seed, (n_train, N_TUNE, N_TEST))


class Maps(torch.nn.Module):
    """A linear map of queries and, if asked for, one of documents, which start as the identity."""

    def __init__(self, part: Corpus, *, both: bool) -> None:
        super().__init__()
        self.queries = identity(part.x.shape[1], part.documents.shape[1])
        self.documents = identity(part.documents.shape[1], part.documents.shape[1]) if both else None

    def embed_queries(self, x: np.ndarray) -> torch.Tensor:
        """Return mapped queries of length 1."""
        return torch.nn.functional.normalize(self.queries(torch.from_numpy(x)), dim=1)

    def embed_documents(self, documents: np.ndarray) -> torch.Tensor:
        """Return documents of length 1."""
        rows = torch.from_numpy(documents)
        return rows if self.documents is None else torch.nn.functional.normalize(self.documents(rows), dim=1)

    @torch.no_grad()
    def vectors(self, part: Corpus) -> tuple[np.ndarray, np.ndarray]:
        """Return all vectors of a part."""
        return self.embed_queries(part.x).numpy(), self.embed_documents(part.documents).numpy()


def identity(n_inputs: int, n_outputs: int) -> torch.nn.Linear:
    """Return a linear map that starts as the identity."""
    made = torch.nn.Linear(n_inputs, n_outputs, bias=False)
    torch.nn.init.eye_(made.weight)
    return made


class Training:
    """One training: what an arm may use, and what it leaves behind."""

    epoch: int

    def __init__(self, arm: Arm, task: Task, part: Corpus, rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        self.part = part = arm.prepare(part, seed)
        self.arm, self.task, self.rate, self.seed = arm, task, rate, seed
        self.model = Maps(part, both=task.both)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate, fused=True)
        self.positives = negmine.Positives.from_lists(part.labeled[:, None])
        self.negatives = np.empty((len(part.x), 0), dtype=np.int64)
        self.used: list[np.ndarray] = []
        self.state: dict[str, Any] = {}

    def run(self) -> Training:
        """Train for all epochs."""
        for epoch in range(self.arm.epochs):
            self.epoch = epoch
            self.negatives = self.arm.negatives(self)
            self.used.append(self.negatives)
            order = epoch_permutation(len(self.part.x), seed=self.seed, epoch=epoch)
            for begin in range(0, len(order), BATCH_SIZE):
                self.learn(self.arm.loss(self, order[begin : begin + BATCH_SIZE]))
        return self

    def learn(self, loss: torch.Tensor) -> None:
        """Take a step."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def columns(self, rows: np.ndarray) -> np.ndarray:
        """Return the documents of a batch: the labeled answers, then all negatives that there are."""
        mined = self.negatives[rows].ravel()
        return np.concatenate([self.part.labeled[rows], mined[mined >= 0]])

    def masked(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the mask of the labeled answers, each query's own among them."""
        return false_negative_mask(rows, columns, self.positives)

    def cosines(self, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
        """Return the cosines of queries and documents."""
        documents = self.model.embed_documents(self.part.documents[columns])
        return self.model.embed_queries(self.part.x[rows]) @ documents.T

    def logits(self, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
        """Return cosines over the temperature."""
        return self.cosines(rows, columns) / TEMPERATURE

    def figures(self) -> tuple[float, float] | None:
        """Return the mean score of all negatives under the start model, and the share that are hidden answers."""
        n = len(self.part.documents)
        known = np.array([row * n + item for row, items in enumerate(self.part.answers) for item in items])
        used = np.concatenate([np.empty((len(self.part.x), 0), dtype=np.int64), *self.used], axis=1)
        rows, places = np.nonzero(used >= 0)
        if not len(rows):
            return None
        items = used[rows, places]
        scores = np.einsum("pd,pd->p", self.part.x[rows], self.part.documents[items])
        return float(scores.mean()), float(np.isin(rows * n + items, known).mean())


@dataclass(frozen=True)
class Arm:
    """Negatives of the batch and those that a miner adds; softmax over all columns. Other arms derive from this one.

    Without `again`, the vectors of the start are mined once; with it, those of every epoch. Random policies draw again
    in every epoch if `redrawn`. With `grouped`, near-duplicates of the positive are no candidates.
    """

    miner: negmine.HardNegativeMiner | None = None
    redrawn: bool = True
    again: bool = False
    grouped: bool = False
    epochs: int = EPOCHS

    def prepare(self, part: Corpus, seed: int) -> Corpus:
        """Return the training corpus as the arm sees it."""
        return part

    def negatives(self, training: Training) -> np.ndarray:
        """Return the negatives of an epoch, (n_queries, n), padded with -1."""
        if self.miner is None:
            return training.negatives
        groups = groups_of(training.task.name, training.part) if self.grouped else None
        miner = replace(self.miner, seed=training.seed)
        if self.again and training.epoch:
            x, documents = training.model.vectors(training.part)
            pool = miner.candidates(index_of(documents), x, training.part.labeled, groups=groups)
        else:
            pool = mined(miner, training.part, self.grouped, training.task.name)
        return miner.select(pool, epoch=training.epoch if self.redrawn else 0, num_threads=1).indices

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        """Return the loss of a batch."""
        columns = training.columns(rows)
        mask = training.masked(rows, columns)
        return listwise(training.logits(rows, columns), np.arange(len(rows)), mask=mask)

    def quality(self, training: Training, part: Corpus) -> float:
        """Return the mean nDCG@10 of the trained model, with all answers."""
        return ndcg(part, *training.model.vectors(part))


def index_of(documents: np.ndarray) -> negmine.ExactIndex:
    """Return an index for one thread."""
    return negmine.ExactIndex(documents, num_threads=1)


@lru_cache(maxsize=8)
def mined(miner: negmine.HardNegativeMiner, part: Corpus, grouped: bool, name: str) -> negmine.CandidatePool:
    """Mine the vectors of the start, once for all rates."""
    groups = groups_of(name, part) if grouped else None
    return miner.candidates(index_of(part.documents), part.x, part.labeled, groups=groups)


def ndcg(part: Corpus, x: np.ndarray, documents: np.ndarray) -> float:
    """Return the mean nDCG@10."""
    found = index_of(documents).search(x, 10).indices
    gain = 1.0 / np.log2(np.arange(10) + 2)
    n = len(documents)
    known = np.array([row * n + item for row, items in enumerate(part.answers) for item in items])
    hits = np.isin(np.arange(len(found))[:, None] * n + found, known)
    ideal = np.cumsum(gain)[np.minimum([len(answers) for answers in part.answers], 10) - 1]
    return float(((hits * gain).sum(axis=1) / ideal).mean())


@dataclass(frozen=True, slots=True)
class Result:
    """An arm at its best rate: the metric per seed, hardness and share of false negatives (means), and seconds."""

    values: list[float]
    rate: float
    hardness: float | None
    false_negatives: float | None
    seconds: float


@cache
def measured(task: Task, arm: Arm, seeds: Sequence[int] = SEEDS) -> Result:
    """Choose the arm's rate, and train it with it on every seed."""
    started = time.process_time()
    rate = chosen_rate(task, arm)
    values, figures = [], []
    for seed in seeds:
        training, _, test = task.parts(seed)
        trained = Training(arm, task, training, rate, seed).run()
        values.append(arm.quality(trained, test))
        figures.append(trained.figures())
    means = [None, None] if figures[0] is None else np.mean([pair for pair in figures if pair], axis=0).tolist()
    result = Result(values, rate, *means, time.process_time() - started)
    shown = ", ".join("-" if mean is None else f"{mean:.4f}" for mean in means)
    print(f"  {task}: {told(arm)}: rate {rate:g}, {np.mean(values):.4f}; {shown}; {result.seconds:.0f} s", flush=True)
    return result


def told(arm: Arm) -> str:
    """Name an arm by what differs from the defaults."""
    given = {field.name: getattr(arm, field.name) for field in fields(arm)}
    mined = given.pop("miner")
    shown = [f"{name}={value}" for name, value in given.items() if value != getattr(type(arm)(), name)]
    if mined is not None:
        what = mined.num_negatives or mined.num_random
        shown.insert(0, f"{what} {'random' if mined.num_random else mined.sampling}")
    return f"{type(arm).__name__}({', '.join(shown)})"


def chosen_rate(task: Task, arm: Arm) -> float:
    """Walk the ladder from its middle until the best rate lies inside of what was tried."""
    found: dict[int, float] = {}
    middle = len(LADDER) // 2
    tried = range(middle - 1, middle + 2)
    while True:
        for place in tried:
            if place not in found:
                found[place] = float(np.mean([tuned(task, arm, LADDER[place], seed) for seed in TUNING_SEEDS]))
        best = max(found, key=lambda place: found[place])
        tried = range(max(best - 1, 0), min(best + 2, len(LADDER)))
        if all(place in found for place in tried):
            return LADDER[best]


def tuned(task: Task, arm: Arm, rate: float, seed: int) -> float:
    """Return the quality on the tuning corpus."""
    training, tuning, _ = task.parts(seed)
    return arm.quality(Training(arm, task, training, rate, seed).run(), tuning)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a method against a baseline."""

    claim: str
    paper: str
    task: Task
    baseline: Arm
    method: Arm


def verdicts(lines: Sequence[Line], seeds: Sequence[int] = SEEDS) -> list[Verdict]:
    """Run the arms of all lines; arms that lines share run once."""
    found = []
    for line in lines:
        baseline, method = (measured(line.task, arm, seeds) for arm in (line.baseline, line.method))
        verdict = judge(
            line.claim,
            str(line.task),
            "nDCG@10",
            baseline.values,
            method.values,
            margin=MARGIN,
            tuned=True,
            paper=line.paper,
            hardness=method.hardness,
            false_negatives=method.false_negatives,
            seconds=baseline.seconds + method.seconds,
        )
        print(f"{verdict.verdict}: {line.claim}, {line.task}, {verdict.low:+.4f} to {verdict.high:+.4f}", flush=True)
        found.append(verdict)
    return found


IN_BATCH = Arm()


def random(number: int) -> Arm:
    """Return the arm of random extra negatives, drawn again in every epoch."""
    return Arm(negmine.HardNegativeMiner(0, num_random=number))
