"""Conformance checks: the contracts of a batch sampler with loaders, trainers and checkpoints.

A broken contract shows late: a rank waits for a batch that never comes, a resumed run sees other rows, an epoch repeats
the last one. ``check_batch_sampler`` takes a minute, nearly all of it for starting workers.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset

from negmine.errors import NegmineError, NegmineTypeError

__all__ = ["CONTRACTS", "ConformanceError", "check_batch_sampler"]

#: Function of the number of ranks and the rank that makes a sampler, always with the same data, options and seed.
MakeSampler = Callable[[int, int], Any]

#: Maximum size in bytes of a pickled state, which torchdata takes for every batch and queues.
_SMALL_STATE = 4096


class ConformanceError(NegmineError, AssertionError):
    """A batch sampler breaks a contract.

    Attributes
    ----------
    contract : str
        Name of the broken contract, from ``CONTRACTS``.
    """

    def __init__(self, contract: str, message: str) -> None:
        super().__init__(f"{contract}: {message}")
        self.contract = contract
        self._message = message

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[str, str]]:
        return type(self), (self.contract, self._message)


@dataclass(frozen=True, slots=True)
class _Subject:
    """The sampler to check, and the settings of the checks."""

    make: MakeSampler
    world_sizes: tuple[int, ...]
    start_methods: tuple[str, ...]
    persistent: tuple[bool, ...]
    time_limit: float

    def batches(self, epoch: int, num_replicas: int = 1, rank: int = 0) -> list[list[int]]:
        """Return the batches of one epoch of a fresh sampler."""
        sampler = self.make(num_replicas, rank)
        sampler.set_epoch(epoch)
        return list(sampler)


def check_batch_sampler(
    make_sampler: MakeSampler,
    *,
    contracts: Sequence[str] | None = None,
    world_sizes: Sequence[int] = (1, 2, 3),
    start_methods: Sequence[str] = ("fork", "spawn", "forkserver"),
    persistent_workers: Sequence[bool] = (False, True),
    time_limit: float = 60.0,
) -> tuple[str, ...]:
    """Check a batch sampler against the contracts of DataLoaders, trainers and checkpoints.

    Parameters
    ----------
    make_sampler : callable
        ``make_sampler(num_replicas, rank)`` returns a fresh sampler, always with the same data, options and seed, whose
        epochs differ. Keep it small: the check resumes from the position of every batch.
    contracts : sequence of str, optional
        Names from ``CONTRACTS``. Default: all of them.
    world_sizes : sequence of int, default (1, 2, 3)
        Numbers of ranks to try; (1,) for a sampler without ranks.
    start_methods : sequence of str, default ("fork", "spawn", "forkserver")
        Methods to start the two workers of a DataLoader.
    persistent_workers : sequence of bool, default (False, True)
        Values of ``persistent_workers`` of the DataLoader to try.
    time_limit : float, default 60.0
        Seconds that a worker may take for a batch, including its start.

    Returns
    -------
    tuple of str
        Names of the contracts that were checked.

    Raises
    ------
    ConformanceError
        If a contract is broken: the name of the first one, with the expected and the actual result.
    NegmineTypeError
        If a contract does not exist.

    Notes
    -----
    The contracts, in the order of the checks; some loader, trainer or checkpoint relies on each of them.

    - ``lists of int``: batches are non-empty lists of ``int``; accelerate adds them.
    - ``batch size``: every batch has ``batch_size`` rows, or ``batch_size`` is None; accelerate drops other batches.
    - ``exact length``: ``len`` is the number of batches, in every epoch and on every rank.
    - ``ranks``: all ranks get the same number of batches; in turn, these are the batches of a single rank.
    - ``lazy iterators``: ``iter`` only returns an iterator; loaders with workers call it twice and read the second.
    - ``repeatable``: batches do not depend on global random generators, and the sampler does not draw from them.
    - ``epochs``: ``set_epoch`` determines the order, also if it is called twice, and epochs differ.
    - ``set_epoch in reach``: ``sampler.sampler.set_epoch`` does the same; Lightning and accelerate call no other.
    - ``state``: ``state_dict`` is small, a copy, and holds format, epoch, seed, batch size and a digest of the data.
    - ``refusal``: a state with another format, seed, batch size or digest raises ``ValueError``.
    - ``resume``: from each position, the remaining batches follow, then the next epoch; from the end, the next epoch.
    - ``resume on other ranks``: with another number of ranks, the global order continues, or the state is refused.
    - ``pickling``: a sampler can be pickled at any time, and keeps its position.
    - ``workers``: a DataLoader with two workers returns two epochs in order and in time.

    Examples
    --------
    >>> from negmine.torch import NoDuplicateBatchSampler
    >>> from negmine.torch.testing import check_batch_sampler
    >>> def make(num_replicas, rank):
    ...     ids = range(24)
    ...     return NoDuplicateBatchSampler(
    ...         ids, ids, batch_size=2, batches_per_step=6, num_replicas=num_replicas, rank=rank
    ...     )
    >>> check_batch_sampler(make, contracts=["exact length", "ranks"])
    ('exact length', 'ranks')
    """
    chosen = tuple(CONTRACTS) if contracts is None else tuple(contracts)
    unknown = [name for name in chosen if name not in CONTRACTS]
    if unknown:
        raise NegmineTypeError(f"`contracts` must be of {', '.join(CONTRACTS)}; got {unknown[0]!r}.")
    subject = _Subject(
        make_sampler, tuple(world_sizes), tuple(start_methods), tuple(persistent_workers), float(time_limit)
    )
    for name in chosen:
        with warnings.catch_warnings():
            # Python warns about fork in a process with threads, which this check does on purpose.
            warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
            _check(name, subject)
    return chosen


def _check(name: str, subject: _Subject) -> None:
    """Check one contract; an exception of the sampler also breaks it."""
    try:
        CONTRACTS[name](subject, lambda message: ConformanceError(name, message))
    except ConformanceError:
        raise
    except Exception as error:
        raise ConformanceError(name, f"the sampler raised {type(error).__name__}: {error}") from error


#: Function of a message that makes the error of the contract being checked.
_Broken = Callable[[str], ConformanceError]


def _lists(subject: _Subject, broken: _Broken) -> None:
    """Check that batches are non-empty lists of int: accelerate adds them, workers get them through a queue."""
    for batch in subject.batches(0):
        if type(batch) is not list or not batch or any(type(row) is not int for row in batch):
            raise broken(f"a batch must be a non-empty list of int; got {batch!r}.")


def _batch_size(subject: _Subject, broken: _Broken) -> None:
    """Check that batches have ``batch_size`` rows, unless it is None: accelerate drops a round that ends in another."""
    sampler = subject.make(1, 0)
    size = getattr(sampler, "batch_size", None)
    if size is None:
        if isinstance(sampler, BatchSampler):
            raise broken("a torch BatchSampler must have a `batch_size`; got None.")
        return
    for number, batch in enumerate(subject.batches(0)):
        if len(batch) != size:
            raise broken(f"every batch must have `batch_size`={size} rows; batch {number} has {len(batch)}.")


def _exact_length(subject: _Subject, broken: _Broken) -> None:
    """Check that ``len`` is the number of batches, in every epoch and on every rank."""
    for world in subject.world_sizes:
        for rank in range(world):
            length = len(subject.make(world, rank))
            for epoch in (0, 1):
                found = len(subject.batches(epoch, world, rank))
                if found != length:
                    raise broken(f"len() must be exact; rank {rank} of {world} reports {length} and yields {found}.")


def _ranks(subject: _Subject, broken: _Broken) -> None:
    """Check that all ranks get the same number of batches, in turn those of a single rank."""
    whole = subject.batches(0)
    for world in subject.world_sizes:
        shares = [subject.batches(0, world, rank) for rank in range(world)]
        counts = {len(share) for share in shares}
        if len(counts) > 1:
            raise broken(f"ranks must get equally many batches; of {world} they get {sorted(counts)}.")
        together = [batch for turn in zip(*shares, strict=True) for batch in turn]
        if together != whole:
            raise broken(f"{world} ranks must together get, in turn, the batches of one; they get others.")


def _lazy(subject: _Subject, broken: _Broken) -> None:
    """Check that ``iter`` only returns an iterator; a loader with workers calls it twice and reads the second."""
    expected = subject.batches(0)
    sampler = subject.make(1, 0)
    for _ in range(3):
        iter(sampler)
    if list(sampler) != expected:
        raise broken("iterators that are not read must change nothing; the batches after them are others.")
    if not _has_state(sampler):
        return
    sampler = subject.make(1, 0)
    next(iter(sampler))
    state = sampler.state_dict()
    resumed = subject.make(1, 0)
    iter(resumed)
    resumed.load_state_dict(state)
    for _ in range(2):
        iter(resumed)
    if list(resumed) != expected[1:]:
        raise broken("a loaded position must wait for the iterator that is read; an unread one consumed it.")


def _repeatable(subject: _Subject, broken: _Broken) -> None:
    """Check that batches do not depend on global random generators, and that these stay unchanged."""
    expected = subject.batches(1)
    held = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 (the global one is meant)
    try:
        for value in (1, 2):
            random.seed(value)
            np.random.seed(value)  # noqa: NPY002
            torch.manual_seed(value)
            before = _global_generators()
            if subject.batches(1) != expected:
                raise broken("batches must not depend on global random generators; another seed gives others.")
            if _global_generators() != before:
                raise broken("a sampler must leave global random generators alone; it drew from one.")
    finally:
        random.setstate(held[0])
        np.random.set_state(held[1])  # noqa: NPY002
        torch.set_rng_state(held[2])


def _global_generators() -> bytes:
    return pickle.dumps((random.getstate(), np.random.get_state(), torch.get_rng_state().tolist()))  # noqa: NPY002


def _epochs(subject: _Subject, broken: _Broken) -> None:
    """Check that ``set_epoch`` determines the order, also if it is called twice, and that epochs differ."""
    first, second = subject.batches(0), subject.batches(1)
    if first == second:
        raise broken("epochs 0 and 1 must differ; they are the same batches in the same order.")
    sampler = subject.make(1, 0)
    for epoch, expected in ((1, second), (0, first), (1, second)):
        sampler.set_epoch(epoch)
        sampler.set_epoch(epoch)
        if list(sampler) != expected:
            raise broken(f"set_epoch({epoch}), called twice, must give the batches of that epoch; it gives others.")


def _reach(subject: _Subject, broken: _Broken) -> None:
    """Check that ``sampler.sampler`` has ``set_epoch``: Lightning and accelerate look for it there."""
    expected = subject.batches(1)
    sampler = subject.make(1, 0)
    inner: Any = getattr(sampler, "sampler", None)
    if not hasattr(inner, "set_epoch"):
        raise broken("`sampler.sampler` must have set_epoch; Lightning, and accelerate on two ranks, call no other.")
    inner.set_epoch(1)
    if list(sampler) != expected:
        raise broken("`sampler.sampler.set_epoch(1)` must give the batches of epoch 1; it gives others.")


def _state(subject: _Subject, broken: _Broken) -> None:
    """Check that the state is small and a copy, and holds format, epoch, seed, batch size and digest."""
    sampler = subject.make(1, 0)
    if not _has_state(sampler):
        raise broken("a sampler must have state_dict and load_state_dict.")
    iterator = iter(sampler)
    while True:
        state = sampler.state_dict()
        kept = copy.deepcopy(state)
        missing = {"format", "epoch", "seed", "batch_size", "digest"} - state.keys()
        if missing:
            raise broken(f"a state must hold {', '.join(sorted(missing))}; got {sorted(state)}.")
        size = len(pickle.dumps(state))
        if size > _SMALL_STATE:
            raise broken(f"a state must be small, at most {_SMALL_STATE} bytes pickled; got {size}.")
        if next(iterator, None) is None:
            break
        sampler.state_dict()  # the next state, which must be another dict
        if state != kept:
            raise broken("a state must be a copy; the next batch changed it.")


def _refusal(subject: _Subject, broken: _Broken) -> None:
    """Check that a state with another format, seed, batch size or digest is refused."""
    state = subject.make(1, 0).state_dict()
    for key in ("format", "seed", "batch_size", "digest"):
        try:
            subject.make(1, 0).load_state_dict({**state, key: "another"})
        except ValueError:
            continue
        raise broken(f"a state of another {key} must be refused with a ValueError; it was loaded.")


def _resume(subject: _Subject, broken: _Broken) -> None:
    """Check that a state loaded at any position gives the remaining batches, then the next epoch."""
    for world in subject.world_sizes:
        for rank in range(world):
            epochs = [subject.batches(epoch, world, rank) for epoch in (1, 2)]
            sampler = subject.make(world, rank)
            sampler.set_epoch(1)
            iterator = iter(sampler)
            for position in range(len(epochs[0]) + 1):
                state = pickle.loads(pickle.dumps(sampler.state_dict()))
                _check_rest(subject, (world, rank), state, position, epochs, broken)
                next(iterator, None)


def _check_rest(
    subject: _Subject,
    place: tuple[int, int],
    state: dict[str, Any],
    position: int,
    epochs: list[list[list[int]]],
    broken: _Broken,
) -> None:
    """Load a state taken after ``position`` batches, and read to the end of the next epoch."""
    resumed = subject.make(*place)
    resumed.load_state_dict(state)
    at_end = position == len(epochs[0])
    if not at_end:
        resumed.set_epoch(1)  # trainers set the epoch that they resume
    rest = list(resumed)
    expected = epochs[1] if at_end else epochs[0][position:]
    if rest != expected:
        what = "start the next epoch" if at_end else "go on with the batches that were to come"
        raise broken(f"a state after {position} of {len(epochs[0])} batches must {what}; it does not.")
    if not at_end:
        resumed.set_epoch(2)
        if list(resumed) != epochs[1]:
            raise broken(f"the epoch after one resumed at batch {position} must be whole; it is not.")


def _other_world(subject: _Subject, broken: _Broken) -> None:
    """Check that a state continues the global order on another number of ranks, or is refused."""
    whole = subject.batches(1)
    for world, other in itertools.permutations(subject.world_sizes, 2):
        sampler = subject.make(world, 0)
        sampler.set_epoch(1)
        iterator, went_on = iter(sampler), 0
        for turn in range(len(sampler)):
            state = sampler.state_dict()
            next(iterator)
            done = turn * world
            shares = []
            for rank in range(other):
                resumed = subject.make(other, rank)
                try:
                    resumed.load_state_dict(state)
                except ValueError:
                    if done % other:
                        break  # no round of the other ranks ends here
                    raise
                shares.append(list(resumed))
            if len(shares) < other:
                continue
            together = [batch for turn_of in itertools.zip_longest(*shares) for batch in turn_of]
            if together != whole[done:]:
                raise broken(f"{other} ranks must go on where {world} stood after {done} batches; they do not.")
            went_on += 1
        if not went_on:
            raise broken(f"{other} ranks must be able to go on where {world} began an epoch.")


def _pickling(subject: _Subject, broken: _Broken) -> None:
    """Check that a sampler can be pickled at any time, and keeps its position."""
    expected = subject.batches(0)
    fresh = subject.make(1, 0)
    if list(pickle.loads(pickle.dumps(fresh))) != expected:
        raise broken("a pickled sampler must give the same batches; it gives others.")
    if not _has_state(fresh):
        return
    next(iter(fresh))
    twin = pickle.loads(pickle.dumps(fresh))
    if twin.state_dict() != fresh.state_dict():
        raise broken("a pickled sampler must keep its place; its state is another.")


class _RowNumbers(Dataset[int]):
    """Dataset of row numbers."""

    def __getitem__(self, row: int) -> int:
        return row


def _workers(subject: _Subject, broken: _Broken) -> None:
    """Check that a DataLoader with two workers returns two epochs in order and in time, for each start method."""
    expected = [subject.batches(epoch) for epoch in (0, 1)]
    for method, persistent in itertools.product(subject.start_methods, subject.persistent):
        sampler = subject.make(1, 0)
        loader = DataLoader(
            _RowNumbers(),
            batch_sampler=sampler,
            num_workers=2,
            persistent_workers=persistent,
            multiprocessing_context=method,
            timeout=subject.time_limit,
        )
        if len(loader) != len(expected[0]):
            raise broken(f"len(loader) must be {len(expected[0])}; got {len(loader)}.")
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            try:
                found = [batch.tolist() for batch in loader]
            except RuntimeError as error:
                raise broken(f"workers by {method} must deliver in {subject.time_limit} s: {error}") from error
            if found != expected[epoch]:
                raise broken(f"workers by {method}, persistent={persistent}, must deliver epoch {epoch} in order.")


def _has_state(sampler: object) -> bool:
    return hasattr(sampler, "state_dict") and hasattr(sampler, "load_state_dict")


#: Check of each contract, by name; the docstring of a check says what relies on the contract.
CONTRACTS: dict[str, Callable[[_Subject, _Broken], None]] = {
    "lists of int": _lists,
    "batch size": _batch_size,
    "exact length": _exact_length,
    "ranks": _ranks,
    "lazy iterators": _lazy,
    "repeatable": _repeatable,
    "epochs": _epochs,
    "set_epoch in reach": _reach,
    "state": _state,
    "refusal": _refusal,
    "resume": _resume,
    "resume on other ranks": _other_world,
    "pickling": _pickling,
    "workers": _workers,
}
