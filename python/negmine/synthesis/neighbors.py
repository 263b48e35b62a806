"""Nearest neighbors of the rows of classes, which several kinds of oversampling share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from negmine._core.calls import Progress
from negmine.data.positives import Positives
from negmine.search.exact import ExactIndex

__all__ = ["NeighborGraph", "nearest"]

Indices = npt.NDArray[np.int64]


def nearest(
    X: npt.NDArray[np.float32],
    rows: Indices,
    among: Indices,
    k: int,
    num_threads: int,
    progress: Progress | None = None,
) -> Indices:
    """Find the nearest neighbors of some rows, without the rows themselves.

    Parameters
    ----------
    X : float32 (n, width)
        All rows.
    rows : int64 (m,)
        Rows whose neighbors are wanted, all of which are in ``among``.
    among : int64 (p,)
        Rows that may be neighbors, in ascending order.
    k : int
        Number of neighbors, less than ``p``.
    num_threads : int
        Number of threads.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms.

    Returns
    -------
    int64 (m, k)
        Rows by Euclidean distance, ties by row.
    """
    index = ExactIndex(X[among], metric="l2", num_threads=num_threads)
    own = Positives(np.arange(len(rows) + 1), np.searchsorted(among, rows))
    found = index.search(X[rows], k, exclude=own, progress=progress)
    return among[found.indices]


@dataclass(eq=False)
class NeighborGraph:
    """Neighbors of the rows of each class: within the class, and among all rows. Each list is searched once.

    Attributes
    ----------
    X : float32 (n, width)
        All rows.
    classes : int64 (n,)
        Class of every row.
    k : int
        Number of neighbors within a class; one less than its size if there are not so many.
    width : int
        Number of neighbors among all rows; one less than their number if there are not so many.
    shared : bool
        Whether several kinds use the graph, so that lists of all rows of a class are worth keeping.
    num_threads : int
        Number of threads.
    progress : callable or None
        Called as ``progress(done, total)`` about every 50 ms, in every search.
    """

    X: npt.NDArray[np.float32]
    classes: Indices
    k: int
    width: int
    shared: bool
    num_threads: int
    progress: Progress | None
    _members: dict[int, Indices] = field(default_factory=dict)
    _own: dict[int, Indices] = field(default_factory=dict)
    _all: dict[int, Indices] = field(default_factory=dict)
    _index: ExactIndex | None = None

    def members(self, number: int) -> Indices:
        """Return the rows of a class.

        Parameters
        ----------
        number : int
            The class.

        Returns
        -------
        int64 (size,)
            Its rows, in ascending order.
        """
        if number not in self._members:
            self._members[number] = np.flatnonzero(self.classes == number)
        return self._members[number]

    def within(self, number: int, chosen: npt.NDArray[np.bool_] | None = None) -> Indices:
        """Return neighbors within a class.

        Parameters
        ----------
        number : int
            The class.
        chosen : bool (size,), optional
            Which of its rows are wanted. Default: all.

        Returns
        -------
        int64 (n_chosen, k)
            Neighbors of these rows.
        """
        rows = self.members(number)
        k = min(self.k, len(rows) - 1)
        if number not in self._own:
            if chosen is not None and not self.shared:
                return nearest(self.X, rows[chosen], rows, k, self.num_threads, self.progress)
            self._own[number] = nearest(self.X, rows, rows, k, self.num_threads, self.progress)
        found = self._own[number]
        return found if chosen is None else found[chosen]

    def among_all(self, number: int, k: int) -> Indices:
        """Return neighbors of the rows of a class among all rows.

        Parameters
        ----------
        number : int
            The class.
        k : int
            Number of neighbors, at most ``width``.

        Returns
        -------
        int64 (size, k)
            Neighbors of each row of the class.
        """
        if number not in self._all:
            self._index = self._index or ExactIndex(self.X, metric="l2", num_threads=self.num_threads)
            rows = self.members(number)
            own = Positives(np.arange(len(rows) + 1), rows)
            k_all = min(self.width, len(self.X) - 1)
            self._all[number] = self._index.search(self.X[rows], k_all, exclude=own, progress=self.progress).indices
        return self._all[number][:, :k]

    def others(self, number: int, k: int) -> Indices:
        """Count the neighbors of other classes.

        Parameters
        ----------
        number : int
            The class.
        k : int
            Number of neighbors among all rows.

        Returns
        -------
        int64 (size,)
            How many of them are of another class, for each row of the class.
        """
        counts: Indices = np.count_nonzero(self.classes[self.among_all(number, k)] != number, axis=1)
        return counts
