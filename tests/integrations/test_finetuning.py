"""Trainings of sentence-transformers on negatives that change, run for real on one process and on two."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finetuning
import negmine
from finetuning import N_QUERIES, POSITIVES, mined
from negmine.batches import no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError
from oracle_loss import slow_loss
from processes import output_of

pytest.importorskip("sentence_transformers")

#: A whole training with its imports on a loaded machine; only a hang takes longer.
SECONDS = 900.0
TWO_TRAININGS = pytest.mark.timeout(2 * SECONDS + 300)

STEPS = N_QUERIES // 4


def run(name: str, folder: Path, **options: Any) -> list[Any]:
    """Run a training on two processes under a limit, and read the results."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        finetuning.__file__, name, str(folder), json.dumps(options),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    output_of(command, seconds=SECONDS, env=environment)
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]


def expected(epochs: int, batches_per_step: int = 1) -> finetuning.Batches:
    """Ids of every batch: the rows of the plan, with the negatives that are drawn for the epoch."""
    first = mined()
    plan = no_duplicate_plan(range(N_QUERIES), POSITIVES, batch_size=4, batches_per_step=batches_per_step, seed=12)
    batches = []
    for epoch in range(epochs):
        ids = np.column_stack([np.arange(N_QUERIES), POSITIVES, first.redraw(epoch).indices])
        batches += [ids[batch].tolist() for batch in plan.epoch(epoch)]
    return batches


@pytest.mark.parametrize(
    ("workers", "persistent"), [(0, False), (2, True), pytest.param(2, False, marks=pytest.mark.slow)]
)
def test_each_epoch_trains_on_its_own_draw_and_a_resumed_one_goes_on_with_it(
    tmp_path: Path, workers: int, persistent: bool
) -> None:
    whole = finetuning.finetune(str(tmp_path), save_steps=STEPS + 3, workers=workers, persistent=persistent)
    assert whole == expected(3)
    # The table now has the draw of the last epoch; the checkpoint is inside the one before.
    resumed = finetuning.finetune(
        str(tmp_path), resume=str(tmp_path / f"checkpoint-{STEPS + 3}"), workers=workers, persistent=persistent
    )
    assert resumed == whole[STEPS + 3 :]
    assert set(finetuning.table_in(tmp_path, mined()).current().mined_at_step) == {0}


def round_of(batches: finetuning.Batches, rounds: list[negmine.HardNegatives]) -> list[list[int]]:
    """Find the rounds that hold the negatives of each batch."""
    found = []
    for batch in batches:
        ids = np.array(batch)
        found.append([r for r, of in enumerate(rounds) if (of.indices[ids[:, 0]] == ids[:, 2:]).all()])
    return found


