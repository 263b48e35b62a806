"""`keep`: bounds, then an exact share of the best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.selection import keep

SCORES = st.lists(st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, math.inf]), max_size=20)


@given(SCORES, st.sampled_from([None, -1.0, 0.5]), st.sampled_from([None, 0.5, 1.0]), st.integers(0, 100))
def test_what_is_kept_is_as_defined(
    scores: list[float], low: float | None, high: float | None, hundredths: int
) -> None:
    share = hundredths / 100 or None
    kept = keep(scores, low=low, high=high, share=share)
    within = [
        row for row, score in enumerate(scores) if (low is None or score >= low) and (high is None or score <= high)
    ]
    number = len(within) if share is None else max(1, hundredths * len(within) // 100)
    best = sorted(within, key=lambda row: (-scores[row], row))[:number]
    assert np.flatnonzero(kept.mask).tolist() == sorted(best)
    assert kept.mask.dtype == np.bool_
    if best:
        assert kept.threshold == min(scores[row] for row in best)
    else:
        assert math.isnan(kept.threshold)


def test_golden_shares() -> None:
    kept = keep([3, 2, 2, 1], share=0.5)
    # The mask is not `scores >= threshold`, which would keep three.
    assert (kept.mask.tolist(), kept.threshold) == ([True, True, False, False], 2.0)
    assert keep(np.arange(100), share=0.29).mask.sum() == 29
    assert keep(np.arange(100), share=0.001).mask.sum() == 1
    assert keep(np.arange(100), share=1.0).mask.all()


def test_bounds_come_before_the_share() -> None:
    kept = keep([9, 8, 7, 6, 5, 4], low=5, high=8, share=0.5)
    assert (np.flatnonzero(kept.mask).tolist(), kept.threshold) == ([1, 2], 7.0)


def test_an_empty_input_keeps_nothing() -> None:
    for kept in (keep([]), keep([], share=0.5), keep([1.0], low=2.0, share=0.5)):
        assert kept.mask.sum() == 0
        assert math.isnan(kept.threshold)
    assert repr(keep([1.0])) == "Kept(mask=bool[1], threshold=1.0)"


@pytest.mark.parametrize("dtype", ["f4", "i8", "u1"])
def test_scores_of_other_types(dtype: str) -> None:
    assert keep(np.array([1, 3, 2], dtype), low=2).mask.tolist() == [False, True, True]
