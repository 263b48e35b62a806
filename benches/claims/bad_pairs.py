"""Weights of bad positive pairs: DBPM on time series with planted ones.

    NEGMINE_DATA=... python benches/claims/bad_pairs.py [--again]

Pairs of two views of a series, scaled and with noise; an encoder of two layers, softmax over the second views of a
batch in both directions at a temperature of .2, 40 epochs of 60 % of the series. Every tenth pair is faulty: the second
view is one of another series. Every tenth is noisy: both views are of the same noise, which is not a series.

- Detection: the average precision of faulty pairs among all by their mean loss over epochs, against the loss of the
  last epoch; of noisy pairs by the lowest. The encoder is the one without weights.
- Training: weights of bad pairs after 15 epochs, against none, and against leaving out the planted ones. The metric is
  the accuracy of ridge regression from representations to classes, trained on the labels of the same series and tested
  on the other 40 %. Rates, and for the method the thresholds, are chosen on other seeds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from claim import run
from factorization import batches
from paired import Options, Outcome, Trial, compared, grid, measured
from sets import ROOT
from torch import nn
from verdict import Verdict

from negmine.torch.losses import listwise
from negmine.weights import ExampleMemory

PAPER = "DBPM (Lan et al., ICLR 2024)"
#: Points of accuracy, and of average precision.
MARGIN, PRECISION_MARGIN = 0.02, 0.05
TUNING, SEEDS = range(3), range(20, 32)
SETS = ("ItalyPowerDemand", "ArrowHead", "GunPoint")
EPOCHS, WARM_UP, BATCH_SIZE, TEMPERATURE = 40, 15, 64, 0.2
RATES = grid(rate=(1e-3, 3e-3, 1e-2))
THRESHOLDS = grid(rate=(1e-3, 3e-3, 1e-2), threshold=(1.0, 1.5, 2.0))


def series(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all series of a set, each of mean 0 and variance 1, and their classes."""
    with np.load(ROOT / "ts_ucr" / f"{name}.npz") as data:
        x = np.concatenate([data["X_train"], data["X_test"]])
        y = np.concatenate([data["y_train"], data["y_test"]])
    x = (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-8)
    return x.astype(np.float32), np.unique(y, return_inverse=True)[1]


def views(x: np.ndarray, draw: np.random.Generator) -> torch.Tensor:
    """Return series that are scaled and have noise."""
    scales = 1 + 0.2 * draw.normal(size=(len(x), 1))
    return torch.from_numpy((x * scales + 0.3 * draw.normal(size=x.shape)).astype(np.float32))


def average_precision(scores: np.ndarray, wanted: np.ndarray) -> float:
    """Return the average precision of a ranking."""
    hits = wanted[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def training(name: str, kind: str) -> Trial:
    """Return the training of an encoder with the weights of "DBPM", of the "truth", or "none"."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        torch.manual_seed(seed)
        draw = np.random.default_rng(seed)
        x, y = series(name)
        order = draw.permutation(len(x))
        train, test = np.split(order, [int(0.6 * len(x))])
        n = len(train)
        faulty, noisy = np.arange(n) % 10 == 0, np.arange(n) % 10 == 1
        first, second = x[train].copy(), x[train].copy()
        second[faulty] = x[train][np.roll(np.flatnonzero(~faulty & ~noisy)[: faulty.sum()], 1)]
        first[noisy] = second[noisy] = draw.normal(size=(noisy.sum(), x.shape[1]))
        encoder = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 32))
        optimizer = torch.optim.Adam(encoder.parameters(), lr=options["rate"])
        memory, last = ExampleMemory(n), np.zeros(n)
        for epoch in range(EPOCHS):
            for rows in batches(n, BATCH_SIZE, seed, epoch):
                one, other = (nn.functional.normalize(encoder(views(part[rows], draw))) for part in (first, second))
                scores, own = one @ other.T, np.arange(len(rows))
                losses = sum(
                    listwise(side, own, temperature=TEMPERATURE, reduction="none") / 2 for side in (scores, scores.T)
                )
                last[rows] = losses.detach().numpy()
                memory.update(rows, last[rows], epoch=epoch)
                weights = np.ones(len(rows))
                if kind == "truth":
                    weights = 1.0 - (faulty | noisy)[rows]
                elif kind == "DBPM" and epoch >= WARM_UP:
                    threshold = options["threshold"]
                    weights = memory.weights(rows, last[rows], epoch=epoch, noisy=threshold, faulty=threshold)
                optimizer.zero_grad()
                (torch.from_numpy(weights.astype(np.float32)) * losses).mean().backward()
                optimizer.step()
        means = memory.means(epoch=EPOCHS)
        others = {}
        for which, wanted, sign in (("faulty", faulty, 1), ("noisy", noisy, -1)):
            others[f"{which}, means"] = average_precision(sign * means, wanted)
            others[f"{which}, last"] = average_precision(sign * last, wanted)
        return Outcome(accuracy(encoder, x, y, train, test), others)

    return trial


@torch.no_grad()
def accuracy(encoder: nn.Module, x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Return the accuracy of ridge regression on representations."""
    z = nn.functional.normalize(encoder(torch.from_numpy(x))).numpy()
    z = np.column_stack([z, np.ones(len(z))])
    targets = np.eye(y.max() + 1)[y]
    weights = np.linalg.solve(z[train].T @ z[train] + 1e-2 * np.eye(z.shape[1]), z[train].T @ targets[train])
    return float(((z[test] @ weights).argmax(axis=1) == y[test]).mean())


def experiment() -> list[Verdict]:
    """All lines."""
    verdicts = []
    for name in SETS:
        data = f"ts_ucr, {name}"
        none, truth = (measured(kind, training(name, kind), RATES, TUNING, SEEDS) for kind in ("none", "truth"))
        weighted = measured("DBPM", training(name, "DBPM"), THRESHOLDS, TUNING, SEEDS)
        for which in ("faulty", "noisy"):
            last, means = (replace(none, values=none.others[f"{which}, {by}"], others={}) for by in ("last", "means"))
            metric, claim = f"average precision, {which}", "mean loss over epochs, against the last loss"
            verdicts.append(compared(claim, PAPER, data, metric, last, means, margin=PRECISION_MARGIN))
        for claim, one, other in (
            ("weights of bad pairs, against none", none, weighted),
            ("without the planted pairs, against all", none, truth),
        ):
            verdicts.append(compared(claim, PAPER, data, "accuracy", one, other, margin=MARGIN))
    return verdicts


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/bad_pairs.py",
        "benches/claims/factorization.py",
        "benches/claims/paired.py",
        "python/negmine/weights/memory.py",
    ]
    run("bad_pairs", sources, experiment)
