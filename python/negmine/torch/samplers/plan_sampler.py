"""Batch samplers that read a batch plan: they add position, epoch, rank and resumption, and nothing else.

A plan is a pure function of (epoch, index of the batch), and a sampler adds only its position. So the schedule is the
same for any number of ranks, workers or interruptions, and a state is a handful of numbers.

Loaders, trainers and checkpoints use a sampler as follows:

- They call ``iter`` more often than they read (torch twice per epoch with workers; torchdata again on loading). So an
  iterator does nothing before its first batch is requested; only then it takes the epoch and the position.
- They call ``set_epoch`` twice, once, or never. So setting the current epoch again changes nothing, and after the last
  batch of an epoch the next epoch follows, unless ``set_epoch`` is called.
- They read ahead. The state counts batches that were handed out, not batches that were trained on: a loader that
  distinguishes the two (torchdata's) can save it as it is, any other loader needs [`PlanBatches.state_dict_at`][].
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import BatchSampler, Sampler

from negmine._core import formats
from negmine._core.options import check_epoch, check_integer, refuse_unknown_fields
from negmine.batches import BatchPlan
from negmine.errors import NegmineTypeError, NegmineValueError, NegmineWarning

__all__ = ["PlanBatchSampler", "PlanBatches", "RaggedBatchSampler"]


class PlanBatches(Sampler[list[int]]):
    """Base class of the batch samplers: one rank's share of a plan's batches.

    Parameters
    ----------
    plan : BatchPlan
        Any plan.
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide its ``batches_per_step``.
    rank : int, default 0
        Rank of this sampler.
    """

    def __init__(self, plan: BatchPlan, *, num_replicas: int = 1, rank: int = 0) -> None:
        _check_plan(plan)
        replicas = check_integer(num_replicas, "num_replicas", least=1)
        self._rank = check_integer(rank, "rank", least=0)
        if self._rank >= replicas:
            raise NegmineValueError(
                f"`rank` must be below `num_replicas`; got rank={self._rank}, num_replicas={replicas}."
            )
        if plan.batches_per_step % replicas:
            raise NegmineValueError(
                f"`num_replicas` must divide `batches_per_step`; got num_replicas={replicas}, "
                f"batches_per_step={plan.batches_per_step}. Make the plan with a multiple of the number of ranks."
            )
        self._plan = plan
        self._next_plan: BatchPlan | None = None
        self._num_replicas = replicas
        self._epoch = 0
        #: Number of the plan's batches handed out on all ranks; a multiple of `num_replicas`.
        self._position = 0
        #: Start of the next iterator: 0, unless a loaded position was not used yet.
        self._begin = 0
        #: Whether a state was loaded and no batch was requested since.
        self._resuming = False
        #: Number of the iterator that moves the position; older iterators do not move it.
        self._reader = 0
        #: Epoch and plan of that iterator: with workers the plan may be replaced before the epoch is over.
        self._read_last: tuple[int, BatchPlan] | None = None
        #: Last epoch that was handed out completely, and whether a state was ever loaded.
        self._whole: int | None = None
        self._loaded = False
        self.batch_size = plan.batch_size
        #: The plan's ``remainder`` determines whether a short batch is dropped; wrappers only need the attribute.
        self.drop_last = False

    @property
    def plan(self) -> BatchPlan:
        """Plan in use."""
        return self._plan

    @property
    def epoch(self) -> int:
        """Epoch of the next batch."""
        return self._epoch

    @property
    def num_replicas(self) -> int:
        """Number of ranks that share the plan."""
        return self._num_replicas

    @property
    def rank(self) -> int:
        """Rank of this sampler."""
        return self._rank

    @property
    def sampler(self) -> PlanBatches:
        """The sampler itself: where Lightning, and accelerate with several processes, look for ``set_epoch``."""
        return self

    def __len__(self) -> int:
        """Return the exact number of batches of this rank per epoch."""
        return self._plan.batches_per_epoch // self._num_replicas

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: nothing below runs before the first batch is requested.
        self._settle_plan(at_start=self._begin == 0)
        self._reader += 1
        reader, plan, epoch, begin = self._reader, self._plan, self._epoch, self._begin
        self._position, self._begin, self._read_last = begin, 0, (epoch, plan)
        self._resuming = False
        if begin == 0:
            self._warn_if_read_again(epoch)
        if self._num_replicas > 1:
            _warn_if_sharded_again(self._num_replicas)
        for first in range(begin, plan.batches_per_epoch, self._num_replicas):
            batch: list[int] = np.asarray(plan.batch(epoch, first + self._rank)).tolist()
            if reader == self._reader:
                self._go_to(epoch, first + self._num_replicas)
            yield batch

    def _warn_if_read_again(self, epoch: int) -> None:
        """Warn if an epoch that was handed out completely begins again, or an earlier one after a resumption."""
        if self._whole is None or not (epoch == self._whole or (self._loaded and epoch < self._whole)):
            return
        again = f"epoch {epoch} is handed out again" if epoch == self._whole else f"epoch {epoch} follows it"
        warnings.warn(
            f"Epoch {self._whole} was handed out to its end, and {again}, because set_epoch({epoch}) was called. A "
            "loader that counts epochs itself starts at 0 in a resumed process: call its `set_epoch` with the epoch "
            "that is resumed before the first batch is asked for, under accelerate `loader.set_epoch(epoch)` before "
            "`skip_first_batches`, and at the start of every epoch after that.",
            NegmineWarning,
            stacklevel=3,
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iterator; setting the current epoch again changes nothing.

        An epoch other than that of a loaded state discards the state's position, with a warning. Setting an epoch that
        was just handed out completely hands it out again, with a warning at its first batch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).
        """
        wanted = check_epoch(epoch)
        if wanted == self._epoch:
            return
        if self._resuming:
            warnings.warn(
                f"set_epoch({wanted}) discards the loaded position, {self._begin} batches into epoch {self._epoch}.",
                NegmineWarning,
                stacklevel=2,
            )
        self._reader += 1
        self._begin, self._resuming = 0, False
        self._go_to(wanted, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the sampler, as a small copy.

        The state counts batches that were handed out. A loader with workers, or with a prefetching wrapper, has taken
        more batches than the model has seen: use torchdata's ``StatefulDataLoader``, which accounts for that, or
        [`state_dict_at`][].

        Returns
        -------
        dict
            ``format``, ``epoch``, ``position`` (batches that all ranks handed out, in [0, batches per epoch)),
            ``seed``, ``batch_size``, and ``digest`` of the plan; ``num_replicas`` and ``rank`` are informative only.
        """
        return self._state(self._epoch, self._position, self._plan)

    def state_dict_at(self, epoch: int, n_batches: int) -> dict[str, Any]:
        """Return the state of a sampler that has handed out a given number of batches of an epoch.

        Parameters
        ----------
        epoch : int
            Epoch, in [0, 2**64).
        n_batches : int
            Number of batches of this rank that were trained on, in [0, ``len(sampler)``]. ``len(sampler)`` gives the
            start of the next epoch.

        Returns
        -------
        dict
            State, as of [`state_dict`][].
        """
        number = check_epoch(epoch)
        count = check_integer(n_batches, "n_batches", least=0, most=len(self))
        if count == len(self):
            waiting = self._next_plan if number == self._epoch else None
            return self._state(_after(number), 0, self._plan if waiting is None else waiting)
        read = self._read_last
        plan = read[1] if read is not None and read[0] == number else self._plan
        return self._state(number, count * self._num_replicas, plan)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue at the position of a sampler of the same plan, with this or another number of ranks.

        A plan that waits for the next epoch is used at once if the state belongs to it, and is dropped otherwise.

        Parameters
        ----------
        state_dict : mapping
            State of [`state_dict`][] or [`state_dict_at`][].

        Raises
        ------
        NegmineTypeError, NegmineValueError
            If ``state_dict`` is not a state; has another format, seed, batch size or plan; or has a position that this
            number of ranks cannot begin at, because the ranks that wrote it stopped inside a step.
        """
        plan, epoch, position = self._read(state_dict)
        self._reader += 1
        self._whole, self._loaded = None, True
        self._plan, self._next_plan = plan, None
        self._epoch, self._position, self._begin, self._resuming = epoch, position, position, True

    def _state(self, epoch: int, position: int, plan: BatchPlan) -> dict[str, Any]:
        return {
            "format": formats.BATCH_SAMPLER.tag,
            "epoch": epoch,
            "position": position,
            "seed": plan.seed,
            "batch_size": self.batch_size,
            "digest": plan.digest,
            "num_replicas": self._num_replicas,
            "rank": self._rank,
        }

    def _read(self, state: object) -> tuple[BatchPlan, int, int]:
        """Read the plan, the epoch and the position of a state, and refuse one of another sampler."""
        if not isinstance(state, Mapping):
            raise NegmineTypeError(f"`state_dict` must be a mapping; got {type(state).__name__}.")
        plan, waiting = self._plan, self._next_plan
        if waiting is not None and _equal(state.get("digest"), waiting.digest):
            plan = waiting
        own = self._state(0, 0, plan)
        missing = sorted(own.keys() - state.keys() - {"num_replicas", "rank"})
        if missing:
            keys = ", ".join(sorted(map(repr, state))) or "nothing"
            raise NegmineValueError(f"`state_dict` must hold {', '.join(map(repr, missing))}; got {keys}.")
        for key in ("format", "seed", "batch_size", "digest"):
            if not _equal(state[key], own[key]):
                hint = " The plan's data or options are others." if key == "digest" else ""
                raise NegmineValueError(
                    f"`state_dict` must be of this sampler's {key}, {own[key]!r}; got {state[key]!r}.{hint}"
                )
        position = check_integer(state["position"], "position", least=0, most=plan.batches_per_epoch - 1)
        if position % self._num_replicas:
            raise NegmineValueError(
                f"`num_replicas` must divide the position of `state_dict`; got num_replicas={self._num_replicas}, "
                f"position={position}. Any number that divides `batches_per_step` goes on from the end of a step of "
                f"{plan.batches_per_step} batches."
            )
        return plan, check_epoch(state["epoch"]), position

    def _go_to(self, epoch: int, position: int) -> None:
        """Move to a position; the end of an epoch is the start of the next."""
        if position == self._plan.batches_per_epoch:
            self._whole = epoch
            epoch, position = _after(epoch), 0
        self._epoch, self._position = epoch, position
        self._settle_plan(at_start=position == 0)

    def _settle_plan(self, *, at_start: bool) -> None:
        """Use a plan that waits, if an epoch is about to start."""
        if at_start and self._next_plan is not None:
            self._plan, self._next_plan = self._next_plan, None

    def _replace_plan(self, plan: BatchPlan, argument: str) -> None:
        """Use another plan of the same lengths from the start of the next epoch."""
        for name in ("n_rows", "batches_per_epoch", "batches_per_step", "batch_size"):
            before, after = getattr(self._plan, name), getattr(plan, name)
            if before != after:
                raise NegmineValueError(
                    f"`{argument}` must leave {name} as it is, since loaders and trainers rely on it; "
                    f"got {after} after {before}."
                )
        self._next_plan = plan
        self._settle_plan(at_start=self._position == 0)


class PlanBatchSampler(PlanBatches, BatchSampler):  # type: ignore[misc]  # torch's `sampler` can be assigned
    """Batches of a plan, for the ``batch_sampler`` of a DataLoader.

    With several ranks, rank r gets batches r, r + ``num_replicas``, ... of every step: together, in order, these are
    the batches of a single rank. Keep the defaults of both arguments if a trainer distributes batches itself, as
    accelerate does, and with it the trainers of transformers and sentence-transformers: it would distribute them a
    second time.

    Parameters
    ----------
    plan : BatchPlan
        Plan with batches of one size, such as of [`negmine.batches.no_duplicate_plan`][].
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide its ``batches_per_step``. It is never read from
        torch.distributed.
    rank : int, default 0
        Rank of this sampler.
    sampler : None, default None
        Must be None: Lightning passes a sampler to replace this one. Pass ``use_distributed_sampler=False`` to its
        ``Trainer``, and the number of ranks to this class.

    Raises
    ------
    NegmineTypeError, NegmineValueError
        If ``plan`` is not a plan or is ragged, ``rank`` is out of range, or ``num_replicas`` does not divide a step.

    Warns
    -----
    NegmineWarning
        If ``num_replicas > 1`` and accelerate distributes the batches again; if an epoch that was handed out completely
        is handed out again.

    Notes
    -----
    ``IterableDataset`` does not take a sampler of any kind.

    accelerate counts epochs from 0 in every process, and its loaders set that epoch when they are iterated. To resume
    inside epoch e, call ``loader.set_epoch(e)`` first, then ``accelerator.skip_first_batches(loader, n)``, or
    ``loader.load_state_dict(state)`` where the loader is stateful; then ``loader.set_epoch(epoch)`` at the start of
    every later epoch. Otherwise the batches of epoch 0 are trained on again.

    Examples
    --------
    >>> import negmine
    >>> import torch
    >>> from negmine.torch import PlanBatchSampler
    >>> plan = negmine.batches.no_duplicate_plan([0, 0, 1, 1], [7, 8, 9, 7], batch_size=2)
    >>> sampler = PlanBatchSampler(plan)
    >>> loader = torch.utils.data.DataLoader(torch.arange(4), batch_sampler=sampler)
    >>> len(loader), sorted(loader, key=lambda batch: sum(batch))[0].shape
    (2, torch.Size([2]))
    >>> sampler.epoch, sampler.state_dict()["position"]
    (1, 0)
    """

    # torch's initializer would assign `sampler`.
    def __init__(
        self, plan: BatchPlan, *, num_replicas: int = 1, rank: int = 0, sampler: None = None, **_replaced: object
    ) -> None:
        self._refuse(sampler, **_replaced)
        super().__init__(plan, num_replicas=num_replicas, rank=rank)
        if plan.batch_size is None:
            raise NegmineValueError(
                "`plan` must have batches of one size, as torch's BatchSampler promises; got a ragged plan. "
                "`RaggedBatchSampler` takes it."
            )

    def _refuse(self, sampler: object, **others: object) -> None:
        """Refuse the arguments that a trainer passes when it rebuilds a batch sampler around another sampler."""
        if sampler is not None or others.keys() & {"batch_size", "drop_last"}:
            raise NegmineTypeError(
                f"`sampler` must be None: {type(self).__name__} draws batches from its plan; got a sampler to draw "
                "rows from. In Lightning, pass Trainer(use_distributed_sampler=False) and give the batch sampler "
                "`num_replicas` and `rank`."
            )
        for name in others:
            raise NegmineTypeError(f"`{type(self).__name__}` has no option {name!r}.")


@refuse_unknown_fields
class RaggedBatchSampler(PlanBatches):
    """Batches of a plan whose sizes differ, for the ``batch_sampler`` of a DataLoader.

    Its ``batch_size`` is None, so that accelerate keeps batches of every length, and it is not a ``BatchSampler`` of
    torch, which promises one length. Otherwise it is the same as [`PlanBatchSampler`][].

    Parameters
    ----------
    plan : BatchPlan
        Any plan.
    num_replicas : int, default 1
        Number of ranks that share the plan; must divide its ``batches_per_step``. It is never read from
        torch.distributed.
    rank : int, default 0
        Rank of this sampler.

    Examples
    --------
    >>> import negmine
    >>> from negmine.torch import RaggedBatchSampler
    >>> plan = negmine.batches.no_duplicate_plan([0, 0, 0, 1, 1], range(5), batch_size=3, conflicts="extend")
    >>> [len(batch) for batch in RaggedBatchSampler(plan)]
    [2, 2, 1]
    """

    def __init__(self, plan: BatchPlan, *, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(plan, num_replicas=num_replicas, rank=rank)
        self.batch_size = None


def _after(epoch: int) -> int:
    """Return the next epoch; 0 follows the last one, 2**64 - 1."""
    return (epoch + 1) % 2**64


def _equal(found: object, expected: object) -> bool:
    """Return whether a state's entry, which may be any object, including an array, has the expected value."""
    return bool(np.array_equal(found, expected))  # type: ignore[arg-type]


def _check_plan(plan: object) -> None:
    if not isinstance(plan, BatchPlan):
        raise NegmineTypeError(f"`plan` must be a batch plan, such as of no_duplicate_plan; got {type(plan).__name__}.")


def _warn_if_sharded_again(num_replicas: int) -> None:
    """Warn if accelerate's BatchSamplerShard reads the batches; only the call stack shows that it does."""
    if "accelerate" not in sys.modules:
        return
    # Look at the caller of the generator and its callers: SkipBatchSampler may be in between.
    frame, depth = sys._getframe(1), 0
    while frame is not None and depth < 8:
        reader = frame.f_locals.get("self")
        if type(reader).__name__ == "BatchSamplerShard" and getattr(reader, "num_processes", 1) > 1:
            warnings.warn(
                f"accelerate deals out the batches of a sampler that already keeps to one of {num_replicas} ranks, so "
                "most batches reach no rank. Leave `num_replicas` and `rank` at their defaults.",
                NegmineWarning,
                stacklevel=3,
            )
            return
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
