"""Pools cut to bands of scores or of guide scores after the scan, and their documents as positives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import compare
import negmine
import oracle_pools
from compare import How, Problem, reason_names
from negmine import CandidatePool
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.mining import Reason
from oracle_pools import Band
from pools import as_rows, assert_adds_up, assert_equal_pools, assert_rows, known_scores, line_pool, lists, teacher
from strategies import problems

#: Values that hit scores of the teacher, and differences of them, exactly.
EIGHTHS = st.integers(-8, 8).map(lambda number: number / 8)
MAYBE = st.one_of(st.none(), EIGHTHS)


@st.composite
def bands(draw: st.DrawFn) -> Band:
    low, high = draw(MAYBE), draw(MAYBE)
    if low is not None and high is not None and low > high:
        low, high = high, low
    first = draw(st.integers(0, 3))
    return Band(
        max_score=high,
        min_score=low,
        absolute_margin=draw(MAYBE),
        relative_margin=draw(st.one_of(st.none(), st.integers(0, 8).map(lambda number: number / 4))),
        absolute_floor=draw(MAYBE),
        relative_floor=draw(MAYBE),
        reference=draw(st.sampled_from(["min", "max", "mean", "each"])),
        range_min=first,
        range_max=draw(st.one_of(st.none(), st.integers(first + 1, first + 60))),
    )


def given_options(band: Band, pool: CandidatePool) -> tuple[Band, dict[str, Any]]:
    """Options of the product; "each" is the default of a pool of each positive, and no other pool has it."""
    if (band.reference == "each") > pool.each:
        band = oracle_pools.replace(band, reference="min")
    options = {name: value for name, value in vars(band).items() if value is not None}
    if band.reference == ("each" if pool.each else "min"):
        del options["reference"]
    return band, options


# ---- against the oracle


@given(problems(), bands(), bands(), st.sampled_from(["score", "guide"]))
def test_restrict(problem: Problem, first: Band, second: Band, by: Any) -> None:
    pool = compare.actual_pool(problem, How()).rescore(teacher, as_guide=by == "guide")
    positives = pool.guide_positive_scores if by == "guide" else pool.positive_scores
    assert positives is not None
    rows, known = as_rows(pool), known_scores(pool, positives)
    found = pool
    for band in (first, second):
        width = found.indices.shape[1]
        assume(band.range_max is not None or band.range_min < width)
        band, options = given_options(band, pool)
        rows = [
            oracle_pools.restricted(row, width, band, row.guides if by == "guide" else row.scores, known)
            for row in rows
        ]
        rows = [oracle_pools.replace(row, full=row.reason in ("", "rank_window")) for row in rows]
        found = found.restrict(by=by, **options)
        assert_rows(found, rows, (band.range_max or width) - band.range_min)
        assert_adds_up(found)
    for name in ("reference_scores", "positive_scores", "cap_scores", "query_indices", "positive_indices"):
        assert np.array_equal(getattr(found, name), getattr(pool, name), equal_nan=True), name
    np.testing.assert_array_equal(found.floor_scores, pool.floor_scores)
    expected = oracle_pools.as_positives(rows, lists(pool))
    assert [found.to_positives()[query].tolist() for query in range(len(expected))] == expected


# ---- by hand

#: One query: the positive scores 8, the candidates 6, 5, 4 and 3.
POOL = line_pool([[8, 6, 5, 4, 3]], [[0]])


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [1, 2, 3, 4]),
        ({"max_score": 5.0}, [2, 3, 4]),
        ({"min_score": 5.0}, [1, 2]),
        ({"max_score": 5.0, "min_score": 5.0}, [2]),
        ({"absolute_margin": 3.0}, [2, 3, 4]),
        ({"absolute_margin": -1.0}, [1, 2, 3, 4]),
        ({"relative_margin": 0.5}, [3, 4]),
        ({"absolute_floor": 3.0}, [1, 2]),
        ({"relative_floor": 0.5}, [1, 2, 3]),
        ({"absolute_floor": -1.0}, []),
        ({"relative_floor": -0.5}, []),
        ({"absolute_margin": 3.0, "absolute_floor": 4.0}, [2, 3]),
        ({"absolute_margin": 4.0, "absolute_floor": 3.0}, []),
        ({"min_score": 4.0, "absolute_floor": 3.0}, [1, 2]),
        ({"range_min": 1}, [2, 3, 4]),
        ({"range_max": 2}, [1, 2]),
        ({"range_min": 1, "range_max": 2, "max_score": 5.0}, [3]),
        ({"range_min": 4, "range_max": 6}, []),
    ],
)
def test_equality_is_kept_on_both_sides(options: dict[str, Any], kept: list[int]) -> None:
    found = POOL.restrict(**options)
    assert found.indices[0, : found.counts[0]].tolist() == kept
    assert found.report.totals().get("restricted", 0) == 4 - len(kept)
    assert sum(found.report.totals().values()) == 5


def test_a_negative_floor_asks_for_documents_above_the_positive() -> None:
    pool = line_pool([[5, 9, 8, 7, 6]], [[0]])
    assert pool.restrict(absolute_floor=-3.0).indices[0].tolist() == [1, 2, -1, -1, -1]
    assert pool.restrict(absolute_floor=0.0).counts.tolist() == [4]


def test_a_floor_of_zero_admits_ties_with_the_positive() -> None:
    pool = line_pool([[5, 5, 4, 6]], [[0]])
    assert pool.restrict(absolute_floor=0.0).indices[0].tolist() == [3, 1, -1, -1]


def test_margins_of_a_guide_refer_to_the_positives_of_the_guide() -> None:
    # NV-Retriever: a negative scores at most a share of the positive, both by the teacher.
    guided = line_pool([[8, 6, 5, 4, 3]], [[0, 4]]).rescore(
        np.array([[0.9, 0.8, 0.7, 0, 0]]), positive_scores=[1.0, 0.8], as_guide=True
    )
    assert guided.restrict(by="guide", relative_margin=0.125).indices[0, :2].tolist() == [3, -1]
    assert guided.restrict(by="guide", relative_margin=0.125, reference="max").indices[0, :2].tolist() == [2, 3]
    assert guided.restrict(by="guide", max_score=0.75).scores[0, 0] == 4.0


def test_bands_of_rocketqa_give_negatives_and_positives() -> None:
    scores = {1: 0.95, 2: 0.5, 3: 0.05, 4: 0.9}
    guided = POOL.rescore(lambda q, d: [scores.get(row, 1.0) for row in d], as_guide=True)
    below = np.nextafter(0.1, 0)
    above = np.nextafter(0.9, 1)
    assert guided.restrict(by="guide", max_score=below).indices[0].tolist() == [3, -1, -1, -1, -1]
    assert guided.restrict(by="guide", min_score=above).to_positives()[0].tolist() == [1]
    assert guided.restrict(by="guide", min_score=0.9).to_positives()[0].tolist() == [1, 4]
    assert guided.restrict(by="guide", min_score=0.5).select(1).to_positives()[0].tolist() == [1]
    assert guided.restrict(by="guide", min_score=0.5, range_max=1).to_positives()[0].tolist() == [1]


def test_reasons_of_short_rows() -> None:
    deep = line_pool([[8, 6, 5, 4, 3], [1, 2, 3, 4, 5]], [[0], []], range_max=3)
    found = deep.restrict(max_score=5.0)
    assert reason_names(found.reasons) == ["rank_window", ""]
    assert found.select(3).report.short == {"rank_window": 1}
    shallow = line_pool([[8, 6, 5, 4, 3], [1, 2, 3, 4, 5]], [[0], []], max_score=5.0)
    assert reason_names(shallow.reasons) == ["above_cap", ""]
    assert reason_names(shallow.restrict(min_score=1.0).reasons) == ["above_cap", ""]  # nothing was dropped
    found = shallow.restrict(min_score=4.0)
    assert reason_names(found.reasons) == ["restricted", "rank_window"]
    assert found.select(5).reasons.tolist() == [Reason.RESTRICTED, Reason.RANK_WINDOW]
    assert found.select(5).report.short == {"restricted": 1, "rank_window": 1}
    assert found.select(2, sampling="random").reasons.tolist() == [Reason.NONE, Reason.NONE]


def test_rows_without_a_reference_are_empty_and_say_so() -> None:
    pool = line_pool([[8, 6, 5], [8, 6, 5]], [[0], []]).rescore(np.array([[1, 2, 0], [1, 2, 3]]))
    found = pool.restrict(absolute_margin=0.0)
    assert found.counts.tolist() == [0, 0]
    assert reason_names(found.reasons) == ["no_reference", "no_positive"]
    assert found.select(1).report.short == {"no_reference": 1, "no_positive": 1}
    assert pool.restrict(max_score=9.0).counts.tolist() == [2, 3]


def test_the_reason_survives_a_table_of_negatives(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    from negmine import io

    found = line_pool([[8, 6, 5, 4, 3]], [[0]], max_score=5.0).restrict(max_score=3.5).select(2)
    io.write_negatives(found, tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").column("reason").to_pylist() == ["restricted"]


def test_random_negatives_are_drawn_as_before() -> None:
    found = POOL.restrict(max_score=5.0)
    drawn = found.select(1, num_random=3)
    assert drawn.indices[0, 0] == 2
    assert set(drawn.indices[0, 1:].tolist()) == {1, 3, 4}


def test_a_restricted_pool_survives_a_file(tmp_path: Path) -> None:
    found = POOL.rescore(teacher, as_guide=True).restrict(by="guide", max_score=0.0)
    found.save(tmp_path / "a.npz")
    loaded = CandidatePool.load(tmp_path / "a.npz")
    assert_equal_pools(loaded, found)
    assert_equal_pools(loaded.restrict(max_score=4.0), found.restrict(max_score=4.0))


def test_positives_of_several_rows_of_a_query_are_joined() -> None:
    pool = line_pool([[8, 6, 5, 4, 3]], [[0, 2]], reference="each", absolute_margin=0.0, query_offset=3)
    assert pool.indices.tolist() == [[1, 3, 4, -1, -1], [3, 4, -1, -1, -1]]
    positives = pool.restrict(range_max=1).to_positives()
    assert positives[0].tolist() == [1, 3]
    again = line_pool([[8, 6, 5, 4, 3]], positives, query_offset=3)
    assert again.indices[0].tolist() == [0, 2, 4, -1, -1]


def test_negatives_without_a_pool_have_no_positives_to_leave_out(tmp_path: Path) -> None:
    mined = POOL.select(1)
    assert mined.to_positives()[0].tolist() == [1]
    mined.save(tmp_path / "a.npz")
    with pytest.raises(NegmineValueError, match="`to_positives` must have the pool"):
        negmine.HardNegatives.load(tmp_path / "a.npz").to_positives()


# ---- bad input

NAN, INF = float("nan"), float("inf")

BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "by": ({"by": "teacher"}, NegmineValueError, "`by` must be one of 'score', 'guide'; got 'teacher'"),
    "no guide": (
        {"by": "guide"},
        NegmineValueError,
        "`by` must be 'score' for a pool without guide scores; got 'guide'",
    ),
    "max_score": ({"max_score": NAN}, NegmineValueError, "`max_score` must be finite; got nan"),
    "min_score": ({"min_score": "0"}, NegmineTypeError, "`min_score` must be a number; got '0'"),
    "crossed": (
        {"min_score": 2.0, "max_score": 1.0},
        NegmineValueError,
        "`min_score` must be at most `max_score`; got min_score=2.0, max_score=1.0",
    ),
    "absolute_margin": ({"absolute_margin": INF}, NegmineValueError, "`absolute_margin` must be finite; got inf"),
    "relative_margin": (
        {"relative_margin": -0.1},
        NegmineValueError,
        "`relative_margin` must be at least 0.0; got -0.1",
    ),
    "absolute_floor": ({"absolute_floor": NAN}, NegmineValueError, "`absolute_floor` must be finite; got nan"),
    "relative_floor": ({"relative_floor": True}, NegmineTypeError, "`relative_floor` must be a number; got True"),
    "reference": ({"reference": "last"}, NegmineValueError, "`reference` must be one of 'min', 'max', 'mean', 'each'"),
    "each": (
        {"reference": "each"},
        NegmineValueError,
        "`reference` must be 'min', 'max' or 'mean' for a pool that was",
    ),
    "range_min": ({"range_min": -1}, NegmineValueError, "`range_min` must be at least 0; got -1"),
    "range_max": ({"range_max": 0}, NegmineValueError, "`range_max` must be at least 1; got 0"),
    "window": (
        {"range_min": 3, "range_max": 3},
        NegmineValueError,
        "`range_max` must be greater than `range_min`; got range_min=3, range_max=3",
    ),
    "behind": ({"range_min": 5}, NegmineValueError, "got range_min=5, range_max=5, the width of the pool"),
    "memory": ({"range_max": 2**31 - 1}, NegmineValueError, "`range_max` must give a result that fits in memory"),
    "unknown": ({"margin": 0.1}, NegmineTypeError, "`restrict` has no option 'margin'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_names_argument_rule_and_value(case: str) -> None:
    options, kind, words = BAD[case]
    pool = POOL if case != "memory" else line_pool([[8, 6]] * 9000, [[0]] * 9000)
    with pytest.raises(kind) as caught:
        pool.restrict(**options)
    assert words in str(caught.value)
