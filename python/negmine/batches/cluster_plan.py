"""Batches of whole clusters (NGAME), their schedule over a training run, and what they guarantee."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from negmine import _coerce, _native
from negmine.batches.protocol import Array, PackedPlan, digest, rows_of_batch, whole_steps
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.positives import Positives

__all__ = [
    "ClusterGuarantee",
    "ClusterLike",
    "ClusterPlan",
    "NgameSchedule",
    "batch_plan",
    "cluster_guarantee",
    "random_rows",
    "read_clusters",
]

#: Of the digest: raised when the same arguments come to give other batches.
_FORMAT = "negmine batch_plan 1"
_GUARANTEE = "negmine cluster_guarantee 1"


class ClusterLike(Protocol):
    """What has the cluster of every row, as :class:`negmine.Clusters` has."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Cluster of every row, from 0."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each cluster begins among the rows that are grouped by cluster."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClusterPlan(PackedPlan):
    """Batches of whole clusters, made by :func:`batch_plan`.

    Attributes
    ----------
    n_rows : int
        Rows of the data.
    batch_size : int
        Rows of every batch.
    batches_per_step : int
        Batches that are used together.
    batches_per_epoch : int
        Batches of an epoch, also ``len(plan)``.
    seed : int
        The seed that the plan was made with.
    digest : str
        Hexadecimal digest of labels, options and seed: plans of one digest give the same batches.
    report : dict
        ``rows``, ``rows_per_epoch`` (repeats included), ``repeated`` and ``left_out`` rows an epoch, ``clusters``,
        ``smallest`` and ``largest`` cluster, ``cut``: clusters that are larger than what a batch has room for, and
        ``random_per_batch``: rows of a batch that are drawn from all rows. With a ``guarantee``, its ``delta`` (of the
        widest cluster), ``epsilon`` and ``distance`` as well.
    """

    _labels: Array = field(repr=False)
    _clusters: int = field(repr=False)
    _random: int = field(repr=False)
    _tree: bool = field(repr=False)

    def _pack(self, epoch: int) -> tuple[Array, Array | None]:
        rows = _native.cluster_batches(
            self._labels,
            self._clusters,
            self.batch_size or 0,
            self.batches_per_step,
            self._random,
            self._tree,
            self.batches_per_epoch,
            self.seed,
            epoch,
        )
        return rows, None


