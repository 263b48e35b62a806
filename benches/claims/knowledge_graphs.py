"""Negatives of knowledge graphs: LEMON's neighbors of the entity that stays, against other laws.

    NEGMINE_DATA=... python benches/claims/knowledge_graphs.py [--again]

DistMult of 64 columns, 8 corrupted triples per triple that are no triple of the training data, drawn again in every
epoch, softmax over the triple and its corrupted ones, AdaGrad. The metric is the filtered mean reciprocal rank over
both sides of at most 3,000 triples of the test; the rate is chosen on the triples of the validation, with one seed that
no verdict uses.

- Uniform: both sides by a fair coin; the random negatives that are the baseline. Bernoulli: sides by the tails per head
  and heads per tail of the relation. Pseudo-typed: entities that the relation has on that side in training. LEMON:
  entities of the 3 of 15 clusters that are nearest to that of the entity that stays, alone, or one half of them with
  uniform ones. The paper's model is RotatE with hundreds of columns.
- Vectors of texts: all-MiniLM-L6-v2 of names on umls and fb15k237; on codex_s static vectors (wordllama) of names and
  descriptions, or of types where an entity has no text.
- The share of false negatives is that of drawn triples which the validation or the test has as true; on codex_s the
  names of claims also have the share that is true among drawn triples that people judged there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow.parquet as pq
import torch
from claim import run
from disjoint import mean_pooled
from factorization import batches
from paired import Options, Outcome, Result, Trial, arms, compared, grid
from sets import ROOT
from torch import nn
from torch.nn.functional import embedding
from verdict import Verdict

import negmine
from negmine.sampling import TripleCorruptor, cluster_neighbors, pseudo_typed
from negmine.torch.losses import listwise

PAPER = "LEMON (Islam et al., 2022)"
#: Points of the mean reciprocal rank and of Hits@10.
MARGIN = 0.01
SETS = {"kg_codex_s": (12, range(20, 25)), "kg_umls": (30, range(20, 25)), "kg_fb15k237": (4, range(20, 23))}
GRID = grid(rate=(0.02, 0.05, 0.15))
TUNING = range(1)
WIDTH, NUM_NEGATIVES, BATCH_SIZE, N_TEST = 64, 8, 2048, 3000
N_CLUSTERS, HOPS = 15, 3
JUDGED = "true among judged"


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Triples of the training, validation and test, those judged to be false, and vectors of texts."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    false: np.ndarray
    n_entities: int
    vectors: np.ndarray

    def keys(self, triples: np.ndarray) -> np.ndarray:
        """Return one number per triple."""
        return (triples[..., 0] * 1000 + triples[..., 1]) * self.n_entities + triples[..., 2]


@cache
def graph(name: str) -> Graph:
    """Read a folder of triples."""
    folder = ROOT / name
    table, entities = pq.read_table(folder / "triples.parquet"), pq.read_table(folder / "entities.parquet")
    row = {entity: number for number, entity in enumerate(entities["entity"].to_pylist())}
    relations = {relation: number for number, relation in enumerate(sorted(set(table["relation"].to_pylist())))}
    numbers = {"head": row, "relation": relations, "tail": row}
    columns = [[places[value] for value in table[column].to_pylist()] for column, places in numbers.items()]
    triples = np.stack([np.array(column) for column in columns], axis=1)
    split, is_true = np.array(table["split"].to_pylist()), np.array(table["label"].to_pylist()) == 1
    train, valid, test = (triples[is_true & (split == part)] for part in ("train", "valid", "test"))
    return Graph(train, valid, test, triples[~is_true], len(row), vectors(name))


def vectors(name: str) -> np.ndarray:
    """Return unit vectors of the texts of entities."""
    folder = ROOT / name
    if (folder / "entities.minilm.npy").exists():
        found = np.load(folder / "entities.minilm.npy").astype(np.float32)
    else:
        entities = pq.read_table(folder / "entities.parquet").to_pylist()
        types = {row["entity"]: row["types"] for row in pq.read_table(folder / "entity_types.parquet").to_pylist()}
        texts = [f"{row['label'] or ''} {row['description'] or ''}".strip() for row in entities]
        texts = [text or types[row["entity"]].replace("|", " ") for text, row in zip(texts, entities, strict=True)]
        found = mean_pooled(texts)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


@cache
def near(name: str) -> object:
    """Return LEMON's lists of entities."""
    clusters = negmine.kmeans(graph(name).vectors, n_clusters=N_CLUSTERS, seed=0, num_threads=1)
    return cluster_neighbors(clusters, HOPS)


class DistMult(nn.Module):
    """Scores of triples: products of three factors, summed."""

    def __init__(self, n_entities: int, n_relations: int) -> None:
        super().__init__()
        self.entities = nn.Parameter(0.3 * torch.randn(n_entities, WIDTH))
        self.relations = nn.Parameter(0.3 * torch.randn(n_relations, WIDTH))

    def forward(self, triples: torch.Tensor, corrupted: torch.Tensor) -> torch.Tensor:
        """Return the scores of triples (B, 3), then those of their corrupted triples (B, n, 3)."""
        heads, tails = (embedding(triples[:, side], self.entities) for side in (0, 2))
        relations = embedding(triples[:, 1], self.relations)
        other_head = corrupted[..., 0] != triples[:, None, 0]
        entities = embedding(torch.where(other_head, corrupted[..., 0], corrupted[..., 2]), self.entities)
        by_head, by_tail = (torch.einsum("bnd,bd->bn", entities, rest * relations) for rest in (tails, heads))
        own = (heads * relations * tails).sum(dim=1, keepdim=True)
        return torch.cat([own, torch.where(other_head, by_head, by_tail)], dim=1)


