"""Batches without in-batch duplicates, so that no positive of a row serves as a negative of another row."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.arrays import as_array
from negmine._core.calls import Progress, check_progress
from negmine._core.digests import digest
from negmine._core.labels import Ids, Strings, as_labels, codes_of, concatenate, describe_labels
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_flag,
    check_seed,
    refuse_unknown_options,
)
from negmine._core.reprs import short_repr
from negmine.batches.plan import (
    REMAINDERS,
    Array,
    PackedPlan,
    Remainder,
    batch_bounds,
    check_last_step,
    rows_of_batch,
)
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["NoDuplicatePlan", "no_duplicate_plan"]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Ids of all rows as the core reads them: numbers from 0, and -1 for no id."""

    anchors: npt.NDArray[np.int64]
    positives: npt.NDArray[np.int64]
    negatives: npt.NDArray[np.int64]
    n_anchors: int
    n_documents: int
    strict: bool


@short_repr
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NoDuplicatePlan(PackedPlan):
    """Batches without duplicates, made by [`no_duplicate_plan`][].

    Attributes
    ----------
    n_rows : int
        Number of rows of the data.
    batch_size : int or None
        Number of rows per batch; None under ``conflicts="extend"``, where sizes may differ by one, and under
        ``remainder="short"``.
    batches_per_step : int
        Number of batches that together have no conflict.
    steps : int
        Number of steps that hold all rows, or under ``conflicts="drop"`` of full steps; the same for every epoch.
    lower_bound : int
        Minimum number of steps that any single id or the number of rows requires.
    bound_id : int, str or None
        Id that requires ``lower_bound`` steps; None if the number of rows does.
    batches_per_epoch : int
        Number of batches per epoch, also ``len(plan)``; a multiple of ``batches_per_step``.
    seed : int
        Seed of the plan.
    digest : str
        Hexadecimal digest of ids, options, seed and number of steps; plans with the same digest have the same batches.
    report : dict
        ``rows``, ``rows_per_epoch`` (including repeats), ``repeated`` and ``left_out`` rows per epoch, the numbers of
        ``exclusive`` and ``shared`` rows with ``bound_id``, the ``conflicting_pairs`` and the ``excess`` of the base
        packing, as in [`epoch_report`][], and ``epochs_from_base``: the number of epochs, among those that this
        object has packed, whose own order could not be packed, so that the base packing was shuffled instead. The base
        packing is the one that was found when the plan was built.
    """

    steps: int
    lower_bound: int
    bound_id: int | str | None
    _plan: _native.NoDuplicatePlan = field(repr=False)

    _from_base: set[int] = field(default_factory=set, repr=False)

    def _pack(self, epoch: int) -> tuple[Array, Array | None]:
        rows, offsets, from_base = self._plan.epoch(epoch)
        if from_base:
            self._from_base.add(epoch)
            self.report["epochs_from_base"] = len(self._from_base)
        if self.batch_size is not None:
            return rows, None
        return rows, batch_bounds(offsets, self.batches_per_step)

    def uses_base(self, epoch: int) -> bool:
        """Return whether an epoch is a shuffle of the base packing, because its own order could not be packed.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        bool
            True if the base packing was shuffled.
        """
        return self._plan.epoch(check_epoch(epoch))[2]

    def epoch_report(self, epoch: int) -> dict[str, int | bool]:
        """Pack an epoch and return a report on it.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).

        Returns
        -------
        dict
            ``conflicting_pairs``: pairs of rows in the same step, counted once for each id that they share. An in-batch
            mask must hide them; there are none except under ``conflicts="spread"``. ``excess``: number of rows that
            exceed an even distribution of their id over the steps. ``from_base``: whether the base packing was
            shuffled, because the epoch's own order could not be packed.
        """
        rows, offsets, from_base = self._plan.epoch(check_epoch(epoch))
        pairs, excess = self._plan.together(rows, offsets)
        return {"conflicting_pairs": pairs, "excess": excess, "from_base": from_base}


