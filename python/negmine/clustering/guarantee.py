"""NGAME's guarantee: how many of the true nearest neighbors lie in a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.arrays import as_numpy
from negmine._core.digests import digest
from negmine._core.options import refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.clustering.labels import ClusterLike, read_clusters
from negmine.data.positives import Positives
from negmine.errors import NegmineValueError

__all__ = ["ClusterGuarantee", "cluster_guarantee"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class ClusterGuarantee:
    """What holds for the negatives that a cluster brings, made by :func:`cluster_guarantee`.

    Attributes
    ----------
    delta : float64 (n_clusters,)
        Largest distance of two rows of each cluster.
    epsilon : float or None
        Largest distance of a row from one of its positives; None where they were not given.
    digest : str
        Hexadecimal digest of the cluster of every row.
    """

    delta: npt.NDArray[np.float64]
    epsilon: float | None
    digest: str

    @property
    def distance(self) -> float | None:
        """No positive of another row of the same cluster is farther from a row than this: they are hard negatives."""
        return None if self.epsilon is None else float(self.delta.max()) + self.epsilon


@refuse_unknown_options("cluster_guarantee")
def cluster_guarantee(
    clusters: ClusterLike | npt.ArrayLike,
    embeddings: npt.NDArray[np.float32],
    *,
    label_embeddings: npt.NDArray[np.float32] | None = None,
    positives: Positives | None = None,
) -> ClusterGuarantee:
    """Measure how hard the negatives are that clusters bring into a batch.

    If rows of a cluster are at most ``delta`` apart, and a row at most ``epsilon`` from its positives, every positive
    of another row of the cluster is at most ``delta + epsilon`` from a row, by the triangle inequality.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        As :func:`cluster_plan` takes them.
    embeddings : float (n, width)
        Vectors of the rows; normalize them first where scores are cosines. Distances are Euclidean.
    label_embeddings : float (n_labels, width), optional
        Vectors of the labels or documents.
    positives : Positives, optional
        Rows of ``label_embeddings`` per row; needed with them.

    Returns
    -------
    ClusterGuarantee

    Raises
    ------
    NegmineTypeError, NegmineValueError
        Arrays that do not fit each other; one of ``label_embeddings`` and ``positives`` without the other.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> points = np.array([[0, 0], [3, 4], [9, 9]], dtype=np.float32)
    >>> held = negmine.clustering.cluster_guarantee(
    ...     [0, 0, 1], points, label_embeddings=points + 1, positives=negmine.Positives.from_lists([[0], [1], [2]])
    ... )
    >>> held.delta.tolist(), round(held.distance, 4)
    ([5.0, 0.0], 6.4142)
    """
    labels, count = read_clusters(clusters)
    points = _vectors(embeddings, "embeddings", len(labels))
    if (label_embeddings is None) != (positives is None):
        raise NegmineValueError("`label_embeddings` and `positives` must be given together; got one of them.")
    offsets, order = _native.group_rows(labels, count)
    delta = np.zeros(count)
    for cluster in range(count):
        rows = points[order[offsets[cluster] : offsets[cluster + 1]]].astype(np.float64)
        rows -= rows.mean(axis=0)  # distances stay, and less of them cancels
        blocks = [rows[begin : begin + _BLOCK] for begin in range(0, len(rows), _BLOCK)]
        delta[cluster] = max(_distances(one, other).max() for one in blocks for other in blocks)
    epsilon = None
    if label_embeddings is not None and positives is not None:
        lists = Positives.read(positives, "positives")
        targets = _vectors(label_embeddings, "label_embeddings", None)
        if len(lists) != len(labels):
            raise NegmineValueError(f"`positives` must have length {len(labels)}; got {len(lists)}.")
        if targets.shape[1] != points.shape[1]:
            raise NegmineValueError(
                f"`label_embeddings` must be as wide as `embeddings`, {points.shape[1]}; got {targets.shape[1]}."
            )
        if len(lists.items) and not 0 <= lists.items.min() <= lists.items.max() < len(targets):
            raise NegmineValueError(f"`positives` must hold rows below {len(targets)}; got {lists.items.max()}.")
        queries, epsilon = lists.queries(), 0.0
        for begin in range(0, len(queries), _BLOCK):
            pairs = slice(begin, begin + _BLOCK)
            gap = points[queries[pairs]].astype(np.float64) - targets[lists.items[pairs]].astype(np.float64)
            epsilon = max(epsilon, float(np.sqrt((gap**2).sum(axis=1)).max()))
    return ClusterGuarantee(delta, epsilon, digest(formats.CLUSTER_GUARANTEE.tag, [], [labels]))


#: Rows whose distances are taken together.
_BLOCK = 1024


def _vectors(value: object, argument: str, n: int | None) -> npt.NDArray[np.floating]:
    vectors = as_numpy(value, argument)
    if n is not None and len(vectors) != n:
        raise NegmineValueError(f"`{argument}` must have {n} rows, as clusters have; got {len(vectors)}.")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise NegmineValueError(f"`{argument}` must be finite; row {int(np.argmin(finite))} holds NaN or an infinity.")
    return vectors


def _distances(rows: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Euclidean distances; float64 keeps what cancels far below what float32 tells apart."""
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * (rows @ others.T)
    distances: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    return distances
