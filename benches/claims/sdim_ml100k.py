"""SDIM against full attention, ETA, short attention and mean pooling, for click prediction on ml-100k.

    NEGMINE_DATA=... python benches/claims/sdim_ml100k.py [--again]

The model and the split are those of `examples/ctr_ml100k.py`: histories of up to 100 clicks, the last fifth of the
ratings by time for the test. Every arm has its learning rate chosen from the same grid, and softmax attention its scale
as well (embeddings this small make it a mean at the usual one), by training on the first four fifths of the training
ratings and testing on the last. Times are the processor's, of one thread: medians over seeds.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from claim import ROOT, run
from verdict import Verdict, judge

sys.path.insert(0, str(ROOT / "examples"))

import ctr_ml100k as ctr

PAPER = "SDIM (Cao et al., CIKM 2022)"
#: Points of AUC: what a difference must be held to, to be called none.
MARGIN = 0.005
SEEDS = 6
RATES = (1e-3, 3e-3, 1e-2)
#: Of softmax attention, for embeddings of 16 columns with a standard deviation of .1 at first.
SCALES = (0.25, 4.0, 32.0)
EPOCHS = 2


def chosen(clicks: ctr.Clicks, pooling: str) -> dict[str, float]:
    """The options with the highest AUC on the end of the training ratings."""
    n = clicks.n_train
    parts = {name: getattr(clicks, name)[:n] for name in ("users", "items", "labels", "histories", "lengths")}
    early = replace(clicks, **parts, n_train=int(0.8 * n))
    scales = SCALES if pooling in ("short", "full", "eta") else SCALES[:1]
    grid = [{"rate": rate, "scale": scale} for rate in RATES for scale in scales]
    return max(grid, key=lambda options: ctr.run(early, pooling, seed=100, epochs=EPOCHS, **options)[0])


def experiment() -> list[Verdict]:
    """One verdict for every other pooling."""
    clicks = ctr.load(Path(os.environ["NEGMINE_DATA"]) / "rec_ml100k")
    found: dict[str, list[tuple[float, float, float]]] = {}
    for pooling in ctr.POOLINGS:
        options = chosen(clicks, pooling)
        found[pooling] = [ctr.run(clicks, pooling, seed=seed, epochs=EPOCHS, **options) for seed in range(SEEDS)]
    times = {name: [median(run[i] for run in runs) for i in (1, 2)] for name, runs in found.items()}
    told = {
        "mean": "mean pooling",
        "short": f"attention to the last {ctr.SHORT}",
        "full": "full attention",
        "eta": "ETA",
    }
    verdicts = []
    for pooling, name in told.items():
        (training, inference), (of_training, of_inference) = times["sdim"], times[pooling]
        claim = (
            f"SDIM against {name}; training {training:.1f} s against {of_training:.1f}, "
            f"inference {inference:.2f} s against {of_inference:.2f}"
        )
        baseline, method = ([run[0] for run in found[which]] for which in (pooling, "sdim"))
        verdicts.append(judge(claim, "rec_ml100k", "AUC", baseline, method, paper=PAPER, margin=MARGIN, tuned=True))
    return verdicts


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/sdim_ml100k.py",
        "examples/ctr_ml100k.py",
        "python/negmine/torch/histories/_attention.py",
        "python/negmine/torch/histories/attention.py",
        "python/negmine/torch/histories/sdim.py",
        "rust/negmine-core/src/behavior/hamming.rs",
        "rust/negmine-core/src/base/csr.rs",
        "rust/negmine-core/src/behavior/sdim.rs",
        "rust/negmine-core/src/sketch/simhash.rs",
        "rust/negmine-core/src/behavior/table.rs",
    ]
    run("sdim_ml100k", sources, experiment)
