"""Any order of changes of a behavior table, against the list of every user's behaviors."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from damage import malformed
from negmine import SimHash
from negmine.behavior import BehaviorTable
from negmine.errors import NegmineError, NegmineValueError

HASHER = SimHash(6, 3, dim=3, seed=4)

#: Behaviors of whole numbers, whose sums are exact in any order; one is zero and has no place in a table.
VECTORS = np.array([[1, 2, 3], [-2, 0, 1], [0, -1, -3], [3, 3, -1], [0, 0, 0], [1, -2, 2]], dtype=np.float32)

BEHAVIORS = st.lists(st.integers(0, len(VECTORS) - 1), max_size=4)


class Behaviors(RuleBasedStateMachine):
    """A table, and the behaviors of every user as numbers of vectors."""

    @initialize(users=st.lists(BEHAVIORS, min_size=1, max_size=3))
    def build(self, users: list[list[int]]) -> None:
        self.users = [list(user) for user in users]
        self.removals = [0] * len(users)
        self.table = self.built()

    def built(self) -> BehaviorTable:
        flat = [behavior for user in self.users for behavior in user]
        offsets = np.cumsum([0, *map(len, self.users)])
        return BehaviorTable.build(HASHER, VECTORS[flat], offsets=offsets)

    def user(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.users) - 1))

    @rule(data=st.data(), behaviors=BEHAVIORS)
    def append(self, data: st.DataObject, behaviors: list[int]) -> None:
        user = self.user(data)
        self.table.append(VECTORS[behaviors], users=[user])
        self.users[user] += behaviors

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        user = self.user(data)
        behaviors = data.draw(st.permutations(self.users[user]))[:3]
        self.table.remove(VECTORS[behaviors], users=[user])
        for behavior in behaviors:
            self.users[user].remove(behavior)
        self.removals[user] += sum(VECTORS[behavior].any() for behavior in behaviors)

    @rule(data=st.data())
    def refuse_to_remove_what_is_not_there(self, data: st.DataObject) -> None:
        user = self.user(data)
        n = len(self.users[user]) + 1
        with pytest.raises(NegmineValueError):
            self.table.remove(np.repeat(VECTORS[:1], n, axis=0), users=[user])

    @rule(data=st.data(), behaviors=BEHAVIORS)
    def rebuild(self, data: st.DataObject, behaviors: list[int]) -> None:
        user = self.user(data)
        self.table.rebuild(VECTORS[behaviors], users=[user])
        self.users[user], self.removals[user] = list(behaviors), 0

    @precondition(lambda self: len(self.users) < 6)
    @rule(n=st.integers(0, 2))
    def add_users(self, n: int) -> None:
        first = len(self.users)
        assert self.table.add_users(n).tolist() == list(range(first, first + n))
        self.users += [[] for _ in range(n)]
        self.removals += [0] * n

    @rule()
    def merge_with_a_copy(self) -> None:
        self.table.merge(self.built())
        self.users = [user + user for user in self.users]

    @rule()
    def reopen(self) -> None:
        self.table = BehaviorTable.from_bytes(self.table.to_bytes(), HASHER)

    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        content = self.table.to_bytes()
        with contextlib.suppress(NegmineError):
            assert BehaviorTable.from_bytes(data.draw(malformed(content)), HASHER).to_bytes() == content

    @invariant()
    def the_table_is_the_one_that_these_behaviors_build(self) -> None:
        if not hasattr(self, "table"):
            return
        expected = self.built()
        np.testing.assert_array_equal(self.table.sums, expected.sums)
        np.testing.assert_array_equal(self.table.counts, expected.counts)
        assert self.table.removals.tolist() == self.removals
        wanted = np.tile(VECTORS, (len(self.users), 1))
        offsets = np.arange(len(self.users) + 1) * len(VECTORS)
        np.testing.assert_array_equal(
            self.table.query(wanted, offsets=offsets), expected.query(wanted, offsets=offsets)
        )


TestBehaviors = Behaviors.TestCase
TestBehaviors.settings = settings(max_examples=settings().max_examples // 6, stateful_step_count=20)
