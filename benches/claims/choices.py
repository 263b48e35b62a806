"""Which documents get queries, and which kind of negative a query gets.

    NEGMINE_DATA=... python benches/claims/choices.py [--again]

- DUQGen: 500 documents of the training corpus that have a query. A real query of the document stands for the one that a
  language model would write. Documents by clusters (100 clusters, one document at least of each, five softmax draws by
  the cosine with the centroid, maximal marginal relevance with weight .5 among those drawn) against a uniform sample;
  and for the chosen ones, its four negatives from the end of the 100 best against the batch alone. 16 epochs.
- MM-Embed: made modalities. Half of the documents are "images"; an extra coordinate moves texts closer to all queries,
  and another one of the query says what is wanted, which the start ignores. One negative per query, of the wrong
  modality above the positive or of the wrong content at ranks 46 to 50, with equal chance, against the batch alone.
  600 training queries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from claim import run
from disjoint import Corpus
from verdict import Verdict

import negmine
from negmine.selection import select
from training import Arm, Line, Task, Training, index_of, ndcg, random, verdicts

DUQGEN = "DUQGen (Chandradevan et al., NAACL 2024)"
MM_EMBED = "MM-Embed (Lin et al., ICLR 2025)"
N_DOCUMENTS, N_CLUSTERS = 500, 100
GAP = 0.4


@dataclass(frozen=True)
class Chosen(Arm):
    """Training on the queries of some documents, uniform ones or by clusters."""

    clustered: bool = False

    def prepare(self, part: Corpus, seed: int) -> Corpus:
        documents, queries = np.unique(part.labeled, return_index=True)
        pick = by_clusters if self.clustered else uniform
        rows = np.sort(queries[pick(part.documents[documents], seed)])
        answers, exclude = ([lists[row] for row in rows] for lists in (part.answers, part.exclude))
        return replace(part, x=part.x[rows], labeled=part.labeled[rows], answers=answers, exclude=exclude)


def uniform(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """Sample documents uniformly."""
    groups = np.zeros(len(embeddings), dtype=np.int64)
    return select(N_DOCUMENTS, groups=groups, within="random", seed=seed).indices


def by_clusters(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """Choose typical and diverse documents of all clusters."""
    clusters = negmine.kmeans(embeddings, n_clusters=N_CLUSTERS, seed=seed, num_threads=1)
    closeness = np.einsum("nd,nd->n", embeddings, clusters.centroids[clusters.labels], dtype=np.float64)
    options = {"groups": clusters.labels, "minimum": 1}
    drawn = [
        select(N_DOCUMENTS, scores=closeness, within="softmax", seed=seed, epoch=epoch, **options).indices
        for epoch in range(5)
    ]
    among = np.full(len(embeddings), -np.inf)
    pool = np.unique(np.concatenate(drawn))
    among[pool] = closeness[pool]
    return select(N_DOCUMENTS, scores=among, diversity=0.5, embeddings=embeddings, **options).indices


@dataclass(frozen=True)
class Mixed(Arm):
    """Training on a corpus of two made modalities; `kind` is "batch", "both" or "content"."""

    kind: str = "batch"

    def prepare(self, part: Corpus, seed: int) -> Corpus:
        return with_modalities(part)

    def negatives(self, training: Training) -> np.ndarray:
        if self.kind == "batch":
            return super().negatives(training)
        if "pool" not in training.state:
            training.state["pool"] = mixed_pool(training.part, both=self.kind == "both")
        policy = negmine.Quota((0.5, 0.5), by="source", rounding="draw") if self.kind == "both" else "random"
        pool: negmine.CandidatePool = training.state["pool"]
        return pool.select(1, sampling=policy, seed=training.seed, epoch=training.epoch, num_threads=1).indices

    def quality(self, training: Training, part: Corpus) -> float:
        part = with_modalities(part)
        return ndcg(part, *training.model.vectors(part))


def with_modalities(part: Corpus) -> Corpus:
    """Add the coordinates of modalities, and keep length 1."""
    is_image = images(part)
    wanted = np.where(is_image[part.labeled], GAP, -GAP)
    x = np.column_stack([part.x, np.full(len(part.x), GAP), wanted])
    documents = np.column_stack([part.documents, np.where(is_image, 0.0, GAP), np.zeros(len(is_image))])
    x, documents = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, documents))
    return replace(part, x=x.astype(np.float32), documents=documents.astype(np.float32))


def images(part: Corpus) -> np.ndarray:
    """Return which documents are images: every second one of the whole set."""
    return part.document_rows % 2 == 0


def mixed_pool(part: Corpus, *, both: bool) -> negmine.CandidatePool:
    """Mine the negatives of the wrong content, and of the wrong modality if `both`."""
    is_image = images(part)
    wanted = is_image[part.labeled]
    pool = negmine.HardNegativeMiner(1, range_max=50).candidates(index_of(part.documents), part.x, part.labeled)
    guided = pool.rescore(lambda query, document: (is_image[document] == wanted[query]).astype(float), as_guide=True)
    content = guided.restrict(range_min=45).restrict(by="guide", min_score=1.0)
    modality = guided.restrict(absolute_floor=0.0).restrict(by="guide", max_score=0.0)
    return negmine.fuse([modality, content], method="max") if both else content


MEDQUAD, FEWER = Task("medquad"), Task("medquad", n_train=600)
SAMPLE, CLUSTERED = Chosen(epochs=16), Chosen(clustered=True, epochs=16)
BOTTOM = negmine.HardNegativeMiner(4, range_min=92, range_max=96)
BATCH, BOTH, CONTENT = Mixed(), Mixed(kind="both"), Mixed(kind="content")

LINES = (
    Line("500 documents by clusters, against uniform", DUQGEN, MEDQUAD, SAMPLE, CLUSTERED),
    Line("ranks 93 to 96, against in-batch", DUQGEN, MEDQUAD, CLUSTERED, replace(CLUSTERED, miner=BOTTOM)),
    Line(
        "random extra negatives, against in-batch",
        DUQGEN,
        MEDQUAD,
        CLUSTERED,
        replace(CLUSTERED, miner=random(4).miner),
    ),
    Line("wrong modality or wrong content, against in-batch", MM_EMBED, FEWER, BATCH, BOTH),
    Line("wrong content only, against in-batch", MM_EMBED, FEWER, BATCH, CONTENT),
    Line("random extra negatives, against in-batch", MM_EMBED, FEWER, BATCH, Mixed(random(1).miner)),
)


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(LINES)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/choices.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/mining/bands.py",
        "python/negmine/mining/fusion.py",
        "python/negmine/torch/losses/lists.py",
        "rust/negmine-core/src/cluster/kmeans/*.rs",
        "rust/negmine-core/src/mine/quota.rs",
        "rust/negmine-core/src/selection/*.rs",
    ]
    run("choices", sources, experiment)
