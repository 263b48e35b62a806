"""Moved rows: golden values, formulas, matches and bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.synthesis import move


def by_definition(x: np.ndarray, y: np.ndarray, by: str, amount: float) -> np.ndarray:
    """Move one row toward another."""
    if by == "alpha":
        return (1 - amount) * x + amount * y
    if by == "angle":
        a, b = x / np.linalg.norm(x), y / np.linalg.norm(y)
        tangent = b - (a @ b) * a
        tangent /= np.linalg.norm(tangent)
        return np.linalg.norm(x) * (math.cos(amount) * a + math.sin(amount) * tangent)
    rest = x - (x @ y) / (y @ y) * y
    return rest + amount / math.sqrt(1 - amount**2) * np.linalg.norm(rest) * y / np.linalg.norm(y)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(float), b.astype(float)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


AMOUNTS = {"alpha": st.floats(-3, 3), "angle": st.floats(-4, 4), "cosine": st.floats(-0.99, 0.99)}


@given(
    st.sampled_from(list(AMOUNTS)).flatmap(lambda by: st.tuples(st.just(by), AMOUNTS[by])),
    st.integers(2, 20),
    st.booleans(),
    st.booleans(),
    st.integers(0, 999),
)
def test_rows_move_as_defined(motion: tuple[str, float], width: int, one: bool, unit_norm: bool, seed: int) -> None:
    by, amount = motion
    draw = np.random.default_rng(seed)
    x, y = draw.standard_normal((2, 7, width)).astype(np.float32)
    toward = y[0] if one else y
    made = move(x, toward, **{by: amount}, unit_norm=unit_norm, num_threads=2)  # type: ignore[arg-type]
    assert made.indices.tolist() == ([0] * 7 if one else list(range(7)))
    assert made.num_degenerate == 0
    for row in range(7):
        expected = by_definition(x[row].astype(float), y[0 if one else row].astype(float), by, amount)
        size = np.linalg.norm(expected)
        # Far from 0, so that its direction is known.
        if unit_norm and size > 1e-3:
            np.testing.assert_allclose(made.X[row], expected / size, atol=1e-5)
        elif not unit_norm:
            np.testing.assert_allclose(made.X[row], expected, rtol=1e-6, atol=1e-5)


def test_golden_moves() -> None:
    x, y = np.array([[0.6, 0.8]]), np.array([[1.0, 0.0]])
    np.testing.assert_allclose(move(x, y, angle=0.2).X, [[0.746975, 0.664852]], atol=1e-6)
    assert move(np.array([[1.0, 2.0, 2.0]]), np.array([1.0, 1.0, 0.0]), cosine=0.0).X.tolist() == [[-0.5, 0.5, 2.0]]
    # The angle between the two is .927: a larger one passes.
    passed = move(x, y, angle=1.2).X[0]
    assert passed[1] < 0
    assert np.linalg.norm(passed) == pytest.approx(1.0)


X = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
R = np.array([[0.8, 0.6], [0.0, -1.0]])


def test_golden_negtome() -> None:
    made = move(X, R, alpha=-0.5, threshold=0.9)
    np.testing.assert_allclose(made.X, [[1, 0], [0.5, 0.9], [0, 1]], atol=1e-6)
    assert made.indices.tolist() == [-1, 0, -1]


def test_the_released_matches_of_negtome_differ_and_can_be_had() -> None:
    draw = np.random.default_rng(0)
    frame, reference = draw.standard_normal((2, 6, 4)).astype(np.float32)
    similar = np.array([[cosines(a[None], b[None])[0] for b in reference] for a in frame])
    ours = move(frame, reference, alpha=-0.9, threshold=0.2)
    assert ours.indices.tolist() == [row.argmax() if row.max() > 0.2 else -1 for row in similar]
    # The released code takes the best position of the frame for each row of the reference, and reads it as a row.
    released = similar.argmax(axis=0)
    assert (released != similar.argmax(axis=1)).any()
    theirs = move(frame, reference[released], alpha=-0.9).X
    np.testing.assert_allclose(theirs, 1.9 * frame - 0.9 * reference[released], atol=1e-5)


def test_a_cosine_is_reached_and_the_orthogonal_part_stays() -> None:
    draw = np.random.default_rng(1)
    x, y = draw.standard_normal((2, 50, 16)).astype(np.float32)
    for cosine in (-0.9, 0.0, 0.5, 0.999):
        made = move(x, y, cosine=cosine).X
        np.testing.assert_allclose(cosines(made, y), cosine, atol=1e-6)
    unchanged = move(x, y, cosine=0.0).X
    np.testing.assert_allclose(move(unchanged, y, cosine=0.0).X, unchanged, atol=1e-6)


def test_angles_add_up_and_norms_stay() -> None:
    draw = np.random.default_rng(2)
    x, y = draw.standard_normal((2, 50, 16)).astype(np.float32)
    made = move(x, y, angle=0.3).X
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), np.linalg.norm(x, axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.arccos(cosines(made, x)), 0.3, atol=1e-4)
    np.testing.assert_allclose(move(made, y, angle=-0.3).X, x, atol=1e-5)
    np.testing.assert_allclose(np.arccos(cosines(made, y)), np.arccos(cosines(x, y)) - 0.3, atol=1e-4)


def test_rows_without_a_direction_stay_and_are_counted() -> None:
    x = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0], [1.0, 1.0]], dtype=np.float32)
    y = np.array([[1.0, 0.0], [0.0, 0.0], [-6.0, -8.0], [1.0, 0.0]], dtype=np.float32)
    for motion in ({"angle": 0.5}, {"cosine": 0.3}):
        made = move(x, y, **motion)
        assert made.X[:3].tolist() == x[:3].tolist()
        assert made.num_degenerate == 3
        assert made.X[3].tolist() != x[3].tolist()
    # Parallel but for the rounding to float32.
    third = np.array([[0.1, 0.7, 0.3]], dtype=np.float32)
    assert move(third, third / np.float32(3), cosine=0.3).num_degenerate == 1
    assert move(x, y, alpha=0.5).num_degenerate == 0
    assert move(x[:1], y[:1], alpha=0.5, unit_norm=True).X.tolist() == [[1.0, 0.0]]
    assert move(x[:1], y[:1], angle=0.5, unit_norm=True).X.tolist() == [[0.0, 0.0]]


def test_rows_are_matched_with_others_of_the_same_set() -> None:
    x = np.array([[1.0, 0.0], [0.9, 0.1], [1.0, 0.0], [0.0, 1.0]])
    made = move(x, alpha=-0.5, threshold=0.95)
    # Copies match each other, ties go to the lower row.
    assert made.indices.tolist() == [2, 0, 0, -1]
    assert made.X[3].tolist() == [0.0, 1.0]
    assert move(x, x, alpha=0.5, threshold=0.95).indices.tolist() == [0, 1, 0, 3]
    assert move(x[:1], alpha=0.5, threshold=-1.0).indices.tolist() == [-1]


def test_the_threshold_itself_is_not_above_it() -> None:
    x, y = np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])
    assert move(x, y, alpha=1.0, threshold=0.6).indices.tolist() == [-1]
    assert move(x, y, alpha=1.0, threshold=0.5999).indices.tolist() == [0]
    assert move(x, np.empty((0, 2)), alpha=1.0, threshold=-1.0).X.tolist() == [[3.0, 4.0]]


def test_threads_and_types_change_nothing() -> None:
    torch = pytest.importorskip("torch")
    x, y = np.random.default_rng(3).standard_normal((2, 1000, 9)).astype(np.float32)
    for motion in ({"angle": 0.5}, {"cosine": 0.3}, {"alpha": 0.7, "threshold": 0.5}):
        one, three = (move(x, y, **motion, num_threads=n) for n in (1, 3))  # type: ignore[arg-type]
        np.testing.assert_array_equal(one.X, three.X)
        np.testing.assert_array_equal(move(torch.tensor(x), torch.tensor(y), **motion).X, one.X)  # type: ignore[arg-type]
    np.testing.assert_array_equal(move(torch.tensor(x), torch.tensor(y[0]), angle=0.1).X, move(x, y[0], angle=0.1).X)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"angle": None}, "exactly one of `angle`, `cosine` and `alpha` must be given; got none"),
    "two": ({"alpha": 0.5}, "exactly one of .* must be given; got angle=0.2 and alpha=0.5"),
    "angle": ({"angle": math.inf}, "`angle` must be finite; got inf"),
    "cosine": ({"angle": None, "cosine": 1}, "`cosine` must be greater than -1.0 and less than 1.0; got 1.0"),
    "alpha": ({"angle": None, "alpha": "x"}, "`alpha` must be a number; got 'x'"),
    "no toward": ({"toward": None}, "`toward` must be given if `threshold` is not; got None"),
    "rows": ({"toward": R}, "`toward` must have one row, or one per row of `x`, 3; got 2"),
    "width": ({"toward": np.ones((3, 3))}, "`toward` must be as wide as `x`, 2; got width 3"),
    "list": ({"toward": [1.0, 2.0]}, "`toward` must be a NumPy array"),
    "x NaN": ({"x": np.array([[np.nan, 1.0]])}, "`x` must be finite in float32; row 0"),
    "toward NaN": ({"toward": np.array([np.inf, 1.0])}, "`toward` must be finite in float32; row 0"),
    "x flat": ({"x": np.ones(2)}, r"`x` must have shape \(n, width\)"),
    "threshold": ({"threshold": math.nan}, "`threshold` must be finite; got nan"),
    "unit_norm": ({"unit_norm": "yes"}, "`unit_norm` must be True or False; got 'yes'"),
    "large": (
        {"angle": None, "alpha": 1e39},
        "`x` must be finite in float32 after the move; got a larger value",
    ),
    "option": ({"treshold": 0.5}, "`move` has no option 'treshold'. Did you mean 'threshold'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    options, message = BAD[case]
    with pytest.raises(Exception, match=message) as caught:
        move(**{"x": X, "toward": X[::-1], "angle": 0.2} | options)
    assert type(caught.value).__module__ == "negmine.errors"