@_coerce.named("batch_plan")
def batch_plan(
    clusters: ClusterLike | npt.ArrayLike,
    *,
    batch_size: int,
    batches_per_step: int = 1,
    random_share: float = 0.0,
    order: Literal["shuffled", "tree"] = "shuffled",
    remainder: Literal["pad", "drop", "error"] = "pad",
    guarantee: ClusterGuarantee | None = None,
    seed: int = 0,
) -> ClusterPlan:
    """Plan batches of whole clusters, every row once an epoch: in-batch negatives become hard ones without a search.

    A batch holds ``batch_size / cluster size`` clusters, in another combination each epoch. Where cluster sizes do not
    add up to a batch, its border cuts a cluster, at other rows in every epoch.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row, from 0 without a gap. ``numpy.arange(n)`` makes every row a
        cluster of its own: random batches.
    batch_size : int
        Rows of a batch, at least 1; ``batch_size * batches_per_step`` at most ``n``. A cluster that is larger than
        what a batch has room for is cut into equal parts.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks, when scores are gathered. A world size must divide it.
    random_share : float, default 0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster; every row is still used once
        an epoch. Batches of similar rows alone can do harm: some easy negatives keep the scale of scores.
    order : str, default "shuffled"
        ``"shuffled"`` puts random clusters together. ``"tree"`` puts clusters that are neighbours in the order of
        clusters, as leaves of the balanced tree are, into the batches of one step, and shuffles the steps.
    remainder : str, default "pad"
        What to do with a last step that is short: ``"pad"`` repeats the first rows of the epoch, ``"drop"`` leaves it
        out (other rows each epoch), ``"error"``.
    guarantee : ClusterGuarantee, optional
        What :func:`cluster_guarantee` measured of these clusters, for the report; it changes no batch.
    seed : int, default 0
        In [0, 2**64).

    Returns
    -------
    ClusterPlan
        Its batches depend on the arguments and the epoch alone.

    Raises
    ------
    NegmineTypeError
        An argument of a type that is not accepted.
    NegmineValueError
        Clusters that are empty, overlap or leave rows out, a batch larger than the data, a share outside [0, 1], a
        remainder that is refused.

    Notes
    -----
    NGAME: Dahiya et al., "NGAME: Negative mining-aware mini-batching for extreme classification", WSDM 2023. The
    released sampler shuffles the list of clusters and cuts it, too; here rows inside a cluster are shuffled as well,
    no step is short, and epochs are functions of the seed. :func:`cluster_guarantee` says what holds inside a cluster.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> plan = negmine.batch_plan(np.repeat(np.arange(4), 3), batch_size=6)
    >>> len(plan), sorted(set((plan.batch(0, 0) // 3).tolist()))
    (2, [0, 2])
    """
    labels, count = read_clusters(clusters)
    mode = _coerce.choice(order, "order", ("shuffled", "tree"))
    size, per_step, start = (
        rows_of_batch(batch_size, batches_per_step, len(labels)),
        int(batches_per_step),
        _coerce.seed(seed),
    )
    rest = _coerce.choice(remainder, "remainder", ("pad", "drop", "error"))
    batches, short = whole_steps(len(labels), size, per_step, rest)
    sizes = np.bincount(labels)
    random = random_rows(random_share, size)
    return ClusterPlan(
        n_rows=len(labels),
        batch_size=size,
        batches_per_step=per_step,
        batches_per_epoch=batches,
        seed=start,
        digest=digest(_FORMAT, [size, per_step, random, mode, rest, start], [labels]),
        report={
            "rows": len(labels),
            "rows_per_epoch": batches * size,
            "repeated": max(0, batches * size - len(labels)),
            "left_out": short if rest == "drop" else 0,
            "clusters": count,
            "smallest": int(sizes.min()),
            "largest": int(sizes.max()),
            "cut": int((sizes > max(1, size - random)).sum()),
            "random_per_batch": random,
            **_said(guarantee, labels),
        },
        _labels=labels,
        _clusters=count,
        _random=random,
        _tree=mode == "tree",
    )


def _said(guarantee: object, labels: Array) -> dict[str, float | None]:
    """What a guarantee adds to a report."""
    if guarantee is None:
        return {}
    if not isinstance(guarantee, ClusterGuarantee):
        raise NegmineTypeError(f"`guarantee` must be what `cluster_guarantee` returns; got {type(guarantee).__name__}.")
    if guarantee.digest != digest(_GUARANTEE, [], [labels]):
        raise NegmineValueError(
            f"`guarantee` must be of these clusters; got that of others, {len(guarantee.delta)} of them."
        )
    widest = float(guarantee.delta.max())
    return {"delta": widest, "epsilon": guarantee.epsilon, "distance": guarantee.distance}


def random_rows(random_share: object, size: int) -> int:
    """Rows of a batch that are drawn from all rows."""
    share = _coerce.real(random_share, "random_share", least=0.0)
    if share > 1:
        raise NegmineValueError(f"`random_share` must be at most 1; got {share}.")
    return round(share * size)


def read_clusters(clusters: object) -> tuple[Array, int]:
    """Read clusters as the cluster of every row and how many there are: none is empty, and every row is in one."""
    given = getattr(clusters, "labels", None)
    source = clusters if given is None else given
    labels = _coerce.int64s(source, "clusters")
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
        offsets = _coerce.int64s(offsets, "clusters")
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


