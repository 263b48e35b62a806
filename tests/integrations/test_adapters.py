"""What adapters do without a training: factories, their errors, and the warning of a second sharding."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from negmine.batches import cluster_plan, no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning
from negmine.torch import PlanBatchSampler, RaggedBatchSampler
from shuffled import PLAN, make

# ---- accelerate


@pytest.mark.parametrize("skip", [0, 2])
def test_a_second_sharding_is_warned_of(skip: int) -> None:
    loading = pytest.importorskip("accelerate.data_loader")
    shard = loading.BatchSamplerShard(make(2, 0), num_processes=2, process_index=0)
    with pytest.warns(NegmineWarning, match="accelerate deals out the batches of a sampler that already keeps to one"):
        list(loading.SkipBatchSampler(shard, skip) if skip else shard)


def test_one_sharding_is_not() -> None:
    loading = pytest.importorskip("accelerate.data_loader")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shards = [list(loading.BatchSamplerShard(make(), num_processes=2, process_index=rank)) for rank in (0, 1)]
        assert list(loading.BatchSamplerShard(make(2, 0), num_processes=1, process_index=0)) == shards[0]
    assert shards == [list(make(2, rank)) for rank in (0, 1)]


def test_accelerate_keeps_ragged_batches() -> None:
    loading = pytest.importorskip("accelerate.data_loader")
    plan = no_duplicate_plan(
        [0] * 5 + list(range(1, 14)), range(18), batch_size=3, batches_per_step=2, conflicts="extend"
    )
    assert plan.batch_size is None
    shards = [
        list(loading.BatchSamplerShard(RaggedBatchSampler(plan), num_processes=2, process_index=rank))
        for rank in (0, 1)
    ]
    assert [batch for turn in zip(*shards, strict=True) for batch in turn] == list(RaggedBatchSampler(plan))
    assert len({len(batch) for shard in shards for batch in shard}) > 1


EPOCHS = [[PLAN.batch(epoch, index).tolist() for index in range(len(PLAN))] for epoch in range(5)]
READ_AGAIN = "Epoch {} was handed out to its end, and epoch {} "


def prepared(processes: int, stateful: bool = False) -> Any:
    """Make what `Accelerator.prepare` makes of a loader, on the first process."""
    loading = pytest.importorskip("accelerate.data_loader")
    if stateful:
        pytest.importorskip("torchdata.stateful_dataloader")
    sampler: Any = make()
    if processes > 1:
        sampler = loading.BatchSamplerShard(sampler, num_processes=processes, process_index=0)
    return loading.DataLoaderShard(torch.arange(48), batch_sampler=sampler, use_stateful_dataloader=stateful)


def read(loader: Any) -> list[list[int]]:
    return [batch.tolist() for batch in loader]


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("stateful", [False, True])
def test_accelerate_resumes_where_the_epoch_is_set_first(processes: int, stateful: bool) -> None:
    loading = pytest.importorskip("accelerate.data_loader")
    interrupted, resumed = (prepared(processes, stateful) for _ in range(2))
    interrupted.set_epoch(2)
    batches = iter(interrupted)
    for _ in range(5):
        next(batches)
    resumed.set_epoch(2)
    if stateful:
        resumed.load_state_dict(interrupted.state_dict())
        rest = read(resumed)
    else:
        rest = read(loading.skip_first_batches(resumed, 5))
    assert rest == EPOCHS[2][::processes][5:]
    for epoch in (3, 4):
        resumed.set_epoch(epoch)
        assert read(resumed) == EPOCHS[epoch][::processes]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_epoch_that_accelerate_repeats_after_resuming_is_warned_of(processes: int) -> None:
    loading = pytest.importorskip("accelerate.data_loader")
    loader = prepared(processes)
    assert read(loading.skip_first_batches(loader, 5)) == EPOCHS[0][::processes][5:]
    with pytest.warns(NegmineWarning, match=READ_AGAIN.format(0, 0) + "is handed out again, .*`loader.set_epoch"):
        assert read(loader) == EPOCHS[0][::processes]
    # Set once, but not at the start of the next epoch.
    loader = prepared(processes)
    loader.set_epoch(2)
    read(loading.skip_first_batches(loader, 5))
    with pytest.warns(NegmineWarning, match=READ_AGAIN.format(2, 2)):
        read(loader)


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("epoch", [1, 3])
def test_an_epoch_that_a_stateful_loader_goes_back_to_is_warned_of(epoch: int) -> None:
    interrupted, resumed = (prepared(1, stateful=True) for _ in range(2))
    interrupted.set_epoch(epoch)
    next(iter(interrupted))
    resumed.load_state_dict(interrupted.state_dict())
    assert read(resumed) == EPOCHS[epoch][1:]
    with pytest.warns(NegmineWarning, match=READ_AGAIN.format(epoch, 1)):
        assert read(resumed) == EPOCHS[1]


# ---- transformers


def test_the_callback_reaches_what_it_is_given_or_finds() -> None:
    callbacks = pytest.importorskip("negmine.integrations.transformers")
    state = type("State", (), {"epoch": 2.0000001})()
    given, found = make(), make()
    callbacks.SetEpochCallback(given).on_epoch_begin(None, state, None, train_dataloader=None)
    shard = type("Shard", (), {"batch_sampler": found})()
    skip = type("Skip", (), {"batch_sampler": shard})()
    loader = type("Loader", (), {"batch_sampler": skip, "sampler": object()})()
    callbacks.SetEpochCallback().on_epoch_begin(None, state, None, train_dataloader=loader)
    assert (given.epoch, found.epoch) == (2, 2)
    parts = [make(), make()]
    several = type("Loader", (), {"batch_sampler": type("Several", (), {"batch_samplers": parts})()})()
    callbacks.SetEpochCallback().on_epoch_begin(None, state, None, train_dataloader=several)
    assert [part.epoch for part in parts] == [2, 2]


# ---- Lightning


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("in_a_hook", [False, True])
def test_lightning_is_told_not_to_replace_the_sampler(tmp_path: Path, in_a_hook: bool) -> None:
    # It puts a sampler of its own into every batch sampler to predict, and to train on several devices.
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def predict_step(self, batch: Any, index: int) -> Any:
            return batch

        def predict_dataloader(self) -> Any:
            return DataLoader(torch.arange(48), batch_sampler=make())

    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path, devices=1
    )
    module = Module()
    with pytest.raises(NegmineTypeError, match=r"`sampler` must be None: PlanBatch.*use_distributed_sampler=False"):
        trainer.predict(module, None if in_a_hook else module.predict_dataloader())


# ---- sentence-transformers


def factory(**options: Any) -> Any:
    """Make the factory, pickled as a checkpoint has it."""
    adapter = pytest.importorskip("negmine.integrations.sentence_transformers")
    return pickle.loads(pickle.dumps(adapter.no_duplicate_batch_sampler(**options)))


def rows(**columns: Any) -> Any:
    return pytest.importorskip("datasets").Dataset.from_dict(columns)


def called(dataset: Any, *, labels: Any = (), **options: Any) -> Any:
    """Call a factory as the trainer does."""
    return factory(**options)(
        dataset, batch_size=2, drop_last=False, valid_label_columns=labels, generator=None, seed=3
    )


def test_texts_are_compared_whole_and_nulls_are_none() -> None:
    data = rows(
        anchor=["a", "b", "c", "d"],
        positive=["x", "y", "z", "x"],
        negative=[None, "z", None, None],
        extra=["", "", "", ""],
    )
    sampler = called(data)
    plan = no_duplicate_plan(list("abcd"), ["x", "y", "z", "x"], [[""], ["z"], [""], [""]], batch_size=2, seed=3)
    assert isinstance(sampler, PlanBatchSampler)
    assert list(sampler) == plan.epoch(0).tolist()
    # Of two rows with the same text, be it empty, in the positive column one conflicts with the other.
    clash = rows(anchor=["a", "b"], positive=["", ""])
    with pytest.raises(NegmineValueError, match=r"must be smaller for these ids \(1 is enough\)"):
        called(clash)


def test_selected_and_joined_data_sets_are_read_in_their_order() -> None:
    datasets = pytest.importorskip("datasets")
    data = rows(anchor=[f"q{i}" for i in range(12)], positive=[f"d{i % 5}" for i in range(12)])
    mixed = datasets.concatenate_datasets([data.select(range(7)), data.select(range(7, 12))]).shuffle(seed=1)
    for batch in called(mixed, strict=True):
        assert len(set(mixed[batch]["positive"])) == 2


def test_integers_and_labels() -> None:
    data = rows(anchor=[5, 6, 7, 8], positive=[1, 2, 3, 1], label=[0.5, 0.5, 0.5, 0.5], dataset_name=["s"] * 4)
    plan = no_duplicate_plan([5, 6, 7, 8], [1, 2, 3, 1], batch_size=2, seed=3)
    assert list(called(data, labels=["labels", "label"])) == plan.epoch(0).tolist()


def adapter() -> Any:
    return pytest.importorskip("negmine.integrations.sentence_transformers")


def ask(make: Any, dataset: Any, batch_size: int = 2) -> Any:
    """Call a factory, pickled as a checkpoint has it, as the trainer does."""
    return pickle.loads(pickle.dumps(make))(dataset, batch_size=batch_size, drop_last=True)


LETTERS = {"anchor": list("abcdefgh"), "positive": list("ABCDEFGH")}


def test_a_plan_belongs_to_the_rows_that_it_was_made_for() -> None:
    datasets = pytest.importorskip("datasets")
    data = {"letters": rows(**LETTERS), "turned": rows(**{name: of[::-1] for name, of in LETTERS.items()})}
    plans = {name: cluster_plan(np.arange(8) // 2, batch_size=2, seed=seed) for seed, name in enumerate(data)}
    make = adapter().plan_batch_sampler(plans, datasets.DatasetDict(data))
    for name, dataset in data.items():
        sampler = ask(make, dataset)
        assert isinstance(sampler, PlanBatchSampler)
        assert list(sampler) == plans[name].epoch(0).tolist()
    one = adapter().plan_batch_sampler(plans["letters"], data["letters"])
    assert list(ask(one, data["letters"])) == plans["letters"].epoch(0).tolist()
    for other in (
        data["letters"].shuffle(seed=1),
        data["letters"].select(range(7)),
        data["letters"].select([*range(7), 0]),
        data["letters"].rename_column("anchor", "query"),
        data["turned"],
    ):
        with pytest.raises(
            NegmineValueError, match=r"`dataset` must hold the rows that a plan was made for, in their ord"
        ):
            ask(one, other)
    with pytest.raises(NegmineValueError, match=r"plans for 8 rows \('letters'\), 8 rows \('turned'\)"):
        ask(make, rows(anchor=["a"]))
    with pytest.raises(NegmineValueError, match="`batch_size` must be that of the plan of 8 rows, 2; got 3"):
        ask(make, data["letters"], batch_size=3)


def test_the_rows_of_a_plan_are_known_however_they_are_stored() -> None:
    datasets = pytest.importorskip("datasets")
    columns: dict[str, list[Any]] = {
        "anchor": [*"abcdef", None, ""],
        "positive": [["x"], ["y", "z"], [], None, ["x", None], ["xy"], ["", "z"], ["z", ""]],
        "number": [1, None, 3, 4, 5, 6, 7, 8],
        "score": [0.5, None, 1.0, 2.0, -0.0, 3.0, 4.0, 5.0],
        "flag": [True, False, None, True, True, False, False, True],
    }
    data = rows(**columns)
    plan = cluster_plan(np.arange(8), batch_size=2)
    make = adapter().plan_batch_sampler(plan, data)
    parts = [data.select(range(3)), data.select(range(3, 8))]
    named = data.with_format("numpy")
    named.set_transform(lambda batch: {**batch, "dataset_name": ["x"] * len(batch["anchor"])})
    for same in (
        rows(**columns),
        datasets.concatenate_datasets(parts),
        datasets.concatenate_datasets(parts[::-1]).select([*range(5, 8), *range(5)]),
        data.with_format("torch"),
        named,
        data.cast_column("anchor", datasets.Value("large_string")),
    ):
        assert list(ask(make, same)) == plan.epoch(0).tolist()
    for name in columns:
        for row, value in ((0, None), (3, columns[name][5])):
            changed = {**columns, name: [*columns[name][:row], value, *columns[name][row + 1 :]]}
            with pytest.raises(NegmineValueError, match="`dataset` must hold the rows that a plan was made for"):
                ask(make, rows(**changed))
    moved = {**columns, "positive": [["x", "y"], ["z"], *columns["positive"][2:]]}
    with pytest.raises(NegmineValueError, match="`dataset` must hold the rows that a plan was made for"):
        ask(make, rows(**moved))


def test_plans_that_do_not_fit_their_data_sets_are_refused() -> None:
    data, plan = rows(**LETTERS), cluster_plan(np.arange(8) // 2, batch_size=2)
    other = cluster_plan(np.arange(8) // 4, batch_size=2)
    make = adapter().plan_batch_sampler
    with pytest.raises(NegmineTypeError, match="`plans` must hold plans; got int"):
        make(3, data)
    with pytest.raises(NegmineTypeError, match=r"`datasets` must be a datasets\.Dataset; got list"):
        make(plan, [LETTERS])
    with pytest.raises(NegmineTypeError, match=r"`datasets\['a'\]` must be a datasets\.Dataset; got dict"):
        make({"a": plan}, {"a": LETTERS})
    with pytest.raises(NegmineTypeError, match="`plans` must be a mapping where `datasets` is; got ClusterPlan"):
        make(plan, {"a": data})
    with pytest.raises(NegmineTypeError, match="`datasets` must be a mapping where `plans` is; got Dataset"):
        make({"a": plan}, data)
    with pytest.raises(NegmineValueError, match=r"one plan for each name of `datasets`, \['a', 'b'\]; got \['a'\]"):
        make({"a": plan}, {"a": data, "b": data})
    with pytest.raises(NegmineValueError, match="`plans` must hold one plan for each name"):
        make({}, {})
    with pytest.raises(NegmineValueError, match="`datasets` must have the 8 rows that its plan was made for; got 7"):
        make(plan, data.select(range(7)))
    with pytest.raises(
        NegmineValueError, match="`datasets` must differ where plans do; got the same rows as 'a' and as"
    ):
        make({"a": plan, "b": other}, {"a": data, "b": data})
    assert len(ask(make({"a": plan, "b": plan}, {"a": data, "b": data}), data)) == len(plan)


def test_a_ragged_plan_makes_a_ragged_sampler() -> None:
    data = rows(anchor=list("aab"), positive=list("xyz"))
    plan = no_duplicate_plan(list("aab"), list("xyz"), batch_size=3, conflicts="extend")
    assert isinstance(ask(adapter().plan_batch_sampler(plan, data), data), RaggedBatchSampler)


def test_the_entries_of_lists_are_documents() -> None:
    lists = [["u", "v"], ["w"], ["v", "x"], [], ["y", None], ["w", "u"]]
    matrix = [[*(entry or "" for entry in entries), "", ""][:2] for entries in lists]
    for positive in (list("ABCDEF"), ["A", "w", "B", "y", "u", "C"]):
        data = rows(anchor=list("abcdef"), positive=positive, negatives=lists, extra=list("......"))
        own = [[*row, "."] for row in matrix]
        plan = no_duplicate_plan(list("abcdef"), positive, own, batch_size=2, seed=3)
        assert list(called(data)) == plan.epoch(0).tolist()
    # Positives too; a row whose list names a document of another row conflicts with it.
    data = rows(anchor=list("abcd"), positive=[["x", "y"], ["y"], ["z"], ["z", "x"]])
    plan = no_duplicate_plan(list("abcd"), [["x", "y"], ["y", ""], ["z", ""], ["z", "x"]], batch_size=2, seed=3)
    assert list(called(data)) == plan.epoch(0).tolist()
    numbers = rows(anchor=[1, 2, 3, 4], positive=[[1, 2], [2], [3], [3, 1]], negative=[7, 8, None, 9])
    assert len(called(numbers)) == 2


@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_lists_of_every_kind_are_read(kind: str) -> None:
    datasets = pytest.importorskip("datasets")
    feature = {
        "list": datasets.List(datasets.Value("string")),
        "large_list": datasets.LargeList(datasets.Value("large_string")),
        "fixed": datasets.List(datasets.Value("string"), length=2),
    }[kind]
    columns = {
        "anchor": list("abcd"),
        "positive": list("ABCD"),
        "negatives": [["A", "x"], ["B", "y"], None, ["z", "D"]],
    }
    features = datasets.Features(
        {"anchor": datasets.Value("string"), "positive": datasets.Value("string"), "negatives": feature}
    )
    data = datasets.Dataset.from_dict(columns, features=features)
    matrix = [["A", "x"], ["B", "y"], ["", ""], ["z", "D"]]
    plan = no_duplicate_plan(columns["anchor"], columns["positive"], matrix, batch_size=2, seed=3)
    assert list(called(data)) == plan.epoch(0).tolist()


def test_an_anchor_that_is_a_list_is_compared_whole() -> None:
    anchors = [["a", "b"], ["b", "a"], ["a", "b"], ["a"], [], None]
    data = rows(anchor=anchors, positive=list("ABCDEF"))
    plan = no_duplicate_plan([2, 3, 2, 1, -1, -1], list("ABCDEF"), batch_size=3, seed=3)
    sampler = factory()(data, batch_size=3, drop_last=False, valid_label_columns=[], seed=3)
    assert list(sampler) == plan.epoch(0).tolist()


def test_all_label_columns_are_left_out() -> None:
    columns = {"anchor": [5, 6, 7, 8], "positive": [1, 2, 3, 1]}
    plan = no_duplicate_plan([5, 6, 7, 8], [1, 2, 3, 1], batch_size=2, seed=3)
    data = rows(label=[0.5] * 4, **columns, score=[0.1] * 4, labels=[[1, 0]] * 4)
    for names in (["label", "labels", "score", "scores"], None):
        assert list(called(data, labels=names)) == plan.epoch(0).tolist()


@pytest.mark.parametrize("drop_last", [False, True])
def test_an_evaluation_set_of_any_size_is_batched(drop_last: bool) -> None:
    for n in (1, 5, 8, 19):
        data = rows(anchor=[f"q{row}" for row in range(n)], positive=[f"d{row}" for row in range(n)])
        sampler = factory(remainder="short")(data, batch_size=8, drop_last=drop_last)
        assert isinstance(sampler, RaggedBatchSampler)
        batches = list(sampler)
        assert [len(batch) for batch in batches] == [8] * (n // 8) + [n % 8] * (n % 8 > 0)
        assert sorted(row for batch in batches for row in batch) == list(range(n))
    data = rows(anchor=list("abcde"), positive=list("ABCDE"))
    with pytest.raises(NegmineValueError, match=r"rows, 5; got 8 x 1\. `remainder='short'` takes fewer rows"):
        factory()(data, batch_size=8, drop_last=drop_last)
    with pytest.raises(NegmineValueError, match="`remainder` must be one of 'pad', 'short'; got 'drop'"):
        factory(remainder="drop")


def test_ragged_batches_are_ragged() -> None:
    data = rows(anchor=list("aaaabc"), positive=list("uvwxyz"))
    sampler = called(data, conflicts="extend")
    assert isinstance(sampler, RaggedBatchSampler)
    assert sorted(row for batch in sampler for row in batch) == list(range(6))


def test_bad_data_sets_are_named() -> None:
    for positive in ([[1.0], [2.0]], [0.5, 1.5], [[["x"]], [["y"]]]):
        with pytest.raises(
            NegmineTypeError, match="`dataset` must hold texts, integers or lists of them in column 'positive'"
        ):
            called(rows(anchor=["a", "b"], positive=positive))
    with pytest.raises(NegmineTypeError, match="alike in columns"):
        called(rows(anchor=["a", "b"], positive=["x", "y"], negative=[1, 2]))
    with pytest.raises(NegmineValueError, match="`dataset` must have columns of anchor and positive; got"):
        called(rows(anchor=["a", "b"], label=[1.0, 0.0]), labels=["label"])
    with pytest.raises(NegmineValueError, match="must be at most the number of rows"):
        called(rows(anchor=["a"], positive=["x"]))
    with pytest.raises(NegmineTypeError, match=r"`dataset` must be a datasets\.Dataset; got list"):
        called([{"anchor": "a", "positive": "x"}])
    with pytest.raises(NegmineTypeError, match=r"`dataset` must be a datasets\.Dataset; got DatasetDict"):
        called(pytest.importorskip("datasets").DatasetDict({"part": rows(anchor=["a"], positive=["x"])}))
    with pytest.raises(NegmineValueError, match=r"`dataset` must fit int64 in column 'positive'; .*2036854775808"):
        called(rows(anchor=[1, 2], positive=np.array([1, 2**63], dtype=np.uint64)))
    with pytest.raises(NegmineValueError, match="`conflicts` must be one of"):
        factory(conflicts="resample")
    with pytest.raises(NegmineValueError, match="`batches_per_step` must be at least 1"):
        factory(batches_per_step=0)
