"""Clicks that depend on the position, and responses that are chosen by reward: two simulations.

    python benches/claims/clicks.py [--again]

- DLA: 2,000 lists of 10 documents with 16 features; a hidden linear law with noise gives grades of 0 to 4. The lists
  are in the order of a first ranker, which shares half of its direction with the law. With "order by other things too",
  it adds noise of the same size, which stands for features that the new ranker does not have; with "order by the same
  features", position and features are confounded. Clicks are drawn in every epoch. PBM: examination by position as in
  the released code. UBM: the same table by the distance to the last click above, or by the position where there is
  none. Linear rankers, softmax over a list, AdaGrad, 20 epochs. Every click weighs the same; has the weight of DLA's
  second model, relative to the first position; or that of the true chance of examination. The metric is nDCG@10 by
  grades on 500 lists of their own.
- RAFT: a linear policy of 20 features of a prompt answers by a number with noise. The reward is lower by the squared
  distance to the hidden best answer, and differs between prompts by their difficulty, which depends on the features.
  Of 400 prompts with 5 responses each, the policy is fitted to 400 responses, ten times: the best of all, the best of
  each prompt, or the best after rewards are centered per prompt. The first metric is minus the mean squared distance
  of the last policy on new prompts, the second one the share of prompts that have a chosen response in the first round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from claim import run
from paired import Options, Outcome, Trial, arms, compared, grid
from verdict import Verdict

from negmine.selection import select
from negmine.torch.losses import listwise
from negmine.weights import ipw

#: Points of nDCG@10; points of the squared distance, whose first value is 1; points of the share of prompts.
MARGIN, DISTANCE_MARGIN, SHARE_MARGIN = 0.005, 0.02, 0.05
TUNING, SEEDS = range(2), range(20, 30)
N_LISTS, N_TEST, DEPTH, WIDTH, EPOCHS, BATCH_SIZE = 2000, 500, 10, 16, 20, 250
EXAMINATION = np.array([0.68, 0.61, 0.48, 0.34, 0.28, 0.20, 0.11, 0.10, 0.08, 0.06])
GRID = grid(rate=(0.03, 0.1, 0.3))
N_PROMPTS, N_RESPONSES, N_FEATURES, NOISE, ROUNDS = 400, 5, 20, 0.5, 10


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Documents in the order of the first ranker, and their grades."""

    x: np.ndarray
    grades: np.ndarray


def lists(n: int, law: np.ndarray, first: np.ndarray, noise: float, draw: np.random.Generator) -> Lists:
    """Draw lists of documents; the first ranker's scores have noise."""
    x = draw.normal(size=(n, DEPTH, WIDTH))
    merit = x @ law + 0.3 * draw.normal(size=(n, DEPTH))
    grades = np.digitize(merit, [0.0, 0.7, 1.2, 1.8])
    order = np.argsort(-(x @ first + noise * draw.normal(size=(n, DEPTH))), axis=1, kind="stable")
    return Lists(np.take_along_axis(x, order[..., None], axis=1), np.take_along_axis(grades, order, axis=1))


