"""Sweeps: what every margin would do, done by hand, and which one is recommended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from negmine import ExactIndex, HardNegativeMiner
from negmine.errors import NegmineValueError
from negmine.mining import Sweep

NAN = float("nan")


def sweep(scores: list[float], positives: list[list[int]], margins: list[float], **options: Any) -> Sweep:
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
    assert swept.false_negatives.tolist() == [1 / 2, 1 / 2, 1 / 2]
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
    assert swept.false_negatives.tolist() == [1 / 4]


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


# ---- the recommendation


def figures(**given: list[float]) -> Sweep:
    """A sweep over margins 0.0, 0.1, ... with the given figures."""
    n = len(next(iter(given.values())))
    columns = {name: np.zeros(n) for name in ("rejected", "hardness", "short_rows", "censored_rows")}
    columns |= {name: np.array(values) for name, values in given.items()}
    columns.setdefault("false_negatives", None)  # type: ignore[arg-type]
    return Sweep(kind="relative", margins=np.arange(n) / 10, hardness_quantiles=np.zeros((n, 3)), **columns)


@pytest.mark.parametrize(
    ("given", "margin", "reason"),
    [
        # The smallest margin within a tenth of the best share.
        ({"false_negatives": [0.30, 0.11, 0.10]}, 0.1, "within a tenth of the best false-negative share, 11.0%"),
        ({"false_negatives": [0.30, 0.12, 0.10]}, 0.2, "within a tenth of the best false-negative share, 10.0%"),
        # More than one row in twenty short: not even the best share helps.
        ({"false_negatives": [0.30, 0.20, 0.0], "short_rows": [0.0, 0.05, 0.06]}, 0.1, "20.0%"),
        # A margin under which nothing was chosen has no share.
        ({"false_negatives": [0.30, NAN], "rejected": [0.0, 1.0]}, 0.0, "30.0%"),
        ({"false_negatives": [NAN, NAN], "rejected": [0.1, 1.0], "censored_rows": [1, 1]}, 0.0, "100.0% unknown"),
        # Without hidden positives: the smallest that rejects 5 %.
        ({"rejected": [0.01, 0.05, 0.2]}, 0.1, "smallest margin that rejects 5% of the top candidates; 5.0% rejected"),
        ({"rejected": [0.01, 0.02, 0.03]}, 0.2, "none rejects many candidates; 3.0% rejected"),
        ({"rejected": [0.01, 0.02, 0.3], "short_rows": [0.0, 0.0, 0.9]}, 0.1, "largest margin that leaves few rows"),
        (
            {"short_rows": [0.3, 0.2, 0.4]},
            0.1,
            "every margin leaves more than 5% of rows short; this one leaves the fewest",
        ),
    ],
)
def test_recommended_margins(given: dict[str, list[float]], margin: float, reason: str) -> None:
    found = figures(**given).recommend()
    assert found.margin == margin
    assert reason in found.reason


def test_a_reason_has_the_figures_of_its_margin() -> None:
    swept = figures(rejected=[0.0, 0.25], hardness=[0.9, 0.5], short_rows=[0.0, 0.01], censored_rows=[0.0, 0.5])
    assert swept.recommend().reason.endswith(
        "; 25.0% rejected, hardness 0.500, 1.0% of rows short, 50.0% unknown at this depth"
    )


def test_without_a_reference_no_margin_is_recommended() -> None:
    for positives in ([[], []], []):
        swept = sweep([1.0, 0.5], positives, [0.0, 0.1], hidden=positives)
        with pytest.raises(NegmineValueError, match="`recommend` must have rows with a reference"):
            swept.recommend()
