"""The negative sampler of PyKEEN: its contract, its options, and a training with its pipeline."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from negmine.errors import NegmineValueError
from negmine.sampling import pseudo_typed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("pykeen", reason="pykeen is not installed")
    from negmine.integrations.pykeen import ExactNegativeSampler

TRIPLES = torch.tensor([[h, r, (h * h + 3 * r + k) % 20] for h in range(20) for r in range(3) for k in (0, 1)]).unique(
    dim=0
)


def make(**options: Any) -> ExactNegativeSampler:
    return ExactNegativeSampler(**{"mapped_triples": TRIPLES, "num_negs_per_pos": 5, **options})


@pytest.mark.parametrize("shape", [(8,), (2, 4)])
def test_negatives_have_the_shape_that_pykeen_expects_and_are_unknown(shape: tuple[int, ...]) -> None:
    positives = TRIPLES[:8].reshape(*shape, 3)
    negatives, mask = make().sample(positives)
    assert negatives.shape == (*shape, 5, 3)
    assert negatives.dtype == torch.int64
    assert mask is None
    known = set(map(tuple, TRIPLES.tolist()))
    flat = list(map(tuple, negatives.reshape(-1, 3).tolist()))
    assert not known & set(flat)
    assert make().corrupt_batch(positives).shape == negatives.shape


def test_runs_of_one_random_seed_draw_the_same_and_batches_differ() -> None:
    def three() -> list[Any]:
        torch.manual_seed(1)
        sampler = pickle.loads(pickle.dumps(make()))
        return [sampler.sample(TRIPLES[:20])[0].tolist() for _ in range(3)]

    first = three()
    assert three() == first
    assert first[0] != first[1] != first[2]


def test_missing_negatives_are_masked() -> None:
    triples = torch.tensor([[0, 0, 1], [0, 0, 2], [3, 0, 1]])
    sampler = make(mapped_triples=triples, num_entities=4, side="tail")
    negatives, mask = sampler.sample(triples)
    assert mask is not None
    assert mask.tolist() == [[True, True, False, False, False]] * 2 + [[True, True, True, False, False]]
    assert (negatives[~mask] == triples[:, None].expand(-1, 5, -1)[~mask]).all()


def test_options_reach_the_corruptor() -> None:
    types = pseudo_typed(TRIPLES)
    negatives, mask = make(sources=types, side="head", known=torch.tensor([[0, 0, 5]])).sample(TRIPLES[:30])
    valid = negatives if mask is None else negatives[mask]
    assert (valid.reshape(-1, 3)[:, 0] < 20).all()
    kept = negatives[:, :, 2] == TRIPLES[:30, None, 2]
    assert kept.all()


def test_triples_that_are_not_in_the_training_set_are_refused() -> None:
    sampler = make()
    free = next([0, 0, t] for t in range(20) if [0, 0, t] not in TRIPLES.tolist())
    with pytest.raises(NegmineValueError, match="`positive_batch` must hold training triples"):
        sampler.sample(torch.tensor([free]))
    with pytest.raises(NegmineValueError, match="`side` must be one of"):
        make(side="left")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, {"side": "bernoulli"}], ids=["both", "bernoulli"])
def test_the_pipeline_trains_with_it(options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSTOW_HOME", str(tmp_path))
    from pykeen.pipeline import pipeline

    def losses() -> list[float]:
        result = pipeline(
            dataset="nations",
            model="TransE",
            model_kwargs={"embedding_dim": 8},
            training_loop="sLCWA",
            negative_sampler=ExactNegativeSampler,
            negative_sampler_kwargs={"num_negs_per_pos": 4, **options},
            optimizer_kwargs={"lr": 0.05},
            training_kwargs={"num_epochs": 2, "batch_size": 256, "use_tqdm": False},
            evaluation_kwargs={"use_tqdm": False},
            random_seed=3,
            device="cpu",
        )
        assert result.get_metric("mrr") > 0
        return list(result.losses)

    first = losses()
    assert np.isfinite(first).all()
    assert first[1] < first[0]
    assert losses() == first