def law(name: str, kind: str) -> dict[str, object]:
    """Return the options of the corruptor of an arm."""
    if kind == "pseudo-typed":
        return {"sources": pseudo_typed(graph(name).train)}
    if kind == "LEMON":
        return {"sources": near(name)}
    if kind == "LEMON and uniform":
        return {"sources": ["uniform", near(name)], "shares": [0.5, 0.5], "replace": True}
    return {"side": "bernoulli" if kind == "Bernoulli" else "both"}


def training(name: str, kind: str) -> Trial:
    """Return the training of an arm."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        torch.manual_seed(seed)
        data = graph(name)
        corruptor = TripleCorruptor(data.train, n_entities=data.n_entities, seed=seed, **law(name, kind))
        model = DistMult(data.n_entities, int(data.train[:, 1].max()) + 1)
        optimizer = torch.optim.Adagrad(model.parameters(), lr=options["rate"])
        drawn = []
        for epoch in range(SETS[name][0]):
            for rows in batches(len(data.train), BATCH_SIZE, seed, epoch):
                found = corruptor.corrupt(rows, NUM_NEGATIVES, epoch=epoch, num_threads=1).triples
                missing = torch.from_numpy(found[..., 0] < 0)
                scores = model(torch.from_numpy(data.train[rows]), torch.from_numpy(np.maximum(found, 0)))
                mask = torch.cat([torch.zeros((len(rows), 1), dtype=torch.bool), missing], dim=1)
                loss = listwise(scores, np.zeros(len(rows), dtype=np.int64), mask=mask)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if epoch == 0 and not tuning:
                    drawn.append(data.keys(found[found[..., 0] >= 0]))
        ranks = filtered_ranks(model, data, data.valid if tuning else data.test)
        others = {"Hits@10": float((ranks <= 10).mean())}
        if tuning:
            return Outcome(float((1 / ranks).mean()), others)
        keys = np.concatenate(drawn)
        right, wrong = (
            np.isin(keys, data.keys(part)) for part in (np.concatenate([data.valid, data.test]), data.false)
        )
        others[JUDGED] = float(right.sum() / max((right | wrong).sum(), 1))
        return Outcome(float((1 / ranks).mean()), others, false_negatives=float(right.mean()))

    return trial


@torch.no_grad()
def filtered_ranks(model: DistMult, data: Graph, triples: np.ndarray) -> np.ndarray:
    """Return the ranks of both sides of triples among triples that are not known to be true, ties in the middle."""
    known = np.unique(np.concatenate([data.train, data.valid, data.test]), axis=0)
    rows = np.random.default_rng(0).permutation(len(triples))[:N_TEST]
    ranks = []
    for side in (0, 2):
        others: dict[tuple[int, int], list[int]] = {}
        for triple in known.tolist():
            others.setdefault((triple[1], triple[2 - side]), []).append(triple[side])
        for part in np.array_split(triples[rows], max(len(rows) // 250, 1)):
            query = model.entities[part[:, 2 - side]] * model.relations[part[:, 1]]
            scores = (query @ model.entities.T).numpy()
            own = scores[np.arange(len(part)), part[:, side]]
            for row, triple in enumerate(part.tolist()):
                scores[row, others[triple[1], triple[2 - side]]] = -np.inf
            above, equal = ((compare(scores, own[:, None])).sum(axis=1) for compare in (np.greater, np.equal))
            ranks.append(1 + above + equal / 2)
    return np.concatenate(ranks)


def judged(found: Result) -> str:
    """Return the share of true triples among those that were judged, as a percentage."""
    return f"{np.mean(found.others[JUDGED]):.0%}"


def experiment() -> list[Verdict]:
    """All lines."""
    verdicts = []
    for name, (_, seeds) in SETS.items():
        kinds = (
            ["uniform", "LEMON"]
            if name == "kg_fb15k237"
            else ["uniform", "Bernoulli", "pseudo-typed", "LEMON", "LEMON and uniform"]
        )
        found = arms({kind: training(name, kind) for kind in kinds}, GRID, TUNING, seeds)
        pairs = [(kind, "LEMON", "MRR") for kind in kinds[:3] if kind != "LEMON"]
        pairs += [("uniform", "LEMON", "Hits@10")]
        pairs += [("uniform", kind, "MRR") for kind in kinds if kind not in ("uniform", "LEMON")]
        for one, other, metric in pairs:
            claim = f"{other}, against {one}"
            if name == "kg_codex_s":
                claim += f"; of judged negatives {judged(found[other])} true, against {judged(found[one])}"
            verdicts.append(compared(claim, PAPER, name, metric, found[one], found[other], margin=MARGIN))
    return verdicts


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/knowledge_graphs.py",
        "benches/claims/factorization.py",
        "benches/claims/paired.py",
        "python/negmine/sampling/corruption.py",
        "python/negmine/sampling/neighbors.py",
        "python/negmine/torch/losses/lists.py",
        "rust/negmine-core/src/sampling/*.rs",
    ]
    run("knowledge_graphs", sources, experiment)
