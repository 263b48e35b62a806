"""Batches of whole clusters (NGAME), their schedule over a training run, and what they guarantee."""

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
    """Batches of whole clusters, made by :func:`cluster_plan`.

    Attributes
    ----------
    n_rows : int
        Rows of the data.
    batch_size : int or None
        Rows of every batch; None under ``remainder="short"``.
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
    """Plan batches of whole clusters, every row once an epoch: in-batch negatives become hard ones without a search.

    A batch holds ``batch_size / cluster size`` clusters, in another combination each epoch. Where cluster sizes do not
    add up to a batch, its border cuts a cluster, at other rows in every epoch.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row, from 0 without a gap. ``numpy.arange(n)`` makes every row a
        cluster of its own: random batches.
    batch_size : int
        Rows of a batch, at least 1; ``batch_size * batches_per_step`` at most ``n``, unless ``remainder="short"``. A
        cluster that is larger than what a batch has room for is cut into equal parts.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks, when scores are gathered. A world size must divide it.
    random_fraction : float, default 0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster; every row is still used once
        an epoch. Batches of similar rows alone can do harm: some easy negatives keep the scale of scores.
    order : str, default "shuffled"
        ``"shuffled"`` puts random clusters together. ``"tree"`` puts clusters that are neighbors in the order of
        clusters, as leaves of the balanced tree are, into the batches of one step, and shuffles the steps.
    remainder : str, default "pad"
        What to do with a last step that is short: ``"pad"`` repeats the first rows of the epoch, ``"drop"`` leaves it
        out (other rows each epoch), ``"error"``; ``"short"`` hands it out as it is, its rows shared evenly among its
        batches: every row exactly once, as an evaluation needs it.
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
            **_said(guarantee, labels),
        },
        _labels=labels,
        _clusters=count,
        _size=size,
        _random=random,
        _tree=mode == "tree",
    )


def _said(guarantee: object, labels: Array) -> dict[str, float | None]:
    """What a guarantee adds to a report."""
    if guarantee is None:
        return {}
    if not isinstance(guarantee, ClusterGuarantee):
        raise NegmineTypeError(f"`guarantee` must be what `cluster_guarantee` returns; got {type(guarantee).__name__}.")
    if guarantee.digest != digest(formats.CLUSTER_GUARANTEE.tag, [], [labels]):
        raise NegmineValueError(
            f"`guarantee` must be of these clusters; got that of others, {len(guarantee.delta)} of them."
        )
    widest = float(guarantee.delta.max())
    return {"delta": widest, "epsilon": guarantee.epsilon, "distance": guarantee.distance}


def random_rows(random_fraction: object, size: int) -> int:
    """Rows of a batch that are drawn from all rows."""
    share = check_real(random_fraction, "random_fraction", least=0.0)
    if share > 1:
        raise NegmineValueError(f"`random_fraction` must be at most 1; got {share}.")
    return round(share * size)
