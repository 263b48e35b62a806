"""Clusters of a size against single rows: how many of a row's ten nearest come into its batch (NGAME).

    NEGMINE_DATA=... python benches/claims/in_batch_neighbors.py [--again]

Balanced clusters, batches of 256 rows, three epochs of a plan for every seed. Points are those of a toy check (around
made topics), the titles of onet_titles and the abstracts of scifact. Each line tells the worst that the plans' reports
say of the clusters: the largest distance of two rows of one (delta) and of a row from its positives (epsilon). No
positive of another row of the same cluster is farther than delta + epsilon. There is nothing to tune.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from claim import run
from sets import load
from verdict import Verdict, judge

import negmine
from negmine.batches import ClusterPlan, cluster_plan
from negmine.clustering import cluster_guarantee

PAPER = "NGAME (Dahiya et al., WSDM 2023)"
#: Points of recall.
MARGIN = 0.01
SEEDS = 5
EPOCHS = 3
BATCH_SIZE = 256
SIZES = (8, 32, 128)
DEPTH = 10


@dataclass(frozen=True, slots=True)
class Points:
    """Unit vectors, and their positives with the vectors of these."""

    name: str
    rows: np.ndarray
    targets: np.ndarray | None = None
    positives: negmine.Positives | None = None


def toy() -> Points:
    """4,096 points around 200 topics, under noise that decides."""
    draw = np.random.default_rng(0)
    topics = draw.standard_normal((200, 16))
    topics /= np.linalg.norm(topics, axis=1, keepdims=True)
    return Points("toy", unit(topics[draw.integers(200, size=4096)] + 0.7 * draw.standard_normal((4096, 16)) / 4))


def titles() -> Points:
    """Titles of onet_titles; their positives are occupations."""
    data = load("onet_titles")
    return Points("onet_titles", unit(data.train.x), unit(data.labels), data.train.positives)


def abstracts() -> Points:
    """Abstracts of scifact; their positives are the claims that they bear on, which most have none of."""
    data = load("scifact")
    claims, documents = data.train.positives.queries(), data.train.positives.items
    turned = negmine.Positives.from_pairs(documents, claims, n_queries=len(data.labels))
    return Points("scifact", unit(data.labels), unit(data.train.x), turned)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def neighbors(rows: np.ndarray) -> np.ndarray:
    """The ten nearest other rows of each."""
    own = [[row] for row in range(len(rows))]
    return negmine.ExactIndex(rows).search(rows, DEPTH, exclude=own).indices


def plans(points: Points, size: int) -> Iterator[ClusterPlan]:
    """A plan of every seed."""
    for seed in range(SEEDS):
        clusters = negmine.balanced_clusters(points.rows, cluster_size=size, quality="fast", seed=seed)
        held = cluster_guarantee(clusters, points.rows, label_embeddings=points.targets, positives=points.positives)
        yield cluster_plan(clusters, batch_size=BATCH_SIZE, guarantee=held, seed=seed)


def recall(plan: ClusterPlan, nearest: np.ndarray) -> float:
    """Share of every row's nearest that stand in its batch; a row that pads the end counts where it first stands."""
    shares = []
    for epoch in range(EPOCHS):
        batch = np.empty(plan.n_rows, dtype=np.int64)
        for index in reversed(range(len(plan))):
            batch[plan.batch(epoch, index)] = index
        shares.append((batch[nearest] == batch[:, None]).mean())
    return float(np.mean(shares))


def experiment() -> list[Verdict]:
    """All sets and sizes."""
    verdicts = []
    for points, size in itertools.product((toy(), titles(), abstracts()), SIZES):
        nearest = neighbors(points.rows)
        alone = [recall(plan, nearest) for plan in plans(points, 1)]
        made = list(plans(points, size))
        together = [recall(plan, nearest) for plan in made]
        claim = f"NGAME, clusters of {size} in batches of {BATCH_SIZE}; {told(made)}"
        metric = f"recall@{DEPTH} in the batch"
        verdicts.append(judge(claim, points.name, metric, alone, together, paper=PAPER, margin=MARGIN, tuned=False))
    return verdicts


def told(made: list[ClusterPlan]) -> str:
    """What the reports say, the worst of all seeds."""
    delta = max(plan.report["delta"] for plan in made)
    epsilon = made[0].report["epsilon"]
    return f"delta {delta:.2f}" + (f", epsilon {epsilon:.2f}" if epsilon is not None else "")


if __name__ == "__main__":
    sources = [
        "benches/claims/in_batch_neighbors.py",
        "benches/claims/sets.py",
        "python/negmine/batches/clusters.py",
        "rust/negmine-core/src/batch/cluster_plan.rs",
        "rust/negmine-core/src/cluster/**/*.rs",
    ]
    run("in_batch_neighbors", sources, experiment)