@_coerce.named_options
@dataclass(frozen=True, slots=True, kw_only=True)
class NgameSchedule:
    """When NGAME clusters anew, and how large its clusters are: small at first, doubled at the epochs of a curriculum.

    Parameters
    ----------
    initial_size : int
        Rows of a cluster before the first doubling. Default: 1, every row alone, which is random batches.
    curriculum : tuple of int
        Epochs, rising, at which the size doubles. Default: (10, 20, 25, 50, 75, 100, 125, 150, 200).
    refresh_every : int
        Rows are clustered anew in epochs that this divides. Default: 5.
    first_epoch : int or None
        No clustering before this epoch; batches are random till then. Default: the first of the curriculum, or 0.
    lag : int
        0 (default): clusters are used in the epoch that they are made for. 1: from the next epoch on, as in the
        released code.
    largest_size : int or None
        The most rows of a cluster. Give at most the batch size: a batch of one cluster sees no easy negative. Default:
        None, no limit.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        A number out of range, a curriculum that does not rise.

    Notes
    -----
    NGAME: Dahiya et al., WSDM 2023; the defaults are those of the released configuration for LF-AmazonTitles-131K. The
    released code rounds the number of clusters up to a power of two, which makes them smaller than planned; here it is
    not rounded.

    Examples
    --------
    >>> import negmine
    >>> schedule = negmine.NgameSchedule(largest_size=1600)
    >>> [schedule.clusters_epoch(epoch) for epoch in (9, 10, 14, 27)]
    [None, 10, 10, 25]
    >>> schedule.cluster_size(27), schedule.n_clusters(27, 294_805)
    (8, 36851)
    """

    initial_size: int = 1
    curriculum: tuple[int, ...] = (10, 20, 25, 50, 75, 100, 125, 150, 200)
    refresh_every: int = 5
    first_epoch: int | None = None
    lag: Literal[0, 1] = 0
    largest_size: int | None = None

    def __post_init__(self) -> None:
        _coerce.integer(self.initial_size, "initial_size", least=1)
        _coerce.integer(self.refresh_every, "refresh_every", least=1)
        _coerce.integer(self.lag, "lag", least=0, most=1)
        if self.first_epoch is not None:
            _coerce.integer(self.first_epoch, "first_epoch", least=0)
        if self.largest_size is not None:
            _coerce.integer(self.largest_size, "largest_size", least=1)
        epochs = tuple(_coerce.int64s(self.curriculum, "curriculum").tolist())
        if any(later <= earlier for earlier, later in zip((-1, *epochs), epochs, strict=False)):
            raise NegmineValueError(f"`curriculum` must hold rising epochs from 0; got {epochs}.")
        object.__setattr__(self, "curriculum", epochs)

    def cluster_size(self, epoch: int) -> int:
        """Rows of a cluster that is made in ``epoch``."""
        doublings = bisect_right(self.curriculum, _coerce.epoch(epoch))
        size = self.initial_size << doublings
        return size if self.largest_size is None else min(size, self.largest_size)

    def n_clusters(self, epoch: int, n_rows: int) -> int:
        """How many clusters ``n_rows`` rows make in ``epoch``: as many as there are rows at most."""
        rows = _coerce.integer(n_rows, "n_rows", least=1, most=2**63 - 1)
        return -(-rows // self.cluster_size(epoch))

    def refresh(self, epoch: int) -> bool:
        """Whether rows are clustered in ``epoch``; clusters of single rows are not worth it."""
        epoch = _coerce.epoch(epoch)
        first = self.first_epoch
        if first is None:
            first = self.curriculum[0] if self.curriculum else 0
        return epoch >= first and epoch % self.refresh_every == 0 and self.cluster_size(epoch) > 1

    def clusters_epoch(self, epoch: int) -> int | None:
        """The epoch whose clusters are used in ``epoch``; None while batches are random."""
        latest = (_coerce.epoch(epoch) - self.lag) // self.refresh_every * self.refresh_every
        return latest if latest >= 0 and self.refresh(latest) else None


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


@_coerce.named("cluster_guarantee")
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
        As :func:`batch_plan` takes them.
    embeddings : float (n, width)
        Vectors of the rows; normalise them first where scores are cosines. Distances are Euclidean.
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
    >>> held = negmine.cluster_guarantee(
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
    return ClusterGuarantee(delta, epsilon, digest(_GUARANTEE, [], [labels]))


#: Rows whose distances are taken together.
_BLOCK = 1024


def _vectors(value: object, argument: str, n: int | None) -> npt.NDArray[np.floating]:
    vectors = _coerce.vectors(value, argument)
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
