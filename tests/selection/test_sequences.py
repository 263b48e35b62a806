"""`sequence_scores`: golden values, a plain twin, and edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.selection import sequence_scores

P = [0.9, 0.5, 0.01, 0.2, 0.7, 0.05, 0.6, 0.8, 0.3, 0.4]
LOGS = [math.log(p) for p in P]
RANKS = [1, 1, 20, 3, 1, 9, 1, 1, 2, 2]
WHOLE = [0, 10]
INF = math.inf


def test_golden_min_k() -> None:
    assert sequence_scores(LOGS, WHOLE, share=0.2)[0] == pytest.approx(-3.800451, abs=5e-7)
    assert sequence_scores(LOGS, WHOLE, share=0.05)[0] == pytest.approx(-4.605170, abs=5e-7)


def test_golden_ratios_and_perplexity() -> None:
    assert sequence_scores(LOGS, WHOLE, "lrr", ranks=RANKS)[0] == pytest.approx(1.721801, abs=5e-7)
    assert sequence_scores(LOGS, WHOLE, "perplexity")[0] == pytest.approx(3.750824, abs=5e-7)
    assert sequence_scores(None, WHOLE, "npr", ranks=RANKS, perturbed=[1.2])[0] == pytest.approx(1.562935, abs=5e-7)


def test_golden_surprise_gap() -> None:
    got = sequence_scores([-1.0, -3.0, -0.5], [0, 2, 3], "surprise_gap", entropy=[1.0, 2.0, 1.5])
    assert got.tolist() == [-0.5, 1.0]


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 9)), max_size=7), max_size=6), st.integers(1, 100)
)
def test_scores_are_as_defined(texts: list[list[tuple[int, int]]], hundredths: int) -> None:
    offsets = np.cumsum([0, *(len(text) for text in texts)])
    logs = [math.log(p / 1000) for text in texts for p, _ in text]
    ranks = [rank for text in texts for _, rank in text]
    entropy = [rank / 4 for rank in ranks]
    perturbed = [1.5] * len(texts)
    got = {
        "min_k": sequence_scores(logs, offsets, share=hundredths / 100),
        "lrr": sequence_scores(logs, offsets, "lrr", ranks=ranks),
        "npr": sequence_scores(None, offsets, "npr", ranks=ranks, perturbed=perturbed),
        "perplexity": sequence_scores(logs, offsets, "perplexity"),
        "surprise_gap": sequence_scores(logs, offsets, "surprise_gap", entropy=entropy),
    }
    for i, text in enumerate(texts):
        own = [math.log(p / 1000) for p, _ in text]
        places = [math.log(rank) for _, rank in text]
        n = len(text)
        if n == 0:
            assert all(math.isnan(scores[i]) for scores in got.values())
            continue
        m = max(1, hundredths * n // 100)
        expected = {
            "min_k": sum(sorted(own)[:m]) / m,
            "lrr": -sum(own) / sum(places) if sum(places) else INF,
            "npr": 1.5 / (sum(places) / n) if sum(places) else INF,
            "perplexity": math.exp(-sum(own) / n),
            "surprise_gap": sum(own) / n + sum(rank for _, rank in text) / 4 / n,
        }
        for kind, value in expected.items():
            assert got[kind][i] == pytest.approx(value, rel=1e-12, abs=1e-12), kind


def test_edges() -> None:
    assert sequence_scores([], [0]).tolist() == []
    assert sequence_scores([-INF, 0.0], [0, 2], share=0.5).tolist() == [-INF]
    assert sequence_scores([-INF, 0.0], [0, 2], "perplexity").tolist() == [INF]
    assert sequence_scores([-INF, 0.0], [0, 2], "lrr", ranks=[1, 1]).tolist() == [INF]
    assert sequence_scores([0.0, 0.0], [0, 1, 2], "lrr", ranks=[1, 2]).tolist() == [INF, 0.0]
    assert sequence_scores(None, [0, 1, 2], "npr", ranks=[1, 2], perturbed=[0, 0]).tolist() == [INF, 0.0]


def test_long_inputs_are_sorted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    offsets = np.cumsum([0, *rng.integers(0, 40, 200)])
    logs = -rng.random(offsets[-1])
    whole = sequence_scores(logs, offsets, share=0.3)
    for block in (1, 7, 39, 1000):
        monkeypatch.setattr("negmine.selection.sequences.BLOCK", block)
        np.testing.assert_array_equal(sequence_scores(logs, offsets, share=0.3), whole)
