"""Signatures and tables of behaviors: golden values, and every wrong call by name."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import negmine
from negmine import SimHash
from negmine.behavior import BehaviorTable
from negmine.errors import NegmineTypeError, NegmineValueError

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
HASHER = SimHash(12, 3, dim=4)


def table() -> BehaviorTable:
    return BehaviorTable.build(HASHER, X, offsets=[0, 4, 6])


GOLDEN_ROW = [0.14163107, -0.59304065, 2.200861]
GOLDEN_DIGEST = "a9500ed8a7014a62"
GOLDEN_LAST = 0.2840559
GOLDEN_SIGNATURES = [1, 1, 4, 6, 7, 1, 2, 7, 7, 2, 3, 5, 0, 7, 0, 1]


def test_golden_projections_and_signatures() -> None:
    """These values are part of every table that was ever written: they never change."""
    projections = SimHash(dim=64).projections
    np.testing.assert_array_equal(projections[0, :3], np.array(GOLDEN_ROW, dtype=np.float32))
    assert hashlib.sha256(projections.astype("<f4").tobytes()).hexdigest()[:16] == GOLDEN_DIGEST
    assert SimHash(dim=64, seed=2**64 - 1).projections[47, 63] == np.float32(GOLDEN_LAST)
    x = np.arange(64, dtype=np.float32) - 31
    assert SimHash(dim=64).signatures(x[None]).tolist() == [GOLDEN_SIGNATURES]


def test_projections_are_normal() -> None:
    draws = SimHash(600, 3, dim=500).projections.astype(np.float64).ravel()
    n = len(draws)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((draws**power).mean() - mean) < 4 * np.sqrt(variance / n)
    assert abs((draws[1:] * draws[:-1]).mean()) < 4 / np.sqrt(n)


def test_a_zero_row_is_masked_on_both_sides() -> None:
    zeros = np.zeros((2, 4), dtype=np.float32)
    assert (HASHER.signatures(zeros) == SimHash.MASKED).all()
    assert (HASHER.signatures(-zeros) == SimHash.MASKED).all()
    assert (table().query(np.concatenate([zeros, zeros]), offsets=[0, 2, 4]) == 0).all()
    assert BehaviorTable.build(HASHER, zeros).counts.sum() == 0


def test_empty_and_fully_masked_histories_read_zeros() -> None:
    nothing = BehaviorTable.build(HASHER, X, mask=np.zeros(6, dtype=bool))
    empty = BehaviorTable.build(HASHER, X[:0], offsets=[0, 0, 0])
    for normalize in ("l2", "mean", "sum", "ratio"):
        for skip in (False, True):
            assert (nothing.query(X, normalize=normalize, skip_empty=skip) == 0).all()  # type: ignore[arg-type]
            got = empty.query(X, offsets=[0, 3, 6], normalize=normalize, skip_empty=skip)  # type: ignore[arg-type]
            assert got.shape == (6, 4)
            assert (got == 0).all()


def test_no_users_and_no_candidates_are_fine() -> None:
    assert BehaviorTable.build(HASHER, X[:0], offsets=[0]).query(X[:0], offsets=[0]).shape == (0, 4)
    assert table().query(X[:0], offsets=[0, 0, 0]).shape == (0, 4)


def test_hashes_compare_and_pickle() -> None:
    assert pickle.loads(pickle.dumps(HASHER)) == HASHER
    assert hash(pickle.loads(pickle.dumps(HASHER))) == hash(HASHER)
    others = [
        SimHash(12, 3, dim=5),
        SimHash(12, 4, dim=4),
        SimHash(12, 3, dim=4, seed=1),
        SimHash(12, 3, dim=4, center=X[0]),
    ]
    assert all(other != HASHER for other in others)
    assert "seed=0" in repr(HASHER)
    assert "n_users=2" in repr(table())


BAD: list[tuple[str, Callable[[], Any], str]] = [
    ("tau that does not divide m", lambda: SimHash(10, 3, dim=4), r"`m` must be a multiple of `tau`; got m=10, tau=3"),
    ("no bits", lambda: SimHash(0, 1, dim=4), "`m` must be at least 1; got 0"),
    ("too many bits", lambda: SimHash(2**20, 1, dim=4), "`m` must be from 1 to 65536; got 1048576"),
    ("a long signature", lambda: SimHash(64, 32, dim=4), "`tau` must be from 1 to 31; got 32"),
    ("no width", lambda: SimHash(dim=0), "`dim` must be at least 1; got 0"),
    ("a wide row", lambda: SimHash(dim=70_000), "`dim` must be between 1 and 65536 wide; got width 70000"),
    ("a seed", lambda: SimHash(dim=4, seed=-1), "`seed` must be at least 0; got -1"),
    ("a center of another width", lambda: SimHash(dim=4, center=X[0, :3]), "`center` must have length 4; got 3"),
    ("a center with NaN", lambda: SimHash(dim=2, center=[0, np.nan]), "`center` must be finite"),
    ("a center that overflows", lambda: far_center(), "`center` must be so near that rows minus it fit float32"),
    (
        "another width",
        lambda: HASHER.signatures(X[:, :3]),
        "`x` must be as wide as the hash; got width 3 against dim=4",
    ),
    ("NaN", lambda: HASHER.signatures(spoiled()), "`x` must be finite; row 2 holds NaN or infinity at column 1"),
    ("a short mask", lambda: HASHER.signatures(X, mask=[True]), r"`mask` must have shape \(6,\); got shape \(1,\)"),
    ("candidates' width", lambda: table().query(X[:, :2]), "`candidates` must be as wide|`offsets` must have one list"),
    ("keys' width", lambda: BehaviorTable.build(HASHER, X[:, :2]), "`behaviors` must be as wide as the hash"),
    ("values' rows", lambda: BehaviorTable.build(HASHER, X, values=X[:5]), "`values` must have 6 rows"),
    ("values with NaN", lambda: BehaviorTable.build(HASHER, X, values=spoiled()), "`values` must be finite; row 2"),
    ("values' width", lambda: table().append(X[:4], values=X[:4, :2], users=[0]), "`values` must be 4 wide"),
    ("falling offsets", lambda: BehaviorTable.build(HASHER, X, offsets=[0, 4, 3, 6]), "`offsets` must start at 0"),
    ("a negative length", lambda: BehaviorTable.build(HASHER, X, offsets=[0, -1, 6]), "`offsets` must start at 0"),
    (
        "offsets that end early",
        lambda: BehaviorTable.build(HASHER, X, offsets=[0, 4]),
        "`offsets` must start at 0",
    ),
    ("no lists", lambda: table().query(X), "`offsets` must have one list for each of 2 users"),
    ("a user that is not there", lambda: table().query(X, users=[2]), "`users` must be below 2; got 2"),
    ("a negative user", lambda: table().append(X, users=[-1]), "`users` must be below 2; got -1"),
    (
        "users that are new",
        lambda: table().append(X, users=[5]),
        r"below 2; got 5\. `add_users` makes room for new ones",
    ),
    (
        "users without offsets",
        lambda: table().append(X[:2], users=[0, 1]),
        "`offsets` must be given with `users`, unless",
    ),
    (
        "users without offsets",
        lambda: table().query(X[:2], users=[0, 1]),
        "got 2 users and no `offsets`. Where every row",
    ),
    ("lists without users", lambda: table().append(X, offsets=[0, 3, 6, 6]), "got 3 lists and no `users`"),
    (
        "fewer users than lists",
        lambda: table().append(X, offsets=[0, 3, 6], users=[1]),
        r"`users` must have shape \(2,\)",
    ),
    ("fewer users than none", lambda: table().add_users(-1), "`n_users` must be at least 0; got -1"),
    (
        "NaN in a list of another order",
        lambda: table().append(X, values=spoiled(), offsets=[0, 1, 6], users=[1, 0]),
        "`values` must be finite; row 2 holds NaN or infinity at column 1",
    ),
    (
        "another hash",
        lambda: ask(SimHash(12, 3, dim=4, seed=5)),
        "`hasher` must be of the table's hash, seed=0; got seed=5",
    ),
    (
        "another kind of hash",
        lambda: ask(negmine.MinHash(12, bits_per_hash=2)),
        "of the table's hash, a SimHash; got a MinHash",
    ),
    ("another digest", lambda: ask("0f"), "`hasher` must be the table's hash, of digest '[0-9a-f]{64}'; got '0f'"),
    ("normalize", lambda: table().query(X, users=[0], normalize="l1"), "`normalize` must be one of 'l2'"),  # type: ignore[arg-type]
    (
        "what is not there",
        lambda: table().remove(X[4:], users=[0]),
        "`behaviors` must be behaviors that the table holds",
    ),
    ("removal after decay", lambda: decayed().remove(X[:1], users=[0]), "`table` must be one that was never decayed"),
    ("a rate of 0", lambda: table().decay(0.0), "`rate` must be greater than 0"),
    ("a rate above 1", lambda: table().decay(1.5), "`rate` must be at most 1; got 1.5"),
    (
        "another hash's table",
        lambda: table().merge(other_table()),
        "`other` must be of the table's hash, seed=0; got seed=5",
    ),
    (
        "other users",
        lambda: table().merge(BehaviorTable.build(HASHER, X)),
        "`other` must have the same users and width",
    ),
    ("another seed's bytes", lambda: read(SimHash(12, 3, dim=4, seed=5)), "`data` must be of the table's hash, seed=5"),
    ("another m's bytes", lambda: read(SimHash(24, 3, dim=4)), "`data` must be of the table's hash, m=24; got m=12"),
    ("another tau's bytes", lambda: read(SimHash(12, 4, dim=4)), "`data` must be of the table's hash, tau=4"),
    ("another width's bytes", lambda: read(SimHash(12, 3, dim=5)), "`data` must be of the table's hash, dim=5"),
    ("another center's bytes", lambda: read(SimHash(12, 3, dim=4, center=X[0])), "one with another `center`"),
]


@pytest.mark.parametrize(("call", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_wrong_call_is_told(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(NegmineValueError, match=message):
        call()


def test_wrong_types_are_told() -> None:
    with pytest.raises(NegmineTypeError, match="`hasher` must be a SimHash or a MinHash; got str"):
        BehaviorTable.build("simhash", X)  # type: ignore[arg-type]
    with pytest.raises(NegmineTypeError, match="`mask` must hold True and False; got dtype int64"):
        HASHER.signatures(X, mask=[1, 0, 1, 1, 1, 1])
    with pytest.raises(NegmineTypeError, match="`other` must be a BehaviorTable; got int"):
        table().merge(1)  # type: ignore[arg-type]
    with pytest.raises(NegmineTypeError, match="`data` must be bytes; got str"):
        BehaviorTable.from_bytes("", HASHER)  # type: ignore[arg-type]


def test_a_failed_change_leaves_the_table_as_it_was() -> None:
    changed = table()
    before = changed.to_bytes()
    for fail in (
        lambda: changed.remove(np.concatenate([X[:1], X[4:]]), users=[0]),
        lambda: changed.append(X, values=spoiled(), offsets=[0, 1, 6]),
        lambda: changed.append(spoiled(), offsets=[0, 1, 6]),
    ):
        with pytest.raises(NegmineValueError):
            fail()
        assert changed.to_bytes() == before


def test_every_changed_byte_and_every_cut_is_refused() -> None:
    data = table().to_bytes()
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 0x10
        with pytest.raises(NegmineValueError, match=r"`data` must be|corrupt: checksum mismatch in `data`"):
            BehaviorTable.from_bytes(bytes(changed), HASHER)
    for length in [*range(0, 160, 9), len(data) - 1]:
        with pytest.raises(NegmineValueError, match=r"`data` must be|corrupt: checksum mismatch in `data`"):
            BehaviorTable.from_bytes(data[:length], HASHER)
    with pytest.raises(NegmineValueError, match="corrupt: checksum mismatch in `data`"):
        BehaviorTable.from_bytes(data + b"\0", HASHER)


def test_sizes_that_lie_under_a_right_checksum_are_refused() -> None:
    data = bytearray(table().to_bytes()[:-32])
    for place, number in ((56, 2**60), (64, 2**60), (56, 1), (64, 3)):
        lie = data.copy()
        lie[place : place + 8] = number.to_bytes(8, "little")
        with pytest.raises(NegmineValueError, match="`data` must"):
            BehaviorTable.from_bytes(bytes(lie) + hashlib.sha256(lie).digest(), HASHER)


def test_another_version_is_refused() -> None:
    data = bytearray(table().to_bytes()[:-32])
    data[8] = 9
    with pytest.raises(NegmineValueError, match="`data` must be of version 2; got version 9"):
        BehaviorTable.from_bytes(bytes(data) + hashlib.sha256(data).digest(), HASHER)


def ask(hasher: Any) -> np.ndarray:
    return table().query(X, offsets=[0, 3, 6], hasher=hasher)


def test_a_table_knows_its_hash_by_digest() -> None:
    mine, other = table(), other_table()
    again = BehaviorTable.from_bytes(mine.to_bytes(), SimHash(12, 3, dim=4))
    assert mine.hasher_digest == again.hasher_digest != other.hasher_digest
    assert mine.hasher_digest != BehaviorTable.build(SimHash(12, 3, dim=4, center=X[0]), X).hasher_digest
    expected = mine.query(X, offsets=[0, 3, 6])
    for hasher in (SimHash(12, 3, dim=4), mine.hasher_digest):
        np.testing.assert_array_equal(ask(hasher), expected)
    sets = BehaviorTable.build(negmine.MinHash(12, bits_per_hash=2), [["a"], ["b", "c"]], values=X[:2])
    assert sets.query([["a"]], hasher=sets.hasher_digest).shape == (1, 4)
    with pytest.raises(NegmineValueError, match="`hasher` must be"):
        sets.query([["a"]], hasher=mine.hasher_digest)


LISTS = [(1, [0, 1]), (0, [2]), (1, [3, 4, 5]), (0, []), (2, [1, 5])]
USERS = [user for user, _ in LISTS]
ROWS = np.concatenate([rows for _, rows in LISTS]).astype(int)
OFFSETS = np.append(0, np.cumsum([len(rows) for _, rows in LISTS]))


def three_users() -> BehaviorTable:
    return BehaviorTable.build(HASHER, X, offsets=[0, 3, 5, 6])


@pytest.mark.parametrize("threads", [1, 3])
def test_users_come_in_any_order_and_repeats_are_applied_in_turn(threads: int) -> None:
    together, in_turn = three_users(), three_users()
    for change in ("append", "remove"):
        getattr(together, change)(X[ROWS], offsets=OFFSETS, users=USERS, num_threads=threads)
        for user, rows in LISTS:
            getattr(in_turn, change)(X[rows], users=[user], offsets=[0, len(rows)])
        assert together.to_bytes() == in_turn.to_bytes()
        assert change == "append" or together.removals.tolist() == [1, 5, 2]
    with pytest.raises(NegmineValueError, match="`behaviors` must be behaviors that the table holds"):
        together.remove(X[[5, 3, 5]], offsets=[0, 1, 2, 3], users=[2, 0, 2])


def test_a_rebuild_takes_the_last_list_of_a_user() -> None:
    together, in_turn = three_users(), three_users()
    together.rebuild(X[ROWS], offsets=OFFSETS, users=USERS)
    for user, rows in LISTS:
        in_turn.rebuild(X[rows], users=[user], offsets=[0, len(rows)])
    assert together.to_bytes() == in_turn.to_bytes()
    assert together.counts[0].sum() == 0


def test_candidates_of_users_in_any_order_are_answered_in_that_order() -> None:
    asked = three_users()
    got = asked.query(X[ROWS], offsets=OFFSETS, users=USERS)
    alone = [asked.query(X[rows], offsets=[0, len(rows)], users=[user]) for user, rows in LISTS]
    np.testing.assert_array_equal(got, np.concatenate(alone))


def test_a_table_takes_new_users() -> None:
    grown = table()
    before = grown.query(X, offsets=[0, 3, 6])
    assert grown.add_users(2).tolist() == [2, 3]
    assert (grown.n_users, grown.counts[2:].sum()) == (4, 0)
    np.testing.assert_array_equal(grown.query(X, offsets=[0, 3, 6], users=[0, 1]), before)
    grown.append(X[:2], users=[3])
    whole = BehaviorTable.build(HASHER, np.concatenate([X, X[:2]]), offsets=[0, 4, 6, 6, 8])
    assert grown.to_bytes() == whole.to_bytes()
    assert grown.add_users(0).tolist() == []
    weighted = decayed()
    weighted.add_users(1)
    assert (weighted.decayed, weighted.n_users) == (True, 3)


def spoiled() -> np.ndarray:
    rows = X.copy()
    rows[2, 1] = np.nan
    return rows


def far_center() -> np.ndarray:
    return SimHash(dim=1, center=[3e38]).signatures(np.array([[-3e38]], dtype=np.float32))


def decayed() -> BehaviorTable:
    found = table()
    found.decay(0.5)
    return found


def other_table() -> BehaviorTable:
    return BehaviorTable.build(SimHash(12, 3, dim=4, seed=5), X, offsets=[0, 4, 6])


def read(hasher: SimHash) -> BehaviorTable:
    return BehaviorTable.from_bytes(table().to_bytes(), hasher)


def test_the_names_are_exported() -> None:
    assert negmine.SimHash is SimHash
    assert BehaviorTable is BehaviorTable
