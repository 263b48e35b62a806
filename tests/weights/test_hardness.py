"""`hardness`: weights of negatives and of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.weights import hardness
from oracle_weights import slow_hardness

KINDS = ("self", "sample", "negative", "ngame")


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows = draw(st.integers(1, 5))
    columns = draw(st.integers(rows, 7))
    number = st.sampled_from([-3.0, -1.0, 0.0, 0.5, 0.5, 1.0, 2.0, 40.0])
    scores = draw(st.lists(number, min_size=rows * columns, max_size=rows * columns))
    masked = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    return np.array(scores).reshape(rows, columns), np.array(masked).reshape(rows, columns)


@given(
    problems(),
    st.sampled_from(KINDS),
    st.sampled_from([0.0, 0.5, 1.0, 10.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
    st.sampled_from([None, 1, 2]),
)
def test_weights_are_those_of_the_slow_twin(
    problem: tuple[np.ndarray, np.ndarray], kind: str, beta: float, progress: float, last: bool, hardest: int | None
) -> None:
    scores, mask = problem
    target = [scores.shape[1] - 1] * len(scores) if last else None
    options = {"beta": beta, "progress": progress, "target": target}
    if kind == "ngame":
        options |= {"margin": 0.3, "hardest": hardest}
    weights, counted = hardness(scores, mask, kind=kind, return_counts=True, **options)  # type: ignore[call-overload]
    expected = np.array(slow_hardness(scores.tolist(), mask.tolist(), kind, **options))  # type: ignore[arg-type]
    np.testing.assert_allclose(weights, expected[:, 0] if kind == "sample" else expected, rtol=1e-12, atol=1e-300)
    if kind != "sample":
        assert counted == (weights.sum(axis=1) > 0).sum()
        assert (weights[mask] == 0.0).all()


def test_golden_values() -> None:
    np.testing.assert_allclose(hardness([[1.0, 0.0, -1.0]], beta=0.5), [[0.506480, 0.307196, 0.186324]], atol=1e-6)
    scores = [[5.0, 2.0, 1.0], [3.0, 4.0, 3.5]]
    np.testing.assert_allclose(hardness(scores, kind="sample"), [0.130651, 1.869349], atol=1e-6)
    np.testing.assert_allclose(hardness(scores, kind="sample", progress=0.0), [1.0, 1.0], atol=1e-15)


def test_sums_are_as_stated() -> None:
    scores = np.random.default_rng(0).standard_normal((6, 9))
    mask = np.random.default_rng(1).random((6, 9)) < 0.3
    negatives = (~mask).sum(axis=1)
    np.testing.assert_allclose(hardness(scores, mask).sum(axis=1), 1.0)
    np.testing.assert_allclose(hardness(scores, mask, kind="negative").sum(axis=1), negatives)
    assert hardness(scores, mask, kind="sample").mean() == pytest.approx(1.0)


def test_rows_are_clipped_before_they_are_scaled() -> None:
    scores = np.zeros((100, 101))
    scores[0, 1:] = 50.0
    weights = hardness(scores, kind="sample")
    assert weights.max() == pytest.approx(10 / 0.199)  # above the clip of 10
    assert weights.mean() == pytest.approx(1.0)


def test_rows_without_negatives_weigh_nothing_and_are_counted() -> None:
    scores = np.array([[np.nan, 1.0], [np.inf, -np.inf]])
    mask = np.array([[True, False], [True, True]])
    for kind in ("self", "negative"):
        weights, counted = hardness(scores, mask, kind=kind, return_counts=True)  # type: ignore[call-overload]
        assert (weights.tolist(), counted) == ([[0.0, 1.0], [0.0, 0.0]], 1)
    scores = np.array([[2.0, np.nan], [1.0, 0.0]])
    mask = np.array([[True, True], [False, True]])
    assert hardness(scores, mask, kind="sample").tolist() == [0.0, 1.0]
    assert hardness(scores, mask | True, kind="sample").tolist() == [0.0, 0.0]
    assert hardness(np.empty((0, 3)), kind="self").shape == (0, 3)
    assert hardness(np.empty((2, 0))).shape == (2, 0)
