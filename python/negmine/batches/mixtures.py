"""Batches from several data sets: whole batches of one each, or rows of all of them in every batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.arrays import as_shares
from negmine._core.digests import digest
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_flag,
    check_integer,
    check_seed,
    refuse_unknown_options,
)
from negmine._core.reprs import short_repr
from negmine.batches.clusters import cluster_plan
from negmine.batches.permutation import epoch_permutation
from negmine.batches.plan import Array, BatchPlan, Plan, rows_of_batch
from negmine.batches.row_mixtures import RowMixturePlan, row_mixture
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["MixturePlan", "mixture_plan", "read_weights"]


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """Sources of one epoch, step after step."""

    epoch: int
    #: Source of each step, and which of its steps in this epoch it is.
    source: Array
    number: Array
    #: Steps of each source in all epochs before.
    before: list[int]
    #: What a later epoch is counted from.
    state: _native.SourceStepsOfEpoch | None


class _Last:
    """The order of the epoch that was asked for last. One assignment replaces it, so it needs no lock."""

    __slots__ = ("order",)

    def __init__(self) -> None:
        self.order: _Order | None = None

    def __reduce__(self) -> tuple[type[_Last], tuple[()]]:
        return _Last, ()


@short_repr
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MixturePlan(Plan):
    """Batches from several sources, made by [`mixture_plan`][].

    Attributes
    ----------
    n_rows : int
        Number of rows of all sources together.
    batch_size : int or None
        Number of rows per batch; None if sources have batches of different sizes.
    batches_per_step : int
        Number of batches that are used together; they come from one source.
    batches_per_epoch : int
        Number of batches per epoch, also ``len(plan)``.
    seed : int
        Seed of the plan.
    digest : str
        Hexadecimal digest of the sources' digests, options and seed; plans with the same digest have the same batches.
    report : dict
        ``rows``, and per source ``offsets`` (number of its first row), ``steps`` per epoch, and ``passes``: the number
        of the source's own epochs that these steps amount to. If ``weights`` are numbers, the last two are means over
        all epochs.
    offsets : int64 (n_sources + 1,)
        Rows ``offsets[i]`` to ``offsets[i + 1]`` are those of source ``i``, in the order of the source.
    """

    offsets: Array
    _sources: tuple[BatchPlan, ...] = field(repr=False)
    #: Steps an epoch of each source, or what shares them out to every epoch.
    _steps: Array | _native.SourceSteps = field(repr=False)
    _in_turn: bool = field(repr=False)
    _last: _Last = field(default_factory=_Last, repr=False)

    def source(self, epoch: int, index: int) -> int:
        """Return the number of the source that a batch comes from.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).
        index : int
            Number of the batch in the epoch.

        Returns
        -------
        int
            Number of the source, from 0.
        """
        number = check_epoch(epoch)
        place = check_integer(index, "index", least=0, most=self.batches_per_epoch - 1)
        return int(self._order(number).source[place // self.batches_per_step])

    def _order(self, epoch: int) -> _Order:
        """Source of every step."""
        last = self._last.order
        if last is not None and last.epoch == epoch:
            return last
        state = None
        if isinstance(self._steps, _native.SourceSteps):
            state = self._steps.epoch(epoch, None if last is None else last.state)
            steps, before = state.now, state.before
        else:
            steps, before = self._steps, [epoch * int(own) for own in self._steps]
        total = int(steps.sum())
        if self._in_turn:
            source = np.arange(total, dtype=np.int64) % len(steps)
        else:
            shuffled = epoch_permutation(total, seed=self.seed, epoch=epoch)
            source = np.searchsorted(np.cumsum(steps), shuffled, side="right").astype(np.int64)
        number = np.empty(total, dtype=np.int64)
        number[np.argsort(source, kind="stable")] = np.concatenate([np.arange(own) for own in steps])
        order = _Order(epoch, source, number, before, state)
        self._last.order = order
        return order

    def _batch(self, epoch: int, index: int) -> Array:
        step, place = divmod(index, self.batches_per_step)
        order = self._order(epoch)
        source = int(order.source[step])
        plan = self._sources[source]
        # A source continues where the last epoch ended.
        own = (order.before[source] + int(order.number[step])) * self.batches_per_step + place
        own_epoch, own_index = divmod(own, len(plan))
        rows: Array = plan.batch(own_epoch % 2**64, own_index) + self.offsets[source]
        return rows

    def _epoch(self, epoch: int) -> Array | list[Array]:
        batches = [self._batch(epoch, index) for index in range(self.batches_per_epoch)]
        return batches if self.batch_size is None else np.stack(batches)


@refuse_unknown_options("mixture_plan")
def mixture_plan(
    sources: Sequence[int | BatchPlan],
    *,
    batch_size: int | None = None,
    weights: Literal["proportional", "round_robin"] | npt.ArrayLike = "proportional",
    batches_per_step: int | None = None,
    batches_per_epoch: int | None = None,
    within_batch: bool = False,
    seed: int = 0,
) -> MixturePlan | RowMixturePlan:
    """Plan batches from several data sets, where each batch comes from one data set, or holds rows of all of them.

    The numbers of batches (or rows) from each data set follow ``weights``. The rows of all sources are numbered
    consecutively. If an epoch does not use all steps of a source, the next epoch continues with its remaining steps;
    after its last step, a source starts its own next epoch.

    Parameters
    ----------
    sources : sequence of int or BatchPlan
        Plans of the data sets; or the sizes of data sets, for random batches.
    batch_size : int, optional
        Rows per batch of the sources that are given as sizes; required if there are any.
    weights : {"proportional", "round_robin"} or float (n_sources,), default "proportional"
        ``"proportional"`` uses all steps of every source once per epoch, shuffled. ``"round_robin"`` alternates between
        the sources; each is used as many times as the smallest source has steps. Numbers, at least 0, distribute the
        steps among the sources in proportion, shuffled: after every epoch, each source has been used within one step
        of its exact share of all steps so far. A source of a small weight occurs in some epochs and not in others.
    batches_per_step : int, optional
        Number of batches that are used together; they come from one source. Default: that of the plans, or 1.
    batches_per_epoch : int, optional
        Number of batches per epoch if ``weights`` are numbers, a multiple of ``batches_per_step``. Default: the batches
        of all sources together.
    within_batch : bool, default False
        Whether every step holds rows of all sources, shuffled, so that rows of different data sets are in-batch
        negatives of each other. Sources must be sizes. The rows of an epoch are divided by ``weights`` (largest
        remainders, ties by place), or by size under ``"proportional"``; the steps are divided such that no source is a
        whole row off its share after any of them. No step holds a row twice.
    seed : int, default 0
        Seed of the plan, in [0, 2**64); it is also the seed of sources that are given as sizes.

    Returns
    -------
    MixturePlan or RowMixturePlan
        The plan, a ``RowMixturePlan`` if ``within_batch``; its batches depend only on the arguments and the epoch.

    Raises
    ------
    NegmineTypeError
        A source is neither a size nor a plan, or sizes are given without ``batch_size``.
    NegmineValueError
        There are no sources, plans have different ``batches_per_step``, weights are negative or all 0, or a number is
        out of range. With ``within_batch``: a source is a plan or smaller than its part of a step, or ``weights`` is
        ``"round_robin"``.

    References
    ----------
    Nguyen et al., "Quality Not Quantity: On the Interaction between Dataset Design and Robustness of CLIP", NeurIPS
    2022, mixes data sets within batches.

    Examples
    --------
    >>> import negmine
    >>> plan = negmine.batches.mixture_plan([60, 30], batch_size=10)
    >>> plan.report["steps"], sorted(plan.source(0, batch) for batch in range(len(plan)))
    ([6, 3], [0, 0, 0, 0, 0, 0, 1, 1, 1])
    """
    start = check_seed(seed)
    if check_flag(within_batch, "within_batch"):
        return _within_batch(sources, batch_size, weights, batches_per_step, batches_per_epoch, start)
    plans = _plans(sources, batch_size, batches_per_step, start)
    per_step = plans[0].batches_per_step
    available = np.array([len(plan) // per_step for plan in plans], dtype=np.int64)
    mode = read_weights(weights, batches_per_epoch, n=len(plans))
    if isinstance(mode, str):
        whole = available if mode == "proportional" else np.full_like(available, available.min())
        steps: Array | _native.SourceSteps = whole
        mean, total = whole.tolist(), int(whole.sum()) * per_step
    else:
        total = int(available.sum()) * per_step
        if batches_per_epoch is not None:
            total = _check_batches(batches_per_epoch, per_step)
        steps = _native.SourceSteps(mode, total // per_step)
        mean = steps.mean
    sizes = {plan.batch_size for plan in plans}
    offsets = np.cumsum([0, *(plan.n_rows for plan in plans)], dtype=np.int64)
    digests = [plan.digest for plan in plans]
    return MixturePlan(
        n_rows=int(offsets[-1]),
        batch_size=sizes.pop() if len(sizes) == 1 else None,
        batches_per_step=per_step,
        batches_per_epoch=total,
        seed=start,
        digest=digest(formats.MIXTURE_PLAN.tag, [digests, mode, mean, start], []),
        report={
            "rows": int(offsets[-1]),
            "offsets": offsets.tolist(),
            "steps": mean,
            "passes": (np.array(mean) / available).tolist(),
        },
        offsets=offsets,
        _sources=plans,
        _steps=steps,
        _in_turn=mode == "round_robin",
    )


def read_weights(
    weights: object,
    batches_per_epoch: int | None,
    *,
    n: int | None = None,
    words: tuple[str, ...] = ("proportional", "round_robin"),
) -> str | list[float]:
    """Validate the weights of a mixture.

    Parameters
    ----------
    weights : str or float (n,)
        A word, or a share of each source.
    batches_per_epoch : int or None
        Batches per epoch, which a word determines.
    n : int, optional
        Number of sources. Default: any.
    words : tuple of str, default ("proportional", "round_robin")
        The words that have a meaning.

    Returns
    -------
    str or list of float

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The weights are invalid, or ``batches_per_epoch`` is given with a word.
    """
    if not isinstance(weights, str):
        shares: list[float] = as_shares(weights, "weights", n).tolist()
        return shares
    word = check_choice(weights, "weights", words)
    if batches_per_epoch is not None:
        raise NegmineValueError(
            f"`batches_per_epoch` must be None if `weights` is {word!r}, which determines it; got {batches_per_epoch}."
        )
    return word


def _check_batches(batches_per_epoch: object, per_step: int) -> int:
    total = check_integer(batches_per_epoch, "batches_per_epoch", least=per_step)
    if total % per_step:
        raise NegmineValueError(
            f"`batches_per_epoch` must be a multiple of `batches_per_step`, {per_step}; got {total}."
        )
    return total


def _within_batch(
    sources: object,
    batch_size: object,
    weights: object,
    batches_per_step: object,
    batches_per_epoch: int | None,
    seed: int,
) -> RowMixturePlan:
    """Plan batches that hold rows of all sources."""
    sizes = [_check_size(source, place) for place, source in enumerate(_check_sources(sources))]
    if batch_size is None:
        raise NegmineTypeError("`batch_size` must be given if sources are sizes; got None.")
    size = check_integer(batch_size, "batch_size", least=1)
    per_step = 1 if batches_per_step is None else check_integer(batches_per_step, "batches_per_step", least=1)
    mode = read_weights(weights, batches_per_epoch, n=len(sizes), words=("proportional",))
    shares = [float(n_rows) for n_rows in sizes] if isinstance(mode, str) else mode
    total = None if batches_per_epoch is None else _check_batches(batches_per_epoch, per_step)
    return row_mixture(sizes, size, per_step, shares, total, seed)


def _check_sources(sources: object) -> Sequence[object]:
    if not isinstance(sources, Sequence) or isinstance(sources, str) or not sources:
        raise NegmineTypeError(f"`sources` must be a list of sizes or plans, at least one; got {sources!r}.")
    return sources


def _check_size(source: object, place: int) -> int:
    if isinstance(source, BatchPlan):
        raise NegmineTypeError(f"`sources` must hold sizes with `within_batch`; got a plan at place {place}.")
    if isinstance(source, bool) or not isinstance(source, int | np.integer):
        raise NegmineTypeError(f"`sources` must hold sizes and plans; got {type(source).__name__}.")
    if source < 1:
        raise NegmineValueError(f"`sources` must be at least 1; got {source} at place {place}.")
    return int(source)


def _plans(sources: object, batch_size: object, batches_per_step: object, seed: int) -> tuple[BatchPlan, ...]:
    """Validate the sources and return them as plans of the same ``batches_per_step``."""
    given = _check_sources(sources)
    ready = {place: source for place, source in enumerate(given) if isinstance(source, BatchPlan)}
    per_step = {plan.batches_per_step for plan in ready.values()}
    if batches_per_step is not None:
        per_step.add(check_integer(batches_per_step, "batches_per_step", least=1))
    if len(per_step) > 1:
        raise NegmineValueError(
            "`batches_per_step` must be the same for all sources, because their steps are mixed; got "
            f"{sorted(per_step)}."
        )
    together = per_step.pop() if per_step else 1
    if len(ready) == len(given) and batch_size is not None:
        raise NegmineValueError(f"`batch_size` must be None if all sources are plans; got {batch_size}.")
    if len(ready) < len(given) and batch_size is None:
        raise NegmineTypeError("`batch_size` must be given if sources are sizes; got None.")
    plans = []
    for place, source in enumerate(given):
        if place in ready:
            plans.append(ready[place])
            continue
        size = _check_size(source, place)
        rows_of_batch(batch_size, together, size, source=f"source {place}")
        # Two sources of the same size must have different orders.
        own = (seed + place) % 2**64
        rows = np.arange(size)
        plans.append(cluster_plan(rows, batch_size=batch_size, batches_per_step=together, seed=own))  # type: ignore[arg-type]
    return tuple(plans)
