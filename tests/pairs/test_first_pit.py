"""`first_pit` against a loop, and edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.errors import NegmineError, NegmineValueError
from negmine.pairs import first_pit

NUMBERS = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.5, math.inf])


@given(st.lists(st.lists(NUMBERS, max_size=5), max_size=6))
def test_pits_are_those_of_the_loop(sequences: list[list[float]]) -> None:
    offsets = np.cumsum([0, *map(len, sequences)])
    values = np.array([value for sequence in sequences for value in sequence], dtype=np.float64)
    expected = [sequence.index(min(sequence)) if sequence else -1 for sequence in sequences]
    assert first_pit(values, offsets).tolist() == expected


def test_golden_pit() -> None:
    assert first_pit([0.6, 0.7, 0.4, 0.1, 0.1], [0, 5]).tolist() == [3]


def test_bad_input() -> None:
    with pytest.raises(NegmineValueError, match=r"`values` must not be NaN; got NaN at step 1"):
        first_pit([0.0, math.nan], [0, 2])
    for offsets in ([], [1, 2], [0, 1], [0, 2, 1], [0.5, 2]):
        with pytest.raises(NegmineError, match="`offsets`"):
            first_pit([0.0, 1.0], offsets)
