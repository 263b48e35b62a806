"""Factories that mix the batches of several data sets, called as the trainer of sentence-transformers calls them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from torch.utils.data import BatchSampler, ConcatDataset, RandomSampler, SequentialSampler

from negmine.batches import cluster_plan, mixture_plan
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.torch import PlanBatchSampler, RaggedBatchSampler
from negmine.torch.testing import check_batch_sampler

adapter = pytest.importorskip("negmine.integrations.sentence_transformers")

SIZES = (24, 24, 12)
DATA: Any = ConcatDataset([range(size) for size in SIZES])


def planned(size: int, batch_size: int = 4, **options: Any) -> PlanBatchSampler:
    return PlanBatchSampler(cluster_plan(np.arange(size) // 2, batch_size=batch_size, seed=3, **options))


def random(size: int, batch_size: int = 4, drop_last: bool = True) -> BatchSampler:
    return BatchSampler(RandomSampler(range(size)), batch_size=batch_size, drop_last=drop_last)


def ask(make: Any, samplers: list[Any], dataset: Any = DATA, seed: int | None = 3) -> Any:
    """Call a factory, pickled as a checkpoint has it, as the trainer does."""
    return pickle.loads(pickle.dumps(make))(dataset=dataset, batch_samplers=samplers, generator=None, seed=seed)


def source(batch: list[int]) -> int:
    """Find the data set that all rows of a batch are of."""
    found = {int(np.searchsorted(np.cumsum(SIZES), row, side="right")) for row in batch}
    assert len(found) == 1, "a batch is of one data set"
    return found.pop()


@pytest.mark.parametrize("make_child", [planned, random])
def test_an_epoch_uses_every_row_once(make_child: Any) -> None:
    sampler = ask(adapter.mixture_batch_sampler(), [make_child(size) for size in SIZES])
    assert isinstance(sampler, PlanBatchSampler)
    for _ in range(2):
        batches = list(sampler)
        assert len(batches) == len(sampler) == 15
        assert sorted(row for batch in batches for row in batch) == list(range(sum(SIZES)))
        assert sorted(map(source, batches)) == [0] * 6 + [1] * 6 + [2] * 3


def test_batches_are_those_of_the_plans() -> None:
    children = [planned(size) for size in SIZES]
    plan = mixture_plan([child.plan for child in children], weights=[1, 0, 0], seed=3)
    assert list(ask(adapter.mixture_batch_sampler([1, 0, 0]), children)) == plan.epoch(0).tolist()


@pytest.mark.parametrize("make_child", [planned, random])
def test_data_sets_of_the_same_size_are_shuffled_differently(make_child: Any) -> None:
    sampler = ask(adapter.mixture_batch_sampler("round_robin"), [make_child(24), make_child(24), make_child(12)])
    batches = list(sampler)
    assert [source(batch) for batch in batches] == [0, 1, 2] * 3
    assert all([row + 24 for row in a] != b for a, b in zip(batches[0::3], batches[1::3], strict=True))


def test_weights_are_shares_of_batches() -> None:
    sampler = ask(adapter.mixture_batch_sampler([4, 1, 1], batches_per_epoch=12), [planned(size) for size in SIZES])
    for _ in range(3):
        assert sorted(map(source, sampler)) == [0] * 8 + [1] * 2 + [2] * 2


def test_steps_of_several_processes_are_of_one_data_set() -> None:
    for children in ([planned(24, batches_per_step=2) for _ in range(2)], [random(24) for _ in range(2)]):
        sampler = ask(
            adapter.mixture_batch_sampler([1, 3], batches_per_step=2), children, ConcatDataset([range(24)] * 2)
        )
        batches = list(sampler)
        assert len(batches) % 2 == 0
        assert all(source(a) == source(b) for a, b in zip(batches[0::2], batches[1::2], strict=True))


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [4, 4]), (False, [2, 4, 4])])
def test_random_batches_end_as_the_trainer_wants(drop_last: bool, sizes: list[int]) -> None:
    data: Any = ConcatDataset([range(10)])
    sampler = ask(adapter.mixture_batch_sampler(), [random(10, drop_last=drop_last)], data)
    assert isinstance(sampler, PlanBatchSampler if drop_last else RaggedBatchSampler)
    assert sorted(map(len, sampler)) == sizes


def test_it_keeps_the_contracts_of_a_batch_sampler() -> None:
    def make(num_replicas: int, rank: int) -> PlanBatchSampler:
        mixture = adapter.mixture_batch_sampler([2, 1, 1], batches_per_step=2)
        sampler = ask(mixture, [planned(24, batches_per_step=2) for _ in SIZES], ConcatDataset([range(24)] * 3))
        return PlanBatchSampler(sampler.plan, num_replicas=num_replicas, rank=rank)

    check_batch_sampler(make, world_sizes=(1, 2), start_methods=("fork",), persistent_workers=(False,))


def test_a_missing_seed_is_0() -> None:
    children = [random(size) for size in SIZES]
    seeds = [list(ask(adapter.mixture_batch_sampler(), children, seed=seed)) for seed in (None, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_wrong_options_are_refused() -> None:
    make = adapter.mixture_batch_sampler
    for weights in ([], [1, -1], [0, 0], [np.inf]):
        with pytest.raises(NegmineValueError, match="`weights` must be finite, at least 0, and not all 0"):
            make(weights)
    with pytest.raises(NegmineValueError, match="`weights` must be"):
        make("equal")
    with pytest.raises(NegmineValueError, match="`weights` must have shape"):
        make(3)
    with pytest.raises(NegmineValueError, match="`batches_per_epoch` must be None if `weights` is 'round_robin'"):
        make("round_robin", batches_per_epoch=3)
    with pytest.raises(NegmineValueError, match="`batches_per_epoch` must be"):
        make([1], batches_per_epoch=1, batches_per_step=2)
    with pytest.raises(NegmineValueError, match="`batches_per_step` must be"):
        make(batches_per_step=0)
    with pytest.raises(NegmineTypeError, match="has no option 'weight'"):
        make(weight=[1])


def test_samplers_that_do_not_fit_are_refused() -> None:
    make = adapter.mixture_batch_sampler()
    children: list[Any] = [planned(size) for size in SIZES]
    with pytest.raises(NegmineTypeError, match="`dataset` must be a ConcatDataset; got range"):
        ask(make, children, range(60))
    with pytest.raises(NegmineValueError, match="`batch_samplers` must be one for each of the 3 data sets; got 2"):
        ask(make, children[:2])
    with pytest.raises(NegmineValueError, match="got 24 rows for data set 2, which has 12"):
        ask(make, [children[0], children[1], children[0]])
    others = BatchSampler(SequentialSampler(range(12)), batch_size=4, drop_last=True)
    with pytest.raises(
        NegmineTypeError, match=r"such as `no_duplicate_batch_sampler`, .*; got BatchSampler for data set 2"
    ):
        ask(make, [*children[:2], others])
    with pytest.raises(NegmineValueError, match="`weights` must have"):
        ask(adapter.mixture_batch_sampler([1, 2]), children)
    with pytest.raises(NegmineValueError, match="`batches_per_step` must be the same for all sources"):
        ask(adapter.mixture_batch_sampler(batches_per_step=2), children)


def test_no_duplicates_of_sentence_transformers_is_refused_by_name() -> None:
    samplers = pytest.importorskip("sentence_transformers.base.sampler")
    data = pytest.importorskip("datasets").Dataset.from_dict({"anchor": list("abcd"), "positive": list("wxyz")})
    theirs = samplers.NoDuplicatesBatchSampler(data, batch_size=2, drop_last=True, seed=1)
    with pytest.raises(NegmineTypeError, match="got NoDuplicatesBatchSampler for data set 0"):
        ask(adapter.mixture_batch_sampler(), [theirs], ConcatDataset([data]))
    default = samplers.DefaultBatchSampler(RandomSampler(data), batch_size=2, drop_last=True, seed=1)
    batches = ask(adapter.mixture_batch_sampler(), [default], ConcatDataset([data]))
    assert sorted(row for batch in batches for row in batch) == [0, 1, 2, 3]