@pytest.mark.parametrize("stop", [STEPS + 3, STEPS])
def test_mined_negatives_are_resumed_with_the_checkpoint(tmp_path: Path, stop: int) -> None:
    whole = finetuning.finetune(str(tmp_path), save_steps=stop, remines=True)
    assert round_of(whole[:STEPS], [mined()]) == [[0]] * STEPS
    by_query = [{ids[0]: ids for batch in whole[at : at + STEPS] for ids in batch} for at in (0, STEPS, 2 * STEPS)]
    assert by_query[0] != by_query[1] != by_query[2]
    assert set(finetuning.table_in(tmp_path, mined()).current().mined_at_step) == {2 * STEPS}
    checkpoint = tmp_path / f"checkpoint-{stop}"
    # A checkpoint at the end of an epoch has the negatives of that epoch; the next one mines.
    assert sorted(path.name for path in checkpoint.glob("negatives-*")) == ["negatives-1.npz"] * (stop > STEPS)
    assert finetuning.finetune(str(tmp_path), resume=str(checkpoint), remines=True) == whole[stop:]
    if stop > STEPS:
        (checkpoint / "negatives-1.npz").unlink()
        with pytest.raises(
            NegmineValueError, match=r"`resume_from_checkpoint` must be in `output_dir` and hold .*, 1;"
        ):
            finetuning.finetune(str(tmp_path), resume=str(checkpoint), remines=True)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_rounds_of_steps_begin_with_the_batches_that_are_not_read_ahead(tmp_path: Path, workers: int) -> None:
    whole = finetuning.finetune(str(tmp_path), epochs=2, every_steps=5, workers=workers)
    first = mined()
    rounds = round_of(whole, [first.redraw(number) for number in range(4)])
    assert len(rounds) == 2 * STEPS
    assert all(len(found) == 1 for found in rounds), "a batch holds negatives of one round"
    numbers = [found[0] for found in rounds]
    assert numbers == sorted(numbers)
    assert set(numbers[:5]) == {0}
    # Accelerate reads one batch ahead, and workers two each; an epoch begins with the round of its step.
    assert all(number <= step // 5 for step, number in enumerate(numbers))
    if workers == 0:
        assert all(number >= (step - 1) // 5 for step, number in enumerate(numbers))
    assert numbers[STEPS] == STEPS // 5
    assert finetuning.table_in(tmp_path, first).generation == 4


def test_an_error_in_mining_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the disk is full"):
        finetuning.finetune(str(tmp_path), remines=True, fails=True)


def test_wrong_arguments_of_the_callback_are_refused(tmp_path: Path) -> None:
    from negmine.integrations.sentence_transformers import NegativesCallback

    negatives = mined()
    table = finetuning.table_in(tmp_path, negatives)
    with pytest.raises(NegmineTypeError, match="`table` must be a NegativesTable; got str"):
        NegativesCallback("table", negatives)
    with pytest.raises(NegmineTypeError, match="`negatives` must be a HardNegatives; got NegativesTable"):
        NegativesCallback(table, table)
    with pytest.raises(NegmineTypeError, match="`remine` must be callable; got int"):
        NegativesCallback(table, negatives, remine=3)
    with pytest.raises(NegmineValueError, match="`every_steps` must be"):
        NegativesCallback(table, negatives, every_steps=0)
    with pytest.raises(NegmineTypeError, match="has no option 'every'"):
        NegativesCallback(table, negatives, every=2)
    negatives.save(tmp_path / "negatives.npz")
    loaded = negmine.HardNegatives.load(tmp_path / "negatives.npz")
    with pytest.raises(NegmineValueError, match="`negatives` must have their pool to be drawn again"):
        NegativesCallback(table, loaded)
    state: Any = type("State", (), {"is_world_process_zero": True, "global_step": 8, "epoch": 1.0, "max_steps": 24})()
    args: Any = type("Args", (), {"output_dir": str(tmp_path)})()
    wrong: Any = lambda model, number: table  # noqa: E731
    with pytest.raises(NegmineTypeError, match="`remine` must return HardNegatives; got NegativesTable"):
        NegativesCallback(table, loaded, remine=wrong).on_epoch_begin(args, state, None)
    with pytest.raises(NegmineValueError, match="`negatives` must be for the 32 result rows"):
        NegativesCallback(table, loaded, remine=lambda model, number: mined()[:4]).on_epoch_begin(args, state, None)


def test_one_process_needs_no_gathering() -> None:
    model = finetuning.embedding()
    ids = finetuning.GATHERED
    columns = [model.vectors(ids[:, 0])] + [model.vectors(column + N_QUERIES + 1) for column in ids.T[1:]]
    by_hand = slow_loss(
        [column.tolist() for column in columns],
        ids.tolist(),
        negmine.Positives.from_lists([[row] for row in POSITIVES]),
        3,
    )
    for gather in (False, True):
        assert finetuning.step_of(finetuning.embedding(), ids, gather=gather) == pytest.approx(by_hand, abs=1e-12)


@TWO_TRAININGS
@pytest.mark.slow
def test_the_gathered_loss_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    halves = run("gathered", tmp_path)
    model = finetuning.embedding()
    loss = finetuning.step_of(model, finetuning.GATHERED, gather=False)
    assert (halves[0][0] + halves[1][0]) / 2 == pytest.approx(loss, abs=1e-12)
    for _, gradient in halves:
        torch.testing.assert_close(torch.tensor(gradient, dtype=torch.float64), model.vectors.weight.grad)


@TWO_TRAININGS
@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_two_processes_train_on_the_same_draws(tmp_path: Path, workers: int) -> None:
    options: dict[str, Any] = {"batches_per_step": 2, "gather": True, "workers": workers}
    whole = expected(3, batches_per_step=2)
    stop = STEPS // 2 + 1
    assert run("finetune", tmp_path, save_steps=stop, **options) == [whole[0::2], whole[1::2]]
    resumed = run("finetune", tmp_path, resume=str(tmp_path / f"checkpoint-{stop}"), **options)
    assert resumed == [whole[2 * stop :: 2], whole[2 * stop + 1 :: 2]]


@TWO_TRAININGS
@pytest.mark.slow
def test_two_processes_train_on_what_the_first_one_mines(tmp_path: Path) -> None:
    options: dict[str, Any] = {"batches_per_step": 2, "remines": True}
    stop = STEPS // 2 + 1
    whole = run("finetune", tmp_path, save_steps=stop, **options)
    epochs = [[ids for of in whole for batch in of[at : at + STEPS // 2] for ids in batch] for at in (0, 4, 8)]
    assert [sorted(ids[0] for ids in epoch) for epoch in epochs] == [list(range(N_QUERIES))] * 3
    assert sorted(epochs[0]) != sorted(epochs[1]) != sorted(epochs[2])
    resumed = run("finetune", tmp_path, resume=str(tmp_path / f"checkpoint-{stop}"), **options)
    assert resumed == [of[stop:] for of in whole]
    with pytest.raises(AssertionError, match="the disk is full"):
        run("finetune", tmp_path, fails=True, **options)
