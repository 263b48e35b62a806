"""When to cluster again, and how large clusters are then: the schedule of NGAME."""

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
            raise NegmineValueError(f"`curriculum` must hold rising epochs from 0; got {epochs}.")
        object.__setattr__(self, "curriculum", epochs)

    def cluster_size(self, epoch: int) -> int:
        """Rows of a cluster that is made in ``epoch``."""
        doublings = bisect_right(self.curriculum, check_epoch(epoch))
        size = self.initial_size << doublings
        return size if self.largest_size is None else min(size, self.largest_size)

    def n_clusters(self, epoch: int, n_rows: int) -> int:
        """How many clusters ``n_rows`` rows make in ``epoch``: as many as there are rows at most."""
        rows = check_integer(n_rows, "n_rows", least=1, most=2**63 - 1)
        return -(-rows // self.cluster_size(epoch))

    def refresh(self, epoch: int) -> bool:
        """Whether rows are clustered in ``epoch``; clusters of single rows are not worth it."""
        epoch = check_epoch(epoch)
        first = self.first_epoch
        if first is None:
            first = self.curriculum[0] if self.curriculum else 0
        return epoch >= first and epoch % self.refresh_every == 0 and self.cluster_size(epoch) > 1

    def clusters_epoch(self, epoch: int) -> int | None:
        """The epoch whose clusters are used in ``epoch``; None while batches are random."""
        latest = (check_epoch(epoch) - self.lag) // self.refresh_every * self.refresh_every
        return latest if latest >= 0 and self.refresh(latest) else None
