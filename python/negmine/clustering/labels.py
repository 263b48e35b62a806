"""Validation of cluster labels, from a clustering or an array."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_int64s
from negmine.errors import NegmineValueError

__all__ = ["ClusterLike", "read_clusters"]


class ClusterLike(Protocol):
    """Protocol of an object with the cluster of every row, such as [`negmine.Clusters`][]."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Cluster of every row, from 0."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Start of each cluster among the rows sorted by cluster."""


def read_clusters(clusters: object) -> tuple[npt.NDArray[np.int64], int]:
    """Validate clusters.

    Parameters
    ----------
    clusters : ClusterLike or int64 (n,)
        The clusters; every row must be in one, and none may be empty.

    Returns
    -------
    labels : int64 (n,)
        Cluster of every row; a copy that the caller cannot change.
    count : int
        Number of clusters.
    """
    given = getattr(clusters, "labels", None)
    source = clusters if given is None else given
    labels = as_int64s(source, "clusters")
    if np.shares_memory(labels, np.asarray(source)):
        labels = labels.copy()  # the caller may change its array, but the plan must not change
    if len(labels) == 0:
        raise NegmineValueError("`clusters` must hold the cluster of every row; got no rows.")
    if labels.min() < 0:
        row = int(np.argmax(labels < 0))
        raise NegmineValueError(
            f"`clusters` must cover every row with a label from 0; got {labels[row]} for row {row}."
        )
    offsets = getattr(clusters, "offsets", None)
    if offsets is not None:
        offsets = as_int64s(offsets, "clusters")
        if len(offsets) == 0 or offsets[0] != 0:
            raise NegmineValueError(f"`clusters` must have offsets that start at 0; got {offsets[:1].tolist()}.")
    count = int(labels.max()) + 1 if offsets is None else len(offsets) - 1
    if count > len(labels):
        raise NegmineValueError(
            f"`clusters` must have no empty cluster; got labels up to {count - 1} for {len(labels)} rows. "
            "`numpy.unique(labels, return_inverse=True)` numbers them without a gap."
        )
    sizes = np.bincount(labels, minlength=count)
    if (sizes == 0).any():
        raise NegmineValueError(
            f"`clusters` must have no empty cluster; got no row of cluster {int(np.argmax(sizes == 0))}. "
            "`numpy.unique(labels, return_inverse=True)` numbers them without a gap."
        )
    if offsets is not None and (len(sizes) != count or (np.diff(offsets) != sizes).any()):
        raise NegmineValueError(
            "`clusters` must have offsets that agree with its labels, with every row in exactly one cluster; got "
            "clusters that overlap or leave rows out."
        )
    return labels, count
