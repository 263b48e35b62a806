"""Plans without duplicates: options, refusals, bad input."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

import negmine
from negmine.batches import NoDuplicatePlan, false_negative_mask, no_duplicate_plan
from negmine.errors import NegmineTypeError, NegmineValueError
from oracle_batches import conflicting


def check(
    plan: NoDuplicatePlan, epoch: int, anchors: Any, positives: Any, negatives: Any, *, strict: bool = False
) -> np.ndarray:
    """Hold an epoch against the definition; how often each row is in it."""
    n = len(anchors)
    lists = [[list(np.ravel(row)) for row in column] for column in (positives, negatives)]
    batches = list(plan.epoch(epoch))
    assert len(batches) == len(plan) == plan.batches_per_epoch
    if plan.batch_size is not None:
        assert {len(batch) for batch in batches} == {plan.batch_size}
    for begin in range(0, len(batches), plan.batches_per_step):
        step = np.concatenate(batches[begin : begin + plan.batches_per_step]).tolist()
        assert not conflicting(step, list(anchors), *lists, strict=strict)
    times = np.bincount(np.concatenate(batches), minlength=n)
    assert times.sum() == plan.report["rows_per_epoch"]
    return times


def triplets(n: int, documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return np.arange(n), random.integers(0, documents, n), random.integers(0, documents, (n, 2))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("batches_per_step", [1, 3])
def test_a_plan_uses_every_row_once(strict: bool, batches_per_step: int) -> None:
    data = triplets(1_200, 4_000)
    plan = no_duplicate_plan(*data, batch_size=20, batches_per_step=batches_per_step, strict=strict)
    assert plan.steps == plan.lower_bound == 1_200 // (20 * batches_per_step)
    assert plan.bound_id is None
    for epoch in range(3):
        assert plan.epoch(epoch).shape == (60, 20)
        assert (check(plan, epoch, *data, strict=strict) == 1).all()
        assert not plan.uses_base(epoch)
    assert (plan.epoch(0) == plan.epoch(0)).all()
    assert (plan.epoch(0) != plan.epoch(1)).any()


def test_without_negatives_only_anchors_and_positives_count() -> None:
    anchors, positives, _ = triplets(300, 200)
    plan = no_duplicate_plan(anchors // 2, positives, batch_size=10)
    assert (check(plan, 0, anchors // 2, positives, [[]] * 300) == 1).all()


def test_strings_are_ids_and_give_the_batches_of_their_numbers() -> None:
    data = triplets(300, 900)
    words = [np.char.mod("id %05d", column) for column in data]
    numbers = no_duplicate_plan(*data, batch_size=10)
    named = no_duplicate_plan(words[0].tolist(), words[1].astype(object), words[2], batch_size=10)
    assert (numbers.epoch(3) == named.epoch(3)).all()
    assert numbers.digest != named.digest
    assert named.digest == no_duplicate_plan(*words, batch_size=10).digest
    assert named.digest == no_duplicate_plan(*[column.astype("<U99") for column in words], batch_size=10).digest


def test_far_apart_and_negative_ids_are_ids() -> None:
    data = [column.astype(np.int64) for column in triplets(300, 900)]
    far = [np.where(column % 2 == 0, column - 2**62, column + 2**62) for column in data]
    plan = no_duplicate_plan(*far, batch_size=10)
    assert (check(plan, 0, *far) == 1).all()
    low = [column - 5_000 for column in data]
    assert (no_duplicate_plan(*low, batch_size=10).epoch(0) == no_duplicate_plan(*data, batch_size=10).epoch(0)).all()


def test_padding_is_no_id() -> None:
    negatives = np.full((40, 3), -1)
    plan = no_duplicate_plan(np.arange(40), np.arange(40), negatives, batch_size=20, strict=True)
    assert plan.steps == 2
    empty = [[""] * 2 for _ in range(40)]
    words = [str(i) for i in range(40)]
    assert no_duplicate_plan(words, words, empty, batch_size=20, strict=True).steps == 2


@pytest.mark.parametrize(("remainder", "batches", "repeated"), [("pad", 12, 20), ("drop", 10, 0)])
def test_a_short_last_step(remainder: Any, batches: int, repeated: int) -> None:
    data = triplets(220, 600)
    plan = no_duplicate_plan(*data, batch_size=20, batches_per_step=2, remainder=remainder)
    assert (plan.steps, len(plan)) == (6, batches)
    assert plan.report["repeated"] == repeated
    missing = set()
    for epoch in range(4):
        times = check(plan, epoch, *data)
        assert (times > 1).sum() == repeated
        assert (times == 0).sum() == plan.report["left_out"] == (20 if remainder == "drop" else 0)
        missing.add(tuple(np.flatnonzero(times == 0)))
    assert len(missing) == (4 if remainder == "drop" else 1)


def test_a_giant_group_says_how_many_steps_it_forces() -> None:
    anchors = np.arange(100)
    positives = np.where(anchors < 30, 7_000, anchors)
    with pytest.raises(NegmineValueError) as caught:
        no_duplicate_plan(anchors, positives, batch_size=10)
    message = str(caught.value)
    for part in (
        "document 7000 is in 30 rows",
        "need 30 steps",
        "must be smaller",
        "(3 is enough)",
        "10 x 1",
        "'extend'",
    ):
        assert part in message
    plan = no_duplicate_plan(anchors, positives, batch_size=10, conflicts="extend")
    assert (plan.steps, plan.lower_bound, plan.bound_id, plan.batch_size) == (30, 30, 7_000, None)
    for epoch in range(3):
        batches = plan.epoch(epoch)
        assert isinstance(batches, list)
        assert {len(batch) for batch in batches} == {3, 4}
        assert (check(plan, epoch, anchors, positives, [[]] * 100) == 1).all()


def test_a_refusal_counts_one_step_and_names_a_size_that_is_enough() -> None:
    with pytest.raises(NegmineValueError, match=r"\(1 is enough\).* 1 step of 3 rows does not exist"):
        no_duplicate_plan([0, 0, 1], [3, 4, 5], batch_size=3)
    assert no_duplicate_plan([0, 0, 1], [3, 4, 5], batch_size=1).steps == 3


def test_a_complete_grid_is_packed_and_an_unproved_refusal_says_so() -> None:
    anchors, positives = np.divmod(np.arange(3_200), 40)
    plan = no_duplicate_plan(anchors, positives, batch_size=40)
    assert (plan.steps, plan.lower_bound) == (80, 80)
    assert (check(plan, 0, anchors, positives, [[]] * 3_200) == 1).all()
    # Four ids a row, of which any two rows share at most one: 11 steps of 11 rows are not known to be impossible.
    documents = squares(11)
    with pytest.raises(NegmineValueError) as caught:
        no_duplicate_plan(np.arange(121), documents, batch_size=11, strict=True)
    message = str(caught.value)
    found = no_duplicate_plan(np.arange(121), documents, batch_size=11, strict=True, conflicts="extend").steps
    assert f"into 11 steps of 11 rows were not found; one into {found} steps was." in message
    assert "exist" not in message
    assert "need" not in message


def test_a_search_through_all_packings_of_few_rows_is_a_proof() -> None:
    # Three rows of which any two share an id: each needs a step of its own, though no id is in more than two rows.
    documents = np.array([[0, 1], [1, 2], [2, 0], [3, 4]])
    with pytest.raises(NegmineValueError, match="4 rows need 3 steps without conflict, and 2 steps of 2 rows do not"):
        no_duplicate_plan(np.arange(4), documents, batch_size=2)


def test_progress_ends_with_all_that_was_to_be_done() -> None:
    seen: list[tuple[int, int]] = []
    plan = no_duplicate_plan(*triplets(300, 900), batch_size=10, progress=lambda *step: seen.append(step))
    assert seen
    assert seen[-1][0] == seen[-1][1] > 0
    assert plan.digest == no_duplicate_plan(*triplets(300, 900), batch_size=10).digest
    with pytest.raises(NegmineTypeError, match="`progress` must be callable"):
        no_duplicate_plan([0, 1], [0, 1], batch_size=1, progress=1)  # type: ignore[arg-type]


def test_what_fits_says_so() -> None:
    anchors = np.arange(90)
    positives = np.where(anchors < 30, 7_000, anchors)
    assert no_duplicate_plan(anchors, positives, batch_size=3).steps == 30


@pytest.mark.parametrize(
    ("anchors", "steps"), [([-1, -1], 1), (["", ""], 1), (["a", "a\0"], 1), (["a", "a"], 2), (["a", "\0a"], 1)]
)
def test_anchors_that_are_none_or_differ_in_trailing_nuls(anchors: list[Any], steps: int) -> None:
    assert no_duplicate_plan(anchors, [0, 1], batch_size=2, conflicts="extend").steps == steps


def test_a_weak_bound_counts_positives_alone_and_negatives_by_the_step() -> None:
    anchors = np.arange(200)
    positives = np.where(anchors < 20, 999, anchors)
    negatives = np.where((anchors >= 20) & (anchors < 120), 999, 500 + anchors)
    with pytest.raises(NegmineValueError, match="document 999 is in 120 rows, in 20 of them as a positive"):
        no_duplicate_plan(anchors, positives, negatives, batch_size=25)
    plan = no_duplicate_plan(anchors, positives, negatives, batch_size=25, conflicts="extend")
    # 20 steps hold it as a positive; steps of 200 / T rows hold the 100 that share it.
    assert plan.lower_bound <= plan.steps <= plan.lower_bound + 4
    for epoch in range(3):
        assert (check(plan, epoch, anchors, positives, negatives) == 1).all()


def test_extended_steps_are_cut_into_batches_of_like_size() -> None:
    anchors = np.arange(100)
    positives = np.where(anchors < 14, 7_000, anchors)
    plan = no_duplicate_plan(anchors, positives, batch_size=5, batches_per_step=2, conflicts="extend")
    assert (plan.steps, len(plan)) == (14, 28)
    assert {len(batch) for batch in plan.epoch(0)} == {3, 4}
    assert (check(plan, 0, anchors, positives, [[]] * 100) == 1).all()


def test_extend_without_need_is_full_batches_in_a_list() -> None:
    data = triplets(100, 900)
    plan = no_duplicate_plan(*data, batch_size=10, conflicts="extend")
    batches = plan.epoch(1)
    assert isinstance(batches, list)
    assert (np.stack(batches) == no_duplicate_plan(*data, batch_size=10).epoch(1)).all()


def test_partners_of_a_repaired_batch_meet_again_as_by_chance() -> None:
    n, b = 20_000, 50
    data = triplets(n, 20_000)
    plan = no_duplicate_plan(*data, batch_size=b, strict=True)
    batches = [np.empty(n, dtype=np.int64) for _ in range(2)]
    for epoch, batch in enumerate(batches):
        batch[np.ravel(plan.epoch(epoch))] = np.arange(n) // b
    cells = np.unique(batches[0] * (n // b) + batches[1], return_counts=True)[1]
    again = int((cells * (cells - 1) // 2).sum())
    expected = n * (b - 1) ** 2 / (2 * (n - 1))
    assert abs(again - expected) < 5 * expected**0.5


def test_the_digest_tells_plans_apart() -> None:
    data = triplets(120, 900)
    other = (data[0], data[1], data[2][::-1])
    plans = [
        no_duplicate_plan(*data, batch_size=10),
        no_duplicate_plan(*other, batch_size=10),
        no_duplicate_plan(*data, batch_size=20),
        no_duplicate_plan(*data, batch_size=10, batches_per_step=2),
        no_duplicate_plan(*data, batch_size=10, strict=True),
        no_duplicate_plan(*data, batch_size=10, remainder="drop"),
        no_duplicate_plan(*data, batch_size=10, conflicts="extend"),
        no_duplicate_plan(*data, batch_size=10, seed=1),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert plans[0].digest == no_duplicate_plan(*data, batch_size=10).digest


def test_a_last_step_that_only_some_rows_can_fill() -> None:
    # One positive in every step but half of one: only some rows may fill up the last one.
    anchors = np.arange(11)
    positives = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    plan = no_duplicate_plan(anchors, positives, batch_size=4)
    for epoch in range(30):
        check(plan, epoch, anchors, positives, [[]] * 11)


A = np.arange(10)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((A, A), {"batch_size": 11}, NegmineValueError, "at most the number of rows, 10; got 11 x 1"),
        ((A, A), {"batch_size": 5, "batches_per_step": 3}, NegmineValueError, "number of rows, 10; got 5 x 3"),
        ((A, A), {"batch_size": 0}, NegmineValueError, "`batch_size` must be at least 1; got 0"),
        ((A, A), {"batches_per_step": 0}, NegmineValueError, "`batches_per_step` must be at least 1; got 0"),
        ((A[:0], A[:0]), {}, NegmineValueError, "at most the number of rows, 0"),
        ((A, A[:9]), {}, NegmineValueError, "`positives` must have shape (10,) or (10, k)"),
        ((A, A, A[:9]), {}, NegmineValueError, "`negatives` must have shape (10,) or (10, k)"),
        ((A, np.zeros((10, 1, 1), int)), {}, NegmineValueError, "`positives` must have shape"),
        ((A.reshape(5, 2), A), {}, NegmineValueError, "`anchors` must have shape (n,)"),
        ((A, A * 1.5), {}, NegmineTypeError, "`positives` must hold integers or strings"),
        (
            (A, A, A.astype(str)),
            {},
            NegmineTypeError,
            "`negatives` must have the same type as `positives`; got strings",
        ),
        ((A, [1, "a"] * 5), {}, NegmineTypeError, "`positives` must be all strings or none"),
        ((A, A), {"strict": 1}, NegmineTypeError, "`strict` must be True or False; got 1"),
        (
            (A, A),
            {"conflicts": "ignore"},
            NegmineValueError,
            "`conflicts` must be one of 'error', 'drop', 'spread', 'extend'",
        ),
        ((A, A), {"remainder": "keep"}, NegmineValueError, "`remainder` must be one of 'pad', 'drop', 'short'"),
        ((A, A), {"batch_size": 4, "remainder": "error"}, NegmineValueError, "got 'error' with 2 rows left after 2"),
        ((A, A), {"seed": -1}, NegmineValueError, "`seed` must be at least 0"),
        ((A, A), {"drop_last": True}, NegmineTypeError, "`no_duplicate_plan` has no option 'drop_last'"),
        ((A * 0, A), {}, NegmineValueError, "anchor 0 is in 10 rows, so 10 rows need 10 steps"),
        (
            (A * 0, A),
            {"batches_per_step": 2, "conflicts": "extend"},
            NegmineValueError,
            "`batches_per_step` must be at most the rows of a step; got 2 where 10 steps without conflict were found",
        ),
        (
            (A[:5], np.array([0, 0, 1, 1, 2]), np.array([2, 2, 2, 2, 3])),
            {"batch_size": 2, "batches_per_step": 2},
            NegmineValueError,
            "need",
        ),
    ],
)
def test_bad_input_of_a_plan(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        no_duplicate_plan(*arguments, **{"batch_size": 2, **options})
    assert words in str(caught.value)
    assert isinstance(caught.value, negmine.NegmineError)


# ---- ids that need more steps than rows fill


def crowded(n: int = 900, share: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """One positive in ``share`` of ``n`` rows."""
    anchors = np.arange(n)
    return anchors, np.where(anchors < share, 5_000, anchors)


def test_drop_takes_full_steps_and_leaves_rows_out_in_turn() -> None:
    anchors, positives = crowded()
    plan = no_duplicate_plan(anchors, positives, batch_size=5, batches_per_step=2, conflicts="drop", seed=4)
    # F steps hold 660 other rows and F of the 240: F = 73.
    assert (plan.steps, len(plan), plan.batch_size, plan.lower_bound) == (73, 146, 5, 240)
    assert plan.report["left_out"] == 170
    used = np.zeros(900, dtype=int)
    left = None
    for epoch in range(6):
        times = check(plan, epoch, anchors, positives, [[]] * 900)
        assert times.max() == 1
        assert (times == 0).sum() == 170
        if left is not None:
            # Who was left out comes first: all 73 are new, as 240 - 73 waited.
            assert set(np.flatnonzero(times[:240])) <= left
        left = set(np.flatnonzero(times[:240] == 0))
        used += times
    assert np.ptp(used[:240]) <= 1
    assert np.ptp(used[240:]) <= 1


def test_drop_without_need_leaves_nothing_out() -> None:
    data = triplets(220, 600)
    plan = no_duplicate_plan(*data, batch_size=20, batches_per_step=2, conflicts="drop")
    assert (plan.epoch(2) == no_duplicate_plan(*data, batch_size=20, batches_per_step=2).epoch(2)).all()
    assert plan.report["left_out"] == 0


def test_drop_without_a_single_full_step_is_an_error() -> None:
    with pytest.raises(NegmineValueError, match="`batch_size` must be small enough that one step"):
        no_duplicate_plan(np.zeros(20, int), np.arange(20), batch_size=2, conflicts="drop")


@pytest.mark.parametrize("strict", [False, True])
def test_spread_keeps_each_id_to_its_share(strict: bool) -> None:
    anchors, positives = crowded()
    negatives = np.where((anchors >= 200) & (anchors < 420), 6_000, 10_000 + anchors)
    plan = no_duplicate_plan(
        anchors, positives, negatives, batch_size=10, batches_per_step=2, strict=strict, conflicts="spread"
    )
    assert (plan.steps, len(plan), plan.batch_size) == (45, 90, 10)
    for epoch in range(3):
        steps = plan.epoch(epoch).reshape(45, 20)  # type: ignore[union-attr]
        assert (np.sort(steps.ravel()) == np.arange(900)).all()
        report = plan.epoch_report(epoch)  # type: ignore[attr-defined]
        assert report["excess"] == 0
        pairs = 0
        for step in steps:
            held = int((step < 240).sum())
            assert held <= 6  # 240 / 45
            shared = int(((step >= 200) & (step < 420)).sum()) if strict else 0
            assert shared <= 5  # 220 / 45
            pairs += held * (held - 1) // 2 + shared * (shared - 1) // 2
            # Of all other ids none stands twice.
            found = conflicting(
                step.tolist(), anchors.tolist(), positives[:, None].tolist(), negatives[:, None].tolist(), strict=strict
            )
            assert all(max(a, b) < 240 or (strict and min(a, b) >= 200 and max(a, b) < 420) for a, b in found)
        assert report["conflicting_pairs"] == pairs
    assert plan.report["excess"] == 0
    assert plan.report["conflicting_pairs"] > 0


def test_spread_is_what_a_mask_must_hide() -> None:
    anchors, positives = crowded(300, 100)
    plan = no_duplicate_plan(anchors, positives, batch_size=30, conflicts="spread")
    lists = negmine.Positives.from_lists(positives[:, None].tolist())
    hidden = 0
    for batch in plan.epoch(0):
        mask = false_negative_mask(batch, positives[batch], lists)
        assert mask.diagonal().all()
        hidden += int(mask.sum()) - len(batch)
    assert hidden == 2 * plan.epoch_report(0)["conflicting_pairs"]  # type: ignore[attr-defined]


def test_a_padded_spread_may_repeat_what_conflicts() -> None:
    anchors, positives = crowded(110, 100)
    plan = no_duplicate_plan(anchors, positives, batch_size=20, conflicts="spread")
    batches = plan.epoch(0)
    assert len(batches) == 6
    assert all(len(set(batch.tolist())) == 20 for batch in batches)
    assert set(np.ravel(batches)) == set(range(110))


def test_the_refusal_names_the_price_of_every_way_out() -> None:
    anchors, positives = crowded()
    with pytest.raises(NegmineValueError) as caught:
        no_duplicate_plan(anchors, positives, batch_size=10)
    assert "document 5000 is in 240 rows, so 900 rows need 240 steps" in str(caught.value)
    assert "'drop' leaves out 170 rows per epoch." in str(caught.value)


def squares(q: int) -> np.ndarray:
    """Cells of a q x q square by row, column and two Latin squares: every id meets every other, and little fits."""
    i, j = np.divmod(np.arange(q * q), q)
    return np.stack([i, q + j, 2 * q + (i + j) % q, 3 * q + (i + 2 * j) % q], axis=1)


@pytest.mark.parametrize(("q", "size", "conflicts"), [(11, 11, "extend"), (13, 10, "drop")])
def test_an_epoch_for_which_no_packing_is_found_uses_the_base(q: int, size: int, conflicts: Any) -> None:
    documents = squares(q)
    n = len(documents)
    plan = no_duplicate_plan(np.arange(n), documents, batch_size=size, strict=True, conflicts=conflicts)
    assert plan.report["epochs_from_base"] == 0
    orders = set()
    for epoch in range(8):
        times = check(plan, epoch, np.arange(n), documents, [[]] * n, strict=True)
        assert (times == 1).all() if conflicts == "extend" else times.max() == 1
        orders.add(tuple(np.concatenate(list(plan.epoch(epoch)))))
    assert len(orders) == 8  # the base is moved, another way for every epoch
    used = sum(plan.uses_base(epoch) for epoch in range(8))
    assert plan.report["epochs_from_base"] == used > 0


# ---- interrupts

HOPELESS = """
import signal, time, numpy as np, negmine
random = np.random.default_rng(0)
# Eight ids a row of few documents: packing tries for minutes.
documents = random.integers(0, 400, (6_000, 8))
signal.setitimer(signal.ITIMER_REAL, 1.0)
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
try:
    negmine.batches.no_duplicate_plan(np.arange(6_000), documents, batch_size=40, conflicts="extend")
