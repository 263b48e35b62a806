"""Class-balanced batches: the same number of rows of each of several classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core import formats
from negmine._core.arrays import Csr
from negmine._core.calls import ensure_fits_in_memory
from negmine._core.digests import digest
from negmine._core.labels import Ids, Strings, as_labels, codes_of
from negmine._core.options import check_choice, check_integer, check_seed, refuse_unknown_options
from negmine._core.reprs import short_repr
from negmine.batches.plan import Array, StreamPlan, steps_of_stream
from negmine.errors import NegmineValueError

__all__ = ["ClassBalancedPlan", "class_balanced_plan"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClassBalancedPlan(StreamPlan):
    """Batches with the same number of rows of each of their classes, made by [`class_balanced_plan`][].

    Attributes
    ----------
    n_rows : int
        Number of rows of the data.
    batch_size : int
        Number of rows per batch.
    batches_per_step : int
        Number of batches that are used together.
    batches_per_epoch : int
        Number of batches per epoch, also ``len(plan)``.
    seed : int
        Seed that the plan was made with.
    digest : str
        Hexadecimal digest of labels, options and seed: equal digests mean equal batches.
    report : dict
        Counts: ``rows``; ``unlabeled`` rows, which are in no batch; ``rows_per_epoch`` (draws, not distinct rows);
        ``classes``; ``classes_per_batch``; rows of the ``smallest`` and the ``largest`` class; and ``short``, the
        classes of fewer rows than ``per_class``, whose rows repeat within a batch.
    per_class : int
        Number of rows per class in a batch.
    """

    per_class: int
    _classes: Csr = field(repr=False)

    def _batches(self, epoch: int, start: int, stop: int) -> Array:
        return _native.class_batches(
            self._classes,
            len(self._classes.offsets) - 1,
            (self.batch_size or 0) // self.per_class,
            self.per_class,
            self.batches_per_epoch,
            self.seed,
            epoch,
            start,
            stop,
        )


@refuse_unknown_options("class_balanced_plan")
def class_balanced_plan(
    labels: npt.ArrayLike,
    *,
    batch_size: int,
    per_class: int,
    batches_per_step: int = 1,
    batches_per_epoch: int | None = None,
    unlabeled: Literal["error", "drop"] = "error",
    seed: int = 0,
) -> ClassBalancedPlan:
    """Plan batches of ``per_class`` rows of each of ``batch_size / per_class`` classes, for losses on class labels.

    Classes, and the rows of each class, are dealt like shuffled packs of cards: at any time, across epochs too, no
    class has been used twice more than another, and no row twice more than another of its class.

    Parameters
    ----------
    labels : int64 or str (n,)
        Class of each row; -1 or ``""`` means no class, see ``unlabeled``.
    batch_size : int
        Rows per batch, a multiple of ``per_class``, at most ``per_class`` times the number of classes.
    per_class : int
        Rows per class in a batch, at least 1. A class of fewer rows repeats them within the batch; ``report`` counts
        such classes.
    batches_per_step : int, default 1
        Batches that are used together: those of all ranks.
    batches_per_epoch : int, optional
        Batches per epoch, a multiple of ``batches_per_step``. Default: as many steps as hold all rows that have a
        class.
    unlabeled : {"error", "drop"}, default "error"
        Handling of rows without a class: "error" refuses them, "drop" leaves them out of all batches.
    seed : int, default 0
        Seed of every draw, in [0, 2**64).

    Returns
    -------
    ClassBalancedPlan
        The plan, which computes any batch without the ones before it.

    Raises
    ------
    NegmineTypeError
        If labels are neither integers nor strings, or a number is not an integer.
    NegmineValueError
        If there are no labels, a row has no class, a batch needs more classes than there are, or ``per_class`` does
        not divide ``batch_size``.

    Notes
    -----
    The sampling of "m per class" (Musgrave et al., "PyTorch Metric Learning", 2020), whose sampler draws from global
    random numbers and with replacement between batches.

    Examples
    --------
    >>> import negmine
    >>> labels = ["cat", "cat", "dog", "dog", "dog", "emu", "emu"]
    >>> plan = negmine.batches.class_balanced_plan(labels, batch_size=4, per_class=2)
    >>> sorted(labels[row] for row in plan.batch(0, 0))
    ['cat', 'cat', 'dog', 'dog']
    """
    read = as_labels(labels, "labels")
    if len(read) == 0:
        raise NegmineValueError("`labels` must hold the class of every row; got no rows.")
    labeled = _labeled(read, check_choice(unlabeled, "unlabeled", ("error", "drop")))
    names, numbers = codes_of(read[labeled])
    each = check_integer(per_class, "per_class", least=1)
    size = check_integer(batch_size, "batch_size", least=1)
    if size % each:
        raise NegmineValueError(f"`batch_size` must be a multiple of `per_class`, {each}; got {size}.")
    if size // each > len(names):
        raise NegmineValueError(
            f"`batch_size` must be at most {each * len(names)}, `per_class` rows of each of {len(names)} classes; "
            f"got {size}."
        )
    ensure_fits_in_memory(1, size, "batch_size")
    start = check_seed(seed)
    batches = steps_of_stream(len(labeled), size, batches_per_step, batches_per_epoch)
    offsets, places = _native.group_rows(numbers, len(names))
    sizes = np.diff(offsets)
    left_out = ["drop"] if len(labeled) < len(read) else []
    return ClassBalancedPlan(
        n_rows=len(read),
        batch_size=size,
        batches_per_step=int(batches_per_step),
        batches_per_epoch=batches,
        seed=start,
        digest=digest(
            formats.CLASS_BALANCED_PLAN.tag,
            [size, each, int(batches_per_step), batches, start, *left_out],
            [read],
        ),
        report={
            "rows": len(read),
            "unlabeled": len(read) - len(labeled),
            "rows_per_epoch": batches * size,
            "classes": len(names),
            "classes_per_batch": size // each,
            "smallest": int(sizes.min()),
            "largest": int(sizes.max()),
            "short": int((sizes < each).sum()),
        },
        per_class=each,
        _classes=Csr(offsets, labeled[places]),
    )


def _labeled(labels: Ids, unlabeled: str) -> Array:
    """Return the rows that have a class; refuse the others unless ``unlabeled`` is "drop"."""
    no_class: int | str = -1
    if isinstance(labels, Strings):
        no_class, without = "", np.diff(labels.offsets) == 0
    else:
        without = labels == no_class
    if without.any() and unlabeled == "error":
        raise NegmineValueError(
            f"`labels` must hold the class of every row; got {no_class!r}, which is no class, in {int(without.sum())} "
            f"rows, first in row {np.argmax(without)}. `unlabeled='drop'` leaves these rows out."
        )
    rows: Array = np.flatnonzero(~without)
    if len(rows) == 0:
        raise NegmineValueError(f"`labels` must hold a class in at least one row; got {no_class!r} in all rows.")
    return rows
