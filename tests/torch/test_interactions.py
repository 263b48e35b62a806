"""Implicit feedback: the columns of a batch, and the same batches from any workers and start method."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.sampling import NegativeSampler
from negmine.torch import InteractionsDataset, collate

RNG = np.random.default_rng(0)
N_ITEMS = 30
LIKES = [sorted(set(RNG.integers(0, N_ITEMS, 12).tolist())) for _ in range(9)] + [list(range(N_ITEMS - 2))]
USERS = np.repeat(np.arange(10), [len(items) for items in LIKES])
ITEMS = np.concatenate(LIKES)


def make(**options: Any) -> InteractionsDataset:
    sampler = NegativeSampler(LIKES, n_documents=N_ITEMS, sources=["uniform", "popularity"], shares=[1, 1], seed=3)
    return InteractionsDataset(USERS, ITEMS, sampler, **{"num_negatives": 4, **options})


def batches(loader: DataLoader[Any]) -> list[dict[str, list[Any]]]:
    return [{name: values.tolist() for name, values in batch.items()} for batch in loader]


def test_a_batch_has_what_a_loss_needs() -> None:
    batch = collate(make().__getitems__(list(range(len(USERS)))))
    assert {name: (values.dtype, tuple(values.shape[1:])) for name, values in batch.items()} == {
        "user": (torch.int64, ()),
        "positive": (torch.int64, ()),
        "negatives": (torch.int64, (4,)),
        "mask": (torch.bool, (4,)),
        "log_q": (torch.float32, (4,)),
    }
    np.testing.assert_array_equal(batch["user"], USERS)
    np.testing.assert_array_equal(batch["positive"], ITEMS)
    for user, negatives, mask in zip(USERS, batch["negatives"].tolist(), batch["mask"].tolist(), strict=True):
        own = [item for item, present in zip(negatives, mask, strict=True) if present]
        assert not set(own) & set(LIKES[user])
        assert len(set(own)) == len(own) == min(4, N_ITEMS - len(LIKES[user]))
    assert (batch["negatives"][~batch["mask"]] == -1).all()
    assert (batch["log_q"][~batch["mask"]] == 0).all()
    assert (batch["log_q"] <= 0).all()
    # The pairs of one user have draws of their own.
    assert len(set(map(tuple, batch["negatives"][USERS == 0].tolist()))) > 5


def test_a_sample_is_the_same_in_any_batch_and_differs_between_epochs() -> None:
    dataset = make()
    whole = dataset.__getitems__(list(range(len(USERS))))
    for row in (0, 40, len(USERS) - 1):
        for name, value in dataset[row - len(USERS)].items():
            np.testing.assert_array_equal(value, whole[row][name])
    dataset.set_epoch(1)
    later = dataset.__getitems__(list(range(len(USERS))))
    assert (later.columns["negatives"] != whole.columns["negatives"]).any()
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again[5]["negatives"], later[5]["negatives"])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_agree_with_one_process(method: str) -> None:
    dataset = make()
    options: dict[str, Any] = {"batch_size": 16, "collate_fn": collate}
    alone = DataLoader(dataset, **options)
    loader = DataLoader(
        dataset, num_workers=2, persistent_workers=True, multiprocessing_context=method, timeout=180, **options
    )
    epochs = []
    for epoch in (0, 7):
        dataset.set_epoch(epoch)
        epochs.append(batches(loader))
        assert epochs[-1] == batches(alone)
    assert epochs[0] != epochs[1]


SAMPLER = NegativeSampler([[0], [1]], n_documents=3)
BAD: dict[str, tuple[Callable[[], object], type[NegmineError], str]] = {
    "sampler": (lambda: InteractionsDataset([0], [0], [0]), NegmineTypeError, "`sampler` must be a NegativeSampler"),  # type: ignore[arg-type]
    "users": (
        lambda: InteractionsDataset([2], [0], SAMPLER),
        NegmineValueError,
        "`users` must be rows of the sampler, below 2",
    ),
    "items": (
        lambda: InteractionsDataset([0], [3], SAMPLER),
        NegmineValueError,
        "`items` must be rows of the sampler, below 3",
    ),
    "length": (lambda: InteractionsDataset([0, 1], [0], SAMPLER), NegmineValueError, "`items` must have shape (2,)"),
    "none": (
        lambda: InteractionsDataset([0], [0], SAMPLER, 0),
        NegmineValueError,
        "`num_negatives` must be at least 1",
    ),
    "epoch": (
        lambda: InteractionsDataset([0], [0], SAMPLER).set_epoch(-1),
        NegmineValueError,
        "`epoch` must be at least",
    ),
    "index": (lambda: InteractionsDataset([0], [0], SAMPLER)["a"], NegmineTypeError, "`index` must be an integer"),  # type: ignore[index]
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_an_index_out_of_range_ends_an_iteration() -> None:
    with pytest.raises(IndexError):
        make()[len(USERS)]
