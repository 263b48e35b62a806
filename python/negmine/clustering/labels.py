"""Cluster labels from anything that carries them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from negmine._core.arrays import as_int64s
from negmine.errors import NegmineValueError

__all__ = ["ClusterLike", "read_clusters"]


class ClusterLike(Protocol):
    """What has the cluster of every row, as :class:`negmine.Clusters` has."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Cluster of every row, from 0."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each cluster begins among the rows that are grouped by cluster."""


def read_clusters(clusters: object) -> tuple[npt.NDArray[np.int64], int]:
    """Read clusters as the cluster of every row and how many there are: none is empty, and every row is in one."""
    given = getattr(clusters, "labels", None)
    source = clusters if given is None else given
    labels = as_int64s(source, "clusters")
    if np.shares_memory(labels, np.asarray(source)):
        labels = labels.copy()  # the caller may change it, and the plan may not change
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
            "`clusters` must have offsets that agree with its labels, every row in one cluster; got clusters that "
            "overlap or leave rows out."
        )
    return labels, count
