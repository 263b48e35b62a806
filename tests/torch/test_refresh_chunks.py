"""A refresh of a part of the queries mines the rows of a refresh of all queries, and reports what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import negmine
from negmine.errors import NegmineValueError
from negmine.store import TableRows
from negmine.torch import NegativesTable, redraw, refresh

N_QUERIES, N_DOCUMENTS = 30, 70
DRAW = np.random.default_rng(3)
QUERIES, DOCUMENTS = (DRAW.standard_normal((n, 6), dtype=np.float32) for n in (N_QUERIES, N_DOCUMENTS))
#: Queries without, with one and with two positives.
LABELS = [list(range(query, query + query % 3)) for query in range(N_QUERIES)]
COLUMNS = ("query_indices", "positive_indices", "indices", "scores", "counts")


def model(seed: int) -> Any:
    """Make a model whose embedding of a row does not depend on the batch; a matrix product's does."""
    weight = np.random.default_rng(seed).standard_normal((6, 5), dtype=np.float32)
    return lambda rows: (rows[:, :, None] * weight).sum(axis=1)


def mined(seed: int, miner: negmine.HardNegativeMiner, **options: Any) -> negmine.HardNegatives:
    return miner.mine(negmine.ExactIndex(model(seed)(DOCUMENTS)), model(seed)(QUERIES), LABELS, **options)


def assert_rows(rows: TableRows, expected: TableRows | negmine.HardNegatives, part: Any = slice(None)) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(rows, name)[part], getattr(expected, name)[part], err_msg=name)


def slow_changes(after: np.ndarray, before: np.ndarray) -> list[int]:
    """Count by sets."""
    pairs = [(set(new) - {-1}, set(old) - {-1}) for new, old in zip(after.tolist(), before.tolist(), strict=True)]
    return [max(len(new - old), len(old - new)) for new, old in pairs]


