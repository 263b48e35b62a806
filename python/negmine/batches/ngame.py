"""The schedule of NGAME (Dahiya et al., WSDM 2023): when to cluster again, and the size of the clusters."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from negmine._core.arrays import as_int64s
from negmine._core.options import check_epoch, check_integer, refuse_unknown_fields
from negmine.errors import NegmineValueError

__all__ = ["NgameSchedule"]


@refuse_unknown_fields
@dataclass(frozen=True, slots=True, kw_only=True)
class NgameSchedule:
    """Schedule of NGAME: when to cluster again, with clusters that double in size at the epochs of a curriculum.

    Parameters
    ----------
    initial_size : int, default 1
        Rows per cluster before the first doubling. With 1, each row is a cluster, so batches are random.
    curriculum : tuple of int, default (10, 20, 25, 50, 75, 100, 125, 150, 200)
        Epochs, strictly ascending, at which the size doubles.
    refresh_every : int, default 5
        Rows are clustered again in epochs that are a multiple of this.
    first_epoch : int, optional
        First epoch with clusters; batches are random before it. Default: the first epoch of the curriculum, or 0.
    lag : {0, 1}, default 0
        With 0, clusters are used in the epoch that they are made for; with 1, from the next epoch on, as in the
        released code.
    largest_size : int, optional
        Maximum number of rows per cluster. Pass at most the batch size: a batch of one cluster has no easy negatives.
        Default: no limit.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If a number is out of range, or the curriculum is not strictly ascending.

    Notes
    -----
    NGAME: Dahiya et al., WSDM 2023; the defaults are those of the released configuration for LF-AmazonTitles-131K. The
    released code rounds the number of clusters up to a power of two, which makes them smaller than planned; this class
    does not round it.

    Examples
    --------
    >>> import negmine
    >>> schedule = negmine.batches.NgameSchedule(largest_size=1600)
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
        check_integer(self.initial_size, "initial_size", least=1)
        check_integer(self.refresh_every, "refresh_every", least=1)
        check_integer(self.lag, "lag", least=0, most=1)
        if self.first_epoch is not None:
            check_integer(self.first_epoch, "first_epoch", least=0)
        if self.largest_size is not None:
            check_integer(self.largest_size, "largest_size", least=1)
        epochs = tuple(as_int64s(self.curriculum, "curriculum").tolist())
        if any(later <= earlier for earlier, later in zip((-1, *epochs), epochs, strict=False)):
            raise NegmineValueError(f"`curriculum` must hold strictly ascending epochs from 0; got {epochs}.")
        object.__setattr__(self, "curriculum", epochs)

    def cluster_size(self, epoch: int) -> int:
        """Return the number of rows per cluster made in an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        int
            Rows per cluster.
        """
        doublings = bisect_right(self.curriculum, check_epoch(epoch))
        size = self.initial_size << doublings
        return size if self.largest_size is None else min(size, self.largest_size)

    def n_clusters(self, epoch: int, n_rows: int) -> int:
        """Return the number of clusters to make in an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).
        n_rows : int
            Number of rows to cluster, at least 1.

        Returns
        -------
        int
            Number of clusters, at most ``n_rows``.
        """
        rows = check_integer(n_rows, "n_rows", least=1, most=2**63 - 1)
        return -(-rows // self.cluster_size(epoch))

    def refresh(self, epoch: int) -> bool:
        """Return whether to cluster the rows in an epoch; clusters of single rows need no clustering.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        bool
            True if rows are clustered in this epoch.
        """
        epoch = check_epoch(epoch)
        first = self.first_epoch
        if first is None:
            first = self.curriculum[0] if self.curriculum else 0
        return epoch >= first and epoch % self.refresh_every == 0 and self.cluster_size(epoch) > 1

    def clusters_epoch(self, epoch: int) -> int | None:
        """Return the epoch whose clusters are used in an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        int or None
            Epoch that made the clusters; None while batches are random.
        """
        latest = (check_epoch(epoch) - self.lag) // self.refresh_every * self.refresh_every
        return latest if latest >= 0 and self.refresh(latest) else None
