"""Learn what users like from votes that many of them do not give.

Paper: Yu and Qin, "Sampler Design for Implicit Feedback Data by Noisy-label Robust Learning", SIGIR 2020.
Options: Factors of users and items for being liked, and others for being left without a vote though liked; 4 uniform
    negatives per vote, which weighs as much as they do. Flips start at a logit of -6 and have five times the decay.
Differs: Made votes of 200 users on 150 items, so that the hidden likes are known. A mean over pairs and Adam, where the
    release sums over 5,000 votes and decays all factors in every step.
Prints: With each form of the loss, and with none flipped, how often a hidden like is ranked above an item that the user
    does not like, and the mean probability of a flip of hidden likes and of other negatives.
"""

from __future__ import annotations

import numpy as np
import torch

from negmine import Positives
from negmine.sampling import NegativeSampler
from negmine.torch.losses import pointwise

N_USERS, N_ITEMS, WIDTH, EPOCHS = 200, 150, 8, 60


def main() -> None:
    """Make votes, and train with each form."""
    rng = np.random.default_rng(0)
    likes = rng.normal(size=(N_USERS, 4)) @ rng.normal(size=(4, N_ITEMS)) > 1.5
    votes = likes & (rng.random(likes.shape) < rng.uniform(0.1, 0.9, N_ITEMS))
    users, items = np.nonzero(votes)
    sampler = NegativeSampler(Positives.from_pairs(users, items, n_queries=N_USERS), n_documents=N_ITEMS, seed=0)
    labels = np.arange(5) == np.zeros((len(users), 1))
    weights = np.where(labels, 4.0, 1.0)
    for form in ("none flipped", "surrogate", "likelihood", "linear"):
        torch.manual_seed(0)
        factors = [(0.1 * torch.randn(n, WIDTH)).requires_grad_() for n in (N_USERS, N_ITEMS) * 2]
        optimizer = torch.optim.Adam(factors, lr=0.05)
        for epoch in range(EPOCHS):
            drawn = sampler.sample(users, 4, rows=np.arange(len(users)), epoch=epoch).indices
            pairs = torch.from_numpy(np.column_stack([items, drawn])), torch.from_numpy(users)[:, None]
            scores, flips = factors[0] @ factors[1].T, factors[2] @ factors[3].T - 6
            x, y = scores[pairs[1], pairs[0]], flips[pairs[1], pairs[0]]
            if form == "none flipped":
                loss = pointwise(x, torch.full_like(y, -torch.inf), labels, form="likelihood", weights=weights)
            else:
                loss = pointwise(x, y, labels, form=form, weights=weights)
            decay = [factor.square().mean() for factor in factors]
            loss = loss + 0.1 * (decay[0] + decay[1]) + 0.5 * (decay[2] + decay[3])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        hidden, other = torch.from_numpy(likes & ~votes), torch.from_numpy(~likes)
        each = [row for row in zip(scores, hidden, other, strict=True) if row[1].any()]
        right = np.mean([(x[one, None] > x[two]).float().mean() for x, one, two in each])
        flipped = torch.sigmoid(flips)
        print(f"{form:<13} right {right:.4f}, flips {flipped[hidden].mean():.4f} {flipped[other].mean():.4f}")


if __name__ == "__main__":
    main()
