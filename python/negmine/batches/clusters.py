"""Batches of whole clusters: NGAME (Dahiya et al., WSDM 2023)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.digests import digest
from negmine._core.options import check_choice, check_real, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.batches.plan import REMAINDERS, Array, PackedPlan, Remainder, batch_bounds, rows_of_batch, whole_steps
from negmine.clustering.guarantee import ClusterGuarantee
from negmine.clustering.labels import ClusterLike, read_clusters
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["ClusterPlan", "cluster_plan", "random_rows"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClusterPlan(PackedPlan):
    """Batches of whole clusters, made by [`cluster_plan`][].

    Attributes
    ----------
    n_rows : int
        Number of rows of the data.
    batch_size : int or None
        Number of rows per batch; None under ``remainder="short"``.
    batches_per_step : int
        Number of batches that are used together.
    batches_per_epoch : int
        Number of batches per epoch, also ``len(plan)``.
    seed : int
        Seed of the plan.
    digest : str
        Hexadecimal digest of labels, options and seed; plans with the same digest have the same batches.
    report : dict
        ``rows``, ``rows_per_epoch`` (including repeats), ``repeated`` and ``left_out`` rows per epoch, ``clusters``,
        size of the ``smallest`` and the ``largest`` cluster, ``cut``: number of clusters that are too large for a
        batch, and ``random_per_batch``: rows of a batch that are drawn from all rows. With a ``guarantee``, also its
        ``delta`` (of the widest cluster), ``epsilon`` and ``distance``.
    """

    _labels: Array = field(repr=False)
    _clusters: int = field(repr=False)
    _size: int = field(repr=False)
    _random: int = field(repr=False)
    _tree: bool = field(repr=False)

    def _pack(self, epoch: int) -> tuple[Array, Array | None]:
        n, step = self.n_rows, self._size * self.batches_per_step
        sizes = (self._size, self.batches_per_step, self._random)
        batches = self.batches_per_epoch
        if step > n:
            # One short step: the core packs it as one batch, and its bounds share it among the batches.
            sizes, batches = (n, 1, self._random * n // self._size), 1
        rows = _native.cluster_batches(self._labels, self._clusters, *sizes, self._tree, batches, self.seed, epoch)
        if self.batch_size is not None:
            return rows, None
        return rows[:n], batch_bounds(np.append(np.arange(0, n, step), n), self.batches_per_step)


@refuse_unknown_options("cluster_plan")
def cluster_plan(
    clusters: ClusterLike | npt.ArrayLike,
    *,
    batch_size: int,
    batches_per_step: int = 1,
    random_fraction: float = 0.0,
    order: Literal["shuffled", "tree"] = "shuffled",
    remainder: Remainder = "pad",
    guarantee: ClusterGuarantee | None = None,
    seed: int = 0,
) -> ClusterPlan:
    """Plan batches of whole clusters, so that in-batch negatives are hard without a search.

    Every row is used once per epoch. A batch holds ``batch_size / cluster size`` clusters, in a different combination
    each epoch. If the cluster sizes do not add up to a batch, the end of the batch splits a cluster, at different rows
    in every epoch.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row, numbered from 0 without gaps. ``numpy.arange(n)`` puts every
        row into its own cluster, which results in random batches.
    batch_size : int
        Rows per batch, at least 1; ``batch_size * batches_per_step`` must be at most ``n``, unless
        ``remainder="short"``. A cluster that is too large for a batch is cut into equal parts.
    batches_per_step : int, default 1
        Number of batches that are used together: those of all ranks if scores are gathered. The world size must divide
        it.
    random_fraction : float, default 0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster; every row is still used once
        per epoch. Batches of only similar rows can harm training; some easy negatives preserve the scale of scores.
    order : {"shuffled", "tree"}, default "shuffled"
        ``"shuffled"`` combines random clusters. ``"tree"`` puts clusters with adjacent numbers, such as adjacent leaves
        of the balanced tree, into the batches of one step, and shuffles the steps.
    remainder : {"pad", "drop", "error", "short"}, default "pad"
        Handling of a short last step: ``"pad"`` repeats the first rows of the epoch, ``"drop"`` leaves the step out
        (different rows each epoch), ``"error"`` raises an error. ``"short"`` keeps the step short and distributes its
        rows evenly over its batches, so that every row is used exactly once, as an evaluation requires.
    guarantee : ClusterGuarantee, optional
        Result of [`negmine.clustering.cluster_guarantee`][] for these clusters, to add to the report; it does
        not change the batches.
    seed : int, default 0
        Seed of the plan, in [0, 2**64).

    Returns
    -------
    ClusterPlan
        The plan; its batches depend only on the arguments and the epoch.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        Clusters are empty, overlap or leave rows out, a batch is larger than the data, a share is outside [0, 1], or
        the last step is short under ``remainder="error"``.

    Notes
    -----
    The method is NGAME (Dahiya et al., "NGAME: Negative mining-aware mini-batching for extreme classification", WSDM
    2023). The sampler that its authors released also shuffles the list of clusters and cuts it into batches. Unlike it,
    this plan also shuffles the rows inside a cluster, has no short step, and is a function of the seed and the epoch.
    [`negmine.clustering.cluster_guarantee`][] computes the bounds that hold inside a cluster.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> plan = negmine.batches.cluster_plan(np.repeat(np.arange(4), 3), batch_size=6)
    >>> len(plan), sorted(set((plan.batch(0, 0) // 3).tolist()))
    (2, [0, 2])
    """
    labels, count = read_clusters(clusters)
    mode = check_choice(order, "order", ("shuffled", "tree"))
    rest = check_choice(remainder, "remainder", REMAINDERS)
    size, per_step, start = (
        rows_of_batch(batch_size, batches_per_step, len(labels), rest),
        int(batches_per_step),
        check_seed(seed),
    )
    batches, short = whole_steps(len(labels), size, per_step, rest)
    sizes = np.bincount(labels)
    random = random_rows(random_fraction, size)
    return ClusterPlan(
        n_rows=len(labels),
        batch_size=None if rest == "short" else size,
        batches_per_step=per_step,
        batches_per_epoch=batches,
        seed=start,
        digest=digest(formats.CLUSTER_PLAN.tag, [size, per_step, random, mode, rest, start], [labels]),
        report={
            "rows": len(labels),
            "rows_per_epoch": len(labels) if rest == "short" else batches * size,
            "repeated": 0 if rest == "short" else max(0, batches * size - len(labels)),
            "left_out": short if rest == "drop" else 0,
            "clusters": count,
            "smallest": int(sizes.min()),
            "largest": int(sizes.max()),
            "cut": int((sizes > max(1, size - random)).sum()),
            "random_per_batch": random,
            **_bounds(guarantee, labels),
        },
        _labels=labels,
        _clusters=count,
        _size=size,
        _random=random,
        _tree=mode == "tree",
    )


def _bounds(guarantee: object, labels: Array) -> dict[str, float | None]:
    """Validate a guarantee and return its entries of the report."""
    if guarantee is None:
        return {}
    if not isinstance(guarantee, ClusterGuarantee):
        raise NegmineTypeError(f"`guarantee` must be a ClusterGuarantee; got {type(guarantee).__name__}.")
    if guarantee.digest != digest(formats.CLUSTER_GUARANTEE.tag, [], [labels]):
        raise NegmineValueError(
            f"`guarantee` must be that of these clusters; got that of {len(guarantee.delta)} other clusters."
        )
    widest = float(guarantee.delta.max())
    return {"delta": widest, "epsilon": guarantee.epsilon, "distance": guarantee.distance}


def random_rows(random_fraction: object, size: int) -> int:
    """Return the number of rows per batch that are drawn from all rows.

    Parameters
    ----------
    random_fraction : float
        Share of a batch, in [0, 1].
    size : int
        Rows per batch.

    Returns
    -------
    int
        The share times ``size``, rounded.
    """
    share = check_real(random_fraction, "random_fraction", least=0.0)
    if share > 1:
        raise NegmineValueError(f"`random_fraction` must be at most 1; got {share}.")
    return round(share * size)
