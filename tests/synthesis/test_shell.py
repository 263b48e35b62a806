"""Shells around anchors: golden values, bounds, laws and bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_draws as draws
from negmine.synthesis import shell

SHELL = 10  # the stream


def drawn(anchor: np.ndarray, row: int, place: int, low: float, high: float, seed: int) -> np.ndarray:
    """Draw one vector by definition: a cosine, and a direction orthogonal to the anchor."""
    width = len(anchor)
    pairs = -(-width // 2)
    blocks = -(-(1 + 2 * pairs) // 4)
    numbers = [
        draws.uniform(x) for t in range(blocks) for x in draws.philox(seed, SHELL, (1 + place * blocks + t, 0, row, 0))
    ]
    normals = []
    for u, v in zip(numbers[1 : 1 + 2 * pairs : 2], numbers[2 : 2 + 2 * pairs : 2], strict=True):
        radius = math.sqrt(-2 * math.log(u))
        normals += [radius * math.cos(math.tau * v), radius * math.sin(math.tau * v)]
    cosine = low + numbers[0] * (high - low)
    norm = np.linalg.norm(anchor)
    along = anchor / norm
    across = np.array(normals[:width])
    across -= along * (across @ along)
    across /= np.linalg.norm(across)
    return norm * (cosine * along + math.sqrt(1 - cosine**2) * across)


@given(
    st.integers(2, 9),
    st.lists(st.floats(-1, 1), min_size=2, max_size=2).map(sorted),
    st.integers(0, 2**64 - 1),
    st.sampled_from([1e-20, 1.0, 1e20]),
)
def test_vectors_are_as_defined(width: int, bounds: list[float], seed: int, scale: float) -> None:
    anchors = scale * np.random.default_rng(width).standard_normal((3, width))
    anchors = anchors.astype(np.float32).astype(float)
    points = shell(anchors, *bounds, 4, seed=seed, num_threads=2)
    assert points.shape == (3, 4, width)
    assert points.dtype == np.float32
    for row, place in np.ndindex(3, 4):
        expected = drawn(anchors[row], row, place, *bounds, seed)
        np.testing.assert_allclose(points[row, place], expected, atol=1e-6 * np.linalg.norm(anchors[row]))


@pytest.mark.parametrize("width", [2, 3, 64, 768])
@pytest.mark.parametrize(("low", "high"), [(0.6, 0.6), (-1.0, 1.0), (0.5, 0.9), (-0.3, -0.2), (1.0, 1.0), (0.999, 1)])
def test_cosines_and_norms_keep_their_bounds(width: int, low: float, high: float) -> None:
    anchors = np.random.default_rng(0).standard_normal((5, width)).astype(np.float32)
    points = shell(anchors, low, high, 200).astype(float)
    norms = np.linalg.norm(anchors.astype(float), axis=1)
    np.testing.assert_allclose(np.linalg.norm(points, axis=2) / norms[:, None], 1.0, atol=1e-6)
    cosines = np.einsum("apd,ad->ap", points, anchors.astype(float)) / norms[:, None] ** 2
    assert cosines.min() >= low - 1e-6
    assert cosines.max() <= high + 1e-6


def test_golden_distances() -> None:
    anchor = np.array([[3.0, 4.0]])
    away = np.linalg.norm(shell(anchor, 0.6, 0.6, 50)[0] - anchor[0], axis=1)
    np.testing.assert_allclose(away, 4.472136, atol=2e-6)
    near = shell(anchor, -1.0, 1.0, 2_000, max_distance=3.0)[0]
    cosines = near @ anchor[0] / 25
    assert 0.82 - 1e-6 <= cosines.min() < 0.821
    assert np.linalg.norm(near - anchor[0], axis=1).max() <= 3 + 5e-6


def test_cosines_are_uniform_and_directions_have_no_preference() -> None:
    anchor = np.array([[0.0, 0.0, 2.0, 0.0]])
    points = shell(anchor, 0.2, 0.6, 40_000)[0].astype(float)
    histogram = np.histogram(points[:, 2] / 2, bins=20, range=(0.2, 0.6))[0]
    assert (abs(histogram - 2_000) < 5 * math.sqrt(2_000)).all()
    across = points[:, [0, 1, 3]]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    # Each coordinate of a uniform direction in three dimensions has mean 0 and variance 1/3.
    assert (abs(across.mean(axis=0)) < 5 * math.sqrt(1 / 3 / 40_000)).all()
    np.testing.assert_allclose(across.T @ across / 40_000, np.eye(3) / 3, atol=0.01)


def test_a_vector_depends_on_seed_row_and_number_only() -> None:
    anchors = np.random.default_rng(0).standard_normal((7, 33))
    many = shell(anchors, 0.1, 0.9, 130, seed=4, num_threads=3)
    np.testing.assert_array_equal(shell(anchors, 0.1, 0.9, 3, seed=4, num_threads=1), many[:, :3])
    np.testing.assert_array_equal(shell(anchors[:2], 0.1, 0.9, 130, seed=4), many[:2])
    assert not np.array_equal(shell(anchors, 0.1, 0.9, 130, seed=5), many)
    assert len(np.unique(many.reshape(-1, 33), axis=0)) == 7 * 130


def test_nothing_is_drawn_around_nothing() -> None:
    assert shell(np.empty((0, 3)), 0, 1, 5).shape == (0, 5, 3)
    assert shell(np.ones((2, 3)), 0, 1, 0).shape == (2, 0, 3)


ANCHORS = np.array([[3.0, 4.0], [0.3, 0.4]])
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({"anchors": np.eye(3)[:, :2]}, "`anchors` must be other than zero; got a row of zeros, row 2"),
    "narrow": ({"anchors": np.ones((2, 1))}, "`anchors` must be at least 2 wide; got 1"),
    "NaN": ({"anchors": np.array([[1.0, 1.0], [1.0, np.nan]])}, "`anchors` must be finite; row 1"),
    "list": ({"anchors": [[1.0, 2.0]]}, "`anchors` must be a NumPy array"),
    "large": ({"anchors": np.full((1, 2), 3e38), "low": -1.0, "high": -0.5}, "`anchors` must be small enough"),
    "turned": ({"low": 0.5, "high": 0.4}, "`low` must be at most `high`, 0.4; got 0.5"),
    "low": ({"low": -1.1}, "`low` must be at least -1.0; got -1.1"),
    "high": ({"high": 1.1}, "`high` must be at most 1.0; got 1.1"),
    "low NaN": ({"low": math.nan}, "`low` must be finite; got nan"),
    "num": ({"num_points": -1}, "`num_points` must be at least 0; got -1"),
    "many": ({"num_points": 2**31 - 1, "anchors": np.ones((1, 1 << 16))}, "`num_points` .* fits in memory"),
    "far": ({"max_distance": 0.1}, r"`max_distance` must be large enough .*; got cosines of at least 0.9998 .* row 0"),
    "far second": (
        {"anchors": ANCHORS[::-1], "high": 0.9, "max_distance": 0.4},
        r"`max_distance` must be large enough .* row 1, above `high`, 0.9",
    ),
    "distance": ({"max_distance": -1.0}, "`max_distance` must be at least 0.0; got -1.0"),
    "seed": ({"seed": 0.5}, "`seed` must be an integer; got 0.5"),
    "threads": ({"num_threads": 0}, "`num_threads` must be at least 1; got 0"),
    "option": ({"sed": 3}, "`shell` has no option 'sed'. Did you mean 'seed'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    options, message = BAD[case]
    with pytest.raises(Exception, match=message) as caught:
        shell(**{"anchors": ANCHORS, "low": 0.0, "high": 0.9, "num_points": 20} | options)
    assert type(caught.value).__module__ == "negmine.errors"
