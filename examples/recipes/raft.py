"""Fine-tune a policy on the best of its own responses, chosen over all prompts or per prompt.

Paper: Dong et al., "RAFT: Reward rAnked FineTuning for Generative Foundation Model Alignment", TMLR 2023.
Options: In each of eight rounds, 5 responses to each of 400 prompts, of which a fifth are kept: the best of all ("top"
    in the release), the best of each prompt ("local"), or the best of all after rewards are centered per prompt.
Differs: A linear policy that answers with a number and noise, and a reward that is lower by the squared distance to the
    best answer. Some prompts have a higher reward for every response. The policy is fitted by least squares.
Prints: For each rule, the share of prompts that have a response in the first round, how evenly they are chosen
    (entropy over its maximum), and the mean squared distance to the best answers after the last round.
"""

from __future__ import annotations

import numpy as np

from negmine.selection import select

N_PROMPTS, N_RESPONSES, WIDTH, ROUNDS = 400, 5, 20, 8


def main() -> None:
    """Train by each rule."""
    prompt = np.repeat(np.arange(N_PROMPTS), N_RESPONSES)

    def choose(rule: str, reward: np.ndarray) -> np.ndarray:
        if rule == "best of each prompt":
            return select(N_PROMPTS, scores=reward, groups=prompt, target="balanced").indices
        if rule == "best of all, centered":
            reward = reward - reward.reshape(N_PROMPTS, N_RESPONSES).mean(axis=1)[prompt]
        return select(N_PROMPTS, scores=reward).indices

    for rule in ("best of all", "best of each prompt", "best of all, centered"):
        rng = np.random.default_rng(0)
        law, ease = rng.normal(size=(2, WIDTH)) / WIDTH**0.5
        policy, shown = np.zeros(WIDTH), ""
        for number in range(ROUNDS):
            x = rng.normal(size=(N_PROMPTS, WIDTH))[prompt]
            response = x @ policy + 0.5 * rng.normal(size=len(x))
            kept = choose(rule, 2 * x @ ease - (response - x @ law) ** 2)
            if number == 0:
                share = np.bincount(prompt[kept], minlength=N_PROMPTS) / len(kept)
                evenness = -(share[share > 0] * np.log(share[share > 0])).sum() / np.log(N_PROMPTS)
                shown = f"{(share > 0).mean():.3f} of the prompts, evenness {evenness:.3f}"
            policy = np.linalg.lstsq(x[kept], response[kept])[0]
        print(f"{rule:<22} {shown}, distance {((policy - law) ** 2).sum():.4f}")


if __name__ == "__main__":
    main()
