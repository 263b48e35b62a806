"""Pair correct solutions with the beginnings of wrong ones, up to the step where they went wrong.

Paper: Setlur et al., "RL on Incorrect Synthetic Data Scales the Efficiency of LLM Math Reasoning by Eight-Fold", 2024.
Options: The value of a step is the chance to solve the problem after it, by rollouts; the first step of the lowest
    value is the pit, and the rejected response ends with it. Per problem, the correct response is chosen, and all
    others are rejected.
Differs: Made values: a wrong solution is fine until a step that is known here, and loses its chance there. A real one
    needs rollouts of a language model. Training is not part of it.
Prints: One pair as text; the share of pits at the step that went wrong, with 4 and with 32 rollouts per step; and how
    much shorter the rejected responses are than the solutions.
"""

from __future__ import annotations

import numpy as np

from negmine.pairs import first_pit, make_pairs

N_PROBLEMS, N_WRONG = 200, 4


def main() -> None:
    """Make solutions and values of their steps, and pair them."""
    rng = np.random.default_rng(0)
    problems = np.repeat(np.arange(N_PROBLEMS), N_WRONG + 1)
    correct = np.arange(len(problems)) % (N_WRONG + 1) == 0
    lengths = rng.integers(3, 9, size=len(problems))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    steps = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    mistakes = np.where(correct, lengths, rng.integers(0, lengths))
    chances = np.where(steps < np.repeat(mistakes, lengths), 0.3 + 0.05 * steps, 0.0)

    pairs = make_pairs(correct.astype(float), problems, rejected="all")
    for n_rollouts in (4, 32):
        pits = first_pit(rng.binomial(n_rollouts, chances) / n_rollouts, offsets)
        right = (pits == mistakes)[pairs.rejected].mean()
        print(f"{n_rollouts} rollouts: {len(pairs)} pairs, pits at the mistake {right:.3f}")
    kept = (pits[pairs.rejected] + 1).sum() / lengths[pairs.rejected].sum()
    print(f"steps of rejected responses {kept:.3f} of those of the solutions")

    texts = [
        [f"step {i + 1}{' (wrong)' if i == m else ''}" for i in range(n)]
        for n, m in zip(lengths, mistakes, strict=True)
    ]
    chosen, rejected = int(pairs.chosen[0]), int(pairs.rejected[0])
    print("chosen:  ", "; ".join(texts[chosen]))
    print("rejected:", "; ".join(texts[rejected][: pits[rejected] + 1]))


if __name__ == "__main__":
    main()
