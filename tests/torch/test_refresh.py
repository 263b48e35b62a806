"""Clusters that are replaced while training goes on, as NGAME does it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import negmine
from negmine.batches import NgameSchedule, cluster_plan
from negmine.errors import NegmineValueError
from negmine.torch import ClusterBatchSampler

OLD, NEW = np.repeat(np.arange(12), 4), np.tile(np.arange(6), 8)


def make(labels: np.ndarray = OLD) -> ClusterBatchSampler:
    return ClusterBatchSampler(labels, batch_size=8, batches_per_step=2)


def expected(labels: np.ndarray, epoch: int) -> list[list[int]]:
    plan = cluster_plan(labels, batch_size=8, batches_per_step=2)
    return [batch.tolist() for batch in plan.epoch(epoch)]


def test_an_epoch_keeps_its_clusters_and_the_next_takes_the_new_ones() -> None:
    sampler = make()
    iterator = iter(sampler)
    first = [next(iterator) for _ in range(2)]
    sampler.refresh(NEW)
    assert first + list(iterator) == expected(OLD, 0)
    assert list(sampler) == expected(NEW, 1)


def test_between_epochs_they_are_taken_at_once() -> None:
    sampler = make()
    sampler.refresh(NEW)
    assert sampler.plan.digest == make(NEW).plan.digest
    assert sampler.state_dict_at(0, 2) == make(NEW).state_dict_at(0, 2)
    assert list(sampler) == expected(NEW, 0)
    sampler.refresh(OLD)
    assert sampler.state_dict() == {**make(OLD).state_dict(), "epoch": 1}


def test_an_epoch_left_early_begins_again_with_the_new_ones() -> None:
    for leave in (lambda sampler: None, lambda sampler: sampler.set_epoch(1)):
        sampler = make()
        next(iter(sampler))
        sampler.refresh(NEW)
        leave(sampler)
        assert list(sampler) == expected(NEW, sampler.epoch - 1)


def test_workers_that_read_ahead_keep_one_plan_within_an_epoch() -> None:
    sampler = make()
    loader = DataLoader(torch.arange(48), batch_sampler=sampler, num_workers=2)
    seen = []
    for number, batch in enumerate(loader):
        if number == 1:
            sampler.refresh(NEW)
        seen.append(batch.tolist())
    assert seen == expected(OLD, 0)
    assert [batch.tolist() for batch in loader] == expected(NEW, 1)


def test_the_state_of_batches_trained_on_is_of_their_clusters_though_all_were_read() -> None:
    sampler = make()
    loader = DataLoader(torch.arange(48), batch_sampler=sampler, num_workers=2, prefetch_factor=8)
    iterator = iter(loader)
    seen = [next(iterator).tolist() for _ in range(2)]
    assert sampler.epoch == 1  # the workers have the whole epoch
    sampler.refresh(NEW)
    state = sampler.state_dict_at(0, 2)
    del iterator
    resumed = make(OLD)
    resumed.load_state_dict(state)
    assert seen + list(resumed) == expected(OLD, 0)
    assert sampler.state_dict_at(0, len(sampler)) == make(NEW).state_dict_at(1, 0)


def test_a_state_inside_an_epoch_is_of_the_clusters_that_it_uses() -> None:
    sampler = make()
    next(iter(sampler))
    sampler.refresh(NEW)
    state = copy.deepcopy(sampler.state_dict())
    with pytest.raises(NegmineValueError, match="digest"):
        make(NEW).load_state_dict(state)
    resumed = make(OLD)
    resumed.load_state_dict(state)
    resumed.refresh(NEW)  # as the first run did, for the next epoch
    assert list(resumed) == expected(OLD, 0)[1:]
    assert list(resumed) == expected(NEW, 1)


def test_other_rows_are_refused_and_change_nothing() -> None:
    sampler = make()
    with pytest.raises(NegmineValueError, match=r"`clusters` must leave n_rows as it is, .*; got 40 after 48"):
        sampler.refresh(OLD[:40])
    with pytest.raises(NegmineValueError, match="`clusters` must have no empty cluster"):
        sampler.refresh(OLD * 2)
    assert list(sampler) == expected(OLD, 0)


def test_a_schedule_of_ngame_and_a_resumption(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((96, 8)).astype(np.float32)
    schedule = NgameSchedule(curriculum=(1, 2, 4), refresh_every=1, largest_size=8)

    def start(sampler: ClusterBatchSampler, epoch: int) -> None:
        if schedule.refresh(epoch):
            embedded = rows + np.float32(0.1 * epoch)
            clusters = negmine.balanced_clusters(embedded, n_clusters=schedule.n_clusters(epoch, 96))
            clusters.save(tmp_path / f"{epoch}.npz")
            sampler.refresh(clusters)
        sampler.set_epoch(epoch)

    sampler = ClusterBatchSampler(np.arange(96), batch_size=16, seed=3)
    seen, states = [], []
    for epoch in range(6):
        start(sampler, epoch)
        iterator = iter(sampler)
        batches = [next(iterator) for _ in range(4)]
        states.append(sampler.state_dict())
        seen.append(batches + list(iterator))
        assert sorted(row for batch in seen[-1] for row in batch) == list(range(96))
    sizes = [len(negmine.Clusters.load(tmp_path / f"{epoch}.npz")) for epoch in range(1, 6)]
    assert sizes == [48, 24, 24, 12, 12]

    # Stopped in epoch 3, and resumed from the clusters that lie beside the checkpoint.
    resumed = ClusterBatchSampler(negmine.Clusters.load(tmp_path / "3.npz"), batch_size=16, seed=3)
    resumed.load_state_dict(states[3])
    assert list(resumed) == seen[3][4:]
    for epoch in (4, 5):
        start(resumed, epoch)
        assert list(resumed) == seen[epoch]
