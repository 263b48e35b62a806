"""Learn a ranker and the chances of examination together, from clicks alone.

Paper: Ai et al., "Unbiased Learning to Rank with Unbiased Propensity Estimation", SIGIR 2018.
Options: Clicks as the mass of a softmax over a list of ten. Each model weighs clicks by the other one's probabilities,
    relative to the first position, and learns from its own loss only. AdaGrad, a clip of .01.
Differs: Made lists with 16 features, a linear ranker, and one logit per position in place of networks. The order that
    was shown depends on more than the features; without that, nothing separates position and relevance.
Prints: nDCG@10 of rankers with equal, learned and true weights; chances of examination relative to the first position.
"""

from __future__ import annotations

import numpy as np
import torch

from negmine.torch.losses import listwise
from negmine.weights import ipw

EXAMINED = np.array([0.68, 0.61, 0.48, 0.34, 0.28, 0.20, 0.11, 0.10, 0.08, 0.06])
WIDTH, DEPTH, BATCH, STEPS = 16, 10, 500, 150


def main() -> None:
    """Simulate clicks, and train with each kind of weights."""
    rng = np.random.default_rng(0)
    law, other = rng.normal(size=(2, WIDTH)) / WIDTH**0.5

    def lists(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, DEPTH, WIDTH))
        order = np.argsort(x @ (law + 1.5 * other) + 2 * rng.normal(size=x.shape[:2]), axis=1)
        x = np.take_along_axis(x, order[:, ::-1, None], axis=1)
        return x, np.digitize(x @ law, [0.0, 0.7, 1.2, 1.8])

    def ndcg(scores: np.ndarray) -> float:
        gains = 2.0 ** test[1] - 1
        found, best = (np.take_along_axis(gains, np.argsort(-by, axis=1), axis=1) for by in (scores, gains))
        return float((found / np.log2(np.arange(2, 12))).sum() / (best / np.log2(np.arange(2, 12))).sum())

    (x, grades), test = lists(4000), lists(500)
    for kind in ("equal", "learned", "true"):
        weights, places = (torch.zeros(n, dtype=torch.float64, requires_grad=True) for n in (WIDTH, DEPTH))
        optimizer = torch.optim.Adagrad([weights, places], lr=0.2)
        for _ in range(STEPS):
            rows = rng.integers(len(x), size=BATCH)
            clicks = (rng.random((BATCH, DEPTH)) < EXAMINED * (0.04 + 0.06 * 2.0 ** grades[rows])).astype(float)
            scores, logits = torch.from_numpy(x[rows]) @ weights, places.expand(BATCH, DEPTH)
            log = {"equal": 0 * EXAMINED, "learned": places.detach().numpy(), "true": np.log(EXAMINED)}[kind]
            optimizer.zero_grad()
            for model, other_log in ((scores, log), (logits, scores.detach().numpy())):
                own = ipw(log=np.broadcast_to(other_log, clicks.shape), relative_to=0, clip=0.01)
                listwise(model, clicks, weights=own, reduction="weighted_mean").backward()
            optimizer.step()
        print(f"{kind:<10} nDCG {ndcg(test[0] @ weights.detach().numpy()):.4f}")
        if kind == "learned":
            pairs = zip(EXAMINED / EXAMINED[0], (places - places[0]).exp(), strict=True)
            print("positions  " + ", ".join(f"{true:.3f} learned {found:.3f}" for true, found in pairs))


if __name__ == "__main__":
    main()
