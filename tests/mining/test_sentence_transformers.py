"""Against sentence-transformers' own miner, where the two mean the same: deep windows, scores without near ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import negmine

pytest.importorskip("sentence_transformers")
datasets = pytest.importorskip("datasets")

N_QUERIES, N_DOCUMENTS, WIDTH = 12, 80, 16

OPTIONS: list[dict[str, Any]] = [
    {},
    {"relative_margin": 0.05},
    {"absolute_margin": 0.1},
    {"absolute_margin": -0.2},
    {"max_score": 0.3, "min_score": -0.1},
    {"relative_margin": 0.3, "max_score": 0.4, "range_min": 2},
    {"min_score": 0.25},
    {"range_min": 4},
]


class Precomputed:
    """What ``mine_hard_negatives`` asks of a model, answered from arrays; texts end in their row."""

    device = "cpu"
    model_card_data = type("Card", (), {"base_model": "precomputed"})

    def __init__(self, queries: npt.NDArray[np.float32], corpus: npt.NDArray[np.float32]) -> None:
        self.queries, self.corpus = queries, corpus

    def encode_query(self, texts: list[str], **_: object) -> npt.NDArray[np.float32]:
        return self.queries[[row(text) for text in texts]]

    def encode_document(self, texts: list[str], **_: object) -> npt.NDArray[np.float32]:
        return self.corpus[[row(text) for text in texts]]

    def get_embedding_dimension(self) -> int:
        return WIDTH

    def similarity(self, a: Any, b: Any) -> Any:
        from sentence_transformers.util import cos_sim

        return cos_sim(a, b)

    def similarity_pairwise(self, a: Any, b: Any) -> Any:
        from sentence_transformers.util import pairwise_cos_sim

        return pairwise_cos_sim(a, b)


def row(text: str) -> int:
    return int(text.split()[1])


def unit(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_negatives(options: dict[str, Any], seed: int) -> None:
    from sentence_transformers.util import mine_hard_negatives

    draw = np.random.default_rng(seed)
    queries, corpus = unit(draw.standard_normal((N_QUERIES, WIDTH))), unit(draw.standard_normal((N_DOCUMENTS, WIDTH)))
    lists = [draw.choice(N_DOCUMENTS, draw.integers(1, 4), replace=False).tolist() for _ in range(N_QUERIES)]
    pairs = [(i, j) for i, documents in enumerate(lists) for j in documents]

    theirs = mine_hard_negatives(
        datasets.Dataset.from_dict(
            {"anchor": [f"query {i}" for i, _ in pairs], "positive": [f"document {j}" for _, j in pairs]}
        ),
        Precomputed(queries, corpus),
        corpus=[f"document {j}" for j in range(N_DOCUMENTS)],
        num_negatives=5,
        range_max=N_DOCUMENTS,
        verbose=False,
        **options,
    )
    ours = negmine.mine(
        queries, corpus, negmine.Positives.from_lists(lists), num_negatives=5, range_max=N_DOCUMENTS, **options
    )
    expected = {(row(a), row(d)) for a, d in zip(theirs["anchor"], theirs["negative"], strict=True)}
    mined = {(i, int(j)) for i in range(N_QUERIES) for j in ours.indices[i, : ours.counts[i]]}
    assert mined == expected
