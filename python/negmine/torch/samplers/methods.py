"""The batch samplers of the methods: each makes its plan from what a user has, and is a PlanBatchSampler of it."""

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
    """Batches of whole clusters, every row once an epoch: in-batch negatives become hard ones without a search.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of all rows, or the cluster of every row. ``numpy.arange(n)`` makes random batches, to begin with.
    batch_size, batches_per_step, random_fraction, order, remainder, seed
        As of :func:`negmine.batches.cluster_plan`; ``remainder="short"`` makes ragged batches, which
        :class:`RaggedBatchSampler` takes.
    num_replicas, rank, sampler
        As of :class:`PlanBatchSampler`.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As :func:`negmine.batches.cluster_plan` and :class:`PlanBatchSampler` do.

    Notes
    -----
    NGAME: Dahiya et al., "NGAME: Negative mining-aware mini-batching for extreme classification", WSDM 2023.
    :class:`negmine.batches.NgameSchedule` tells when to call :meth:`refresh`, and how large clusters are then.

    A state names the clusters by digest. To resume in an epoch of refreshed clusters, save them beside the checkpoint
    (:meth:`negmine.Clusters.save`) and make the sampler of them.

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
        """Use other clusters of the same rows from the next start of an epoch; one that is being read keeps its own.

        Parameters
        ----------
        clusters : Clusters, or int64 (n,)
            The same on every rank.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            As :func:`negmine.batches.cluster_plan` does; another number of rows.
        """
        self._replace_plan(cluster_plan(clusters, **self._options), "clusters")


@refuse_unknown_fields
class TopicBatchSampler(PlanBatchSampler):
    """Batches of queries on one topic or a few, without end: in-batch negatives are on the topic.

    There is no promise that an epoch uses every row.

    Parameters
    ----------
    clusters : Clusters, or int64 (n,)
        Clusters of the queries, or the cluster of every query.
    batch_size, clusters_per_batch, weights, random_fraction, batches_per_step, batches_per_epoch, seed
        As of :func:`negmine.batches.topic_plan`.
    num_replicas, rank, sampler
        As of :class:`PlanBatchSampler`.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As :func:`negmine.batches.topic_plan` and :class:`PlanBatchSampler` do.

    Notes
    -----
    TAS-Balanced: Hofstätter et al., "Efficiently teaching an effective dense retriever with balanced topic aware
    sampling", SIGIR 2021. :func:`negmine.batches.sample_balanced_margins` draws its pairs, one per query and epoch.

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
    """Batches in which no document is by accident another row's negative, using every row.

    Parameters
    ----------
    anchors, positives, negatives
        Ids of each row, as :func:`negmine.batches.no_duplicate_plan` takes them.
    batch_size : int
        Rows of a batch.
    batches_per_step : int, default 1
        Batches that together hold no conflict: with scores gathered over ranks, their number or a multiple of it.
    strict, conflicts, remainder, seed
        As of :func:`negmine.batches.no_duplicate_plan`; ``conflicts="extend"`` and ``remainder="short"`` make ragged
        batches, which :class:`RaggedBatchSampler` takes.
    num_replicas, rank, sampler
        As of :class:`PlanBatchSampler`.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As :func:`negmine.batches.no_duplicate_plan` and :class:`PlanBatchSampler` do.

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
    """Batches of ``per_class`` rows of each of ``batch_size / per_class`` classes, as losses on class labels want.

    Parameters
    ----------
    labels : int64 or str (n,)
        Class of each row; -1 or ``""`` is no class.
    batch_size, per_class, batches_per_step, batches_per_epoch, unlabeled, seed
        As of :func:`negmine.batches.class_balanced_plan`.
    num_replicas, rank, sampler
        As of :class:`PlanBatchSampler`.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        As :func:`negmine.batches.class_balanced_plan` and :class:`PlanBatchSampler` do.

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
