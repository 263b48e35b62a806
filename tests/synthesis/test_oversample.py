"""Oversampling against a plain oracle, golden values, properties, edges, and imbalanced-learn."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_synthesis as oracle
from negmine import _native, kmeans
from negmine.errors import NegmineValueError
from negmine.synthesis import Synthetic, oversample
from negmine.synthesis.kinds import KINDS, cluster_shares, sparsity_logs

NAMES = tuple(KINDS)


def blobs(n: int = 400, width: int = 6, share: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make two classes, "common" and "rare", that overlap in clusters."""
    draw = np.random.default_rng(seed)
    centers = 2.0 * draw.standard_normal((6, width))
    cluster = draw.integers(6, size=n)
    rare = (cluster < 2) & (draw.random(n) < 0.8) | (draw.random(n) < share / 4)
    X = centers[cluster] + draw.standard_normal((n, width)) + 0.5 * rare[:, None]
    return X.astype(np.float32), np.where(rare, "rare", "common")


def same(a: Synthetic, b: Synthetic) -> bool:
    """Say whether two results have the same bits."""
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("X", "y", "parents", "step"))


# ---- Golden values


def test_golden_adasyn_numbers() -> None:
    assert _native.share_out(7, np.array([0.2, 0.6, 0.0, 0.4, 0.8])).tolist() == [1, 2, 0, 1, 3]


def test_golden_cluster_shares() -> None:
    sizes, distances = np.array([10, 20]), np.array([1.0, 2.0])
    weights = np.exp(sparsity_logs(sizes, distances))
    np.testing.assert_allclose(weights / weights.sum(), [0.081838, 0.918162], atol=1e-6)
    exponents = [(math.log(weights[1]) + math.log(20)) / math.log(2), -sparsity_logs(sizes[:1], np.exp([-1.0]))[0]]
    np.testing.assert_allclose([exponents[1] - math.log(10), exponents[0]], [2.794641, 4.487900], atol=1e-6)


