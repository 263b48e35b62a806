"""Batch samplers that make their own plans: of clusters, topics, rows without duplicates, and classes."""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt

from negmine._core.options import refuse_unknown_fields
from negmine.batches import class_balanced_plan, cluster_plan, no_duplicate_plan, topic_plan
from negmine.batches.plan import Remainder
from negmine.clustering.labels import ClusterLike
from negmine.torch.samplers.plan_sampler import PlanBatchSampler

__all__ = ["ClassBalancedBatchSampler", "ClusterBatchSampler", "NoDuplicateBatchSampler", "TopicBatchSampler"]


@refuse_unknown_fields
class ClusterBatchSampler(PlanBatchSampler):
    """Batches of whole clusters, each row once per epoch: in-batch negatives become hard without a search.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of each row. Start with ``numpy.arange(n)`` for random batches.
    batch_size : int
        Rows per batch.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks.
    random_fraction : float, default 0.0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster.
    order : {"shuffled", "tree"}, default "shuffled"
        Order of the clusters, as of [`negmine.batches.cluster_plan`][].
    remainder : {"pad", "drop", "short", "error"}, default "pad"
        Handling of an incomplete last step. "short" makes ragged batches, which [`RaggedBatchSampler`][] takes.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide ``batches_per_step``.
    rank : int, default 0
        Rank of this sampler.
    sampler : None, default None
        Must be None, as of [`PlanBatchSampler`][].

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As [`negmine.batches.cluster_plan`][] and [`PlanBatchSampler`][].

    Notes
    -----
    NGAME: Dahiya et al., "NGAME: Negative mining-aware mini-batching for extreme classification", WSDM 2023.
    [`negmine.batches.NgameSchedule`][] computes when to call [`refresh`][], and the size of the clusters.

    A state identifies the clusters by digest. To resume in an epoch of refreshed clusters, save them with the
    checkpoint ([`negmine.Clusters.save`][]) and make the sampler from them.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.torch import ClusterBatchSampler
    >>> sampler = ClusterBatchSampler(np.repeat(np.arange(4), 3), batch_size=6)
    >>> [sorted({row // 3 for row in batch}) for batch in sampler]
    [[0, 2], [1, 3]]
    """

    def __init__(
        self,
        clusters: ClusterLike | npt.ArrayLike,
        *,
        batch_size: int,
        batches_per_step: int = 1,
        random_fraction: float = 0.0,
        order: Literal["shuffled", "tree"] = "shuffled",
        remainder: Remainder = "pad",
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        sampler: None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "batches_per_step": batches_per_step,
            "random_fraction": random_fraction,
            "order": order,
            "remainder": remainder,
            "seed": seed,
        }
        self._refuse(sampler)
        super().__init__(cluster_plan(clusters, **self._options), num_replicas=num_replicas, rank=rank)

    def refresh(self, clusters: ClusterLike | npt.ArrayLike) -> None:
        """Use other clusters of the same rows from the start of the next epoch; the current epoch keeps its clusters.

        Parameters
        ----------
        clusters : Clusters, or int64 (n,)
            New clusters, the same on every rank.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As [`negmine.batches.cluster_plan`][], and if the number of rows differs.
        """
        self._replace_plan(cluster_plan(clusters, **self._options), "clusters")


@refuse_unknown_fields
class TopicBatchSampler(PlanBatchSampler):
    """Endless batches of queries on one or a few topics: in-batch negatives are on the same topic.

    An epoch need not use every row.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of the queries, or the cluster of each query.
    batch_size : int
        Rows per batch.
    clusters_per_batch : int, default 1
        Number of clusters in a batch.
    weights : {"uniform", "size"}, default "uniform"
        Weights of the clusters, as of [`negmine.batches.topic_plan`][].
    random_fraction : float, default 0.0
        Share of each batch, in [0, 1], that is drawn from all rows instead of by cluster.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks.
    batches_per_epoch : int, optional
        Batches per epoch, a multiple of ``batches_per_step``. Default: as many steps as hold all rows.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide ``batches_per_step``.
    rank : int, default 0
        Rank of this sampler.
    sampler : None, default None
        Must be None, as of [`PlanBatchSampler`][].

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As [`negmine.batches.topic_plan`][] and [`PlanBatchSampler`][].

    Notes
    -----
    TAS-Balanced: Hofstätter et al., "Efficiently teaching an effective dense retriever with balanced topic aware
    sampling", SIGIR 2021. [`negmine.batches.sample_balanced_margins`][] draws its pairs, one per query and epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from negmine.torch import TopicBatchSampler
    >>> topics = np.repeat(np.arange(3), 4)
    >>> sampler = TopicBatchSampler(topics, batch_size=4)
    >>> [len(set(topics[batch])) for batch in sampler]
    [1, 1, 1]
    """

    def __init__(
        self,
        clusters: ClusterLike | npt.ArrayLike,
        *,
        batch_size: int,
        clusters_per_batch: int = 1,
        weights: Literal["uniform", "size"] = "uniform",
        random_fraction: float = 0.0,
        batches_per_step: int = 1,
        batches_per_epoch: int | None = None,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        sampler: None = None,
    ) -> None:
        self._refuse(sampler)
        plan = topic_plan(
            clusters,
            batch_size=batch_size,
            clusters_per_batch=clusters_per_batch,
            weights=weights,
            random_fraction=random_fraction,
            batches_per_step=batches_per_step,
            batches_per_epoch=batches_per_epoch,
            seed=seed,
        )
        super().__init__(plan, num_replicas=num_replicas, rank=rank)


