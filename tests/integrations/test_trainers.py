"""Trainers, run for real on one process and on two: which rows every step sees, also after a resumption."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainers
from negmine.batches import cluster_plan, no_duplicate_plan
from negmine.errors import NegmineValueError
from processes import output_of
from shuffled import PLAN

N = len(PLAN)


#: A whole training, with imports of its own on both processes, where the machine has much else to do. A hang is what a
#: limit is for, and how long a loaded machine takes is not: 22 s beside two busy processes were 117 s beside eight.
SECONDS = 900.0

#: The limit of the tests: two trainings, and the imports of this process.
TWO_TRAININGS = pytest.mark.timeout(2 * SECONDS + 300)


def run(name: str, folder: Path, **options: Any) -> list[trainers.Batches]:
    """Run a training on two processes under a limit, and read what each of them saw."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        trainers.__file__, name, str(folder), json.dumps(options),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    output_of(command, seconds=SECONDS, env=environment)
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]


def both(epochs: int, first: int = 0) -> list[trainers.Batches]:
    """Batches that each of two processes should see."""
    return [[batch for epoch in range(first, epochs) for batch in trainers.expected(epoch, 2, rank)] for rank in (0, 1)]


# ---- accelerate


def test_accelerate_on_one_process(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    assert trainers.accelerate() == trainers.expected(0) + trainers.expected(1)


@TWO_TRAININGS
@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_accelerate_on_two_processes(tmp_path: Path, workers: int) -> None:
    pytest.importorskip("accelerate")
    assert run("accelerate", tmp_path, workers=workers, epochs=3) == both(3)
    skipped = run("accelerate", tmp_path, workers=workers, epochs=3, first_epoch=1, skip=5)
    assert skipped == [seen[5:] for seen in both(3, first=1)]


# ---- transformers


@pytest.mark.parametrize("workers", [0, 2])
def test_transformers_on_one_process(tmp_path: Path, workers: int) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    whole = [batch for epoch in range(3) for batch in trainers.expected(epoch)]
    assert trainers.transformers(str(tmp_path), epochs=3, save_steps=N + 7, workers=workers) == whole
    checkpoint = str(tmp_path / f"checkpoint-{N + 7}")
    assert trainers.transformers(str(tmp_path), epochs=3, resume=checkpoint, workers=workers) == whole[N + 7 :]


@TWO_TRAININGS
@pytest.mark.slow
def test_transformers_on_two_processes(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    stop = N // 2 + 5
    assert run("transformers", tmp_path, epochs=3, save_steps=stop) == both(3)
    checkpoint = str(tmp_path / f"checkpoint-{stop}")
    resumed = run("transformers", tmp_path, epochs=3, resume=checkpoint)
    assert resumed == [seen[stop:] for seen in both(3)]


# ---- Lightning

LIGHTNING: dict[str, Any] = {"plain": {}, "workers": {"workers": 2}, "stateful": {"workers": 2, "state": True}}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("options", LIGHTNING.values(), ids=LIGHTNING)
@pytest.mark.parametrize("stop", [N + 5, 2 * N])
def test_lightning_on_one_process(tmp_path: Path, options: dict[str, Any], stop: int) -> None:
    pytest.importorskip("lightning")
    if options.get("state"):
        pytest.importorskip("torchdata.stateful_dataloader")
    whole = [batch for epoch in range(3) for batch in trainers.expected(epoch)]
    assert trainers.lightning(str(tmp_path), epochs=3, stop_after=stop, **options) == whole[:stop]
    resumed = trainers.lightning(str(tmp_path), epochs=3, resume=str(tmp_path / "stopped.ckpt"), **options)
    assert resumed == whole[stop:]


@TWO_TRAININGS
@pytest.mark.slow
def test_lightning_on_two_processes(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    assert run("lightning", tmp_path, epochs=2) == both(2)


# ---- sentence-transformers


def no_duplicates(epochs: int, batches_per_step: int = 1) -> trainers.Batches:
    """Batches of whole epochs, by the plan itself."""
    plan = no_duplicate_plan(range(64), trainers.DOCUMENTS, batch_size=4, batches_per_step=batches_per_step, seed=12)
    return [batch for epoch in range(epochs) for batch in plan.epoch(epoch).tolist()]


MOVED = pytest.mark.filterwarnings("ignore:Importing from 'sentence_transformers:DeprecationWarning")


@MOVED
def test_sentence_transformers_on_one_process(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    whole = no_duplicates(3)
    assert trainers.sentence_transformers(str(tmp_path), epochs=3, save_steps=21) == whole
    checkpoint = str(tmp_path / "checkpoint-21")
    assert trainers.sentence_transformers(str(tmp_path), epochs=3, resume=checkpoint) == whole[21:]


@MOVED
def test_sentence_transformers_with_a_plan(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    n = len(trainers.DOCUMENTS)
    train, held = (cluster_plan(np.arange(rows) // 4, batch_size=4, seed=5) for rows in (n, n // 2))
    seen = trainers.sentence_transformers(str(tmp_path), plans=[train, held], held=n // 2)
    assert len(seen) == 2 * (len(train) + len(held))
    for epoch in range(2):
        mine = seen[epoch * (len(train) + len(held)) :]
        assert mine[: len(train)] == train.epoch(epoch).tolist()
        evaluated = mine[len(train) : len(train) + len(held)]
        assert sorted(row for batch in evaluated for row in batch) == list(range(n // 2))


@MOVED
def test_sentence_transformers_evaluates_a_set_that_does_not_fill_its_batches(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    for held, sizes in ((3, [3]), (5, [4, 1])):
        seen = trainers.sentence_transformers(str(tmp_path), held=held, remainder="short")
        n = len(seen) // 2 - len(sizes)
        assert [*seen[:n], *seen[n + len(sizes) : -len(sizes)]] == no_duplicates(2)
        for evaluated in (seen[n : n + len(sizes)], seen[-len(sizes) :]):
            assert [len(batch) for batch in evaluated] == sizes
            assert sorted(row for batch in evaluated for row in batch) == list(range(held))


@MOVED
def test_sentence_transformers_is_stopped_before_it_trains_by_a_set_that_cannot_be_batched(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    seen: trainers.Batches = []
    with pytest.raises(NegmineValueError, match="`remainder='short'` takes fewer rows") as caught:
        trainers.sentence_transformers(str(tmp_path), held=3, seen=seen)
    assert caught.value.__notes__ == ["This is the evaluation set, checked when training starts."]
    n = len(trainers.DOCUMENTS)
    plans = [cluster_plan(np.arange(rows) // 4, batch_size=size, seed=5) for rows, size in ((n, 4), (8, 8))]
    with pytest.raises(NegmineValueError, match="`batch_size` must be that of the plan of 8 rows, 8; got 4"):
        trainers.sentence_transformers(str(tmp_path), plans=plans, held=8, seen=seen)
    assert seen == []


@MOVED
def test_sentence_transformers_on_several_data_sets(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    seen = trainers.sentence_transformers(str(tmp_path), parts=2, save_steps=19)
    assert len(seen) == 32
    epochs = [sorted(map(tuple, seen[:16])), sorted(map(tuple, seen[16:]))]
    assert epochs[0] != epochs[1]
    for epoch in epochs:
        assert sorted(row for batch in epoch for row in batch) == list(range(64))
        assert all(len({row % 2 for row in batch}) == 1 for batch in epoch)
    checkpoint = str(tmp_path / "checkpoint-19")
    assert trainers.sentence_transformers(str(tmp_path), parts=2, resume=checkpoint) == seen[19:]


@MOVED
@pytest.mark.parametrize(("weights", "share"), [([3, 1], 0.75), ("round_robin", 0.5)])
def test_sentence_transformers_on_a_mixture(tmp_path: Path, weights: Any, share: float) -> None:
    pytest.importorskip("sentence_transformers")
    seen = trainers.sentence_transformers(str(tmp_path), parts=2, save_steps=19, weights=weights)
    assert len(seen) == 32
    parts = [{row % 2 for row in batch} for batch in seen]
    for epoch in (0, 16):
        assert sum(part == {0} for part in parts[epoch : epoch + 16]) == 16 * share
    checkpoint = str(tmp_path / "checkpoint-19")
    assert trainers.sentence_transformers(str(tmp_path), parts=2, resume=checkpoint, weights=weights) == seen[19:]


@TWO_TRAININGS
@pytest.mark.slow
def test_sentence_transformers_on_a_mixture_and_two_processes(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    options: dict[str, Any] = {"parts": 2, "batches_per_step": 2, "weights": [3, 1]}
    seen = run("sentence_transformers", tmp_path, **options)
    assert [len(of) for of in seen] == [16, 16]
    for mine, other in zip(*seen, strict=True):
        assert len({row % 2 for row in mine + other}) == 1, "all processes train on the same data set in a step"
        assert len({trainers.DOCUMENTS[row] for row in mine + other}) == 8


@TWO_TRAININGS
@pytest.mark.slow
def test_sentence_transformers_on_two_processes(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    whole = no_duplicates(3, batches_per_step=2)
    options: dict[str, Any] = {"epochs": 3, "batches_per_step": 2}
    assert run("sentence_transformers", tmp_path, save_steps=11, **options) == [whole[0::2], whole[1::2]]
    for mine, other in zip(whole[0::2], whole[1::2], strict=True):
        assert len({trainers.DOCUMENTS[row] for row in mine + other}) == 8
    checkpoint = str(tmp_path / "checkpoint-11")
    resumed = run("sentence_transformers", tmp_path, resume=checkpoint, **options)
    assert resumed == [whole[22::2], whole[23::2]]