@settings(max_examples=30)
@given(
    data=st.data(),
    n_chunks=st.integers(1, N_QUERIES),
    reference=st.sampled_from(["min", "each"]),
    sampling=st.sampled_from(["top", "random"]),
    num_random=st.integers(0, 2),
    warm=st.sampled_from(["none", "negatives", "array"]),
    rules=st.booleans(),
)
def test_a_chunk_is_a_part_of_a_whole_refresh_and_the_other_rows_stay(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    n_chunks: int,
    reference: Any,
    sampling: Any,
    num_random: int,
    warm: str,
    rules: bool,
) -> None:
    miner = negmine.HardNegativeMiner(
        3, reference=reference, sampling=sampling, num_random=num_random, range_max=9, relative_margin=0.05
    )
    first = mined(0, miner)
    table = NegativesTable.create(tmp_path_factory.mktemp("tables") / "table", first, step=0)
    warm_start = {"none": None, "negatives": first, "array": np.arange(N_QUERIES * 4).reshape(-1, 4) % N_DOCUMENTS}[
        warm
    ]
    options: dict[str, Any] = {"epoch": 5, "warm_start": warm_start}
    if rules:
        keys = np.arange(N_DOCUMENTS) % 2
        options |= {
            "exclude": [[(query + 5) % N_DOCUMENTS] for query in range(N_QUERIES)],
            "eligible": negmine.Eligibility.equal(keys, np.arange(N_QUERIES) % 2),
            "groups": np.arange(N_DOCUMENTS) // 2,
        }
    expected = mined(1, miner, **options)
    number = data.draw(st.integers(0, 3 * n_chunks))
    begin, end = (N_QUERIES * (number % n_chunks + i) // n_chunks for i in (0, 1))
    entries: list[int] = []

    def encode(rows: np.ndarray) -> Any:
        entries.append(len(rows))
        return model(1)(rows)

    fresh = refresh(
        table, miner, encode, QUERIES, DOCUMENTS, LABELS, chunk=(number, n_chunks), step=40, batch_size=100, **options
    )
    assert entries == [end - begin, N_DOCUMENTS]
    new = (first.query_indices >= begin) & (first.query_indices < end)
    rows = table.current()
    assert_rows(rows, expected, new)
    assert_rows(rows, first, ~new)
    assert rows.mined_at_step.tolist() == np.where(new, 40, 0).tolist()
    assert (rows.epoch, rows.generation, fresh.generation) == (5, 1, 1)
    assert fresh.result_rows.tolist() == np.flatnonzero(new).tolist()
    np.testing.assert_array_equal(fresh.negatives.indices, expected.indices[new])
    assert fresh.replaced.tolist() == slow_changes(expected.indices[new], first.indices[new])
    np.testing.assert_array_equal(fresh.query_embeddings, model(1)(QUERIES[begin:end]))
    np.testing.assert_array_equal(fresh.negatives.redraw(8).indices, expected.redraw(8).indices[new])


@pytest.mark.parametrize("n_chunks", [1, 4, 5, 30])
def test_all_chunks_together_are_a_whole_refresh(n_chunks: int, tmp_path: Path) -> None:
    miner = negmine.HardNegativeMiner(3, sampling="random", range_max=9)
    chunked = NegativesTable.create(tmp_path / "chunked", mined(0, miner))
    whole = NegativesTable.create(tmp_path / "whole", mined(0, miner))
    for number in range(n_chunks):
        refresh(chunked, miner, model(1), QUERIES, DOCUMENTS, LABELS, chunk=(number, n_chunks), epoch=2)
    refresh(whole, miner, model(1), QUERIES, DOCUMENTS, LABELS, epoch=2)
    assert_rows(chunked.current(), whole.current())
    assert (chunked.generation, whole.generation) == (n_chunks, 1)


def test_the_turn_of_queries_is_that_of_their_angle(tmp_path: Path) -> None:
    angles = np.linspace(0, np.pi, N_QUERIES)
    before = np.zeros((N_QUERIES, 2), dtype=np.float32)
    before[:, 0] = np.arange(1, N_QUERIES + 1)
    after = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    documents = DRAW.standard_normal((N_DOCUMENTS, 2), dtype=np.float32)
    miner = negmine.HardNegativeMiner(2)
    first = miner.mine(negmine.ExactIndex(documents), before, LABELS)
    table = NegativesTable.create(tmp_path / "table", first)
    options: dict[str, Any] = {"previous_embeddings": before, "chunk": (7, 3)}
    fresh = refresh(table, miner, np.asarray, after, documents, LABELS, **options)
    assert fresh.turn is not None
    np.testing.assert_allclose(fresh.turn, 1 - np.cos(angles[10:20]), atol=1e-6)
    share = fresh.replaced.sum() / fresh.negatives.counts.sum()
    assert fresh.replaced_fraction == pytest.approx(share)
    text = repr(fresh)
    assert text.startswith(f"Refreshed(generation 1: {100 * share:.1f} % of negatives replaced in ")
    assert f"of 10 rows; turn median {np.median(fresh.turn):.2g}, 95 % " in text
    assert "\n" not in text
    # The same model again changes nothing.
    again = refresh(table, miner, np.asarray, after, documents, LABELS, previous_embeddings=after, chunk=(7, 3))
    assert (again.replaced_fraction, again.replaced.tolist()) == (0.0, [0] * 10)
    np.testing.assert_allclose(again.turn, 0, atol=1e-12)


def test_rows_of_no_negatives_have_no_fraction(tmp_path: Path) -> None:
    miner = negmine.HardNegativeMiner(2, max_score=-1.0)
    table = NegativesTable.create(tmp_path / "table", mined(0, miner))
    fresh = refresh(table, miner, model(1), QUERIES, DOCUMENTS, LABELS)
    assert (fresh.negatives.counts.sum(), fresh.replaced_fraction) == (0, 0.0)
    assert "0.0 % of negatives replaced in 0 of 30 rows; encoded" in repr(fresh)


def test_a_draw_keeps_the_steps_of_its_rows(tmp_path: Path) -> None:
    miner = negmine.HardNegativeMiner(2, sampling="random", range_max=9)
    table = NegativesTable.create(tmp_path / "table", mined(0, miner), step=3)
    fresh = refresh(table, miner, model(1), QUERIES, DOCUMENTS, LABELS, step=10)
    redraw(table, fresh.negatives, epoch=1)
    assert set(table.current().mined_at_step) == {10}
    redraw(table, fresh.negatives, epoch=2, step=11)
    assert set(table.current().mined_at_step) == {11}
    part = refresh(table, miner, model(2), QUERIES, DOCUMENTS, LABELS, step=20, chunk=(0, 3))
    with pytest.raises(NegmineValueError, match=r"`negatives` must be for the 30 result rows .*; got 10"):
        redraw(table, part.negatives, epoch=3)
    table.publish(part.negatives.redraw(3), result_rows=part.result_rows, step=20)
    assert table.current().mined_at_step.tolist() == [20] * 10 + [11] * 20
