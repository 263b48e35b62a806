"""Batch plans: pure functions of (data, options, seed, epoch) that compute any batch on its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from negmine._core.calls import ensure_fits_in_memory
from negmine._core.options import check_epoch, check_integer
from negmine.errors import NegmineValueError

__all__ = [
    "REMAINDERS",
    "Array",
    "BatchPlan",
    "PackedPlan",
    "Plan",
    "Remainder",
    "StreamPlan",
    "batch_bounds",
    "check_last_step",
    "rows_of_batch",
    "steps_of_stream",
    "whole_steps",
]

Array = npt.NDArray[np.int64]


@runtime_checkable
class BatchPlan(Protocol):
    """Batches of an epoch in order, the same on every rank and for any number of workers.

    A *step* is ``batches_per_step`` consecutive batches that are used together, such as those of all ranks. A plan does
    not keep a position: a sampler keeps (epoch, position) and nothing else. Plans can be pickled.
    """

    @property
    def n_rows(self) -> int:
        """Number of rows of the data."""

    @property
    def batch_size(self) -> int | None:
        """Number of rows per batch; None if batches differ in size."""

    @property
    def batches_per_step(self) -> int:
        """Number of batches that are used together."""

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches per epoch, also ``len(plan)``: a multiple of ``batches_per_step``."""

    @property
    def seed(self) -> int:
        """Seed that the plan was made with."""

    @property
    def digest(self) -> str:
        """Hexadecimal digest of everything that determines the batches: equal digests mean equal batches."""

    @property
    def report(self) -> dict[str, Any]:
        """Figures of what the plan does with the data."""

    def __len__(self) -> int:
        """Return the number of batches per epoch."""

    def batch(self, epoch: int, index: int) -> Array:
        """Return the rows of one batch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).
        index : int
            Batch of the epoch, from 0 to ``len(plan) - 1``.

        Returns
        -------
        int64 (batch_size,)
            Rows of the data.
        """

    def epoch(self, epoch: int) -> Array | list[Array]:
        """Return all batches of one epoch, in order.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        int64 (n_batches, batch_size), or a list of int64 (n,) if ``batch_size`` is None
            Rows of the data.
        """


