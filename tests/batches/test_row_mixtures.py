"""Mixtures within a batch: numbers of rows, passes over the sources, and bad input."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from negmine.batches import BatchPlan, RowMixturePlan, cluster_plan, mixture_plan
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError


def steps_of(plan: BatchPlan, epoch: int) -> np.ndarray:
    return np.asarray(plan.epoch(epoch)).reshape(len(plan) // plan.batches_per_step, -1)


@st.composite
def plans(draw: st.DrawFn) -> RowMixturePlan:
    """Plans of up to four sources, of which small ones wrap within steps, and wrap while they are wrapping."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    weights = draw(
        st.one_of(st.just("proportional"), st.lists(st.integers(0, 5), min_size=len(sizes), max_size=len(sizes)))
    )
    assume(weights == "proportional" or any(weights))
    per_step = draw(st.integers(1, 3))
    epoch = (
        None if weights == "proportional" else draw(st.one_of(st.none(), st.integers(1, 6).map(lambda n: n * per_step)))
    )
    try:
        plan = mixture_plan(
            sizes,
            batch_size=draw(st.integers(1, 9)),
            weights=weights,
            batches_per_step=per_step,
            batches_per_epoch=epoch,
            within_batch=True,
            seed=draw(st.integers(0, 2**64 - 1)),
        )
    except NegmineValueError:
        assume(False)
        raise
    assert isinstance(plan, RowMixturePlan)
    return plan


@given(plans())
def test_numbers_are_exact_at_the_end_and_never_a_row_off_before(plan: RowMixturePlan) -> None:
    steps = steps_of(plan, 0)
    source = np.searchsorted(plan.offsets, steps, side="right") - 1
    n_sources = len(plan.offsets) - 1
    counts = np.stack([(source == number).sum(axis=1) for number in range(n_sources)], axis=1)
    totals = np.array(plan.report["rows_per_epoch"])
    np.testing.assert_array_equal(counts.sum(axis=0), totals)
    share = totals / totals.sum()
    on_the_way = np.cumsum(counts, axis=0)
    exact = np.arange(1, len(steps) + 1)[:, None] * steps.shape[1] * share
    assert (np.abs(on_the_way - exact) < 1 + 1e-9).all()


@given(plans())
def test_no_step_holds_a_row_twice_and_every_pass_holds_each_row_once(plan: RowMixturePlan) -> None:
    epochs = [steps_of(plan, epoch) for epoch in range(4)]
    for steps in epochs:
        for step in steps:
            assert len(set(step.tolist())) == len(step)
    drawn = Counter(np.concatenate([steps.ravel() for steps in epochs]).tolist())
    totals = np.array(plan.report["rows_per_epoch"]) * 4
    for number, total in enumerate(totals.tolist()):
        begin, end = plan.offsets[number : number + 2].tolist()
        passes, rest = divmod(total, end - begin)
        times = sorted(drawn[row] for row in range(begin, end))
        assert times == sorted([passes] * (end - begin - rest) + [passes + 1] * rest)


@given(plans(), st.integers(0, 2**64 - 1))
def test_any_batch_of_any_epoch_is_the_same_alone_and_after_pickling(plan: RowMixturePlan, late: int) -> None:
    late %= 50
    again = pickle.loads(pickle.dumps(plan))
    index = late % len(plan)
    for epoch in (late, 0, late + 1, late):
        np.testing.assert_array_equal(again.batch(epoch, index), np.asarray(plan.epoch(epoch))[index])


def test_golden_numbers() -> None:
    plan = mixture_plan([40, 30, 30], batch_size=4, weights=[0.5, 0.3, 0.2], batches_per_epoch=10, within_batch=True)
    assert plan.report["rows_per_epoch"] == [20, 12, 8]
    assert plan.digest != mixture_plan([40, 30, 30], batch_size=4, weights=[0.5, 0.3, 0.2], batches_per_epoch=10).digest


def test_a_source_of_three_rows_wraps_without_repeating_a_row_in_a_batch() -> None:
    plan = mixture_plan([3, 100], batch_size=4, weights=[1, 1], batches_per_epoch=30, within_batch=True)
    small = [sorted(row for row in batch.tolist() if row < 3) for batch in np.asarray(plan.epoch(0))]
    assert all(len(set(batch)) == 2 for batch in small)
    assert Counter(row for batch in small for row in batch) == {0: 20, 1: 20, 2: 20}


def test_rows_of_all_sources_stand_at_all_places_of_a_batch() -> None:
    plan = mixture_plan([1000, 1000], batch_size=4, within_batch=True)
    first = np.asarray(plan.epoch(0)) < 1000
    assert (first.sum(axis=1) == 2).all()
    assert (np.abs(first.mean(axis=0) - 0.5) < 0.1).all()


def test_sampler_and_ranks_take_the_plan() -> None:
    plan = mixture_plan([40, 24], batch_size=4, batches_per_step=2, within_batch=True)
    pytest.importorskip("torch")
    from negmine.torch import PlanBatchSampler

    ranks = [list(PlanBatchSampler(plan, num_replicas=2, rank=rank)) for rank in range(2)]
    together = [batch for pair in zip(*ranks, strict=True) for batch in pair]
    assert together == np.asarray(plan.epoch(0)).tolist()


def make(sources: Any = (9, 9), batch_size: Any = 4, **options: Any) -> Callable[[], object]:
    return lambda: mixture_plan(list(sources), batch_size=batch_size, within_batch=True, **options)


BAD: dict[str, tuple[Callable[[], object], type[NegmineError], str]] = {
    "flag": (lambda: mixture_plan([9], batch_size=2, within_batch=1), NegmineTypeError, "`within_batch` must be"),  # type: ignore[arg-type]
    "plan": (
        lambda: mixture_plan([9, cluster_plan(np.arange(8), batch_size=2)], batch_size=2, within_batch=True),
        NegmineTypeError,
        "`sources` must hold sizes with `within_batch`; got a plan at place 1.",
    ),
    "no size": (make(batch_size=None), NegmineTypeError, "`batch_size` must be given"),
    "round robin": (make(weights="round_robin"), NegmineValueError, "`weights` must be"),
    "length": (make(weights=[1]), NegmineValueError, "`weights`"),
    "negative": (make(weights=[1, -1]), NegmineValueError, "`weights` must be finite, at least 0"),
    "nan": (make(weights=[1, float("nan")]), NegmineValueError, "`weights` must be finite"),
    "too small": (
        make(sources=(1, 90), weights=[1, 1]),
        NegmineValueError,
        "`sources` must have at least the rows that a step takes of them, which is 2 at place 0; got 1.",
    ),
    "no step": (make(batch_size=20), NegmineValueError, "must be at most the 18 rows of all sources; got 20."),
    "empty": (make(sources=()), NegmineTypeError, "`sources` must be a list"),
    "zero": (make(sources=(0, 3)), NegmineValueError, "`sources` must be at least 1; got 0 at place 0."),
    "multiple": (
        make(weights=[1, 1], batches_per_step=2, batches_per_epoch=3),
        NegmineValueError,
        "`batches_per_epoch` must be a multiple of `batches_per_step`, 2; got 3.",
    ),
    "word": (make(batches_per_epoch=3), NegmineValueError, "`batches_per_epoch` must be None"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_mixtures_are_refused(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
