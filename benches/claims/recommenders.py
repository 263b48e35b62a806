"""Negatives, flipped labels and missing labels of recommenders.

    NEGMINE_DATA=... python benches/claims/recommenders.py [--again]

Matrix factorization on ml-100k, 32 factors, Adam. The last item of every user is the test, and the one before it the
tuning data; seeds change the initialization and the draws, not the split, so intervals speak of training, not of other
users. Every arm chooses its rate and its decay from the same grid, with one seed that no verdict uses. The share of
false negatives is that of negatives which are the user's held-out item.

- BPR with 8 negatives per pair in 12 epochs: uniform ones; by popularity to the power of .75; the one of 8 uniform
  ones that the model scores highest, as in dynamic negative sampling.
- NBPO: pairs with flipped labels, 4 uniform negatives, in the form of its released code, against BPR with as many, and
  against cross entropy (no label is flipped). Flips are factors too, start at a logit of -6, and have five times the
  decay.
- Rel-MF: squared loss of a sigmoid, 10 factors, batches of which one half are clicks, with design weights; weights of
  inverse propensities by popularity with a clip of .1, against weights of 1 (WMF). Semi-synthetic data as in the
  released code: relevance is a sigmoid of the predicted rating minus 5, exposure a logistic factorization of who rated
  what to a power; clicks are drawn. The metric is nDCG@5 of relevance over items without a click. Real data: clicks are
  ratings from 4; HR@10 of the last one, users weighted by the inverse propensity of its item, because popular items
  are clicked more in the test as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import factorization
import numpy as np
import torch
from claim import run
from factorization import Factors, Interactions, batches, best, hit_rate, leave_last_out
from paired import Options, Outcome, Trial, arms, compared, grid
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from verdict import Verdict

from negmine.sampling import NegativeSampler, Popularity
from negmine.torch.losses import pairwise, pointwise
from negmine.weights import design_weights, ipw, popularity_propensity

#: Points of HR@10, ten users; and points of nDCG@5.
MARGIN, NDCG_MARGIN = 0.01, 0.01
TUNING, SEEDS = range(1), range(20, 26)
EPOCHS, BATCH_SIZE, WIDTH = 12, 8192, 32
GRID = grid(rate=(0.015, 0.04), decay=(0.003, 0.01, 0.03))
#: Rel-MF: steps, size of batches, clip of propensities, exponents of exposure.
STEPS, SIZE, CLIP, EXPONENTS = 200, 8192, 0.1, (0.5, 2.0)
REL_GRID = grid(rate=(0.01, 0.03), decay=(0.003, 0.01, 0.03, 0.1))

split = cache(leave_last_out)


def pairs(form: str, *, num: int, sources: object = "uniform", hardest: int | None = None) -> Trial:
    """Return the training of pairs with negatives, by BPR ("bpr") or by a law of flipped labels."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        torch.manual_seed(seed)
        data = split()[not tuning]
        sampler = NegativeSampler(data.seen, n_documents=data.n_items, sources=sources, seed=seed)
        sizes = (len(data.held_out), data.n_items, WIDTH)
        model, flips = Factors(*sizes), Factors(*sizes, scale=0.01, bias=-6.0)
        parameters = [*model.parameters(), *(flips.parameters() if form == "nbpo" else ())]
        optimizer = torch.optim.Adam(parameters, lr=options["rate"])
        wrong, total = 0, 0
        for epoch in range(EPOCHS):
            for rows in batches(len(data.users), BATCH_SIZE, seed, epoch):
                drawn = sampler.sample(data.users[rows], num, rows=rows, epoch=epoch, num_threads=1).indices
                users, positive = torch.from_numpy(data.users[rows]), torch.from_numpy(data.items[rows])[:, None]
                negative = torch.from_numpy(drawn)
                scores = model(users, torch.cat([positive, negative], dim=1))
                loss = options["decay"] * model.decay(users, positive[:, 0])
                if form == "bpr":
                    loss = loss + pairwise(scores[:, :1], scores[:, 1:], hardest=hardest)
                else:
                    loss = loss + flipped(scores, flips, users, positive, negative, form, options["decay"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if hardest is not None:
                    drawn = np.take_along_axis(drawn, scores[:, 1:].detach().topk(hardest).indices.numpy(), axis=1)
                wrong += int((drawn == data.held_out[data.users[rows], None]).sum())
                total += drawn.size
        return Outcome(hit_rate(model.table(), data), false_negatives=wrong / total)

    return trial


def flipped(
    scores: Tensor,
    flips: Factors,
    users: Tensor,
    positive: Tensor,
    negative: Tensor,
    form: str,
    decay: float,
) -> Tensor:
    """Return the loss of flipped labels ("nbpo"), or of labels none of which is flipped; positives weigh as much."""
    labels, weights = torch.zeros(scores.shape, dtype=torch.bool), torch.ones(scores.shape)
    labels[:, 0], weights[:, 0] = True, negative.shape[1]
    if form == "cross_entropy":
        return pointwise(scores, torch.full_like(scores, -torch.inf), labels, form="likelihood", weights=weights)
    logits = flips(users, torch.cat([positive, negative], dim=1))
    return pointwise(scores, logits, labels, weights=weights) + 5 * decay * flips.decay(users, positive[:, 0])


def of_pairs() -> list[Verdict]:
    """Lines of BPR and of NBPO."""
    found = arms(
        {
            "uniform": pairs("bpr", num=8),
            "popular": pairs("bpr", num=8, sources=Popularity(0.75)),
            "hardest of 8": pairs("bpr", num=8, hardest=1),
            "BPR, 4": pairs("bpr", num=4),
            "cross entropy, 4": pairs("cross_entropy", num=4),
            "NBPO, 4": pairs("nbpo", num=4),
        },
        GRID,
        TUNING,
        SEEDS,
    )
    bpr, dns = "BPR (Rendle et al., UAI 2009)", "DNS (Zhang et al., SIGIR 2013)"
    nbpo = "NBPO (Yu and Qin, SIGIR 2020)"
    lines = [
        ("negatives by popularity, against uniform ones", bpr, "uniform", "popular"),
        ("hardest of 8 uniform negatives, against all 8", dns, "uniform", "hardest of 8"),
        ("hardest of 8 uniform negatives, against 8 by popularity", dns, "popular", "hardest of 8"),
        ("flipped labels, against BPR", nbpo, "BPR, 4", "NBPO, 4"),
        ("flipped labels, against none flipped", nbpo, "cross entropy, 4", "NBPO, 4"),
    ]
    return [
        compared(claim, paper, "rec_ml100k", "HR@10", found[one], found[other], margin=MARGIN)
        for claim, paper, one, other in lines
    ]


def of_clicks(model: Factors, clicks: Interactions, propensity: np.ndarray | None, options: Options, seed: int) -> None:
    """Train on clicks, by Rel-MF, or by WMF without propensities."""
    draw = np.random.default_rng(seed)
    n_users, n_items = len(clicks.held_out), clicks.n_items
    is_click = np.zeros((n_users, n_items), dtype=bool)
    is_click[clicks.users, clicks.items] = True
    unlabeled = np.flatnonzero(~is_click)
    of_positive, of_unlabeled = design_weights(len(clicks.users), len(unlabeled))
    weight = torch.tensor([of_positive] * (SIZE // 2) + [of_unlabeled] * (SIZE // 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=options["rate"])
    label = np.arange(SIZE) < SIZE // 2
    for _ in range(STEPS):
        positive = draw.integers(len(clicks.users), size=SIZE // 2)
        other = unlabeled[draw.integers(len(unlabeled), size=SIZE // 2)]
        users = np.concatenate([clicks.users[positive], other // n_items])
        items = np.concatenate([clicks.items[positive], other % n_items])
        one, zero = (label, ~label) if propensity is None else ipw(propensity[users, items], label=label, clip=CLIP)
        rows, columns = torch.from_numpy(users), torch.from_numpy(items)
        predicted = torch.sigmoid(model(rows, columns[:, None])[:, 0])
        loss = torch.from_numpy(one.astype(np.float32)) * (1 - predicted).square()
        loss = loss + torch.from_numpy(zero.astype(np.float32)) * predicted.square()
        loss = (weight * loss).mean() + options["decay"] * model.decay(rows, columns)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@cache
def world() -> tuple[np.ndarray, np.ndarray]:
    """Return the relevance of all pairs, and their exposure to the power of 1, from the ratings of ml-100k."""
    torch.manual_seed(0)
    users, items, rating = (torch.from_numpy(part) for part in factorization.ratings())
    sizes = (int(users.max()) + 1, int(items.max()) + 1, 20)
    stars, exposed = Factors(*sizes, bias=3.5), Factors(*sizes, bias=-2.0)
    rated = torch.zeros(sizes[:2])
    rated[users, items] = 1.0

    def of_ratings() -> Tensor:
        return (stars(users, items[:, None])[:, 0] - rating).square().mean()

    def of_exposure() -> Tensor:
        return binary_cross_entropy_with_logits(exposed.users @ exposed.items.T + exposed.bias, rated)

    for model, loss in ((stars, of_ratings), (exposed, of_exposure)):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(150):
            value = loss() + 1e-3 * model.decay(users, items)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    relevance = 1 / (1 + np.exp(5 - np.clip(stars.table(), 1, 5)))
    return relevance, 1 / (1 + np.exp(-exposed.table()))


def drawn_clicks(exponent: float, seed: int) -> tuple[Interactions, np.ndarray]:
    """Draw clicks: pairs that are exposed and relevant; and return the exposure."""
    relevance, exposure = world()
    exposure = exposure**exponent
    draw = np.random.default_rng([seed, 1])
    users, items = np.nonzero(draw.random(relevance.shape) < relevance * exposure)
    return Interactions(users, items, np.full(len(relevance), -1), relevance.shape[1]), exposure


def ndcg(scores: np.ndarray, clicks: Interactions, k: int = 5) -> float:
    """Return the mean nDCG of relevance over items without a click."""
    relevance, _ = world()
    discount = 1 / np.log2(np.arange(k) + 2)
    places = [best(order, clicks.seen, k) for order in (scores, relevance)]
    gains = [np.take_along_axis(relevance, found, axis=1) @ discount for found in places]
    return float((gains[0] / gains[1]).mean())


def made(exponent: float, kind: str) -> Trial:
    """Return the training on drawn clicks, with "true" propensities, those by "popularity", or "none"."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        torch.manual_seed(seed)
        clicks, exposure = drawn_clicks(exponent, seed)
        propensity = None if kind == "none" else exposure if kind == "true" else popular(clicks)
        model = Factors(*exposure.shape, 10)
        of_clicks(model, clicks, propensity, options, seed)
        return Outcome(ndcg(model.table(), clicks))

    return trial


def popular(clicks: Interactions) -> np.ndarray:
    """Return propensities by popularity, for all pairs."""
    counts = np.bincount(clicks.items, minlength=clicks.n_items)
    return np.broadcast_to(popularity_propensity(counts), (len(clicks.held_out), clicks.n_items))


real_clicks = cache(lambda: leave_last_out(4.0))


def real(kind: str) -> Trial:
    """Return the training on high ratings, tested with inverse propensities."""

    def trial(options: Options, seed: int, tuning: bool) -> Outcome:
        torch.manual_seed(seed)
        clicks = real_clicks()[not tuning]
        model = Factors(len(clicks.held_out), clicks.n_items, 10)
        of_clicks(model, clicks, None if kind == "none" else popular(clicks), options, seed)
        return Outcome(hit_rate(model.table(), clicks, weights=ipw(popular(clicks)[0])))

    return trial


def of_missing_labels() -> list[Verdict]:
    """Lines of Rel-MF."""
    paper, verdicts = "Rel-MF (Saito et al., WSDM 2020)", []

    def lines(data: str, metric: str, make: Callable[[str], Trial], kinds: tuple[str, ...]) -> None:
        found = arms({f"{data}, {kind}": make(kind) for kind in ("none", *kinds)}, REL_GRID, TUNING, SEEDS)
        none, *others = found.values()
        for kind, other in zip(kinds, others, strict=True):
            claim = f"{'true propensities' if kind == 'true' else 'propensities by popularity'}, against none"
            margin = NDCG_MARGIN if metric == "nDCG@5" else MARGIN
            verdicts.append(compared(claim, paper, data, metric, none, other, margin=margin))

    for exponent in EXPONENTS:
        lines(
            f"rec_ml100k, semi-synthetic, exposure to the power of {exponent:g}",
            "nDCG@5",
            lambda kind, exponent=exponent: made(exponent, kind),
            ("popularity", "true"),
        )
    lines("rec_ml100k, ratings from 4", "HR@10, weighted", real, ("popularity",))
    return verdicts


def experiment() -> list[Verdict]:
    """All lines."""
    return [*of_pairs(), *of_missing_labels()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    sources = [
        "benches/claims/recommenders.py",
        "benches/claims/factorization.py",
        "benches/claims/paired.py",
        "python/negmine/sampling/sampler.py",
        "python/negmine/torch/losses/pairs.py",
        "python/negmine/torch/losses/points.py",
        "python/negmine/weights/propensities.py",
        "rust/negmine-core/src/sampling/*.rs",
    ]
    run("recommenders", sources, experiment)
