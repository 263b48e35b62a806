"""Selection policies: how negatives are chosen from a pool.

A policy is a frozen dataclass with a ``name``; the metadata of its fields declare which values are valid. Validation
and the encodings for the core, for files and for the command line are derived from these fields. The core turns a
policy into an order of the pool. Policies are not callables, because NumPy's exponentials differ between processors in
the last bit, which can change a draw, and because a function cannot be saved with the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, cast

from negmine._core.options import check_choice, check_flag, check_real, refuse_unknown_fields
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["Policy", "Quota", "Sampling", "SimANS", "Softmax", "Stride", "Typical"]

#: Policies without parameters, which are given as a string.
WORDS = ("top", "random")


def number(default: Any = MISSING, **rule: float) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes a finite number: at least ``least``, or greater than ``above``."""
    return field(default=default, metadata={"number": rule})


def choice(*options: str) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes one of the given strings; the default is the first."""
    return field(default=options[0], metadata={"choice": options})


def shares() -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes numbers of at least 0, not all 0; at most one field of a policy, the first."""
    return field(metadata={"shares": True})


def flag() -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes a boolean; the default is False."""
    return field(default=False, metadata={"choice": (False, True)})


class Policy:
    """Base class of selection policies.

    A subclass is a frozen dataclass whose fields are declared with `number`, `choice`, `shares` and `flag`.
    """

    #: Name of the policy in the core, in files and on the command line.
    name: ClassVar[str]

    def __post_init__(self) -> None:
        for entry, value in _entries(self):
            if "number" in entry.metadata:
                check_real(value, entry.name, **entry.metadata["number"])
            elif "shares" in entry.metadata:
                object.__setattr__(self, entry.name, _check_shares(value, entry.name))
            elif entry.default is False:
                object.__setattr__(self, entry.name, check_flag(value, entry.name))
            else:
                check_choice(value, entry.name, entry.metadata["choice"])


@refuse_unknown_fields
@dataclass(frozen=True)
class Softmax(Policy):
    """Draw without replacement with weights ``exp(score / temperature)``.

    Parameters
    ----------
    temperature : float
        Temperature in units of the score, finite, greater than 0. Small values approach ``"top"``, large values
        approach ``"random"``.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        The temperature is not a finite number greater than 0.

    Examples
    --------
    >>> import negmine
    >>> negmine.HardNegativeMiner(5, sampling=negmine.Softmax(0.05), seed=1).window
    (0, 100)
    """

    name = "softmax"
    temperature: float = number(above=0.0)


@refuse_unknown_fields
@dataclass(frozen=True)
class SimANS(Policy):
    """Draw without replacement with weights ``exp(-a * ((score - ref + b) / scale) ** 2)``.

    The policy prefers documents that score about as high as the positive: these are neither trivial nor likely false
    negatives. With ``scale="std"``, the policy approaches the hardest document if the reference score is above the
    scores of the whole pool.

    Parameters
    ----------
    a : float, default 0.5
        Sharpness of the distribution, finite, at least 0; 0 draws uniformly.
    b : float, default 0.0
        Shift in units of the score, with the sign that the authors' released code uses.
    scale : {"std", "raw"}, default "std"
        Divisor of the score difference: "std" is the population standard deviation of the pool's scores, "raw" is 1.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A number is not finite, ``a`` is negative, or ``scale`` is unknown.

    References
    ----------
    Zhou et al., "SimANS: Simple Ambiguous Negatives Sampling for Dense Text Retrieval", EMNLP 2022 (industry).
    """

    name = "simans"
    a: float = number(0.5, least=0.0)
    b: float = number(0.0)
    scale: Literal["std", "raw"] = choice("std", "raw")


@refuse_unknown_fields
@dataclass(frozen=True)
class Stride(Policy):
    """Take every ``len(pool) // num_negatives``-th document, from an offset that advances by one each epoch.

    If ``num_negatives`` divides the size of the pool, every document of the pool is used once in
    ``len(pool) // num_negatives`` epochs.

    References
    ----------
    Xie et al., "T2Ranking: A large-scale Chinese Benchmark for Passage Ranking", SIGIR 2023, and
    the code that its authors released.
    """

    name = "stride"


@refuse_unknown_fields
@dataclass(frozen=True)
class Typical(Policy):
    """Take the documents whose surprise is nearest to the entropy of the pool: the locally typical set.

    Probabilities are ``softmax(scores / temperature)`` over the pool, and a document is typical if ``-ln p`` is near
    their entropy. Documents are taken from the most typical one on, ties by rank, until they hold ``mass``. Negatives
    that stand out, such as near-copies of the positive, are left out together with the tail. A row whose set has fewer
    documents than requested is short, with the reason ``zero_weight``.

    Parameters
    ----------
    mass : float, default 0.9
        Probability that the set holds, greater than 0; from 1 on, the set is the pool.
    temperature : float, default 1.0
        Temperature in units of the score, finite, greater than 0. Cosines need small values, such as 0.05.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A number is not finite or not greater than 0.

    References
    ----------
    Meister et al., "Locally Typical Sampling", TACL 2023.

    Examples
    --------
    >>> import negmine
    >>> negmine.HardNegativeMiner(5, sampling=negmine.Typical(0.8, temperature=0.05)).window
    (0, 100)
    """

    name = "typical"
    mass: float = number(0.9, above=0.0)
    temperature: float = number(1.0, above=0.0)


@refuse_unknown_fields
@dataclass(frozen=True)
class Quota(Policy):
    """Take fixed numbers of documents per category, or per source of a fused pool, each by rank.

    ``num_negatives`` is divided among the categories in proportion to ``shares``. Within a category, the best documents
    of the pool are taken. If a category has too few, the best other documents of the pool fill the row, of any
    category. The policy sees the pool only: raise ``range_max`` if a category is rare.

    Parameters
    ----------
    shares : tuple of float
        Share of every category from 0 on, or of every pool in the order in which [`negmine.fuse`][] took them:
        finite, at least 0, not all 0. They need not add up to 1. Documents of other categories, such as -1, only fill
        rows.
    by : {"category", "source"}, default "category"
        "category" uses the labels passed as ``categories`` to [`HardNegativeMiner.candidates`][]. "source" uses the
        pool in which a document of a fused pool ranks best, ties by the order of the pools.
    strict : bool, default False
        Whether a row stays short, with the reason ``quota``, instead of being filled from other categories. It cannot
        be combined with ``limit_per_document``.
    rounding : {"place", "draw"}, default "place"
        How shares become whole numbers. "place" uses largest remainders, ties by place, so that every row gets the same
        numbers. "draw" rounds at random per row and epoch such that the expected numbers equal the shares, which is the
        only way to take one negative from either of two categories.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        An option is invalid.

    References
    ----------
    Lin et al., "MM-Embed: Universal Multimodal Retrieval with Multimodal LLMs", ICLR 2025, draws negatives of two kinds
    with equal probability.

    Examples
    --------
    >>> import numpy as np, negmine
    >>> corpus = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0, 1]], dtype=np.float32)
    >>> miner = negmine.HardNegativeMiner(2, sampling=negmine.Quota((0.5, 0.5)))
    >>> miner.mine(negmine.ExactIndex(corpus), corpus[:1], [[0]], categories=[0, 0, 0, 1, 1]).indices.tolist()
    [[1, 3]]
    """

    name = "quota"
    shares: tuple[float, ...] = shares()
    by: Literal["category", "source"] = choice("category", "source")
    strict: bool = flag()
    rounding: Literal["place", "draw"] = choice("place", "draw")


def _check_shares(value: object, argument: str) -> tuple[float, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise NegmineTypeError(f"`{argument}` must be a list of numbers; got {value!r}.")
    numbers = tuple(check_real(number, argument, least=0.0) for number in value)
    if not any(numbers):
        raise NegmineValueError(f"`{argument}` must hold a number above 0; got {numbers}.")
    return numbers


#: A selection policy: how negatives are chosen from a pool.
Sampling = Literal["top", "random"] | Policy


def registry() -> dict[str, type[Policy]]:
    """Return the class of every policy, by name."""
    return {policy.name: policy for policy in Policy.__subclasses__()}


def check_sampling(sampling: object) -> Sampling:
    """Validate a policy, or the name of a policy without parameters."""
    if isinstance(sampling, Policy) or (isinstance(sampling, str) and sampling in WORDS):
        return cast("Sampling", sampling)
    classes = ", ".join(policy.__name__ for policy in registry().values())
    raise NegmineValueError(f"`sampling` must be 'top', 'random' or a policy ({classes}); got {sampling!r}.")


def encode(sampling: Sampling) -> tuple[str, list[float]]:
    """Encode a policy for the core, as its name and its numbers; a choice becomes the position of its option."""
    if not isinstance(sampling, Policy):
        return str(check_sampling(sampling)), []
    numbers: list[float] = []
    for entry, value in _entries(sampling):
        if "shares" in entry.metadata:
            numbers += value
        else:
            numbers.append(float(value if "number" in entry.metadata else entry.metadata["choice"].index(value)))
    return sampling.name, numbers


def to_json(sampling: Sampling) -> str | dict[str, Any]:
    """Return a description of a policy that JSON can represent."""
    if not isinstance(sampling, Policy):
        return sampling
    values = {
        entry.name: float(value) if "number" in entry.metadata else list(value) if "shares" in entry.metadata else value
        for entry, value in _entries(sampling)
    }
    return {"name": sampling.name, **values}


def from_json(description: object) -> Sampling:
    """Read a policy from a description made by [`to_json`][].

    Raises
    ------
    NegmineValueError
        The name or a field is unknown.
    """
    if isinstance(description, Mapping) and description.get("name") in registry():
        options = {name: value for name, value in description.items() if name != "name"}
        return registry()[description["name"]](**options)
    return check_sampling(description)


def from_text(text: str) -> Sampling:
    """Parse a policy from the command line: its name, followed by its fields in order, separated by colons.

    Raises
    ------
    NegmineValueError
        The name is unknown, there are too many fields, or a field without a default is missing.
    """
    name, *words = text.split(":")
    if name in WORDS and not words:
        return cast("Sampling", name)
    policy = registry().get(name)
    entries = fields(policy) if policy else ()  # type: ignore[arg-type]
    required = sum(entry.default is MISSING for entry in entries)
    if policy is None or not required <= len(words) <= len(entries):
        raise NegmineValueError(f"`sampling` must be {usage()}; got {text!r}.")
    return policy(**{entry.name: _value(entry, word) for entry, word in zip(entries, words, strict=False)})


def usage() -> str:
    """Return the list of policies in their command-line form, for help texts and error messages."""
    forms = [*WORDS, *map(_usage, registry().values())]
    return f"{', '.join(forms[:-1])} or {forms[-1]}"


def _usage(policy: type[Policy]) -> str:
    text = policy.name
    entries = fields(policy)  # type: ignore[arg-type]
    for entry in entries:
        text += f":{entry.name.upper()}" if entry.default is MISSING else f"[:{entry.name.upper()}"
    return text + "]" * sum(entry.default is not MISSING for entry in entries)


def _value(entry: Field[Any], word: str) -> object:
    if entry.default is False and word in ("true", "false"):
        return word == "true"
    if "choice" in entry.metadata:
        return word
    try:
        return tuple(map(float, word.split(","))) if "shares" in entry.metadata else float(word)
    except ValueError:
        raise NegmineValueError(f"`sampling` must have a number for {entry.name}; got {word!r}.") from None


def _entries(policy: Policy) -> list[tuple[Field[Any], Any]]:
    return [(entry, getattr(policy, entry.name)) for entry in fields(policy)]  # type: ignore[arg-type]