@refuse_unknown_options("no_duplicate_plan")
def no_duplicate_plan(
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
    progress: Progress | None = None,
) -> NoDuplicatePlan:
    """Plan batches in which no positive of a row is a document of another row, using every row.

    A step consists of ``batches_per_step`` consecutive batches. Two rows conflict if they share an anchor, or if a
    positive of one row is any document of the other. No step holds two conflicting rows, and every row is in one step
    per epoch. Rows of different steps may conflict. If the ids make such a plan impossible, ``conflicts`` decides what
    to do.

    Parameters
    ----------
    anchors : int64 or str (n,)
        Anchor id of each row. Anchors are only compared with anchors. Here and below, -1 or ``""`` means no id; strings
        that differ only in trailing NULs are equal, because NumPy drops these.
    positives : int64 or str (n,) or (n, p)
        Document ids of each row's positives.
    negatives : int64 or str (n,) or (n, k), optional
        Document ids of each row's negatives.
    batch_size : int
        Rows per batch, at least 1; ``batch_size * batches_per_step`` must be at most ``n``, unless
        ``remainder="short"``.
    batches_per_step : int, default 1
        Number of batches that are used together: those of all ranks if scores are gathered. The world size must divide
        it.
    strict : bool, default False
        Whether two rows also conflict if they share a negative.
    conflicts : {"error", "drop", "spread", "extend"}, default "error"
        What to do if ids require more steps than ``ceil(n / (batch_size * batches_per_step))``:

        - ``"error"`` raises an error with the id, the number of steps, the batch size that would fit, and the number of
          rows that ``"drop"`` would leave out.
        - ``"drop"`` uses only full steps. Rows of frequent ids are left out in turn: a row that is left out in one
          epoch has priority over rows of equally frequent ids in the next.
        - ``"spread"`` uses as many steps as the rows fill. An id that these steps cannot keep apart is distributed
          evenly over them; its conflicts are counted, and require [`false_negative_mask`][].
        - ``"extend"`` uses as many steps as the ids require, with sizes that differ by at most one; an epoch is then a
          list of batches.
    remainder : {"pad", "drop", "error", "short"}, default "pad"
        Handling of a short last step: ``"pad"`` repeats rows that do not conflict with it, ``"drop"`` leaves the step
        out (different rows each epoch), ``"error"`` raises an error. Under ``conflicts="spread"``, ``"pad"`` may also
        repeat conflicting rows. ``"short"`` keeps the step short and distributes its rows evenly over its batches, so
        that every row is used exactly once, as an evaluation requires; if there are fewer rows than a step holds, they
        form one short step.
    seed : int, default 0
        Seed of the plan, in [0, 2**64).
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms, with a new total for every stage. The total of the search
        for a packing is an upper limit of its cost.

    Returns
    -------
    NoDuplicatePlan
        The plan; its batches depend only on the arguments and the epoch.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or only some of the ids are strings.
    NegmineValueError
        Ids have different lengths, a batch is larger than the data, no packing into as few steps was found under
        ``conflicts="error"``, the last step is short under ``remainder="error"`` or cannot be padded, or not even one
        full step without conflict was found.

    Notes
    -----
    An epoch is [`epoch_permutation`][], cut into steps and repaired by swaps, the most frequent id first, then by a
    search through conflicts (min-conflicts with a tabu list). If that fails, rows of frequent ids are placed first, and
    a row without a place is exchanged along chains of other rows (Kempe, 1879). The number of steps is the first one,
    from the lower bound on, for which this succeeds. Finding the minimum number of steps is NP-hard: for a few dozen
    rows the search is exhaustive, and larger data may get more steps than necessary. Rows of one anchor and one
    positive, without negatives, are edges of a bipartite graph, for which the lower bound is attained (König, 1916)
    unless the last step is short.

    A search ends after a number of operations, about five seconds of them for the whole plan; after that, each number
    of steps gets a sixteenth of the search that it would get otherwise.

    A plan uses about 8 bytes per row, plus 8 bytes per occurrence and 24 bytes per id for ids that can conflict. The
    epoch of the last requested batch is cached, in 8 bytes per row.

    Examples
    --------
    >>> import negmine
    >>> plan = negmine.batches.no_duplicate_plan([0, 0, 1, 1], [7, 8, 9, 7], batch_size=2)
    >>> plan.steps, plan.lower_bound, plan.epoch(0).shape
    (2, 2, (2, 2))
    """
    flag = check_flag(strict, "strict")
    mode = check_choice(conflicts, "conflicts", ("error", "drop", "spread", "extend"))
    rest = check_choice(remainder, "remainder", REMAINDERS)
    start = check_seed(seed)
    watch = check_progress(progress)
    tables = _tables(anchors, positives, negatives)
    n = tables[0].shape[0]
    size = rows_of_batch(batch_size, batches_per_step, n, rest)
    per_step = int(batches_per_step)
    step = min(size * per_step, n)
    columns, names = _columns(tables, flag)
    policy = "extend" if mode == "error" else mode
    kept = "drop" if rest == "error" else rest
    plan = _native.NoDuplicatePlan(columns, step, policy, kept, start, watch)
    steps, least = plan.steps, -(-n // step)
    lower, place, exclusive, shared = plan.bound
    bound_id = None if place is None else _label(names[place[0]], place[1])
    if steps > least and mode == "error":
        why = "" if place is None else _bound_reason(place[0], bound_id, exclusive, shared)
        message = _refusal(n, step, steps, plan.needed, why)
        enough = _enough(columns, n // steps, start)
        raise NegmineValueError(
            f"`batch_size` x `batches_per_step` must be smaller for these ids{enough}; got {size} x {per_step}: "
            f"{message} {_ways_out(columns, step, start)}"
        )
    short = n % step if steps == least else 0
    check_last_step(n // step, short, size, per_step, rest)
    if steps > least and n // steps < per_step:
        raise NegmineValueError(
            f"`batches_per_step` must be at most the rows of a step; got {per_step} where {steps} steps without "
            f"conflict were found, of {n // steps} rows."
        )
    repeated = step - short if short and rest == "pad" else 0
    left_out = n - steps * step if steps < least else short if rest == "drop" else 0
    pairs, excess = plan.together_in_base
    arrays = [array for table in tables for array in table.arrays()]
    return NoDuplicatePlan(
        n_rows=n,
        batch_size=None if mode == "extend" or rest == "short" else size,
        batches_per_step=per_step,
        steps=steps,
        lower_bound=lower,
        bound_id=bound_id,
        batches_per_epoch=plan.emitted * per_step,
        seed=start,
        digest=digest(formats.NO_DUPLICATE_PLAN.tag, [size, per_step, flag, mode, rest, start, steps], arrays),
        report={
            "rows": n,
            "rows_per_epoch": n + repeated - left_out,
            "repeated": repeated,
            "left_out": left_out,
            "exclusive": exclusive,
            "shared": shared,
            "conflicting_pairs": pairs,
            "excess": excess,
            "epochs_from_base": 0,
        },
        _plan=plan,
    )


def _bound_reason(space: str, bound_id: int | str | None, exclusive: int, shared: int) -> str:
    """Say how often the id that decides occurs."""
    kind = space.removesuffix("s")
    why = f"{kind} {bound_id!r} is in {exclusive + shared} rows"
    if shared:
        why += f", in {exclusive} of them as {'an anchor' if kind == 'anchor' else 'a positive'}"
    return f"{why}, so "


def _refusal(n: int, step: int, steps: int, needed: int, why: str) -> str:
    """Say how many steps were found, and what was proved about fewer of them."""
    least = -(-n // step)
    fewer = f"{least} {'step' if least == 1 else 'steps'} of {step} rows"
    if needed <= least:
        were = "was" if least == 1 else "were"
        return f"a packing of {n} rows without conflict into {fewer} {were} not found; one into {steps} steps was."
    found = f"{needed} steps" if needed == steps else f"at least {needed} steps"
    return f"{why}{n} rows need {found} without conflict, and {fewer} {'does' if least == 1 else 'do'} not exist."


def _enough(columns: Columns, step: int, seed: int) -> str:
    """Name a size of a step for which a plan is found."""
    n = len(columns.anchors)
    if step > 1 and _native.NoDuplicatePlan(columns, step, "extend", "drop", seed, None).steps > -(-n // step):
        return ""
    return f" ({step} is enough)"


def _ways_out(columns: Columns, step: int, seed: int) -> str:
    """Return a sentence on the other values of ``conflicts`` and what each costs."""
    n = len(columns.anchors)
    ways = "`conflicts='extend'` takes the steps that were found, 'spread' lets some rows conflict"
    try:
        dropping = _native.NoDuplicatePlan(columns, step, "drop", "drop", seed, None)
    except NegmineValueError:
        return f"{ways}."
    return f"{ways}, and 'drop' leaves out {n - dropping.emitted * step} rows per epoch."


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Ids of some columns, row after row."""

    ids: Ids
    shape: tuple[int, int]

    def arrays(self) -> list[Array | Strings]:
        """Return what a digest depends on."""
        if isinstance(self.ids, Strings):
            return [np.array(self.shape), self.ids]
        return [self.ids.reshape(self.shape)]


def _tables(anchors: object, positives: object, negatives: object) -> list[_Table]:
    """Validate anchors, positives and negatives, which must have the same number of rows."""
    anchor_ids = as_labels(anchors, "anchors")
    n = len(anchor_ids)
    own = _table(positives, "positives", n)
    others = _Table(own.ids[:0], (n, 0)) if negatives is None else _table(negatives, "negatives", n)
    if len(others.ids) and len(own.ids) and isinstance(own.ids, Strings) != isinstance(others.ids, Strings):
        raise NegmineTypeError(
            f"`negatives` must have the same type as `positives`; got {describe_labels(others.ids)} against "
            f"{describe_labels(own.ids)}."
        )
    return [_Table(anchor_ids, (n, 1)), own, others]


def _columns(tables: list[_Table], strict: bool) -> tuple[Columns, dict[str, Ids | range]]:
    """Number the ids of anchors and of documents; return the numbers and the ids that they stand for."""
    (anchors,), anchor_names = _numbered(tables[:1])
    (positives, negatives), document_names = _numbered(tables[1:])
    columns = Columns(anchors, positives, negatives, len(anchor_names), len(document_names), strict)
    return columns, {"anchors": anchor_names, "documents": document_names}


def _table(value: object, argument: str, n: int) -> _Table:
    """Validate the ids of ``n`` rows."""
    entries, shape = _entries(value, argument)
    if len(shape) not in (1, 2) or shape[0] != n:
        raise NegmineValueError(
            f"`{argument}` must have shape ({n},) or ({n}, k), because there are {n} anchors; got shape {shape}."
        )
    width = shape[1] if len(shape) == 2 else 1
    if len(entries) and all(isinstance(entry, str) for entry in entries):
        return _Table(Strings.of(entries, argument, lambda place: place // width), (n, width))
    return _Table(as_labels(entries, argument), (n, width))


def _entries(value: object, argument: str) -> tuple[Any, tuple[int, ...]]:
    """Return the ids in one sequence, and their shape; strings stay objects."""
    if isinstance(value, Strings):
        return value, value.shape
    if isinstance(value, list | tuple) and value and all(isinstance(row, list | tuple) for row in value):
        widths = {len(row) for row in value}
        if len(widths) == 1:
            return list(itertools.chain.from_iterable(value)), (len(value), widths.pop())
    read = as_array(value, argument)
    flat = read.ravel()
    return flat.tolist() if read.dtype.kind in "OTU" else flat, read.shape


def _numbered(tables: list[_Table]) -> tuple[list[Array], Ids | range]:
    """Number ids from 0; return the numbers and the ids that they stand for."""
    flat = functools.reduce(concatenate, [table.ids for table in tables if len(table.ids)] or [np.empty(0, np.int64)])
    names: Ids | range
    if isinstance(flat, Strings):
        absent = np.diff(flat.offsets) == 0
        names, numbers = codes_of(flat)
    else:
        absent = flat == -1
        low, high = (int(flat.min()), int(flat.max())) if flat.size else (0, -1)
        if high - low < 4 * flat.size:
            names, numbers = range(low, high + 1), flat - low
        else:
            names, numbers = codes_of(flat)
    numbers = np.where(absent, -1, numbers).astype(np.int64)
    ends = np.cumsum([len(table.ids) for table in tables])[:-1]
    parts = [part.reshape(table.shape) for part, table in zip(np.split(numbers, ends), tables, strict=True)]
    return parts, names


def _label(names: Ids | range, number: int) -> int | str:
    name = names[number]
    label: int | str = name if isinstance(name, int | str) else name.item()
    return label
