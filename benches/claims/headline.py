"""Three mined negatives per query by negmine, by sentence-transformers and at random, trained by one recipe.

    NEGMINE_DATA=... python benches/claims/headline.py [--again]

Arms and options were fixed before the run, on other seeds. sentence-transformers: its own `mine_hard_negatives` with
three negatives, with the defaults of all other arguments and with `relative_margin=0.05`; a stand-in for the model
returns the frozen vectors. negmine: the margin that `Sweep.recommend` chooses per seed from the hidden answers of the
training corpus; and SimANS over the 100 best candidates, where near-duplicates of the positive are no candidates,
drawn again and mined again in every epoch. Random negatives are drawn again in every epoch, and mined ones that no
policy draws are the same in all epochs.

Vectors are frozen; linear maps are trained, of queries or of both sides. Rates come from one ladder for all arms.
"""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from claim import run
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from disjoint import Corpus
from sentence_transformers.util import cos_sim, mine_hard_negatives, pairwise_cos_sim
from verdict import Verdict

import negmine
from training import IN_BATCH, Arm, Line, Task, Training, index_of, random, verdicts

SEEDS = range(100, 112)
NUM_NEGATIVES = 3
GRID = (0.0, 0.025, 0.05, 0.1, 0.15, 0.2)
LIMIT = 0.05
PAPER = "none: the library as a whole"

TASKS = (Task("medquad", "WordLlama"), Task("medquad", both=True), Task("onet_titles", both=True))


class FrozenVectors:
    """What the miner of sentence-transformers asks of a model; a text is the row of its vector."""

    device = torch.device("cpu")
    similarity = staticmethod(cos_sim)
    similarity_pairwise = staticmethod(pairwise_cos_sim)

    def __init__(self, part: Corpus) -> None:
        self.part = part

    def encode_query(self, texts: list[str], **_: object) -> np.ndarray:
        return self.part.x[[int(text[1:]) for text in texts]]

    def encode_document(self, texts: list[str], **_: object) -> np.ndarray:
        return self.part.documents[[int(text[1:]) for text in texts]]


@lru_cache(maxsize=4)
def theirs(part: Corpus, relative_margin: float | None) -> np.ndarray:
    """Mine with sentence-transformers; rows are padded with -1."""
    pairs = {"anchor": [f"q{row}" for row in range(len(part.x))], "positive": [f"d{row}" for row in part.labeled]}
    corpus = [f"d{row}" for row in range(len(part.documents))]
    with contextlib.redirect_stderr(io.StringIO()):
        found = mine_hard_negatives(
            Dataset.from_dict(pairs),
            FrozenVectors(part),
            corpus=corpus,
            num_negatives=NUM_NEGATIVES,
            relative_margin=relative_margin,
            verbose=False,
        )
    negatives: list[list[int]] = [[] for _ in part.x]
    for anchor, negative in zip(found["anchor"], found["negative"], strict=True):
        negatives[int(anchor[1:])].append(int(negative[1:]))
    return np.array([row + [-1] * (NUM_NEGATIVES - len(row)) for row in negatives])


@lru_cache(maxsize=4)
def recommended(part: Corpus) -> np.ndarray:
    """Mine with the recommended margin or rank window; with margin .05 where there is no answer."""
    miner = negmine.HardNegativeMiner(NUM_NEGATIVES)
    index = index_of(part.documents)
    sweep = miner.sweep(index, part.x, part.labeled, GRID, depth=len(part.documents), hidden=part.answers)
    answer = sweep.recommend(max_false_negatives=LIMIT)
    rule = {"relative_margin": 0.05}
    if answer.range_min is not None:
        rule = {"relative_margin": answer.margin, "range_min": answer.range_min}
    print(f"    recommended: {rule}", flush=True)
    return negmine.HardNegativeMiner(NUM_NEGATIVES, **rule).mine(index, part.x, part.labeled).indices


@dataclass(frozen=True)
class Theirs(Arm):
    """Negatives by sentence-transformers."""

    relative_margin: float | None = None

    def negatives(self, training: Training) -> np.ndarray:
        return theirs(training.part, self.relative_margin)


@dataclass(frozen=True)
class Recommended(Arm):
    """Negatives by the recommendation."""

    def negatives(self, training: Training) -> np.ndarray:
        return recommended(training.part)


FROZEN = Arm(epochs=0)
RANDOM = random(NUM_NEGATIVES)
DEFAULTS, MARGIN_05 = Theirs(), Theirs(relative_margin=0.05)
AMBIGUOUS = negmine.HardNegativeMiner(NUM_NEGATIVES, sampling=negmine.SimANS(), range_max=100)
OURS = Arm(AMBIGUOUS, again=True, grouped=True)

SIMANS = "negmine's SimANS, groups, redrawn, mined again each epoch"
PAIRS = (
    ("random extra negatives, against in-batch", IN_BATCH, RANDOM),
    ("sentence-transformers' defaults, against in-batch", IN_BATCH, DEFAULTS),
    ("sentence-transformers' margin .05, against in-batch", IN_BATCH, MARGIN_05),
    ("negmine's recommended margin, against sentence-transformers' defaults", DEFAULTS, Recommended()),
    ("negmine's recommended margin, against sentence-transformers' margin .05", MARGIN_05, Recommended()),
    (f"{SIMANS}, against frozen", FROZEN, OURS),
    (f"{SIMANS}, against in-batch", IN_BATCH, OURS),
    (f"{SIMANS}, against random extra negatives", RANDOM, OURS),
    (f"{SIMANS}, against sentence-transformers' defaults", DEFAULTS, OURS),
    (f"{SIMANS}, against sentence-transformers' margin .05", MARGIN_05, OURS),
)


def experiment() -> list[Verdict]:
    """All sets."""
    disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    lines = [Line(claim, PAPER, task, *arms) for task in TASKS for claim, *arms in PAIRS]
    return verdicts(lines, SEEDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/headline.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/mining/policies.py",
        "python/negmine/mining/recommendation.py",
        "python/negmine/torch/losses/lists.py",
        "rust/negmine-core/src/mine/policy.rs",
        "rust/negmine-core/src/mine/select.rs",
    ]
    run("headline", sources, experiment)
