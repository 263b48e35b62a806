"""Inverse propensity weights and the propensities that they come from."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmine.weights import design_weights, ipw, popularity_propensity, selection_propensity

PROPENSITIES = st.lists(st.sampled_from([1e-3, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=6)
CLIPS = st.sampled_from([None, 0.05, 0.3, 1.0])


@given(PROPENSITIES, CLIPS, st.sampled_from([None, "mean", "sum"]))
def test_weights_are_inverse_propensities(values: list[float], clip: float | None, normalize: str | None) -> None:
    expected = [1 / max(p, clip or 0.0) for p in values]
    total = {None: 1.0, "mean": sum(expected) / len(expected), "sum": sum(expected)}[normalize]
    for weights in (
        ipw(values, clip=clip, normalize=normalize),  # type: ignore[call-overload]
        ipw(log=np.log(values), clip=clip, normalize=normalize),  # type: ignore[call-overload]
    ):
        np.testing.assert_allclose(weights, np.array(expected) / total, rtol=1e-12)


@given(PROPENSITIES, CLIPS, st.data())
def test_relative_weights_are_ratios_to_a_position(
    values: list[float], clip: float | None, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(values) - 1))
    reference = values[position]
    expected = [reference / max(p, (clip or 0.0) * reference) for p in values]
    two = np.array([values, values])
    for weights in (
        ipw(two, clip=clip, relative_to=position),
        ipw(log=np.log(two) + 7.0, clip=clip, relative_to=position),
    ):
        np.testing.assert_allclose(weights, [expected, expected], rtol=1e-12)
        assert (weights[:, position] == 1.0).all()


@given(PROPENSITIES, CLIPS, st.data())
def test_two_channels_are_those_of_rel_mf(values: list[float], clip: float | None, data: st.DataObject) -> None:
    label = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    positive, negative = ipw(values, label=label, clip=clip)
    expected = [y / max(p, clip or 0.0) for y, p in zip(label, values, strict=True)]
    np.testing.assert_allclose(positive, expected, rtol=1e-15)
    np.testing.assert_allclose(negative, 1 - np.array(expected), rtol=1e-15)


def test_golden_weights_of_rel_mf() -> None:
    for label, clip, expected in ((1, None, (4.0, -3.0)), (1, 0.5, (2.0, -1.0)), (0, None, (0.0, 1.0))):
        positive, negative = ipw([0.25], label=[label], clip=clip)
        assert (positive[0], negative[0]) == expected


@pytest.mark.parametrize(("clip", "mean", "variance"), [(None, 0.54, 0.7344), (0.5, 0.72, 0.1836)])
def test_golden_bias_and_variance_over_all_observations(clip: float | None, mean: float, variance: float) -> None:
    gamma, theta, as_positive, as_negative = 0.6, 0.25, 0.3, 0.9
    outcomes = []
    for relevant, observed in itertools.product((0, 1), (0, 1)):
        chance = (gamma if relevant else 1 - gamma) * (theta if observed else 1 - theta)
        w_pos, w_neg = ipw([theta], label=[relevant * observed], clip=clip)
        outcomes.append((chance, w_pos[0] * as_positive + w_neg[0] * as_negative))
    found = sum(chance * loss for chance, loss in outcomes)
    assert found == pytest.approx(mean)
    assert sum(chance * (loss - found) ** 2 for chance, loss in outcomes) == pytest.approx(variance)


def test_design_weights_make_half_and_half_batches_unbiased() -> None:
    assert design_weights(50, 950) == (0.1, 1.9)
    losses = np.random.default_rng(0).random(1000)
    w_pos, w_unl = design_weights(50, 950)
    # The expectation over batches of which one half is drawn from each part, with replacement.
    expected = 0.5 * w_pos * losses[:50].mean() + 0.5 * w_unl * losses[50:].mean()
    assert expected == pytest.approx(losses.mean())
    # What the released batches do is the inverse.
    assert 1 / w_pos == pytest.approx(10.0)
    assert 1 / w_unl == pytest.approx(0.526316, abs=1e-6)


def test_golden_weights_of_dla() -> None:
    np.testing.assert_allclose(ipw(log=[0.5, 0.0, -0.5], relative_to=0), [1, 1.648721, 2.718282], rtol=1e-6)
    np.testing.assert_allclose(ipw(log=[1.0, 0.0, 2.0], relative_to=0), [1, 2.718282, 0.367879], rtol=1e-5)
    np.testing.assert_allclose(
        ipw(np.exp([1.0, 0.0, 2.0]) / np.exp([1.0, 0.0, 2.0]).sum(), relative_to=0), [1, math.e, 1 / math.e]
    )
    # Far apart, the ratio is still exact, and a clip bounds it.
    assert ipw(log=[0.0, -900.0], relative_to=0, clip=0.01)[1] == pytest.approx(100.0)


def test_golden_weights_of_coupled_estimation() -> None:
    scores = [0.0, 2.0, -1.0, 6.0]
    for temperature, expected in (
        (2.0, [2, 3.718282, 1.606531, 21.085537]),
        (10.0, [2, 2.221403, 1.904837, 2.822119]),
    ):
        np.testing.assert_allclose(ipw(selection_propensity(scores, temperature)), expected, rtol=1e-6)
    assert ipw(selection_propensity([80.0], 2.0))[0] == pytest.approx(1 + math.exp(40), rel=1e-12)
    assert ipw(selection_propensity(scores, 2.0), clip=0.1).max() == 10.0


def test_popularity_has_the_smallest_value_where_nothing_was_seen() -> None:
    np.testing.assert_allclose(popularity_propensity([0, 9, 1, 0], 1.0), [1 / 9, 1, 1 / 9, 1 / 9])
    np.testing.assert_allclose(popularity_propensity([4, 16, 1]), [0.5, 1, 0.25])
    assert popularity_propensity([3, 0, 2], 0.0).tolist() == [1.0, 1.0, 1.0]


def test_zero_propensities_need_a_clip_or_no_observation() -> None:
    assert ipw([0.0, 1.0], clip=0.1).tolist() == [10.0, 1.0]
    positive, negative = ipw([0.0], label=[0])
    assert (positive.tolist(), negative.tolist()) == ([0.0], [1.0])
    assert ipw(log=[-math.inf], clip=0.5).tolist() == [2.0]
    assert ipw([[]]).shape == (1, 0)
