"""Quotas for groups by the law of shares, and laws of choice within groups: rank, MMR, softmax, systematic, uniform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from negmine import _native
from negmine._core.arrays import Rows, as_float64s, as_int64s, as_rows, as_shares
from negmine._core.calls import Progress, check_progress, ensure_fits_in_memory, resolve_num_threads
from negmine._core.options import (
    check_choice,
    check_epoch,
    check_flag,
    check_integer,
    check_real,
    check_seed,
    refuse_unknown_options,
)
from negmine._core.reprs import short_repr
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Request", "Selected", "select"]

TARGETS = ("proportional", "balanced")
LAWS = ("top", "softmax", "systematic", "random")
#: Laws whose weights are exp(score / temperature).
WEIGHTED = ("softmax", "systematic")


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """Items that [`select`][] chose.

    Attributes
    ----------
    indices : int64 (n_selected,)
        Chosen items, group after group, each group in the order of its choice. With replacement, items may repeat.
    quotas : int64 (n_groups,)
        Number of items chosen from each group.
    log_prob : float64 (n_selected,)
        Logarithm of the probability of each choice: of the inclusion probability, or with replacement of the expected
        number of times. Weights ``exp(-log_prob)`` make sums over the chosen items unbiased for sums over all items of
        these groups. It is 0 for ``within="top"``, whose choice is certain; items that cannot be chosen then make
        such sums biased.
    """

    indices: npt.NDArray[np.int64]
    quotas: npt.NDArray[np.int64]
    log_prob: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is to be chosen, as the core reads it."""

    items: int
    scores: npt.NDArray[np.float64] | None
    groups: npt.NDArray[np.int64] | None
    n_groups: int
    target: str | npt.NDArray[np.float64]
    given: npt.NDArray[np.int64]
    minimum: int
    within: str
    temperature: float
    diversity: float | None
    embeddings: Rows | None
    replace: bool
    seed: int
    epoch: int
    query: int