def test_cluster_shares_do_not_depend_on_the_unit_of_length() -> None:
    sizes, distances = np.array([10, 2_000, 300]), np.array([0.1, 0.2, 0.15])
    shares = cluster_shares(sizes, distances)
    np.testing.assert_allclose(shares, cluster_shares(sizes, 1024.0 * distances), rtol=1e-12)
    # All rows of a cluster are equal: it gets nothing, unless all clusters are like that.
    assert cluster_shares(np.array([4, 4]), np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert cluster_shares(np.array([4, 4]), np.zeros(2)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("cosine", "step", "norm"), [(0.0, 0.5, 0.707107), (0.5, 0.25, 0.901388)])
def test_golden_norms_of_interpolated_unit_vectors(cosine: float, step: float, norm: float) -> None:
    X = np.array([[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]], dtype=np.float32)
    parents, steps = np.array([[0, 1]]), np.array([[step]], dtype=np.float32)
    made, _ = _native.interpolate(X, parents, steps, False, 1, None)  # type: ignore[arg-type]
    assert np.linalg.norm(made[0].astype(float)) == pytest.approx(norm, abs=1e-6)
    made, zeros = _native.interpolate(X, parents, steps, True, 1, None)  # type: ignore[arg-type]
    assert np.linalg.norm(made[0].astype(float)) == pytest.approx(1.0, abs=1e-7)
    assert zeros == 0


# ---- The oracle


@st.composite
def problems(draw: st.DrawFn) -> tuple[str, oracle.Problem]:
    n, width = draw(st.integers(6, 28)), draw(st.integers(1, 3))
    # On a small grid many rows are equal, and many distances; all of them are exact.
    grid = draw(st.integers(1, 4))
    content = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = content.integers(-grid, grid + 1, (n, width)).astype(float)
    classes = np.concatenate([[0, 0, 1, 1], content.integers(0, draw(st.integers(1, 3)), n - 4)])
    sizes = np.bincount(classes)
    needed = {c: draw(st.integers(0, 9)) for c in range(len(sizes)) if sizes[c] > 1}
    kind = draw(st.sampled_from(NAMES))
    problem = oracle.Problem(
        rows=rows.tolist(),
        classes=classes.tolist(),
        needed={c: more for c, more in needed.items() if more},
        k=draw(st.integers(1, 7)),
        m=draw(st.integers(1, 12)),
        seed=draw(st.sampled_from([0, 7, 2**64 - 1])),
        width=draw(st.sampled_from([1, width])),
        clusters=[],
    )
    return kind, problem


@given(problems(), st.integers(1, 3))
def test_rows_are_those_of_the_oracle(drawn: tuple[str, oracle.Problem], threads: int) -> None:
    kind, problem = drawn
    X, y = np.array(problem.rows, dtype=np.float32), np.array(problem.classes)
    found = kmeans(X, n_clusters=min(3, len(X)), metric="l2", seed=problem.seed)
    problem.clusters = found.labels.tolist()
    options: dict[str, Any] = {
        "target": {c: problem.classes.count(c) + more for c, more in problem.needed.items()},
        "kind": kind,
        "k": problem.k,
        "m": problem.m,
        "n_clusters": len(found),
        "gap": "scalar" if problem.width == 1 else "per_dim",
        "seed": problem.seed,
        "num_threads": threads,
    }
    none = any(not any(problem.others(row, problem.k)[0] for row in problem.members(c)) for c in problem.needed)
    try:
        expected = oracle.oversample(kind, problem) if not (kind == "adasyn" and none) else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(NegmineValueError, match=r"`(kind|n_clusters)` must"):
            oversample(X, y, **options)
        return
    made = oversample(X, y, **options)
    assert made.y.tolist() == [number for number, _ in expected]
    assert made.parents.tolist() == [[seed, other] for _, (seed, other, _) in expected]
    assert made.step.reshape(len(expected), problem.width).tolist() == [steps for _, (_, _, steps) in expected]
    assert made.X.tolist() == [oracle.interpolated(problem, row) for _, row in expected]
    got = {number for number, _ in expected}
    assert made.skipped == [c for c in sorted(problem.needed) if c not in got]


# ---- Properties


@pytest.mark.parametrize("gap", ["scalar", "per_dim"])
@pytest.mark.parametrize("kind", NAMES)
def test_rows_lie_between_parents_in_exact_numbers(kind: Any, gap: Any) -> None:
    X, y = blobs()
    rare = int((y == "rare").sum())
    made = oversample(X, y, kind=kind, target={"rare": rare + 1001}, gap=gap)
    assert made.X.shape == (1001, 6)
    assert made.X.dtype == made.step.dtype == np.float32
    assert made.step.shape == ((1001,) if gap == "scalar" else (1001, 6))
    assert set(made.y.tolist()) == {"rare"}
    assert made.y.dtype == y.dtype
    assert (y[made.parents[:, 0]] == "rare").all()
    assert (made.parents[:, 0] != made.parents[:, 1]).all()
    step = made.step.reshape(1001, -1)
    foreign = y[made.parents[:, 1]] != "rare"
    low, high = (-0.5, 1.0) if kind == "boundary" else (0.0, 1.0)
    assert ((step > low) & (step < high) & (step != 0)).all()
    if kind == "borderline2":
        assert foreign.any()
        assert (step[foreign] < 0.5).all()
        assert (step[~foreign] > 0.5).any()
    else:
        assert not foreign.any()
    a, b = (X[made.parents[:, side]].astype(float) for side in (0, 1))
    np.testing.assert_array_equal(made.X, (a + step.astype(float) * (b - a)).astype(np.float32))


@pytest.mark.parametrize("kind", NAMES)
def test_threads_seeds_and_shared_neighbors(kind: Any) -> None:
    X, y = blobs(seed=3)
    one = oversample(X, y, kind=kind, seed=5, num_threads=1)
    assert same(one, oversample(X, y, kind=kind, seed=5, num_threads=3))
    assert same(one, oversample(X.astype(np.float64), y.tolist(), kind=kind, seed=5))
    assert same(one, oversample(X, y, kind=NAMES, seed=5)[kind])
    assert not np.array_equal(one.step, oversample(X, y, kind=kind, seed=6).step)


def test_more_rows_begin_with_the_same_rows() -> None:
    X, y = blobs()
    rare = int((y == "rare").sum())
    few, many = (oversample(X, y, target={"rare": rare + more}) for more in (10, 500))
    assert few.parents.tolist() == many.parents[:10].tolist()
    assert few.step.tolist() == many.step[:10].tolist()


def test_permuted_rows_have_the_same_neighbors() -> None:
    X, y = blobs()
    order = np.random.default_rng(1).permutation(len(X))
    pairs = [{tuple(pair) for pair in oversample(X, y, target={"rare": 20_000}).parents.tolist()}]
    made = oversample(X[order], y[order], target={"rare": 20_000})
    pairs.append({tuple(pair) for pair in order[made.parents].tolist()})
    assert pairs[0] == pairs[1]
    assert len(pairs[0]) == 5 * (y == "rare").sum()


def test_pairs_and_steps_are_uniform() -> None:
    X = np.arange(6, dtype=np.float32)[:, None] ** 2
    y = [0] * 6
    made = oversample(X, y, target={0: 60_006}, k=2)
    counts = Counter(map(tuple, made.parents.tolist()))
    assert len(counts) == 12
    # Five standard deviations of a binomial number.
    assert all(abs(count - 5_000) < 5 * math.sqrt(5_000) for count in counts.values())
    histogram = np.histogram(made.step, bins=20, range=(0, 1))[0]
    assert (abs(histogram - 3_000) < 5 * math.sqrt(3_000)).all()


def test_auto_makes_all_classes_as_large_as_the_largest() -> None:
    X = np.random.default_rng(0).standard_normal((60, 3))
    y = np.repeat([3, -1, 7], [30, 10, 20])
    made = oversample(X, y)
    assert made.y.tolist() == [-1] * 20 + [7] * 10
    assert oversample(X, np.repeat([True, False], 30)).X.shape == (0, 3)
    assert oversample(X[:1], ["only"]).parents.shape == (0, 2)
    # A class of one row is no matter if it needs none.
    assert oversample(X[:3], ["a", "b", "b"], target={"b": 5}).y.tolist() == ["b"] * 3


def test_copies_are_neighbors_and_a_row_is_not_its_own() -> None:
    X = np.array([[0.0, 1.0]] * 4 + [[5.0, 5.0]] * 3, dtype=np.float32)
    made = oversample(X, [0] * 4 + [1] * 3, target={1: 103}, k=1)
    # The lowest other row.
    assert {tuple(pair) for pair in made.parents.tolist()} == {(4, 5), (5, 4), (6, 4)}
    assert (made.X == 5).all()


def test_a_small_class_uses_all_its_other_rows() -> None:
    X, y = blobs(60)
    y = np.where(np.arange(60) < 3, "tiny", y)
    made = oversample(X, y, target={"tiny": 103}, k=50)
    assert {tuple(pair) for pair in made.parents.tolist()} == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_unit_norms_and_zero_sums() -> None:
    draw = np.random.default_rng(0)
    X = draw.standard_normal((50, 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    made = oversample(X, [0] * 30 + [1] * 20, unit_norm=True)
    np.testing.assert_allclose(np.linalg.norm(made.X.astype(float), axis=1), 1.0, atol=1e-7)
    assert made.num_zero_sums == 0
    a, b = (X[made.parents[:, side]] for side in (0, 1))
    line = a + made.step[:, None] * (b - a)
    np.testing.assert_allclose(made.X, line / np.linalg.norm(line, axis=1, keepdims=True), atol=1e-6)
    zeros = oversample(np.zeros((3, 2)), [0, 0, 0], target={0: 5}, unit_norm=True)
    assert zeros.num_zero_sums == 2
    assert not zeros.X.any()


def test_classes_without_seeds_are_reported() -> None:
    X = np.concatenate([np.arange(30.0), 1000 + np.arange(12.0)])[:, None]
    y = ["far"] * 30 + ["small"] * 12
    for kind in ("borderline1", "borderline2", "boundary"):
        made = oversample(X, y, kind=kind)
        assert made.skipped == ["small"]
        assert len(made.X) == 0
    with pytest.raises(NegmineValueError, match=r"`kind` must not be 'adasyn' .* class 'small'\. Use 'smote'\."):
        oversample(X, y, kind="adasyn")


# ---- Bad input

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"X": np.array([[0.0], [np.nan], [1.0], [2.0]])}, "`X` must be finite in float32; row 1 is not"),
    "beyond float32": ({"X": np.array([[0.0], [1e39], [1.0], [2.0]])}, "`X` must be finite in float32; row 1 is not"),
    "list": ({"X": [[0.0], [1.0]]}, "`X` must be a NumPy array"),
    "one-dimensional": ({"X": np.zeros(4)}, r"`X` must have shape \(n, width\)"),
    "no rows": ({"X": np.zeros((0, 1)), "y": []}, "`X` must have at least one row; got none"),
    "short": ({"y": ["a", "a", "b"]}, "`y` must have one label per row of `X`, 4; got 3"),
    "floats": ({"y": [0.5, 0.5, 1.0, 1.0]}, "`y` must hold integers or strings; got dtype float64"),
    "class of one": (
        {"y": ["a", "a", "a", "b"], "target": "auto"},
        "`y` must have at least two rows of a class to interpolate between; got one of class 'b'",
    ),
    "class of none": ({"target": {"c": 3}}, "`target` must have labels of `y`; got 'c'"),
    "below": ({"target": {"a": 1}}, "`target` must be at least the size of a class; got 1 for class 'a' of 2 rows"),
    "share": ({"target": {"a": 0.5}}, r"`target\['a'\]` must be an integer; got 0.5"),
    "target": ({"target": "minority"}, "`target` must be 'auto' or a dictionary of label to size; got 'minority'"),
    "many": ({"target": {"a": 2**50}}, "`target` must give a result that fits in memory"),
    "kind": ({"kind": "svm"}, "`kind` must be one of 'smote', .* got 'svm'"),
    "kinds": ({"kind": ["smote", "svm"]}, "`kind` must be one of 'smote', .* got 'svm'"),
    "no kind": ({"kind": ()}, r"`kind` must be a string, or a tuple or list of at least one; got \(\)"),
    "a kind again": ({"kind": ["smote", "smote"]}, "`kind` must not repeat"),
    "k": ({"k": 0}, "`k` must be at least 1; got 0"),
    "m": ({"m": 0}, "`m` must be at least 1; got 0"),
    "clusters": ({"n_clusters": 5, "kind": "kmeans"}, "`n_clusters` must be at most the number of rows, 4; got 5"),
    "no clusters": ({"n_clusters": 0}, "`n_clusters` must be at least 1; got 0"),
    "gap": ({"gap": "vector"}, "`gap` must be one of 'scalar', 'per_dim'; got 'vector'"),
    "unit_norm": ({"unit_norm": 1}, "`unit_norm` must be True or False; got 1"),
    "seed": ({"seed": -1}, "`seed` must be at least 0; got -1"),
    "threads": ({"num_threads": 0}, "`num_threads` must be at least 1; got 0"),
    "progress": ({"progress": 1}, "`progress` must be callable"),
    "foreign option": ({"sampling_strategy": "auto"}, "no option 'sampling_strategy'. Did you mean 'target'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    options, message = BAD[case]
    data = {"X": np.arange(4.0)[:, None], "y": ["a", "a", "b", "b"], "target": {"a": 5}} | options
    with pytest.raises(Exception, match=message) as caught:
        oversample(**data)
    assert type(caught.value).__module__ == "negmine.errors"


def test_a_class_in_no_cluster_is_named() -> None:
    X, y = blobs()
    with pytest.raises(NegmineValueError, match="`n_clusters` must give class 'rare' a cluster with more than 300"):
        oversample(X, y, kind="kmeans", k=300)


def test_progress_is_reported() -> None:
    X, y = blobs()
    seen: list[tuple[int, int]] = []
    oversample(X, y, kind=NAMES, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


# ---- imbalanced-learn


def pairs_of(sampler: Any, X: np.ndarray, y: np.ndarray) -> set[tuple[int, int]]:
    """Find the pairs of rows between which a sampler interpolates, from what it generates."""
    pairs = set()
    generate = sampler._generate_samples

    def noted(rows: Any, data: Any, neighbors: Any, at: Any, columns: Any, *rest: Any) -> Any:
        place = {tuple(row): i for i, row in enumerate(X.tolist())}
        own, other = rows[at], data[neighbors[at, columns]]
        pairs.update((place[tuple(a)], place[tuple(b)]) for a, b in zip(own.tolist(), other.tolist(), strict=True))
        return generate(rows, data, neighbors, at, columns, *rest)

    sampler._generate_samples = noted
    sampler.fit_resample(X, y)
    return pairs


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["smote", "borderline1", "borderline2"])
def test_pairs_are_those_of_imbalanced_learn(kind: Any, seed: int) -> None:
    imblearn = pytest.importorskip("imblearn.over_sampling")
    X, y = blobs(seed=seed)
    # So many rows that every pair is drawn by both, almost surely.
    total = {"rare": 15_000}
    sampler = {
        "smote": lambda: imblearn.SMOTE(sampling_strategy=total, random_state=0),
        "borderline1": lambda: imblearn.BorderlineSMOTE(kind="borderline-1", sampling_strategy=total, random_state=0),
        "borderline2": lambda: imblearn.BorderlineSMOTE(kind="borderline-2", sampling_strategy=total, random_state=0),
    }[kind]()
    made = oversample(X, y, kind=kind, target=total)
    assert {tuple(pair) for pair in made.parents.tolist()} == pairs_of(sampler, X.astype(np.float64), y)


@pytest.mark.parametrize("kind", ["smote", "adasyn"])
def test_numbers_and_moments_are_those_of_imbalanced_learn(kind: Any) -> None:
    imblearn = pytest.importorskip("imblearn.over_sampling")
    X, y = blobs(width=3)
    total = {"rare": 20_000}
    sampler = {"smote": imblearn.SMOTE, "adasyn": imblearn.ADASYN}[kind](sampling_strategy=total, random_state=0)
    theirs = sampler.fit_resample(X.astype(np.float64), y)[0][len(X) :]
    made = oversample(X, y, kind=kind, target=total).X
    # ADASYN rounds the number of every row there.
    assert abs(len(theirs) - len(made)) <= (0 if kind == "smote" else (y == "rare").sum() / 2)
    for moment in (np.mean, np.var):
        spread = 6 * theirs.var(axis=0).max() / math.sqrt(len(made))
        np.testing.assert_allclose(moment(made, axis=0), moment(theirs, axis=0), atol=spread)
