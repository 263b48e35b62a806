"""Learn relevance from clicks that need exposure, which popular items have more of.

Paper: Saito et al., "Unbiased Recommender Learning from Missing-Not-At-Random Implicit Feedback", WSDM 2020.
Options: Squared losses of a sigmoid of factors; the two weights of a pair by inverse propensities, with a clip of .1;
    propensities by popularity to the power of .5, or the true ones; batches of which one half are clicks, with design
    weights.
Differs: Made data of 300 users and 200 items, whose relevance and exposure are known. The release leaves design weights
    out, so that its batches weigh a click ten times as much as the estimator asks for at 5 % of clicks.
Prints: For WMF (no propensities) and Rel-MF with both kinds, how often the more relevant of two items without a click
    has the higher score, and the mean estimate, next to the mean relevance.
"""

from __future__ import annotations

import numpy as np
import torch

from negmine.weights import design_weights, ipw, popularity_propensity

N_USERS, N_ITEMS, WIDTH, HALF, STEPS = 300, 200, 6, 1024, 250


def main() -> None:
    """Make clicks, and train without propensities, with those by popularity, and with the true ones."""
    rng = np.random.default_rng(0)
    relevance = 1 / (1 + np.exp(1 - rng.normal(size=(N_USERS, 3)) @ rng.normal(size=(3, N_ITEMS))))
    exposure = np.broadcast_to(rng.uniform(0.1, 1.0, N_ITEMS) ** 1.5, relevance.shape)
    clicks = rng.random(relevance.shape) < relevance * exposure
    rows = [np.flatnonzero(clicks), np.flatnonzero(~clicks)]
    design = np.repeat(design_weights(len(rows[0]), len(rows[1])), HALF)
    popularity = np.broadcast_to(popularity_propensity(clicks.sum(axis=0)), clicks.shape)
    print(f"relevance {relevance.mean():.3f}, clicks {clicks.mean():.3f}")
    for name, propensity in (("WMF", np.ones(clicks.shape)), ("popularity", popularity), ("true", exposure)):
        torch.manual_seed(0)
        factors = [(0.1 * torch.randn(n, WIDTH)).requires_grad_() for n in (N_USERS, N_ITEMS)]
        bias = torch.full((N_ITEMS,), -1.0, requires_grad=True)
        optimizer, draw = torch.optim.Adam([*factors, bias], lr=0.03), np.random.default_rng(1)
        for _ in range(STEPS):
            pairs = np.concatenate([draw.choice(of, HALF) for of in rows])
            users, items = np.divmod(pairs, N_ITEMS)
            one, zero = ipw(propensity[users, items], label=clicks[users, items], clip=0.1)
            p = torch.sigmoid((factors[0][users] * factors[1][items]).sum(dim=1) + bias[items])
            one, zero = (torch.from_numpy((design * part).astype(np.float32)) for part in (one, zero))
            loss = (one * (1 - p).square() + zero * p.square()).mean()
            loss = loss + 0.01 * sum(factor.square().mean() for factor in factors)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        estimate = torch.sigmoid(factors[0] @ factors[1].T + bias).detach().numpy()
        users, (one, other) = draw.integers(N_USERS, size=50_000), draw.integers(N_ITEMS, size=(2, 50_000))
        users, one, other = (part[~clicks[users, one] & ~clicks[users, other]] for part in (users, one, other))
        more = [table[users, one] > table[users, other] for table in (relevance, estimate)]
        print(f"{name:<11} right {(more[0] == more[1]).mean():.4f}, mean estimate {estimate.mean():.3f}")


if __name__ == "__main__":
    main()
