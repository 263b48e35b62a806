"""`ExactNeighbors`: the estimator checks of scikit-learn, its own neighbors, and the samplers of imbalanced-learn."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import threadpool_limits

from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.integrations.sklearn import ExactNeighbors

#: Needs SCIPY_ARRAY_API before SciPy is imported; the estimator reads NumPy arrays only.
NOT_APPLICABLE = {"check_array_api_input"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep scikit-learn's threads from waiting for each other on a busy machine."""
    with threadpool_limits(1):
        yield


def data(n: int = 300, width: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make two classes of which one is rare; the values are exact in float32."""
    draw = np.random.default_rng(seed)
    y = (draw.random(n) < 0.2).astype(int)
    return (draw.standard_normal((n, width)) + y[:, None]).astype(np.float32).astype(np.float64), y


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_scikit_learn_accepts_the_estimator(metric: Any) -> None:
    checked = check_estimator(ExactNeighbors(n_neighbors=2, metric=metric), on_skip=None)
    assert {check["check_name"] for check in checked if check["status"] != "passed"} <= NOT_APPLICABLE
    assert len(checked) > 30


@pytest.mark.parametrize("metric", ["euclidean", "l2", "sqeuclidean", "cosine"])
def test_neighbors_are_those_of_scikit_learn(metric: Any) -> None:
    X, _ = data()
    queries, _ = data(40, seed=1)
    ours = ExactNeighbors(4, metric=metric, n_jobs=2).fit(X)
    theirs = NearestNeighbors(n_neighbors=4, metric=metric, algorithm="brute").fit(X)
    assert ours.n_samples_fit_ == 300
    assert ours.effective_metric_ == metric
    for given in (None, queries, X):
        for k in (None, 7):
            distances, indices = ours.kneighbors(given, k)
            expected = theirs.kneighbors(given, k)
            np.testing.assert_array_equal(indices, expected[1])
            np.testing.assert_allclose(distances, expected[0], atol=1e-7)
            np.testing.assert_array_equal(ours.kneighbors(given, k, return_distance=False), indices)
        for mode in ("connectivity", "distance"):
            graph, other = (one.kneighbors_graph(given, mode=mode) for one in (ours, theirs))
            assert graph.shape == other.shape
            np.testing.assert_allclose(graph.toarray(), other.toarray(), atol=1e-7)


def test_a_row_is_left_out_by_number_and_not_by_place() -> None:
    X = np.array([[0.0], [0.0], [0.0], [1.0]])
    neighbors = ExactNeighbors(2).fit(X)
    assert neighbors.kneighbors(return_distance=False).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    distances, indices = neighbors.kneighbors(X)
    assert indices.tolist() == [[0, 1], [0, 1], [0, 1], [3, 0]]
    assert distances.tolist() == [[0, 0], [0, 0], [0, 0], [0, 1]]
    assert not np.signbit(distances).any()


def test_parameters_clones_and_pickles() -> None:
    X, _ = data(50)
    neighbors = ExactNeighbors(3, metric="cosine").fit(X)
    assert neighbors.get_params() == {"n_neighbors": 3, "metric": "cosine", "n_jobs": None}
    copied = clone(neighbors).set_params(n_neighbors=6)
    assert copied.n_neighbors == 6
    with pytest.raises(NotFittedError):
        copied.kneighbors(X)
    loaded = pickle.loads(pickle.dumps(neighbors))
    for one, other in zip(loaded.kneighbors(), neighbors.kneighbors(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert pickle.loads(pickle.dumps(copied)).get_params() == copied.get_params()
    assert str(neighbors) == "ExactNeighbors(metric='cosine', n_neighbors=3)"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "metric": ({"metric": "manhattan"}, "`metric` must be one of 'euclidean', .* got 'manhattan'"),
    "none": ({"n_neighbors": 0}, "`n_neighbors` must be at least 1; got 0"),
    "n_jobs": ({"n_jobs": 0}, "`num_threads` must be at least 1; got 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_refused_when_fitted(case: str) -> None:
    options, message = BAD[case]
    with pytest.raises(NegmineValueError, match=message):
        ExactNeighbors(**options).fit(data(10)[0])


def test_bad_calls_are_refused() -> None:
    X, _ = data(10)
    neighbors = ExactNeighbors().fit(X)
    with pytest.raises(NegmineValueError, match="at most the number of other rows, 9; got 10"):
        neighbors.kneighbors(n_neighbors=10)
    with pytest.raises(NegmineValueError, match="at most the number of rows, 10; got 11"):
        neighbors.kneighbors(X, 11)
    with pytest.raises(NegmineTypeError, match=r"`n_neighbors` must be an integer; got 2\.0"):
        neighbors.kneighbors(X, 2.0)
    with pytest.raises(NegmineValueError, match="`mode` must be one of 'connectivity', 'distance'; got 'ones'"):
        neighbors.kneighbors_graph(X, mode="ones")
    with pytest.raises(ValueError, match="X has 4 features"):
        neighbors.kneighbors(X[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        ExactNeighbors().fit(np.full((6, 2), np.nan))
    with pytest.raises(NegmineValueError, match="row 3"):
        ExactNeighbors().fit(np.vstack([X[:3], np.full((3, 5), 1e39)]))


# ---- imbalanced-learn


def samplers(neighbors: Any) -> dict[str, Any]:
    """Make samplers whose neighbors are given by a function of their number."""
    over = pytest.importorskip("imblearn.over_sampling", reason="imbalanced-learn is not installed")
    under = pytest.importorskip("imblearn.under_sampling")
    combine = pytest.importorskip("imblearn.combine")
    options = {"random_state": 0}
    return {
        "SMOTE": over.SMOTE(k_neighbors=neighbors(6), **options),
        "BorderlineSMOTE": over.BorderlineSMOTE(k_neighbors=neighbors(6), m_neighbors=neighbors(11), **options),
        "ADASYN": over.ADASYN(n_neighbors=neighbors(6), **options),
        "SVMSMOTE": over.SVMSMOTE(k_neighbors=neighbors(6), m_neighbors=neighbors(11), **options),
        "KMeansSMOTE": over.KMeansSMOTE(
            k_neighbors=neighbors(3), cluster_balance_threshold=0.05, kmeans_estimator=4, **options
        ),
        "EditedNearestNeighbours": under.EditedNearestNeighbours(n_neighbors=neighbors(4)),
        "NearMiss": under.NearMiss(n_neighbors=neighbors(3)),
        "SMOTEENN": combine.SMOTEENN(smote=over.SMOTE(k_neighbors=neighbors(6), **options), **options),
    }


OVER = ("SMOTE", "BorderlineSMOTE", "ADASYN", "SVMSMOTE", "KMeansSMOTE")
UNDER = ("EditedNearestNeighbours", "NearMiss", "SMOTEENN")


@pytest.mark.parametrize("name", [*OVER, *UNDER])
def test_samplers_give_the_same_rows_as_with_their_own_neighbors(name: str) -> None:
    X, y = data(250)
    ours = samplers(ExactNeighbors)[name].fit_resample(X, y)
    theirs = samplers(lambda n: NearestNeighbors(n_neighbors=n))[name].fit_resample(X, y)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", OVER[:3])
def test_pipelines_cross_validate_and_search(name: str) -> None:
    pipeline = pytest.importorskip("imblearn.pipeline", reason="imbalanced-learn is not installed")
    X, y = data(300)
    steps = [("sampler", samplers(ExactNeighbors)[name]), ("model", LogisticRegression())]
    own = [("sampler", samplers(lambda n: NearestNeighbors(n_neighbors=n))[name]), ("model", LogisticRegression())]
    folds = StratifiedKFold(3)
    scores = cross_val_score(pipeline.Pipeline(steps), X, y, cv=folds, scoring="roc_auc")
    np.testing.assert_array_equal(scores, cross_val_score(pipeline.Pipeline(own), X, y, cv=folds, scoring="roc_auc"))
    of = "n_neighbors" if name == "ADASYN" else "k_neighbors"
    search = GridSearchCV(pipeline.Pipeline(steps), {f"sampler__{of}__n_neighbors": [3, 6]}, cv=folds)
    assert search.fit(X, y).best_params_[f"sampler__{of}__n_neighbors"] in (3, 6)
