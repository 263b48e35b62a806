"""Which negatives to take: the best, those under a margin, ambiguous ones, or random ones.

    NEGMINE_DATA=... python benches/claims/policies.py [--again]

At most 2,000 training queries, four negatives per query; the loss is the softmax over the positives and negatives of a
batch of 64.

- RocketQA and NV-Retriever: the four best candidates ("naive") and the four best below .95 times the positive's score,
  against the batch alone and against each other. RocketQA's cross encoder is not imitated: only the claim that naive
  negatives train worse than denoised ones, and possibly worse than none, is judged.
- SimANS: ambiguous negatives of the 100 best, drawn again in every epoch, against the best of them and against uniform
  draws from them, which are drawn again as well.
- ECtHR-PCR: random against naive negatives on onet_titles. The paper's data are not used; it reports that hard
  negatives were not effective.

scifact has few queries and little headroom: its lines show what cannot be seen there.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from claim import run
from verdict import Verdict

import negmine
from training import IN_BATCH, Arm, Line, Task, random, verdicts

#: Other seeds than those of the pilot, which had 600 training queries.
SEEDS = range(40, 48)
NUM_NEGATIVES = 4
ROCKETQA = "RocketQA (Qu et al., NAACL 2021)"
NV_RETRIEVER = "NV-Retriever (Moreira et al., 2024)"
SIMANS = "SimANS (Zhou et al., EMNLP 2022)"
ECTHR = "ECtHR-PCR (Santosh et al., LREC-COLING 2024)"

MINER = negmine.HardNegativeMiner(NUM_NEGATIVES)
NAIVE = Arm(MINER)
MARGIN_05 = Arm(replace(MINER, relative_margin=0.05))
AMBIGUOUS = Arm(replace(MINER, sampling=negmine.SimANS(), range_max=100))
UNIFORM = Arm(replace(MINER, sampling="random", range_max=100))
RANDOM = random(NUM_NEGATIVES)

WORDLLAMA, MINILM = Task("medquad", "WordLlama"), Task("medquad")
TITLES, SCIFACT = Task("onet_titles"), Task("scifact")


def lines() -> list[Line]:
    """List the comparisons."""
    found = []
    for task in (WORDLLAMA, MINILM):
        found += [
            Line("random extra negatives, against in-batch", ROCKETQA, task, IN_BATCH, RANDOM),
            Line("naive negatives, against in-batch", ROCKETQA, task, IN_BATCH, NAIVE),
            Line("margin .05, against in-batch", NV_RETRIEVER, task, IN_BATCH, MARGIN_05),
            Line("margin .05, against naive", NV_RETRIEVER, task, NAIVE, MARGIN_05),
        ]
    for task in (WORDLLAMA, MINILM, TITLES, SCIFACT):
        found += [
            Line("SimANS, against the best", SIMANS, task, NAIVE, AMBIGUOUS),
            Line("SimANS, against uniform draws of the 100 best", SIMANS, task, UNIFORM, AMBIGUOUS),
            Line("SimANS, against random extra negatives", SIMANS, task, RANDOM, AMBIGUOUS),
        ]
    return [*found, Line("random extra negatives, against naive", ECTHR, TITLES, NAIVE, RANDOM)]


def experiment() -> list[Verdict]:
    """All lines."""
    return verdicts(lines(), SEEDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/policies.py",
        "benches/claims/training.py",
        "benches/claims/disjoint.py",
        "python/negmine/mining/policies.py",
        "python/negmine/torch/losses/lists.py",
        "rust/negmine-core/src/mine/caps.rs",
        "rust/negmine-core/src/mine/policy.rs",
        "rust/negmine-core/src/mine/select.rs",
    ]
    run("policies", sources, experiment)
