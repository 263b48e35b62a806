"""Signatures and tables of behaviors against the page of NumPy, and what must not change an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import digests_behavior
import negmine
import oracle_behavior as oracle
from negmine.behavior import BehaviorTable
from strategies import SEEDS
from vectors import LAYOUTS

NORMALIZE = ("l2", "mean", "sum", "ratio")


def history(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Behaviors around a few tastes, some of them zero."""
    tastes = rng.standard_normal((4, dim))
    rows = tastes[rng.integers(0, 4, n)] + 0.7 * rng.standard_normal((n, dim))
    rows[rng.random(n) < 0.05] = 0.0
    return rows.astype(np.float32)


@given(SEEDS, st.integers(0, 60), st.integers(1, 90), st.integers(1, 7), st.integers(1, 20), st.booleans())
def test_signatures_are_the_signs(seed: int, n: int, dim: int, tau: int, groups: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    x = history(rng, n, dim)
    mask = rng.random(n) < 0.8 if masked else None
    hasher = negmine.SimHash(m=tau * groups, tau=tau, dim=dim, seed=seed)
    words = hasher.signatures(x, mask=mask, num_threads=1 + seed % 3)
    np.testing.assert_array_equal(words, oracle.signatures(hasher.projections, tau, x, mask))
    assert words.dtype == np.uint32
    assert words.shape == (n, groups)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_signatures_do_not_depend_on_how_rows_lie(layout: str) -> None:
    rng = np.random.default_rng(0)
    x = history(rng, 2100, 24)
    hasher = negmine.SimHash(dim=24)
    there = rng.random(len(x)) < 0.7
    for mask in (None, there):
        expected = hasher.signatures(x, mask=mask, num_threads=1)
        np.testing.assert_array_equal(hasher.signatures(LAYOUTS[layout](x), mask=mask, num_threads=3), expected)


def test_a_centre_is_subtracted_in_float32() -> None:
    rng = np.random.default_rng(1)
    x = history(rng, 300, 16) + np.float32(5)
    center = x.mean(axis=0)
    hasher = negmine.SimHash(dim=16, center=center)
    np.testing.assert_array_equal(hasher.signatures(x), negmine.SimHash(dim=16).signatures(x - center))
    spread = [len(np.unique(h.signatures(x)[:, 0])) for h in (negmine.SimHash(dim=16), hasher)]
    assert spread[0] < spread[1] == 8


def test_a_smaller_hash_is_the_beginning_of_a_larger_one() -> None:
    x = history(np.random.default_rng(2), 50, 12)
    large, small = (negmine.SimHash(m, 3, dim=12, seed=9).signatures(x) for m in (96, 24))
    np.testing.assert_array_equal(large[:, :8], small)


@given(
    SEEDS,
    st.lists(st.integers(0, 40), min_size=1, max_size=5),
    st.integers(0, 6),
    st.integers(1, 40),
    st.integers(1, 33),
    st.integers(1, 5),
    st.sampled_from(NORMALIZE),
    st.booleans(),
)
def test_a_query_is_attention_by_hashing(
    seed: int, lengths: list[int], per_user: int, dim: int, width: int, tau: int, normalize: str, skip: bool
) -> None:
    rng = np.random.default_rng(seed)
    ends = np.append(0, np.cumsum(lengths))
    keys, values = history(rng, ends[-1], dim), rng.standard_normal((ends[-1], width)).astype(np.float32)
    mask = rng.random(ends[-1]) < 0.8
    hasher = negmine.SimHash(m=tau * 6, tau=tau, dim=dim, seed=seed)
    threads = 1 + seed % 4
    table = BehaviorTable.build(hasher, keys, values=values, offsets=ends, mask=mask, num_threads=threads)
    candidates = history(rng, per_user * len(lengths), dim)
    offsets = np.arange(len(lengths) + 1) * per_user
    got = table.query(candidates, offsets=offsets, normalize=normalize, skip_empty=skip, num_threads=threads)  # type: ignore[arg-type]
    known = oracle.signatures(hasher.projections, tau, keys, mask)
    wanted = oracle.signatures(hasher.projections, tau, candidates)
    for user in range(len(lengths)):
        of_user, of_candidates = slice(ends[user], ends[user + 1]), slice(offsets[user], offsets[user + 1])
        expected = oracle.attention(wanted[of_candidates], known[of_user], values[of_user], normalize, skip)
        np.testing.assert_allclose(got[of_candidates], expected, rtol=1e-5, atol=3e-6)


@given(SEEDS, st.integers(1, 4), st.integers(0, 60))
def test_appending_and_removing_is_a_round_trip(seed: int, n_users: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    ends = np.append(0, np.cumsum(rng.integers(0, 50, n_users)))
    table = BehaviorTable.build(negmine.SimHash(dim=8), history(rng, ends[-1], 8), offsets=ends)
    sums, counts = table.sums.copy(), table.counts.copy()
    user = [int(rng.integers(n_users))]
    extra = history(rng, more, 8)
    table.append(extra, offsets=[0, more], users=user)
    appended = int((extra != 0).any(axis=1).sum())
    assert table.counts.sum() - counts.sum() == 16 * appended
    table.remove(extra[::-1], offsets=[0, more], users=user, num_threads=1 + seed % 3)
    np.testing.assert_array_equal(table.counts, counts)
    np.testing.assert_allclose(table.sums, sums, atol=1e-5 * max(1.0, np.abs(sums).max()))
    assert (table.sums[table.counts == 0] == 0).all()
    assert table.removals.sum() == appended


@given(SEEDS)
def test_order_and_padding_change_nothing_but_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys, candidates = history(rng, 70, 12), history(rng, 9, 12)
    hasher = negmine.SimHash(dim=12, seed=seed)
    expected = BehaviorTable.build(hasher, keys).query(candidates)
    order = rng.permutation(70)
    np.testing.assert_allclose(BehaviorTable.build(hasher, keys[order]).query(candidates), expected, atol=1e-5)
    padded = np.full((90, 12), np.nan, dtype=np.float32)
    places = np.sort(rng.choice(90, 70, replace=False))
    padded[places] = keys
    mask = np.isin(np.arange(90), places)
    again = BehaviorTable.build(hasher, padded, mask=mask)
    np.testing.assert_array_equal(again.query(candidates), expected)


@given(SEEDS, st.integers(1, 3), st.booleans())
def test_bytes_and_pickles_are_the_table(seed: int, n_users: int, decayed: bool) -> None:
    import pickle

    rng = np.random.default_rng(seed)
    ends = np.append(0, np.cumsum(rng.integers(0, 9, n_users)))
    hasher = negmine.SimHash(12, 3, dim=4, seed=seed, center=np.ones(4) if seed % 2 else None)
    table = BehaviorTable.build(hasher, history(rng, ends[-1], 4), offsets=ends)
    if decayed:
        table.decay(0.5)
    for again in (BehaviorTable.from_bytes(table.to_bytes(), hasher), pickle.loads(pickle.dumps(table))):
        assert again.hasher == hasher
        for name in ("sums", "counts", "removals"):
            np.testing.assert_array_equal(getattr(again, name), getattr(table, name))
        assert again.counts.dtype == table.counts.dtype


def test_merging_is_building_from_both() -> None:
    rng = np.random.default_rng(3)
    hasher = negmine.SimHash(dim=6)
    a, b, candidates = (history(rng, n, 6) for n in (40, 30, 5))
    both = BehaviorTable.build(hasher, np.concatenate([a, b]))
    table, other = (BehaviorTable.build(hasher, rows) for rows in (a, b))
    table.merge(other)
    np.testing.assert_array_equal(table.counts, both.counts)
    np.testing.assert_allclose(table.query(candidates), both.query(candidates), atol=1e-6)
    other.decay(0.5)
    table.merge(other)
    assert table.decayed
    np.testing.assert_allclose(table.counts.sum(), 16 * (70 + 15), rtol=0.1)


def test_decay_weighs_what_comes_later_more() -> None:
    rng = np.random.default_rng(4)
    hasher = negmine.SimHash(dim=6)
    old, new, candidates = (history(rng, n, 6) for n in (40, 30, 5))
    table = BehaviorTable.build(hasher, old)
    table.decay(0.25)
    table.append(new)
    expected = BehaviorTable.build(hasher, np.concatenate([old, new]), values=np.concatenate([old / 4, new]))
    np.testing.assert_allclose(table.query(candidates), expected.query(candidates), atol=1e-6)


def test_rebuilding_clears_what_removals_left() -> None:
    rng = np.random.default_rng(5)
    hasher = negmine.SimHash(dim=6)
    rows = history(rng, 300, 6)
    rows[(rows == 0).all(axis=1)] = 1
    table = BehaviorTable.build(hasher, rows, offsets=[0, 200, 300])
    table.remove(rows[:150], offsets=[0, 150], users=[0])
    assert table.rebuild_due().tolist() == [0]
    table.rebuild(rows[150:200], offsets=[0, 50], users=[0])
    assert table.rebuild_due().tolist() == []
    fresh = BehaviorTable.build(hasher, rows[150:], offsets=[0, 50, 150])
    np.testing.assert_array_equal(table.sums, fresh.sums)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", negmine.build_info()["available_isas"])
def test_every_isa_and_thread_count_gives_the_same_bits(isa: str, threads: int) -> None:
    command = [sys.executable, str(Path(digests_behavior.__file__)), str(threads)]
    environment = {**os.environ, "NEGMINE_ISA": isa}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True)
    assert done.stdout.splitlines() == list(digests_behavior.lines(2))


@pytest.mark.parametrize("tau", [1, 3, 5])
@pytest.mark.parametrize("cosine", [0.95, 0.9, 0.5, 0.0, -0.5])
def test_collisions_have_the_law_of_angles(cosine: float, tau: int) -> None:
    groups = 20_000 // tau
    a, b = np.array([1.0, 0, 0, 0]), np.array([cosine, np.sqrt(1 - cosine**2), 0, 0])
    hits, n = 0, 0
    for seed in range(4):
        words = negmine.SimHash(tau * groups, tau, dim=4, seed=seed).signatures(np.stack([a, b]))
        hits, n = hits + int((words[0] == words[1]).sum()), n + groups
    p = (1 - np.arccos(cosine) / np.pi) ** tau
    assert abs(hits / n - p) < 4 * np.sqrt(p * (1 - p) / n)


def recipe(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recipe R1: a history around twelve centers, queries of the same law, and softmax attention."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((12, 32))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)

    def draw(n: int) -> np.ndarray:
        x = centers[rng.integers(0, 12, n)] + 0.7 * rng.standard_normal((n, 32)) / np.sqrt(32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    history, queries = draw(256), draw(64)
    weights = np.exp(queries @ history.T / 0.5)
    return history, queries, weights / weights.sum(axis=1, keepdims=True) @ history


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Mean cosine of rows."""
    norms = np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-12)
    return float(((a * b).sum(axis=1) / norms).mean())


def test_it_estimates_attention_within_the_bands_of_the_recipe() -> None:
    bands = {12: (0.84, 0.04), 24: (0.91, 0.02), 48: (0.95, 0.012), 96: (0.973, 0.008), 240: (0.988, 0.004)}
    means = {}
    for m, (middle, spread) in bands.items():
        found = []
        for seed in range(5):
            history, queries, target = recipe(seed)
            for draw in range(20):
                hasher = negmine.SimHash(m, 3, dim=32, seed=20 * seed + draw)
                found.append(cosine(BehaviorTable.build(hasher, history).query(queries), target))
        means[m] = np.mean(found)
        assert abs(means[m] - middle) < spread, (m, means[m])
    assert list(means.values()) == sorted(means.values())
    best = {}
    for tau in (1, 2, 3, 5, 10):
        found = []
        for seed in range(5):
            history, queries, target = recipe(seed)
            hasher = negmine.SimHash(tau * 480, tau, dim=32, seed=seed)
            table = BehaviorTable.build(hasher, history)
            found.append(cosine(table.query(queries, normalize="ratio"), target))
        best[tau] = np.mean(found)
    assert max(best, key=lambda tau: best[tau]) == 3
