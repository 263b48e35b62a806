"""Batches from several data sets, where each batch holds rows of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from negmine import _native
from negmine._core import formats
from negmine._core.digests import digest
from negmine._core.reprs import short_repr
from negmine.batches.permutation import epoch_permutation
from negmine.batches.plan import Array, PackedPlan
from negmine.errors import NegmineValueError

__all__ = ["RowMixturePlan", "row_mixture"]


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """Rows of one source, pass after pass: each pass is a random order of all rows.

    A step that ends a pass takes its other rows from the next one. Rows that the step already has are skipped there,
    and come first after the step.
    """

    n_rows: int
    seed: int
    #: Rows of the epoch before each step; the last entry is the number of rows per epoch.
    before: Array
    #: The last pass that depended on the pass before it, and its order.
    last: dict[int, Array] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type[_Source], tuple[int, int, Array]]:
        return _Source, (self.n_rows, self.seed, self.before)

    def rows(self, epoch: int) -> Array:
        """Return the rows of an epoch, in the order of its steps."""
        per_epoch = int(self.before[-1])
        begin = epoch * per_epoch
        if not per_epoch:
            return np.empty(0, dtype=np.int64)
        first, last = begin // self.n_rows, (begin + per_epoch - 1) // self.n_rows
        orders = np.concatenate([self._order(number) for number in range(first, last + 1)])
        start = begin - first * self.n_rows
        return orders[start : start + per_epoch]

    def _order(self, number: int) -> Array:
        """Return the order of a pass."""
        first = number
        # A pass depends on the one before it if the end of that was changed as well, which only small sources see.
        while first > 0 and first not in self.last and self._changed(first - 1) > self.n_rows - self._taken(first)[0]:
            first -= 1
        order = self.last[first] if first in self.last else self._after(first, self._plain(max(first - 1, 0)))
        for later in range(first + 1, number + 1):
            order = self._after(later, order)
        self.last.clear()
        self.last[number] = order
        return order

    def _plain(self, number: int) -> Array:
        return epoch_permutation(self.n_rows, seed=self.seed, epoch=number % 2**64)

    def _after(self, number: int, previous: Array) -> Array:
        """Return the order of a pass, given that of the pass before it."""
        order = self._plain(number)
        ended, taken = self._taken(number)
        if ended:
            there = np.isin(order, previous[self.n_rows - ended :])
            end = int(np.flatnonzero(~there)[taken - 1]) + 1
            head = np.argsort(there[:end], kind="stable")
            order[:end] = order[:end][head]
        return order

    def _changed(self, number: int) -> int:
        """Return how many rows at the beginning of a pass may be moved."""
        ended, taken = self._taken(number)
        return ended + taken if ended else 0

    def _taken(self, number: int) -> tuple[int, int]:
        """Return how many rows the step at the beginning of a pass takes from the pass before, and from this one."""
        place = number * self.n_rows % int(self.before[-1])
        step = int(np.searchsorted(self.before, place, side="right")) - 1
        return place - int(self.before[step]), int(self.before[step + 1]) - place


@short_repr
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowMixturePlan(PackedPlan):
    """Batches that hold rows of several sources, made by [`mixture_plan`][] with ``within_batch=True``.

    Attributes
    ----------
    n_rows : int
        Number of rows of all sources together.
    batch_size : int
        Number of rows per batch.
    batches_per_step : int
        Number of batches that are used together, and that share the rows of each source.
    batches_per_epoch : int
        Number of batches per epoch, also ``len(plan)``.
    seed : int
        Seed of the plan.
    digest : str
        Hexadecimal digest of sizes, options and seed; plans with the same digest have the same batches.
    report : dict
        ``rows``, and per source ``offsets`` (number of its first row), ``rows_per_epoch``, and ``passes``: the number
        of times that an epoch uses each row on average.
    offsets : int64 (n_sources + 1,)
        Rows ``offsets[i]`` to ``offsets[i + 1]`` are those of source ``i``.
    """

    offsets: Array
    #: Rows of each source in each step.
    _counts: Array = field(repr=False)
    _sources: tuple[_Source, ...] = field(repr=False)

    def _pack(self, epoch: int) -> tuple[Array, None]:
        steps, width = len(self._counts), int(self._counts[0].sum())
        columns = np.cumsum(self._counts, axis=1) - self._counts
        rows = np.empty((steps, width), dtype=np.int64)
        for number, source in enumerate(self._sources):
            counts = self._counts[:, number]
            step = np.repeat(np.arange(steps), counts)
            within = np.arange(len(step)) - np.repeat(source.before[:-1], counts)
            rows[step, columns[step, number] + within] = source.rows(epoch) + self.offsets[number]
        shuffle = (self.seed + len(self._sources)) % 2**64
        for place in range(steps):
            at = (epoch * steps + place) % 2**64
            rows[place] = rows[place, epoch_permutation(width, seed=shuffle, epoch=at)]
        return rows.reshape(-1), None


def row_mixture(
    sizes: Sequence[int],
    batch_size: int,
    batches_per_step: int,
    shares: Sequence[float],
    batches_per_epoch: int | None,
    seed: int,
) -> RowMixturePlan:
    """Plan batches that hold rows of all sources; the arguments are those of [`mixture_plan`][], already validated.

    Parameters
    ----------
    sizes : sequence of int
        Number of rows of each source.
    batch_size, batches_per_step : int
        Rows per batch, and batches that are used together.
    shares : sequence of float
        Share of each source.
    batches_per_epoch : int or None
        Batches per epoch, a multiple of ``batches_per_step``; None for as many as all rows fill.
    seed : int
        Seed of the plan.

    Returns
    -------
    RowMixturePlan

    Raises
    ------
    NegmineValueError
        All rows do not fill a step, or a source is smaller than its part of a step.
    """
    width = batch_size * batches_per_step
    steps = sum(sizes) // width if batches_per_epoch is None else batches_per_epoch // batches_per_step
    if not steps:
        raise NegmineValueError(
            f"`batch_size` times `batches_per_step` must be at most the {sum(sizes)} rows of all sources; got {width}."
        )
    counts = _native.mixture_rows(list(shares), steps, width)
    for place, (size, most) in enumerate(zip(sizes, counts.max(axis=0).tolist(), strict=True)):
        if most > size:
            raise NegmineValueError(
                f"`sources` must have at least the rows that a step takes of them, which is {most} at place {place}; "
                f"got {size}. Lower its weight or `batch_size`."
            )
    before = np.concatenate([np.zeros((1, len(sizes)), dtype=np.int64), np.cumsum(counts, axis=0)])
    offsets = np.cumsum([0, *sizes], dtype=np.int64)
    totals = before[-1].tolist()
    return RowMixturePlan(
        n_rows=int(offsets[-1]),
        batch_size=batch_size,
        batches_per_step=batches_per_step,
        batches_per_epoch=steps * batches_per_step,
        seed=seed,
        digest=digest(formats.ROW_MIXTURE_PLAN.tag, [list(sizes), batch_size, batches_per_step, totals, seed], []),
        report={
            "rows": int(offsets[-1]),
            "offsets": offsets.tolist(),
            "rows_per_epoch": totals,
            "passes": (np.array(totals) / np.array(sizes)).tolist(),
        },
        offsets=offsets,
        _counts=counts,
        _sources=tuple(
            _Source(size, (seed + place) % 2**64, np.ascontiguousarray(before[:, place]))
            for place, size in enumerate(sizes)
        ),
    )
