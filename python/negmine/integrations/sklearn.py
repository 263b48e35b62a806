"""Exact neighbors as an estimator of scikit-learn, for pipelines and for the samplers of imbalanced-learn."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from negmine._core.calls import resolve_num_threads
from negmine._core.options import check_choice, check_integer
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError
from negmine.search.exact import ExactIndex
from negmine.search.results import Metric

__all__ = ["ExactNeighbors"]

#: Names of scikit-learn, and the metric of the index.
METRICS: dict[str, Metric] = {"euclidean": "l2", "l2": "l2", "sqeuclidean": "l2", "cosine": "cosine"}

MODES = ("connectivity", "distance")

DTYPES = (np.float64, np.float32)


class ExactNeighbors(BaseEstimator):  # type: ignore[misc]
    """Nearest neighbors by [`negmine.ExactIndex`][], with the methods of scikit-learn's ``NearestNeighbors``.

    Ties are in the order of rows, and results are the same for any number of threads. The samplers of imbalanced-learn
    take it as ``k_neighbors``, ``m_neighbors`` or ``n_neighbors``, with one neighbor more than the number that they
    would take, because they drop the row itself.

    Parameters
    ----------
    n_neighbors : int, default 5
        Number of neighbors, unless a call has its own.
    metric : {"euclidean", "l2", "sqeuclidean", "cosine"}, default "euclidean"
        Distance by scikit-learn's names: Euclidean (two names), squared Euclidean, or 1 minus the cosine. A row of
        zeros has cosine 0 with every row.
    n_jobs : int, optional
        Number of threads. Default, and -1: all cores available to this process, as in scikit-learn's own exact search.

    Attributes
    ----------
    n_features_in_ : int
        Width of the rows.
    n_samples_fit_ : int
        Number of rows.
    feature_names_in_ : object (n_features_in_,)
        Names of the columns, if the rows had any.
    effective_metric_ : str
        The metric.

    Notes
    -----
    Rows of float64 are rounded to float32 once, and then distances are exact. Rows must not be changed after ``fit``,
    because they are not copied. With rows given, [`kneighbors`][] returns each row that was fitted as its own
    neighbor, after its copies in earlier rows; without, it leaves out each row by its number.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.integrations.sklearn import ExactNeighbors
    >>> neighbors = ExactNeighbors(n_neighbors=1).fit(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    >>> distances, indices = neighbors.kneighbors()
    >>> distances.ravel().round(3).tolist(), indices.ravel().tolist()
    ([1.0, 4.243, 1.0], [2, 2, 0])
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        metric: Literal["euclidean", "l2", "sqeuclidean", "cosine"] = "euclidean",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: object = None) -> ExactNeighbors:  # noqa: ANN401 (what scikit-learn reads)
        """Index rows.

        Parameters
        ----------
        X : array-like (n, width)
            The rows, dense.
        y : object, optional
            Not used.

        Returns
        -------
        ExactNeighbors
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            A parameter or a value of ``X`` is invalid; negmine's own errors are among these.
        """
        metric = check_choice(self.metric, "metric", tuple(METRICS))
        check_integer(self.n_neighbors, "n_neighbors", least=1)
        self._threads()
        self._fit_X = validate_data(self, X, dtype=DTYPES, order="C")
        self._index = self._build(metric)
        self.effective_metric_ = metric
        self.n_samples_fit_ = len(self._index)
        return self

    def kneighbors(
        self,
        X: Any = None,  # noqa: ANN401 (what scikit-learn reads)
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> npt.NDArray[np.int64] | tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Find the nearest rows.

        Parameters
        ----------
        X : array-like (n_queries, width), optional
            Rows whose neighbors are wanted. Default: the fitted rows, without each row itself.
        n_neighbors : int, optional
            Number of neighbors. Default: that of the estimator.
        return_distance : bool, default True
            Whether to return distances too.

        Returns
        -------
        float64 (n_queries, n_neighbors) and int64 (n_queries, n_neighbors), or the latter alone
            Distances in ascending order, and rows.

        Raises
        ------
        ValueError, TypeError
            The estimator is not fitted, there are too few rows, or an argument is invalid.
        """
        check_is_fitted(self)
        k = check_integer(self.n_neighbors if n_neighbors is None else n_neighbors, "n_neighbors", least=1)
        n = self.n_samples_fit_
        queries = self._fit_X if X is None else validate_data(self, X, dtype=DTYPES, order="C", reset=False)
        most = n - 1 if X is None else n
        if k > most:
            raise NegmineValueError(
                f"`n_neighbors` must be at most the number of {'other ' * (X is None)}rows, {most}; got {k} for "
                f"n_samples = {len(queries)}."
            )
        own = Positives(np.arange(n + 1), np.arange(n)) if X is None else None
        found = self._index.search(queries, k, exclude=own, dtype="float64", num_threads=self._threads())
        if not return_distance:
            return found.indices
        return _distances(found.scores.astype(np.float64, copy=False), self.effective_metric_), found.indices

    def kneighbors_graph(
        self,
        X: Any = None,  # noqa: ANN401 (what scikit-learn reads)
        n_neighbors: int | None = None,
        mode: Literal["connectivity", "distance"] = "connectivity",
    ) -> csr_matrix:
        """Return the graph of the nearest rows.

        Parameters
        ----------
        X : array-like (n_queries, width), optional
            Rows whose neighbors are wanted. Default: the fitted rows, without each row itself.
        n_neighbors : int, optional
            Number of neighbors. Default: that of the estimator.
        mode : {"connectivity", "distance"}, default "connectivity"
            Whether entries are 1 or distances.

        Returns
        -------
        scipy.sparse.csr_matrix (n_queries, n_samples_fit_)
            One row per query.

        Raises
        ------
        ValueError, TypeError
            As in [`kneighbors`][], or ``mode`` is unknown.
        """
        check_choice(mode, "mode", MODES)
        distances, indices = self.kneighbors(X, n_neighbors)
        data = np.ones(indices.size) if mode == "connectivity" else distances.ravel()
        offsets = np.arange(0, indices.size + 1, indices.shape[1])
        return csr_matrix((data, indices.ravel(), offsets), shape=(len(indices), self.n_samples_fit_))

    def _build(self, metric: str) -> ExactIndex:
        return ExactIndex(self._fit_X, metric=METRICS[metric], num_threads=self._threads())

    def _threads(self) -> int:
        """Return the number of threads."""
        return resolve_num_threads(None if self.n_jobs == -1 else self.n_jobs)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the index, which is built again from the rows."""
        return {name: value for name, value in super().__getstate__().items() if name != "_index"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_fit_X"):
            self._index = self._build(self.effective_metric_)


def _distances(scores: npt.NDArray[np.float64], metric: str) -> npt.NDArray[np.float64]:
    """Return distances by scikit-learn's name from canonical scores."""
    if metric == "cosine":
        return 1.0 - scores
    squared = 0.0 - scores
    return squared if metric == "sqeuclidean" else np.sqrt(squared)
