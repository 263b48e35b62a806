"""Orders and plans of batches, held to independent code."""

from __future__ import annotations

from typing import Literal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from negmine.batches import epoch_permutation, no_duplicate_plan
from negmine.errors import NegmineValueError
from oracle_batches import conflicting, order

NUMBERS = st.integers(0, 2**64 - 1)


@given(st.one_of(st.integers(0, 600), st.integers(0, 2**63 - 1)), NUMBERS, NUMBERS, st.data())
def test_any_part_of_an_order_is_that_of_the_definition(n: int, seed: int, epoch: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, min(n, start + 40)))
    got = epoch_permutation(n, seed=seed, epoch=epoch, start=start, stop=stop)
    assert got.tolist() == order(n, seed, epoch, range(start, stop))


@given(st.integers(0, 3_000), NUMBERS, NUMBERS)
def test_an_order_is_a_permutation_and_its_parts_join(n: int, seed: int, epoch: int) -> None:
    whole = epoch_permutation(n, seed=seed, epoch=epoch)
    assert (np.sort(whole) == np.arange(n)).all()
    cut = n // 3
    parts = [epoch_permutation(n, seed=seed, epoch=epoch, start=a, stop=b) for a, b in ((0, cut), (cut, n))]
    assert (np.concatenate(parts) == whole).all()


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[list[int]], list[list[int]]]:
    """Draw anchors, positives and negatives of some rows, with and without many repeats."""
    n = draw(st.integers(1, 60))
    ids = st.integers(-1, draw(st.sampled_from([3, 20, 200])))
    p, k = draw(st.integers(1, 2)), draw(st.integers(0, 3))
    anchors = draw(st.lists(st.integers(0, 3 * n), min_size=n, max_size=n))
    positives = draw(st.lists(st.lists(ids, min_size=p, max_size=p), min_size=n, max_size=n))
    negatives = draw(st.lists(st.lists(ids, min_size=k, max_size=k), min_size=n, max_size=n))
    return anchors, positives, negatives


@given(
    tables(), st.data(), st.booleans(), st.sampled_from(["pad", "drop"]), st.sampled_from(["error", "extend", "drop"])
)
def test_an_epoch_keeps_the_contract(
    table: tuple[list[int], list[list[int]], list[list[int]]],
    data: st.DataObject,
    strict: bool,
    remainder: Literal["pad", "drop"],
    mode: Literal["error", "extend", "drop"],
) -> None:
    anchors, positives, negatives = table
    n = len(anchors)
    size = data.draw(st.integers(1, n), label="batch_size")
    per_step = data.draw(st.integers(1, max(1, n // size)), label="batches_per_step")
    epoch, seed = data.draw(NUMBERS, label="epoch"), data.draw(NUMBERS, label="seed")
    try:
        plan = no_duplicate_plan(
            anchors,
            positives,
            negatives,
            batch_size=size,
            batches_per_step=per_step,
            strict=strict,
            conflicts=mode,
            remainder=remainder,
            seed=seed,
        )
    except NegmineValueError as error:
        assert "step" in str(error) or "remainder" in str(error)  # noqa: PT017 (a plan or an error)
        return
    least = -(-n // (size * per_step))
    assert plan.lower_bound <= plan.steps or mode == "drop"
    assert plan.steps == least or mode == "extend" or (mode == "drop" and plan.steps < least)
    batches = list(plan.epoch(epoch))
    assert len(batches) == len(plan)
    assert len(plan) % per_step == 0
    for begin in range(0, len(batches), per_step):
        step = np.concatenate(batches[begin : begin + per_step]).tolist()
        assert not conflicting(step, anchors, positives, negatives, strict=strict)
    sizes = {len(batch) for batch in batches}
    assert sizes <= (
        {size}
        if plan.steps == least or mode == "drop"
        else {n // plan.steps // per_step, -(-n // plan.steps // per_step)}
    )
    times = np.bincount(np.concatenate(batches), minlength=n)
    assert times.sum() == plan.report["rows_per_epoch"]
    dropped = remainder == "drop" or plan.steps < least
    assert (times <= 1).all() if dropped else (times >= 1).all()


@given(tables(), st.data(), st.booleans(), st.sampled_from(["pad", "drop"]))
def test_spreading_counts_what_it_leaves(
    table: tuple[list[int], list[list[int]], list[list[int]]],
    data: st.DataObject,
    strict: bool,
    remainder: Literal["pad", "drop"],
) -> None:
    anchors, positives, negatives = table
    n = len(anchors)
    size = data.draw(st.integers(1, n), label="batch_size")
    per_step = data.draw(st.integers(1, max(1, n // size)), label="batches_per_step")
    epoch = data.draw(NUMBERS, label="epoch")
    options = {"strict": strict, "remainder": remainder, "batch_size": size, "batches_per_step": per_step}
    plan = no_duplicate_plan(anchors, positives, negatives, conflicts="spread", seed=1, **options)  # type: ignore[arg-type]
    assert plan.steps == -(-n // (size * per_step))
    steps = np.asarray(plan.epoch(epoch)).reshape(-1, size * per_step)
    times = np.bincount(steps.ravel(), minlength=n)
    assert times.sum() == plan.report["rows_per_epoch"]
    assert (times <= 1).all() if remainder == "drop" else (times >= 1).all()
    found = []
    for step in steps:
        assert len(set(step.tolist())) == len(step)
        found += conflicting(step.tolist(), anchors, positives, negatives, strict=strict)
    report = plan.epoch_report(epoch)
    # The report counts a pair once for each id that it shares.
    assert report["conflicting_pairs"] >= len(found)
    assert (report["conflicting_pairs"] > 0) == (len(found) > 0)
    assert report["excess"] <= report["conflicting_pairs"]
