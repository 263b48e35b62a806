"""Negatives of a label from its siblings, and from labels of similar embedding or spelling.

    NEGMINE_DATA=... python benches/claims/skills.py [--again]

Softmax over the answer and ten negatives of its own, drawn again in every epoch, without those of the batch; 600
training queries, five seeds. Sources belong to the labeled answer: 50 neighbors by embedding, 50 by spelling, siblings,
or all labels. The mixture has shares of .4 for siblings and .2 each for the others, whose law the paper does not have.

- onet_titles: job titles and occupations, which the parts share; siblings have the first four digits of the code.
- esco: the halves of the texts of skills, static vectors (wordllama); a query is the first half, and its answer the
  second one. The data has no taxonomy, so the mixture is of the other three with equal shares. Spelling is that of the
  first 40 characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import torch
from claim import run
from disjoint import Corpus, mean_pooled
from sets import ROOT
from verdict import Verdict

import negmine
from negmine.sampling import NegativeSampler, embedding_neighbors, siblings, string_neighbors
from negmine.torch.losses import listwise
from training import TEMPERATURE, Arm, Line, Task, Training, verdicts

PAPER = "skill negatives (Decorte et al., 2022)"
SEEDS = range(20, 25)
K, NUM_NEGATIVES = 50, 10
MIXTURE = ("siblings", "embedding", "spelling", "uniform")
SHARES = (0.4, 0.2, 0.2, 0.2)


@dataclass(frozen=True, slots=True)
class Halves(Task):
    """Skills of esco, of which every part has its own."""

    def parts(self, seed: int) -> list[Corpus]:
        x, documents = halves()
        order = np.random.default_rng(seed).permutation(len(x))
        parts = []
        for rows in np.split(order, [2000, 4000, 6000])[:3]:
            own = np.arange(len(rows))[: self.n_train] if not parts else np.arange(len(rows))
            answers, none = [[row] for row in own.tolist()], [[] for _ in own]
            parts.append(Corpus(x[rows[own]], documents[rows], own, answers, none, rows[own], rows))
        return parts


@cache
def halves() -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors of the first and of the second half of every text."""
    words = [text.split() for text in texts("esco")]
    found = []
    for which in range(2):
        parts = [" ".join(row[: len(row) // 2] if which == 0 else row[len(row) // 2 :]) for row in words]
        vectors = mean_pooled(parts)
        found.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
    return found[0], found[1]


@cache
def texts(name: str) -> list[str]:
    """Return the texts of skills, or the titles of occupations."""
    if name == "esco":
        return pq.read_table(ROOT / name / "skills.parquet")["text"].to_pylist()
    return pq.read_table(ROOT / name / "corpus.parquet")["title"].to_pylist()


def of_siblings(part: Corpus) -> negmine.Positives:
    """Return the other occupations of the same group; an only child gets those of the major group."""
    codes = pq.read_table(ROOT / "onet_titles" / "corpus.parquet")["doc_id"].to_pylist()
    names = [codes[row] for row in part.document_rows.tolist()]
    nodes = {
        node: len(names) + number for number, node in enumerate(sorted({code[:n] for code in names for n in (2, 5)}))
    }
    parents = [[nodes[name[:5]]] for name in names] + [[nodes[node[:2]]] if len(node) > 2 else [] for node in nodes]
    return siblings(parents)


@dataclass(frozen=True)
class Near(Arm):
    """Negatives from one source, or from the mixture of all that there are."""

    source: str = "uniform"

    def negatives(self, training: Training) -> np.ndarray:
        if "sampler" not in training.state:
            training.state["sampler"] = self.sampler(training)
        rows = np.arange(len(training.part.x))
        return training.state["sampler"].sample(rows, NUM_NEGATIVES, epoch=training.epoch, num_threads=1).indices

    def sampler(self, training: Training) -> NegativeSampler:
        """Return the sampler of a training."""
        part, name = training.part, training.task.name
        kinds = MIXTURE if self.source == "mixture" else (self.source, "uniform")
        shares = SHARES if self.source == "mixture" else (1.0, 0.0)
        if name == "esco" and self.source == "mixture":
            kinds, shares = MIXTURE[1:], (1.0, 1.0, 1.0)
        sources = [lists(kind, name, training.seed, part) for kind in kinds]
        options = {"n_documents": len(part.documents), "seed": training.seed}
        return NegativeSampler(part.labeled[:, None], sources=sources, shares=shares, **options)

    def loss(self, training: Training, rows: np.ndarray) -> torch.Tensor:
        columns = np.column_stack([training.part.labeled[rows], training.negatives[rows]])
        queries = training.model.embed_queries(training.part.x[rows])
        documents = training.model.embed_documents(
            training.part.documents[np.maximum(columns, 0)].reshape(-1, queries.shape[1])
        )
        scores = torch.einsum("qd,qnd->qn", queries, documents.reshape(*columns.shape, -1))
        return listwise(scores, np.zeros(len(rows), dtype=np.int64), mask=columns < 0, temperature=TEMPERATURE)


FOUND: dict[tuple[str, str, int], list[np.ndarray]] = {}


def lists(kind: str, name: str, seed: int, part: Corpus) -> object:
    """Return a source: lists of the labeled answers, made once per seed."""
    if kind == "uniform":
        return "uniform"
    if (kind, name, seed) not in FOUND:
        if kind == "siblings":
            found = of_siblings(part)
        elif kind == "embedding":
            found = embedding_neighbors(negmine.ExactIndex(part.documents, num_threads=1), K)
        else:
            found = string_neighbors([texts(name)[row][:40] for row in part.document_rows.tolist()], K)
        FOUND[kind, name, seed] = [found[label] for label in part.labeled.tolist()]
    return FOUND[kind, name, seed]


ONET, ESCO = Task("onet_titles", n_train=600), Halves("esco", "WordLlama", n_train=600)
UNIFORM, MIXED = Near(), Near(source="mixture")

LINES = (
    *(
        Line(f"{source}, against uniform labels", PAPER, ONET, UNIFORM, Near(source=source))
        for source in ("mixture", "siblings", "embedding", "spelling")
    ),
    *(
        Line(f"{source}, against uniform labels", PAPER, ESCO, UNIFORM, Near(source=source))
        for source in ("mixture", "embedding", "spelling")
    ),
)


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(LINES, SEEDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/skills.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/sampling/neighbors.py",
        "python/negmine/sampling/sampler.py",
        "python/negmine/torch/losses/lists.py",
    ]
    run("skills", sources, experiment)