except KeyboardInterrupt:
    print("stopped")
else:
    print("finished")
"""


def test_packing_hears_an_interrupt() -> None:
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HOPELESS], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() in ("stopped", "finished"), done.stderr
    assert time.monotonic() - begin < 30


def test_a_short_last_step_is_handed_out_as_it_is() -> None:
    anchors, positives = np.arange(21), np.arange(21) % 7
    plan = no_duplicate_plan(anchors, positives, batch_size=3, batches_per_step=2, remainder="short", seed=1)
    assert (plan.batch_size, plan.steps, len(plan)) == (None, 4, 8)
    assert (plan.report["rows_per_epoch"], plan.report["repeated"], plan.report["left_out"]) == (21, 0, 0)
    for epoch in range(4):
        batches = [plan.batch(epoch, index) for index in range(len(plan))]
        assert [len(batch) for batch in batches] == [3] * 6 + [2, 1]
        assert sorted(np.concatenate(batches).tolist()) == list(range(21))
        for first in range(0, 8, 2):
            step = np.concatenate(batches[first : first + 2])
            assert len(set(positives[step])) == len(step)
    again = pickle.loads(pickle.dumps(plan))
    assert [batch.tolist() for batch in again.epoch(2)] == [batch.tolist() for batch in plan.epoch(2)]
    padded = no_duplicate_plan(anchors, positives, batch_size=3, batches_per_step=2, seed=1)
    assert plan.digest != padded.digest


def test_fewer_rows_than_a_step_are_one_short_step() -> None:
    plan = no_duplicate_plan(range(5), range(5), batch_size=8, remainder="short")
    assert [sorted(batch.tolist()) for batch in plan.epoch(0)] == [[0, 1, 2, 3, 4]]
    plan = no_duplicate_plan(range(5), [0, 0, 1, 2, 3], batch_size=8, remainder="short", conflicts="extend")
    assert sorted(map(len, plan.epoch(0))) == [2, 3]
    plan = no_duplicate_plan(range(5), range(5), batch_size=8, batches_per_step=2, remainder="short")
    assert [len(batch) for batch in plan.epoch(0)] == [3, 2]


def test_a_last_step_of_fewer_rows_than_batches_is_refused() -> None:
    with pytest.raises(
        NegmineValueError, match=r"`remainder` must be 'pad' or 'drop' .*; got 'short' with 1 rows for 2"
    ):
        no_duplicate_plan(range(9), range(9), batch_size=2, batches_per_step=2, remainder="short")
    with pytest.raises(NegmineValueError, match="`batches_per_step` must be at most the number of rows, 2; got 3"):
        no_duplicate_plan(range(2), range(2), batch_size=1, batches_per_step=3, remainder="short")
    with pytest.raises(NegmineValueError, match=r"rows, 5; got 8 x 1\. `remainder='short'` takes fewer rows"):
        no_duplicate_plan(range(5), range(5), batch_size=8)
