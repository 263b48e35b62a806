"""The order of an epoch: golden values, positions, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import negmine
from negmine.batches import epoch_permutation
from negmine.errors import MemoryLimitError, NegmineTypeError, NegmineValueError

GOLDEN: list[tuple[int, int, list[int]]] = [
    (10, 0, [8, 6, 3, 4, 7, 2, 0, 1, 9, 5]),
    (10, 1, [0, 1, 5, 7, 4, 9, 8, 2, 3, 6]),
    (256, 0, [35, 61, 252, 12, 110, 64, 132, 95]),
    (257, 0, [52, 74, 57, 229, 0, 214, 185, 248]),
    (1_000, 0, [877, 530, 361, 508, 11, 654, 123, 144]),
    (1_000, 1, [176, 752, 901, 687, 696, 489, 692, 113]),
    (10**7, 0, [7710586, 9300707, 7513638, 8667129, 2679846, 497531, 2242327, 7277831]),
    (2**40 - 87, 0, [618836057590, 245919858884, 300886781232, 967326761627]),
]


@pytest.mark.parametrize(("n", "epoch", "expected"), GOLDEN)
def test_golden_orders(n: int, epoch: int, expected: list[int]) -> None:
    got = epoch_permutation(n, seed=42, epoch=epoch, stop=len(expected))
    assert got.dtype == np.int64
    assert got.tolist() == expected


@pytest.mark.parametrize("n", [0, 1, 2, 3, 255, 256, 257, 258, 4_096, 100_003])
def test_every_row_once(n: int) -> None:
    order = epoch_permutation(n, seed=0, epoch=0)
    assert order.shape == (n,)
    assert (np.sort(order) == np.arange(n)).all()


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_permutation(300, seed=s, epoch=e)) for s in (0, 1, 2**64 - 1) for e in (0, 1, 2**64 - 1)}
    assert len(orders) == 9


def test_one_position_is_that_of_the_whole() -> None:
    order = epoch_permutation(1_000_003, seed=5, epoch=1)
    for x in (0, 1, 511, 512, 513, 999_999, 1_000_002):
        assert epoch_permutation(1_000_003, seed=5, epoch=1, start=x, stop=x + 1)[0] == order[x]


def test_partners_of_a_batch_meet_again_as_by_chance() -> None:
    # Pairs that share a batch of 50 in both epochs: n (b - 1)^2 / (2 (n - 1)) expected, close to Poisson.
    n, b = 20_000, 50
    batches = [np.empty(n, dtype=np.int64) for _ in range(2)]
    for epoch, batch in enumerate(batches):
        batch[epoch_permutation(n, seed=9, epoch=epoch)] = np.arange(n) // b
    cells = np.unique(batches[0] * (n // b) + batches[1], return_counts=True)[1]
    again = int((cells * (cells - 1) // 2).sum())
    expected = n * (b - 1) ** 2 / (2 * (n - 1))
    assert abs(again - expected) < 5 * expected**0.5


@pytest.mark.parametrize(
    ("n", "options", "error", "words"),
    [
        (-1, {}, NegmineValueError, "`n` must be at least 0; got -1"),
        (2**63, {}, NegmineValueError, "`n` must be at most"),
        (1.5, {}, NegmineTypeError, "`n` must be an integer; got 1.5"),
        (True, {}, NegmineTypeError, "`n` must be an integer; got True"),
        (5, {"seed": -1}, NegmineValueError, "`seed` must be at least 0; got -1"),
        (5, {"seed": 2**64}, NegmineValueError, "`seed` must be at most"),
        (5, {"epoch": "1"}, NegmineTypeError, "`epoch` must be an integer; got '1'"),
        (5, {"stop": 6}, NegmineValueError, "`stop` must be at most `n`; got stop=6, n=5"),
        (5, {"start": 4, "stop": 3}, NegmineValueError, "`start` must be at most `stop`; got start=4, stop=3"),
        (5, {"start": -1}, NegmineValueError, "`start` must be at least 0; got -1"),
        (5, {"begin": 1}, NegmineTypeError, "`epoch_permutation` has no option 'begin'"),
        (2**50, {}, MemoryLimitError, "`n` must give a result that fits in memory"),
    ],
)
def test_bad_input_of_the_order(n: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        epoch_permutation(n, **{"seed": 0, "epoch": 0, **options})
    assert words in str(caught.value)
    assert isinstance(caught.value, negmine.NegmineError)
