"""Topic-aware batches and pairs that are balanced by their margin (TAS-Balanced)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.arrays import Csr, as_array, as_float64s, as_int64s
from negmine._core.digests import digest
from negmine._core.options import check_choice, check_epoch, check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.batches.clusters import random_rows
from negmine.batches.plan import Array, StreamPlan, rows_of_batch, steps_of_stream
from negmine.clustering.labels import ClusterLike, read_clusters
from negmine.errors import NegmineValueError

__all__ = ["TopicPlan", "sample_balanced_margins", "topic_plan"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TopicPlan(StreamPlan):
    """Batches of one topic or a few, made by :func:`topic_plan`.

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
        ``rows``, ``rows_per_epoch`` (draws, not different rows), ``clusters``, ``smallest`` and ``largest`` cluster,
        ``rows_per_cluster`` that a batch wants, ``small``: clusters with fewer, after which it is filled further, and
        ``random_per_batch``: rows of a batch that are drawn from all rows.
    """

    _clusters: Csr = field(repr=False)
    _share: int = field(repr=False)
    _random: int = field(repr=False)
    _by_size: bool = field(repr=False)

    def _batches(self, epoch: int, start: int, stop: int) -> Array:
        return _native.topic_batches(
            self._clusters,
            len(self._clusters.offsets) - 1,
            self.batch_size or 0,
            self._share,
            self._random,
            self._by_size,
            self.seed,
            epoch,
            start,
            stop,
        )


@refuse_unknown_options("topic_plan")
def topic_plan(
    clusters: ClusterLike | npt.ArrayLike,
    *,
    batch_size: int,
    clusters_per_batch: int = 1,
    weights: Literal["uniform", "size"] = "uniform",
    random_fraction: float = 0.0,
    batches_per_step: int = 1,
    batches_per_epoch: int | None = None,
    seed: int = 0,
) -> TopicPlan:
    """Plan batches of queries on one topic or a few, without end: in-batch negatives are on the topic.

    A batch draws clusters, and from each at most ``ceil(batch_size / clusters_per_batch)`` rows while other clusters
    are left; where clusters are smaller, it is filled from further ones. No row is in a batch twice. There is no
    promise that an epoch uses every row.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row, from 0 without a gap.
    batch_size : int
        Rows of a batch, from 1 to ``n``.
    clusters_per_batch : int, default 1
        Clusters that share a batch, at most ``batch_size``.
    weights : str, default "uniform"
        ``"uniform"`` draws every cluster as often as any other, as the method does: rows of small clusters come more
        often. ``"size"`` draws a cluster by how many rows it has.
    random_fraction : float, default 0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster, as in :func:`cluster_plan`.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks. They are drawn independently.
    batches_per_epoch : int, optional
        What counts as an epoch, a multiple of ``batches_per_step``. Default: as many steps as hold ``n`` rows.
    seed : int, default 0
        In [0, 2**64).

    Returns
    -------
    TopicPlan
        Any batch costs only itself.

    Raises
    ------
    NegmineTypeError
        An argument of a type that is not accepted.
    NegmineValueError
        Clusters that are empty, overlap or leave rows out, a batch larger than the data, a number out of range.

    Notes
    -----
    TAS-Balanced: Hofstätter et al., "Efficiently teaching an effective dense retriever with balanced topic aware
    sampling", SIGIR 2021, section 3. The released loader may draw a cluster twice into one batch; here clusters differ.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> topics = np.repeat(np.arange(3), 4)
    >>> plan = negmine.batches.topic_plan(topics, batch_size=4)
    >>> [len(set(topics[plan.batch(0, b)])) for b in range(len(plan))]
    [1, 1, 1]
    """
    labels, count = read_clusters(clusters)
    size, per_step, start = rows_of_batch(batch_size, 1, len(labels)), batches_per_step, check_seed(seed)
    mixed = check_integer(clusters_per_batch, "clusters_per_batch", least=1)
    if mixed > size:
        raise NegmineValueError(f"`clusters_per_batch` must be at most `batch_size`, {size}; got {mixed}.")
    mode = check_choice(weights, "weights", ("uniform", "size"))
    random = random_rows(random_fraction, size)
    batches = steps_of_stream(len(labels), size, per_step, batches_per_epoch)
    offsets, order = _native.group_rows(labels, count)
    sizes, share = np.diff(offsets), -(-max(1, size - random) // mixed)
    return TopicPlan(
        n_rows=len(labels),
        batch_size=size,
        batches_per_step=int(per_step),
        batches_per_epoch=batches,
        seed=start,
        digest=digest(formats.TOPIC_PLAN.tag, [size, int(per_step), mixed, mode, random, batches, start], [labels]),
        report={
            "rows": len(labels),
            "rows_per_epoch": batches * size,
            "clusters": count,
            "smallest": int(sizes.min()),
            "largest": int(sizes.max()),
            "rows_per_cluster": share,
            "small": int((sizes < share).sum()),
            "random_per_batch": random,
        },
        _clusters=Csr(offsets, order),
        _share=share,
        _random=random,
        _by_size=mode == "size",
    )


@refuse_unknown_options("sample_balanced_margins")
def sample_balanced_margins(
    margins: npt.ArrayLike,
    offsets: npt.ArrayLike,
    *,
    bins: int = 10,
    binning: Literal["width", "quantile", "tempered"] = "width",
    seed: int = 0,
    epoch: int = 0,
) -> Array:
    """Draw one training pair of every query so that margins of all sizes come up, not mostly the frequent ones.

    A query's pairs go into ``bins`` bins of equal width between its least and its largest margin; a bin that is not
    empty is drawn, and one of its pairs. A query with one pair, or with equal margins, has one bin.

    Parameters
    ----------
    margins : float64 (n_pairs,)
        A teacher's score of the positive minus that of the negative, query after query.
    offsets : int64 (n_queries + 1,)
        The pairs of query ``i`` are ``margins[offsets[i]:offsets[i + 1]]``.
    bins : int, default 10
        At least 1.
    binning : str, default "width"
        ``"width"`` is the method, all bins equally likely: a pair of a rare margin is drawn much more often than one of
        a frequent margin. ``"tempered"`` draws a bin with the square root of its number of pairs, halfway to a
        uniform pair. ``"quantile"`` makes bins of like numbers of pairs, equally likely: close to uniform pairs, but
        for margins that are equal.
    seed, epoch : int, default 0
        In [0, 2**64).

    Returns
    -------
    int64 (n_queries,)
        Number of the pair drawn for each query; -1 for a query without pairs.

    Raises
    ------
    NegmineTypeError
        An argument of a type that is not accepted.
    NegmineValueError
        Margins that are not finite, an ``offsets`` that does not start at 0, falls, or does not end at the number of
        margins.

    Notes
    -----
    Balanced margin sampling of TAS-Balanced (Hofstätter et al., SIGIR 2021, section 3); the released code raises an
    error on equal margins and drops queries with one pair.

    Examples
    --------
    >>> import negmine
    >>> negmine.batches.sample_balanced_margins([-1.0, 0.0, 0.5, 4.0, 9.0, 7.0, 7.0], [0, 5, 5, 7], seed=1).tolist()
    [3, -1, 6]
    """
    starts = as_int64s(offsets, "offsets")
    if np.ndim(margins) != 1:
        raise NegmineValueError(f"`margins` must have shape (n_pairs,); got {np.ndim(margins)} dimensions.")
    if len(starts) == 0:
        raise NegmineValueError("`offsets` must have at least one entry, 0; got none.")
    values = as_array(margins, "margins")
    read = as_float64s(values if values.size else np.zeros(len(values)), "margins", len(values))
    return _native.sample_balanced_margins(
        read,
        Csr(starts, np.empty(len(read), dtype=np.int64)),
        len(starts) - 1,
        check_integer(bins, "bins", least=1, most=1 << 16),
        check_choice(binning, "binning", ("width", "quantile", "tempered")),
        check_seed(seed),
        check_epoch(epoch),
    )
