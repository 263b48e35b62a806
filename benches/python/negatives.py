"""Random negatives per query against NumPy, torch and LensKit.

    python benches/python/negatives.py [--rounds N] [--quick]

One thread, one process. 20,000 users have 100 of a million items each, and get 10 or 100 further items: distinct ones,
uniformly or by popularity. Peers: exact NumPy (ranks among the other items, rows with repeats drawn again, ranks turned
into items by one binary search), the same with repeats, an alias table in NumPy, `torch.multinomial` over all items,
and LensKit's sampler in Rust, which verifies up to ten attempts per item. The alias table, torch and LensKit return
repeats, and the first two may return a user's own items. Rounds visit the peers in turn; a figure is the least of the
rounds, a ratio the median of the rounds' ratios, both of the process's own processor time.

Then users without items of their own, which NumPy's alias table and torch are made for. The last table has users who
have almost all items: what they get.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch
from lenskit.data import from_interactions_df

import negmine
from negmine.sampling import NegativeSampler

N_ITEMS, N_USERS, OWN = 1_000_000, 20_000, 100

Draw = Callable[[], np.ndarray]


class Problem:
    """Users, their items, and weights of all items."""

    def __init__(self, n_users: int, n_items: int, own: int) -> None:
        self.rng = np.random.default_rng(0)
        self.n_users, self.n_items = n_users, n_items
        ranks = np.sort(self.rng.integers(n_items - own, size=(n_users, own)), axis=1)
        self.own = ranks + np.arange(own)
        self.weights = (np.arange(n_items) + 1.0) ** -0.75
        self.rng.shuffle(self.weights)
        offsets = np.arange(n_users + 1) * own
        self.positives = negmine.Positives.from_csr(offsets, self.own.ravel())

    def negmine(self, n: int, *, weighted: bool, replace: bool) -> Draw:
        """Return draws of the library."""
        law = self.weights if weighted else "uniform"
        sampler = NegativeSampler(self.positives, n_documents=self.n_items, sources=law, replace=replace)
        users = np.arange(self.n_users)
        return lambda: sampler.sample(users, n, num_threads=1).indices

    def exact(self, n: int, *, distinct: bool) -> Draw:
        """Return uniform draws from the other items, by NumPy."""
        own = self.own.shape[1]
        count, users = self.n_items - own, np.arange(self.n_users)[:, None]
        keys = (self.own - np.arange(own) + users * self.n_items).ravel()

        def draw() -> np.ndarray:
            ranks = np.sort(self.rng.integers(count, size=(self.n_users, n)), axis=1)
            while distinct and (repeats := (np.diff(ranks, axis=1) == 0).any(axis=1)).any():
                ranks[repeats] = np.sort(self.rng.integers(count, size=(int(repeats.sum()), n)), axis=1)
            return ranks + np.searchsorted(keys, ranks + users * self.n_items, side="right") - users * own

        return draw

    def alias(self, n: int) -> Draw:
        """Return draws by weights from an alias table in NumPy, which may be a user's own items."""
        height = self.weights / self.weights.mean()
        threshold, other = np.ones(self.n_items), np.arange(self.n_items)
        small, large = list(np.flatnonzero(height < 1)), list(np.flatnonzero(height >= 1))
        while small and large:
            low, high = small.pop(), large[-1]
            threshold[low], other[low] = height[low], high
            height[high] -= 1 - height[low]
            if height[high] < 1:
                small.append(large.pop())

        def draw() -> np.ndarray:
            column = self.rng.integers(self.n_items, size=(self.n_users, n))
            return np.where(self.rng.random(column.shape) < threshold[column], column, other[column])

        return draw

    def multinomial(self, n: int) -> Draw:
        """Return draws by weights, by torch, which may be a user's own items."""
        weights = torch.from_numpy(self.weights)
        return lambda: torch.multinomial(weights, self.n_users * n, replacement=True).numpy().reshape(-1, n)

    def lenskit(self, n: int, *, weighted: bool) -> Draw:
        """Return draws of LensKit, which verifies them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = {"user_id": np.repeat(np.arange(self.n_users), self.own.shape[1]), "item_id": self.own.ravel()}
            # A user of their own has every item, so that all are known.
            rest = np.setdiff1d(np.arange(self.n_items), own["item_id"])
            own = {
                name: np.concatenate([own[name], part])
                for name, part in (("user_id", np.full(len(rest), self.n_users)), ("item_id", rest))
            }
            matrix = from_interactions_df(pd.DataFrame(own)).interactions().matrix()
        users, law = np.arange(self.n_users, dtype=np.int32), "popularity" if weighted else "uniform"
        return lambda: matrix.sample_negatives(users, n=n, weighting=law, verify=True, rng=self.rng)


def processor_time(draw: Draw) -> float:
    """Return the seconds of one call."""
    begin = time.process_time()
    draw()
    return time.process_time() - begin


def compare(peers: dict[str, Draw], entries: int, rounds: int) -> None:
    """Print a table; the first peer is the library."""
    for draw in peers.values():
        draw()
    times = [[processor_time(draw) for draw in peers.values()] for _ in range(rounds)]
    print("| peer | million/s | time / negmine |\n| --- | ---: | ---: |")
    for place, name in enumerate(peers):
        ratio = median(row[place] / row[0] for row in times)
        print(f"| {name} | {entries / min(row[place] for row in times) / 1e6:.1f} | {ratio:.2f} |")
    print(flush=True)


def own_share(problem: Problem, found: np.ndarray) -> float:
    """Return the share of items that are the user's own."""
    keys = np.arange(problem.n_users)[:, None] * problem.n_items
    return float(np.isin((found + keys)[found >= 0], (problem.own + keys).ravel()).mean())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few users and items, one round")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n_users, n_items = (500, 10_000) if arguments.quick else (N_USERS, N_ITEMS)
    rounds = 1 if arguments.quick else arguments.rounds
    problem = Problem(n_users, n_items, OWN)
    for n in (10, 100):
        print(f"**{n_users:,} users, {n} of {n_items:,} items, uniform**\n")
        uniform = {
            "negmine, distinct": problem.negmine(n, weighted=False, replace=False),
            "NumPy, distinct": problem.exact(n, distinct=True),
            "NumPy, repeats": problem.exact(n, distinct=False),
            "LensKit, repeats": problem.lenskit(n, weighted=False),
        }
        compare(uniform, n_users * n, rounds)
        print("**The same by weights**\n")
        weighted = {
            "negmine, repeats": problem.negmine(n, weighted=True, replace=True),
            "negmine, distinct": problem.negmine(n, weighted=True, replace=False),
            "NumPy's alias table, repeats, own items": problem.alias(n),
            "torch.multinomial, repeats, own items": problem.multinomial(n),
        }
        compare(weighted, n_users * n, rounds)
        print("**By weights, users without items**\n")
        new_users = Problem(n_users, n_items, 0)
        without = {
            "negmine, repeats": new_users.negmine(n, weighted=True, replace=True),
            "NumPy's alias table, repeats": new_users.alias(n),
            "torch.multinomial, repeats": new_users.multinomial(n),
        }
        compare(without, n_users * n, rounds)
    full = Problem(100, 1_000, 990)
    print("**Users who have 990 of 1,000 items, 5 drawn**\n\n| peer | own items |\n| --- | ---: |")
    for name, draw in (
        ("negmine", full.negmine(5, weighted=False, replace=False)),
        ("LensKit", full.lenskit(5, weighted=False)),
    ):
        print(f"| {name} | {own_share(full, draw()):.3f} |")


if __name__ == "__main__":
    main()
