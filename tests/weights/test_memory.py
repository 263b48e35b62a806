"""`ExampleMemory` against loops over the losses of every epoch, golden values, frequencies, states and bad input."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_draws
from negmine.errors import NegmineError, NegmineTypeError, NegmineValueError
from negmine.weights import ExampleMemory

stats = pytest.importorskip("scipy.stats")

#: G6: six examples, two epochs, and the current losses.
LOSSES = np.array([[1, 1.2], [1, 0.8], [0.1, 0.1], [1.1, 0.9], [3, 3.2], [1, 1.1]])
NOW = np.array([1, 0.9, 0.1, 1, 3, 1])
N = len(NOW)


def golden(**options: Any) -> ExampleMemory:
    memory = ExampleMemory(N, **options)
    for epoch in range(2):
        memory.update(np.arange(N), LOSSES[:, epoch], epoch=epoch)
    return memory


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, list[int], list[float]]]:
    """Batches of four examples: epochs, ascending and with gaps, indices and losses."""
    batches, epoch = [], 0
    for _ in range(draw(st.integers(0, 6))):
        epoch += draw(st.integers(0, 2))
        indices = draw(st.lists(st.integers(0, 3), max_size=5))
        losses = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), min_size=len(indices), max_size=len(indices)))
        batches.append((epoch, indices, losses))
    return batches


@given(histories(), st.sampled_from(["uniform", "linear"]), st.integers(0, 3))
def test_means_are_those_of_the_loop(history: list[Any], epoch_weight: Any, later: int) -> None:
    memory = ExampleMemory(4, epoch_weight=epoch_weight)
    for epoch, indices, losses in history:
        memory.update(indices, losses, epoch=epoch)
    asked = max([epoch for epoch, *_ in history], default=0) + later
    expected = []
    for example in range(4):
        means = {}
        for number in {epoch for epoch, *_ in history if epoch < asked}:
            own = [
                loss
                for epoch, indices, losses in history
                for index, loss in zip(indices, losses, strict=True)
                if epoch == number and index == example
            ]
            if own:
                means[number] = sum(own) / len(own)
        weight = {number: 1 if epoch_weight == "uniform" else number + 1 for number in means}
        total = sum(weight.values())
        expected.append(sum(weight[n] * means[n] for n in means) / total if total else math.nan)
    np.testing.assert_allclose(memory.means(epoch=asked), expected, rtol=1e-12)
    found = memory.bad_pairs(epoch=asked, noisy=1.0, faulty=0.5)
    seen = [mean for mean in expected if not math.isnan(mean)]
    if len(set(seen)) < 2:
        assert not found.noisy.any()
        assert not found.faulty.any()
    else:
        assert found.mean == pytest.approx(np.mean(seen))
        assert found.sd == pytest.approx(np.std(seen))
        for example, mean in enumerate(expected):
            if abs(mean - found.mean + found.sd) > 1e-9:
                assert found.noisy[example] == (mean <= found.mean - found.sd)
            if abs(mean - found.mean - found.sd / 2) > 1e-9:
                assert found.faulty[example] == (mean >= found.mean + found.sd / 2)


def test_golden_weights() -> None:
    memory = golden()
    found = memory.bad_pairs(epoch=2, noisy=1.0, faulty=1.5)
    assert found.mean == pytest.approx(1.208333, abs=1e-6)
    assert found.sd == pytest.approx(0.911234, abs=1e-6)
    assert np.flatnonzero(found.noisy).tolist() == [2]
    assert np.flatnonzero(found.faulty).tolist() == [4]
    for kind, expected in (("exp", [0.477261, 0.144718]), ("pdf", [0.208947, 0.063358])):
        weights = memory.weights(np.arange(N), NOW, epoch=2, kind=kind, noisy=1.0, faulty=1.5)  # type: ignore[arg-type]
        np.testing.assert_allclose(weights[[2, 4]], expected, atol=1e-6)
        assert (weights[[0, 1, 3, 5]] == 1).all()
    assert golden(epoch_weight="linear").means(epoch=2)[0] == pytest.approx(1.133333, abs=1e-6)


def test_an_open_epoch_does_not_count() -> None:
    memory = golden()
    before = memory.means(epoch=1)
    np.testing.assert_array_equal(before, LOSSES[:, 0])
    memory.update([0], [100.0], epoch=1)
    np.testing.assert_array_equal(memory.means(epoch=1), before)
    assert memory.means(epoch=2)[0] == (1 + (1.2 + 100) / 2) / 2


def test_planted_bad_pairs_are_found_better_than_by_the_current_losses() -> None:
    draw = np.random.default_rng(0)
    n, epochs = 2000, 10
    kind = draw.choice(3, size=n, p=[0.9, 0.05, 0.05])
    center = np.array([1.0, 0.3, 1.7])[kind]
    memory = ExampleMemory(n)
    for epoch in range(epochs):
        memory.update(np.arange(n), center + 0.3 * draw.standard_normal(n), epoch=epoch)
    found = memory.bad_pairs(epoch=epochs, noisy=2.0, faulty=2.0)
    now = center + 0.3 * draw.standard_normal(n)
    far = np.abs(now - now.mean()) >= 2.0 * now.std()
    planted, bad = kind > 0, found.noisy | found.faulty
    assert (bad & planted).sum() > 1.3 * (far & planted).sum()
    assert (bad & planted).sum() / bad.sum() > 0.99
    weights = memory.weights(np.arange(n), now, epoch=epochs, noisy=2.0, faulty=2.0)
    assert ((weights > 0) & (weights <= 1)).all()
    assert ((weights < 1) <= bad).all()


def test_density_above_one_raises_the_weight_and_the_kernel_does_not() -> None:
    memory = ExampleMemory(100)
    losses = np.full(100, 1.0)
    losses[0] = 1.001
    memory.update(np.arange(100), losses, epoch=0)
    assert memory.weights([0], [1.0001], epoch=1, kind="pdf")[0] > 1
    assert memory.weights([0], [1.0001], epoch=1)[0] <= 1


# ---- Replay


GROUPS = np.array([0, 0, 0, 2, 2, -1])


def test_draws_have_the_stated_probabilities() -> None:
    memory = golden(seed=3)
    memory.update([0], [1.1], epoch=2)
    counts, num = np.zeros(N), 50
    expected = {}
    for step in range(400):
        replayed = memory.sample(num, GROUPS, epoch=2, step=step, exponent=2.0)
        np.add.at(counts, replayed.indices, 1)
        expected |= dict(zip(replayed.indices.tolist(), np.exp(replayed.log_prob) / num, strict=True))
    means = memory.means(epoch=2)
    for group in (0, 2):
        rows = np.flatnonzero(group == GROUPS)
        weights = (means[rows] + 1e-6) ** 2
        for row, weight in zip(rows, weights / weights.sum() / 2, strict=True):
            assert expected[row] == pytest.approx(weight)
    assert counts[5] == 0
    probabilities = np.array([expected[row] for row in range(5)])
    assert stats.chisquare(counts[:5], probabilities * counts.sum()).pvalue > 1e-3


def test_draws_are_numbered() -> None:
    """The class of draw t is number 2 t of (seed, epoch, step), its example number 2 t + 1."""
    memory, num = golden(seed=7), 9
    replayed = memory.sample(num, GROUPS, epoch=5, step=4)
    means = memory.means(epoch=5)
    for t in range(num):
        u, v = (oracle_draws.uniform(oracle_draws.draw_by_number(7, 11, 5, 4, 2 * t + side)) for side in (0, 1))
        rows = np.flatnonzero((0, 2)[int(2 * u)] == GROUPS)
        cumulative = np.cumsum(means[rows] + 1e-6)
        assert replayed.indices[t] == rows[np.searchsorted(cumulative, v * cumulative[-1], side="right")]
    again = memory.sample(num, GROUPS, epoch=5, step=4)
    np.testing.assert_array_equal(again.indices, replayed.indices)
    assert memory.sample(num, GROUPS, epoch=5, step=5).indices.tolist() != replayed.indices.tolist()


def test_examples_that_were_not_seen_are_not_drawn() -> None:
    memory = ExampleMemory(4)
    assert len(memory.sample(5, [0, 0, 1, 1], epoch=0).indices) == 0
    memory.update([1, 2], [0.0, 1.0], epoch=0)
    assert set(memory.sample(50, [0, 0, 1, 1], epoch=1).indices.tolist()) == {1, 2}
    assert len(memory.sample(50, [-1] * 4, epoch=1).indices) == 0
    assert len(memory.sample(0, [0] * 4, epoch=1).indices) == 0


def slow_places(added: list[int], labels: list[int], means: list[float]) -> list[int]:
    """One insertion after the other."""
    labels, places = list(labels), []
    for label in added:
        old = [row for row in range(len(labels)) if row not in places]
        free = [row for row in old if labels[row] < 0]
        if free:
            place = free[0]
        else:
            place = min(old, key=lambda row: (-labels.count(labels[row]), labels[row], means[row], row))
        labels[place] = label
        places.append(place)
    return places


@given(st.data())
def test_places_are_those_of_the_loop(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    labels = data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    added = data.draw(st.lists(st.integers(0, 3), max_size=n))
    seen = data.draw(st.lists(st.integers(0, n - 1), max_size=n, unique=True))
    losses = data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=len(seen), max_size=len(seen)))
    memory = ExampleMemory(n)
    memory.update(seen, losses, epoch=0)
    means = [math.inf] * n
    for row, loss in zip(seen, losses, strict=True):
        means[row] = loss
    places = memory.insert(added, labels, epoch=1)
    assert places.tolist() == slow_places(added, labels, means)
    after = memory.means(epoch=1)
    assert np.isnan(after[places]).all()
    kept = np.setdiff1d(np.arange(n), places)
    np.testing.assert_array_equal(np.isnan(after[kept]), np.isinf(np.array(means)[kept]))


# ---- States and ranks


@given(histories(), st.integers(0, 6))
def test_states_go_on_where_they_were_saved(history: list[Any], cut: int) -> None:
    whole = ExampleMemory(4, epoch_weight="linear", seed=5)
    resumed = ExampleMemory(4)
    for place, (epoch, indices, losses) in enumerate(history):
        if place == cut:
            resumed.load_state_dict(pickle.loads(pickle.dumps(whole.state_dict())))
        whole.update(indices, losses, epoch=epoch)
        if place >= cut:
            resumed.update(indices, losses, epoch=epoch)
    if cut < len(history):
        for name, value in whole.state_dict().items():
            np.testing.assert_array_equal(resumed.state_dict()[name], value)


@given(histories(), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_ranks_with_parts_of_the_examples_merge_to_the_whole(history: list[Any], owner: list[int]) -> None:
    whole, ranks = ExampleMemory(4), [ExampleMemory(4) for _ in range(3)]
    for epoch, indices, losses in history:
        whole.update(indices, losses, epoch=epoch)
        for rank, memory in enumerate(ranks):
            own = [place for place, index in enumerate(indices) if owner[index] == rank]
            memory.update([indices[i] for i in own], [losses[i] for i in own], epoch=epoch)
    merged = ranks[0].merge(ranks[1:])
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(merged.state_dict()[name], value)
    assert repr(merged) == repr(whole)


# ---- Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: ExampleMemory(0), "`n_examples` must be at least 1"),
        (lambda m: ExampleMemory(4, epoch_weight="paper"), "`epoch_weight` must be"),
        (lambda m: m.update([6], [1.0], epoch=2), r"`indices` must be from 0 to 5; got 6 at row 0"),
        (lambda m: m.update([-1], [1.0], epoch=2), r"`indices` must be from 0 to 5"),
        (lambda m: m.update([0, 1], [1.0], epoch=2), r"`losses` must have shape \(2,\)"),
        (lambda m: m.update([0], [math.nan], epoch=2), "`losses` must be finite; got nan at row 0"),
        (lambda m: m.update([0], [1.0], epoch=0), "`epoch` must be at least 1, the one that is open; got 0"),
        (lambda m: m.means(epoch=0), "`epoch` must be at least 1"),
        (lambda m: m.bad_pairs(epoch=2, noisy=0.0), "`noisy` must be"),
        (lambda m: m.weights([0], [math.inf], epoch=2), "`losses` must be finite"),
        (lambda m: m.weights([0], [1.0], epoch=2, kind="linear"), "`kind` must be"),
        (lambda m: m.sample(3, [0] * 5, epoch=2), "`groups` must have"),
        (lambda m: m.sample(3, [-2] * 6, epoch=2), "`groups` must be at least -1"),
        (lambda m: m.sample(3, [0] * 6, epoch=2, exponent=-1.0), "`exponent` must be at least 0"),
        (lambda m: m.sample(3, [0] * 6, epoch=2, step=-1), "`step` must be"),
        (lambda m: m.insert([-1], [0] * 6, epoch=2), "`new_groups` must be at least 0"),
        (lambda m: m.insert([0] * 7, [0] * 6, epoch=2), "`new_groups` must have at most 6 entries; got 7"),
        (lambda m: m.load_state_dict({}), "`state` must have the entry 'epoch_weight'"),
        (lambda m: m.load_state_dict(ExampleMemory(5).state_dict()), r"`sums` must have shape \(6,\)"),
        (lambda m: m.load_state_dict(m.state_dict() | {"sums": [0.0] * 6}), "`sums` must be an array of float64"),
        (lambda m: m.merge([ExampleMemory(6, seed=1)]), "`others` must have seed=0; got 1"),
        (lambda m: m.merge([ExampleMemory(6)]), "`others` must have epoch=1; got 0"),
        (lambda m: m.merge([3]), "`others` must hold ExampleMemory objects; got int"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    memory = golden()
    before = copy.deepcopy(memory.state_dict())
    with pytest.raises(NegmineError, match=message) as caught:
        call(memory)
    assert isinstance(caught.value, NegmineValueError | NegmineTypeError)
    for name, value in memory.state_dict().items():
        np.testing.assert_array_equal(before[name], value)


def test_a_negative_mean_loss_cannot_weigh_a_replay() -> None:
    memory = ExampleMemory(2)
    memory.update([0, 1], [1.0, -1.0], epoch=0)
    with pytest.raises(NegmineValueError, match=r"`losses` must have means of at least 0 for a replay; got -1\.0"):
        memory.sample(1, [0, 0], epoch=1)
