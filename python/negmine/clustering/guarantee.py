"""NGAME guarantee (Dahiya et al., WSDM 2023): a bound on the distance between a row and its in-cluster negatives."""

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
    """Bounds on the distance of in-cluster negatives, made by [`cluster_guarantee`][].

    Attributes
    ----------
    delta : float64 (n_clusters,)
        Largest distance between two rows of each cluster.
    epsilon : float or None
        Largest distance between a row and one of its positives; None if no positives were given.
    digest : str
        Hexadecimal digest of the cluster labels.
    """

    delta: npt.NDArray[np.float64]
    epsilon: float | None
    digest: str

    @property
    def distance(self) -> float | None:
        """Largest possible distance between a row and a positive of another row of its cluster, a hard negative."""
        return None if self.epsilon is None else float(self.delta.max()) + self.epsilon


@refuse_unknown_options("cluster_guarantee")
def cluster_guarantee(
    clusters: ClusterLike | npt.ArrayLike,
    embeddings: npt.NDArray[np.float32],
    *,
    label_embeddings: npt.NDArray[np.float32] | None = None,
    positives: Positives | None = None,
) -> ClusterGuarantee:
    """Measure how hard the in-batch negatives of batches of whole clusters are.

    If any two rows of a cluster are at most ``delta`` apart, and every row is at most ``epsilon`` from its positives,
    then by the triangle inequality every positive of another row of the cluster is at most ``delta + epsilon`` from a
    row.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row, as for [`negmine.batches.cluster_plan`][].
    embeddings : float (n, width)
        Embeddings of the rows. Distances are Euclidean, so normalize the embeddings first if scores are cosines.
    label_embeddings : float (n_labels, width), optional
        Embeddings of the labels or documents.
    positives : Positives, optional
        Rows of ``label_embeddings`` per row; required if these are given.

    Returns
    -------
    ClusterGuarantee

    Raises
    ------
    NegmineTypeError, NegmineValueError
        Arrays do not fit each other, or only one of ``label_embeddings`` and ``positives`` is given.

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
        rows -= rows.mean(axis=0)  # keeps the distances and reduces cancellation
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


#: Number of rows per block of distances.
_BLOCK = 1024


def _vectors(value: object, argument: str, n: int | None) -> npt.NDArray[np.floating]:
    vectors = as_numpy(value, argument)
    if n is not None and len(vectors) != n:
        raise NegmineValueError(f"`{argument}` must have {n} rows, as many as `clusters`; got {len(vectors)}.")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise NegmineValueError(f"`{argument}` must be finite; row {int(np.argmin(finite))} holds NaN or an infinity.")
    return vectors


def _distances(rows: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Euclidean distances.

    The cancellation error in float64 is far below the resolution of float32 embeddings.
    """
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * (rows @ others.T)
    distances: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    return distances
