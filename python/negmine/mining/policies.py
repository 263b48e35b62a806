"""Selection policies: how negatives are chosen from a pool.

A policy is a frozen dataclass with a ``name``, and its fields say what values they take. Everything else follows from
that: validation, the form that the core reads, the form in files, and the form on the command line. The core turns a
policy into an order of the pool. Policies are not callables, because NumPy's exponentials differ between processors in
the last bit, which decides a draw, and because a function cannot be saved with the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, cast

from negmine._core.options import check_choice, check_real, refuse_unknown_fields
from negmine.errors import NegmineValueError

__all__ = ["Policy", "Sampling", "SimANS", "Softmax", "Stride"]

#: Policies without parameters that are named by a string.
WORDS = ("top", "random")


def number(default: Any = MISSING, **rule: float) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes a finite number; ``least`` and ``above`` bound it from below."""
    return field(default=default, metadata={"number": rule})


def choice(*options: str) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field that takes one of a few strings, the first by default."""
    return field(default=options[0], metadata={"choice": options})


class Policy:
    """Base class of policies; a subclass is a frozen dataclass whose fields are made by `number` and `choice`."""

    #: What the core, files and the command line call the policy.
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
        In units of the score, finite, greater than 0. Small values approach ``"top"``, large ones ``"random"``.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A temperature that is not a finite number greater than 0.

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

    Documents that score about as high as the positive are neither trivial nor likely false negatives. With
    ``scale="std"`` the policy approaches the hardest document where the reference lies above the whole pool.

    Parameters
    ----------
    a : float, default 0.5
        Sharpness, finite, at least 0; 0 is uniform.
    b : float, default 0.0
        Shift in units of the score, with the sign of the released code.
    scale : {"std", "raw"}, default "std"
        "std" divides by the population standard deviation of the pool's scores, "raw" by 1.

    Raises
    ------
    NegmineValueError, NegmineTypeError
        A number that is not finite or is negative, or an unknown scale.

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

    Every document of the pool is used once in ``len(pool) // num_negatives`` epochs where ``num_negatives`` divides the
    size of the pool.

    References
    ----------
    Xie et al., "T2Ranking: A large-scale Chinese Benchmark for Passage Ranking", SIGIR 2023; its released code.
    """

    name = "stride"


#: How negatives are chosen from a pool.
Sampling = Literal["top", "random"] | Policy


def registry() -> dict[str, type[Policy]]:
    """Map the name of every policy to its class."""
    return {policy.name: policy for policy in Policy.__subclasses__()}


def check_sampling(sampling: object) -> Sampling:
    """Validate a policy, or the name of one without parameters."""
    if isinstance(sampling, Policy) or (isinstance(sampling, str) and sampling in WORDS):
        return cast("Sampling", sampling)
    classes = ", ".join(policy.__name__ for policy in registry().values())
    raise NegmineValueError(f"`sampling` must be 'top', 'random' or a policy ({classes}); got {sampling!r}.")


def encode(sampling: Sampling) -> tuple[str, list[float]]:
    """Give the name and the numbers of a policy to the core; a choice is the position of its option."""
    if not isinstance(sampling, Policy):
        return str(check_sampling(sampling)), []
    numbers = [
        float(value) if "number" in entry.metadata else float(entry.metadata["choice"].index(value))
        for entry, value in _entries(sampling)
    ]
    return sampling.name, numbers


def to_json(sampling: Sampling) -> str | dict[str, Any]:
    """Describe a policy as JSON can hold it."""
    if not isinstance(sampling, Policy):
        return sampling
    values = {entry.name: float(value) if "number" in entry.metadata else value for entry, value in _entries(sampling)}
    return {"name": sampling.name, **values}


def from_json(description: object) -> Sampling:
    """Read a policy that :func:`to_json` described.

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
    """Read a policy as the command line has it: its name and, after colons, its fields in order.

    Raises
    ------
    NegmineValueError
        The name is unknown, there are too many fields, or one has no default and is missing.
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
    """List the policies as the command line writes them."""
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