def clicked(grades: np.ndarray, model: str, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw clicks, and return them with the true chances of examination."""
    relevant = 0.1 + 0.9 * (2.0**grades - 1) / 15
    clicks, chances = np.zeros(grades.shape, dtype=bool), np.zeros(grades.shape)
    last = np.full(len(grades), -1)
    for place in range(DEPTH):
        chances[:, place] = EXAMINATION[place - last - 1] if model == "UBM" else EXAMINATION[place]
        clicks[:, place] = draw.random(len(grades)) < chances[:, place] * relevant[:, place]
        last[clicks[:, place]] = place
    return clicks, chances


def ranker(kind: str, model: str, noise: float) -> Trial:
    """Return the training of a ranker: "naive", "DLA" or "oracle"."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        draw = np.random.default_rng([seed, int(tuning)])
        law, other = (row / np.linalg.norm(row) for row in draw.normal(size=(2, WIDTH)))
        train, test = (lists(n, law, law + 3**0.5 * other, noise, draw) for n in (N_LISTS, N_TEST))
        x = torch.from_numpy(train.x)
        weights = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)
        positions = torch.zeros(DEPTH, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adagrad([weights, positions], lr=options["rate"])
        for _ in range(EPOCHS):
            clicks, chances = clicked(train.grades, model, draw)
            for rows in np.array_split(draw.permutation(N_LISTS), N_LISTS // BATCH_SIZE):
                scores, logits = x[rows] @ weights, positions.expand(len(rows), DEPTH)
                mass = torch.from_numpy(clicks[rows].astype(float))
                if kind == "oracle":
                    of_rank = ipw(chances[rows], clip=0.01)
                else:
                    of_rank = ipw(log=log_softmax(logits), relative_to=0, clip=0.01)
                loss = listwise(scores, mass, weights=of_rank, reduction="weighted_mean")
                if kind == "DLA":
                    of_place = ipw(log=log_softmax(scores), relative_to=0, clip=0.01)
                    loss = loss + listwise(logits, mass, weights=of_place, reduction="weighted_mean")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return Outcome(ndcg(test, test.x @ weights.detach().numpy()))

    return trial


def log_softmax(scores: torch.Tensor) -> np.ndarray:
    """Return logarithms of probabilities, without a gradient."""
    return torch.log_softmax(scores.detach(), dim=1).numpy()


def ndcg(test: Lists, scores: np.ndarray) -> float:
    """Return the mean nDCG of lists with a relevant document."""
    gains, discount = 2.0**test.grades - 1, 1 / np.log2(np.arange(DEPTH) + 2)
    found = np.take_along_axis(gains, np.argsort(-scores, axis=1, kind="stable"), axis=1) @ discount
    ideal = -np.sort(-gains, axis=1) @ discount
    return float((found[ideal > 0] / ideal[ideal > 0]).mean())


def of_clicks() -> list[Verdict]:
    """Lines of DLA."""
    paper, verdicts = "DLA (Ai et al., SIGIR 2018)", []
    for model, noise in (("PBM", 2.0), ("UBM", 2.0), ("PBM", 0.0)):
        found = arms({kind: ranker(kind, model, noise) for kind in ("naive", "DLA", "oracle")}, GRID, TUNING, SEEDS)
        for claim, one, other in (
            ("learned propensities, against none", "naive", "DLA"),
            ("true propensities, against learned ones", "DLA", "oracle"),
        ):
            data = f"simulated clicks, {model}, order by {'other things too' if noise else 'the same features'}"
            verdicts.append(compared(claim, paper, data, "nDCG@10", found[one], found[other], margin=MARGIN))
    return verdicts


def policy(rule: str, difficulty: float) -> Trial:
    """Return the rounds of a policy: the last distance, and the share of prompts in the first round."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        draw = np.random.default_rng(seed)
        law = draw.normal(size=N_FEATURES) / N_FEATURES**0.5
        hardness = difficulty * draw.normal(size=N_FEATURES) / N_FEATURES**0.5
        weights = np.zeros(N_FEATURES)
        prompt = np.repeat(np.arange(N_PROMPTS), N_RESPONSES)
        share = 0.0
        for number in range(ROUNDS):
            x = draw.normal(size=(N_PROMPTS, N_FEATURES))[prompt]
            response = x @ weights + NOISE * draw.normal(size=len(x))
            reward = -((response - x @ law) ** 2) + x @ hardness
            kept = chosen(rule, reward, prompt)
            share = share if number else len(np.unique(prompt[kept])) / N_PROMPTS
            weights = np.linalg.lstsq(x[kept], response[kept])[0]
        return Outcome(-float(((weights - law) ** 2).sum()), {"share of prompts": share})

    return trial


def chosen(rule: str, reward: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    """Choose as many responses as there are prompts, by one of the three rules."""
    if rule == "best of each prompt":
        return select(N_PROMPTS, scores=reward, groups=prompt, target="balanced").indices
    if rule == "best of all, centered":
        reward = reward - reward.reshape(N_PROMPTS, N_RESPONSES).mean(axis=1)[prompt]
    return select(N_PROMPTS, scores=reward).indices


def of_rewards() -> list[Verdict]:
    """Lines of RAFT."""
    paper, verdicts = "RAFT (Dong et al., TMLR 2023)", []
    rules = ("best of all", "best of each prompt", "best of all, centered")
    for difficulty in (2.0, 0.0):
        found = arms({rule: policy(rule, difficulty) for rule in rules}, [{}], TUNING, SEEDS)
        data = f"simulated prompts of {'different' if difficulty else 'equal'} difficulty"
        for rule in rules[1:]:
            for metric, margin in (("-distance", DISTANCE_MARGIN), ("share of prompts", SHARE_MARGIN)):
                claim = f"{rule}, against {rules[0]}"
                verdicts.append(compared(claim, paper, data, metric, found[rules[0]], found[rule], margin=margin))
    return verdicts


def experiment() -> list[Verdict]:
    """All lines."""
    return [*of_clicks(), *of_rewards()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/clicks.py",
        "benches/claims/paired.py",
        "python/negmine/torch/losses/lists.py",
        "python/negmine/weights/propensities.py",
        "rust/negmine-core/src/selection/*.rs",
    ]
    run("clicks", sources, experiment)
