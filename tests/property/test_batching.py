"""Orders and plans of batches, held to independent code."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from negmine import epoch_permutation
from oracle_batches import order

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