@refuse_unknown_options("select")
def select(
    num: int,
    *,
    scores: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
    target: Literal["proportional", "balanced"] | npt.ArrayLike = "proportional",
    given: npt.ArrayLike | None = None,
    minimum: int = 0,
    within: Literal["top", "softmax", "systematic", "random"] = "top",
    temperature: float = 1.0,
    diversity: float | None = None,
    embeddings: Any = None,  # noqa: ANN401 (an array of NumPy, torch or Arrow)
    replace: bool = False,
    seed: int = 0,
    epoch: int = 0,
    query: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Selected:
    """Choose items by a quota for every group and a law of choice within each group.

    Quotas are largest remainders: the totals of groups, ``given`` included, are in proportion to ``target`` as far as
    the numbers of candidates allow. If there are fewer candidates than ``num``, all of them are chosen, except those
    of groups whose share is 0.

    Parameters
    ----------
    num : int
        Number of items to choose.
    scores : float64 (n,), optional
        Score of every item, higher is better; -inf for items that are not candidates. Default: all scores are equal.
    groups : int64 (n,), optional
        Group of every item, from 0; -1 for items that are not candidates. Default: all items are in group 0.
    target : {"proportional", "balanced"} or float64 (n_groups,), default "proportional"
        Shares of the groups: their numbers of candidates, equal shares, or the given numbers, which need not sum to 1.
    given : int64 (n_groups,), optional
        Numbers of items that the groups have already.
    minimum : int, default 0
        Least total of every group, ``given`` included, if the group has so many candidates. It is a lower bound on
        proportional numbers, not a first round.
    within : {"top", "softmax", "systematic", "random"}, default "top"
        Law of choice within a group. ``"top"``: the highest scores, ties by row. ``"softmax"``: weights
        ``exp(score / temperature)``, one item after the other. ``"systematic"``: the same weights, by equally spaced
        points on their cumulative sum in row order, which varies least (as in particle filters). ``"random"``: uniform.
    temperature : float, default 1.0
        Temperature of ``"softmax"`` and ``"systematic"``.
    diversity : float, optional
        Weight lambda of the score in maximal marginal relevance, in [0, 1], for ``within="top"``: the next item of a
        group has the highest ``lambda * score - (1 - lambda) * m``, with m its largest cosine with the items chosen
        from its group so far, and 0 for the first item. Scores should be on the scale of cosines.
    embeddings : array (n, width), optional
        Embeddings of the items, for ``diversity``; NumPy array, CPU torch tensor or Arrow fixed-size-list array.
    replace : bool, default False
        Whether an item may be chosen more than once; not for ``within="top"``. Numbers of candidates then limit no
        quota.
    seed : int, default 0
        Seed of the draws, in [0, 2**64).
    epoch : int, default 0
        Epoch of the draws, in [0, 2**64).
    query : int, default 0
        Identity of the draws, in [0, 2**64): calls of the same seed and epoch draw independently if it differs.
    num_threads : int, optional
        Number of threads, which does not change the result. Default: all available cores, or 1 in a DataLoader worker.
    progress : callable, optional
        Called as ``progress(done, total)`` about every 50 ms.

    Returns
    -------
    Selected
        The chosen items, the numbers of items per group, and the log-probabilities.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted, or none of ``scores``, ``groups`` and ``embeddings`` is given.
    NegmineValueError
        A score is NaN or +inf, a group is out of range, shares are negative or all 0, ``num`` is below what ``minimum``
        takes, or options contradict each other.
    MemoryLimitError
        The result would not fit in memory.

    Notes
    -----
    Probabilities of ``"softmax"`` without replacement are conditional on the draws of the other items: they are
    unbiased as weights, but they are not marginal probabilities.

    References
    ----------
    Carbonell and Goldstein: "The use of MMR, diversity-based reranking for reordering documents and producing
    summaries", SIGIR 1998. Efraimidis and Spirakis: "Weighted random sampling with a reservoir", 2006. Madow: "On the
    theory of systematic sampling, II", 1949.

    Examples
    --------
    >>> from negmine.selection import select
    >>> selected = select(3, scores=[0.9, 0.8, 0.7, 0.2, 0.1], groups=[0, 0, 0, 1, 1], target="balanced")
    >>> selected.indices.tolist(), selected.quotas.tolist()
    ([0, 1, 3], [2, 1])
    """
    number = check_integer(num, "num", least=0)
    law = check_choice(within, "within", LAWS)
    again = check_flag(replace, "replace")
    weights = None if scores is None else as_float64s(scores, "scores")
    labels = None if groups is None else as_int64s(groups, "groups")
    rows = _diverse_rows(diversity, embeddings, law)
    heat = check_real(temperature, "temperature", above=0.0)
    if heat != 1.0 and law not in WEIGHTED:
        raise NegmineValueError(f"`temperature` must be 1.0 if `within` is {law!r}, which has none; got {heat}.")
    if again and law == "top":
        raise NegmineValueError(
            "`replace` must be False if `within` is 'top', which would choose one item only; got True."
        )
    shares = _shares(target)
    before = None if given is None else as_int64s(given, "given")
    n_groups = _number_of_groups(labels, shares, before)
    if again:
        ensure_fits_in_memory(number, 1, "num")
    request = Request(
        items=_number_of_items(weights, labels, rows),
        scores=weights,
        groups=labels,
        n_groups=n_groups,
        target=shares,
        given=np.empty(0, dtype=np.int64) if before is None else before,
        minimum=check_integer(minimum, "minimum", least=0),
        within=law,
        temperature=heat,
        diversity=None if diversity is None else float(diversity),
        embeddings=rows,
        replace=again,
        seed=check_seed(seed),
        epoch=check_epoch(epoch),
        query=check_integer(query, "query", least=0, most=2**64 - 1),
    )
    return Selected(*_native.select_items(number, request, resolve_num_threads(num_threads), check_progress(progress)))


def _diverse_rows(diversity: object, embeddings: object, within: str) -> Rows | None:
    """Validate the options of maximal marginal relevance."""
    if diversity is None:
        if embeddings is not None:
            raise NegmineValueError("`embeddings` must be None if `diversity` is None, because they are not used.")
        return None
    weight = check_real(diversity, "diversity", least=0.0)
    if weight > 1.0:
        raise NegmineValueError(f"`diversity` must be at most 1.0; got {weight}.")
    if within != "top":
        raise NegmineValueError(f"`diversity` must be None if `within` is {within!r}; got {weight}.")
    if embeddings is None:
        raise NegmineTypeError("`embeddings` must be given if `diversity` is; got None.")
    return as_rows(embeddings, "embeddings")


def _shares(target: object) -> str | npt.NDArray[np.float64]:
    """Validate the shares of groups."""
    if isinstance(target, str):
        return check_choice(target, "target", TARGETS)
    return as_shares(target, "target")


def _number_of_groups(
    labels: npt.NDArray[np.int64] | None,
    target: str | npt.NDArray[np.float64],
    given: npt.NDArray[np.int64] | None,
) -> int:
    """Return the number of groups: of the shares, or else of the numbers given before, or else of the labels."""
    if not isinstance(target, str):
        n_groups, argument = len(target), "target"
    elif given is not None:
        n_groups, argument = len(given), "given"
    else:
        n_groups, argument = 1 if labels is None else int(labels.max(initial=-1)) + 1, "groups"
    if labels is None and n_groups != 1:
        raise NegmineValueError(f"`{argument}` must have length 1 if `groups` is None; got {n_groups}.")
    if given is not None and len(given) != n_groups:
        raise NegmineValueError(f"`given` must have length {n_groups}; got {len(given)}.")
    ensure_fits_in_memory(n_groups, 1, argument, entry=64)
    return n_groups


def _number_of_items(
    scores: npt.NDArray[np.float64] | None, labels: npt.NDArray[np.int64] | None, rows: Rows | None
) -> int:
    """Return the number of items, on which all arguments must agree."""
    found = {
        "scores": None if scores is None else len(scores),
        "groups": None if labels is None else len(labels),
        "embeddings": None if rows is None else rows.shape[0],
    }
    sizes = {argument: size for argument, size in found.items() if size is not None}
    if not sizes:
        raise NegmineTypeError("`scores` or `groups` must be given, because there are no items; got neither.")
    items = next(iter(sizes.values()))
    for argument, size in sizes.items():
        if size != items:
            first = next(iter(sizes))
            raise NegmineValueError(f"`{argument}` must have length {items}, as `{first}` has; got {size}.")
    return items
