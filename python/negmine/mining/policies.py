"""Selection policies: how negatives are chosen from a pool.

A policy is a frozen dataclass with a ``name``; the metadata of its fields declare which values are valid. Validation
and the encodings for the core, for files and for the command line are derived from these fields. The core turns a
policy into an order of the pool. Policies are not callables, because NumPy's exponentials differ between processors in
the last bit, which can change a draw, and because a function cannot be saved with the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, cast

from negmine._core.options import check_choice, check_real, refuse_unknown_fields
from negmine.errors import NegmineValueError

__all__ = ["Policy", "Sampling", "SimANS", "Softmax", "Stride", "Typical"]

#: Policies without parameters, which are given as a string.
WORDS = ("top", "random")


def number(default: Any = MISSING, **rule: float) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes a finite number: at least ``least``, or greater than ``above``."""
    return field(default=default, metadata={"number": rule})


def choice(*options: str) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes one of the given strings; the default is the first."""
    return field(default=options[0], metadata={"choice": options})


class Policy:
    """Base class of selection policies.

    A subclass is a frozen dataclass whose fields are declared with `number` and `choice`.
    """

    #: Name of the policy in the core, in files and on the command line.
    name: ClassVar[str]

    def __post_init__(self) -> None:
        for entry, value in _entries(self):
            if "number" in entry.metadata:
                check_real(value, entry.name, **entry.metadata["number"])
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
    numbers = [
        float(value) if "number" in entry.metadata else float(entry.metadata["choice"].index(value))
        for entry, value in _entries(sampling)
    ]
    return sampling.name, numbers


def to_json(sampling: Sampling) -> str | dict[str, Any]:
    """Return a description of a policy that JSON can represent."""
    if not isinstance(sampling, Policy):
        return sampling
    values = {entry.name: float(value) if "number" in entry.metadata else value for entry, value in _entries(sampling)}
    return {"name": sampling.name, **values}


def from_json(description: object) -> Sampling:
    """Read a policy from a description made by :func:`to_json`.

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
    if "choice" in entry.metadata:
        return word
    try:
        return float(word)
    except ValueError:
        raise NegmineValueError(f"`sampling` must have a number for {entry.name}; got {word!r}.") from None


def _entries(policy: Policy) -> list[tuple[Field[Any], Any]]:
    return [(entry, getattr(policy, entry.name)) for entry in fields(policy)]  # type: ignore[arg-type]
