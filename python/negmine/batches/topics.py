"""Topic-aware batches and margin-balanced pairs: TAS-Balanced (Hofstätter et al., SIGIR 2021)."""

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
    """Batches of one or a few topics, made by [`topic_plan`][].

    Attributes
    ----------
    n_rows : int
        Number of rows of the data.
    batch_size : int
        Number of rows per batch.
    batches_per_step : int
        Number of batches that are used together.
    batches_per_epoch : int
        Number of batches per epoch, also ``len(plan)``.
    seed : int
        Seed of the plan.
    digest : str
        Hexadecimal digest of labels, options and seed; plans with the same digest have the same batches.
    report : dict
        ``rows``, ``rows_per_epoch`` (draws, not distinct rows), ``clusters``, size of the ``smallest`` and the
        ``largest`` cluster, ``rows_per_cluster`` that a batch takes, ``small``: number of clusters with fewer rows, so
        that a batch is filled from further clusters, and ``random_per_batch``: rows of a batch that are drawn from all
        rows.
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
    """Plan an endless stream of batches of one or a few topics, so that in-batch negatives are on the topic.

    A batch draws clusters, and from each cluster at most ``ceil(batch_size / clusters_per_batch)`` rows while further
    clusters remain. If the clusters are smaller, the batch is filled from further clusters. A batch has no row twice.
    An epoch does not necessarily use every row.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row, numbered from 0 without gaps.
    batch_size : int
        Rows per batch, from 1 to ``n``.
    clusters_per_batch : int, default 1
        Clusters per batch, at most ``batch_size``.
    weights : {"uniform", "size"}, default "uniform"
        ``"uniform"`` draws all clusters with equal probability, as the method does, so that rows of small clusters are
        drawn more often. ``"size"`` draws a cluster with a probability proportional to its number of rows.
    random_fraction : float, default 0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster, as in [`cluster_plan`][].
    batches_per_step : int, default 1
        Number of batches that are used together: those of all ranks. They are drawn independently.
    batches_per_epoch : int, optional
        Number of batches per epoch, a multiple of ``batches_per_step``. Default: as many steps as hold ``n`` rows.
    seed : int, default 0
        Seed of the plan, in [0, 2**64).

    Returns
    -------
    TopicPlan
        The plan; it computes each batch independently of the others.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        Clusters are empty, overlap or leave rows out, a batch is larger than the data, or a number is out of range.

    Notes
    -----
    The method is TAS-Balanced (Hofstätter et al., "Efficiently teaching an effective dense retriever with balanced
    topic aware sampling", SIGIR 2021, section 3). The loader that its authors released may draw a cluster twice for one
    batch; this plan draws distinct clusters.

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
    """Draw one training pair per query, balanced over the sizes of the margins.

    The pairs of a query are sorted into ``bins`` bins of equal width between its smallest and its largest margin. One
    of the bins that are not empty is drawn, and then one of its pairs, so that rare margins are drawn as well as
    frequent ones. A query with one pair, or with equal margins, has one bin.

    Parameters
    ----------
    margins : float64 (n_pairs,)
        Teacher's score of the positive minus that of the negative, for the pairs of the first query, then the second,
        and so on.
    offsets : int64 (n_queries + 1,)
        The pairs of query ``i`` are ``margins[offsets[i]:offsets[i + 1]]``.
    bins : int, default 10
        Number of bins, at least 1.
    binning : {"width", "quantile", "tempered"}, default "width"
        ``"width"`` is the method of the paper: all bins are equally likely, and a pair with a rare margin is drawn much
        more often than a pair with a frequent margin. ``"tempered"`` draws a bin with a probability proportional to the
        square root of its number of pairs, halfway to a uniform draw of pairs. ``"quantile"`` makes bins with about
        equal numbers of pairs, all equally likely, which is close to a uniform draw of pairs, except for equal margins.
    seed, epoch : int, default 0
        Seed and epoch of the draws, in [0, 2**64).

    Returns
    -------
    int64 (n_queries,)
        Number of the pair drawn for each query; -1 for a query without pairs.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        A margin is not finite, or ``offsets`` does not start at 0, descends, or does not end at the number of margins.

    Notes
    -----
    This is the balanced margin sampling of TAS-Balanced (Hofstätter et al., SIGIR 2021, section 3). The code that its
    authors released raises an error on equal margins and drops queries with one pair.

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
