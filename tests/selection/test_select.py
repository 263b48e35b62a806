"""`select` against a plain oracle, golden values, the law of shares, and edges."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import negmine
import oracle_selection as oracle
from negmine import score_pairs
from negmine.errors import NegmineValueError
from negmine.selection import Selected, select
from oracle_draws import Place

INF = math.inf
LAWS = [("top", False), *((law, replace) for law in ("softmax", "systematic", "random") for replace in (False, True))]


def sized(sizes: list[int]) -> np.ndarray:
    """Make as many labels of each group."""
    return np.repeat(np.arange(len(sizes)), sizes)


def quotas(num: int, sizes: list[int], **options: Any) -> list[int]:
    return select(num, groups=sized(sizes), **options).quotas.tolist()


# ---- Golden values


def test_golden_balanced_quotas() -> None:
    assert quotas(6, [10, 10, 10], target="balanced", given=[5, 2, 0]) == [0, 2, 4]
    assert quotas(6, [10, 10, 3], target="balanced", given=[5, 2, 0]) == [0, 3, 3]
    assert quotas(6, [1, 5, 5], target="balanced", given=[0, 0, 0]) == [1, 3, 2]


def test_golden_quotas_of_duqgen() -> None:
    assert quotas(10, [50, 30, 15, 5], minimum=1) == [5, 3, 1, 1]
    assert quotas(10, [50, 30, 15, 5], minimum=1, target=[0.5, 0.3, 0.15, 0.05]) == [5, 3, 1, 1]


@pytest.mark.parametrize(
    ("temperature", "expected"), [(1.0, [0.471776, 0.316241, 0.211983]), (0.1, [0.981690, 0.017980, 0.000329])]
)
def test_golden_softmax_of_duqgen(temperature: float, expected: list[float]) -> None:
    found = {}
    for seed in range(60_000):
        one = select(1, scores=[0.9, 0.5, 0.1], within="softmax", temperature=temperature, replace=True, seed=seed)
        found[int(one.indices[0])] = math.exp(one.log_prob[0])
        if len(found) == 3:
            break
    assert [found[row] for row in range(3)] == pytest.approx(expected, abs=5e-7)


def test_golden_systematic_points() -> None:
    scores = np.log([0.5, 0.3, 0.2])
    # The first seed whose u lies between .5 and .8 takes row 1, which stands second in row order.
    seed = next(seed for seed in range(100) if 0.5 <= u_of(seed) < 0.8)
    assert select(1, scores=scores, within="systematic", seed=seed).indices.tolist() == [1]
    # The order of rows decides which weight that is; in the order of weights it would be the first here.
    assert select(1, scores=scores[[2, 0, 1]], within="systematic", seed=seed).indices.tolist() == [1]
    two = select(2, scores=np.log([8.0, 1.0, 1.0, 1.0]), within="systematic", seed=seed)
    assert two.indices[0] == 0
    np.testing.assert_allclose(np.exp(two.log_prob), [1, 1 / 3], rtol=1e-12)


def u_of(seed: int) -> float:
    """Return the u of group 0."""
    return oracle.draws.uniform(oracle.draws.draw_by_number(seed, oracle.SELECT_ITEMS, 0, 0, 0, 1))


def test_log_probabilities_stay_finite_where_the_double_exponential_is_not() -> None:
    rare = next(
        chosen
        for chosen in (select(1, scores=[0.0, -38.0], within="softmax", replace=True, seed=seed) for seed in range(3))
        if chosen.indices[0] == 0
    )
    assert abs(rare.log_prob[0]) < 1e-15
    # All are taken, however small their weights are.
    everything = select(2, scores=[0.0, -1e6], within="softmax", temperature=1e-300)
    assert everything.log_prob.tolist() == [0.0, 0.0]


# ---- The oracle

SCORES = st.one_of(st.integers(-4, 4).map(lambda x: x / 2), st.just(-INF))


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    n, groups = draw(st.integers(1, 14)), draw(st.integers(1, 4))
    law, replace = draw(st.sampled_from(LAWS))
    shares = draw(
        st.one_of(
            st.sampled_from(["proportional", "balanced"]), st.lists(st.integers(0, 9), min_size=groups, max_size=groups)
        )
    )
    if not isinstance(shares, str) and not any(shares):
        shares = "balanced"
    return {
        "num": draw(st.integers(0, 20)),
        "scores": draw(st.lists(SCORES, min_size=n, max_size=n)),
        "groups": draw(st.lists(st.integers(-1, groups - 1), min_size=n, max_size=n)),
        "target": shares,
        "given": draw(st.lists(st.integers(0, 6), min_size=groups, max_size=groups)),
        "minimum": draw(st.integers(0, 2)),
        "within": law,
        "replace": replace,
        "temperature": draw(st.sampled_from([1.0, 0.5, 3.0])) if law in ("softmax", "systematic") else 1.0,
        "seed": draw(st.integers(0, 2**64 - 1)),
        "epoch": draw(st.integers(0, 3)),
        "query": draw(st.integers(0, 3)),
    }


@given(problems())
def test_selection_is_as_defined(problem: dict[str, Any]) -> None:
    labels, scores, groups = problem["groups"], problem["scores"], len(problem["given"])
    rows = [oracle.candidates(scores, labels, group) for group in range(groups)]
    sizes = [len(own) for own in rows]
    target = problem["target"]
    shares = target if not isinstance(target, str) else sizes if target == "proportional" else [1] * groups
    caps = [problem["num"] if problem["replace"] and size else size for size in sizes]
    try:
        numbers = [0] * groups
        if any(sizes):
            numbers = oracle.share_out(problem["num"], shares, problem["given"], problem["minimum"], caps)
    except ValueError as error:
        with pytest.raises(NegmineValueError, match=f"`minimum` .* `num` must be at least {error.args[0]}, not"):
            select(**problem)
        return
    place = Place(problem["seed"], problem["epoch"], problem["query"], 0)
    indices, log_prob = [], []
    for group, number in enumerate(numbers):
        own, logs = oracle.choose(
            problem["within"], rows[group], scores, number, problem["temperature"], problem["replace"], group, place
        )
        indices += own
        log_prob += logs
    got = select(**problem)
    assert got.quotas.tolist() == numbers
    assert got.indices.tolist() == indices
    np.testing.assert_allclose(got.log_prob, log_prob, rtol=1e-9, atol=1e-11)


@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    st.sampled_from(["f2", "f4", "f8"]),
)
def test_diverse_selection_is_greedy_in_canonical_cosines(seed: int, n: int, lambda_: float, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 5)).astype(dtype)
    rows[rng.random(n) < 0.1] = 0
    rows[rng.random(n) < 0.2] = rows[0]
    scores = rng.random(n).round(1)
    pairs = [[a, b] for a in range(n) for b in range(n)]
    cosines = score_pairs(rows, rows, pairs).reshape(n, n)
    labels = rng.integers(0, 3, n)
    num = int(rng.integers(0, n + 1))
    got = select(num, scores=scores, groups=labels, diversity=lambda_, embeddings=rows, num_threads=1)
    again = select(num, scores=scores, groups=labels, diversity=lambda_, embeddings=rows, num_threads=8)
    assert got.indices.tolist() == again.indices.tolist()
    assert got.log_prob.tolist() == [0.0] * num
    begin = 0
    for group, quota in enumerate(got.quotas.tolist()):
        chosen = got.indices[begin : begin + quota].tolist()
        begin += quota
        left = [row for row in range(n) if labels[row] == group]
        for place, pick in enumerate(chosen):
            values = [
                lambda_ * scores[row]
                - (1 - lambda_) * (max(cosines[row, other] for other in chosen[:place]) if place else 0)
                for row in left
            ]
            # Public cosines are float32.
            assert values[left.index(pick)] >= max(values) - (0 if lambda_ == 1 else 1e-6)
            left.remove(pick)


# ---- The law of shares


@st.composite
def allocations(draw: st.DrawFn) -> tuple[int, list[int], list[int], list[int], int]:
    groups = draw(st.integers(1, 7))
    numbers = lambda most: draw(st.lists(st.integers(0, most), min_size=groups, max_size=groups))  # noqa: E731
    shares = numbers(12)
    shares[draw(st.integers(0, groups - 1))] += 1
    return draw(st.integers(0, 80)), shares, numbers(20), numbers(20), draw(st.integers(0, 3))


@given(allocations())
def test_quotas_are_largest_remainders(allocation: tuple[int, list[int], list[int], list[int], int]) -> None:
    num, shares, given_, sizes, minimum = allocation
    try:
        expected = oracle.share_out(num, shares, given_, minimum, sizes) if any(sizes) else [0] * len(sizes)
    except ValueError:
        with pytest.raises(NegmineValueError, match="`minimum` must be small enough"):
            quotas(num, sizes, target=shares, given=given_, minimum=minimum)
        return
    got = quotas(num, sizes, target=shares, given=given_, minimum=minimum)
    assert got == expected
    least = [min(size, max(0, minimum - before)) for size, before in zip(sizes, given_, strict=True)]
    most = [size if share else low for size, share, low in zip(sizes, shares, least, strict=True)]
    assert sum(got) == min(num, sum(most))
    assert all(low <= number <= high for low, number, high in zip(least, got, most, strict=True))
    # Shares need not sum to 1.
    assert got == quotas(num, sizes, target=[share / 8 for share in shares], given=given_, minimum=minimum)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 2))
def test_a_larger_share_never_gets_less(shares: list[int], num: int, minimum: int) -> None:
    shares.append(1)
    num = max(num, minimum * len(shares))
    got = quotas(num, [40] * len(shares), target=shares, minimum=minimum)
    for a, b in ((a, b) for a in range(len(shares)) for b in range(len(shares))):
        if shares[a] > shares[b]:
            assert got[a] >= got[b]
        if shares[a] == shares[b] and a < b:
            assert got[a] in (got[b], got[b] + 1)


# ---- Edges


def test_fewer_candidates_than_asked_for_are_all_taken() -> None:
    got = select(10, scores=[1, -INF, 3, 2], groups=[0, 0, 1, -1])
    assert (got.indices.tolist(), got.quotas.tolist()) == ([0, 2], [1, 1])
    # Groups of share 0 do not fill what others lack.
    assert quotas(10, [2, 5], target=[1, 0]) == [2, 0]
    assert quotas(3, [2, 5], target=[1, 0], minimum=1) == [2, 1]


def test_nothing_to_choose_from_gives_nothing() -> None:
    for got in (
        select(3, scores=[]),
        select(0, scores=[1.0, 2.0]),
        select(3, scores=[-INF, -INF], within="softmax"),
        select(3, groups=[-1, -1], target="balanced", minimum=1),
        select(3, groups=[-1], target=[1, 2], replace=True, within="random"),
    ):
        assert len(got.indices) == len(got.log_prob) == got.quotas.sum() == 0
    assert len(select(3, groups=[-1, -1]).quotas) == 0


def test_empty_groups_get_nothing_and_count_as_groups() -> None:
    got = select(4, groups=[0, 0, 0, 2, 2, 2], target="balanced", minimum=1)
    assert got.quotas.tolist() == [2, 0, 2]
    assert select(5, groups=[0, 2], target="balanced", replace=True, within="random").quotas.tolist() == [3, 0, 2]
    assert select(2, groups=[0, 0], given=[0, 3, 1]).quotas.tolist() == [2, 0, 0]


def test_ties_go_by_row() -> None:
    assert select(3, scores=[1, 2, 1, 2, -0.0, 0.0]).indices.tolist() == [1, 3, 0]
    assert select(6, scores=[1, 2, 1, 2, -0.0, 0.0]).indices.tolist() == [1, 3, 0, 2, 4, 5]
    assert select(2, groups=[0] * 5).indices.tolist() == [0, 1]


def test_diversity_of_equal_scores_spreads() -> None:
    rows = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    assert select(3, diversity=0.5, embeddings=rows).indices.tolist() == [0, 3, 2]
    # With lambda 1 it is the order of scores.
    assert select(3, scores=[1, 2, 3, 3], diversity=1.0, embeddings=rows).indices.tolist() == [2, 3, 1]


def test_draws_depend_on_seed_epoch_and_query_alone() -> None:
    options: dict[str, Any] = {"scores": np.linspace(0, 1, 200), "within": "softmax"}

    def drawn(**more: int) -> list[int]:
        return select(9, **options, **more).indices.tolist()

    assert drawn() == drawn() == drawn(num_threads=3)
    assert len({tuple(drawn(**{name: 1})) for name in ("seed", "epoch", "query")} | {tuple(drawn())}) == 4
    # An item's draw does not depend on the other items.
    part = select(200, scores=options["scores"][:150], within="softmax").indices.tolist()
    whole = select(200, **options).indices.tolist()
    assert part == [row for row in whole if row < 150]


@pytest.mark.parametrize("within", ["softmax", "systematic", "random"])
def test_large_selections_are_exact(within: Any) -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal(300_000), rng.integers(0, 7, 300_000)
    got = select(100_000, scores=scores, groups=labels, within=within)
    assert len(np.unique(got.indices)) == 100_000
    np.testing.assert_array_equal(labels[got.indices], np.repeat(np.arange(7), got.quotas))
    # Weighted by 1 / p, sums are close to those over all items.
    weights = np.exp(-got.log_prob)
    assert weights.sum() == pytest.approx(300_000, rel=0.02)
    assert (weights * (scores[got.indices] > 0)).sum() == pytest.approx((scores > 0).sum(), rel=0.02)


def test_a_selection_shows_itself_in_one_line() -> None:
    got = select(2, scores=[1.0, 2.0, 3.0])
    assert isinstance(got, Selected)
    assert repr(got) == "Selected(indices=int64[2], quotas=int64[1], log_prob=float64[2])"


def test_progress_ends_with_all_of_it_done() -> None:
    seen: list[tuple[int, int]] = []
    rows = np.eye(40, 8, dtype=np.float32)
    select(9, diversity=0.5, embeddings=rows, progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert seen[-1][0] == seen[-1][1]


CHOICES = """
import hashlib
import numpy as np
from negmine.selection import select, sequence_scores

rng = np.random.default_rng(0)
digest = hashlib.sha256()
rows, scores, labels = rng.standard_normal((400, 67)).astype("f4"), rng.random(400), rng.integers(0, 5, 400)
for more in (
    *({"within": law, "replace": replace} for law in ("softmax", "systematic", "random") for replace in (False, True)),
    *({"diversity": x, "embeddings": rows, "num_threads": threads} for x in (0.3, 0.8) for threads in (1, 3)),
):
    got = select(90, scores=scores, groups=labels, **more)
    digest.update(got.indices.tobytes() + got.log_prob.tobytes())
digest.update(sequence_scores(-scores, [0, 100, 400], "perplexity").tobytes())
print(digest.hexdigest())
"""


def test_choices_and_probabilities_have_the_same_bits_on_every_instruction_set() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", CHOICES],
            env={**os.environ, "NEGMINE_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for isa in negmine.build_info()["available_isas"]
    }
    assert len(found) == 1
