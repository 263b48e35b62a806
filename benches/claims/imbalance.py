"""Rare classes: rows that are made of neighbors, and what is chosen for labeling.

    NEGMINE_DATA=... python benches/claims/imbalance.py [--again]

- SMOTE and the methods derived from it, against none and against copies of random rows. Classes with less than half of
  the rows of the largest one become as large. Digits: half for training, where five random classes keep 12 rows each;
  a decision tree (the papers' C4.5) and logistic regression; the mean F1 over classes on the other half. Bibtex: ten
  tags per seed that 30 to 60 of the training documents have; logistic regression on 64 principal components; the mean
  F1 of the tags on the given test. The size of leaves, or the strength of regularization, is chosen per arm on other
  seeds. Classes this small have no clusters of their own, so k-means SMOTE takes one neighbor and 40 clusters.
- CaBaGe: what a model that is trained on 60 digits asks to have labeled, 100 of 900 in each of three rounds: the least
  certain of every class, quotas such that the classes of all questions are even, against a random choice, against the
  least certain of all. The pool has five classes of which 85 % were taken out. Metrics: evenness of the true classes
  (entropy over its maximum), uncertainty of what was chosen, and the mean F1 over classes after the rounds. The
  generators of the paper are not part of it.
"""

from __future__ import annotations

import warnings

import numpy as np
from claim import run
from paired import Options, Outcome, Trial, arms, compared, grid
from sets import ROOT, load
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.tree import DecisionTreeClassifier
from verdict import Verdict

from negmine.selection import select
from negmine.synthesis import oversample

PAPERS = {
    "smote": "SMOTE (Chawla et al., JAIR 2002)",
    "borderline1": "Borderline-SMOTE 1 (Han et al., ICIC 2005)",
    "borderline2": "Borderline-SMOTE 2 (Han et al., ICIC 2005)",
    "adasyn": "ADASYN (He et al., IJCNN 2008)",
    "kmeans": "k-means SMOTE (Douzas et al., 2018)",
    "boundary": "SVM-SMOTE (Nguyen et al., 2011), without its SVM",
}
CABAGE = "CaBaGe (2024)"
#: Points of F1; points of evenness and of uncertainty.
MARGIN, SHARE_MARGIN = 0.02, 0.05
TUNING, SEEDS = range(2), range(20, 36)
#: Neighbors and clusters, where the defaults find no row to start from in classes this small.
SEARCH = {"adasyn": {"k": 11}, "kmeans": {"k": 1, "n_clusters": 40}}
STRENGTHS = grid(strength=(0.03, 0.3, 3.0, 30.0))
LEAVES = grid(strength=(1, 3, 8))
N_RARE, N_RARE_ROWS, ROUNDS, BUDGET = 5, 12, 3, 100


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels, up to 1, and classes of all digits."""
    with np.load(ROOT / "digits" / "digits.npz") as data:
        return data["X"].astype(np.float32) / 16, data["y"].astype(np.int64)


def balanced(x: np.ndarray, y: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Add rows of rare classes, by a kind of oversampling, by copies, or none."""
    if kind == "none":
        return x, y
    counts = np.bincount(y)
    rare = np.flatnonzero(counts < counts.max() / 2)
    if kind == "copies":
        draw = np.random.default_rng(seed)
        more = np.concatenate([draw.choice(np.flatnonzero(y == label), counts.max() - counts[label]) for label in rare])
        return np.concatenate([x, x[more]]), np.concatenate([y, y[more]])
    target = {int(label): int(counts.max()) for label in rare}
    made = oversample(x, y, target=target, kind=kind, seed=seed, num_threads=1, **SEARCH.get(kind, {}))
    return np.concatenate([x, made.X]), np.concatenate([y, made.y])


def fitted(x: np.ndarray, y: np.ndarray, options: Options, seed: int, *, tree: bool = False) -> object:
    """Return a decision tree or logistic regression."""
    if tree:
        return DecisionTreeClassifier(min_samples_leaf=options["strength"], random_state=seed).fit(x, y)
    return LogisticRegression(C=options["strength"], max_iter=300).fit(x, y)


def of_digits(kind: str, *, tree: bool) -> Trial:
    """Return the training on digits of which some classes are rare."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        x, y = digits()
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(x))
        train, test = order[: len(x) // 2], order[len(x) // 2 :]
        for label in draw.permutation(10)[:N_RARE]:
            train = np.concatenate([train[y[train] != label], train[y[train] == label][:N_RARE_ROWS]])
        more, labels = balanced(x[train], y[train], kind, seed)
        found = fitted(more, labels, options, seed, tree=tree).predict(x[test])
        return Outcome(float(f1_score(y[test], found, average="macro")))

    return trial


class Bibtex:
    """Principal components of bags of words, and tags."""

    def __init__(self) -> None:
        data = load("xmc_bibtex")
        train, mean = data.train.x, data.train.x.mean(axis=0)
        _, vectors = np.linalg.eigh((train - mean).T @ (train - mean))
        axes = vectors[:, : -64 - 1 : -1]
        self.parts = []
        for split in (data.train, data.test):
            tags = np.zeros((len(split.x), len(data.labels)), dtype=bool)
            tags[split.positives.queries(), split.positives.items] = True
            self.parts.append((((split.x - mean) @ axes * 5).astype(np.float32), tags))


def of_tags(data: Bibtex, kind: str) -> Trial:
    """Return the training of classifiers of rare tags."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        (x, tags), (test, true) = data.parts
        counts = tags.sum(axis=0)
        rare = np.random.default_rng(seed).permutation(np.flatnonzero((counts >= 30) & (counts <= 60)))[:10]
        found = []
        for tag in rare:
            more, labels = balanced(x, tags[:, tag].astype(np.int64), kind, seed)
            model = fitted(more, labels, options, seed)
            found.append(f1_score(true[:, tag], model.predict(test), zero_division=0))
        return Outcome(float(np.mean(found)))

    return trial


