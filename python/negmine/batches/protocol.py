"""What every plan of batches is: a pure function of (data, options, seed, epoch) that can be asked for any batch."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from negmine import _coerce

__all__ = ["BatchPlan", "Plan", "digest"]

Array = npt.NDArray[np.int64]


@runtime_checkable
class BatchPlan(Protocol):
    """Batches of an epoch in order, the same on every rank and for any number of workers.

    A *step* is ``batches_per_step`` consecutive batches that are used together, such as those of all ranks. Nothing in
    a plan moves: a sampler keeps (epoch, position) and nothing else. Plans pickle.
    """

    @property
    def n_rows(self) -> int:
        """Rows of the data."""

    @property
    def batch_size(self) -> int | None:
        """Rows of every batch; None where batches differ in size."""

    @property
    def batches_per_step(self) -> int:
        """Batches that are used together."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches of every epoch, also ``len(plan)``: a multiple of ``batches_per_step``."""

    @property
    def seed(self) -> int:
        """The seed that the plan was made with."""

    @property
    def digest(self) -> str:
        """Hexadecimal digest of all that decides the batches: plans of one digest give the same ones."""

    @property
    def report(self) -> dict[str, Any]:
        """What the plan does with the data, in figures."""

    def __len__(self) -> int:
        """Batches of every epoch."""

    def batch(self, epoch: int, index: int) -> Array:
        """Rows of batch ``index``, from 0 to ``len(plan) - 1``, of an ``epoch``."""

    def epoch(self, epoch: int) -> Array | list[Array]:
        """Batches of one ``epoch``, in order: a matrix, or a list where sizes differ."""


class Last:
    """The epoch that was packed last. One assignment replaces it, so neither threads nor forks need a lock."""

    __slots__ = ("packed",)

    def __init__(self) -> None:
        self.packed: tuple[int, Array, Array | None] | None = None

    def __reduce__(self) -> tuple[type[Last], tuple[()]]:
        return Last, ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan(ABC):
    """A plan whose epochs are packed as a whole; the fields are those of :class:`BatchPlan`."""

    n_rows: int
    batch_size: int | None
    batches_per_step: int
    batches_per_epoch: int
    seed: int
    digest: str
    report: dict[str, Any]
    _last: Last = field(default_factory=Last, repr=False)

    def __len__(self) -> int:
        return self.batches_per_epoch

    @abstractmethod
    def _pack(self, epoch: int) -> tuple[Array, Array | None]:
        """Pack an epoch: its rows, and where batches begin and end if they differ in size."""

    def batch(self, epoch: int, index: int) -> Array:
        """Rows of one batch.

        Parameters
        ----------
        epoch : int
            In [0, 2**64). The epoch that was asked for last is kept, so that its next batch costs only itself.
        index : int
            From 0 to ``len(plan) - 1``.

        Returns
        -------
        int64 (batch_size,)
            Rows of the data.
        """
        number = _coerce.epoch(epoch)
        place = _coerce.integer(index, "index", least=0, most=self.batches_per_epoch - 1)
        last = self._last.packed
        if last is None or last[0] != number:
            last = (number, *self._pack(number))
            self._last.packed = last
        _, rows, bounds = last
        if bounds is None:
            size = len(rows) // self.batches_per_epoch
            return rows[place * size : (place + 1) * size].copy()
        return rows[bounds[place] : bounds[place + 1]].copy()

    def epoch(self, epoch: int) -> Array | list[Array]:
        """Batches of one epoch, in order.

        Parameters
        ----------
        epoch : int
            In [0, 2**64).

        Returns
        -------
        int64 (n_batches, batch_size), or a list of int64 (n,) where ``batch_size`` is None
            Rows of the data.
        """
        number = _coerce.epoch(epoch)
        last = self._last.packed
        if last is not None and last[0] == number:
            rows, bounds = last[1].copy(), last[2]
        else:
            rows, bounds = self._pack(number)
        if bounds is None:
            return rows.reshape(self.batches_per_epoch, -1)
        return np.split(rows, bounds[1:-1])


def digest(kind: str, options: Iterable[object], arrays: Iterable[npt.NDArray[Any]]) -> str:
    """Digest what a plan depends on; ``kind`` names the format, which rises when the same arguments give others."""
    hashed = hashlib.sha256(repr([kind, *options]).encode())
    for array in arrays:
        if array.dtype.kind == "U":
            # The width of a string array is no part of its strings.
            longest = np.char.str_len(array.astype(np.str_)).max(initial=1)
            array = array.astype(f"<U{longest}")
        hashed.update(repr([array.shape, array.dtype.kind]).encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()
