"""Validation of options: numbers, booleans, choices, seeds, and names of keyword arguments."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np

from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = [
    "MAX_INT32",
    "check_choice",
    "check_epoch",
    "check_flag",
    "check_integer",
    "check_real",
    "check_seed",
    "refuse_unknown_fields",
    "refuse_unknown_options",
]


#: Largest count: counts are int32.
MAX_INT32 = 2**31 - 1


P = ParamSpec("P")


R = TypeVar("R")


T = TypeVar("T")


def check_integer(value: object, argument: str, *, least: int, most: int = MAX_INT32) -> int:
    """Validate an integer between ``least`` and ``most``, both inclusive."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise NegmineTypeError(f"`{argument}` must be an integer; got {value!r}.")
    if value < least:
        raise NegmineValueError(f"`{argument}` must be at least {least}; got {value}.")
    if value > most:
        raise NegmineValueError(f"`{argument}` must be at most {most}; got {value}.")
    return int(value)


def check_real(value: object, argument: str, *, least: float = -math.inf, above: float = -math.inf) -> float:
    """Validate a finite number, at least ``least`` and greater than ``above``."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise NegmineTypeError(f"`{argument}` must be a number; got {value!r}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise NegmineValueError(f"`{argument}` must be finite; got {number}.")
    if number < least:
        raise NegmineValueError(f"`{argument}` must be at least {least}; got {number}.")
    if number <= above:
        raise NegmineValueError(f"`{argument}` must be greater than {above}; got {number}.")
    return number


#: Option names of other libraries (sentence-transformers, faiss, scikit-learn, pytorch-metric-learning), with the
#: negmine options of the same meaning.
ELSEWHERE = {
    "margin": ("relative_margin", "absolute_margin"),
    "sampling_strategy": ("sampling", "target"),
    "k_neighbors": ("k",),
    "m_neighbors": ("m",),
    "temperature": ("sampling",),
    "n_negatives": ("num_negatives",),
    "k_negatives": ("num_negatives",),
    "top_k": ("k", "num_negatives"),
    "topk": ("k", "num_negatives"),
    "n_neighbors": ("k", "num_negatives"),
    "nlist": ("n_clusters",),
    "num_clusters": ("n_clusters",),
    "niter": ("max_iterations",),
    "max_iter": ("max_iterations",),
    "iterations": ("max_iterations",),
    "ids": ("document_ids",),
    "labels": ("document_ids", "ids"),
    "corpus_ids": ("document_ids",),
    "vectors": ("embeddings",),
    "xb": ("corpus",),
    "xq": ("queries",),
    "anchors": ("queries",),
    "distance": ("metric",),
    "similarity": ("metric",),
    "similarity_fct": ("metric",),
    "metric_type": ("metric",),
    "batch_size": ("memory_limit",),
    "faiss_batch_size": ("memory_limit",),
    "n_jobs": ("num_threads",),
    "num_workers": ("num_threads",),
    "nthreads": ("num_threads",),
    "random_state": ("seed",),
    "show_progress_bar": ("progress",),
    "verbose": ("progress",),
    "exclude_ids": ("exclude",),
}


#: Similarity from which on a known name is the only one that can be meant.
CLEAR = 0.9


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return a hint at the known options that a misspelled or foreign name may mean; empty if none is close."""
    meant = [option for option in ELSEWHERE.get(name, ()) if option in known]
    meant = meant or difflib.get_close_matches(name, known, n=2, cutoff=0.7)
    if meant and difflib.SequenceMatcher(None, meant[0], name).ratio() > CLEAR:
        meant = meant[:1]
    return f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""


def check_flag(value: object, argument: str) -> bool:
    """Validate a boolean."""
    if not isinstance(value, bool | np.bool_):
        raise NegmineTypeError(f"`{argument}` must be True or False; got {value!r}.")
    return bool(value)


def check_choice(value: object, argument: str, options: Sequence[str]) -> str:
    """Validate a choice among strings."""
    if not isinstance(value, str) or value not in options:
        raise NegmineValueError(f"`{argument}` must be one of {', '.join(map(repr, options))}; got {value!r}.")
    return str(value)


def check_seed(value: object) -> int:
    """Validate a seed: an integer in [0, 2**64)."""
    return check_integer(value, "seed", least=0, most=2**64 - 1)


def check_epoch(value: object) -> int:
    """Validate an epoch: an integer in [0, 2**64)."""
    return check_integer(value, "epoch", least=0, most=2**64 - 1)


def refuse_unknown_options(owner: str, others: Iterable[str] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that makes a function raise a negmine error for an unknown option.

    The message lists the options that exist.

    Parameters
    ----------
    owner : str
        Name of the function in the message.
    others : iterable of str, default ()
        Options that the function passes on, in addition to its own.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        own = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        known = sorted({*own, *others} - {"self", "cls"})

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in known:
                    meant = suggestion(name, known)
                    raise NegmineTypeError(f"`{owner}` has no option {name!r}.{meant} It has {', '.join(known)}.")
            return function(*args, **kwargs)

        return wrapper

    return decorate


def refuse_unknown_fields(cls: type[T]) -> type[T]:
    """Decorate a class so that its constructor refuses unknown options; see [`refuse_unknown_options`][]."""
    cls.__init__ = refuse_unknown_options(cls.__name__)(cls.__init__)  # type: ignore[method-assign]
    return cls