class Last:
    """Cache of the last packed epoch. A single assignment replaces it, so threads and forks need no lock."""

    __slots__ = ("packed",)

    def __init__(self) -> None:
        self.packed: tuple[int, Array, Array | None] | None = None

    def __reduce__(self) -> tuple[type[Last], tuple[()]]:
        return Last, ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan(ABC):
    """Base class of all plans; the fields are those of [`BatchPlan`][]."""

    n_rows: int
    batch_size: int | None
    batches_per_step: int
    batches_per_epoch: int
    seed: int
    digest: str
    report: dict[str, Any]

    def __len__(self) -> int:
        return self.batches_per_epoch

    def batch(self, epoch: int, index: int) -> Array:
        """Return the rows of one batch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).
        index : int
            Batch of the epoch, from 0 to ``len(plan) - 1``.

        Returns
        -------
        int64 (batch_size,)
            Rows of the data.
        """
        number = check_epoch(epoch)
        return self._batch(number, check_integer(index, "index", least=0, most=self.batches_per_epoch - 1))

    def epoch(self, epoch: int) -> Array | list[Array]:
        """Return all batches of one epoch, in order.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        int64 (n_batches, batch_size), or a list of int64 (n,) if ``batch_size`` is None
            Rows of the data.
        """
        return self._epoch(check_epoch(epoch))

    @abstractmethod
    def _batch(self, epoch: int, index: int) -> Array:
        """Compute the rows of a batch."""

    @abstractmethod
    def _epoch(self, epoch: int) -> Array | list[Array]:
        """Compute the batches of an epoch."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PackedPlan(Plan):
    """A plan that packs whole epochs, and keeps the last one of which a batch was read."""

    _last: Last = field(default_factory=Last, repr=False)

    @abstractmethod
    def _pack(self, epoch: int) -> tuple[Array, Array | None]:
        """Pack an epoch; return its rows, and the bounds of its batches if they differ in size."""

    def _batch(self, epoch: int, index: int) -> Array:
        last = self._last.packed
        if last is None or last[0] != epoch:
            last = (epoch, *self._pack(epoch))
            self._last.packed = last
        _, rows, bounds = last
        if bounds is None:
            size = len(rows) // self.batches_per_epoch
            return rows[index * size : (index + 1) * size].copy()
        return rows[bounds[index] : bounds[index + 1]].copy()

    def _epoch(self, epoch: int) -> Array | list[Array]:
        last = self._last.packed
        if last is not None and last[0] == epoch:
            rows, bounds = last[1].copy(), last[2]
        else:
            rows, bounds = self._pack(epoch)
        if bounds is None:
            return rows.reshape(self.batches_per_epoch, -1)
        return np.split(rows, bounds[1:-1])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamPlan(Plan):
    """A plan of which any batch is made on its own."""

    @abstractmethod
    def _batches(self, epoch: int, start: int, stop: int) -> Array:
        """Rows of batches ``start`` to ``stop``, one after the other."""

    def _batch(self, epoch: int, index: int) -> Array:
        return self._batches(epoch, index, index + 1)

    def _epoch(self, epoch: int) -> Array | list[Array]:
        ensure_fits_in_memory(self.batches_per_epoch, self.batch_size or 1, "batches_per_epoch")
        return self._batches(epoch, 0, self.batches_per_epoch).reshape(self.batches_per_epoch, -1)


#: Handling of an incomplete last step.
Remainder = Literal["pad", "drop", "short", "error"]

REMAINDERS = ("pad", "drop", "short", "error")


def rows_of_batch(
    batch_size: object, batches_per_step: object, n_rows: int, remainder: str = "", source: str = ""
) -> int:
    """Validate the batch size: a step must fit the data, unless it may be short.

    Parameters
    ----------
    batch_size : int
        Rows per batch, at least 1.
    batches_per_step : int
        Batches per step, at least 1.
    n_rows : int
        Number of rows of the data.
    remainder : str, default ""
        Handling of an incomplete last step; "" for plans without that option.
    source : str, default ""
        Name of the data in error messages; "" for the only data.

    Returns
    -------
    int
        Rows per batch.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If a number is not an integer or out of range.
    """
    size = check_integer(batch_size, "batch_size", least=1)
    per_step = check_integer(batches_per_step, "batches_per_step", least=1)
    if remainder != "short" and size * per_step > n_rows:
        short = " `remainder='short'` takes fewer rows." if remainder and n_rows >= per_step else ""
        raise NegmineValueError(
            f"`batch_size` x `batches_per_step` must be at most the number of rows, {n_rows}; got {size} x "
            f"{per_step}{source and ' for '}{source}.{short}"
        )
    if remainder == "short" and n_rows < per_step:
        raise NegmineValueError(f"`batches_per_step` must be at most the number of rows, {n_rows}; got {per_step}.")
    return size


def whole_steps(n_rows: int, size: int, per_step: int, remainder: str) -> tuple[int, int]:
    """Count the batches of an epoch that uses every row once.

    Parameters
    ----------
    n_rows : int
        Number of rows of the data.
    size : int
        Rows per batch.
    per_step : int
        Batches per step.
    remainder : {"pad", "drop", "short", "error"}
        Handling of an incomplete last step.

    Returns
    -------
    tuple of int
        Number of batches, and number of rows of the incomplete last step, 0 if all steps are complete.
    """
    full, short = divmod(n_rows, size * per_step)
    check_last_step(full, short, size, per_step, remainder)
    return (full + (short > 0 and remainder in ("pad", "short"))) * per_step, short


def check_last_step(full: int, short: int, size: int, per_step: int, remainder: str) -> None:
    """Refuse an incomplete last step that ``remainder`` does not allow.

    Parameters
    ----------
    full : int
        Number of complete steps.
    short : int
        Rows of the incomplete last step, 0 if all steps are complete.
    size : int
        Rows per batch.
    per_step : int
        Batches per step.
    remainder : {"pad", "drop", "short", "error"}
        Handling of an incomplete last step.

    Raises
    ------
    NegmineValueError
        If the last step is not allowed.
    """
    if short and remainder == "error":
        raise NegmineValueError(
            f"`remainder` must be 'pad', 'drop' or 'short' where the last step is short; got 'error' with {short} "
            f"rows left after {full} steps of {size * per_step}."
        )
    if 0 < short < per_step and remainder == "short":
        raise NegmineValueError(
            f"`remainder` must be 'pad' or 'drop' where the last step has fewer rows than batches; got 'short' with "
            f"{short} rows for {per_step} batches."
        )


def batch_bounds(step_offsets: Array, per_step: int) -> Array:
    """Divide each step into batches whose sizes differ by at most one.

    Parameters
    ----------
    step_offsets : int64 (n_steps + 1,)
        Start of each step, and the end of the last one.
    per_step : int
        Batches per step.

    Returns
    -------
    int64 (n_steps * per_step + 1,)
        Start of each batch, and the end of the last one.
    """
    sizes = np.diff(step_offsets)
    place = np.arange(per_step, dtype=np.int64)
    first = step_offsets[:-1, None] + (sizes[:, None] * place + per_step - 1) // per_step
    return np.append(first, step_offsets[-1])


def steps_of_stream(n_rows: int, size: int, batches_per_step: object, batches_per_epoch: object) -> int:
    """Count the batches of an epoch of an endless stream, in whole steps.

    Parameters
    ----------
    n_rows : int
        Number of rows of the data.
    size : int
        Rows per batch.
    batches_per_step : int
        Batches per step, at least 1.
    batches_per_epoch : int or None
        Batches per epoch, a multiple of ``batches_per_step``; None for as many steps as hold all rows.

    Returns
    -------
    int
        Number of batches per epoch.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If a number is not an integer or out of range.
    """
    per_step = check_integer(batches_per_step, "batches_per_step", least=1)
    if batches_per_epoch is None:
        return -(-n_rows // (size * per_step)) * per_step
    batches = check_integer(batches_per_epoch, "batches_per_epoch", least=1)
    if batches % per_step:
        raise NegmineValueError(
            f"`batches_per_epoch` must be a multiple of `batches_per_step`, {per_step}; got {batches}."
        )
    return batches
