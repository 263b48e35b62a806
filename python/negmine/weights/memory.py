"""Losses of examples over epochs: weights of bad pairs (DBPM, ICLR 2024), and replay by difficulty (as in CaBaGe)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import as_int64s, check_field
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.math import exp, ln
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_integer,
    check_real,
    check_seed,
    refuse_unknown_options,
)
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError
from negmine.weights._numbers import Numbers, as_numbers, refuse

__all__ = ["BadPairs", "ExampleMemory", "Replayed"]

KINDS = ("exp", "pdf")
EPOCH_WEIGHTS = ("uniform", "linear")

#: Added to a mean loss before it becomes the weight of a replay, so that examples of loss 0 are replayed as well.
FLOOR = 1e-6

#: Arrays of a state: weighted sums and weights of the epochs that are over, then sums and counts of the open one.
_ARRAYS = ("sums", "totals", "open_sums", "open_counts")

Int64s = npt.NDArray[np.int64]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class BadPairs:
    """Examples whose mean losses are far from those of the others.

    Attributes
    ----------
    noisy : bool (n_examples,)
        True where the mean loss is at most ``mean - noisy * sd``: too easy, such as a pair that shares only noise.
    faulty : bool (n_examples,)
        True where the mean loss is at least ``mean + faulty * sd``: too hard, such as a wrong label.
    mean : float
        Mean of the mean losses, over the examples that have one; NaN if none has.
    sd : float
        Their standard deviation, of the population.
    """

    noisy: npt.NDArray[np.bool_]
    faulty: npt.NDArray[np.bool_]
    mean: float
    sd: float


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """Examples that [`ExampleMemory.sample`][] drew.

    Attributes
    ----------
    indices : int64 (num,)
        Examples, in the order of the draws; they may repeat.
    log_prob : float64 (num,)
        Logarithm of the expected number of times that each is drawn. Weights ``exp(-log_prob)`` make sums over the
        draws unbiased for sums over all examples that can be drawn.
    """

    indices: Int64s
    log_prob: Numbers


class ExampleMemory:
    """Mean loss of every example over the epochs before the current one.

    Parameters
    ----------
    n_examples : int
        Number of examples.
    epoch_weight : {"uniform", "linear"}, default "uniform"
        Weight of an epoch in the mean of an example: equal, or 1 for epoch 0, 2 for epoch 1 and so on. Weights are
        divided by their sum over the epochs in which the example was seen.
    seed : int, default 0
        Seed of [`sample`][], in [0, 2**64).

    Notes
    -----
    Losses of one example within an epoch are averaged first. An epoch counts once it is over, when a later one is
    asked for: so the weights of an epoch do not depend on how far it has come. The memory is one of each process; give
    ranks that train on parts of the data one each, and [`merge`][] them between epochs.

    References
    ----------
    Lan et al.: "Towards Enhancing Time Series Contrastive Learning: A Dynamic Bad Pair Mining Approach", ICLR 2024
    (DBPM). The replay is like that of CaBaGe, whose law is not public.

    Examples
    --------
    >>> from negmine.weights import ExampleMemory
    >>> memory = ExampleMemory(4)
    >>> memory.update([0, 1, 2, 3], [1.0, 1.1, 0.9, 5.0], epoch=0)
    >>> memory.bad_pairs(epoch=1, faulty=1.5).faulty.tolist()
    [False, False, False, True]
    >>> memory.weights([0, 3], [1.0, 5.0], epoch=1, faulty=1.5).round(3).tolist()
    [1.0, 0.224]
    """

    @refuse_unknown_options("ExampleMemory")
    def __init__(
        self, n_examples: int, *, epoch_weight: Literal["uniform", "linear"] = "uniform", seed: int = 0
    ) -> None:
        n = check_integer(n_examples, "n_examples", least=1, most=2**62)
        ensure_fits_in_memory(n, 1, "n_examples", entry=40)
        self._epoch_weight = check_choice(epoch_weight, "epoch_weight", EPOCH_WEIGHTS)
        self._seed = check_seed(seed)
        self._sums, self._totals = np.zeros(n), np.zeros(n)
        self._epoch = 0
        self._open_sums, self._open_counts = np.zeros(n), np.zeros(n, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._sums)

    def __repr__(self) -> str:
        """Return the sizes, not the contents."""
        seen = int(((self._totals > 0) | (self._open_counts > 0)).sum())
        return f"ExampleMemory({len(self)} examples, {seen} of them seen, epoch {self._epoch})"

    def update(self, indices: npt.ArrayLike, losses: npt.ArrayLike, *, epoch: int) -> None:
        """Add the losses of a batch.

        Parameters
        ----------
        indices : int64 (n,)
            Examples of the batch; an example may repeat.
        losses : float64 (n,)
            Their losses, finite. A tensor must be detached and on the CPU.
        epoch : int
            Epoch of the batch, not before that of an earlier update.

        Raises
        ------
        NegmineTypeError
            An argument has a type that is not accepted.
        NegmineValueError
            An index is out of range, a loss is not finite, or the epoch is over.
        """
        rows, values = self._batch(indices, losses)
        number = check_epoch(epoch)
        if number < self._epoch:
            raise NegmineValueError(f"`epoch` must be at least {self._epoch}, the one that is open; got {number}.")
        if number > self._epoch:
            self._sums, self._totals = self._closed()
            self._epoch = number
            self._open_sums.fill(0.0)
            self._open_counts.fill(0)
        np.add.at(self._open_sums, rows, values)
        np.add.at(self._open_counts, rows, 1)

    def means(self, *, epoch: int) -> Numbers:
        """Return the mean loss of every example over the epochs before one.

        Parameters
        ----------
        epoch : int
            Epoch that is asked for, not before the open one.

        Returns
        -------
        float64 (n_examples,)
            Mean losses; NaN for examples that were not seen.
        """
        number = check_epoch(epoch)
        if number < self._epoch:
            raise NegmineValueError(f"`epoch` must be at least {self._epoch}, the one that is open; got {number}.")
        sums, totals = (self._sums, self._totals) if number == self._epoch else self._closed()
        means = np.full(len(self), np.nan)
        np.divide(sums, totals, out=means, where=totals > 0)
        return means

    def bad_pairs(self, *, epoch: int, noisy: float = 2.0, faulty: float = 3.0) -> BadPairs:
        """Find the examples whose mean losses are far below or above the mean of all.

        Parameters
        ----------
        epoch : int
            Epoch that is asked for; the losses of the epochs before it count.
        noisy : float, default 2.0
            Number of standard deviations below the mean from which an example is noisy, greater than 0.
        faulty : float, default 3.0
            Number of standard deviations above the mean from which an example is faulty, greater than 0.

        Returns
        -------
        BadPairs
            Masks of both kinds. Examples that were not seen are in neither; none is if all means are equal.
        """
        low, high = check_real(noisy, "noisy", above=0.0), check_real(faulty, "faulty", above=0.0)
        means = self.means(epoch=epoch)
        seen = means[~np.isnan(means)]
        if len(seen) == 0:
            none = np.zeros(len(self), dtype=np.bool_)
            return BadPairs(none, none.copy(), np.nan, np.nan)
        mean, sd = float(seen.mean()), float(seen.std())
        spread = sd > 0
        return BadPairs(spread & (means <= mean - low * sd), spread & (means >= mean + high * sd), mean, sd)

    def weights(
        self,
        indices: npt.ArrayLike,
        losses: npt.ArrayLike,
        *,
        epoch: int,
        kind: Literal["exp", "pdf"] = "exp",
        noisy: float = 2.0,
        faulty: float = 3.0,
    ) -> Numbers:
        """Return the weights of a batch: lower for bad pairs whose current losses are far from the mean.

        Parameters
        ----------
        indices : int64 (n,)
            Examples of the batch.
        losses : float64 (n,)
            Their current losses, finite. A tensor must be detached and on the CPU.
        epoch : int
            Epoch of the batch; the losses of the epochs before it decide which pairs are bad.
        kind : {"exp", "pdf"}, default "exp"
            ``"exp"``: ``exp(-(loss - mean)**2 / (2 * sd**2))``, in (0, 1]. ``"pdf"``: the density of the normal
            distribution, as in the paper, which exceeds 1 where ``sd`` is small and then raises the weight of bad
            pairs.
        noisy, faulty : float, default 2.0 and 3.0
            As for [`bad_pairs`][].

        Returns
        -------
        float64 (n,)
            Weights; 1 for examples that are not bad.
        """
        how = check_choice(kind, "kind", KINDS)
        rows, values = self._batch(indices, losses)
        found = self.bad_pairs(epoch=epoch, noisy=noisy, faulty=faulty)
        bad = found.noisy[rows] | found.faulty[rows]
        weights = np.ones(len(rows))
        if bad.any():
            weights[bad] = exp(-0.5 * ((values[bad] - found.mean) / found.sd) ** 2)
            if how == "pdf":
                weights[bad] /= found.sd * np.sqrt(2 * np.pi)
        return weights

    def sample(self, num: int, groups: npt.ArrayLike, *, epoch: int, step: int = 0, exponent: float = 1.0) -> Replayed:
        """Draw examples for a replay, with replacement: a class uniformly, then an example by its mean loss.

        Parameters
        ----------
        num : int
            Number of draws.
        groups : int64 (n_examples,)
            Class of every example; -1 for examples that are not replayed.
        epoch : int
            Epoch of the draws; the losses of the epochs before it count, so an example that was not seen is not drawn.
        step : int, default 0
            Step of the draws, in [0, 2**64): other draws of the same epoch.
        exponent : float, default 1.0
            Exponent of the mean loss, at least 0; 0 draws uniformly within a class. Losses must not be negative.

        Returns
        -------
        Replayed
            Examples and log-probabilities; empty if no example can be drawn.
        """
        number = check_integer(num, "num", least=0)
        labels = self._labels(groups)
        power = check_real(exponent, "exponent", least=0.0)
        means = self.means(epoch=epoch)
        rows = np.flatnonzero((labels >= 0) & ~np.isnan(means))
        if number == 0 or len(rows) == 0:
            return Replayed(np.zeros(0, dtype=np.int64), np.zeros(0))
        refuse(means[rows] < 0, means[rows], "losses", "have means of at least 0 for a replay")
        rows = rows[np.argsort(labels[rows], kind="stable")]
        weights = exp(power * ln(means[rows] + FLOOR))
        begins = np.flatnonzero(np.diff(labels[rows], prepend=-1))
        draws = _native.memory_draws(self._seed, check_epoch(epoch), _check_step(step), 2 * number)
        unit = ((draws >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        drawn = (unit[::2] * len(begins)).astype(np.int64)
        places, log_prob = np.empty(number, dtype=np.int64), np.empty(number)
        for which, end in enumerate([*begins[1:], len(rows)]):
            mine, within = np.flatnonzero(drawn == which), slice(begins[which], end)
            cumulative = np.cumsum(weights[within])
            found = np.searchsorted(cumulative[:-1], unit[1::2][mine] * cumulative[-1], side="right")
            places[mine] = begins[which] + found
            log_prob[mine] = ln(weights[within][found] / cumulative[-1])
        return Replayed(rows[places], log_prob + ln(np.array([number / len(begins)])))

    def insert(self, new_groups: npt.ArrayLike, groups: npt.ArrayLike, *, epoch: int) -> Int64s:
        """Choose places for new examples, and forget the losses of the examples that were there.

        Free places come first, in order. Then the largest class loses its example with the lowest mean loss: ties go by
        row, and between classes by number. An example that was not seen is lost last.

        Parameters
        ----------
        new_groups : int64 (n,)
            Classes of the new examples, from 0.
        groups : int64 (n_examples,)
            Class of every example; -1 for free places.
        epoch : int
            Epoch of the insertion; the losses of the epochs before it count.

        Returns
        -------
        int64 (n,)
            Places of the new examples, each another one. Store the examples and their classes there.
        """
        added, labels = as_int64s(new_groups, "new_groups"), self._labels(groups)
        refuse(added < 0, added, "new_groups", "be at least 0")
        if len(added) > len(self):
            raise NegmineValueError(f"`new_groups` must have at most {len(self)} entries; got {len(added)}.")
        means = self.means(epoch=epoch)
        places = _places(added.tolist(), labels, np.where(np.isnan(means), np.inf, means))
        for array in (self._sums, self._totals, self._open_sums, self._open_counts):
            array[places] = 0
        return places

    def merge(self, others: Iterable[ExampleMemory]) -> ExampleMemory:
        """Return a memory of the losses of this one and of others, such as those of other ranks.

        Parameters
        ----------
        others : iterable of ExampleMemory
            Memories of the same examples and options, whose open epoch is the same.

        Returns
        -------
        ExampleMemory
            New memory. Its sums are exact where each example was seen by one rank only; else they depend on the order
            of the memories by rounding.
        """
        merged = ExampleMemory(len(self), epoch_weight=self._epoch_weight, seed=self._seed)  # type: ignore[arg-type]
        merged.load_state_dict(self.state_dict())
        for other in others:
            if not isinstance(other, ExampleMemory):
                raise NegmineTypeError(f"`others` must hold ExampleMemory objects; got {type(other).__name__}.")
            mine, theirs = merged.state_dict(), other.state_dict()
            for name in ("epoch_weight", "seed", "epoch"):
                if mine[name] != theirs[name]:
                    raise NegmineValueError(f"`others` must have {name}={mine[name]!r}; got {theirs[name]!r}.")
            if len(other) != len(self):
                raise NegmineValueError(f"`others` must have {len(self)} examples; got {len(other)}.")
            merged.load_state_dict(mine | {name: mine[name] + theirs[name] for name in _ARRAYS})
        return merged

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs.

        Returns
        -------
        dict
            Options, the open epoch, and arrays of sums and counts.
        """
        arrays = (self._sums, self._totals, self._open_sums, self._open_counts)
        state: dict[str, Any] = {"epoch_weight": self._epoch_weight, "seed": self._seed, "epoch": self._epoch}
        return state | {name: array.copy() for name, array in zip(_ARRAYS, arrays, strict=True)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what [`state_dict`][] returned.

        Parameters
        ----------
        state : mapping
            State of a memory with as many examples.

        Raises
        ------
        NegmineTypeError, NegmineValueError
            An entry is missing, or has another type or size.
        """
        missing = [name for name in ("epoch_weight", "seed", "epoch", *_ARRAYS) if name not in state]
        if missing:
            raise NegmineValueError(f"`state` must have the entry {missing[0]!r}; it is missing.")
        weight = check_choice(state["epoch_weight"], "epoch_weight", EPOCH_WEIGHTS)
        seed, epoch = check_seed(state["seed"]), check_epoch(state["epoch"])
        arrays = [
            check_field(state[name], name, dtype, (len(self),)).copy()
            for name, dtype in zip(_ARRAYS, (np.float64, np.float64, np.float64, np.int64), strict=True)
        ]
        self._epoch_weight, self._seed, self._epoch = weight, seed, epoch
        self._sums, self._totals, self._open_sums, self._open_counts = arrays

    def _closed(self) -> tuple[Numbers, Numbers]:
        """Return the sums with the open epoch, as if it were over."""
        weight = 1.0 if self._epoch_weight == "uniform" else self._epoch + 1.0
        seen = self._open_counts > 0
        means = np.divide(self._open_sums, self._open_counts, out=np.zeros(len(self)), where=seen)
        return self._sums + weight * means, self._totals + weight * seen

    def _batch(self, indices: object, losses: object) -> tuple[Int64s, Numbers]:
        rows = as_int64s(indices, "indices")
        refuse((rows < 0) | (rows >= len(self)), rows, "indices", f"be from 0 to {len(self) - 1}")
        values = as_numbers(losses, "losses", (len(rows),))
        refuse(~np.isfinite(values), values, "losses", "be finite")
        return rows, values

    def _labels(self, groups: object) -> Int64s:
        labels = as_int64s(groups, "groups", len(self))
        refuse(labels < -1, labels, "groups", "be at least -1")
        return labels


def _check_step(step: object) -> int:
    return check_integer(step, "step", least=0, most=2**64 - 1)


def _places(added: list[int], labels: Int64s, means: Numbers) -> Int64s:
    """Return a place per new example: free ones, then those of the largest class that has an old example left."""
    free = iter(np.flatnonzero(labels < 0).tolist())
    order = np.lexsort((np.arange(len(labels)), means))
    old: dict[int, list[int]] = {label: [] for label in np.unique(labels[labels >= 0]).tolist()}
    for row in order[::-1].tolist():
        if labels[row] >= 0:
            old[int(labels[row])].append(row)
    sizes = {label: len(rows) for label, rows in old.items()}
    places = []
    for label in added:
        place = next(free, None)
        if place is None:
            largest = min((other for other, rows in old.items() if rows), key=lambda other: (-sizes[other], other))
            place = old[largest].pop()
            sizes[largest] -= 1
        places.append(place)
        sizes[label] = sizes.get(label, 0) + 1
    return np.array(places, dtype=np.int64)