def asked(kind: str) -> Trial:
    """Return three rounds of questions: the last F1, how even the classes are, and how uncertain the model was."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        x, y = digits()
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(x))
        first, pool, test = np.split(order, [60, 960])
        for label in draw.permutation(10)[:N_RARE]:
            of_label = pool[y[pool] == label]
            pool = np.setdiff1d(pool, of_label[int(0.15 * len(of_label)) :])
        known, doubts, chosen = first, [], []
        for number in range(ROUNDS):
            model = fitted(x[known], y[known], options, seed)
            chances = model.predict_proba(x[pool])
            doubt = -(chances * np.log(np.maximum(chances, 1e-12))).sum(axis=1)
            picked = questions(
                kind, doubt, model.classes_[chances.argmax(axis=1)], y[np.array(chosen, int)], seed, number
            )
            doubts.append(doubt[picked].mean())
            chosen += pool[picked].tolist()
            known = np.concatenate([known, pool[picked]])
            pool = np.delete(pool, picked)
        counts = np.bincount(y[chosen], minlength=10) / len(chosen)
        evenness = float(-(counts * np.log(np.maximum(counts, 1e-12))).sum() / np.log(10))
        found = fitted(x[known], y[known], options, seed).predict(x[test])
        others = {"evenness": evenness, "uncertainty": float(np.mean(doubts))}
        return Outcome(float(f1_score(y[test], found, average="macro")), others)

    return trial


def questions(
    kind: str, doubt: np.ndarray, classes: np.ndarray, before: np.ndarray, seed: int, number: int
) -> np.ndarray:
    """Choose what to ask in a round."""
    budget = BUDGET // ROUNDS
    if kind == "random":
        return select(budget, scores=np.zeros(len(doubt)), within="random", seed=seed, epoch=number).indices
    if kind == "least certain":
        return select(budget, scores=doubt).indices
    target, given = np.ones(10), np.bincount(before, minlength=10)
    return select(budget, scores=doubt, groups=classes, target=target, given=given).indices


def experiment() -> list[Verdict]:
    """All lines."""
    warnings.filterwarnings("ignore", module="sklearn")
    verdicts, bibtex = [], Bibtex()
    for data, metric, make, options, kinds in (
        ("digits, tree", "F1, mean of classes", lambda kind: of_digits(kind, tree=True), LEAVES, tuple(PAPERS)),
        ("digits, logistic", "F1, mean of classes", lambda kind: of_digits(kind, tree=False), STRENGTHS, tuple(PAPERS)),
        (
            "xmc_bibtex, rare tags",
            "F1 of the tag",
            lambda kind: of_tags(bibtex, kind),
            STRENGTHS,
            ("smote", "borderline1"),
        ),
    ):
        found = arms({kind: make(kind) for kind in ("none", "copies", *kinds)}, options, TUNING, SEEDS)
        pairs = [("none", "copies"), ("none", "smote"), *(("copies", kind) for kind in kinds)]
        for one, other in pairs:
            paper = PAPERS.get(other, PAPERS["smote"])
            claim = f"{'copies' if other == 'copies' else 'rows of neighbors'}, against {one}"
            verdicts.append(compared(claim, paper, data, metric, found[one], found[other], margin=MARGIN))
    found = arms({kind: asked(kind) for kind in ("random", "least certain", "even")}, STRENGTHS, TUNING, SEEDS)
    for one in ("random", "least certain"):
        for metric, margin in (
            ("evenness", SHARE_MARGIN),
            ("uncertainty", SHARE_MARGIN),
            ("F1, mean of classes", MARGIN),
        ):
            claim = f"even and least certain, against {one}"
            verdicts.append(compared(claim, CABAGE, "digits", metric, found[one], found["even"], margin=margin))
    return verdicts


if __name__ == "__main__":
    sources = [
        "benches/claims/imbalance.py",
        "benches/claims/paired.py",
        "python/negmine/synthesis/kinds.py",
        "python/negmine/synthesis/neighbors.py",
        "python/negmine/synthesis/oversampling.py",
        "rust/negmine-core/src/selection/*.rs",
        "rust/negmine-core/src/synthesis/draws.rs",
        "rust/negmine-core/src/synthesis/interpolation.rs",
        "rust/negmine-core/src/synthesis/spread.rs",
    ]
    run("imbalance", sources, experiment)
