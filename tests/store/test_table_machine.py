"""Any order of publishing, reading, reopening and damaging a table, against a list of its generations."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from damage import malformed
from negmine.errors import NegmineError, NegmineValueError
from negmine.store import NegativesTable, TableRows
from refreshed import marked, mined

NEGATIVES = mined(12)
COLUMNS = ("query_indices", "positive_indices", "indices", "scores", "counts", "mined_at_step")

Columns = dict[str, NDArray[np.generic]]


def columns(rows: TableRows) -> Columns:
    return {name: np.array(getattr(rows, name)) for name in COLUMNS}


def assert_same(rows: TableRows, expected: Columns) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(rows, name), expected[name])


class Table(RuleBasedStateMachine):
    """Two readers of one table, one of which writes, and what every generation held."""

    @initialize(keep=st.integers(0, 3))
    def create(self, keep: int) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.folder, self.keep = Path(self.scratch.name) / "table", keep
        self.table = NegativesTable.create(self.folder, NEGATIVES, keep_generations=keep)
        self.other = NegativesTable(self.folder)
        self.history = [columns(self.table.current())]
        self.held: list[tuple[TableRows, int]] = []

    @rule(places=st.none() | st.sets(st.integers(0, len(NEGATIVES) - 1)), step=st.integers(-1, 1000))
    def publish(self, places: set[int] | None, step: int) -> None:
        rows = None if places is None else sorted(places)
        chosen = np.arange(len(NEGATIVES)) if rows is None else np.array(rows, dtype=np.int64)
        part = marked(NEGATIVES[chosen], len(self.history))
        expected = {name: values.copy() for name, values in self.history[-1].items()}
        for name in ("indices", "scores", "counts"):
            expected[name][chosen] = getattr(part, name)
        expected["mined_at_step"][chosen] = step
        assert self.table.publish(part, result_rows=rows, step=step) == len(self.history)
        self.history.append(expected)

    @rule(n_queries=st.integers(1, 11))
    def refuse_another_data_set(self, n_queries: int) -> None:
        with pytest.raises(NegmineValueError, match="`negatives` must be for the"):
            self.table.publish(mined(n_queries))

    @rule(rows=st.lists(st.integers(0, len(NEGATIVES) - 1)))
    def read(self, rows: list[int]) -> None:
        newest = self.history[-1]
        for reader in (self.table, self.other):
            assert_same(reader.read(rows), {name: values[rows] for name, values in newest.items()})

    @rule()
    def hold(self) -> None:
        """Keep a map of the newest generation, which must not change when it is replaced."""
        self.held.append((self.other.current(), len(self.history) - 1))

    @rule(generation=st.integers(0, 12))
    def read_an_older_generation(self, generation: int) -> None:
        newest = len(self.history) - 1
        kept = range(max(newest - self.keep, 0), newest + 1)
        assert self.other.generations == tuple(kept)
        if generation in kept:
            assert_same(self.other.at(generation), self.history[generation])
        else:
            with pytest.raises(NegmineValueError, match="`generation` must be one that"):
                self.other.at(generation)

    @rule(pickled=st.booleans())
    def reopen(self, pickled: bool) -> None:
        self.other = pickle.loads(pickle.dumps(self.table)) if pickled else NegativesTable(self.folder)

    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """Put a malformed file in the place of the table: it is refused, or it says the same."""
        path = self.folder / "negatives.table"
        aside = path.rename(self.folder.with_name("aside"))
        path.write_bytes(data.draw(malformed(aside.read_bytes())))
        with contextlib.suppress(NegmineError):
            assert_same(NegativesTable(self.folder).current(), self.history[-1])
        aside.replace(path)

    @invariant()
    def held_generations_stay(self) -> None:
        for rows, generation in getattr(self, "held", []):
            assert_same(rows, self.history[generation])

    def teardown(self) -> None:
        self.scratch.cleanup()


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=settings().max_examples // 12, stateful_step_count=20)
