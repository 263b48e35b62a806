"""Sweeps: the effect of every margin, computed by hand, the table, the picture and the recommendation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from negmine import ExactIndex, HardNegativeMiner
from negmine.errors import NegmineValueError
from negmine.mining import Sweep


def sweep(scores: list[float], positives: list[list[int]], margins: list[float | None], **options: Any) -> Sweep:
    """Sweep over documents that score their own values for every query."""
    column = np.array(scores, dtype=np.float32).reshape(-1, 1)
    given = {name: options.pop(name) for name in ("kind", "depth", "hidden", "exclude") if name in options}
    miner = HardNegativeMiner(2, **options)
    queries = np.ones((len(positives), 1), dtype=np.float32)
    return miner.sweep(ExactIndex(column, metric="ip"), queries, positives, margins, **given)


# ---- figures


def test_figures_of_a_small_sweep() -> None:
    # The reference is 1; candidates score 1.25, 0.9375, 0.75, 0.5 and 0.25.
    swept = sweep([1.0, 1.25, 0.9375, 0.75, 0.5, 0.25], [[0]], [0.5, 0.0, 0.125], hidden=[[2, 4]])
    assert swept.kind == "relative"
    assert swept.margins.tolist() == [0.0, 0.125, 0.5]
    assert swept.rejected.tolist() == [1 / 5, 2 / 5, 3 / 5]
    assert swept.hardness.tolist() == [(0.9375 + 0.75) / 2, (0.75 + 0.5) / 2, (0.5 + 0.25) / 2]
    np.testing.assert_allclose(swept.hardness_quantiles[2], np.quantile([0.5, 0.25], [0.1, 0.5, 0.9]))
    assert swept.false_negatives is not None
    assert swept.false_negatives.share.tolist() == [1 / 2, 1 / 2, 1 / 2]
    assert swept.short_rows.tolist() == swept.censored_rows.tolist() == [0.0, 0.0, 0.0]


def test_without_hidden_positives_there_is_no_false_negative_share() -> None:
    assert sweep([1.0, 0.5], [[0]], [0.0]).false_negatives is None


def test_equality_is_kept_in_a_sweep() -> None:
    swept = sweep([1.0, 0.75, 0.5], [[0]], [0.25, 0.26], kind="absolute")
    assert swept.rejected.tolist() == [0.0, 1 / 2]


def test_absolute_margins_may_be_negative() -> None:
    swept = sweep([0.5, 0.75, 1.0], [[0]], [-0.25, 0.0], kind="absolute")
    assert swept.rejected.tolist() == [1 / 2, 1.0]


def test_a_swept_margin_takes_the_place_of_the_miners_own_and_other_caps_stay() -> None:
    scores = [1.0, 0.9375, 0.75, 0.5, 0.25]
    plain = sweep(scores, [[0]], [0.0], kind="absolute")
    own = sweep(scores, [[0]], [0.0], kind="absolute", absolute_margin=0.5)
    assert own.rejected.tolist() == plain.rejected.tolist() == [0.0]
    assert sweep(scores, [[0]], [0.0], relative_margin=0.5).rejected.tolist() == [0.0]
    assert sweep(scores, [[0]], [0.0], absolute_margin=0.25).rejected.tolist() == [1 / 4]
    assert sweep(scores, [[0]], [0.0], max_score=0.5).rejected.tolist() == [1 / 2]


def test_the_window_and_the_floor_are_the_miners() -> None:
    scores = [1.0, 0.9375, 0.75, 0.5, 0.25]
    assert sweep(scores, [[0]], [0.0], range_min=1).hardness.tolist() == [(0.75 + 0.5) / 2]
    floored = sweep(scores, [[0]], [0.0, 0.25], min_score=0.5)
    assert floored.rejected.tolist() == [0.0, 1 / 3]
    assert floored.hardness.tolist() == [(0.9375 + 0.75) / 2, (0.75 + 0.5) / 2]


def test_rows_without_a_reference_do_not_count() -> None:
    with_nobody = sweep([1.0, 0.75, 0.5], [[0], []], [0.5])
    alone = sweep([1.0, 0.75, 0.5], [[0]], [0.5])
    for name in ("rejected", "hardness", "short_rows", "censored_rows"):
        assert getattr(with_nobody, name).tolist() == getattr(alone, name).tolist(), name


def test_short_rows_are_counted_unless_their_list_was_cut() -> None:
    # Margins 0, 0.25 and 0.5 leave 4, 3 and 2 of 4 candidates, of which 2 are wanted; depth 3 lists 3 of them.
    scores = [1.0, 1.0, 0.75, 0.5, 0.25]
    whole = sweep(scores, [[0]], [0.0, 0.25, 0.5, 0.75], depth=4, range_max=2)
    assert whole.short_rows.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert whole.censored_rows.tolist() == [0.0, 0.0, 0.0, 1.0]
    deeper = sweep(scores, [[0]], [0.0, 0.25, 0.5, 0.75], depth=5, range_max=2)
    assert deeper.short_rows.tolist() == [0.0, 0.0, 0.0, 1.0]
    assert deeper.censored_rows.tolist() == [0.0] * 4
    cut = sweep(scores, [[0]], [0.0, 0.25, 0.5], depth=3, range_max=2)
    assert cut.censored_rows.tolist() == [0.0, 0.0, 1.0]
    assert cut.short_rows.tolist() == [0.0, 0.0, 0.0]


def test_a_cut_list_is_censored_below_range_max_and_not_below_what_is_wanted() -> None:
    scores = [1.0, 1.0, 0.75, 0.5, 0.25]
    swept = sweep(scores, [[0]], [0.0, 0.25], depth=3, range_max=3)
    assert swept.censored_rows.tolist() == [0.0, 1.0]


def test_a_cut_list_is_censored_below_range_max_counted_from_rank_0() -> None:
    scores = [1.0, 1.0, 0.75, 0.5, 0.25]
    swept = sweep(scores, [[0]], [0.0, 0.25], depth=3, range_min=1, range_max=3)
    assert swept.censored_rows.tolist() == [0.0, 1.0]
    assert swept.short_rows.tolist() == [0.0, 0.0]


def test_each_positive_is_a_row_of_its_own() -> None:
    swept = sweep([1.0, 0.5, 0.75, 0.25], [[0, 1]], [0.25], reference="each")
    # Row of positive 0: 0.75 and 0.25 stay. Row of positive 1, capped at 0.375: 0.25 stays.
    assert swept.rejected.tolist() == [(0.0 + 0.5) / 2]
    assert swept.short_rows.tolist() == [0.5]


def test_hidden_positives_are_those_of_the_query_whatever_its_offset() -> None:
    column = np.array([[1.0], [0.75], [0.5]], dtype=np.float32)
    index, miner = ExactIndex(column, metric="ip"), HardNegativeMiner(2)
    queries = np.ones((2, 1), dtype=np.float32)
    swept = miner.sweep(index, queries, [[0], [0]], [0.0], hidden=[[1], []], query_offset=7)
    assert swept.false_negatives is not None
    assert swept.false_negatives.share.tolist() == [1 / 4]


def test_a_sweep_is_one_scan() -> None:
    index = ExactIndex(np.eye(5, dtype=np.float32))
    index._native = Counted(index._native)
    HardNegativeMiner(2).sweep(index, np.ones((2, 5), np.float32), [[0], [1]], [0.0, 0.1, 0.2])
    assert index._native.n_scans == 1


class Counted:
    """What does the scans of an index, counting them."""

    def __init__(self, native: Any) -> None:
        self.native = native
        self.n_scans = 0

    def __getattr__(self, name: str) -> Any:
        self.n_scans += name == "candidates"
        return getattr(self.native, name)


# ---- no margin, and negative margins


def test_none_is_no_margin_and_comes_first() -> None:
    swept = sweep([1.0, 1.25, 0.75, 0.5], [[0]], [0.0, None], hidden=[[1]])
    assert swept.margins.tolist() == [-np.inf, 0.0]
    assert swept.rejected.tolist() == [0.0, 1 / 3]
    assert swept.hardness.tolist() == [1.0, 0.625]
    assert swept.false_negatives is not None
    assert swept.false_negatives.share.tolist() == [0.5, 0.0]
    assert repr(swept) == "Sweep(2 relative margins, none to 0)"


def test_no_margin_leaves_the_miners_other_caps() -> None:
    scores = [1.0, 1.25, 0.75, 0.5]
    assert sweep(scores, [[0]], [None], absolute_margin=0.5).rejected.tolist() == [2 / 3]
    assert sweep(scores, [[0]], [None], relative_margin=0.5).rejected.tolist() == [0.0]
    assert sweep(scores, [[0]], [None], max_score=0.5).rejected.tolist() == [2 / 3]
    assert sweep(scores, [[0]], [None], kind="absolute", relative_margin=0.5).rejected.tolist() == [2 / 3]


def test_no_margin_is_finite_for_a_reference_of_zero() -> None:
    assert sweep([0.0, 0.5, 0.25], [[0]], [None, 0.0]).rejected.tolist() == [0.0, 1.0]


def test_negatives_per_row_fall_as_margins_grow() -> None:
    swept = sweep([1.0, 0.75, 0.5, 0.25], [[0], [0, 2]], [None, 0.0, 0.4, 0.8])
    assert swept.negatives_per_row.tolist() == [2.0, 1.5, 1.5, 0.0]


# ---- loss and signal


def test_false_negatives_by_loss_and_signal() -> None:
    # The reference is 1 and the negatives score 1 and .95: weights sigmoid(0) and sigmoid(-1).
    swept = sweep([1.0, 1.0, 0.95], [[0]], [None], hidden=[[1]])
    low = 1 / (1 + np.e)
    known = swept.false_negatives
    assert known is not None
    np.testing.assert_allclose(known.loss_share, 0.5 / (0.5 + low), rtol=1e-6)
    np.testing.assert_allclose(known.signal, low, rtol=1e-6)
    assert known.n_judged.tolist() == [2]
    assert known.represented.tolist() == [1.0]


# ---- the table and the picture


def test_a_sweep_prints_as_a_table() -> None:
    swept = sweep([1.0, 1.25, 0.9375, 0.75, 0.5, 0.25], [[0]], [0.5, 0.0, None], hidden=[[2, 4]])
    assert str(swept) == (
        " relative margin  hardness  per row  rejected  short  censored  false negatives   95% interval  of the loss"
        "  signal\n"
        "            none     1.094     2.00      0.0%   0.0%      0.0%            50.0%  9.5% to 90.5%        18.3%"
        "   0.993\n"
        "               0     0.844     2.00     20.0%   0.0%      0.0%            50.0%  9.5% to 90.5%        97.1%"
        "   0.007\n"
        "             0.5     0.375     2.00     60.0%   0.0%      0.0%            50.0%  9.5% to 90.5%        99.3%"
        "   0.000"
    )


def test_a_sweep_without_evidence_prints_what_it_knows() -> None:
    assert str(sweep([1.0, 0.75, 0.5], [[0]], [-0.5, 0.0], kind="absolute")) == (
        " absolute margin  hardness  per row  rejected  short  censored\n"
        "            -0.5     0.625     2.00      0.0%   0.0%      0.0%\n"
        "               0     0.625     2.00      0.0%   0.0%      0.0%"
    )


@pytest.mark.parametrize("hidden", [None, [[2, 4]]])
def test_the_picture_shows_every_margin(hidden: list[list[int]] | None) -> None:
    pytest.importorskip("matplotlib").use("agg")
    axes = sweep([1.0, 1.25, 0.9375, 0.75, 0.5, 0.25], [[0]], [None, 0.0, 0.5], hidden=hidden).plot()
    assert [text.get_text() for text in axes.texts] == ["none", "0", "0.5"]
    assert "hardness" in axes.get_xlabel()
    labels = [panel.get_ylabel() for panel in axes.figure.axes]
    assert labels == ["share of false negatives, 95% interval"] * (hidden is not None) + ["negatives per row (dotted)"]
    yields = axes.figure.axes[-1].lines[0]
    assert yields.get_ydata().tolist() == [2.0, 2.0, 2.0]
    assert yields.get_xdata().tolist() == [1.09375, 0.84375, 0.375]
    __import__("matplotlib.pyplot").pyplot.close(axes.figure)


def test_a_margin_without_negatives_is_left_out_of_the_picture() -> None:
    pytest.importorskip("matplotlib").use("agg")
    axes = sweep([1.0, 0.75], [[0]], [0.0, 0.5], hidden=[[1]]).plot()
    assert [text.get_text() for text in axes.texts] == ["0"]
    __import__("matplotlib.pyplot").pyplot.close(axes.figure)


# ---- the recommendation


def many(margins: list[float | None], hidden: list[int], **options: Any) -> Sweep:
    """Sweep 200 queries whose candidates score 1.25, .9375, .75, .5 and .25; the positive scores 1."""
    scores = [1.0, 1.25, 0.9375, 0.75, 0.5, 0.25]
    return sweep(scores, [[0]] * 200, margins, hidden=[hidden] * 200, **options)


def test_the_smallest_margin_within_the_limit_is_recommended() -> None:
    swept = many([None, 0.0, 0.25, 0.5], hidden=[1, 2])
    assert swept.false_negatives is not None
    assert swept.false_negatives.share.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert swept.recommend().margin == 0.25
    assert swept.recommend(max_false_negatives=0.6).margin == 0.0
    assert many([0.0, 0.25], hidden=[], range_min=1).recommend().range_min == 1


def test_margins_below_0_and_no_margin_are_not_recommended() -> None:
    assert many([None, -0.5, 0.0, 0.25], hidden=[], kind="absolute").recommend().margin == 0.0
    with pytest.raises(NegmineValueError, match="`recommend` must have a margin of at least 0; got margins up to none"):
        many([None], hidden=[]).recommend()
    with pytest.raises(NegmineValueError, match=r"at least 0; got margins up to -0\.25"):
        many([-0.5, -0.25], hidden=[], kind="absolute").recommend()


def test_a_reason_states_the_trade_and_its_price() -> None:
    assert many([0.0, 0.5], hidden=[2]).recommend().reason == (
        "the smallest margin whose false-negative share is at most 5.00% by its upper bound: 0.0%, 95% interval 0.0% to"
        " 1.0%, from 400 negatives against hidden positives; false negatives are 0.0% of the loss; hardness 0.375"
        " (-0.469 against margin 0, which has 50.0% false negatives), 2.00 negatives per row, 0.0% of rows short"
    )
    assert "hardness 0.844, 2.00" in many([0.0], hidden=[]).recommend().reason


def test_a_reason_says_that_no_margin_keeps_the_limit_too() -> None:
    found = many([None, 0.0], hidden=[])
    assert found.recommend().margin == 0.0
    assert "against no margin, which has 0.0% false negatives and keeps the limit too)" in found.recommend().reason


@pytest.mark.parametrize(("margins", "margin", "range_min"), [([0.0, 0.25], 0.25, 0), ([0.0], None, 2)])
def test_a_recommendation_can_be_followed(margins: list[float | None], margin: float | None, range_min: int) -> None:
    # Documents 1 and 2 are false, so that a margin of .25 or the ranks from 2 on leave documents 3 and 4.
    found = many(margins, hidden=[1, 2]).recommend()
    assert (found.margin, found.range_min) == (margin, range_min)
    miner = replace(HardNegativeMiner(2), relative_margin=found.margin, range_min=found.range_min)
    index = ExactIndex(np.array([[1.0], [1.25], [0.9375], [0.75], [0.5], [0.25]], dtype=np.float32), metric="ip")
    assert miner.mine(index, np.ones((1, 1), np.float32), [[0]]).indices.tolist() == [[3, 4]]


def test_nothing_is_offered_if_no_window_is_clean() -> None:
    found = many([0.0], hidden=[1, 2, 3, 4, 5]).recommend()
    assert (found.margin, found.range_min) == (None, None)
    assert found.reason.endswith(
        "from 400 negatives against hidden positives. The same holds for every rank window of the sweep"
    )


def test_a_few_negatives_do_not_prove_a_low_share() -> None:
    # Twenty negatives without a false one: the upper bound is 16 %.
    found = sweep([1.0, 0.9, 0.8, 0.7], [[0]] * 10, [0.0], hidden=[[]] * 10).recommend()
    assert found.margin is None
    assert "margin 0 has the lowest share, 0.0%, 95% interval 0.0% to 16.1%, from 20 negatives" in found.reason


def test_without_evidence_no_margin_is_recommended() -> None:
    with pytest.raises(NegmineValueError, match="`recommend` must have a sweep with `hidden` positives or `verdicts`"):
        sweep([1.0, 0.5], [[0]], [0.0]).recommend()


def test_without_a_reference_no_margin_is_recommended() -> None:
    for positives in ([[], []], []):
        swept = sweep([1.0, 0.5], positives, [0.0, 0.1], hidden=positives)
        with pytest.raises(NegmineValueError, match="`recommend` must have rows with a reference"):
            swept.recommend()