@refuse_unknown_fields
class NoDuplicateBatchSampler(PlanBatchSampler):
    """Batches in which no document is accidentally the negative of another row, using every row.

    Parameters
    ----------
    anchors : int64 or str (n,)
        Anchor id of each row; -1 or ``""`` means no id.
    positives : int64 or str (n,) or (n, p)
        Document ids of each row's positives.
    negatives : int64 or str (n,) or (n, k), optional
        Document ids of each row's negatives.
    batch_size : int
        Rows per batch.
    batches_per_step : int, default 1
        Batches that together hold no conflict: with scores gathered across ranks, the number of ranks or a multiple of
        it.
    strict : bool, default False
        Whether two rows also conflict if they share a negative.
    conflicts : {"error", "drop", "spread", "extend"}, default "error"
        Handling of ids in too many rows, as of [`negmine.batches.no_duplicate_plan`][]. "extend" makes ragged
        batches, which [`RaggedBatchSampler`][] takes.
    remainder : {"pad", "drop", "short", "error"}, default "pad"
        Handling of an incomplete last step. "short" makes ragged batches, which [`RaggedBatchSampler`][] takes.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide ``batches_per_step``.
    rank : int, default 0
        Rank of this sampler.
    sampler : None, default None
        Must be None, as of [`PlanBatchSampler`][].

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As [`negmine.batches.no_duplicate_plan`][] and [`PlanBatchSampler`][].

    Examples
    --------
    >>> from negmine.torch import NoDuplicateBatchSampler
    >>> sampler = NoDuplicateBatchSampler([0, 0, 1, 1], [7, 8, 9, 7], batch_size=2)
    >>> len(sampler), sorted(row for batch in sampler for row in batch)
    (2, [0, 1, 2, 3])
    """

    def __init__(
        self,
        anchors: npt.ArrayLike,
        positives: npt.ArrayLike,
        negatives: npt.ArrayLike | None = None,
        *,
        batch_size: int,
        batches_per_step: int = 1,
        strict: bool = False,
        conflicts: Literal["error", "drop", "spread", "extend"] = "error",
        remainder: Remainder = "pad",
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        sampler: None = None,
    ) -> None:
        self._refuse(sampler)
        plan = no_duplicate_plan(
            anchors,
            positives,
            negatives,
            batch_size=batch_size,
            batches_per_step=batches_per_step,
            strict=strict,
            conflicts=conflicts,
            remainder=remainder,
            seed=seed,
        )
        super().__init__(plan, num_replicas=num_replicas, rank=rank)


@refuse_unknown_fields
class ClassBalancedBatchSampler(PlanBatchSampler):
    """Batches of ``per_class`` rows of each of ``batch_size / per_class`` classes, for losses on class labels.

    Parameters
    ----------
    labels : int64 or str (n,)
        Class of each row; -1 or ``""`` means no class.
    batch_size : int
        Rows per batch, a multiple of ``per_class``.
    per_class : int
        Rows per class in a batch.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks.
    batches_per_epoch : int, optional
        Batches per epoch, a multiple of ``batches_per_step``. Default: as many steps as hold all rows that have
        a class.
    unlabeled : {"error", "drop"}, default "error"
        Handling of rows without a class: "error" refuses them, "drop" leaves them out of all batches.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide ``batches_per_step``.
    rank : int, default 0
        Rank of this sampler.
    sampler : None, default None
        Must be None, as of [`PlanBatchSampler`][].

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As [`negmine.batches.class_balanced_plan`][] and [`PlanBatchSampler`][].

    Examples
    --------
    >>> from negmine.torch import ClassBalancedBatchSampler
    >>> labels = ["cat", "cat", "dog", "dog", "dog", "emu", "emu"]
    >>> batch = next(iter(ClassBalancedBatchSampler(labels, batch_size=4, per_class=2)))
    >>> sorted(labels[row] for row in batch)
    ['cat', 'cat', 'dog', 'dog']
    """

    def __init__(
        self,
        labels: npt.ArrayLike,
        *,
        batch_size: int,
        per_class: int,
        batches_per_step: int = 1,
        batches_per_epoch: int | None = None,
        unlabeled: Literal["error", "drop"] = "error",
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        sampler: None = None,
    ) -> None:
        self._refuse(sampler)
        plan = class_balanced_plan(
            labels,
            batch_size=batch_size,
            per_class=per_class,
            batches_per_step=batches_per_step,
            batches_per_epoch=batches_per_epoch,
            unlabeled=unlabeled,
            seed=seed,
        )
        super().__init__(plan, num_replicas=num_replicas, rank=rank)
